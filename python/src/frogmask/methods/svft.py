"""SVFT: W' = U(Σ + M)Vᵀ with the singular vectors of W and a sparse M, whose k entries are sigmoid(gate)·s.

s, k numbers, and gate, one number for each weight, are trained.

Lingam et al., "SVFT: Parameter-Efficient Fine-Tuning with Singular Vectors", NeurIPS 2024.
"""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import nn

from frogmask.errors import FormatError
from frogmask.methods import base
from frogmask.methods.base import Adapter, Init
from frogmask.methods.folder import AdapterFolder
from frogmask.methods.sparse import SparseMatrix
from frogmask.rng import key_of, normals

METHOD = "svft"
PATTERNS = ("plain", "banded", "random", "top-k")


def attach(
    model: nn.Module,
    directory: str | os.PathLike[str],
    *,
    init: Init = "random",
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Adapter:
    """Adapts the linear layers of a model with what `frog-mpi export svft` has written; see `base.attach`.

    `init="random"` starts with s ~ N(0, 2/k) and gate = 0, as published, so M is not 0 at the start.
    `init="zeros"` starts with s = 0: with the model, but for what the factors are rounded.
    """
    return base.attach(model, directory, METHOD, SVFTLayer, checkpoint, init, seed)


def load(
    model: nn.Module,
    directory: str | os.PathLike[str],
    factors: str | os.PathLike[str] | None = None,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Adapter:
    """Adapts the linear layers of a model with values that `Adapter.save` has written; see `base.load`."""
    return base.load(model, directory, factors, METHOD, SVFTLayer, checkpoint)


def entries(pattern: str, p: int, d: int) -> int:
    """The number k of entries of M, p × p: p(2d + 1) − d(d + 1), as many as a band with d diagonals on either side has."""
    d = 0 if pattern == "plain" else min(d, p - 1)
    return p * (2 * d + 1) - d * (d + 1)


class SVFTLayer(base.Layer):
    """What SVFT makes of one linear layer.

    Attributes:
        u: Left singular vectors, frozen, [m, p].
        s_pre: Singular values, frozen, [p].
        v: Right singular vectors as rows, frozen, [p, n].
        s: Trained, float32 [k].
        gate: Trained, float32 [1].
        pattern: Where M has its entries.
    """

    part = "svft_layer"
    keys = {"s": "{}.svft_layer.s", "gate": "{}.svft_layer.gate"}

    def __init__(self, u: torch.Tensor, s_pre: torch.Tensor, v: torch.Tensor, row: torch.Tensor, column: torch.Tensor) -> None:
        super().__init__()
        self.u, self.s_pre, self.v = base.frozen([u, s_pre, v])
        self.pattern = SparseMatrix(row, column, s_pre.numel())
        self.s, self.gate = nn.Parameter(torch.zeros(row.numel())), nn.Parameter(torch.zeros(1))

    @classmethod
    def read(cls, folder: AdapterFolder, tensor: str) -> SVFTLayer:
        """Reads the factors and the pattern; the values are zero."""
        (m, n), p, key = folder.shapes[tensor], folder.rank(tensor), f"{tensor.removesuffix('.weight')}.svft_layer"
        pattern, d = folder.option("pattern", str), folder.option("d", int)
        k = entries(pattern, p, d)
        if pattern not in PATTERNS or d < 0 or folder.length(f"{key}.s_row") != k:
            raise FormatError(
                f"{folder.folder}: '{key}.s_row' has {folder.length(f'{key}.s_row')} entries, should be {k} with "
                f"pattern {pattern!r} and d = {d}; export it again"
            )
        row, column = folder.integers(f"{key}.s_row", (k,)), folder.integers(f"{key}.s_col", (k,))
        flat = row * p + column
        is_inside = all(bool(((one >= 0) & (one < p)).all()) for one in (row, column)) and bool((flat[1:] > flat[:-1]).all())
        reach = {"plain": 0, "banded": d}.get(pattern, p)
        if not is_inside or bool(((row - column).abs() > reach).any()):
            raise FormatError(
                f"{folder.folder}: '{key}.s_row' and 's_col' are no ascending entries of pattern {pattern!r}; export it again"
            )
        s_pre = base.descending(folder, f"{key}.s_pre", folder.floats(f"{key}.s_pre", (p,)))
        return SVFTLayer(folder.floats(f"{key}.u", (m, p)), s_pre, folder.floats(f"{key}.v", (p, n)), row, column)

    def start(self, tensor: str, init: Init, seed: int) -> None:
        """s ~ N(0, 2/k), or zero."""
        super().start(tensor, init, seed)
        if init == "random":
            drawn = normals(key_of(seed, METHOD, tensor), self.pattern.flat().numpy())
            self.s.data = torch.from_numpy(np.float32((2 / self.s.numel()) ** 0.5) * drawn)

    def forward(self, x: torch.Tensor, linear: nn.Linear) -> torch.Tensor:
        """U(Σ + M)Vᵀ·x + bias, in the type that the linear layer gives."""
        inner = nn.functional.linear(x.to(self.v.dtype), self.v)
        inner = inner * self.s_pre + self.pattern.product(self.s * self.gate.sigmoid(), inner)
        y = nn.functional.linear(inner.to(self.u.dtype), self.u)
        if not torch.is_autocast_enabled(x.device.type):
            y = y.to(x.dtype)
        return y if linear.bias is None else y + linear.bias.to(y.dtype)

    def merged(self, linear: nn.Linear) -> torch.Tensor:
        """U(Σ + M)Vᵀ."""
        u, v = self.u.to(self.s_pre.dtype), self.v.to(self.s_pre.dtype)
        inner = u * self.s_pre + self.pattern.transposed_product(self.s * self.gate.sigmoid(), u)
        return inner @ v

    def leading(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The first column of each."""
        return self.s_pre[0], self.u[:, 0], self.v[0]
