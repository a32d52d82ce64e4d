"""Parameters that are spread over ranks: which part of one lies here, and sums over ranks.

FSDP2 makes each parameter a DTensor, of which every rank holds some rows.
Kept values follow: every rank has those of its own rows, as a DTensor too, so that gradient clipping and scaling see all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from frogmask.errors import UsageError

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor, Placement


def is_sharded(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a DTensor."""
    if not dist.is_available():
        return False
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)


def local_part(tensor: torch.Tensor) -> torch.Tensor:
    """What this rank holds of a tensor: the same memory."""
    if not is_sharded(tensor):
        return tensor
    sharded: DTensor = tensor  # type: ignore[assignment]
    local: torch.Tensor = sharded._local_tensor
    return local


@dataclass(frozen=True, eq=False)
class Shard:
    """The block of a parameter that this rank holds.

    Attributes:
        shape: The shape of the whole parameter.
        start: The first position of the block along every dimension.
        size: The shape of the block.
    """

    shape: tuple[int, ...]
    start: tuple[int, ...]
    size: tuple[int, ...]

    @classmethod
    def of(cls, name: str, parameter: torch.Tensor) -> Shard:
        """The block that this rank holds; the whole parameter if it is not a DTensor.

        Raises:
            UsageError: The parameter is sharded in a way that is not known here.
        """
        shape = tuple(parameter.shape)
        start, size = [0] * len(shape), list(shape)
        if is_sharded(parameter):
            sharded: DTensor = parameter  # type: ignore[assignment]
            coordinate = sharded.device_mesh.get_coordinate()
            if coordinate is None:
                raise UsageError(f"'{name}': this rank is not in the parameter's device mesh; leave the parameter out of the mask")
            for axis, placement in enumerate(sharded.placements):
                if placement.is_replicate():
                    continue
                if not _is_plain_shard(placement):
                    raise UsageError(f"'{name}': a parameter with placement {placement} cannot be tuned; shard it by FSDP2 alone")
                dimension = placement.dim  # type: ignore[attr-defined]
                # As torch.chunk: blocks of equal size, the last ones smaller or empty.
                chunk = -(-size[dimension] // sharded.device_mesh.size(axis))
                begin = min(coordinate[axis] * chunk, size[dimension])
                start[dimension] += begin
                size[dimension] = min(chunk, size[dimension] - begin)
            if tuple(size) != tuple(local_part(parameter).shape):
                raise UsageError(f"'{name}': this rank holds {tuple(local_part(parameter).shape)}, not {tuple(size)}; shard it by FSDP2")
        return cls(shape, tuple(start), tuple(size))

    def select(self, indices: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Which of some positions lie in the block.

        Args:
            indices: Flat row-major positions in the parameter, int64 [K].

        Returns:
            Their numbers among `indices`, int64 [k], or None for all, and their flat positions in the block, int64 [k].
        """
        if self.size == self.shape:
            return None, indices
        inside = torch.ones_like(indices, dtype=torch.bool)
        local = torch.zeros_like(indices)
        stride = math.prod(self.shape)
        for whole, start, size in zip(self.shape, self.start, self.size):
            stride //= max(whole, 1)
            position = indices // stride % whole - start
            inside &= (position >= 0) & (position < size)
            local = local * size + position
        order = inside.nonzero().squeeze(1)
        return order, local[order]

    def outside(self, local: torch.Tensor) -> torch.Tensor:
        """Flat positions in the parameter, int64 [k], of flat positions in the block: the inverse of `select`."""
        found = torch.zeros_like(local, dtype=torch.int64)
        rest, stride = local.long(), 1
        for whole, start, size in zip(reversed(self.shape), reversed(self.start), reversed(self.size)):
            found += (rest % max(size, 1) + start) * stride
            rest, stride = rest // max(size, 1), stride * whole
        return found


def _is_plain_shard(placement: Placement) -> bool:
    from torch.distributed.tensor import Shard as PlainShard

    return type(placement) is PlainShard


def largest_counts(parameters: Sequence[torch.Tensor], counts: Sequence[int]) -> list[int]:
    """The largest of a count over the ranks that share a parameter, for each of some parameters.

    Collective where a parameter is a DTensor: every rank calls it with the same parameters.
    """
    found = list(counts)
    groups: dict[int, tuple[dist.ProcessGroup, list[int]]] = {}
    for number, parameter in enumerate(parameters):
        for group in _groups(parameter):
            groups.setdefault(id(group), (group, []))[1].append(number)
    for group, numbers in groups.values():
        device = local_part(parameters[numbers[0]]).device
        sizes = torch.tensor([found[number] for number in numbers], device=device)
        dist.all_reduce(sizes, dist.ReduceOp.MAX, group)
        for number, size in zip(numbers, sizes.tolist()):
            found[number] = size
    return found


def like_parameter(values: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """A vector of this rank's values, spread as its parameter is.

    Args:
        values: [k], with the same k on all ranks that share the parameter.
        parameter: A DTensor, or not.

    Returns:
        `values`, or a DTensor whose local part they are.
    """
    if not is_sharded(parameter):
        return values
    from torch.distributed.tensor import DTensor
    from torch.distributed.tensor import Shard as PlainShard

    sharded: DTensor = parameter  # type: ignore[assignment]
    spread = [placement if placement.is_replicate() else PlainShard(0) for placement in sharded.placements]
    return DTensor.from_local(values, sharded.device_mesh, spread, run_check=False)


def whole(values: torch.Tensor, order: torch.Tensor | None, count: int, parameter: torch.Tensor) -> torch.Tensor:
    """The values of all ranks in one vector, on every rank; bit for bit.

    Collective where the parameter is a DTensor.

    Args:
        values: This rank's, [k].
        order: Their numbers in the result, int64 [k]; None if this rank has all of them.
        count: The length of the result.
        parameter: Whose values they are.
    """
    full = values
    if order is not None:
        full = torch.zeros(count, dtype=values.dtype, device=values.device)
        full[order] = values
    # Each number is on one rank and all others have zero bits there, so a sum of bits is the bits.
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[full.element_size()]
    for group in _groups(parameter):
        words = full.view(bits).to(torch.int64)  # no backend sums 16-bit integers
        dist.all_reduce(words, dist.ReduceOp.SUM, group)
        full = words.to(bits).view(values.dtype)
    return full


def joined(tensor: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Vectors of any length, those of all ranks that a parameter is split over behind each other; on the CPU.

    Collective where the parameter is a DTensor.
    """
    found = tensor.cpu()
    for group in _groups(parameter):
        parts: list[torch.Tensor] = [found] * dist.get_world_size(group)
        dist.all_gather_object(parts, found, group)
        found = torch.cat(parts)
    return found


def average(tensors: Iterable[torch.Tensor], group: dist.ProcessGroup | None) -> None:
    """Replaces float32 vectors by their mean over ranks, all in one message.

    Collective: every rank calls it with as many vectors of the same sizes.
    """
    several = list(tensors)
    message = torch.cat(several)
    dist.all_reduce(message, dist.ReduceOp.SUM, group)
    message /= dist.get_world_size(group)
    start = 0
    for tensor in several:
        tensor.copy_(message[start : start + tensor.numel()])
        start += tensor.numel()


def _groups(parameter: torch.Tensor) -> list[dist.ProcessGroup]:
    """The groups of ranks along which a DTensor is split."""
    if not is_sharded(parameter):
        return []
    sharded: DTensor = parameter  # type: ignore[assignment]
    mesh = sharded.device_mesh
    return [mesh.get_group(axis) for axis, placement in enumerate(sharded.placements) if not placement.is_replicate()]
