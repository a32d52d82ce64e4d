#!/usr/bin/env python3
"""Seeded checkpoints for the tests, written byte by byte so that BF16 needs no library.

Tests/Python/checkpoints.py KIND FOLDER      KIND: see CHECKPOINTS below
"""

import argparse
import json
from pathlib import Path

import numpy as np


def safetensors_bytes(tensors, metadata=None):
    """A file holding `tensors`: name → (dtype, shape, data bytes), in this order."""
    header, data = {}, b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def encode(array, dtype):
    """(dtype, shape, bytes) of a float array; BF16 rounds to nearest even."""
    array = np.asarray(array)
    if dtype == "BF16":
        bits = array.astype("<f4").view(np.uint32)
        raw = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
    else:
        raw = array.astype({"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8"}[dtype])
    return dtype, array.shape, raw.tobytes()


def write_checkpoint(folder, tensors, shard_size=None):
    """One `model.safetensors`, or shards of at most `shard_size` bytes of data with an index."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if shard_size is None:
        (folder / "model.safetensors").write_bytes(safetensors_bytes(tensors, {"format": "pt"}))
        return folder
    shards, size = [{}], 0
    for name, tensor in tensors.items():
        if shards[-1] and size + len(tensor[2]) > shard_size:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += len(tensor[2])
    weight_map = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        (folder / file).write_bytes(safetensors_bytes(shard, {"format": "pt"}))
        weight_map.update(dict.fromkeys(shard, file))
    total = sum(len(raw) for _, _, raw in tensors.values())
    write_index(folder, weight_map, total)
    return folder


def write_index(folder, weight_map, total_size=0):
    index = {"metadata": {"total_size": total_size}, "weight_map": weight_map}
    (Path(folder) / "model.safetensors.index.json").write_text(json.dumps(index, indent=2, sort_keys=True))


def trained(generator, rows, columns):
    """Gaussian bulk, uneven rows and columns, and a power-law of strong directions, as trained matrices have them."""
    matrix = generator.standard_normal((rows, columns))
    matrix *= np.exp(0.25 * generator.standard_normal((rows, 1)))
    matrix *= np.exp(0.25 * generator.standard_normal((1, columns)))
    spikes = min(32, rows, columns)
    strength = np.arange(1, spikes + 1) ** -0.6 * 3 * (rows + columns) ** 0.5
    left = generator.standard_normal((rows, spikes)) / rows**0.5
    right = generator.standard_normal((spikes, columns)) / columns**0.5
    return (matrix + left * strength @ right) * 0.02 * np.exp(0.2 * generator.standard_normal())


def llama(generator, dtype="BF16", layers=2, hidden=256, inner=688, kv=64, vocabulary=1000):
    """A decoder with an embedding and an output head to be skipped."""
    shapes = {"model.embed_tokens.weight": (vocabulary, hidden), "lm_head.weight": (vocabulary, hidden)}
    for layer in range(layers):
        block = f"model.layers.{layer}."
        shapes |= {
            block + "input_layernorm.weight": (hidden,),
            block + "mlp.down_proj.weight": (hidden, inner),
            block + "mlp.gate_proj.weight": (inner, hidden),
            block + "mlp.up_proj.weight": (inner, hidden),
            block + "self_attn.k_proj.weight": (kv, hidden),
            block + "self_attn.o_proj.weight": (hidden, hidden),
            block + "self_attn.q_proj.weight": (hidden, hidden),
            block + "self_attn.v_proj.weight": (kv, hidden),
        }
    return {n: encode(np.ones(s) if len(s) == 1 else trained(generator, *s), dtype) for n, s in shapes.items()}


def bf16_sharded(folder, seed=0):
    """Llama-like, BF16, in about eight shards."""
    return write_checkpoint(folder, llama(np.random.default_rng(seed)), shard_size=500_000)


def mixed(folder, seed=1):
    """Every dtype that is decoded, odd sizes, wide and tall, the smallest matrices, and tensors that are no matrices."""
    generator = np.random.default_rng(seed)
    tensors = {
        "h.0.tall_f64.weight": encode(trained(generator, 131, 37), "F64"),
        "h.0.wide_f32.weight": encode(trained(generator, 29, 203), "F32"),
        "h.0.square_f16.weight": encode(trained(generator, 65, 65), "F16"),
        "h.0.odd_bf16.weight": encode(trained(generator, 77, 33), "BF16"),
        "h.0.smallest.weight": encode(trained(generator, 2, 2), "F32"),
        "h.0.two_columns.weight": encode(trained(generator, 513, 2), "F32"),
        "h.0.two_rows.weight": encode(trained(generator, 2, 300), "F64"),
        "h.0.one_row.weight": encode(trained(generator, 1, 50), "F32"),
        "h.0.one_column.weight": encode(trained(generator, 50, 1), "F32"),
        "h.0.bias": encode(generator.standard_normal(77), "F32"),
        "h.0.scalar": encode(np.float32(1), "F32"),
        "h.0.rank3.weight": encode(generator.standard_normal((4, 5, 6)), "F32"),
        "h.0.empty.weight": encode(np.zeros((0, 16)), "F32"),
        "h.0.ids": encode(np.arange(64).reshape(8, 8), "I64"),
        "wte.weight": encode(trained(generator, 90, 37), "F32"),
        "wpe.weight": encode(trained(generator, 64, 37), "F32"),
    }
    return write_checkpoint(folder, tensors, shard_size=40_000)


def equal_scores(folder, seed=2):
    """Scores that are equal to the last bit: scaled permutations, a constant matrix, one matrix stored three times.

    A permutation times c has S = c at its ones and 0 elsewhere, whatever the solver, as its Gram matrix is diagonal.
    """
    generator = np.random.default_rng(seed)
    twin = trained(generator, 96, 48)
    tensors = {
        "h.0.constant.weight": encode(np.full((64, 48), 0.25), "F32"),
        "h.0.zero.weight": encode(np.zeros((32, 16)), "F32"),
        "h.1.permutation.weight": encode(np.eye(64)[generator.permutation(64)] * 0.5, "F32"),
        "h.2.permutation.weight": encode(np.eye(64)[generator.permutation(64)] * 0.5, "BF16"),
        "h.3.twin.weight": encode(twin, "F32"),
        "h.4.twin.weight": encode(twin, "F32"),
        "h.5.twin.weight": encode(twin, "F32"),
    }
    return write_checkpoint(folder, tensors)


def permutations(folder, seed=3, count=4, size=64):
    """Nothing but ties: `count` permutations times the same constant."""
    generator = np.random.default_rng(seed)
    tensors = {f"h.{i}.weight": encode(np.eye(size)[generator.permutation(size)] * 0.5, "F32") for i in range(count)}
    return write_checkpoint(folder, tensors)


def twins(folder, seed=4):
    """One matrix under five names, in three shards, of which byte-wise and numeric order differ (h.10 before h.2)."""
    matrix = encode(trained(np.random.default_rng(seed), 80, 56), "F32")
    return write_checkpoint(folder, {f"h.{i}.weight": matrix for i in (1, 2, 3, 10, 20)}, shard_size=40_000)


CHECKPOINTS = {f.__name__: f for f in (bf16_sharded, mixed, equal_scores, permutations, twins)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=CHECKPOINTS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    seed = {} if arguments.seed is None else {"seed": arguments.seed}
    CHECKPOINTS[arguments.kind](arguments.folder, **seed)
