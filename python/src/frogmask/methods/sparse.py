"""Products of many vectors with a sparse square matrix whose entries are trained.

The matrix is cut into blocks of rows, and each block into the columns between its first and its last entry.
One block at a time is made dense, in the forward and again in the backward pass, and multiplied by a dense product.
So nothing of the size of the matrix is kept, and a band costs little more than its own width.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

ROWS = 256
"""The rows of a block."""


class SparseMatrix(nn.Module):
    """Where a p × p matrix has its k entries, sorted by rows and then by columns.

    Attributes:
        row: int32 [k], not trained; a parameter as all frozen factors are.
        column: The same.
        size: p.
    """

    def __init__(self, row: torch.Tensor, column: torch.Tensor, size: int) -> None:
        super().__init__()
        self.row, self.column = (nn.Parameter(one.to(torch.int32), requires_grad=False) for one in (row, column))
        self.size = size
        self.is_diagonal = torch.equal(row, column) and row.numel() == size
        self._blocks = list(_blocks(row, column, size))

    def flat(self) -> torch.Tensor:
        """The positions of the entries in the matrix, row-major, int64 [k]."""
        return self.row.long() * self.size + self.column

    def product(self, values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """M·x for every x: [… , p] → [… , p], in the type of x or that of the values, if the matrix is diagonal.

        Args:
            values: The entries of M, [k].
            x: [… , p].
        """
        if self.is_diagonal:
            return x * values
        found: torch.Tensor = _Product.apply(values, x, self)
        return found

    def transposed_product(self, values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Mᵀ·x for every x, [… , p]; needs no gradients."""
        found = torch.zeros_like(x)
        for block in self._blocks:
            rows, columns = slice(block[0], block[1]), slice(block[2], block[3])
            found[..., columns] += x[..., rows] @ self._dense(values.to(x.dtype), block)
        return found

    def _dense(self, values: torch.Tensor, block: Block) -> torch.Tensor:
        first_row, last_row, first_column, last_column, *_ = block
        found = values.new_zeros(last_row - first_row, last_column - first_column)
        found.view(-1)[self._inside(block)] = values[block[4] : block[5]]
        return found

    def _inside(self, block: Block) -> torch.Tensor:
        """The positions of a block's entries in the block."""
        first_row, _, first_column, last_column, first, last = block
        return (self.row[first:last] - first_row) * (last_column - first_column) + (self.column[first:last] - first_column)


Block = tuple[int, int, int, int, int, int]
"""First and last row, first and last column, first and last entry; the last ones are not part of it."""


def _blocks(row: torch.Tensor, column: torch.Tensor, size: int) -> Iterator[Block]:
    starts = list(range(0, size, ROWS))
    ends = torch.searchsorted(row, torch.tensor([*starts[1:], size], device=row.device)).tolist()
    first = 0
    for start, last in zip(starts, ends):
        if last > first:
            some = column[first:last]
            yield start, min(start + ROWS, size), int(some.min()), int(some.max()) + 1, first, last
        first = last


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, x: torch.Tensor, pattern: SparseMatrix) -> torch.Tensor:
        ctx.save_for_backward(values, x)
        ctx.pattern = pattern
        found = torch.zeros_like(x)
        some = values.to(x.dtype)
        for block in pattern._blocks:
            rows, columns = slice(block[0], block[1]), slice(block[2], block[3])
            found[..., rows] = x[..., columns] @ pattern._dense(some, block).T
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        values, x = ctx.saved_tensors
        pattern: SparseMatrix = ctx.pattern
        (above,) = gradients
        of_x = pattern.transposed_product(values, above) if ctx.needs_input_grad[1] else None
        of_values = None
        if ctx.needs_input_grad[0]:
            flat_above, flat_x = above.reshape(-1, pattern.size), x.reshape(-1, pattern.size)
            of_values = torch.empty_like(values)
            for block in pattern._blocks:
                product = flat_above[:, block[0] : block[1]].T @ flat_x[:, block[2] : block[3]]
                of_values[block[4] : block[5]] = product.reshape(-1)[pattern._inside(block)]
        return of_values, of_x, None
