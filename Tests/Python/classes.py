"""The class of every tensor of a checkpoint, by the rule of docs/reference/tensors.md, written for the tests alone.

matrix       rank 2, F64, F32, F16 or BF16, both dimensions at least 2
dequantized  the same in 8-bit floating point, if its scale is there
stack        rank 3 under `experts.`, one matrix for each expert
conv         rank 4, outputs × everything else, if asked for, if config.json tells of images, or if kernels hold most of the model
skipped      embeddings, output heads, routers, vectors, scales, constants, biases, integers; whatever is left
refused      what belongs to a format whose weights are packed, and adapters
"""

import math
from dataclasses import dataclass

FLOATS = {"F64", "F32", "F16", "BF16"}
EIGHT_BIT = {"F8_E4M3", "F8_E5M2"}
EMBEDDINGS = {
    "embed_tokens", "embed_in", "wte", "wpe", "word_embeddings", "position_embeddings", "token_type_embeddings", "patch_embeddings",
    "patch_embedding", "token_embedding", "position_embedding", "class_embedding",
}  # fmt: skip
HEADS = {"lm_head", "embed_out", "score", "classifier", "shared_head"}


@dataclass(frozen=True)
class Expected:
    classes: frozenset  # where the rule leaves a choice, more than one
    matrices: int = 0
    method: str | None = None  # what a refusal must name


def one(name, matrices=0, method=None):
    return Expected(frozenset([name]), matrices, method)


# Leaves that say that weights are packed, and by what.
PACKED = {
    "qweight": "GPTQ", "qzeros": "GPTQ", "g_idx": "GPTQ", "SCB": "bitsandbytes", "absmax": "bitsandbytes",
    "quant_map": "bitsandbytes", "nested_absmax": "bitsandbytes", "nested_quant_map": "bitsandbytes",
    "bitsandbytes__nf4": "bitsandbytes", "weight_packed": "compressed-tensors",
}  # fmt: skip


def is_made_of_kernels(tensors):
    """Whether tensors of rank 4 hold more than all others of rank 2 and 3 that are no tables."""
    sizes = {2: 0, 3: 0, 4: 0}
    for name, (dtype, shape, *_) in tensors.items():
        if dtype in FLOATS | EIGHT_BIT and len(shape) in sizes and not (EMBEDDINGS | HEADS) & set(name.split(".")) and shape[0] > 1:
            sizes[len(shape)] += math.prod(shape)
    return sizes[4] > sizes[2] + sizes[3]


def expected(name, dtype, shape, tensors, config, conv=None):
    """`tensors`: all of the checkpoint, (dtype, shape, …) by name; `conv`: as asked for on the command line, None if not."""
    names = tensors.keys()
    parts = name.split(".")
    leaf = parts[-1]
    if leaf in PACKED:
        return one("refused", method=PACKED[leaf])
    if leaf.endswith("_blocks") or (leaf.endswith("_scales") and dtype == "U8"):
        return one("refused", method="mxfp4")
    if "lora_A" in parts or "lora_B" in parts:
        return one("refused", method="LoRA")
    if leaf == "weight" and dtype in {"U8", "I8"}:
        if f"{name}_scale" in names:
            return one("refused", method="ModelOpt")
        if f"{name}.absmax" in names or ".".join([*parts[:-1], "SCB"]) in names:
            # The rule names the tensors beside a weight of bitsandbytes; the weight is of an integer type, but may be refused with them.
            return Expected(frozenset(["refused", "skipped"]))
    if config.get("tie_word_embeddings") and "lm_head" in parts:
        return one("skipped")
    if EMBEDDINGS & set(parts) or HEADS & set(parts):
        return one("skipped")
    module = parts[-2] if leaf in {"weight", "bias"} and len(parts) > 1 else leaf
    if module in {"gate", "router", "shared_expert_gate"}:
        return one("skipped")
    if leaf in {"bias", "A_log", "inv_freq", "position_ids", "masked_bias"} or leaf.endswith("_bias"):
        return one("skipped")
    if leaf.endswith(("_scale", "_scale_inv", "_scale_2")) or leaf in {"scales", "logit_scale"}:
        return one("skipped")
    if dtype in EIGHT_BIT and len(shape) == 2 and min(shape) >= 2:
        scaled = f"{name}_scale_inv" in names or f"{name}_scale" in names
        return one("dequantized", 1) if scaled else one("refused")
    if dtype not in FLOATS:
        return one("skipped")
    if len(shape) == 2 and min(shape) >= 2:
        return one("matrix", 1)
    if len(shape) == 3 and "experts" in parts and min(shape[1:]) >= 2 and shape[0] >= 1:
        return one("stack", shape[0])
    if len(shape) == 4:
        wanted = bool({"image_size", "num_channels"} & config.keys()) or is_made_of_kernels(tensors) if conv is None else conv
        if wanted and shape[0] >= 2 and math.prod(shape[1:]) >= 2:
            return one("conv", 1)
    return one("skipped")
