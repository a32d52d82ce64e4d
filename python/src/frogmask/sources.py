"""What SparseTuning and FrozenNoise take as masks: what `frogmask.load` gives, or placements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import nn

from frogmask.errors import MatchError, UsageError
from frogmask.placement import Placement


class MatchLike(Protocol):
    """Where the kept weights of masks lie in a model: a `frogmask.Match` is one."""

    @property
    def placements(self) -> Sequence[Placement]: ...

    def check(self) -> None:
        """Raises a MatchError if kept weights have no parameter."""

    def to_checkpoint(self, values: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Values by tensor of the checkpoint, from values by parameter."""


class MasksLike(Protocol):
    """What can tell which weights of a model it keeps: `frogmask.Masks` can."""

    def match(self, model: nn.Module) -> MatchLike: ...


MasksOrPlacements = MasksLike | Sequence[Placement]


def placements_of(model: nn.Module, masks: MasksOrPlacements, strict: bool = True) -> tuple[list[Placement], MatchLike | None]:
    """What masks select in a model, and the match that says so; None for placements.

    Raises:
        MatchError: Masks have no parameter in the model, unless `strict` is False.
    """
    if isinstance(masks, Sequence):
        return list(masks), None
    match = masks.match(model)
    if strict:
        match.check()
    return list(match.placements), match


def parameters_of(model: nn.Module, placements: Sequence[Placement]) -> dict[str, nn.Parameter]:
    """The parameters of some placements by name, all of them checked.

    Raises:
        UsageError: A parameter has no weights that could be trained.
        MatchError: The placements do not fit the model.
    """
    refuse_wrapped(model)
    if any(type(module).__name__ == "FullyShardedDataParallel" for module in model.modules()):
        raise UsageError("FSDP1 flattens parameters, so that masks do not fit; shard the model with torch.distributed.fsdp.fully_shard")
    known = dict(model.named_parameters())
    found: dict[str, nn.Parameter] = {}
    for placement in placements:
        name = placement.parameter
        parameter = known.get(name)
        if parameter is None:
            raise MatchError(f"'{name}': the model has no such parameter; load the model that the masks were made of")
        if name in found:
            raise UsageError(f"'{name}' has two placements; put their indices in one")
        if tuple(parameter.shape) != tuple(placement.shape):
            raise MatchError(f"'{name}': the mask is for the shape {list(placement.shape)}, the model has {list(parameter.shape)}")
        if parameter.is_meta:
            raise UsageError(f"'{name}' is on the meta device and has no weights; load them first")
        if not parameter.is_floating_point() or parameter.element_size() < 2:
            raise UsageError(f"'{name}': weights of type {parameter.dtype} cannot be trained; load the model in bfloat16 or float32")
        indices = placement.indices
        in_range = indices.numel() == 0 or (int(indices[0]) >= 0 and int(indices[-1]) < parameter.numel())
        if not in_range or bool((indices.diff() <= 0).any()):
            raise MatchError(f"'{name}': indices do not ascend from 0 to {parameter.numel() - 1}; make the mask again")
        found[name] = parameter
    return found


def refuse_wrapped(model: nn.Module) -> None:
    """Refuses a model that DistributedDataParallel has wrapped already: it would not see what is trained.

    Raises:
        UsageError: It is.
    """
    if any(type(module).__name__ == "DistributedDataParallel" for module in model.modules()):
        raise UsageError("give the model itself, before DistributedDataParallel wraps it: ddp.module")
