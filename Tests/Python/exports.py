"""Exports: a model to export, and what every method has to write of a matrix, from NumPy's decomposition in float64."""

import json
from pathlib import Path

import numpy as np

import checkpoints
import layouts
import reference

METHODS = ["svft", "svfit", "spectral-additive", "spectral-rotation", "pissa", "milora", "mica", "lora-xs", "tinylora"]
FROG = ("svft", "spectral-rotation", "lora-xs")
BASES = ("pissa", "milora", "spectral-additive")
PREFIX = "base_model.model."


def export(frog, methods, source, out, *options, ranks=None):
    """A run that has to succeed; returns export.json."""
    result = frog("export", methods, source, "--out", out, "--threads", 1, *options, ranks=ranks)
    assert result.status == 0, str(result)
    return json.loads((out / "export.json").read_text())


def contents(out):
    """Everything that must not differ between equal runs: path → bytes."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(Path(out).rglob("*"))
        if path.is_file() and path.relative_to(out).parts[0] not in ("run.json", ".frog-mpi")
    }


def llama(folder, dtype="BF16", layers=1, shards=3, seed=11, hidden=48, inner=80, kv=16):
    """A model with what else lies beside the shards of one: configuration, tokenizer, code, notes, other weights."""
    tensors = checkpoints.llama(np.random.default_rng(seed), dtype, layers, hidden, inner, kv, vocabulary=60)
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    layouts.write_tensors(folder, tensors, config, shards)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "original").mkdir()
    (folder / "original/params.json").write_text('{"dim": 48}')
    (folder / "README.md").write_text("the card of the weights as they were")
    (folder / "pytorch_model.bin").write_bytes(b"old weights")
    (folder / ".gitattributes").write_text("*.bin lfs")
    return folder


def tensors_of(folder):
    """Name → (dtype, float64 array) of all safetensors files of a folder."""
    return {t.name: (t.dtype, np.asarray(t.read(), np.float64)) for file in sorted(Path(folder).glob("*.safetensors")) for t in
            reference.read_header(file)}  # fmt: skip


def weights_of(source):
    """Name → float64 array of the matrices of a checkpoint."""
    return {t.name: t.read().astype(np.float64) for t in reference.checkpoint_tensors(source) if len(t.shape) == 2}


def decomposed(weights):
    """U, σ and Vᵀ in float64. The component of largest magnitude of each right vector is positive."""
    u, s, vt = np.linalg.svd(weights, full_matrices=False)
    for k, v in enumerate(vt):
        first = np.flatnonzero(np.abs(v) >= (1 - 1e-6) * np.abs(v).max())[0]
        if v[first] < 0:
            u[:, k], vt[k] = -u[:, k], -v
    return u, s, vt


def expected(method, tensor, weights, rank, *, scale=1.0, transposed=False, keep_base=False, dtype="F32"):
    """Name → (dtype, array) of what a method writes of a matrix as it is stored, without what is random or a pattern."""
    u, s, vt = decomposed(weights)
    kept = slice(-rank, None) if method in ("milora", "mica") else slice(None) if method == "svft" else slice(rank)
    u, s, vt = u[:, kept], s[kept], vt[kept]
    module = tensor.removesuffix(".weight")
    # PEFT's A is on the side of the inputs.
    down, up = (u.T, vt.T) if transposed else (vt, u)
    root = np.sqrt(s / scale)
    if method in ("pissa", "milora"):
        a, b = root[:, None] * down, up * root
        if keep_base:
            a, b = np.vstack([a, a]), np.hstack([b, -b])
        return {f"{PREFIX}{module}.lora_A.weight": ("F32", a), f"{PREFIX}{module}.lora_B.weight": ("F32", b)}
    if method == "mica":
        return {f"{PREFIX}{module}.lora_A.weight": ("F32", 0 * down), f"{PREFIX}{module}.lora_B.weight": ("F32", up)}
    if method in ("svfit", "spectral-additive"):
        e = (s if method == "spectral-additive" else 0 * s)[:, None]
        if keep_base and method == "spectral-additive":
            down, up, e = np.vstack([down, down]), np.hstack([up, up]), np.vstack([e, -e])
        return {f"{PREFIX}{module}.lora_{part}": ("F32", value) for part, value in (("A", down), ("B", up), ("E", e))}
    if method == "tinylora":
        root = np.sqrt(s)
        return {f"{PREFIX}{module}.tinylora_A": ("F32", root[:, None] * down), f"{PREFIX}{module}.tinylora_B": ("F32", up * root)}
    if method == "lora-xs":
        return {f"{PREFIX}{module}.lora_A.weight": (dtype, s[:, None] * vt), f"{PREFIX}{module}.lora_B.weight": (dtype, u)}
    if method == "spectral-rotation":
        return {f"{module}.U": (dtype, u), f"{module}.S": ("F32", s), f"{module}.V": (dtype, vt.T)}
    layer = f"{module}.svft_layer"
    return {f"{layer}.u": (dtype, u), f"{layer}.s_pre": ("F32", s), f"{layer}.v": (dtype, vt)}


def assert_tensors(found, wanted, relative=2e-6):
    """Stored tensors are the wanted ones but for rounding and the error of a decomposition."""
    for name, (dtype, exact) in wanted.items():
        assert name in found, f"{name} is not among {sorted(found)[:8]} …"
        stored, value = found[name]
        assert (stored, value.shape) == (dtype, exact.shape), name
        slack = relative if dtype == "F32" else 2.0**-8
        assert np.abs(value - exact).max() <= slack * max(np.abs(exact).max(), 1e-300), name
