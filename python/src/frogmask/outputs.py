"""What a mask file holds for one matrix, or for all experts of a stack: positions, scores, noise factors.

Every element is checked when it is read: positions are in range, ascend and lie in their matrix, numbers are finite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frogmask.errors import FormatError
from frogmask.parts import Part, Positions
from frogmask.tensorfile import TensorFile

Floats = npt.NDArray[np.float32]

_POPCOUNT = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)
_UNPACKED_AT_ONCE = 1 << 24  # elements


@dataclass(frozen=True, eq=False)
class Output:
    """The tensors `NAME.indices` or `NAME.mask`, `NAME.scores`, `NAME.noise_row` and `NAME.noise_col`.

    Attributes:
        name: NAME: that of the stored tensor, with the part in brackets if it is split.
        bitmap: Whether positions are stored as bits.
        parts: Which part of the tensor each expert is; one without a stack.
        kept: The number of kept weights of each.
        exponents: The power of two that brings scores and row means of each to units of weights.
        is_stack: Whether tensors have a first dimension of experts.
        open_file: Opens the mask file.
    """

    name: str
    bitmap: bool
    parts: tuple[Part, ...]
    kept: tuple[int, ...]
    exponents: tuple[int, ...]
    is_stack: bool
    open_file: Callable[[], TensorFile]

    def read(self, start: int | None = None, stop: int | None = None) -> tuple[Positions, Floats]:
        """Kept weights between two flat positions of the tensor, which lie at ends of rows.

        Args:
            start: The first flat position; None for all of the tensor.
            stop: The one after the last.

        Returns:
            Flat positions, int64 [k], ascending, and scores in units of weights, float32 [k]; copies.
        """
        file = self.open_file()
        scores = self._tensor(file, "scores", "F32", (sum(self.kept),))
        found_positions: list[Positions] = []
        found_scores: list[Floats] = []
        offset = 0
        for expert, (part, kept) in enumerate(zip(self.parts, self.kept)):
            if self.bitmap:
                positions, first = self._of_bitmap(file, expert, part, kept, start, stop)
            else:
                positions, first = self._of_indices(file, part, offset, kept, start, stop)
            own = np.array(scores[offset + first : offset + first + positions.size])
            self._check_numbers(file, "scores", own)
            if self.exponents[expert] != 0:
                with np.errstate(over="ignore", under="ignore"):
                    own = np.ldexp(own.astype(np.float64), self.exponents[expert]).astype(np.float32)
            found_positions.append(positions)
            found_scores.append(own)
            offset += kept
        if len(found_positions) == 1:
            return found_positions[0], found_scores[0]
        return np.concatenate(found_positions), np.concatenate(found_scores)

    def noise(self, expert: int) -> tuple[Floats, Floats]:
        """Row means in units of weights, float32 [m], and column means over the mean, float32 [n]; copies."""
        file, part = self.open_file(), self.parts[expert]
        stack = (len(self.parts),) if self.is_stack else ()
        row = self._tensor(file, "noise_row", "F32", (*stack, part.rows.total))
        column = self._tensor(file, "noise_col", "F32", (*stack, part.columns.total))
        if self.is_stack:
            row, column = row[expert], column[expert]
        row, column = np.array(row), np.array(column)
        self._check_numbers(file, "noise_row", row)
        self._check_numbers(file, "noise_col", column)
        if self.exponents[expert] != 0:
            with np.errstate(over="ignore", under="ignore"):
                row = np.ldexp(row.astype(np.float64), self.exponents[expert]).astype(np.float32)
        return row, column

    def _of_indices(
        self, file: TensorFile, part: Part, offset: int, kept: int, start: int | None, stop: int | None
    ) -> tuple[Positions, int]:
        size = part.slab_size * part.slabs
        wide = size > 2**31 - 1
        stored = self._tensor(file, "indices", "I64" if wide else "I32", (sum(self.kept),))[offset : offset + kept]
        first = 0
        if start is not None and stop is not None:
            first, last = np.searchsorted(stored, [start, stop]).tolist()
            stored = stored[first:last]
        positions = np.array(stored, np.int64)
        if positions.size and (positions[0] < 0 or positions[-1] >= size or bool((positions[1:] <= positions[:-1]).any())):
            raise self._error(file, "indices", f"does not ascend from 0 to {size - 1}")
        if not part.contains(positions):
            raise self._error(file, "indices", "has positions outside of its matrix")
        return positions, first

    def _of_bitmap(
        self, file: TensorFile, expert: int, part: Part, kept: int, start: int | None, stop: int | None
    ) -> tuple[Positions, int]:
        rows, columns = part.rows.total, part.columns.total
        stack = (len(self.parts),) if self.is_stack else ()
        bits = self._tensor(file, "mask", "U8", (*stack, rows, (columns + 7) // 8))
        if self.is_stack:
            bits = bits[expert]
        starts = part.row_starts()
        low, high = (0, rows) if start is None or stop is None else np.searchsorted(starts, [start, stop]).tolist()
        before = int(_POPCOUNT[bits[:low]].sum(dtype=np.int64)) if low else 0
        found: list[Positions] = []
        step = max(1, _UNPACKED_AT_ONCE // columns)
        for top in range(low, high, step):
            some = np.unpackbits(bits[top : min(high, top + step)], axis=1, bitorder="little")
            if some[:, columns:].any():
                raise self._error(file, "mask", f"has bits beyond column {columns - 1}")
            row, column = np.nonzero(some[:, :columns])
            found.append(starts[row + top] + part.columns.stored(column.astype(np.int64)))
        positions = np.concatenate(found) if found else np.zeros(0, np.int64)
        if before + positions.size > kept or (high - low == rows and positions.size != kept):
            raise self._error(file, "mask", f"has {before + positions.size} bits set, should be {kept}")
        return positions, before

    def _tensor(self, file: TensorFile, kind: str, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        entry = file.entry(f"{self.name}.{kind}")
        if (entry.dtype, entry.shape) != (dtype, shape):
            raise self._error(file, kind, f"is {entry.dtype} {list(entry.shape)}, should be {dtype} {list(shape)}")
        return file.array(f"{self.name}.{kind}")

    def _check_numbers(self, file: TensorFile, kind: str, values: npt.NDArray[Any]) -> None:
        if not bool(np.isfinite(values).all()) or bool((values < 0).any()):
            raise self._error(file, kind, "has numbers that are negative or not finite")

    def _error(self, file: TensorFile, kind: str, problem: str) -> FormatError:
        return FormatError(f"{file.path}: tensor '{self.name}.{kind}' {problem}; frog-mpi verify tells more, make or copy the masks again")
