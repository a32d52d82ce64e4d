"""Reads histograms.safetensors, and estimates from it what masks of other budgets keep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from frogmask.errors import FormatError
from frogmask.report.arrays import MatrixArrays

FILE = "histograms.safetensors"
BINS = 1 << 12
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Histograms:
    """How the ranked values of every matrix are distributed, eight bins to a power of two (docs/reference/formats.md).

    B is the number of bins that hold a weight, M that of matrices; the bins of a matrix ascend.

    Attributes:
        lengths: The number of bins of each matrix, int64 [M].
        owners: The ordinal of the matrix of each bin, int64 [B].
        bins: The number of each bin, int64 [B].
        counts: The number of weights in each bin, int64 [B].
        sums: The sum of their scores in units of weights, float64 [B]; infinite where double precision does not hold it.
        exponents: u by matrix, int64 [M]: ranked values are those of the bins times 2^u.
        sizes: The number of weights by matrix, int64 [M].
    """

    lengths: npt.NDArray[np.int64]
    owners: npt.NDArray[np.int64]
    bins: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    sums: Numbers
    exponents: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]

    @staticmethod
    def read(path: Path, sizes: list[int], score_exponents: list[int]) -> Histograms:
        """Reads and checks the file.

        Args:
            path: The file.
            sizes: The number of weights of each matrix, by ordinal.
            score_exponents: u of the scores of each matrix: stored sums are in units of 2^u.

        Raises:
            MissingError: There is no such file.
            FormatError: It is not of the documented form, or of other matrices.
        """
        number = len(sizes)
        file = MatrixArrays(path, number)
        bins = file.array("bins", ("U16",)).astype(np.int64)
        counts = file.array("counts", ("I32", "I64")).astype(np.int64)
        sums = file.array("sums", ("F32", "F64")).astype(np.float64)
        exponents, lengths = file.exponents, np.diff(file.offsets)
        owners = np.repeat(np.arange(number), lengths)
        steps = np.diff(bins)[np.diff(owners) == 0]
        wanted = np.array(sizes, np.int64)
        if bool((steps <= 0).any()) or bool((bins >= BINS).any()) or bool((counts <= 0).any()):
            raise FormatError(f"{path}: the bins of a matrix do not ascend, or are empty; make or copy the masks again")
        if not np.array_equal(np.bincount(owners, counts, number), wanted):
            raise FormatError(f"{path}: the counts do not add up to the weights of the matrices; make or copy the masks again")
        if not bool(np.isfinite(sums).all()) or bool((sums < 0).any()):
            raise FormatError(f"{path}: a sum of scores is negative or not finite; make or copy the masks again")
        with np.errstate(over="ignore"):
            sums = np.ldexp(sums, np.array(score_exponents, np.int64)[owners])
        return Histograms(lengths, owners, bins, counts, sums, exponents, wanted)

    def taken_globally(self, keep: float) -> Numbers:
        """How many weights of each bin one threshold keeps, [B]; what is left for its own bin is shared in proportion to counts."""
        whole = np.bincount(self.bins, self.counts, BINS)
        above = whole.sum() - np.cumsum(whole)  # weights in higher bins
        left = np.clip(keep - above, 0, whole)
        return np.asarray(self.counts * (left / np.maximum(whole, 1))[self.bins])

    def taken_of_each(self, quotas: Numbers) -> Numbers:
        """How many weights of each bin are kept, [B], if every matrix keeps its best; `quotas` [M] of them, at most its size."""
        upto = np.cumsum(self.counts)
        ends = upto[np.cumsum(self.lengths) - 1] if upto.size else upto
        above = ends[self.owners] - upto
        return np.clip(quotas[self.owners] - above, 0, self.counts)

    def by_matrix(self, taken: Numbers) -> tuple[Numbers, Numbers]:
        """Kept weights and the sum of their scores, [M] each, from what is taken of each bin."""
        number = self.sizes.size
        kept = np.bincount(self.owners, taken, number).astype(np.float64)
        with np.errstate(invalid="ignore"):
            sums = np.bincount(self.owners, self.sums * (taken / self.counts), number).astype(np.float64)
        return kept, sums


def edges() -> Numbers:
    """The lower ends of all bins, float64 [4096]: a bin is the upper 12 bits of a value's order-preserving key."""
    keys = np.arange(BINS, dtype=np.uint32) << np.uint32(20)
    bits = np.where(keys >> 31 == 1, keys ^ np.uint32(0x80000000), ~keys).astype(np.uint32)
    with np.errstate(invalid="ignore"):
        found: Numbers = bits.view(np.float32).astype(np.float64)
    return found


def divide(keep: float, by: Numbers, sizes: npt.NDArray[np.int64]) -> Numbers:
    """Divides a budget in proportion to `by`, [M], at most the size of each matrix; what one cannot take goes to the others."""
    quotas = np.zeros(by.size)
    is_open = by > 0
    left = min(float(keep), float(sizes.sum()))
    while left > 1e-9 * max(keep, 1.0) and is_open.any():
        share = np.where(is_open, by, 0.0)
        grown = quotas + left * share / share.sum()
        quotas = np.minimum(grown, sizes)
        left = float((grown - quotas).sum())
        is_open &= quotas < sizes
    if left > 1e-9 * max(keep, 1.0):  # only matrices without importance have weights left
        rest = sizes - quotas
        quotas = quotas + rest * min(1.0, left / max(float(rest.sum()), 1.0))
    return quotas
