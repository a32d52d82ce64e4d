"""Where the kept weights of a mask lie in the parameters of a loaded model."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class NoiseBlock:
    """A part of a parameter whose scores are about row[i]·column[j]: a matrix of the checkpoint, or a run of its rows.

    Attributes:
        region: Selects the part of the parameter. `parameter[region]` is a view.
        transposed: Whether the view, flattened to two dimensions, is [n, m] instead of [m, n].
        row: The row means of S in units of weights, float32 [m].
        column: The column means of S divided by the mean of S, float32 [n].
        shape: The shape of the view; None if it has two dimensions.

    Example:
        noise = torch.randn(block.scores().shape) * block.scores()
        parameter[block.region].add_(noise)
    """

    region: tuple[slice | int, ...]
    transposed: bool
    row: torch.Tensor
    column: torch.Tensor
    shape: tuple[int, ...] | None = None

    def scores(self) -> torch.Tensor:
        """The product of row and column means, laid out as the view: float32, shape of the view."""
        product = torch.outer(self.column, self.row) if self.transposed else torch.outer(self.row, self.column)
        return product if self.shape is None else product.reshape(self.shape)


@dataclass(frozen=True, eq=False)
class Placement:
    """What a mask selects in one parameter of a loaded model.

    Attributes:
        parameter: The name in `model.named_parameters()`.
        shape: The full shape of the parameter, not of a shard.
        indices: Flat row-major positions in the parameter, ascending, int64 [K].
        scores: S of the kept weights in units of weights, float32 [K].
        noise: Covers the parts of the parameter that masks know.
        tensors: The names of the checkpoint's tensors that lie in it.
        importance: ΣR of its matrices.
        stack: The stack of layers of its first matrix; None outside of all layers.
        depth: The number of the layer of its first matrix; None outside of all layers.
        role: The role of its first matrix.
    """

    parameter: str
    shape: tuple[int, ...]
    indices: torch.Tensor
    scores: torch.Tensor
    noise: tuple[NoiseBlock, ...]
    tensors: tuple[str, ...]
    importance: float
    stack: str | None
    depth: int | None
    role: str

    def rows(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The kept weights of a shard that holds some rows (positions of the first dimension).

        Args:
            start: The first row of the shard.
            stop: The row after its last.

        Returns:
            Indices that count in the shard, int64 [k], and their scores, float32 [k].
        """
        width = 1
        for size in self.shape[1:]:
            width *= size
        ends = torch.tensor([start * width, stop * width])
        first, last = torch.searchsorted(self.indices, ends).tolist()
        return self.indices[first:last] - start * width, self.scores[first:last]
