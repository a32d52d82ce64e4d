"""The rotation of Spectral Adapter: W' = W + U·[Q_A·diag(S∘c)·Q_Bᵀ − diag(S)]·Vᵀ with the r leading singular vectors of W.

Q_A and Q_B are orthogonal, (I − K)(I + K)⁻¹ with K = (A − Aᵀ)/2; A, B, r × r, and c, r, are trained.
A = B = 0 and c = 1 is the start, and gives exactly W.

Zhang and Pilanci, "Spectral Adapter: Fine-Tuning in Spectral Space", 2024.
"""

from __future__ import annotations

import os

import torch
from torch import nn

from frogmask.methods import base
from frogmask.methods.base import Adapter, Init
from frogmask.methods.folder import AdapterFolder

METHOD = "spectral-rotation"


def attach(model: nn.Module, directory: str | os.PathLike[str], *, checkpoint: str | os.PathLike[str] | None = None) -> Adapter:
    """Adapts the linear layers of a model with what `frog-mpi export spectral-rotation` has written; see `base.attach`."""
    return base.attach(model, directory, METHOD, RotationLayer, checkpoint)


def load(
    model: nn.Module,
    directory: str | os.PathLike[str],
    factors: str | os.PathLike[str] | None = None,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Adapter:
    """Adapts the linear layers of a model with values that `Adapter.save` has written; see `base.load`."""
    return base.load(model, directory, factors, METHOD, RotationLayer, checkpoint)


class RotationLayer(base.Layer):
    """What the rotation adds to one linear layer.

    Attributes:
        U: Left singular vectors, frozen, [m, r].
        S: Singular values, frozen, [r].
        V: Right singular vectors, frozen, [n, r].
        A: Turns U; trained, float32 [r, r].
        B: Turns V; trained, float32 [r, r].
        c: Scales S; trained, float32 [r].
    """

    part = "spectral"
    keys = {"A": "{}.spectral_A", "B": "{}.spectral_B", "c": "{}.spectral_C"}

    def __init__(self, U: torch.Tensor, S: torch.Tensor, V: torch.Tensor) -> None:
        super().__init__()
        r = S.numel()
        self.U, self.S, self.V = base.frozen([U, S, V])
        self.A, self.B = nn.Parameter(torch.zeros(r, r)), nn.Parameter(torch.zeros(r, r))
        self.c = nn.Parameter(torch.ones(r))

    @classmethod
    def read(cls, folder: AdapterFolder, tensor: str) -> RotationLayer:
        """Reads U, S and V; the values are at their start."""
        (m, n), r, module = folder.shapes[tensor], folder.rank(tensor), tensor.removesuffix(".weight")
        S = base.descending(folder, f"{module}.S", folder.floats(f"{module}.S", (r,)))
        return RotationLayer(folder.floats(f"{module}.U", (m, r)), S, folder.floats(f"{module}.V", (n, r)))

    def start(self, tensor: str, init: Init, seed: int) -> None:
        """A = B = 0 and c = 1, as they are."""

    def forward(self, x: torch.Tensor, linear: nn.Linear) -> torch.Tensor:
        """W·x + U·core·Vᵀ·x."""
        y = nn.functional.linear(x, linear.weight, linear.bias)
        # In 16 bits the core would not vanish at the start.
        with torch.autocast(x.device.type, enabled=False):
            core = self.core()
        return base.added(y, base.through(x, self.V.T, core, self.U))

    def merged(self, linear: nn.Linear) -> torch.Tensor:
        """W + U·core·Vᵀ."""
        core = self.core()
        return linear.weight + self.U.to(core.dtype) @ (core @ self.V.to(core.dtype).T)

    def core(self) -> torch.Tensor:
        """Q_A·diag(S∘c)·Q_Bᵀ − diag(S): [r, r], float32 or better; exactly 0 at the start."""
        return rotation(self.A.to(self.S.dtype)) * (self.S * self.c) @ rotation(self.B.to(self.S.dtype)).T - self.S.diag()

    def leading(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The first column of each."""
        return self.S[0], self.U[:, 0], self.V[:, 0]


def rotation(A: torch.Tensor) -> torch.Tensor:
    """Cayley's transform of the antisymmetric part K of A: (I − K)(I + K)⁻¹, an orthogonal matrix. I + K is never singular."""
    K = (A - A.T) / 2
    one = torch.eye(K.shape[0], dtype=K.dtype, device=K.device)
    # Both factors commute.
    found: torch.Tensor = torch.linalg.solve(one + K, one - K)
    return found
