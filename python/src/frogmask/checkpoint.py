"""Reads a checkpoint: a folder as Hugging Face stores it, or one safetensors file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from frogmask import documents
from frogmask.errors import FormatError, MatchError, MissingError
from frogmask.tensorfile import Entry, TensorFile

if TYPE_CHECKING:
    import torch

_STEMS = ("model", "diffusion_pytorch_model")
_SUFFIX = ".safetensors.index.json"


class Checkpoint:
    """The files of a checkpoint. Headers are read when it is opened, weights when they are asked for.

    The files that count are those of docs/reference/formats.md: the index of transformers or diffusers, their single file, the only other
    index, or the only safetensors file.

    Attributes:
        path: The path that was given.
        folder: The folder of its files.
        index: The name of its index; None if it is one file.
        files: Its files by name, in order.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens a checkpoint.

        Raises:
            MissingError: There is none, or a shard is missing.
            FormatError: It is not clear which files are the model, or one of them is no safetensors file.
        """
        self.path = Path(path)
        self.index: str | None = None
        if self.path.is_file():
            self.folder, names = self.path.parent, [self.path.name]
        elif self.path.is_dir():
            self.folder = self.path
            names = self._names()
        else:
            raise MissingError(f"there is no checkpoint {self.path}")
        self.files = {name: TensorFile(self.folder / name) for name in names}
        self._holders: dict[str, TensorFile] = {}
        for file in self.files.values():
            for tensor in file.entries:
                if tensor in self._holders:
                    raise FormatError(f"tensor '{tensor}' is in {self._holders[tensor].path.name} and in {file.path.name} of {self.folder}")
                self._holders[tensor] = file
        for tensor, name in self._mapped.items():
            if tensor not in self.files[name].entries:
                raise FormatError(f"{self.folder / str(self.index)} says that tensor '{tensor}' is in {name}, which does not have it")

    def __contains__(self, tensor: str) -> bool:
        return tensor in self._holders

    @property
    def tensors(self) -> list[str]:
        """The names of all tensors, in the order of the files."""
        return list(self._holders)

    def entry(self, tensor: str) -> Entry:
        """Type and shape of a tensor.

        Raises:
            MatchError: The checkpoint has no such tensor.
        """
        return self._holder(tensor).entries[tensor]

    def array(self, tensor: str) -> npt.NDArray[Any]:
        """A tensor as a mapped NumPy array, BF16 as uint16; see `TensorFile.array`."""
        return self._holder(tensor).array(tensor)

    def tensor(self, tensor: str) -> torch.Tensor:
        """A tensor of torch, copied, in its own type."""
        return self._holder(tensor).tensor(tensor)

    def _holder(self, tensor: str) -> TensorFile:
        if tensor not in self._holders:
            raise MatchError(f"{self.path} has no tensor '{tensor}': it is another checkpoint")
        return self._holders[tensor]

    _mapped: dict[str, str] = {}

    def _names(self) -> list[str]:
        listed = sorted(entry.name for entry in self.folder.iterdir() if not entry.name.startswith("."))
        shards = [name for name in listed if name.endswith(".safetensors")]
        indexes = [name for name in listed if name.endswith(_SUFFIX)]
        for stem in _STEMS:
            if stem + _SUFFIX in indexes:
                return self._indexed(stem + _SUFFIX)
            if f"{stem}.safetensors" in shards:
                return [f"{stem}.safetensors"]
        if len(indexes) == 1:
            return self._indexed(indexes[0])
        if len(shards) == 1 and not indexes:
            return shards
        if not shards:
            raise MissingError(f"there are no safetensors files in {self.folder}")
        raise FormatError(f"{self.folder} has several safetensors files, and no index says which are the model: give one of them")

    def _indexed(self, index: str) -> list[str]:
        mapped = documents.read(self.folder / index).get("weight_map")
        if not isinstance(mapped, dict) or not mapped or not all(isinstance(name, str) for name in mapped.values()):
            raise FormatError(f"{self.folder / index} has no weight_map")
        for tensor, name in mapped.items():
            if "/" in name or os.sep in name or name in ("", ".", ".."):
                raise FormatError(f"{self.folder / index}: '{name}', the file of tensor '{tensor}', lies outside of the folder")
            if not (self.folder / name).is_file():
                raise MissingError(f"{self.folder / name} is missing, in which {index} says tensor '{tensor}' to be")
        self.index, self._mapped = index, mapped
        return sorted(set(mapped.values()))
