"""LoRA-XS: W' = W + (α/r)·B·R·A, where A = ΣVᵀ and B = U are frozen and R, r × r, is trained.

Bałazy et al., "LoRA-XS: Low-Rank Adaptation with Extremely Small Number of Parameters", 2024.
"""

from __future__ import annotations

import math
import os

import numpy as np
import torch
from torch import nn

from frogmask.errors import FormatError
from frogmask.methods import base
from frogmask.methods.base import Adapter, Init
from frogmask.methods.folder import AdapterFolder
from frogmask.rng import key_of, normals

METHOD = "lora-xs"
DEVIATION = 1e-5
"""The standard deviation of R at the start."""


def attach(
    model: nn.Module,
    directory: str | os.PathLike[str],
    *,
    init: Init = "random",
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Adapter:
    """Adapts the linear layers of a model with what `frog-mpi export lora-xs` has written; see `base.attach`.

    `init="random"` starts with R ~ N(0, 10⁻¹⁰), as published, and `init="zeros"` with exactly the model.
    """
    return base.attach(model, directory, METHOD, LoRAXSLayer, checkpoint, init, seed)


def load(
    model: nn.Module,
    directory: str | os.PathLike[str],
    factors: str | os.PathLike[str] | None = None,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Adapter:
    """Adapts the linear layers of a model with values that `Adapter.save` has written; see `base.load`."""
    return base.load(model, directory, factors, METHOD, LoRAXSLayer, checkpoint)


class LoRAXSLayer(base.Layer):
    """What LoRA-XS adds to one linear layer.

    Attributes:
        A: Σ_r·V_rᵀ, frozen, [r, n].
        B: U_r, frozen, [m, r].
        R: Trained, float32 [r, r].
        scale: α/r, where r is the largest rank in the folder.
    """

    part = "lora_xs"
    keys = {"R": "base_model.model.{}_lora_latent_mapping.weight"}

    def __init__(self, A: torch.Tensor, B: torch.Tensor, scale: float) -> None:
        super().__init__()
        self.A, self.B = base.frozen([A, B])
        self.R = nn.Parameter(torch.zeros(A.shape[0], A.shape[0]))
        self.scale = scale

    @classmethod
    def read(cls, folder: AdapterFolder, tensor: str) -> LoRAXSLayer:
        """Reads A and B; R is zero."""
        (m, n), r, module = folder.shapes[tensor], folder.rank(tensor), tensor.removesuffix(".weight")
        A = folder.floats(f"base_model.model.{module}.lora_A.weight", (r, n))
        B = folder.floats(f"base_model.model.{module}.lora_B.weight", (m, r))
        alpha = folder.option("alpha", (int, float))
        if not math.isfinite(alpha):
            raise FormatError(f"{folder.path}: parameters.alpha is {alpha}; export it again")
        # The scale is the same for all weights, also where some have fewer singular values than others.
        return LoRAXSLayer(A, B, alpha / max(folder.rank(name) for name in folder.tensors))

    def start(self, tensor: str, init: Init, seed: int) -> None:
        """R ~ N(0, 10⁻¹⁰), or zero."""
        super().start(tensor, init, seed)
        if init == "random":
            drawn = normals(key_of(seed, METHOD, tensor), np.arange(self.R.numel(), dtype=np.int64))
            self.R.data = torch.from_numpy(np.float32(DEVIATION) * drawn).view_as(self.R)

    def forward(self, x: torch.Tensor, linear: nn.Linear) -> torch.Tensor:
        """W·x + (α/r)·B·R·A·x."""
        y = nn.functional.linear(x, linear.weight, linear.bias)
        return base.added(y, base.through(x, self.A, self.scale * self.R, self.B))

    def merged(self, linear: nn.Linear) -> torch.Tensor:
        """W + (α/r)·B·R·A."""
        wide = torch.promote_types(self.A.dtype, self.R.dtype)
        A, B, R = self.A.to(wide), self.B.to(wide), self.R.to(wide)
        return linear.weight + self.scale * (B @ (R @ A))

    def leading(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """σ₁ = |A₁|, u₁ = B₁, v₁ = A₁/σ₁."""
        first = self.A[0].to(torch.promote_types(self.A.dtype, torch.float32))
        value = first.norm()
        return value, self.B[:, 0], first / value.clamp_min(torch.finfo(first.dtype).tiny)
