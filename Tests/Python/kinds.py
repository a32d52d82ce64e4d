#!/usr/bin/env python3
"""Kinds of checkpoints that lists of names do not foresee, and the class that every tensor should have.

A kind is a config.json and lines of the form `NAME DTYPE SHAPE CLASS`, where NAME may hold `{a,b}` for several names and `{0..3}` for
numbers, SHAPE is like 64x32 or `-` for a scalar, and CLASS is

  matrix, dequantized, conv      one matrix
  stack:E                        a matrix for each of E experts
  skipped:REASON, refused:TEXT   left out; the reason, or a pattern of what the refusal says

  Tests/Python/kinds.py KIND FOLDER      writes the kind with zeros for weights, as a sparse file
"""

import itertools
import json
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path

BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I64": 64, "I32": 32, "I16": 16, "U16": 16}
BITS |= {"I8": 8, "U8": 8, "BOOL": 8, "U32": 32, "F4": 4}


@dataclass
class Kind:
    lines: str
    config: dict | None = None
    file: str = "model.safetensors"
    beside: dict | None = None  # further files: name → JSON
    metadata: dict | None = None
    options: tuple = ()

    @property
    def tensors(self):
        """[(name, dtype, shape, class)], names unique."""
        found = []
        for line in filter(str.strip, self.lines.splitlines()):
            pattern, dtype, shape, wanted = line.split(maxsplit=3)
            sizes = () if shape == "-" else tuple(int(size) for size in shape.split("x"))
            found += [(name, dtype, sizes, wanted) for name in expand(pattern)]
        assert len({name for name, *_ in found}) == len(found)
        return found

    def write(self, folder):
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_sparse(folder / self.file, [(name, dtype, shape) for name, dtype, shape, _ in self.tensors], self.metadata)
        for name, content in (({"config.json": self.config} if self.config is not None else {}) | (self.beside or {})).items():
            (folder / name).write_text(json.dumps(content))
        return folder


def write_sparse(path, tensors, metadata=None):
    """A safetensors file of (name, dtype, shape) with zeros for weights, which take no space on the disk."""
    header, position = {"__metadata__": metadata} if metadata else {}, 0
    for name, dtype, shape in tensors:
        end = position + math.prod(shape) * BITS[dtype] // 8
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header).encode()
    with Path(path).open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.truncate(8 + len(text) + position)


def expand(pattern):
    """All names that a pattern with braces stands for."""
    pieces = re.split(r"(\{[^}]*\})", pattern)
    choices = []
    for piece in pieces:
        if not piece.startswith("{"):
            choices.append([piece])
        elif ".." in piece:
            first, last = piece[1:-1].split("..")
            choices.append([str(i) for i in range(int(first), int(last) + 1)])
        else:
            choices.append(piece[1:-1].split(","))
    return ["".join(choice) for choice in itertools.product(*choices)]


# A decoder's attention, to stand beside what a kind is about.
ATTENTION = "model.layers.{0..1}.self_attn.{q,k,v,o}_proj.weight BF16 64x64 matrix\n"
NORMS = "model.layers.{0..1}.input_layernorm.weight BF16 64 skipped:vector\n"
MLP = """model.layers.{0..1}.mlp.{gate,up}_proj.weight BF16 160x64 matrix
model.layers.{0..1}.mlp.down_proj.weight BF16 64x160 matrix
"""
TOKENS = "model.embed_tokens.weight BF16 500x64 skipped:embedding\n"
DECODER = TOKENS + NORMS + ATTENTION


KINDS = {
    # Tables and heads ---------------------------------------------------------------------------------------------------------------
    "tables of other names": Kind(
        """
        net.lookup.weight BF16 777x64 skipped:embedding
        net.unembed.weight BF16 777x64 skipped:output head
        net.blocks.{0..2}.mix.weight BF16 64x64 matrix
        net.blocks.{0..2}.widen.weight BF16 192x64 matrix
        """,
        {"n_vocab": 777, "d_model": 64},
    ),
    "tables without a config": Kind(
        """
        emb.weight BF16 4000x64 skipped:embedding
        head.weight BF16 4000x64 skipped:output head
        blocks.{0..1}.att.{key,value,receptance,gate,output}.weight BF16 64x64 matrix
        blocks.{0..1}.ffn.key.weight BF16 224x64 matrix
        blocks.{0..1}.ffn.value.weight BF16 64x224 matrix
        blocks.{0..1}.att.time_mix_k BF16 1x1x64 skipped:vector
        """,
    ),
    "a vocabulary as large as the width": Kind(
        """
        byte_model.embed_tokens.weight BF16 256x256 skipped:embedding
        byte_model.layers.{0..1}.attn.{q,k,v,o}.weight BF16 256x256 matrix
        byte_model.project.weight BF16 256x256 matrix
        """,
        {"vocab_size": 256, "hidden_size": 256},
    ),
    "a vocabulary as large as a projection": Kind(
        """
        model.embed_tokens.weight BF16 256x64 skipped:embedding
        model.layers.{0..1}.self_attn.q_proj.weight BF16 256x64 matrix
        model.layers.{0..1}.self_attn.o_proj.weight BF16 64x256 matrix
        """,
        {"vocab_size": 256, "hidden_size": 64},
    ),
    "several codebooks": Kind(
        """
        decoder.embed_tokens.{0..3}.weight F32 333x64 skipped:embedding
        lm_heads.{0..3}.weight F32 333x64 skipped:output head
        decoder.layers.{0..1}.self_attn.{q,k,v,out}_proj.weight F32 64x64 matrix
        decoder.layers.{0..1}.fc1.weight F32 256x64 matrix
        """,
        {"decoder": {"vocab_size": 333, "hidden_size": 64}},
    ),
    "an embedding of another width": Kind(
        """
        encoder.embeddings.word_embeddings.weight F32 900x16 skipped:embedding
        encoder.embedding_hidden_mapping_in.weight F32 64x16 matrix
        encoder.groups.0.layers.0.attention.{query,key,value,dense}.weight F32 64x64 matrix
        """,
        {"vocab_size": 900, "embedding_size": 16, "hidden_size": 64},
    ),
    "embeddings by the name of their module": Kind(
        DECODER
        + """
        model.encoder.rel_embeddings.weight BF16 40x64 skipped:embedding
        model.speaker_embed.weight BF16 7x64 skipped:embedding
        model.context_embedding.weight BF16 64x96 matrix
        model.context_embedding.bias BF16 64 skipped:bias
        model.context_embedder.weight BF16 64x96 matrix
        """,
    ),
    "positions": Kind(
        """
        model.decoder.embed_positions.weight F16 130x64 skipped:embedding
        model.positions_table F16 128x64 skipped:embedding
        visual.positional_embedding F16 50x64 skipped:embedding
        visual.class_embedding F16 64 skipped:vector
        visual.proj F16 64x32 matrix
        text_projection F16 64x32 matrix
        model.layers.{0..1}.attn.causal F32 128x128 skipped:constant
        model.layers.{0..1}.attn.in_proj_weight F16 192x64 matrix
        model.query_tokens F16 32x64 skipped:embedding
        """,
        {"max_position_embeddings": 128, "hidden_size": 64},
    ),
    "projections of positions": Kind(
        DECODER
        + """
        model.layers.{0..1}.pos_ffn.w_1.weight BF16 128x64 matrix
        model.layers.{0..1}.pos_ffn.w_2.weight BF16 64x128 matrix
        model.layers.{0..1}.self_attn.linear_pos.weight BF16 64x64 matrix
        model.layers.{0..1}.self_attn.pos_k_proj.weight BF16 64x64 matrix
        model.layers.{0..1}.self_attn.position_bias.weight BF16 40x6 skipped:embedding
        model.encoder.pos_emb.weight BF16 128x64 skipped:embedding
        """,
        {"max_position_embeddings": 128, "hidden_size": 64},
    ),
    "projections between the parts of a model": Kind(
        DECODER
        + """
        model.aligner.vision_proj.weight BF16 128x48 matrix
        model.aligner.vision_proj.bias BF16 128 skipped:bias
        model.connector.modality_projection.weight BF16 64x768 matrix
        model.vision_tower.head.attention.in_proj_weight BF16 144x48 matrix
        model.vision_tower.head.mlp.fc1.weight BF16 192x48 matrix
        model.vision_tower.head.mlp.fc2.weight BF16 48x192 matrix
        """,
        {"vocab_size": 500, "hidden_size": 64, "max_position_embeddings": 128},
    ),
    "a small vocabulary of another part": Kind(
        DECODER
        + """
        model.audio.project.weight BF16 96x40 matrix
        model.audio.codes.weight BF16 96x64 skipped:embedding
        model.audio.embed.weight BF16 96x40 skipped:embedding
        """,
        {"vocab_size": 500, "hidden_size": 64, "audio_config": {"vocab_size": 96}},
    ),
    "as many positions as the width": Kind(
        """
        model.layers.{0..1}.self_attn.{q,k,v,o}_proj.weight BF16 128x128 matrix
        model.pool.weight BF16 128x64 matrix
        """,
        {"max_position_embeddings": 128, "hidden_size": 128},
    ),
    "numbers of heads": Kind(
        """
        stages.0.units.{0..1}.attn.{q,k,v,proj}.weight F32 48x48 matrix
        stages.0.units.{0..1}.attn.bias_table F32 169x3 skipped:numbers of heads
        stages.0.units.{0..1}.attn.bias_index I64 49x49 skipped:I64 is not a weight type
        stages.0.units.{0..1}.attn.decay F32 3x16 skipped:numbers of heads
        """,
        {"num_heads": [3], "embed_dim": 48},
    ),
    "a chain before the labels": Kind(
        """
        roberta.encoder.layer.{0..1}.attention.self.{query,key,value}.weight F32 64x64 matrix
        classifier.dense.weight F32 64x64 matrix
        classifier.out_proj.weight F32 5x64 skipped:output head
        lm_head.dense.weight F32 64x64 matrix
        """,
        {"hidden_size": 64},
    ),
    "a chain that narrows": Kind(
        """
        backbone.layers.{0..1}.mix.weight F32 64x64 matrix
        score.0.weight F32 32x64 matrix
        score.3.weight F32 3x32 skipped:output head
        reward_head.weight F32 1x64 skipped:output head
        """,
    ),
    "labels by their number": Kind(
        """
        backbone.layers.{0..1}.{mix,turn}.weight F32 64x64 matrix
        backbone.fc.weight F32 17x64 skipped:output head
        qa_outputs.weight F32 2x64 skipped:output head
        """,
        {"id2label": {str(i): str(i) for i in range(17)}},
    ),
    # Routers and experts ------------------------------------------------------------------------------------------------------------
    "routers a level deeper": Kind(
        DECODER
        + """
        model.layers.{0..1}.moe.gate_network.linear.weight BF16 6x64 skipped:expert router
        model.layers.{0..1}.moe.experts.{0..5}.{w1,w3}.weight BF16 48x64 matrix
        model.layers.{0..1}.moe.experts.{0..5}.w2.weight BF16 64x48 matrix
        """,
    ),
    "a router beside the feed-forward": Kind(
        DECODER
        + MLP
        + """
        model.layers.{0..1}.router.proj.weight BF16 6x64 skipped:expert router
        model.layers.{0..1}.moe.experts.{0..5}.w1.weight BF16 48x64 matrix
        """,
    ),
    "a router without a telling name": Kind(
        DECODER
        + """
        model.layers.{0..1}.ffn.pick.weight BF16 6x64 skipped:expert router
        model.layers.{0..1}.ffn.experts.{0..5}.up.weight BF16 48x64 matrix
        """,
    ),
    "as many keys as experts": Kind(
        TOKENS
        + """
        model.layers.{0..1}.self_attn.{q,o}_proj.weight BF16 64x64 matrix
        model.layers.{0..1}.self_attn.{k,v}_proj.weight BF16 16x64 matrix
        model.layers.{0..1}.mlp.gate.weight BF16 16x64 skipped:expert router
        model.layers.{0..1}.mlp.experts.{0..15}.up_proj.weight BF16 48x64 matrix
        model.layers.{0..1}.mlp.shared_expert.up_proj.weight BF16 96x64 matrix
        model.layers.{0..1}.mlp.shared_expert_gate.weight BF16 1x64 skipped:expert router
        """,
        {"num_experts": 16},
    ),
    "more choices than experts": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.router.classifier.weight F32 12x64 skipped:expert router
        model.layers.{0..1}.mlp.experts.{0..7}.up_proj.weight BF16 48x64 matrix
        """,
        {"n_routed_experts": 8, "zero_expert_num": 4},
    ),
    "gates that are projections": Kind(
        """
        net.blocks.{0..1}.attention.{key,gate}.weight BF16 64x64 matrix
        net.blocks.{0..1}.mix.gate.weight BF16 160x64 matrix
        net.blocks.{0..1}.narrow_gate.weight BF16 16x64 matrix
        """,
    ),
    "stacks of other names": Kind(
        DECODER
        + """
        model.layers.{0..1}.block_moe.wi.weight BF16 6x96x64 stack:6
        model.layers.{0..1}.block_moe.wo.weight BF16 6x64x48 stack:6
        model.layers.{0..1}.block_moe.pick.weight BF16 6x64 skipped:expert router
        """,
        {"moe_num_experts": 6},
    ),
    "stacks without a config": Kind(
        DECODER
        + """
        model.layers.{0..1}.mixture.wi BF16 6x96x64 stack:6
        model.layers.{0..1}.mixture.wo BF16 6x48x64 stack:6
        model.layers.{0..1}.mixture.router.weight BF16 6x64 skipped:expert router
        """,
    ),
    "a kernel as long as the experts": Kind(
        DECODER
        + MLP
        + """
        model.layers.{0..1}.mixer.conv1d.weight BF16 8x1x4 skipped:rank 3
        """,
        {"num_experts": 8},
    ),
    "experts one below the other": Kind(
        TOKENS
        + """
        model.blocks.{0..1}.input_layernorm.weight BF16 64 skipped:vector
        model.blocks.{0..1}.self_attn.{q,k,v,o}_proj.weight BF16 64x64 matrix
        model.blocks.{0..1}.ffn.experts.mlp.{w1,v1,w2} BF16 192x64 stack:4
        model.blocks.{0..1}.ffn.router.layer.weight BF16 4x64 skipped:expert router
        model.blocks.{0..1}.ffn.experts.mlp.bias_rows BF16 4x64 skipped:bias
        """,
        {"ffn_config": {"moe_num_experts": 4}, "d_model": 64},
    ),
    "experts side by side": Kind(
        DECODER
        + """
        model.layers.{0..1}.ffn.experts.w1 BF16 64x192 refused:side by side
        model.layers.{0..1}.ffn.router.weight BF16 4x64 skipped:expert router
        """,
        {"num_local_experts": 4, "hidden_size": 64},
    ),
    "experts of unknown number": Kind(
        DECODER
        + """
        model.layers.{0..1}.ffn.experts.w1 BF16 190x64 refused:nothing tells how many
        """,
    ),
    "a model called an expert": Kind(
        """
        vla.gemma_expert.model.layers.{0..1}.self_attn.{q,k,v,o}_proj.weight BF16 64x64 matrix
        vla.action_expert.out.weight BF16 32x64 matrix
        """,
    ),
    "experts below experts": Kind(
        """
        transformer.h.{0..1}.mlp.deep_moe.experts.deep_experts.{0..3}.up.weight BF16 128x64 matrix
        transformer.h.{0..1}.mlp.deep_moe.gate.wg.weight F32 4x64 skipped:expert router
        transformer.h.{0..1}.attn.{q,k,v,o}.weight BF16 64x64 matrix
        """,
    ),
    "experts by numbered names": Kind(
        """
        encoder.block.{0..1}.layer.0.SelfAttention.{q,k,v,o}.weight BF16 64x64 matrix
        encoder.block.{0..1}.layer.1.mlp.router.classifier.weight BF16 4x64 skipped:expert router
        encoder.block.{0..1}.layer.1.mlp.experts.expert_{0..3}.wi.weight BF16 128x64 matrix
        encoder.block.{0..1}.layer.1.mlp.experts.expert_{0..3}.wo.weight BF16 64x128 matrix
        """,
        {"num_experts": 4},
    ),
    # Packed weights -----------------------------------------------------------------------------------------------------------------
    "half-quadratic codes": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.W_q U8 80x64 refused:scale
        model.layers.{0..1}.mlp.up_proj.scale F16 160x1 skipped:scale
        model.layers.{0..1}.mlp.up_proj.zero F16 160x1 refused:stands beside
        model.layers.{0..1}.mlp.up_proj.zeros_table F16 160x4 refused:stands beside
        """,
    ),
    "additive codes": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.codes I16 160x8x2 refused:quantized
        model.layers.{0..1}.mlp.up_proj.codebooks F16 2x256x1x8 refused:stands beside
        model.layers.{0..1}.mlp.up_proj.scales F16 160x1x1x1 skipped:scale
        """,
    ),
    "vector codes": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.indices I32 2x160x8 refused:somevq
        model.layers.{0..1}.mlp.up_proj.centroids.weight F16 8x512 refused:stands beside
        """,
        {"quantization_config": {"quant_method": "somevq"}},
    ),
    "lattice codes": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.Qidxs I64 160x8 refused:Wscale
        model.layers.{0..1}.mlp.up_proj.{SU,SV} F16 160 skipped:vector
        model.layers.{0..1}.mlp.up_proj.Wscale F32 - skipped:scalar
        model.layers.{0..1}.mlp.up_proj.codebook_id I64 - skipped:scalar
        """,
    ),
    "codes in one long row": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.packed U8 65536 refused:most of this checkpoint
        """,
    ),
    "codes under the name of a parameter": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.weight._data I8 160x64 refused:_scale
        model.layers.{0..1}.mlp.up_proj.weight._scale F16 160x1 skipped:scale
        """,
    ),
    "ternary codes": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.weight U8 40x64 refused:weight_scale
        model.layers.{0..1}.mlp.up_proj.weight_scale BF16 1 skipped:scale
        """,
        {"quantization_config": {"quant_method": "bits"}},
    ),
    "codes without a scale or a config": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.weight I8 160x64 refused:where weights should be
        model.layers.{0..1}.mlp.down_proj.trellis I16 64x160 refused:most of this checkpoint
        """,
    ),
    "codes in some layers": Kind(
        DECODER
        + """
        model.layers.0.mlp.up_proj.kernel BF16 160x64 matrix
        model.layers.1.mlp.up_proj.kernel U8 80x64 refused:tensors of its name
        """,
    ),
    "indices beside a scale of something else": Kind(
        DECODER
        + MLP
        + """
        model.layers.{0..1}.window.index I64 49x49 skipped:I64 is not a weight type
        model.layers.{0..1}.window.logit_scale BF16 4x1x1 skipped:scale
        model.layers.{0..1}.grid.scale BF16 4 skipped:scale
        model.layers.{0..1}.grid.index I32 20x20 skipped:I32 is not a weight type
        """,
    ),
    "tables of integers in an 8-bit model": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.weight F8_E4M3 256x128 dequantized
        model.layers.{0..1}.mlp.up_proj.weight_scale F32 1 skipped:scale
        model.layers.{0..1}.mlp.expert_of_token I32 500x2 skipped:I32 is not a weight type
        """,
        {"quantization_config": {"quant_method": "fp8"}},
    ),
    "integers that are no codes": Kind(
        DECODER
        + MLP
        + """
        model.layers.{0..1}.attn.index I64 49x49 skipped:I64 is not a weight type
        model.layers.{0..1}.attn.mask BOOL 1x1x32x32 skipped:BOOL is not a weight type
        model.position_ids I64 1x32 skipped:constant
        model.layers.{0..1}.bn.num_batches_tracked I64 - skipped:scalar
        model.small_map I32 8x2 skipped:I32 is not a weight type
        """,
    ),
    "a method in the config, and floats all the same": Kind(
        DECODER + MLP,
        {"quantization_config": {"quant_method": "bitnet"}},
    ),
    "four-bit floats": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.weight F4 160x64 refused:weight_block_scale
        model.layers.{0..1}.mlp.up_proj.weight_block_scale F8_E4M3 160x4 skipped:scale
        """,
    ),
    # 8-bit floating point -----------------------------------------------------------------------------------------------------------
    "scales of other names": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.weight F8_E4M3 256x128 dequantized
        model.layers.{0..1}.mlp.up_proj.scale F32 2x1 skipped:scale
        model.layers.{0..1}.mlp.down_proj.weight F8_E5M2 128x256 dequantized
        model.layers.{0..1}.mlp.down_proj.weight_scales F32 128 skipped:scale
        model.layers.{0..1}.mlp.gate_proj.qdata F8_E4M3 256x128 dequantized
        model.layers.{0..1}.mlp.gate_proj.scale_weight F32 1 skipped:vector
        model.layers.{0..1}.mlp.gate_proj.scale_input F32 1 skipped:vector
        """,
    ),
    "scales that are powers of two": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.weight F8_E4M3 256x128 dequantized
        model.layers.{0..1}.mlp.up_proj.scale F8_E8M0 2x1 skipped:scale
        model.layers.{0..1}.mlp.down_proj.weight F8_E4M3 128x256 dequantized
        model.layers.{0..1}.mlp.down_proj.weight_scale F8_E8M0 128x8 skipped:scale
        """,
    ),
    "a scale that is not understood": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.weight F8_E4M3 256x128 refused:weight_lora_scale
        model.layers.{0..1}.mlp.up_proj.weight_lora_scale F32 1 skipped:scale
        model.layers.{0..1}.mlp.up_proj.input_scale F32 1 skipped:scale
        """,
    ),
    "two scales": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.qdata F8_E4M3 256x128 refused:both
        model.layers.{0..1}.mlp.up_proj.{scale,weight_scale} F32 1 skipped:scale
        """,
    ),
    "only a scale of inputs": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.weight F8_E4M3 256x128 refused:there is no
        model.layers.{0..1}.mlp.up_proj.input_scale F32 1 skipped:scale
        """,
    ),
    # Adapters and reparametrizations ------------------------------------------------------------------------------------------------
    "an adapter by its configuration": Kind(
        """
        base_model.model.layers.{0..1}.q_proj.hada_w{1,2}_a F32 64x4 refused:adapter
        base_model.model.layers.{0..1}.q_proj.ia3_l F32 64x1 refused:adapter
        prompt_embeddings F32 20x64 refused:adapter
        """,
        file="adapter_model.safetensors",
        beside={"adapter_config.json": {"peft_type": "SOMETHING"}},
    ),
    "a model beside its adapter": Kind(
        DECODER,
        beside={"adapter_config.json": {"peft_type": "SOMETHING"}, "adapter_model.safetensors": {}},
    ),
    "an adapter by its file's metadata": Kind(
        """
        unet_down_blocks_{0..1}_to_q.kron_w1 F32 8x8 refused:metadata
        unet_down_blocks_{0..1}_to_q.kron_w2 F32 8x8 refused:metadata
        """,
        metadata={"ss_network_module": "some.kind"},
    ),
    "factors without a base": Kind(
        """
        unet.mid.attn.to_{q,k,v}.first.weight F16 4x64 refused:thin factors
        unet.mid.attn.to_{q,k,v}.second.weight F16 64x4 refused:thin factors
        unet.mid.attn.to_{q,k,v}.alpha F16 - refused:thin factors
        """,
    ),
    "factors of kernels, with magnitudes": Kind(
        """
        net.{0..2}.conv.into.weight F16 4x16x3x3 refused:thin factors
        net.{0..2}.conv.out.weight F16 32x4x1x1 refused:thin factors
        net.{0..2}.conv.magnitude F16 32 refused:thin factors
        """,
    ),
    "a tall and a wide matrix": Kind(
        """
        h.0.tall.weight F32 400x8 matrix
        h.0.wide.weight F32 8x400 matrix
        """,
    ),
    "a model whose file's metadata tell of an adapter": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.weight BF16 160x64 matrix
        """,
        {"model_type": "merged"},
        metadata={"lora_merged": "yes"},
    ),
    "matrices of few rows, without layers": Kind(
        """
        two_rows.weight F32 2x64 matrix
        two_columns.weight F32 64x2 matrix
        constant.weight F32 64x64 matrix
        """,
    ),
    "a model of two layers": Kind(
        """
        h.{0..1}.up.weight F32 256x64 matrix
        h.{0..1}.down.weight F32 64x256 matrix
        """,
    ),
    "a pruning mask": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.weight_orig BF16 160x64 refused:mask
        model.layers.{0..1}.mlp.up_proj.weight_mask BF16 160x64 refused:mask
        model.layers.{0..1}.mlp.down_proj.weight BF16 64x160 refused:mask_scores
        model.layers.{0..1}.mlp.down_proj.mask_scores BF16 64x160 refused:mask
        model.layers.{0..1}.mlp.gate_proj.weight BF16 160x64 refused:mask
        model.layers.{0..1}.mlp.gate_proj.mask BOOL 160x64 skipped:BOOL is not a weight type
        """,
    ),
    "direction and magnitude": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.weight_v BF16 160x64 refused:weight_g
        model.layers.{0..1}.mlp.up_proj.weight_g BF16 160x1 skipped:one row or column
        model.layers.{0..1}.mlp.down_proj.direction.weight BF16 64x160 refused:magnitude
        model.layers.{0..1}.mlp.down_proj.magnitude BF16 64 skipped:vector
        model.layers.{0..1}.mlp.gate_proj.weight BF16 160x64 refused:weight_magnitude
        model.layers.{0..1}.mlp.gate_proj.weight_magnitude BF16 160 skipped:vector
        """,
    ),
    "parametrizations": Kind(
        DECODER
        + """
        model.layers.{0..1}.mlp.up_proj.parametrizations.weight.original0 BF16 160x1 skipped:one row or column
        model.layers.{0..1}.mlp.up_proj.parametrizations.weight.original1 BF16 160x64 refused:parametrization
        """,
    ),
    # Convolutions -------------------------------------------------------------------------------------------------------------------
    "a model of kernels": Kind(
        """
        stem.weight F32 16x3x3x3 conv
        blocks.{0..2}.conv1.weight F32 16x16x3x3 conv
        blocks.{0..2}.bn.weight F32 16 skipped:vector
        blocks.{0..2}.mix.weight F32 16x16 matrix
        """,
    ),
    "kernels beside large tables": Kind(
        """
        net.embed_tokens.weight F32 2000x64 skipped:embedding
        net.layers.{0..1}.query.weight F32 64x64x1 conv
        net.layers.{0..1}.mask F32 1x1x32x32 skipped:one row or column
        net.pool.weight F32 64x64 matrix
        """,
    ),
    "kernels over time": Kind(
        """
        ups.{0..2}.weight F32 32x16x8 conv
        blocks.{0..2}.convs.weight F32 16x16x7 conv
        blocks.{0..2}.mix.weight F32 16x16 matrix
        """,
    ),
    "kernels over space and time": Kind(
        """
        blocks.{0..2}.weight F32 16x8x3x3x3 conv
        blocks.{0..2}.proj.weight F32 16x16 matrix
        """,
    ),
    "few kernels": Kind(
        DECODER
        + MLP
        + """
        model.stem.conv.weight F32 16x3x3x3 skipped:rank 4
        model.stem.conv1d.weight F32 16x3x3 skipped:rank 3
        """,
    ),
}


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in KINDS:
        sys.exit(f"usage: kinds.py KIND FOLDER; kinds: {', '.join(KINDS)}")
    KINDS[sys.argv[1]].write(sys.argv[2])
