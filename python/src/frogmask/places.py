"""The place of a checkpoint's tensor in a parameter of a loaded model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from frogmask.errors import FormatError, MatchError
from frogmask.names import NearestNames, ParameterNames
from frogmask.parts import sizes

TRAINABLE = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Place:
    """Where a tensor of the checkpoint lies in a parameter.

    Element (i₀, i₁, …) of the tensor is the parameter's element at `start`, plus i_d along axis `axes[d]`.

    Attributes:
        tensor: The name of the tensor.
        shape: The shape of the tensor.
        parameter: The name in `model.named_parameters()`.
        parameter_shape: The full shape of the parameter.
        start: The parameter's element that is the first of the tensor.
        axes: The axis of the parameter for every dimension of the tensor.
    """

    tensor: str
    shape: tuple[int, ...]
    parameter: str
    parameter_shape: tuple[int, ...]
    start: tuple[int, ...]
    axes: tuple[int, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the tensor is the parameter, so that flat positions are the same."""
        return self.shape == self.parameter_shape and self.axes == tuple(range(len(self.shape)))

    def positions(self, flat: torch.Tensor) -> torch.Tensor:
        """Flat positions in the parameter, int64 [K], of flat positions in the tensor, int64 [K]; in the same order."""
        if self.is_whole:
            return flat
        strides = [math.prod(self.parameter_shape[axis + 1 :]) for axis in range(len(self.parameter_shape))]
        found = torch.full_like(flat, sum(first * stride for first, stride in zip(self.start, strides)))
        rest = flat
        for size, axis in zip(reversed(self.shape), reversed(self.axes)):
            found += rest % size * strides[axis]
            rest = rest // size
        return found

    def region(self, part: tuple[slice | int, ...]) -> tuple[slice | int, ...]:
        """What selects a part of the tensor in the parameter.

        Args:
            part: A slice with explicit ends, or a number, for every dimension of the tensor.
        """
        found: list[slice | int] = list(self.start)
        for axis, item in zip(self.axes, part):
            first = self.start[axis]
            found[axis] = slice(first + item.start, first + item.stop, item.step) if isinstance(item, slice) else first + item
        return tuple(found)


@dataclass(frozen=True)
class Unmatched:
    """A tensor of the checkpoint that the model has no parameter for.

    Attributes:
        name: The name of the tensor.
        nearest: The model's name that is most like it; None if none is, or if the model is known not to load the tensor.
        kept: The number of kept weights that are lost with it.
    """

    name: str
    nearest: str | None
    kept: int = 0

    def __str__(self) -> str:
        return f"'{self.name}' (nearest: '{self.nearest}')" if self.nearest else f"'{self.name}'"


@dataclass(frozen=True)
class Wanted:
    """A tensor whose place is looked for.

    Attributes:
        name: Its name in the checkpoint.
        shape: Its shape; rows × columns is enough for a convolution.
        is_whole: Whether the shape may be that of a convolution, seen as a matrix.
        kept: The number of kept weights.
    """

    name: str
    shape: tuple[int, ...]
    is_whole: bool
    kept: int


def locate(
    tensors: Iterable[Wanted], entries: Mapping[str, Any], model: nn.Module, source: str
) -> tuple[list[Place], tuple[Unmatched, ...]]:
    """Finds the places of tensors in a model.

    Args:
        tensors: What to look for.
        entries: The `tensors` of names.json.
        model: The loaded model.
        source: The file that names the tensors, for errors.

    Returns:
        The places of those that are found, in their order, and the others.

    Raises:
        MatchError: None is found, shapes differ, or weights are quantized or not loaded.
    """
    names = ParameterNames(model)
    places: list[Place] = []
    missing: list[tuple[Wanted, str | None]] = []
    for wanted in tensors:
        entry = entries.get(wanted.name)
        if entry is not None and not isinstance(entry, dict):
            raise FormatError(f"{source}: the place of '{wanted.name}' is garbled; make or copy the masks again")
        if entry is not None and entry.get("parameter") is None:
            missing.append((wanted, None))
            continue
        name = wanted.name if entry is None else str(entry["parameter"])
        parameter = names.find(name)
        if parameter is None:
            missing.append((wanted, name))
            continue
        check_weights(parameter, names.parameters[parameter])
        places.append(_place(wanted, entry, parameter, tuple(names.parameters[parameter].shape), source))
    nearest = NearestNames(names, {place.parameter for place in places} if missing else names.parameters)
    unmatched = tuple(Unmatched(wanted.name, None if name is None else nearest.find(name), wanted.kept) for wanted, name in missing)
    if not places:
        if not unmatched:
            raise MatchError(f"{source} names no tensor")
        raise MatchError(
            f"{source}: the model has none of its {len(unmatched)} tensors, such as {unmatched[0]}; it belongs to another model, or its "
            f"modules were renamed{_hint(entries)}"
        )
    return places, unmatched


def check_weights(name: str, parameter: nn.Parameter) -> None:
    """Refuses a parameter that holds no weights of floating point.

    Raises:
        MatchError: It is quantized or not loaded; names it.
    """
    if parameter.device.type == "meta":
        raise MatchError(f"parameter '{name}' is on the meta device: load the weights of the model first")
    if parameter.dtype not in TRAINABLE:
        kind = str(parameter.dtype).removeprefix("torch.")
        raise MatchError(f"parameter '{name}' is {kind}, not a weight that can be changed alone: load the model in BF16 or F32")


def _place(wanted: Wanted, entry: Mapping[str, Any] | None, name: str, shape: tuple[int, ...], source: str) -> Place:
    mismatch = MatchError(
        f"'{wanted.name}' is {list(wanted.shape)} in {source}, and parameter '{name}' is {list(shape)}: they belong to different "
        f"models{_hint({} if entry is None else {wanted.name: entry})}"
    )
    if entry is None:
        if not _is_same(wanted, shape):
            raise mismatch
        return Place(wanted.name, shape, name, shape, (0,) * len(shape), tuple(range(len(shape))))
    try:
        recorded, start, axes = sizes(entry["shape"]), sizes(entry["start"]), sizes(entry["axes"])
        if len(start) != len(recorded) or len(set(axes)) != len(axes) or any(axis >= len(recorded) for axis in axes):
            raise ValueError("axes")
    except (KeyError, ValueError) as error:
        raise FormatError(f"{source}: the place of '{wanted.name}' is garbled ({error}); make or copy the masks again") from None
    tensor = wanted.shape
    if len(axes) != len(tensor):
        tensor = tuple(recorded[axis] for axis in axes)
    ends = {axis: start[axis] + size for axis, size in zip(axes, tensor)}
    if recorded != shape or not _is_same(wanted, tensor) or any(end > recorded[axis] for axis, end in ends.items()):
        raise mismatch
    if any(first >= recorded[axis] for axis, first in enumerate(start) if axis not in ends):
        raise mismatch
    return Place(wanted.name, tensor, name, shape, start, axes)


def _is_same(wanted: Wanted, shape: tuple[int, ...]) -> bool:
    if wanted.shape == shape:
        return True
    # The mask of a convolution knows its rows and columns: outputs × (inputs · height · width).
    return wanted.is_whole and len(shape) > 2 and wanted.shape == (shape[0], math.prod(shape[1:]))


def _hint(entries: Mapping[str, Any]) -> str:
    return "" if entries else " (transformers 5 renames and stacks some: masks made with --names transformers5 say how)"
