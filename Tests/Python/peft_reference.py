"""What `frog-mpi export` has to write for the methods that PEFT loads: NumPy's decomposition in float64, and the methods' formulas.

Shares no code and no method with the program, so that the two agreeing means something.
"""

import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

import reference
from exports import decomposed

#: Methods whose adapter belongs to a residual base, which the export writes too.
RESIDUAL = ("pissa", "milora", "spectral-additive")
ADALORA = ("svfit", "spectral-additive")
METHODS = (*RESIDUAL, "mica", "svfit", "tinylora")
#: Digits of a number behind the leading one, and the exponent of the smallest normal number.
PRECISION = {"BF16": (7, -126), "F16": (10, -14), "F32": (23, -126), "F64": (52, -1022)}


@dataclass
class Module:
    """A module with a weight matrix, [out, in].

    `stored` is the tensor as the checkpoint has it: that of GPT-2's Conv1D is [in, out].
    """

    tensor: str
    dtype: str
    stored: np.ndarray
    is_turned: bool

    @property
    def path(self):
        return self.tensor.removesuffix(".weight")

    @property
    def leaf(self):
        return self.path.rpartition(".")[2]

    @property
    def weights(self):
        return self.turned(self.stored)

    def turned(self, values):
        """Values of the stored tensor as those of the module, or the other way round."""
        return values.T if self.is_turned else values

    @cached_property
    def factors(self):
        """U [out, p], σ [p] and the transpose of V [p, in]; signs are those of the stored tensor's factors."""
        u, s, vt = decomposed(self.stored)
        return (vt.T, s, u.T) if self.is_turned else (u, s, vt)


def modules(folder, is_target=lambda path: True):
    """The modules that PEFT can adapt, in the order of their names: those of weight matrices outside of experts."""
    tensors = {tensor.name: tensor for tensor in reference.checkpoint_tensors(folder)}
    lengths = [
        (tensor.shape, tensors[bias].shape[0])
        for name, tensor in tensors.items()
        if len(tensor.shape) == 2 and (bias := name.removesuffix("weight") + "bias") in tensors
    ]
    # A linear layer has a bias for each row of its tensor, and a Conv1D for each column.
    is_turned = any(length == columns != rows for (rows, columns), length in lengths)
    return [
        Module(name, tensor.dtype, tensor.read().astype(np.float64), is_turned)
        for name, tensor in tensors.items()
        if reference.is_matrix(tensor) and ".experts." not in name and is_target(name.removesuffix(".weight"))
    ]


def leaves_of_experts(folder):
    """The last parts of the names of experts' modules. PEFT takes modules outside of experts that have them for experts."""
    return {t.name.split(".")[-2] for t in reference.checkpoint_tensors(folder) if ".experts." in t.name} | {"gate"}


def rank_by(sigma, rule):
    """The rank that a spectrum asks for: `energy:SHARE` of Σσ², or `stable-rank`, Σσ²/σ₁², rounded up."""
    energy = np.cumsum(sigma**2)
    if rule.startswith("energy:"):
        return int(np.argmax(energy >= float(rule.removeprefix("energy:")) * energy[-1])) + 1
    if rule == "stable-rank":
        return math.ceil(energy[-1] / sigma[0] ** 2)
    raise ValueError(rule)


@dataclass
class Adapter:
    """What the folder of an adapter has to hold, and the change of each weight that it stands for."""

    method: str
    rank: int
    alpha: float
    keeps_base: bool = False
    config: dict = field(default_factory=dict)
    tensors: dict = field(default_factory=dict)
    ranks: dict = field(default_factory=dict)

    @property
    def has_residual(self):
        return self.method in RESIDUAL and not self.keeps_base

    def scale(self, path):
        """What PEFT multiplies B·A by."""
        if self.method in ADALORA:
            return self.alpha / (self.rank + 1e-5)
        return 1 if self.method == "tinylora" else self.alpha / self.rank

    def change(self, path, tensors):
        """The change of a weight in float64, by what a file holds: s·B·A, s·B·diag(E)·A, or B·R·A with R = Σ vᵢPᵢ = 0."""
        key = f"base_model.model.{path}."
        a, b, e = (
            np.asarray(tensors[found[0]], np.float64) if (found := [n for n in tensors if re.fullmatch(re.escape(key) + n_, n)]) else None
            for n_ in (r"lora_A(\.weight)?", r"lora_B(\.weight)?", "lora_E")
        )
        if a is None:
            a, b = (np.asarray(tensors[f"{key}tinylora_{side}"], np.float64) for side in "AB")
            return np.zeros((len(b), a.shape[1]))
        return self.scale(path) * (b @ (a if e is None else e * a))


def adapter(folder, method, rank, alpha=None, keep_base=False, by=None, ranks=None, is_target=lambda path: True, size=64, task="CAUSAL_LM"):
    """The adapter of a checkpoint.

    Args:
        rank: Of all modules; with `by`, the largest that they may have. SVFit takes fewer where there are fewer singular values.
        alpha: The rank, if None. With ranks that differ it is that of the largest.
        by: How many triplets a module gets: see `rank_by`.
        ranks: A function of such a rank, which rounds it.
        size: u of TinyLoRA.
    """
    found = modules(folder, is_target)
    by_module = {}
    for module in found:
        p = min(module.weights.shape)
        wanted = rank if by is None else min(rank_by(module.factors[1], by), rank)
        by_module[module.path] = min(p, ranks(wanted) if ranks else wanted)
    largest = max(by_module.values())
    made = Adapter(method, largest, largest if alpha is None else alpha, keep_base, ranks=by_module)
    for index, module in enumerate(found):
        _add(made, module, by_module[module.path], index, size)
    _configure(made, found, leaves_of_experts(folder), size, task)
    return made


def _add(made, module, r, index, size):
    """Adds the tensors of a module."""
    u, s, vt = module.factors
    key = f"base_model.model.{module.path}"
    last = made.method in ("milora", "mica")
    u, s, vt = (u[:, -r:], s[-r:], vt[-r:]) if last else (u[:, :r], s[:r], vt[:r])
    if made.method in ("pissa", "milora"):
        root = np.sqrt(s / made.scale(module.path))
        a, b = root[:, None] * vt, u * root
        if made.keeps_base:
            a, b = np.concatenate([a, a]), np.concatenate([b, -b], axis=1)
        made.tensors |= {f"{key}.lora_A.weight": a, f"{key}.lora_B.weight": b}
    elif made.method == "mica":
        made.tensors |= {f"{key}.lora_A.weight": np.zeros_like(vt), f"{key}.lora_B.weight": u}
    elif made.method in ADALORA:
        e = np.zeros((r, 1)) if made.method == "svfit" else s[:, None]
        if made.keeps_base:
            vt, u, e = np.concatenate([vt, vt]), np.concatenate([u, u], axis=1), np.concatenate([e, -e])
        made.tensors |= {f"{key}.lora_A": vt, f"{key}.lora_B": u, f"{key}.lora_E": e}
    else:
        root = np.sqrt(s)
        made.tensors |= {f"{key}.tinylora_A": root[:, None] * vt, f"{key}.tinylora_B": u * root}
        # These are random: only their shapes are known here.
        made.tensors |= {f"{key}.tinylora_P": np.full((size, r, r), np.nan), f"base_model.tinylora_v.{index}": np.zeros(size)}


def _configure(made, found, leaves, size, task):
    """Fills in adapter_config.json."""
    is_parameter = {m.path: made.method in ("pissa", "milora") and m.leaf in leaves and len(leaves) > 1 for m in found}
    config = {
        "base_model_name_or_path": None, "bias": "none", "fan_in_fan_out": found[0].is_turned, "inference_mode": False,
        "modules_to_save": None, "target_modules": sorted(m.path for m in found if not is_parameter[m.path]), "task_type": task,
    }  # fmt: skip
    twice = 2 if made.keeps_base else 1
    if made.method == "tinylora":
        config |= {
            "init_v_bound": 0.02, "init_weights": True, "peft_type": "TINYLORA", "projection_seed": 42, "r": made.rank,
            "save_projection": True, "tinylora_dropout": 0.0, "u": size, "weight_tying": 0.0,
        }  # fmt: skip
    elif made.method in ADALORA:
        differ = len(set(made.ranks.values())) > 1
        pattern = {f"{path}.lora_E": [i < twice * r for i in range(twice * made.rank)] for path, r in made.ranks.items()}
        config |= {
            "alpha_pattern": {}, "init_lora_weights": True, "init_r": twice * made.rank, "lora_alpha": twice * made.alpha,
            "lora_dropout": 0.0, "orth_reg_weight": 0.0, "peft_type": "ADALORA", "rank_pattern": pattern if differ else None,
            "target_r": twice * made.rank, "tfinal": 0, "tinit": 2147483646, "total_step": 2147483647,
        }  # fmt: skip
    else:
        keys = {path: re.escape(path) + (r"\.weight" if is_parameter[path] else "") for path in made.ranks}
        smaller = {path: r for path, r in made.ranks.items() if r != made.rank}
        config |= {
            "alpha_pattern": {keys[path]: twice * made.alpha * r / made.rank for path, r in smaller.items()},
            "init_lora_weights": "mica" if made.method == "mica" else True, "lora_alpha": twice * made.alpha, "lora_dropout": 0.0,
            "peft_type": "LORA", "r": twice * made.rank, "rank_pattern": {keys[path]: twice * r for path, r in smaller.items()},
            "use_dora": False, "use_rslora": False,
        }  # fmt: skip
        if any(is_parameter.values()):
            config["target_parameters"] = sorted(f"{path}.weight" for path, wanted in is_parameter.items() if wanted)
    made.config = config


def half_unit(values, dtype):
    """Half a unit in the last place of numbers stored in a type."""
    digits, smallest = PRECISION[dtype]
    exponents = np.frexp(np.asarray(values, np.float64))[1] - 1
    return np.ldexp(0.5, np.maximum(exponents, smallest) - digits)


def stored(file):
    """Name → (type, shape, values) of a file, in its order."""
    return {tensor.name: (tensor.dtype, tensor.shape, tensor.read()) for tensor in reference.read_header(Path(file))}
