"""Reads spectra.safetensors: the singular values of every matrix that power laws were fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frogmask.errors import FormatError
from frogmask.tensorfile import TensorFile

FILE = "spectra.safetensors"


@dataclass(frozen=True, eq=False)
class Spectra:
    """The mapped file; values are copied when a matrix is asked for.

    Attributes:
        offsets: Where the values of each matrix begin, int64 [M + 1].
        values: Singular values, descending in a matrix, float32, mapped.
        exponents: u by matrix, int32 [M]: a singular value is the stored one times 2^u.
    """

    offsets: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    exponents: npt.NDArray[np.int32]
    path: Path

    @staticmethod
    def read(path: Path, matrices: int) -> Spectra:
        """Opens and checks the file.

        Raises:
            MissingError: There is no such file.
            FormatError: It is not of the documented form, or has another number of matrices.
        """
        file = TensorFile(path)

        def tensor(name: str, dtype: str, count: int | None = None) -> npt.NDArray[Any]:
            entry = file.entry(name)
            if entry.dtype != dtype or len(entry.shape) != 1 or count not in (None, entry.shape[0]):
                raise FormatError(f"{path}: tensor '{name}' is {entry.dtype} {list(entry.shape)}; make or copy the folder again")
            return file.array(name)

        values = tensor("singular_values", "F32")
        offsets = np.array(tensor("offsets", "I64", matrices + 1))
        if offsets[0] != 0 or offsets[-1] != values.size or bool((np.diff(offsets) < 0).any()):
            raise FormatError(f"{path}: 'offsets' do not lead from 0 to the {values.size} values; make or copy the folder again")
        return Spectra(offsets, values, np.array(tensor("exponents", "I32", matrices)), path)

    def eigenvalues(self, ordinal: int) -> npt.NDArray[np.float64]:
        """λ = σ² of a matrix, descending; those that double precision does not hold are left out."""
        values = np.array(self.values[self.offsets[ordinal] : self.offsets[ordinal + 1]], np.float64)
        if not bool(np.isfinite(values).all()) or bool((values < 0).any()):
            raise FormatError(f"{self.path}: a singular value of matrix {ordinal} is negative or not finite; make or copy the folder again")
        with np.errstate(over="ignore", under="ignore"):
            found = np.ldexp(values, int(self.exponents[ordinal])) ** 2
        return np.asarray(found[np.isfinite(found)])
