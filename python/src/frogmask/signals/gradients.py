"""Means of |G| or G² of a model's parameters over several backward passes, kept in files.

A parameter's gradient is added to its file as soon as the backward pass has it, and freed. So no more gradients are alive than the
backward pass itself holds, and nothing of the size of the model is in memory but the model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from frogmask.errors import FormatError, UsageError, WriteError
from frogmask.signals.folder import pieces


class GradientMeans:
    """Adds up what every backward pass gives while the block is active.

    Other parameters of the model need no gradient in the block, and afterwards everything is as it was.

    Example:
        with GradientMeans(model, {"weight": model.weight}, work, squared=False) as means:
            for batch in batches:
                loss(model, batch).backward()
                means.step()
            means.of("weight") / means.steps    # the mean of |G|

    Attributes:
        steps: The number of backward passes.
    """

    def __init__(self, model: nn.Module, parameters: Mapping[str, nn.Parameter], work: Path, *, squared: bool) -> None:
        """Args:
        model: The model.
        parameters: Those whose gradients are wanted, by name.
        work: A folder for temporary files, which together become as large as the parameters in float32.
        squared: Whether G² is meant, not |G|.
        """
        self._parameters = parameters
        self._work = work
        self._squared = squared
        self.steps = 0
        self._seen: set[str] = set()
        self._files: dict[str, Path] = {}
        self._before = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> GradientMeans:
        for parameter, _, _ in self._before:
            parameter.grad = None
            parameter.requires_grad_(False)
        for name, parameter in self._parameters.items():
            parameter.requires_grad_(True)
            self._hooks.append(parameter.register_post_accumulate_grad_hook(self._hook(name)))  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for hook in self._hooks:
            hook.remove()
        for parameter, needs_gradient, gradient in self._before:
            parameter.requires_grad_(needs_gradient)
            parameter.grad = gradient

    def step(self) -> None:
        """Ends a backward pass; a parameter without a gradient in it had one of zeros."""
        self._seen.clear()
        self.steps += 1

    def of(self, name: str) -> torch.Tensor:
        """The sum over all steps, float32, of the parameter's shape; mapped from its file, and zeros if no step had a gradient."""
        shape = self._parameters[name].shape
        if name not in self._files:
            return torch.zeros((), dtype=torch.float32).expand(shape)
        return torch.from_numpy(np.memmap(self._files[name], np.float32, "r+", shape=tuple(shape)))

    def forget(self, name: str) -> None:
        """Removes the file of a parameter."""
        path = self._files.pop(name, None)
        if path is not None:
            path.unlink()

    def _hook(self, name: str) -> Callable[[torch.Tensor], None]:
        def fold(parameter: torch.Tensor) -> None:
            gradient, parameter.grad = parameter.grad, None
            if name in self._seen:
                raise UsageError(f"parameter '{name}' gets its gradient in pieces: use gradient checkpointing with use_reentrant=False")
            self._seen.add(name)
            if gradient is not None:
                self._add(name, gradient.to_dense() if gradient.is_sparse else gradient)

        return fold

    def _add(self, name: str, gradient: torch.Tensor) -> None:
        """Adds |G| or G² of one backward pass to the file of a parameter, piece by piece."""
        is_first = name not in self._files
        path = self._files.setdefault(name, self._work / f"{len(self._files)}.sums")
        try:
            with open(path, "w+b" if is_first else "r+b", buffering=0) as file:
                offset = 0
                for piece in pieces(gradient):
                    part = piece.detach().to("cpu", torch.float32)
                    values: npt.NDArray[np.float32] = (part.square() if self._squared else part.abs()).contiguous().numpy()
                    if not is_first:
                        values += np.frombuffer(os.pread(file.fileno(), values.nbytes, offset), np.float32).reshape(values.shape)
                    if not bool(np.isfinite(values).all()):
                        raise FormatError(f"the gradient of parameter '{name}' is not finite in step {self.steps + 1}: use --dtype float32")
                    left = memoryview(values.data).cast("B")
                    while left:
                        written = os.pwrite(file.fileno(), left, offset)
                        offset, left = offset + written, left[written:]
        except OSError as error:
            raise WriteError(f"cannot write to {self._work.parent}: {error.strerror or error}") from None
