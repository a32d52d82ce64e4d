"""The trained values of a method, in a folder beside or apart from the factors that they belong to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

from frogmask import documents
from frogmask.errors import FormatError, MatchError, MissingError, UsageError, WriteError
from frogmask.methods.folder import RECORD, AdapterFolder
from frogmask.patch import digest
from frogmask.tensorfile import TensorFile

VALUES_RECORD = "values.json"
TENSORS = "values.safetensors"
FORMAT = "frog-adapter-values"
FORMAT_VERSION = 1


def save_values(folder: Path, factors: AdapterFolder, values: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
    """Writes trained values, values.json last.

    Args:
        folder: The folder to write; made if it is not there. Values in it are replaced.
        factors: The folder of the factors.
        values: By tensor of the checkpoint, and by the names that files give them: float32, on any device.

    Raises:
        FormatError: A value is not finite.
        WriteError: The folder or a file could not be written.
    """
    stored = {key: value.detach().to("cpu", torch.float32).contiguous() for named in values.values() for key, value in named.items()}
    for key, value in stored.items():
        if not bool(torch.isfinite(value).all()):
            raise FormatError(f"'{key}' has values that are not finite: training has diverged")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Without its record, what lies there while files are replaced is no set of values.
        (folder / VALUES_RECORD).unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(f"cannot write to {folder}: {error.strerror}") from None
    with documents.written(folder / TENSORS) as temporary:
        save_file(stored, temporary, metadata={"format": "pt"})
    record = {
        "checkpoint": factors.record["checkpoint"],
        "factors": {"name": factors.folder.resolve().name, "sha256": digest(factors.path)},
        "file": {"bytes": (folder / TENSORS).stat().st_size, "sha256": digest(folder / TENSORS)},
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "method": factors.record["method"],
        "tensors": {tensor: sorted(named) for tensor, named in values.items()},
    }
    documents.write(folder / VALUES_RECORD, record)


class TrainedValues:
    """Values that `save_values` has written.

    Attributes:
        folder: Their folder.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        """Opens a folder of values, and compares the file with its digest.

        Raises:
            MissingError: There is no such folder or file.
            FormatError: Saving it did not finish, or it was damaged.
        """
        self.folder = Path(directory)
        path = self.folder / VALUES_RECORD
        if not self.folder.is_dir():
            raise MissingError(f"there is no folder {self.folder}")
        if not path.exists():
            hint = "saving them did not finish" if (self.folder / TENSORS).exists() else "nothing was saved there; use attach"
            raise MissingError(f"{self.folder} has no {VALUES_RECORD}: {hint}")
        record = documents.read_format(path, FORMAT, (FORMAT_VERSION,), "frogmask")
        self._file = TensorFile(self.folder / TENSORS)
        try:
            wanted = str(record["file"]["sha256"])
            self._method, self._factors = str(record["method"]), dict(record["factors"])
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{path} lacks or garbles {error}; save it again") from None
        if digest(self._file.path) != wanted:
            raise FormatError(f"{self._file.path} is not the file that {VALUES_RECORD} describes; copy the folder again")

    def folder_of_factors(
        self, method: str, factors: str | os.PathLike[str] | None, checkpoint: str | os.PathLike[str] | None
    ) -> AdapterFolder:
        """Opens the factors that the values belong to.

        Args:
            method: The method that they must be of.
            factors: The folder of the factors; by default the folder of the values.
            checkpoint: As in `AdapterFolder`.

        Raises:
            UsageError: The folder of the factors has to be given, or the values are of another method.
            MatchError: They were trained with other factors.
        """
        if self._method != method:
            raise UsageError(f"{self.folder} has values of the method {self._method}, not {method}")
        if factors is None and not (self.folder / RECORD).exists():
            raise UsageError(f"{self.folder} has values alone: give the folder of their factors too, factors='{self._factors.get('name')}'")
        found = AdapterFolder(self.folder if factors is None else factors, method, checkpoint)
        if digest(found.path) != self._factors.get("sha256"):
            raise MatchError(
                f"the values in {self.folder} were trained with the factors of {self._factors.get('name')}, not {found.folder}"
            )
        return found

    def read(self, key: str, shape: tuple[int, ...]) -> torch.Tensor:
        """Values, float32.

        Raises:
            FormatError: They are missing, or of another type or shape.
        """
        entry = self._file.entry(key)
        if entry.dtype != "F32" or entry.shape != shape:
            raise FormatError(f"{self._file.path}: '{key}' is {entry.dtype} {list(entry.shape)}, should be F32 {list(shape)}")
        return self._file.tensor(key)
