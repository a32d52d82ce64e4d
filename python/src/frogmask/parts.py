"""The parts of stored tensors that are matrices, as frog.json describes them (docs/reference/formats.md)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Runs:
    """`count` runs of `length` positions along a dimension, the first at `first`, `stride` from one to the next.

    Example:
        Runs(first=0, length=2, stride=6, count=2).stored(np.arange(4))    # 0 1 6 7
    """

    first: int
    length: int
    stride: int
    count: int

    @classmethod
    def all(cls, size: int) -> Runs:
        """All positions of a dimension."""
        return cls(0, size, size, 1)

    @classmethod
    def of(cls, value: Any) -> Runs:
        """What frog.json says.

        Raises:
            ValueError: It says nothing of the kind, or runs that overlap.
        """
        if not isinstance(value, dict):
            raise ValueError("no runs")
        runs = cls(*(_size(value.get(key)) for key in ("first", "length", "stride", "count")))
        if runs.length < 1 or runs.count < 1 or (runs.count > 1 and runs.stride < runs.length):
            raise ValueError("runs overlap")
        return runs

    @property
    def total(self) -> int:
        """The number of positions."""
        return self.length * self.count

    @property
    def end(self) -> int:
        """The stored position after the last."""
        return self.first + (self.count - 1) * self.stride + self.length

    def stored(self, positions: Positions) -> Positions:
        """The positions in the dimension of positions that count those taken."""
        if self.count == 1:
            return positions + self.first
        run, offset = np.divmod(positions, self.length)
        return run * self.stride + offset + self.first

    def contains(self, stored: Positions) -> npt.NDArray[np.bool_]:
        """Which positions of the dimension are taken."""
        inside = (stored >= self.first) & (stored < self.end)
        return inside & ((stored - self.first) % self.stride < self.length) if self.count > 1 else inside

    def slices(self) -> Iterator[tuple[slice, slice]]:
        """Pairs of slices, of the dimension and of the positions taken, that cover all runs and are as few as possible."""
        if self.count == 1 or self.stride == self.length:
            yield slice(self.first, self.end), slice(0, self.total)
        elif self.length == 1:
            yield slice(self.first, self.end, self.stride), slice(0, self.total)
        else:
            for run in range(self.count):
                start = self.first + run * self.stride
                yield slice(start, start + self.length), slice(run * self.length, (run + 1) * self.length)


@dataclass(frozen=True)
class Part:
    """The rows and columns of a stored tensor that are one matrix.

    A tensor is seen as slabs of `stored_rows` × `stored_columns`: one slab, one for each position of the first dimension of a stack, or
    several one below the other in a tensor of rank 2. Convolutions are outputs × (everything else).

    Attributes:
        shape: The shape of the stored tensor.
        stored_rows: The rows of a slab.
        stored_columns: The columns of a slab.
        slab: The number of the slab.
        rows: The rows that the matrix takes of the slab.
        columns: The columns that it takes.
    """

    shape: tuple[int, ...]
    stored_rows: int
    stored_columns: int
    slab: int
    rows: Runs
    columns: Runs

    @classmethod
    def of(cls, entry: dict[str, Any], experts: int | None) -> Part:
        """The part that an entry of `matrices` in frog.json describes.

        Args:
            entry: The entry.
            experts: The number of experts of its tensor; None if it is no stack.

        Raises:
            ValueError: The entry contradicts itself.
        """
        matrix, described = sizes(entry.get("shape")), entry.get("slice")
        if described is None:
            if len(matrix) < 2 or experts is not None:
                raise ValueError("shape")
            # A convolution is a whole tensor whose shape stands nowhere: that of the matrix is enough for flat indices.
            return cls(matrix, matrix[0], math.prod(matrix[1:]), 0, Runs.all(matrix[0]), Runs.all(math.prod(matrix[1:])))
        if not isinstance(described, dict):
            raise ValueError("slice")
        shape, rows, columns = sizes(described.get("shape")), Runs.of(described.get("rows")), Runs.of(described.get("columns"))
        if len(shape) < 2 or math.prod(shape) == 0:
            raise ValueError("shape of the tensor")
        if experts is None:
            part = cls(shape, shape[0], math.prod(shape[1:]), 0, rows, columns)
        elif len(shape) == 2:
            slab, below = _size(described.get("expert")), shape[0] // experts
            rows = Runs(rows.first - slab * below, rows.length, rows.stride, rows.count)
            part = cls(shape, below, shape[1], slab, rows, columns)
        else:
            part = cls(shape, shape[1], math.prod(shape[2:]), _size(described.get("expert")), rows, columns)
        is_inside = rows.first >= 0 and rows.end <= part.stored_rows and columns.end <= part.stored_columns
        if not is_inside or matrix != (rows.total, columns.total) or part.slab >= part.slabs:
            raise ValueError("slice")
        return part

    @property
    def slabs(self) -> int:
        """The number of slabs of the tensor."""
        return math.prod(self.shape) // (self.stored_rows * self.stored_columns)

    @property
    def slab_size(self) -> int:
        """The number of elements of a slab."""
        return self.stored_rows * self.stored_columns

    def row_starts(self) -> Positions:
        """The flat position in the tensor at which each row of the matrix would begin if it took all columns, ascending."""
        stored = self.rows.stored(np.arange(self.rows.total, dtype=np.int64))
        return stored * self.stored_columns + self.slab * self.slab_size

    def contains(self, flat: Positions) -> bool:
        """Whether all flat positions of the tensor lie in the matrix."""
        if flat.size == 0:
            return True
        inside = flat - self.slab * self.slab_size
        if inside.min() < 0 or inside.max() >= self.slab_size:
            return False
        if self.rows == Runs.all(self.stored_rows) and self.columns == Runs.all(self.stored_columns):
            return True
        row, column = np.divmod(inside, self.stored_columns)
        return bool(self.rows.contains(row).all() and self.columns.contains(column).all())


def _size(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 56:
        raise ValueError("a size")
    return value


def sizes(value: object) -> tuple[int, ...]:
    """A list of sizes.

    Raises:
        ValueError: It is none, or its product is larger than any tensor.
    """
    if not isinstance(value, list):
        raise ValueError("a shape")
    found = tuple(_size(size) for size in value)
    if math.prod(found) >= 1 << 56:
        raise ValueError("a shape")
    return found
