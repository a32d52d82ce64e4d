"""SMT: some blocks of a weight are trained, and nothing else. Blocks are a mask, so a `SparseTuning` trains them.

He et al., "Sparse Matrix in Large Language Model Fine-tuning", ICLR 2025.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
import torch.distributed as dist
from torch import nn

from frogmask.errors import FormatError, UsageError
from frogmask.matching import Match
from frogmask.methods.base import refuse_second
from frogmask.methods.folder import AdapterFolder
from frogmask.placement import Placement
from frogmask.places import Place, Wanted, locate
from frogmask.tuning import SparseTuning
from frogmask.values import Decay

if TYPE_CHECKING:
    from frogmask.masks import Masks

METHOD = "smt"


def attach(
    model: nn.Module,
    directory: str | os.PathLike[str],
    *,
    decay: Decay = "pretrained",
    process_group: dist.ProcessGroup | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> SparseTuning:
    """Makes a SparseTuning of the blocks: its `attach(optimizer)` and `save(patch)` do the rest (docs/guide/tune.md).

    Its values are written to the model after every step, so there is nothing to merge, and `frogmask.apply` loads what it saves.

    Args:
        model: As `SparseTuning` wants it.
        directory: What `frog-mpi export smt` has written.
        decay: As in `SparseTuning`.
        process_group: As in `SparseTuning`.
        checkpoint: The checkpoint of the model: its fingerprint is compared, which reads all of its weight matrices.

    Raises:
        MatchError: The folder does not fit the model, or belongs to another checkpoint.
        FormatError: The folder lacks or garbles something.
        UsageError: The model is tuned already, or the folder is of another method.
    """
    refuse_second(model)
    blocks = BlockMasks(AdapterFolder(directory, METHOD, checkpoint))
    return SparseTuning(model, blocks, decay=decay, process_group=process_group)


@dataclass(frozen=True, eq=False)
class BlockMask:
    """The chosen blocks of one weight; attributes as those of `frogmask.Mask`.

    Attributes:
        blocks: The row and the column of each block in blocks, ascending, int64 [number, 2].
        side: The rows and columns of a block; those at the lower and right edges of a weight may be smaller.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    blocks: torch.Tensor
    side: int
    is_whole: bool = True

    @property
    def kept(self) -> int:
        """The number of weights in the blocks."""
        heights, widths = (self._sizes(axis) for axis in (0, 1))
        return int((heights * widths).sum())

    @property
    def indices(self) -> torch.Tensor:
        """Flat row-major positions of the weights in the blocks, ascending, int64 [kept]."""
        found = []
        for (top, left), height, width in zip(self.blocks * self.side, self._sizes(0), self._sizes(1)):
            rows, columns = torch.arange(top, top + height), torch.arange(left, left + width)
            found.append((rows[:, None] * self.shape[1] + columns).view(-1))
        return torch.cat(found).sort().values if found else torch.zeros(0, dtype=torch.int64)

    def _sizes(self, axis: int) -> torch.Tensor:
        return (self.shape[axis] - self.blocks[:, axis] * self.side).clamp_max(self.side)


class BlockMasks(Mapping[str, BlockMask]):
    """The blocks of a folder, by the names of the checkpoint's tensors, as the masks that SparseTuning and patches want.

    Blocks have no scores: the starts "frog" and "frog-add" and FrozenNoise have no use for them.
    """

    def __init__(self, source: AdapterFolder) -> None:
        """Reads all blocks.

        Raises:
            FormatError: They do not ascend, or lie outside of their weight.
        """
        self.folder, self.path, self.record = source.folder, source.path, source.record
        self.matrices, self.names, self.fingerprint = source.matrices, source.names, source.fingerprint
        side = source.option("block", int)
        if side < 1:
            raise FormatError(f"{source.path}: parameters.block is {side}; export it again")
        self._masks = {}
        for name, shape in source.shapes.items():
            key = f"{name.removesuffix('.weight')}.blocks"
            blocks = source.integers(key, (source.length(key), 2))
            most = [math.ceil(size / side) for size in shape]
            inside = (blocks >= 0) & (blocks < torch.tensor(most))
            flat = blocks[:, 0] * most[1] + blocks[:, 1]
            if not bool(inside.all()) or bool((flat[1:] <= flat[:-1]).any()):
                raise FormatError(f"{source.folder}: '{key}' does not ascend within {most[0]} × {most[1]} blocks; export it again")
            self._masks[name] = BlockMask(name, shape, str(source.tensors[name].get("dtype")), blocks, side)

    def __getitem__(self, name: str) -> BlockMask:
        return self._masks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)

    def match(self, model: nn.Module) -> Match:
        """Finds the parameters that the blocks lie in; see `frogmask.Masks.match`."""
        wanted = (Wanted(mask.name, mask.shape, mask.is_whole, mask.kept) for mask in self.values())
        places, unmatched = locate(wanted, self.names, model, str(self.path))
        by_parameter: dict[str, Place] = {}
        for place in places:
            if by_parameter.setdefault(place.parameter, place) is not place:
                raise UsageError(
                    f"'{place.tensor}' and '{by_parameter[place.parameter].tensor}' are one parameter of the model; leave one out"
                )
        placements = tuple(self._placement(place) for place in by_parameter.values())
        return Match(placements, unmatched, {place.tensor: place for place in places}, cast("Masks", self))

    def _placement(self, place: Place) -> Placement:
        indices = place.positions(self[place.tensor].indices).sort().values
        nothing = torch.zeros(1).expand(indices.numel())  # no scores, in no memory
        return Placement(place.parameter, place.parameter_shape, indices, nothing, (), (place.tensor,), 0.0, None, None, "block")
