"""Saving what a SparseTuning has trained, as a patch of the checkpoint."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
import torch.distributed as dist
from torch import nn

from frogmask.distributed import local_part, whole
from frogmask.errors import UsageError
from frogmask.values import gather

if TYPE_CHECKING:
    from frogmask.masks import Masks
    from frogmask.matching import Match
    from frogmask.tuning import SparseTuning


def save(tuning: SparseTuning, directory: str | os.PathLike[str], base_model: str | None) -> None:
    """Writes a patch of all weights that training may have changed; see `SparseTuning.save`."""
    from frogmask.patch import save as write_patch

    if not tuning.knows_checkpoint:
        raise UsageError("this SparseTuning was made of placements, which know no checkpoint; make it of what frogmask.load gives")
    sources = cast("list[tuple[Masks, Match]]", tuning.sources)
    masks, match = sources[-1]
    if len(sources) == 1:
        values = match.to_checkpoint(tuning.values())
    else:
        union = _Union(sources)
        values = union.values(tuning)
        masks = cast("Masks", union)
    for name, batches in running_statistics(tuning.model).items():
        if batches != tuning.statistics.get(name):
            problem = f"the running statistics of '{name}' have changed, and a patch has only weights"
            warnings.warn(f"{problem}: train the module in eval()", stacklevel=3)
            break
    together = dist.is_available() and dist.is_initialized()
    if not together or dist.get_rank() == 0:
        write_patch(directory, masks, values, base_model=base_model)
    if together:
        dist.barrier()


def running_statistics(model: nn.Module) -> dict[str, int]:
    """How many batches each module with running statistics has seen."""
    found = {name: getattr(module, "num_batches_tracked", None) for name, module in model.named_modules()}
    return {name: int(batches) for name, batches in found.items() if isinstance(batches, torch.Tensor) and not batches.is_meta}


@dataclass(frozen=True, eq=False)
class _UnionMask:
    """What any of several masks keep of one tensor; attributes as those of `frogmask.Mask`."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    kept: int
    is_whole: bool
    indices: torch.Tensor


class _Union:
    """Several masks of one checkpoint as one, with what `patch.save` needs of it.

    After `SparseTuning.update`, weights that only earlier masks keep are not what they were in the checkpoint either.
    """

    def __init__(self, sources: Sequence[tuple[Masks, Match]]) -> None:
        last, self.match = sources[-1]
        self.folder, self.record, self.matrices, self.names = last.folder, last.record, last.matrices, last.names
        self.masks: dict[str, _UnionMask] = {}
        for masks, _ in sources:
            if masks.fingerprint != last.fingerprint:
                raise UsageError(f"{masks.folder} and {last.folder} are masks of different checkpoints; a patch belongs to one")
        for name, mask in last.items():
            indices = torch.unique(torch.cat([masks[name].indices for masks, _ in sources if name in masks]))
            self.masks[name] = _UnionMask(name, mask.shape, mask.dtype, indices.numel(), mask.is_whole, indices)

    def __contains__(self, name: object) -> bool:
        return name in self.masks

    def __getitem__(self, name: str) -> _UnionMask:
        return self.masks[name]

    def values(self, tuning: SparseTuning) -> dict[str, torch.Tensor]:
        """The weights as they are in the model, by tensor of the checkpoint. Collective where the model is sharded."""
        found = {}
        for name, place in self.match.places.items():
            kept = tuning.kept.get(place.parameter)
            if kept is None:
                continue
            positions = place.positions(self.masks[name].indices)
            order, local = kept.shard.select(positions)
            part = gather(local_part(kept.parameter).detach(), local.to(kept.origin.device))
            there = None if order is None else order.to(kept.origin.device)
            found[name] = whole(part, there, positions.numel(), kept.parameter)
        return found
