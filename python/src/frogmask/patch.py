"""Patches: what training has made of the kept weights, as values for the tensors of the checkpoint.

A patch is a folder with `patch.safetensors`, `patch.json` and a model card. Of every tensor T of the checkpoint there are

- `T.indices`, I32 [k], or I64 from 2³¹ elements on: flat row-major positions in the stored tensor, ascending;
- `T.values` [k]: absolute values in the type of the trained parameter.

patch.json is written last: a folder without it is not finished.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file

from frogmask import card, documents
from frogmask.errors import FormatError, MatchError, MissingError, UsageError, WriteError
from frogmask.parts import sizes
from frogmask.places import TRAINABLE, Wanted, locate
from frogmask.tensorfile import FLOATS, TensorFile

if TYPE_CHECKING:
    from torch import nn

    from frogmask.masks import Masks

RECORD = "patch.json"
TENSORS = "patch.safetensors"
CARD = "README.md"
FORMAT = "frog-patch"
FORMAT_VERSION = 1


def save(directory: str | os.PathLike[str], masks: Masks, values: Mapping[str, torch.Tensor], *, base_model: str | None = None) -> None:
    """Writes a patch.

    Args:
        directory: The folder; made if it is not there. A patch in it is replaced.
        masks: The masks that say which weights these are.
        values: By tensor of the checkpoint, in the order of the mask's indices: [k], in a floating-point type, on any device.
        base_model: The name of the model for the card, such as that of a repository of the Hugging Face Hub.

    Raises:
        MatchError: A tensor is none of the masks, or has another number of kept weights.
        FormatError: A value is not finite.
        WriteError: The folder or a file could not be written.
    """
    folder = Path(directory)
    stored: dict[str, torch.Tensor] = {}
    described: dict[str, Any] = {}
    for name, value in values.items():
        if name not in masks:
            raise MatchError(f"the masks in {masks.folder} have no tensor '{name}'")
        mask = masks[name]
        if tuple(value.shape) != (mask.kept,):
            raise MatchError(f"'{name}' has {mask.kept} kept weights in {masks.folder}, not values of the shape {list(value.shape)}")
        if value.dtype not in TRAINABLE:
            raise MatchError(f"the values of '{name}' are {value.dtype}, not weights")
        value = value.detach().to("cpu").contiguous()
        if not bool(torch.isfinite(value).all()):
            raise FormatError(f"the values of '{name}' are not all finite: training has diverged")
        wide = math.prod(mask.shape) > 2**31 - 1
        stored[f"{name}.indices"] = mask.indices.to(torch.int64 if wide else torch.int32)
        stored[f"{name}.values"] = value
        described[name] = {"dtype": mask.dtype, "is_whole": mask.is_whole, "kept": mask.kept, "shape": list(mask.shape)}
    if not described:
        raise UsageError("there are no values to save")
    record = {
        "base_model": base_model,
        "checkpoint": masks.record["checkpoint"],
        "matrices": [{key: entry[key] for key in ("name", "tensor", "dtype", "shape", "slice")} for entry in masks.matrices],
        "names": {name: masks.names[name] for name in described if name in masks.names},
        "tensors": described,
    }
    write(folder, stored, record)


def write(folder: Path, stored: Mapping[str, torch.Tensor], record: dict[str, Any]) -> None:
    """Writes the files of a patch, patch.json last.

    Args:
        folder: The folder; made if it is not there.
        stored: The tensors of `patch.safetensors`.
        record: What patch.json says beside format, file and number of values.

    Raises:
        WriteError: The folder or a file could not be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Without its record, what lies there while files are replaced is no patch.
        (folder / RECORD).unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(f"cannot write to {folder}: {error.strerror}") from None
    with documents.written(folder / TENSORS) as temporary:
        save_file(dict(stored), temporary, metadata={"format": "pt"})
    kept = sum(entry["kept"] for entry in record["tensors"].values())
    text = card.patch_card(record["base_model"], str(record["checkpoint"]["fingerprint"]), kept, len(record["tensors"]))
    with documents.written(folder / CARD) as temporary:
        temporary.write_text(text, encoding="utf-8")
    file = {"bytes": (folder / TENSORS).stat().st_size, "sha256": digest(folder / TENSORS)}
    documents.write(folder / RECORD, {"file": file, "format": FORMAT, "format_version": FORMAT_VERSION, "kept": kept} | record)


@dataclass(frozen=True, eq=False)
class TensorPatch:
    """New values for one tensor of the checkpoint. Read from the mapped file and checked each time.

    Attributes:
        name: The name of the tensor.
        shape: Its shape; outputs × (everything else) of a convolution.
        is_whole: Whether the tensor may be a convolution.
        dtype: The type in which the checkpoint stores it, such as `BF16`.
        kept: The number of values.
        file: The file that holds them.
    """

    name: str
    shape: tuple[int, ...]
    is_whole: bool
    dtype: str
    kept: int
    file: TensorFile

    @property
    def indices(self) -> torch.Tensor:
        """Flat row-major positions in the stored tensor, ascending, int64 [k]."""
        size = math.prod(self.shape)
        found = self._tensor("indices", ("I64",) if size > 2**31 - 1 else ("I32",)).to(torch.int64)
        if self.kept and (int(found[0]) < 0 or int(found[-1]) >= size or bool((found[1:] <= found[:-1]).any())):
            raise FormatError(f"{self.file.path}: '{self.name}.indices' does not ascend from 0 to {size - 1}; copy the patch again")
        return found

    @property
    def values(self) -> torch.Tensor:
        """The values at these positions, [k], in the type of the trained parameter."""
        found = self._tensor("values", tuple(FLOATS))
        if not bool(torch.isfinite(found).all()):
            raise FormatError(f"{self.file.path}: '{self.name}.values' has numbers that are not finite; copy the patch again")
        return found

    def _tensor(self, kind: str, dtypes: tuple[str, ...]) -> torch.Tensor:
        entry = self.file.entry(f"{self.name}.{kind}")
        if entry.dtype not in dtypes or entry.shape != (self.kept,):
            raise FormatError(
                f"{self.file.path}: '{self.name}.{kind}' is {entry.dtype} {list(entry.shape)}, "
                f"should be {' or '.join(dtypes)} [{self.kept}]"
            )
        return self.file.tensor(f"{self.name}.{kind}")


class Patch(Mapping[str, TensorPatch]):
    """A patch, by the names of the checkpoint's tensors. Reads patch.json and a header; values when they are asked for.

    Attributes:
        folder: Its folder.
        record: The contents of patch.json.
        fingerprint: The fingerprint of the checkpoint that it belongs to.
        names: Where tensors lie in a model that transformers 5 has loaded, as in names.json.
        matrices: What the fingerprint was made of, as in frog.json.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Opens a patch.

        Raises:
            MissingError: There is none.
            FormatError: It is not finished, of another version, or not what its format says.
        """
        self.folder = Path(folder)
        path = self.folder / RECORD
        if not self.folder.is_dir():
            raise MissingError(f"there is no folder {self.folder}")
        if not path.exists():
            hint = "saving it did not finish" if (self.folder / TENSORS).exists() else "it is no patch of frogmask"
            raise FormatError(f"{self.folder} has no {RECORD}: {hint}")
        self.record = documents.read_format(path, FORMAT, (FORMAT_VERSION,), "frogmask")
        file = TensorFile(self.folder / TENSORS)
        try:
            if file.size != self.record["file"]["bytes"]:
                raise FormatError(f"{file.path} has {file.size} bytes, should be {self.record['file']['bytes']}; copy the patch again")
            self.fingerprint = str(self.record["checkpoint"]["fingerprint"])
            self.names: dict[str, Any] = dict(self.record["names"])
            self.matrices: list[dict[str, Any]] = list(self.record["matrices"])
            self._tensors = {
                str(name): TensorPatch(
                    name, sizes(entry["shape"]), bool(entry["is_whole"]), str(entry["dtype"]), sizes([entry["kept"]])[0], file
                )
                for name, entry in self.record["tensors"].items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"{path} lacks or garbles {error}; copy the patch again") from None

    def __getitem__(self, name: str) -> TensorPatch:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        return f"<patch of {sum(tensor.kept for tensor in self.values())} weights in {len(self)} tensors in {self.folder}>"


def apply(model: nn.Module, directory: str | os.PathLike[str]) -> None:
    """Sets the weights of a loaded model to the values of a patch. Either all of them change or, after an error, none.

    Args:
        model: The model, with its weights loaded. Values are cast to the types of its parameters.
        directory: The patch.

    Raises:
        MatchError: A tensor has no partner in the model, or another shape.
    """
    patch = Patch(directory)
    wanted = [Wanted(tensor.name, tensor.shape, tensor.is_whole, tensor.kept) for tensor in patch.values()]
    places, unmatched = locate(wanted, patch.names, model, str(patch.folder / RECORD))
    if unmatched:
        raise MatchError(f"{patch.folder}: the model has no parameter for {unmatched[0]}; a module was renamed, or it is another model")
    parameters = dict(model.named_parameters())
    for place in places:
        if type(parameters[place.parameter].data) is not torch.Tensor or not parameters[place.parameter].is_contiguous():
            raise MatchError(f"parameter '{place.parameter}' is sharded or not contiguous: apply the patch before the model is wrapped")
        # Everything is read and checked before anything changes.
        tensor, dtype = patch[place.tensor], parameters[place.parameter].dtype
        _ = tensor.indices
        if not bool(torch.isfinite(tensor.values.to(dtype)).all()):
            raise MatchError(f"values of '{tensor.name}' are too large for {dtype}, the type of parameter '{place.parameter}'")
    with torch.no_grad():
        for place in places:
            tensor, parameter = patch[place.tensor], parameters[place.parameter]
            positions = place.positions(tensor.indices).to(parameter.device)
            parameter.view(-1)[positions] = tensor.values.to(parameter.device, parameter.dtype)


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    found = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            found.update(block)
    return found.hexdigest()
