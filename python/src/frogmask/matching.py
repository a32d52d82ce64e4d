"""Maps the masks of a checkpoint to the parameters of a loaded model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from frogmask.errors import FormatError, MatchError
from frogmask.masks import Mask, Masks, Matrix
from frogmask.placement import NoiseBlock, Placement
from frogmask.places import Place, Unmatched, Wanted, locate


@dataclass(frozen=True, eq=False)
class Match:
    """Where the kept weights of masks lie in a loaded model.

    Attributes:
        placements: One for each parameter that masks know, in the order of `model.named_parameters()`.
        unmatched: The tensors of the checkpoint that have no partner in the model.
        places: The place of every matched tensor, by its name in the checkpoint.
        masks: The masks.
    """

    placements: tuple[Placement, ...]
    unmatched: tuple[Unmatched, ...]
    places: Mapping[str, Place] = field(default_factory=dict, repr=False)
    masks: Masks | None = field(default=None, repr=False)

    def check(self) -> None:
        """Refuses a match that loses kept weights.

        Raises:
            MatchError: Tensors with kept weights have no partner; names the first of them.
        """
        lost = [tensor for tensor in self.unmatched if tensor.kept > 0]
        if lost:
            raise MatchError(
                f"{len(lost)} of the tensors with kept weights have no partner in the model: {', '.join(map(str, lost[:3]))}"
                f"{' and others' if len(lost) > 3 else ''}; a module was renamed, or the masks belong to another model"
            )

    def to_checkpoint(self, values: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Brings values of the kept weights from parameters to the tensors of the checkpoint.

        Args:
            values: By parameter, in the order of the placement's indices, [K].

        Returns:
            By tensor of the checkpoint, in the order of its mask's indices, on the CPU.
        """
        if self.masks is None:
            raise MatchError("this match was made without masks, so it knows no tensors of a checkpoint")
        found: dict[str, torch.Tensor] = {}
        for placement in self.placements:
            if placement.parameter not in values:
                continue
            mine = values[placement.parameter].detach().cpu()
            if mine.shape != placement.indices.shape:
                raise MatchError(f"'{placement.parameter}' has {len(placement.indices)} kept weights, not {tuple(mine.shape)}")
            for tensor in placement.tensors:
                positions = self.places[tensor].positions(self.masks[tensor].indices)
                found[tensor] = mine[torch.searchsorted(placement.indices, positions)]
        return found


def match(masks: Masks, model: nn.Module) -> Match:
    """Finds the parameters of a model in which the kept weights of masks lie; see `Masks.match`."""
    wanted = (Wanted(mask.name, mask.shape, mask.is_whole, mask.kept) for mask in masks.values())
    places, unmatched = locate(wanted, masks.names, model, str(masks.path))
    by_parameter: dict[str, list[Place]] = {name: [] for name, _ in model.named_parameters()}
    for place in places:
        by_parameter[place.parameter].append(place)
    placements = tuple(_placement(masks, group) for group in by_parameter.values() if group)
    return Match(placements, unmatched, {place.tensor: place for place in places}, masks)


def _placement(masks: Masks, places: list[Place]) -> Placement:
    """The placement of one parameter, whose tensors lie in it side by side, or share it if it is tied."""
    distinct: dict[tuple[object, ...], tuple[Place, torch.Tensor, torch.Tensor]] = {}
    for place in places:
        key = (place.start, place.axes, place.shape)
        indices, scores = masks[place.tensor].read()
        if key not in distinct:
            distinct[key] = place, indices, scores
        elif not torch.equal(indices, distinct[key][1]):
            first = distinct[key][0]
            raise MatchError(
                f"'{place.tensor}' and '{first.tensor}' are one parameter of the model, '{place.parameter}', and their masks differ: leave "
                "one of them out with --exclude"
            )
    indices = torch.cat([place.positions(indices) for place, indices, _ in distinct.values()])
    scores = torch.cat([scores for _, _, scores in distinct.values()])
    if bool((indices[1:] <= indices[:-1]).any()):
        indices, order = torch.sort(indices)
        scores = scores[order]
        if bool((indices[1:] == indices[:-1]).any()):
            raise FormatError(f"{masks.path}: tensors overlap in parameter '{places[0].parameter}'; make the masks again")
    matrices = [(place, masks[place.tensor], matrix) for place, _, _ in distinct.values() for matrix in masks[place.tensor].matrices]
    first_matrix = matrices[0][2]
    return Placement(
        parameter=places[0].parameter,
        shape=places[0].parameter_shape,
        indices=indices,
        scores=scores,
        noise=tuple(block for place, mask, matrix in matrices for block in _noise(place, mask, matrix)),
        tensors=tuple(place.tensor for place in places),
        importance=math.fsum(matrix.importance for _, _, matrix in matrices),
        stack=first_matrix.stack,
        depth=first_matrix.depth,
        role=first_matrix.role,
    )


def _noise(place: Place, mask: Mask, matrix: Matrix) -> list[NoiseBlock]:
    """The noise factors of a matrix: one block, or one for each run of rows if a slice cannot select them all."""
    part, row, column = matrix.part, *matrix.noise()
    is_slab = matrix.output.is_stack and len(place.shape) > 2
    above = 0 if is_slab else part.slab * part.stored_rows
    leading: tuple[slice | int, ...] = (part.slab,) if is_slab else ()
    row_dimension = len(leading)
    takes_all_columns = part.columns.total == part.stored_columns
    if len(place.shape) - row_dimension > 2 and not takes_all_columns:
        raise FormatError(f"'{matrix.name}' takes some columns of {list(place.shape)}, which is not understood; make the masks again")
    blocks: list[NoiseBlock] = []
    for stored_rows, own_rows in part.rows.slices():
        rows = slice(stored_rows.start + above, stored_rows.stop + above, stored_rows.step)
        for stored_columns, own_columns in part.columns.slices():
            trailing = place.shape[row_dimension + 1 :]
            columns = tuple(slice(0, size) for size in trailing) if takes_all_columns else (stored_columns,)
            region = place.region((*leading, rows, *columns))
            axes = place.axes[row_dimension:]
            kept_axes = sorted(axes)
            if list(axes[1:]) != sorted(axes[1:]) or kept_axes.index(axes[0]) not in (0, len(axes) - 1):
                raise FormatError(f"names.json turns '{mask.name}' in a way that is not understood; make the masks again")
            sizes = tuple(len(range(item.start, item.stop, item.step or 1)) for item in region if isinstance(item, slice))
            shape = None if len(sizes) == 2 else sizes
            transposed = len(axes) > 1 and kept_axes[-1] == axes[0]
            blocks.append(NoiseBlock(region, transposed, row[own_rows], column[own_columns], shape))
    return blocks
