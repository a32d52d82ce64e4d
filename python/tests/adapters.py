"""Folders as `frog-mpi export` writes them, made with NumPy's decomposition, and what the methods make of a weight, densely."""

import hashlib
import json

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from frogmask.checkpoint import Checkpoint
from frogmask.fingerprint import fingerprint

METHODS = ("svft", "spectral-rotation", "lora-xs")
TYPES = {torch.float64: "F64", torch.float32: "F32", torch.bfloat16: "BF16"}
LLAMA = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
BERT = ("query", "key", "value", "dense")


class Net(nn.Module):
    """Two linear layers, one wide with a bias, one tall without."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(20, 12), nn.Linear(12, 28, bias=False)

    def forward(self, x):
        return self.second(self.first(x).tanh())


def net(dtype=torch.float32):
    torch.manual_seed(0)
    return Net().to(dtype)


def saved(network, folder):
    """The checkpoint of a network."""
    folder.mkdir()
    save_file({name: weight.detach().contiguous() for name, weight in network.state_dict().items()}, folder / "model.safetensors")
    return folder


def band(p, d):
    """Rows and columns of the entries within d of the diagonal, by the definition."""
    found = [(i, j) for i in range(p) for j in range(p) if abs(i - j) <= d]
    return torch.tensor(found).T


def scattered(p, k, seed=0):
    flat = torch.randperm(p * p, generator=torch.Generator().manual_seed(seed))[:k].sort().values
    return torch.stack([flat // p, flat % p])


def decomposed(weight, rank):
    """The leading singular vectors and values: U [m, r], S [r], Vᵀ [r, n], float64."""
    U, S, Vt = (torch.from_numpy(part) for part in np.linalg.svd(weight.double().numpy(), full_matrices=False))
    r = S.numel() if rank is None else rank
    return U[:, :r], S[:r], Vt[:r]


def factors(method, tensor, weight, dtype, rank=None, pattern="banded", d=2, alpha=8, block=8, blocks=None):
    """What a folder has for one weight: its entry in adapter.json, and its tensors."""
    module = tensor.removesuffix(".weight")
    m, n = weight.shape
    entry = {"shape": [m, n], "dtype": TYPES[weight.dtype]}
    if method == "smt":
        chosen = torch.tensor(blocks(m, n), dtype=torch.int32).view(-1, 2)
        return entry | {"blocks": len(chosen)}, {f"{module}.blocks": chosen}
    U, S, Vt = decomposed(weight, rank)
    U, r = U.to(dtype).contiguous(), S.numel()
    single = S.to(torch.float64 if dtype == torch.float64 else torch.float32)
    if method == "svft":
        p = r
        k = p * (2 * min(d, p - 1) + 1) - min(d, p - 1) * (min(d, p - 1) + 1)
        row, column = band(p, 0 if pattern == "plain" else d) if pattern in ("plain", "banded") else scattered(p, k)
        key = f"{module}.svft_layer"
        stored = {"u": U, "s_pre": single, "v": Vt.to(dtype), "s_row": row.contiguous(), "s_col": column.contiguous()}
        return entry | {"rank": p}, {f"{key}.{name}": value for name, value in stored.items()}
    if method == "spectral-rotation":
        return entry | {"rank": r}, {f"{module}.U": U, f"{module}.S": single, f"{module}.V": Vt.T.to(dtype).contiguous()}
    key = f"base_model.model.{module}"
    return entry | {"rank": r}, {f"{key}.lora_A.weight": (S[:, None] * Vt).to(dtype), f"{key}.lora_B.weight": U}


def export(folder, checkpoint, method, wanted=None, dtype=torch.float32, **options):
    """Writes the folder of a method for the matrices of a checkpoint whose module's name is wanted."""
    folder.mkdir()
    weights = load_file(next(checkpoint.glob("*.safetensors")))
    chosen = [name for name, weight in weights.items() if weight.dim() == 2 and (wanted is None or name.split(".")[-2] in wanted)]
    tensors, shards = {}, ({}, {})
    for number, name in enumerate(sorted(chosen)):
        tensors[name], stored = factors(method, name, weights[name], dtype, **options)
        shards[number % 2].update(stored)
    files, weight_map = {}, {}
    for number, stored in enumerate(shards, 1):
        name = f"adapter-0000{number}-of-00002.safetensors"
        save_file(stored, folder / name, metadata={"format": "pt"})
        data = (folder / name).read_bytes()
        files[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        weight_map |= dict.fromkeys(stored, name)
    (folder / "adapter.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    matrices = [
        {"name": name, "tensor": name, "dtype": entry["dtype"], "shape": entry["shape"], "slice": None} for name, entry in tensors.items()
    ]
    parameters = {"rank": None, "pattern": "banded", "d": 2, "alpha": 8, "block": 8} | {
        name: value for name, value in options.items() if name != "blocks"
    }
    document = {
        "format": "frog-adapter", "format_version": 1, "version": "0.1.0", "method": method, "parameters": parameters, "files": files,
        "checkpoint": {"fingerprint": fingerprint(matrices, Checkpoint(checkpoint)), "matrices": len(matrices), "weights": 0},
        "matrices": matrices, "names": {}, "tensors": tensors,
    }  # fmt: skip
    (folder / "adapter.json").write_text(json.dumps(document))
    return folder


def change(folder, tensor=None, **changes):
    """Changes adapter.json: entries of a tensor, or keys of the document."""
    path = folder / "adapter.json"
    document = json.loads(path.read_text())
    (document["tensors"][tensor] if tensor else document).update(changes)
    path.write_text(json.dumps(document))


# MARK: What the methods make of a weight, by their formulas


def cayley(A):
    K, one = (A - A.T) / 2, torch.eye(len(A), dtype=A.dtype)
    return (one - K) @ torch.linalg.inv(one + K)


def stored(method, folder, tensor):
    """U, S and Vᵀ of a weight as a folder has them."""
    found = {name: value for file in folder.glob("*.safetensors") for name, value in load_file(file).items()}
    module = tensor.removesuffix(".weight")
    if method == "svft":
        return [found[f"{module}.svft_layer.{part}"] for part in ("u", "s_pre", "v")]
    if method == "spectral-rotation":
        return found[f"{module}.U"], found[f"{module}.S"], found[f"{module}.V"].T
    A, B = (found[f"base_model.model.{module}.lora_{part}.weight"] for part in "AB")
    S = A.double().norm(dim=1)
    return B, S, A.double() / S[:, None]


def dense(method, weight, values, rank=None, alpha=8, pattern=None, parts=None):
    """W' in the type of `weight`, from trained values; differentiable. `parts`: U, S and Vᵀ, by default those of NumPy."""
    U, S, Vt = (part.to(weight.dtype) for part in parts or decomposed(weight.detach(), rank))
    r = S.numel()
    values = {name: value.to(weight.dtype) for name, value in values.items()}
    if method == "svft":
        M = torch.zeros(r, r, dtype=weight.dtype).index_put(tuple(pattern), values["s"] / (1 + (-values["gate"]).exp()))
        return U @ (S.diag() + M) @ Vt
    if method == "spectral-rotation":
        core = cayley(values["A"]) @ (S * values["c"]).diag() @ cayley(values["B"]).T - S.diag()
        return weight.detach() + U @ core @ Vt
    return weight.detach() + alpha / r * U @ values["R"] @ S.diag() @ Vt
