#!/usr/bin/env python3
"""The layouts of real checkpoints, written from patterns: names, dtypes and shapes from a model's dimensions.

Every layout has the dimensions of the real model (`full`) and small ones (`small`) that give the same names and dtypes, so that the
patterns can be compared with the tensor lists of the models themselves:

  Tests/Python/layouts.py --compare shapes.json.gz shapes_extra.json.gz      model → {"tensors": [[name, shape, dtype], …]}
  Tests/Python/layouts.py --write 'gpt2' FOLDER                              the small checkpoint
"""

import argparse
import gzip
import json
import math
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import checkpoints

BLOCK = 128  # rows and columns that share a scale in a checkpoint of 8-bit blocks

# Patterns ---------------------------------------------------------------------------------------------------------------------------
# Each yields (name, dtype, shape). `linear(module, outputs, inputs)` yields what one linear layer is stored as.


def plain(module, outputs, inputs):
    yield f"{module}.weight", "BF16", (outputs, inputs)


def biased(dtype):
    def linear(module, outputs, inputs):
        yield f"{module}.weight", dtype, (outputs, inputs)
        yield f"{module}.bias", dtype, (outputs,)

    return linear


def block_scaled(module, outputs, inputs):
    yield f"{module}.weight", "F8_E4M3", (outputs, inputs)
    yield f"{module}.weight_scale_inv", "F32", (-(-outputs // BLOCK), -(-inputs // BLOCK))


def row_scaled(module, outputs, inputs):
    yield f"{module}.weight", "F8_E4M3", (outputs, inputs)
    yield f"{module}.weight_scale", "BF16", (outputs, 1)


def tensor_scaled(dtype):
    def linear(module, outputs, inputs):
        yield f"{module}.weight", dtype, (outputs, inputs)
        yield f"{module}.weight_scale", "F32", ()
        yield f"{module}.input_scale", "F32", ()

    return linear


def gptq(module, outputs, inputs):
    yield f"{module}.qweight", "I32", (inputs // 8, outputs)
    yield f"{module}.qzeros", "I32", (inputs // 128, outputs // 8)
    yield f"{module}.scales", "F16", (inputs // 128, outputs)
    yield f"{module}.g_idx", "I32", (inputs,)


def awq(module, outputs, inputs):
    yield f"{module}.qweight", "I32", (inputs, outputs // 8)
    yield f"{module}.qzeros", "I32", (inputs // 128, outputs // 8)
    yield f"{module}.scales", "F16", (inputs // 128, outputs)


def bnb4(module, outputs, inputs):
    size = outputs * inputs
    yield f"{module}.weight", "U8", (size // 2, 1)
    yield f"{module}.weight.absmax", "U8", (size // 64,)
    yield f"{module}.weight.quant_map", "F32", (16,)
    yield f"{module}.weight.nested_absmax", "F32", (size // 64 // 256,)
    yield f"{module}.weight.nested_quant_map", "F32", (256,)
    yield f"{module}.weight.quant_state.bitsandbytes__nf4", "U8", (88,)


def bnb8(module, outputs, inputs):
    yield f"{module}.weight", "I8", (outputs, inputs)
    yield f"{module}.SCB", "F32", (outputs,)
    yield f"{module}.weight_format", "U8", ()


def packed_4bit(module, outputs, inputs):
    yield f"{module}.weight_packed", "I32", (outputs, inputs // 8)
    yield f"{module}.weight_scale", "BF16", (outputs, inputs // 128)
    yield f"{module}.weight_shape", "I64", (2,)


def packed_nvfp4(module, outputs, inputs):
    yield f"{module}.weight_packed", "U8", (outputs, inputs // 2)
    yield f"{module}.weight_scale", "F8_E4M3", (outputs, inputs // 16)
    yield f"{module}.weight_global_scale", "F32", (1,)
    yield f"{module}.input_global_scale", "F32", (1,)


def modelopt_nvfp4(module, outputs, inputs):
    yield f"{module}.weight", "U8", (outputs, inputs // 2)
    yield f"{module}.weight_scale", "F8_E4M3", (outputs, inputs // 16)
    yield f"{module}.weight_scale_2", "F32", ()
    yield f"{module}.input_scale", "F32", ()


def adapter(rank):
    def linear(module, outputs, inputs):
        yield f"base_model.model.{module}.lora_A.weight", "F32", (rank, inputs)
        yield f"base_model.model.{module}.lora_B.weight", "F32", (outputs, rank)

    return linear


def layer_norm(name, width, dtype):
    yield f"{name}.weight", dtype, (width,)
    yield f"{name}.bias", dtype, (width,)


def attention(d, module, linear, bias=None):
    head = d.get("head", d["hidden"] // d["heads"])
    for part, heads in (("q", d["heads"]), ("k", d["kv_heads"]), ("v", d["kv_heads"])):
        yield from (bias or linear)(f"{module}.{part}_proj", heads * head, d["hidden"])
    yield from linear(f"{module}.o_proj", d["hidden"], d["heads"] * head)


def llama(d, linear=plain, norms=("input_layernorm", "post_attention_layernorm"), head=True, bias=None):
    yield "model.embed_tokens.weight", "BF16", (d["vocabulary"], d["hidden"])
    for layer in range(d["layers"]):
        block = f"model.layers.{layer}"
        for norm in norms:
            yield f"{block}.{norm}.weight", "BF16", (d["hidden"],)
        yield from linear(f"{block}.mlp.down_proj", d["hidden"], d["inner"])
        yield from linear(f"{block}.mlp.gate_proj", d["inner"], d["hidden"])
        yield from linear(f"{block}.mlp.up_proj", d["inner"], d["hidden"])
        yield from attention(d, f"{block}.self_attn", linear, bias)
    yield "model.norm.weight", "BF16", (d["hidden"],)
    if head:
        yield "lm_head.weight", "BF16", (d["vocabulary"], d["hidden"])


def gemma2(d):
    norms = [f"{n}_layernorm" for n in ("input", "post_attention", "pre_feedforward", "post_feedforward")]
    return llama(d, norms=norms, head=False)


def mixtral(d):
    linear = plain
    yield "model.embed_tokens.weight", "BF16", (d["vocabulary"], d["hidden"])
    for layer in range(d["layers"]):
        block = f"model.layers.{layer}"
        yield from linear(f"{block}.block_sparse_moe.gate", d["experts"], d["hidden"])
        for expert in range(d["experts"]):
            module = f"{block}.block_sparse_moe.experts.{expert}"
            yield from linear(f"{module}.w1", d["inner"], d["hidden"])
            yield from linear(f"{module}.w2", d["hidden"], d["inner"])
            yield from linear(f"{module}.w3", d["inner"], d["hidden"])
        yield f"{block}.input_layernorm.weight", "BF16", (d["hidden"],)
        yield f"{block}.post_attention_layernorm.weight", "BF16", (d["hidden"],)
        yield from attention(d, f"{block}.self_attn", linear)
    yield "model.norm.weight", "BF16", (d["hidden"],)
    yield "lm_head.weight", "BF16", (d["vocabulary"], d["hidden"])


def gated(module, inner, hidden, linear):
    yield from linear(f"{module}.gate_proj", inner, hidden)
    yield from linear(f"{module}.up_proj", inner, hidden)
    yield from linear(f"{module}.down_proj", hidden, inner)


def deepseek(d):
    hidden, heads = d["hidden"], d["heads"]
    yield "model.embed_tokens.weight", "BF16", (d["vocabulary"], hidden)
    for layer in range(d["layers"] + 1):  # the last predicts one more token
        block = f"model.layers.{layer}"
        yield from block_scaled(f"{block}.self_attn.q_a_proj", d["q_rank"], hidden)
        yield f"{block}.self_attn.q_a_layernorm.weight", "BF16", (d["q_rank"],)
        yield from block_scaled(f"{block}.self_attn.q_b_proj", heads * (d["nope"] + d["rope"]), d["q_rank"])
        yield from block_scaled(f"{block}.self_attn.kv_a_proj_with_mqa", d["kv_rank"] + d["rope"], hidden)
        yield f"{block}.self_attn.kv_a_layernorm.weight", "BF16", (d["kv_rank"],)
        yield from block_scaled(f"{block}.self_attn.kv_b_proj", heads * (d["nope"] + d["value"]), d["kv_rank"])
        yield from block_scaled(f"{block}.self_attn.o_proj", hidden, heads * d["value"])
        yield f"{block}.input_layernorm.weight", "BF16", (hidden,)
        yield f"{block}.post_attention_layernorm.weight", "BF16", (hidden,)
        if layer < d["dense"]:
            yield from gated(f"{block}.mlp", d["inner"], hidden, block_scaled)
        else:
            yield f"{block}.mlp.gate.weight", "BF16", (d["experts"], hidden)
            yield f"{block}.mlp.gate.e_score_correction_bias", "F32", (d["experts"],)
            for expert in range(d["experts"]):
                yield from gated(f"{block}.mlp.experts.{expert}", d["expert_inner"], hidden, block_scaled)
            yield from gated(f"{block}.mlp.shared_experts", d["expert_inner"], hidden, block_scaled)
    yield f"{block}.embed_tokens.weight", "BF16", (d["vocabulary"], hidden)
    yield f"{block}.enorm.weight", "BF16", (hidden,)
    yield f"{block}.hnorm.weight", "BF16", (hidden,)
    yield f"{block}.eh_proj.weight", "BF16", (hidden, 2 * hidden)
    yield f"{block}.shared_head.norm.weight", "BF16", (hidden,)
    yield f"{block}.shared_head.head.weight", "BF16", (d["vocabulary"], hidden)
    yield "model.norm.weight", "BF16", (hidden,)
    yield "lm_head.weight", "BF16", (d["vocabulary"], hidden)


def gpt2(d):
    hidden = d["hidden"]
    yield "wte.weight", "F32", (d["vocabulary"], hidden)
    yield "wpe.weight", "F32", (d["positions"], hidden)
    for layer in range(d["layers"]):
        block = f"h.{layer}"
        yield from layer_norm(f"{block}.ln_1", hidden, "F32")
        yield f"{block}.attn.bias", "F32", (1, 1, d["positions"], d["positions"])  # the causal mask
        # Conv1D: inputs × outputs.
        for module, inputs, outputs in (
            ("attn.c_attn", hidden, 3 * hidden), ("attn.c_proj", hidden, hidden),
            ("mlp.c_fc", hidden, 4 * hidden), ("mlp.c_proj", 4 * hidden, hidden),
        ):  # fmt: skip
            yield f"{block}.{module}.weight", "F32", (inputs, outputs)
            yield f"{block}.{module}.bias", "F32", (outputs,)
        yield from layer_norm(f"{block}.ln_2", hidden, "F32")
    yield from layer_norm("ln_f", hidden, "F32")


def bert(d, prefix="", pooler=False, predictions=False, position_ids=False):
    hidden, linear = d["hidden"], biased("F32")
    embeddings = f"{prefix}embeddings"
    yield f"{embeddings}.word_embeddings.weight", "F32", (d["vocabulary"], hidden)
    yield f"{embeddings}.position_embeddings.weight", "F32", (d["positions"], hidden)
    yield f"{embeddings}.token_type_embeddings.weight", "F32", (2, hidden)
    yield from layer_norm(f"{embeddings}.LayerNorm", hidden, "F32")
    if position_ids:
        yield f"{embeddings}.position_ids", "I64", (1, d["positions"])
    for layer in range(d["layers"]):
        block = f"{prefix}encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            yield from linear(f"{block}.attention.self.{part}", hidden, hidden)
        yield from linear(f"{block}.attention.output.dense", hidden, hidden)
        yield from layer_norm(f"{block}.attention.output.LayerNorm", hidden, "F32")
        yield from linear(f"{block}.intermediate.dense", d["inner"], hidden)
        yield from linear(f"{block}.output.dense", hidden, d["inner"])
        yield from layer_norm(f"{block}.output.LayerNorm", hidden, "F32")
    if pooler:
        yield from linear(f"{prefix}pooler.dense", hidden, hidden)
    if predictions:
        yield "cls.predictions.bias", "F32", (d["vocabulary"],)
        yield from linear("cls.predictions.transform.dense", hidden, hidden)
        yield from layer_norm("cls.predictions.transform.LayerNorm", hidden, "F32")


def vit(d):
    hidden, linear = d["hidden"], biased("F32")
    yield "embeddings.cls_token", "F32", (1, 1, hidden)
    yield "embeddings.position_embeddings", "F32", (1, d["positions"], hidden)
    yield "embeddings.patch_embeddings.projection.weight", "F32", (hidden, 3, d["patch"], d["patch"])
    yield "embeddings.patch_embeddings.projection.bias", "F32", (hidden,)
    for layer in range(d["layers"]):
        block = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            yield from linear(f"{block}.attention.attention.{part}", hidden, hidden)
        yield from linear(f"{block}.attention.output.dense", hidden, hidden)
        yield from linear(f"{block}.intermediate.dense", d["inner"], hidden)
        yield from linear(f"{block}.output.dense", hidden, d["inner"])
        yield from layer_norm(f"{block}.layernorm_before", hidden, "F32")
        yield from layer_norm(f"{block}.layernorm_after", hidden, "F32")
    yield from layer_norm("layernorm", hidden, "F32")
    yield from linear("pooler.dense", hidden, hidden)


def clip_tower(module, layers, hidden, inner):
    linear = biased("F32")
    for layer in range(layers):
        block = f"{module}.encoder.layers.{layer}"
        for part in ("k", "v", "q", "out"):
            yield from linear(f"{block}.self_attn.{part}_proj", hidden, hidden)
        yield from layer_norm(f"{block}.layer_norm1", hidden, "F32")
        yield from linear(f"{block}.mlp.fc1", inner, hidden)
        yield from linear(f"{block}.mlp.fc2", hidden, inner)
        yield from layer_norm(f"{block}.layer_norm2", hidden, "F32")


def clip(d):
    text, vision = d["hidden"], d["vision_hidden"]
    yield "logit_scale", "F32", ()
    yield "text_model.embeddings.token_embedding.weight", "F32", (d["vocabulary"], text)
    yield "text_model.embeddings.position_embedding.weight", "F32", (d["positions"], text)
    yield from clip_tower("text_model", d["layers"], text, 4 * text)
    yield from layer_norm("text_model.final_layer_norm", text, "F32")
    yield "vision_model.embeddings.class_embedding", "F32", (vision,)
    yield "vision_model.embeddings.patch_embedding.weight", "F32", (vision, 3, d["patch"], d["patch"])
    yield "vision_model.embeddings.position_embedding.weight", "F32", (d["vision_positions"], vision)
    yield from layer_norm("vision_model.pre_layrnorm", vision, "F32")  # so spelled
    yield from clip_tower("vision_model", d["vision_layers"], vision, 4 * vision)
    yield from layer_norm("vision_model.post_layernorm", vision, "F32")
    yield "visual_projection.weight", "F32", (text, vision)
    yield "text_projection.weight", "F32", (text, text)


def phi3(d):
    linear, head = plain, d["hidden"] // d["heads"]
    yield "model.embed_tokens.weight", "BF16", (d["vocabulary"], d["hidden"])
    for layer in range(d["layers"]):
        block = f"model.layers.{layer}"
        yield from linear(f"{block}.self_attn.o_proj", d["hidden"], d["heads"] * head)
        yield from linear(f"{block}.self_attn.qkv_proj", (d["heads"] + 2 * d["kv_heads"]) * head, d["hidden"])
        yield from linear(f"{block}.mlp.gate_up_proj", 2 * d["inner"], d["hidden"])
        yield from linear(f"{block}.mlp.down_proj", d["hidden"], d["inner"])
        yield f"{block}.input_layernorm.weight", "BF16", (d["hidden"],)
        yield f"{block}.post_attention_layernorm.weight", "BF16", (d["hidden"],)
    yield "model.norm.weight", "BF16", (d["hidden"],)
    yield "lm_head.weight", "BF16", (d["vocabulary"], d["hidden"])


def falcon(d, norms=("input_layernorm",)):
    linear, hidden = plain, d["hidden"]
    yield "transformer.word_embeddings.weight", "BF16", (d["vocabulary"], hidden)
    for layer in range(d["layers"]):
        block = f"transformer.h.{layer}"
        rows = (d["heads"] + 2 * d["kv_heads"]) * (hidden // d["heads"])
        yield from linear(f"{block}.self_attention.query_key_value", rows, hidden)
        yield from linear(f"{block}.self_attention.dense", hidden, hidden)
        yield from linear(f"{block}.mlp.dense_h_to_4h", 4 * hidden, hidden)
        yield from linear(f"{block}.mlp.dense_4h_to_h", hidden, 4 * hidden)
        for norm in norms:
            yield from layer_norm(f"{block}.{norm}", hidden, "BF16")
    yield from layer_norm("transformer.ln_f", hidden, "BF16")
    yield "lm_head.weight", "BF16", (d["vocabulary"], hidden)


def neox(d, buffers=False):
    linear, hidden = biased("F16"), d["hidden"]
    yield "gpt_neox.embed_in.weight", "F16", (d["vocabulary"], hidden)
    for layer in range(d["layers"]):
        block = f"gpt_neox.layers.{layer}"
        yield from linear(f"{block}.attention.query_key_value", 3 * hidden, hidden)
        yield from linear(f"{block}.attention.dense", hidden, hidden)
        if buffers:
            yield f"{block}.attention.bias", "BOOL", (1, 1, d["positions"], d["positions"])
            yield f"{block}.attention.masked_bias", "F32", ()
            yield f"{block}.attention.rotary_emb.inv_freq", "F32", (8,)
        yield from linear(f"{block}.mlp.dense_h_to_4h", 4 * hidden, hidden)
        yield from linear(f"{block}.mlp.dense_4h_to_h", hidden, 4 * hidden)
        yield from layer_norm(f"{block}.input_layernorm", hidden, "F16")
        yield from layer_norm(f"{block}.post_attention_layernorm", hidden, "F16")
    yield from layer_norm("gpt_neox.final_layer_norm", hidden, "F16")
    yield "embed_out.weight", "F16", (d["vocabulary"], hidden)


def llama4(d):
    linear, hidden = plain, d["hidden"]
    model = "language_model.model"
    yield f"{model}.embed_tokens.weight", "BF16", (d["vocabulary"], hidden)
    for layer in range(d["layers"]):
        block = f"{model}.layers.{layer}"
        # Experts × inputs × outputs.
        yield f"{block}.feed_forward.experts.gate_up_proj", "BF16", (d["experts"], hidden, 2 * d["inner"])
        yield f"{block}.feed_forward.experts.down_proj", "BF16", (d["experts"], d["inner"], hidden)
        yield from linear(f"{block}.feed_forward.router", d["experts"], hidden)
        yield from gated(f"{block}.feed_forward.shared_expert", d["inner"], hidden, linear)
        yield f"{block}.input_layernorm.weight", "BF16", (hidden,)
        yield f"{block}.post_attention_layernorm.weight", "BF16", (hidden,)
        yield from attention(d, f"{block}.self_attn", linear)
    yield f"{model}.norm.weight", "BF16", (hidden,)
    yield "language_model.lm_head.weight", "BF16", (d["vocabulary"], hidden)


def gpt_oss(d, packed=True):
    linear, hidden = biased("BF16"), d["hidden"]
    yield "model.embed_tokens.weight", "BF16", (d["vocabulary"], hidden)
    for layer in range(d["layers"]):
        block = f"model.layers.{layer}"
        experts = f"{block}.mlp.experts"
        yield f"{block}.self_attn.sinks", "BF16", (d["heads"],)
        yield from attention(d, f"{block}.self_attn", linear)
        yield from linear(f"{block}.mlp.router", d["experts"], hidden)
        for part, inputs, outputs in (("gate_up", hidden, 2 * d["inner"]), ("down", d["inner"], hidden)):
            if packed:
                yield f"{experts}.{part}_proj_blocks", "U8", (d["experts"], outputs, inputs // 32, 16)
                yield f"{experts}.{part}_proj_scales", "U8", (d["experts"], outputs, inputs // 32)
            else:
                yield f"{experts}.{part}_proj", "BF16", (d["experts"], inputs, outputs)
            yield f"{experts}.{part}_proj_bias", "BF16", (d["experts"], outputs)
        yield f"{block}.input_layernorm.weight", "BF16", (hidden,)
        yield f"{block}.post_attention_layernorm.weight", "BF16", (hidden,)
    yield "model.norm.weight", "BF16", (hidden,)
    yield "lm_head.weight", "BF16", (d["vocabulary"], hidden)


def convolution(module, outputs, inputs, size):
    yield f"{module}.weight", "F32", (outputs, inputs, size, size)
    yield f"{module}.bias", "F32", (outputs,)


def residual_block(module, inputs, outputs, time):
    yield from layer_norm(f"{module}.norm1", inputs, "F32")
    yield from convolution(f"{module}.conv1", outputs, inputs, 3)
    yield from biased("F32")(f"{module}.time_emb_proj", outputs, time)
    yield from layer_norm(f"{module}.norm2", outputs, "F32")
    yield from convolution(f"{module}.conv2", outputs, outputs, 3)
    if inputs != outputs:
        yield from convolution(f"{module}.conv_shortcut", outputs, inputs, 1)


def cross_attention(module, width, context):
    linear, block = biased("F32"), f"{module}.transformer_blocks.0"
    yield from layer_norm(f"{module}.norm", width, "F32")
    yield from convolution(f"{module}.proj_in", width, width, 1)
    for norm in (1, 2, 3):
        yield from layer_norm(f"{block}.norm{norm}", width, "F32")
    for attn, inputs in (("attn1", width), ("attn2", context)):
        yield f"{block}.{attn}.to_q.weight", "F32", (width, width)
        yield f"{block}.{attn}.to_k.weight", "F32", (width, inputs)
        yield f"{block}.{attn}.to_v.weight", "F32", (width, inputs)
        yield from linear(f"{block}.{attn}.to_out.0", width, width)
    yield from linear(f"{block}.ff.net.0.proj", 8 * width, width)
    yield from linear(f"{block}.ff.net.2", width, 4 * width)
    yield from convolution(f"{module}.proj_out", width, width, 1)


def unet(d):
    widths, context = d["widths"], d["context"]
    time, last = 4 * widths[0], len(widths) - 1
    yield from convolution("conv_in", widths[0], 4, 3)
    yield from biased("F32")("time_embedding.linear_1", time, widths[0])
    yield from biased("F32")("time_embedding.linear_2", time, time)
    inputs = widths[0]
    for i, width in enumerate(widths):
        for j in range(2):
            yield from residual_block(f"down_blocks.{i}.resnets.{j}", inputs, width, time)
            inputs = width
            if i < last:
                yield from cross_attention(f"down_blocks.{i}.attentions.{j}", width, context)
        if i < last:
            yield from convolution(f"down_blocks.{i}.downsamplers.0.conv", width, width, 3)
    yield from cross_attention("mid_block.attentions.0", widths[-1], context)
    for j in range(2):
        yield from residual_block(f"mid_block.resnets.{j}", widths[-1], widths[-1], time)
    upward = widths[::-1]
    for i, width in enumerate(upward):
        for j in range(3):
            before = upward[max(i - 1, 0)] if j == 0 else width
            beside = upward[min(i + 1, last)] if j == 2 else width
            yield from residual_block(f"up_blocks.{i}.resnets.{j}", before + beside, width, time)
            if i > 0:
                yield from cross_attention(f"up_blocks.{i}.attentions.{j}", width, context)
        if i < last:
            yield from convolution(f"up_blocks.{i}.upsamplers.0.conv", width, width, 3)
    yield from layer_norm("conv_norm_out", widths[0], "F32")
    yield from convolution("conv_out", 4, widths[0], 3)


# Layouts ----------------------------------------------------------------------------------------------------------------------------


@dataclass
class Layout:
    """A model's tensors. `full` is None where no list of a published model stands behind it."""

    pattern: object
    full: dict | None
    small: dict
    config: dict = field(default_factory=dict)
    file: str = "model"  # of the weights, without its extension
    config_file: str = "config.json"
    refused: str | None = None  # what `mask` must say of it

    def tensors(self, dimensions):
        return list(self.pattern(dimensions))

    def small_config(self):
        """config.json of the small checkpoint."""
        return {theirs: self.small[key] for key, theirs in CONFIG_KEYS.items() if key in self.small} | self.config


CONFIG_KEYS = {
    "layers": "num_hidden_layers", "hidden": "hidden_size", "inner": "intermediate_size", "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads", "head": "head_dim", "vocabulary": "vocab_size", "positions": "max_position_embeddings",
}  # fmt: skip


def dims(layers, hidden, inner, heads, kv_heads, vocabulary, **others):
    return {
        "layers": layers, "hidden": hidden, "inner": inner, "heads": heads, "kv_heads": kv_heads, "vocabulary": vocabulary, **others,
    }  # fmt: skip


LLAMA = {"model_type": "llama", "tie_word_embeddings": False}
LLAMA_8B = dims(32, 4096, 14336, 32, 8, 128256)
SMALL_LLAMA = dims(2, 128, 344, 8, 2, 500)
SMALL_QUANTIZED = dims(2, 256, 384, 8, 4, 300)


def quantized(linear, method, refused=None, **config):
    """Llama 8B after `method`."""
    return Layout(
        lambda d: llama(d, linear), LLAMA_8B, SMALL_QUANTIZED,
        LLAMA | {"quantization_config": {"quant_method": method, **config}}, refused=refused,
    )  # fmt: skip


def lora(d):
    return (entry for entry in llama(d, adapter(d["rank"])) if ".lora_" in entry[0])


GPTQ_CONFIG = {"bits": 4, "group_size": 128}
GPT_OSS = {"model_type": "gpt_oss", "tie_word_embeddings": False}
FALCON = {"model_type": "falcon", "parallel_attn": True, "bias": False, "alibi": False, "tie_word_embeddings": False}

LAYOUTS = {
    "Llama-3.1-8B": Layout(llama, LLAMA_8B, SMALL_LLAMA, LLAMA),
    "Llama-3-70B": Layout(llama, dims(80, 8192, 28672, 64, 8, 128256), dims(3, 128, 448, 8, 1, 500), LLAMA),
    "Llama-3.1-405B": Layout(llama, dims(126, 16384, 53248, 128, 8, 128256), dims(4, 128, 416, 16, 1, 500), LLAMA),
    "Llama-3.1-405B-mp16-kv16": Layout(llama, dims(126, 16384, 53248, 128, 16, 128256), dims(4, 128, 416, 16, 2, 500), LLAMA),
    "Qwen2.5-72B": Layout(
        lambda d: llama(d, bias=biased("BF16")), dims(80, 8192, 29568, 64, 8, 152064), dims(3, 128, 462, 8, 1, 600),
        {"model_type": "qwen2", "tie_word_embeddings": False},
    ),
    "Mixtral-8x22B-v0.1": Layout(
        mixtral, dims(56, 6144, 16384, 48, 8, 32000, experts=8), dims(2, 96, 256, 6, 1, 320, experts=8),
        {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2, "tie_word_embeddings": False},
    ),
    "Mixtral-8x22B-Instruct-v0.1": Layout(
        mixtral, dims(56, 6144, 16384, 48, 8, 32768, experts=8), dims(1, 96, 256, 6, 1, 327, experts=8),
        {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2, "tie_word_embeddings": False},
    ),
    "DeepSeek-V3": Layout(
        deepseek,
        dims(
            61, 7168, 18432, 128, 128, 129280, expert_inner=2048, experts=256, dense=3, q_rank=1536, kv_rank=512, nope=128, rope=64,
            value=128,
        ),
        dims(2, 192, 320, 8, 8, 256, expert_inner=136, experts=4, dense=1, q_rank=144, kv_rank=128, nope=16, rope=32, value=16),
        {
            "model_type": "deepseek_v3", "moe_intermediate_size": 136, "n_routed_experts": 4, "n_shared_experts": 1, "q_lora_rank": 144,
            "kv_lora_rank": 128, "qk_rope_head_dim": 32, "qk_nope_head_dim": 16, "v_head_dim": 16, "first_k_dense_replace": 1,
            "num_nextn_predict_layers": 1, "tie_word_embeddings": False,
            "quantization_config": {
                "quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128], "activation_scheme": "dynamic",
            },
        },
    ),
    "gpt2": Layout(
        gpt2, dict(layers=12, hidden=768, vocabulary=50257, positions=1024), dict(layers=2, hidden=96, vocabulary=400, positions=32),
        {"model_type": "gpt2", "n_embd": 96, "n_head": 6, "n_layer": 2, "n_positions": 32},
    ),
    "bert-base-uncased": Layout(
        lambda d: bert(d, "bert.", predictions=True),
        dict(layers=12, hidden=768, inner=3072, heads=12, vocabulary=30522, positions=512),
        dict(layers=2, hidden=96, inner=384, heads=6, vocabulary=500, positions=64), {"model_type": "bert"},
    ),
    "all-MiniLM-L6-v2": Layout(
        lambda d: bert(d, pooler=True), dict(layers=6, hidden=384, inner=1536, heads=12, vocabulary=30522, positions=512),
        dict(layers=2, hidden=96, inner=384, heads=6, vocabulary=500, positions=64), {"model_type": "bert"},
    ),
    "vit-base-patch16-224": Layout(
        vit, dict(layers=12, hidden=768, inner=3072, heads=12, positions=197, patch=16),
        dict(layers=2, hidden=96, inner=384, heads=6, positions=17, patch=4), {"model_type": "vit", "patch_size": 4, "image_size": 16},
    ),
    "clip-vit-large-patch14": Layout(
        clip,
        dict(layers=12, hidden=768, vocabulary=49408, positions=77, vision_layers=24, vision_hidden=1024, vision_positions=257, patch=14),
        dict(layers=2, hidden=64, vocabulary=300, positions=16, vision_layers=3, vision_hidden=96, vision_positions=17, patch=4),
        {"model_type": "clip", "projection_dim": 64},
    ),
    "Phi-3-mini-4k": Layout(
        phi3, dims(32, 3072, 8192, 32, 32, 32064), dims(2, 128, 336, 8, 2, 500), {"model_type": "phi3", "tie_word_embeddings": False},
    ),
    "falcon-7b": Layout(
        falcon, dims(32, 4544, 4 * 4544, 71, 1, 65024), dims(2, 112, 448, 7, 1, 500),
        FALCON | {"multi_query": True, "new_decoder_architecture": False},
    ),
    "gpt-neox-20b": Layout(
        neox, dims(44, 6144, 24576, 64, 64, 50432), dims(2, 96, 384, 6, 6, 500),
        {"model_type": "gpt_neox", "tie_word_embeddings": False},
    ),
    "gemma-2-9b": Layout(
        gemma2, dims(42, 3584, 14336, 16, 8, 256000, head=256), dims(2, 112, 448, 4, 2, 500, head=32), {"model_type": "gemma2"},
    ),
    "Mistral-7B-v0.1": Layout(
        llama, dims(32, 4096, 14336, 32, 8, 32000), SMALL_LLAMA, {"model_type": "mistral", "tie_word_embeddings": False},
    ),
    "TinyLlama-1.1B": Layout(llama, dims(22, 2048, 5632, 32, 4, 32000), dims(2, 128, 352, 8, 1, 400), LLAMA),
    "Llama-3.2-1B (tied)": Layout(
        lambda d: llama(d, head=False), dims(16, 2048, 8192, 32, 8, 128256), SMALL_LLAMA,
        {"model_type": "llama", "tie_word_embeddings": True},
    ),
    "Llama-4-Scout-17B-16E (text)": Layout(
        llama4, dims(48, 5120, 8192, 40, 8, 202048, experts=16), dims(2, 96, 80, 6, 2, 400, experts=3),
        {"model_type": "llama4_text", "num_local_experts": 3, "tie_word_embeddings": False},
    ),
    "gpt-oss-20b": Layout(
        gpt_oss, dims(24, 2880, 2880, 64, 8, 201088, head=64, experts=32), dims(2, 96, 64, 4, 2, 400, head=32, experts=4),
        GPT_OSS | {"num_local_experts": 4, "quantization_config": {"quant_method": "mxfp4"}}, refused="mxfp4",
    ),
    "gpt-oss-120b": Layout(
        gpt_oss, dims(36, 2880, 2880, 64, 8, 201088, head=64, experts=128), dims(1, 96, 64, 4, 2, 400, head=32, experts=8),
        GPT_OSS | {"num_local_experts": 8, "quantization_config": {"quant_method": "mxfp4"}}, refused="mxfp4",
    ),
    "Llama-3.1-8B gptq": quantized(gptq, "gptq", "GPTQ", **GPTQ_CONFIG),
    "Llama-3.1-8B awq": quantized(awq, "awq", "AWQ", version="gemm", **GPTQ_CONFIG),
    "Llama-3.1-8B bnb4": quantized(bnb4, "bitsandbytes", "bitsandbytes", load_in_4bit=True, bnb_4bit_quant_type="nf4"),
    "Llama-3.1-8B bnb8": quantized(bnb8, "bitsandbytes", "bitsandbytes", load_in_8bit=True),
    "Llama-3.1-8B ct_fp8": quantized(row_scaled, "compressed-tensors", format="float-quantized"),
    "Llama-3.1-8B ct_w4a16": quantized(packed_4bit, "compressed-tensors", "compressed-tensors", format="pack-quantized"),
    "Llama-3.1-8B nvfp4": quantized(packed_nvfp4, "compressed-tensors", "compressed-tensors", format="nvfp4-pack-quantized"),
    "Llama-3.1-8B LoRA r16 (all-linear)": Layout(
        lora, LLAMA_8B | {"rank": 16}, SMALL_QUANTIZED | {"rank": 8}, {"peft_type": "LORA", "r": 8}, "adapter_model",
        "adapter_config.json", "LoRA",
    ),
    "stable-diffusion-v1-5 unet": Layout(
        unet, dict(widths=(320, 640, 1280, 1280), context=768), dict(widths=(16, 24, 32, 32), context=40),
        {"_class_name": "UNet2DConditionModel"}, "diffusion_pytorch_model",
    ),
    # Of these there is no published list here, but they are common.
    "all-MiniLM-L6-v2 (position_ids)": Layout(
        lambda d: bert(d, pooler=True, position_ids=True), None,
        dict(layers=1, hidden=96, inner=384, heads=6, vocabulary=500, positions=64), {"model_type": "bert"},
    ),
    "gpt-neox-20b (buffers)": Layout(
        lambda d: neox(d, buffers=True), None, dims(1, 96, 384, 6, 6, 500, positions=16),
        {"model_type": "gpt_neox", "tie_word_embeddings": False},
    ),
    "falcon-40b": Layout(
        lambda d: falcon(d, ("ln_attn", "ln_mlp")), None, dims(2, 128, 512, 16, 4, 500),
        FALCON | {"new_decoder_architecture": True, "num_kv_heads": 4, "multi_query": True},
    ),
    "gpt-oss (BF16)": Layout(
        lambda d: gpt_oss(d, packed=False), None, dims(2, 96, 64, 4, 2, 400, head=32, experts=3), GPT_OSS | {"num_local_experts": 3},
    ),
    "Llama per-tensor fp8": Layout(
        lambda d: llama(d, tensor_scaled("F8_E4M3")), None, SMALL_LLAMA, LLAMA | {"quantization_config": {"quant_method": "fp8"}},
    ),
    "Llama per-tensor fp8 e5m2": Layout(
        lambda d: llama(d, tensor_scaled("F8_E5M2")), None, SMALL_LLAMA, LLAMA | {"quantization_config": {"quant_method": "fp8"}},
    ),
    "Llama ModelOpt nvfp4": Layout(
        lambda d: llama(d, modelopt_nvfp4), None, SMALL_QUANTIZED,
        LLAMA | {"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4"}}, refused="ModelOpt",
    ),
}  # fmt: skip


# Values -----------------------------------------------------------------------------------------------------------------------------


def eight_bit_values(dtype):
    """What the 256 codes of an 8-bit floating point type stand for, by its definition; NaN and infinities as such."""
    exponent_bits, bias = {"F8_E4M3": (4, 7), "F8_E5M2": (5, 15)}[dtype]
    mantissa_bits = 7 - exponent_bits
    values = np.empty(256)
    for code in range(256):
        exponent, mantissa = code >> mantissa_bits & (1 << exponent_bits) - 1, code & (1 << mantissa_bits) - 1
        fraction = mantissa / (1 << mantissa_bits)
        value = (1 + fraction) * 2.0 ** (exponent - bias) if exponent else fraction * 2.0 ** (1 - bias)
        if dtype == "F8_E4M3" and code & 0x7F == 0x7F:
            value = math.nan
        if dtype == "F8_E5M2" and exponent == 31:
            value = math.inf if mantissa == 0 else math.nan
        values[code] = -value if code & 0x80 else value
    return values


def eight_bit_codes(array, dtype):
    """The nearest code of every number; numbers beyond the largest become the largest."""
    values = eight_bit_values(dtype)
    finite = np.flatnonzero(np.isfinite(values))
    order = finite[np.argsort(values[finite], kind="stable")]
    middles = (values[order][1:] + values[order][:-1]) / 2
    return order[np.searchsorted(middles, array)].astype(np.uint8)


def scale_grid(scale, shape):
    """A stored scale, spread over the weights it belongs to: one number, one a row, or one a block."""
    if scale.size == 1:
        return np.broadcast_to(scale.reshape(1, 1), shape)
    if scale.shape == (shape[0], 1):
        return np.broadcast_to(scale, shape)
    return np.repeat(np.repeat(scale, BLOCK, axis=0), BLOCK, axis=1)[: shape[0], : shape[1]]


def quantize(weights, dtype, scale_dtype, scale_shape):
    """(codes, scale, the scale as stored) such that the largest weight of every piece has the largest code."""
    largest = np.nanmax(np.where(np.isfinite(eight_bit_values(dtype)), eight_bit_values(dtype), np.nan))
    if math.prod(scale_shape) == 1:
        peaks = np.abs(weights).max().reshape(scale_shape)
    elif scale_shape == (weights.shape[0], 1):
        peaks = np.abs(weights).max(axis=1, keepdims=True)
    else:
        peaks = np.array([
            [np.abs(weights[i : i + BLOCK, j : j + BLOCK]).max() for j in range(0, weights.shape[1], BLOCK)]
            for i in range(0, weights.shape[0], BLOCK)
        ])  # fmt: skip
    # Room for a scale that is rounded down.
    stored = checkpoints.encode(peaks / largest * (1 + 2**-7), scale_dtype)
    scale = decoded(*stored)
    codes = eight_bit_codes(weights / scale_grid(scale, weights.shape), dtype)
    return (dtype, weights.shape, codes.tobytes()), stored


def decoded(dtype, shape, raw):
    """The numbers that a stored tensor stands for, without its scale, in float64."""
    if dtype.startswith("F8_E"):
        return eight_bit_values(dtype)[np.frombuffer(raw, np.uint8)].reshape(shape)
    if dtype == "BF16":
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32).astype(np.float64).reshape(shape)
    return np.frombuffer(raw, {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[dtype]).astype(np.float64).reshape(shape)


def realistic(generator, shape):
    """Trained-looking matrices in the last two dimensions; convolutions as outputs × everything else."""
    if len(shape) < 2:
        return 1 + 0.1 * generator.standard_normal(shape)
    if len(shape) == 2:
        return checkpoints.trained(generator, *shape)
    if len(shape) == 4:
        return checkpoints.trained(generator, shape[0], math.prod(shape[1:])).reshape(shape)
    return np.stack([realistic(generator, shape[1:]) for _ in range(shape[0])])


INTEGERS = {"I64": "<i8", "I32": "<i4", "U8": "u1", "I8": "i1", "BOOL": "u1"}


def stored_tensors(entries, seed=0):
    """name → (dtype, shape, bytes) with values for `entries`; an 8-bit weight and its scale belong together."""
    generator = np.random.default_rng(seed)
    listed = {name: (dtype, shape) for name, dtype, shape in entries}
    made = {}
    for name, (dtype, shape) in listed.items():
        if name in made:
            continue
        if dtype in INTEGERS:
            values = generator.integers(0, 2 if dtype == "BOOL" else 100, shape)
            made[name] = dtype, shape, np.asarray(values).astype(INTEGERS[dtype]).tobytes()
        elif dtype.startswith("F8_E"):
            weights = realistic(generator, shape)
            for suffix in ("_scale_inv", "_scale"):
                if name + suffix in listed:
                    made[name], made[name + suffix] = quantize(weights, dtype, *listed[name + suffix])
                    break
            else:
                made[name] = dtype, shape, eight_bit_codes(np.abs(weights) * 100, dtype).tobytes()
        else:
            made[name] = checkpoints.encode(realistic(generator, shape), dtype)
    return {name: made[name] for name in listed}


def write_tensors(folder, tensors, config=None, shards=3, file="model", config_file="config.json"):
    """`shards` files with an index, one file if 1. Three tensors in a row go to one shard and the next three to another, so that
    some 8-bit weights have their scale beside them and some have it in another file."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if config is not None:
        (folder / config_file).write_text(json.dumps(config, indent=2))
    if shards == 1:
        (folder / f"{file}.safetensors").write_bytes(checkpoints.safetensors_bytes(tensors, {"format": "pt"}))
        return folder
    weight_map = {}
    for number in range(shards):
        part = {name: tensor for i, (name, tensor) in enumerate(tensors.items()) if i // 3 % shards == number}
        name = f"{file}-{number + 1:05d}-of-{shards:05d}.safetensors"
        (folder / name).write_bytes(checkpoints.safetensors_bytes(part, {"format": "pt"}))
        weight_map.update(dict.fromkeys(part, name))
    checkpoints.write_index(folder, weight_map, sum(len(raw) for _, _, raw in tensors.values()))
    return folder


def write_layout(folder, name, seed=0):
    """The small checkpoint of a layout, and its tensors."""
    layout = LAYOUTS[name]
    tensors = stored_tensors(layout.tensors(layout.small), seed)
    shards = 3 if layout.file == "model" else 1
    write_tensors(folder, tensors, layout.small_config(), shards, layout.file, layout.config_file)
    return tensors


def compare(files):
    """Every layout at full size beside the list of the model's own tensors; the number of those that differ."""
    listed = {}
    for file in files:
        with gzip.open(file) as stream:
            listed |= json.load(stream)
    bad = 0
    for name, model in listed.items():
        theirs = Counter((tensor, dtype, tuple(shape)) for tensor, shape, dtype in model["tensors"])
        ours = Counter(LAYOUTS[name].tensors(LAYOUTS[name].full)) if name in LAYOUTS else Counter()
        small = {(tensor, dtype, len(shape)) for tensor, dtype, shape in LAYOUTS[name].tensors(LAYOUTS[name].small)}
        unknown = sorted(set(map(generic, small)) ^ {generic((tensor, dtype, len(shape))) for tensor, dtype, shape in theirs})
        bad += ours != theirs or unknown != []
        print(f"{name}: {len(theirs)} tensors", "equal" if ours == theirs else "DIFFER", *list((ours - theirs) + (theirs - ours))[:4])
        if unknown:
            print("  only in one of the small and the full layout:", unknown[:6])
    print(f"{len(listed)} models, {bad} differ; without a list: {sorted(set(LAYOUTS) - set(listed))}")
    return bad


def generic(entry):
    """A tensor's name with layers and experts of any number."""
    name, dtype, rank = entry
    return ".".join("#" if part.isdigit() else part for part in name.split(".")), dtype, rank


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compare", nargs="+", metavar="FILE")
    parser.add_argument("--write", nargs=2, metavar=("LAYOUT", "FOLDER"))
    arguments = parser.parse_args()
    if arguments.write:
        write_layout(arguments.write[1], arguments.write[0])
    if arguments.compare:
        sys.exit(1 if compare(arguments.compare) else 0)
