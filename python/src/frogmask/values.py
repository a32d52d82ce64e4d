"""The kept weights of one parameter: what an optimizer sees of them, and how they get there and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import torch

from frogmask.distributed import Shard, is_sharded, like_parameter, local_part, whole
from frogmask.errors import UsageError
from frogmask.placement import Placement
from frogmask.rng import key_of, normals

Decay = Literal["pretrained", "zero"]
Init = Literal["pretrained", "frog", "frog-add"]


class KeptValues:
    """The kept weights of one parameter.

    `value` is what an optimizer trains: float32, one number for each kept weight that this rank holds.
    With decay "pretrained" it is the distance from the pretrained weight, so that weight decay of any kind pulls towards that.
    With decay "zero" it is the weight itself.

    Invariant: after `write`, the parameter holds `master()`, rounded to its type, at the kept positions.
    Nothing here ever writes to another position.

    Attributes:
        placement: Which weights are kept.
        parameter: The model's parameter.
        value: float32 [k], or a DTensor whose local part it is; ends with zeros where another rank holds more weights.
        origin: The pretrained weights, in the parameter's type, [k] without those zeros.
        indices: Flat positions in this rank's part of the parameter, [k].
        order: The numbers of these weights among all K of the placement, int64 [k]; None if this rank holds all of them.
        left: Positions in this rank's part that an earlier mask kept and this one does not, with their pretrained weights.
    """

    def __init__(self, placement: Placement, parameter: torch.nn.Parameter, decay: Decay) -> None:
        self.placement = placement
        self.parameter = parameter
        self.decay = decay
        self.shard = Shard.of(placement.parameter, parameter)
        device = local_part(parameter).device
        order, local = self.shard.select(placement.indices)
        self.order = None if order is None else order.to(device)
        self.indices = _narrow(local, local_part(parameter).numel()).to(device)
        self.origin = gather(local_part(parameter).detach(), self.indices)
        self.left = (self.indices[:0], self.origin[:0])
        self.value: torch.nn.Parameter
        self._written = -1

    @property
    def count(self) -> int:
        """How many kept weights this rank holds."""
        return self.indices.numel()

    def make_value(self, room: int) -> None:
        """Makes `value`, with what the parameter holds now.

        Args:
            room: Its length on this rank: the largest `count` of all ranks that share the parameter.
        """
        numbers = torch.zeros(room, dtype=torch.float32, device=self.origin.device)
        self.value = torch.nn.Parameter(like_parameter(numbers, self.parameter))
        self.set_master(self.origin)
        self._written = self.version()

    def numbers(self) -> torch.Tensor:
        """The memory of `value` on this rank, without the zeros at its end: float32 [k]."""
        return local_part(self.value).detach()[: self.count]

    def master(self) -> torch.Tensor:
        """The kept weights before they are rounded to the parameter's type: [k], float32 or better."""
        if self.decay == "zero":
            return self.numbers()
        return self.origin.to(torch.promote_types(self.origin.dtype, torch.float32)) + self.numbers()

    def set_master(self, weights: torch.Tensor) -> None:
        """Makes `master()` equal to some weights, [k], but for rounding; `write` has to follow."""
        wide = weights.to(torch.promote_types(self.origin.dtype, torch.float32))
        self.numbers().copy_(wide if self.decay == "zero" else wide - self.origin.to(wide.dtype))

    def start(self, init: Init, alpha: float, seed: int) -> None:
        """Makes the start that FROG describes, alpha·S·N(0,1), of the weights or of their distance from the pretrained ones."""
        key = key_of(seed, "init", *self.placement.tensors)
        drawn = normals(key, self.mine(self.placement.indices.cpu()).numpy())
        scaled = np.float32(alpha) * self.mine(self.placement.scores.cpu()).numpy().astype(np.float32) * drawn
        noise = torch.from_numpy(scaled).to(self.origin.device)
        if init == "frog-add" and self.decay == "pretrained":
            self.numbers().copy_(noise)
        else:
            self.set_master(noise + self.origin if init == "frog-add" else noise)

    def take_gradient(self) -> torch.Tensor | None:
        """The gradient of the kept weights, float32 [k]; the parameter's own gradient is freed."""
        gradient = self.parameter.grad
        if gradient is None:
            return None
        self.parameter.grad = None
        return gather(local_part(gradient), self.indices).float()

    def add_gradient(self, part: torch.Tensor) -> None:
        """Adds to the gradient of `value`."""
        if self.value.grad is not None:
            local_part(self.value.grad)[: self.count] += part
            return
        room = local_part(self.value).numel()
        if room > part.numel():
            part = torch.cat([part, part.new_zeros(room - part.numel())])
        self.value.grad = like_parameter(part, self.parameter)

    @torch.no_grad()
    def write(self) -> None:
        """Writes the kept weights to the parameter, rounded to its type."""
        scatter(local_part(self.parameter).detach(), self.indices, self.master().to(self.origin.dtype))
        self._written = self.version()

    def version(self) -> int:
        """A number that grows whenever something changes `value` in place."""
        # An operation on a DTensor counts as a change of the DTensor, not of its local part.
        return self.value._version + local_part(self.value)._version

    def is_written(self) -> bool:
        """Whether the parameter has what `value` says."""
        return self._written == self.version()

    def follow(self) -> None:
        """Moves everything to the device of the parameter, which may have moved after this was made."""
        device = local_part(self.parameter).device
        if self.origin.device == device:
            return
        if is_sharded(self.parameter):
            raise UsageError(f"'{self.placement.parameter}': the sharded parameter has moved to {device}; build SparseTuning afterwards")
        was_written = self.is_written()
        self.indices, self.origin = self.indices.to(device), self.origin.to(device)
        self.left = (self.left[0].to(device), self.left[1].to(device))
        self.value.data = self.value.data.to(device)
        if self.value.grad is not None:
            self.value.grad = None
        self._written = self.version() if was_written else -1

    def mine(self, numbers: torch.Tensor) -> torch.Tensor:
        """Of numbers for all kept weights, [K], those of this rank, [k]."""
        return numbers if self.order is None else numbers[self.order.to(numbers.device)]

    def whole(self, numbers: torch.Tensor) -> torch.Tensor:
        """This rank's numbers, [k], and those of all others: [K], in the order of `placement.indices`. Collective where sharded."""
        return whole(numbers, self.order, self.placement.indices.numel(), self.parameter)

    def successor(self, placement: Placement) -> tuple[KeptValues, torch.Tensor, torch.Tensor]:
        """The values of another mask of the same parameter; `make_value` is left to the caller.

        Returns:
            The values, with the pretrained weights known from this and earlier masks; and of the positions in both masks the
            numbers in the new and in the old `value`, int64.
        """
        new = KeptValues(placement, self.parameter, self.decay)
        known = torch.cat([self.indices, self.left[0].to(self.indices.dtype)])
        origins = torch.cat([self.origin, self.left[1]])
        known, by = known.sort()
        there, at = _find(known, new.indices)
        new.origin[there] = origins[by[at]]
        is_left = ~_find(new.indices, known)[0]
        new.left = (known[is_left], origins[by[is_left]])
        in_both, old_at = _find(self.indices, new.indices)
        return new, in_both.nonzero().squeeze(1), old_at

    def weights_left(self) -> torch.Tensor:
        """The weights that training has left at the positions of `left`: in the parameter's type."""
        return gather(local_part(self.parameter).detach(), self.left[0])

    def nothing(self) -> Placement:
        """The placement of a mask that keeps none of this parameter's weights."""
        return replace(self.placement, indices=self.placement.indices[:0], scores=self.placement.scores[:0])


def gather(tensor: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Elements by their flat row-major positions, whatever the layout in memory; of a sparse gradient too.

    Args:
        tensor: Any shape.
        indices: Integers, [k], ascending.

    Returns:
        [k], a copy.
    """
    if tensor.layout == torch.sparse_coo:
        return _gather_rows(tensor.coalesce(), indices.long())
    if tensor.is_contiguous():
        return tensor.view(-1).index_select(0, indices)
    return torch.take(tensor, indices.long())


def scatter(tensor: torch.Tensor, indices: torch.Tensor, values: torch.Tensor) -> None:
    """Replaces elements by their flat row-major positions, whatever the layout in memory."""
    if tensor.is_contiguous():
        tensor.view(-1).index_put_((indices,), values)
    else:
        tensor.put_(indices.long(), values)


def _gather_rows(tensor: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Elements of the gradient that an embedding with sparse=True makes: the rows that it looked up."""
    rows, values = tensor.indices()[0], tensor.values()
    width = values[:1].numel() if rows.numel() else 1
    there, at = _find(rows, indices // width)
    found = torch.zeros(indices.numel(), dtype=values.dtype, device=values.device)
    found[there] = values.reshape(-1)[at * width + (indices % width)[there]]
    return found


def _find(sorted_numbers: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Which of the wanted numbers there are, [k] of bool, and where those are, int64."""
    at = torch.searchsorted(sorted_numbers, wanted.to(sorted_numbers.dtype))
    there = at < sorted_numbers.numel()
    there[there.clone()] = sorted_numbers[at[there]] == wanted[there]
    return there, at[there]


def _narrow(indices: torch.Tensor, size: int) -> torch.Tensor:
    """Positions in half the memory where they fit: below 2³¹ elements."""
    return indices.to(torch.int32 if size < 2**31 else torch.int64)
