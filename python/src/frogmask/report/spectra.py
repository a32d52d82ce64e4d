"""Reads spectra.safetensors: the singular values of every matrix that power laws were fitted to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from frogmask.errors import FormatError
from frogmask.report.arrays import MatrixArrays

FILE = "spectra.safetensors"


class Spectra:
    """The mapped file; values are copied when a matrix is asked for."""

    def __init__(self, path: Path, matrices: int) -> None:
        """Opens and checks the file.

        Raises:
            MissingError: There is no such file.
            FormatError: It is not of the documented form, or has another number of matrices.
        """
        self._arrays = MatrixArrays(path, matrices)
        self._values = self._arrays.array("singular_values", ("F32",))  # descending in a matrix

    def eigenvalues(self, ordinal: int) -> npt.NDArray[np.float64]:
        """λ = σ² of a matrix, descending; those that double precision does not hold are left out."""
        first, last = self._arrays.offsets[ordinal : ordinal + 2]
        values = np.array(self._values[first:last], np.float64)
        if not bool(np.isfinite(values).all()) or bool((values < 0).any()):
            raise FormatError(
                f"{self._arrays.path}: a singular value of matrix {ordinal} is negative or not finite; make or copy the folder again"
            )
        with np.errstate(over="ignore", under="ignore"):
            found = np.ldexp(values, int(self._arrays.exponents[ordinal])) ** 2
        return np.asarray(found[np.isfinite(found)])
