"""Reads safetensors files: a strict look at the header, and tensors as views of the mapped file.

Nothing that a header claims is believed before it has been checked against the size of the file.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from frogmask.errors import FormatError, MissingError

if TYPE_CHECKING:
    import torch

LARGEST_HEADER = 100_000_000

# The types that a tensor can have here, with the NumPy type of the same width; NumPy has no bfloat16 and no 8-bit floats.
NUMPY_TYPES = {
    "BOOL": "u1", "U8": "u1", "I8": "i1", "F8_E4M3": "u1", "F8_E5M2": "u1", "F8_E8M0": "u1",
    "U16": "<u2", "I16": "<i2", "F16": "<f2", "BF16": "<u2",
    "U32": "<u4", "I32": "<i4", "F32": "<f4",
    "U64": "<u8", "I64": "<i8", "F64": "<f8",
}  # fmt: skip
FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""The types of weights that are read as numbers, with their names in torch."""


@dataclass(frozen=True)
class Entry:
    """What a header says of one tensor.

    Attributes:
        dtype: The type, such as `BF16`.
        shape: The dimensions.
        start: The offset of its first byte in the file.
        end: The offset after its last byte.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


class TensorFile:
    """One safetensors file. The header is read when the file is opened; data is mapped when it is first asked for."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Reads the header.

        Raises:
            MissingError: There is no such file.
            FormatError: The file is no safetensors file, or not all of one.
        """
        self.path = Path(path)
        try:
            with open(self.path, "rb") as stream:
                self.size = os.fstat(stream.fileno()).st_size
                prefix = stream.read(8)
                length = int.from_bytes(prefix, "little")
                if len(prefix) < 8 or length > LARGEST_HEADER or 8 + length > self.size:
                    raise self._error(f"is no safetensors file, or not all of one ({self.size} bytes)")
                text = stream.read(length)
        except FileNotFoundError:
            raise MissingError(f"there is no file {self.path}") from None
        except OSError as error:
            raise FormatError(f"cannot read {self.path}: {error.strerror}") from None
        self.data_start = 8 + length
        self.header_bytes = prefix + text
        self.metadata, self.entries = self._parse(text)

    def _error(self, problem: str) -> FormatError:
        return FormatError(f"{self.path} {problem}; make or copy it again")

    def _parse(self, text: bytes) -> tuple[dict[str, str], dict[str, Entry]]:
        try:
            header = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
            if not isinstance(header, dict):
                raise ValueError("no object")
            metadata = header.pop("__metadata__", None) or {}
            entries = {name: self._entry(name, value) for name, value in header.items()}
        except (ValueError, RecursionError) as error:
            raise self._error(f"has a header that cannot be read ({error})") from None
        end = self.data_start
        for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
            if entry.start != end:
                raise self._error(f"has a hole or an overlap before tensor '{name}'")
            end = entry.end
        if end != self.size:
            raise self._error(f"is truncated or too long: {self.size} bytes, its header describes {end}")
        return metadata, entries

    def _entry(self, name: str, value: Any) -> Entry:
        if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
            raise ValueError(f"tensor '{name}' is described in another way")
        dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
        if not (isinstance(dtype, str) and _are_sizes(shape) and _are_sizes(offsets) and len(offsets) == 2):
            raise ValueError(f"tensor '{name}' is described in another way")
        start, end = offsets
        if dtype in NUMPY_TYPES and math.prod(shape) * np.dtype(NUMPY_TYPES[dtype]).itemsize != end - start:
            raise ValueError(f"tensor '{name}' has {end - start} bytes, which is not {dtype} {shape}")
        return Entry(dtype, tuple(shape), self.data_start + start, self.data_start + end)

    @cached_property
    def _bytes(self) -> npt.NDArray[np.uint8]:
        # Not copy on write: the kernel refuses such a mapping of a file that is larger than its memory.
        mapped: npt.NDArray[np.uint8] = np.memmap(self.path, np.uint8, mode="r")
        if mapped.size != self.size:
            raise self._error("has changed while it was read")
        return mapped

    def entry(self, name: str) -> Entry:
        """What the header says of a tensor.

        Raises:
            FormatError: The file has no such tensor.
        """
        if name not in self.entries:
            raise self._error(f"has no tensor '{name}'")
        return self.entries[name]

    def array(self, name: str) -> npt.NDArray[Any]:
        """A tensor as mapped NumPy array that cannot be written, in its own type.

        BF16 and 8-bit floats come as unsigned integers of their width.
        """
        entry = self.entry(name)
        if entry.dtype not in NUMPY_TYPES:
            raise self._error(f"has tensor '{name}' of type {entry.dtype}, which is not understood")
        kind = np.dtype(NUMPY_TYPES[entry.dtype])
        if entry.size == 0:
            return np.zeros(entry.shape, kind)
        return np.asarray(self._bytes[entry.start : entry.end].view(kind)).reshape(entry.shape)

    def tensor(self, name: str) -> torch.Tensor:
        """A tensor of torch, copied, in its own type."""
        import torch

        found = torch.from_numpy(np.array(self.array(name)))
        kind = self.entry(name).dtype
        return found.view(torch.bfloat16) if kind == "BF16" else found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def _are_sizes(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 63 for value in values)
