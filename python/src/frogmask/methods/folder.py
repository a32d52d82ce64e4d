"""Reads the folder of an adapter: what a method needs of a checkpoint before it trains (docs/reference/formats.md)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frogmask import documents
from frogmask.checkpoint import Checkpoint
from frogmask.errors import FormatError, MissingError, UsageError
from frogmask.fingerprint import check_fingerprint
from frogmask.parts import sizes
from frogmask.tensorfile import FLOATS

if TYPE_CHECKING:
    import torch

RECORD = "adapter.json"
INDEX = "adapter.safetensors.index.json"
FORMAT = "frog-adapter"
FORMAT_VERSION = 1
INTEGERS = ("I32", "I64")
"""The types of positions."""

_MODULES = {"svft": "svft", "spectral-rotation": "spectral", "lora-xs": "lora_xs", "smt": "smt"}


class AdapterFolder:
    """The tensors of one method for some weights of a checkpoint. Tensors are read, and checked, when they are asked for.

    Attributes:
        folder: The folder.
        path: Its adapter.json.
        record: The contents of adapter.json.
        parameters: The options of the method.
        fingerprint: The fingerprint of the checkpoint.
        matrices: What the fingerprint was made of, as in frog.json.
        names: Where tensors lie in a model that transformers 5 has loaded, as in names.json.
        tensors: What adapter.json says of each weight of the checkpoint that the method adapts, by its name.
        shapes: The shapes of these weights, [outputs, inputs].
    """

    def __init__(self, directory: str | os.PathLike[str], method: str, checkpoint: str | os.PathLike[str] | None = None) -> None:
        """Opens a folder.

        Args:
            directory: The folder.
            method: What its method must be, such as `svft`.
            checkpoint: A checkpoint whose fingerprint is compared, which reads all of its weight matrices.

        Raises:
            MissingError: There is no such folder, or a file of it is missing.
            FormatError: It is not finished, of another version, or not what its format says.
            UsageError: It is of another method.
            MatchError: The checkpoint is another.
        """
        self.folder = Path(directory)
        self.path = self.folder / RECORD
        if not self.folder.is_dir():
            raise MissingError(f"there is no folder {self.folder}")
        if not self.path.exists():
            hint = "writing it did not finish" if (self.folder / INDEX).exists() else "it is no adapter of frog-mpi export"
            raise FormatError(f"{self.folder} has no {RECORD}: {hint}")
        self.record = documents.read_format(self.path, FORMAT, (FORMAT_VERSION,), "frog-mpi")
        found = self.record.get("method")
        if not isinstance(found, str) or found not in _MODULES:
            raise FormatError(f"{self.path}: the method {found!r} is unknown; this frogmask knows {', '.join(_MODULES)}")
        if found != method:
            raise UsageError(f"{self.folder} is for the method {found}: use frogmask.methods.{_MODULES[found]}")
        try:
            self.parameters: dict[str, Any] = dict(self.record["parameters"])
            self.fingerprint = str(self.record["checkpoint"]["fingerprint"])
            self.matrices: list[dict[str, Any]] = list(self.record["matrices"])
            self.names: dict[str, Any] = dict(self.record["names"])
            self.tensors: dict[str, dict[str, Any]] = {str(name): dict(entry) for name, entry in self.record["tensors"].items()}
            self.shapes = {name: sizes(entry["shape"]) for name, entry in self.tensors.items()}
            files = {str(name): entry["bytes"] for name, entry in self.record["files"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"{self.path} lacks or garbles {error}; export it again") from None
        for name, shape in self.shapes.items():
            if len(shape) != 2 or 0 in shape or not name.endswith(".weight"):
                raise FormatError(f"{self.path}: '{name}', {list(shape)}, is no weight of a linear layer; export it again")
        if not self.shapes:
            raise FormatError(f"{self.path} names no tensor; export it again")
        if not (self.folder / INDEX).exists():
            raise MissingError(f"there is no file {self.folder / INDEX}")
        self._files = Checkpoint(self.folder)
        for file in self._files.files.values():
            if file.size != files.get(file.path.name):
                raise FormatError(f"{file.path} has {file.size} bytes, should be {files.get(file.path.name)}; copy the folder again")
        if checkpoint is not None:
            check_fingerprint(self.matrices, self.fingerprint, checkpoint)

    def option(self, name: str, kind: type | tuple[type, ...]) -> Any:
        """An option of the method.

        Args:
            name: Its name in `parameters`.
            kind: The types that it may have.

        Raises:
            FormatError: It is missing, or of another type.
        """
        found = self.parameters.get(name)
        if isinstance(found, bool) or not isinstance(found, kind):
            raise FormatError(f"{self.path}: parameters.{name} is {found!r}; export it again")
        return found

    def rank(self, tensor: str) -> int:
        """How many singular vectors of a weight the folder holds.

        Raises:
            FormatError: That is no number from 1 to the smaller side of the weight.
        """
        found, most = self.tensors[tensor].get("rank"), min(self.shapes[tensor])
        if type(found) is not int or not 1 <= found <= most:
            raise FormatError(f"{self.path}: '{tensor}' has rank {found!r}, which is no number from 1 to {most}; export it again")
        return found

    def floats(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """A tensor of finite numbers, in its own type.

        Raises:
            FormatError: It is missing, of another type or shape, or has numbers that are not finite.
        """
        import torch

        found = self._read(name, tuple(FLOATS), shape)
        if not bool(torch.isfinite(found).all()):
            raise FormatError(f"{self._holder(name)}: '{name}' has numbers that are not finite; export it again")
        return found

    def integers(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """A tensor of positions, int64.

        Raises:
            FormatError: It is missing, or of another type or shape.
        """
        return self._read(name, INTEGERS, shape).long()

    def length(self, name: str) -> int:
        """The first dimension of a tensor.

        Raises:
            FormatError: It is missing, or has no dimension.
        """
        shape = self._files.entry(name).shape if name in self._files else ()
        if not shape:
            raise FormatError(f"{self.folder} has no list '{name}'; export it again")
        return shape[0]

    def _read(self, name: str, dtypes: tuple[str, ...], shape: tuple[int, ...]) -> torch.Tensor:
        if name not in self._files:
            raise FormatError(f"{self.folder} has no tensor '{name}'; export it again")
        entry = self._files.entry(name)
        if entry.dtype not in dtypes or entry.shape != shape:
            raise FormatError(
                f"{self._holder(name)}: '{name}' is {entry.dtype} {list(entry.shape)}, should be {' or '.join(dtypes)} {list(shape)}; "
                "export it again"
            )
        return self._files.tensor(name)

    def _holder(self, name: str) -> Path:
        return next(file.path for file in self._files.files.values() if name in file.entries)
