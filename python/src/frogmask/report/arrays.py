"""Reads files that hold arrays of every matrix, one matrix after the other: histograms.safetensors and spectra.safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frogmask.errors import FormatError
from frogmask.tensorfile import TensorFile


class MatrixArrays:
    """One such file, with the two tensors that each of them has.

    Attributes:
        path: The file.
        offsets: Where the elements of each matrix begin in every array, int64 [M + 1].
        exponents: A power of two for each matrix, int64 [M].
    """

    def __init__(self, path: Path, matrices: int) -> None:
        """Opens and checks the file.

        Args:
            path: The file.
            matrices: M.

        Raises:
            MissingError: There is no such file.
            FormatError: It is not of the documented form, or has another number of matrices.
        """
        self.path = path
        self._file = TensorFile(path)
        self.offsets: npt.NDArray[np.int64] = self._tensor("offsets", ("I64",), matrices + 1).astype(np.int64)
        self.exponents: npt.NDArray[np.int64] = self._tensor("exponents", ("I32",), matrices).astype(np.int64)
        if self.offsets[0] != 0 or bool((np.diff(self.offsets) < 0).any()):
            raise FormatError(f"{path}: 'offsets' do not ascend from 0; make or copy the folder again")

    def array(self, name: str, types: tuple[str, ...]) -> npt.NDArray[Any]:
        """The elements of all matrices in one array, mapped."""
        return self._tensor(name, types, int(self.offsets[-1]))

    def _tensor(self, name: str, types: tuple[str, ...], count: int) -> npt.NDArray[Any]:
        entry = self._file.entry(name)
        if entry.dtype not in types or entry.shape != (count,):
            wanted = f"{' or '.join(types)} [{count}]"
            raise FormatError(
                f"{self.path}: tensor '{name}' is {entry.dtype} {list(entry.shape)}, should be {wanted}; make or copy the folder again"
            )
        return self._file.array(name)
