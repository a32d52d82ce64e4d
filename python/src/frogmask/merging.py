"""Writes a checkpoint with the values of a patch, in a stream: memory is that of a piece of a tensor, not of the model."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch

from frogmask import documents
from frogmask.checkpoint import Checkpoint
from frogmask.errors import MatchError, MissingError, WriteError
from frogmask.fingerprint import check_fingerprint
from frogmask.patch import Patch, TensorPatch
from frogmask.tensorfile import FLOATS, NUMPY_TYPES, Entry, TensorFile

_PIECE = 1 << 24  # bytes
# Endings of files that would hold the old weights.
_WEIGHTS = (
    ".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".onnx_data",
    ".gguf", ".ot", ".tflite",
)  # fmt: skip


def merge(
    checkpoint: str | os.PathLike[str], directory: str | os.PathLike[str], out: str | os.PathLike[str], *, verify: bool = True
) -> None:
    """Writes the checkpoint that a patch makes of another.

    Files, names, order, types and metadata are those of the checkpoint, and all other files of its folder are copied (configuration,
    tokenizer). Values are rounded to the types of the checkpoint.

    Args:
        checkpoint: A folder as Hugging Face stores it, or one safetensors file.
        directory: The patch.
        out: The folder to write, which must not be there or be empty.
        verify: Whether the checkpoint's fingerprint is compared first, which reads all of its weight matrices once.

    Raises:
        MatchError: The patch belongs to another checkpoint.
        UsageError: There is something in `out`.
        WriteError: A file could not be written.
    """
    source, patch, target = Checkpoint(checkpoint), Patch(directory), Path(out)
    documents.check_new(target)
    for tensor in patch.values():
        _Changes(tensor, check_tensor(tensor, source))  # all of the patch is checked before anything is written
    if verify:
        check_fingerprint(patch.matrices, patch.fingerprint, source)
    try:
        target.mkdir(parents=True, exist_ok=True)
        if source.path.is_dir():
            _copy_others(source.folder, target)
    except OSError as error:
        raise WriteError(f"cannot write to {target}: {error.strerror or error}") from None
    for name, file in source.files.items():
        with documents.written(target / name) as temporary, open(temporary, "wb") as stream:
            _write_file(file, patch, stream)
    # The index last: loaders take a folder without it for unfinished.
    if source.index is not None:
        with documents.written(target / source.index) as temporary:
            shutil.copyfile(source.folder / source.index, temporary)


def check_tensor(tensor: TensorPatch, checkpoint: Checkpoint) -> Entry:
    """The entry of a patched tensor in a checkpoint.

    Raises:
        MatchError: The checkpoint lacks it, or stores another type or shape.
    """
    entry = checkpoint.entry(tensor.name)
    if entry.dtype not in FLOATS:
        raise MatchError(f"'{tensor.name}' is {entry.dtype} in {checkpoint.path}: merge into a checkpoint in BF16 or F32")
    flattened = (entry.shape[0], entry.size // entry.shape[0]) if entry.size and len(entry.shape) > 2 else entry.shape
    if tensor.shape not in (entry.shape, flattened if tensor.is_whole else entry.shape) or entry.dtype != tensor.dtype:
        raise MatchError(
            f"'{tensor.name}' is {entry.dtype} {list(entry.shape)} in {checkpoint.path}, the patch is for "
            f"{tensor.dtype} {list(tensor.shape)}: it belongs to another checkpoint"
        )
    return entry


def _write_file(file: TensorFile, patch: Patch, stream: BinaryIO) -> None:
    """Writes one file: its header byte by byte, then its tensors in their order."""
    stream.write(file.header_bytes)
    with open(file.path, "rb") as original:
        for name, entry in sorted(file.entries.items(), key=lambda item: item[1].start):
            changed = _Changes(patch[name], entry) if name in patch else None
            for start in range(entry.start, entry.end, _PIECE):
                original.seek(start)
                piece = bytearray(original.read(min(_PIECE, entry.end - start)))
                if len(piece) != min(_PIECE, entry.end - start):
                    raise MissingError(f"{file.path} became shorter while it was read")
                if changed is not None:
                    changed.put(piece, start - entry.start)
                stream.write(piece)


class _Changes:
    """The new elements of a tensor, in its own type."""

    def __init__(self, tensor: TensorPatch, entry: Entry) -> None:
        self._kind = np.dtype(NUMPY_TYPES[entry.dtype])
        self._indices: npt.NDArray[np.int64] = tensor.indices.numpy()
        values = tensor.values.to(getattr(torch, FLOATS[entry.dtype]))
        if not bool(torch.isfinite(values).all()):
            raise MatchError(f"values of '{tensor.name}' are too large for {entry.dtype}, in which the checkpoint stores it")
        raw = values.view(torch.uint16) if values.dtype == torch.bfloat16 else values
        self._values: npt.NDArray[Any] = raw.numpy()

    def put(self, piece: bytearray, offset: int) -> None:
        """Replaces elements in a piece of the tensor that begins at byte `offset` of it."""
        first, count = offset // self._kind.itemsize, len(piece) // self._kind.itemsize
        low, high = np.searchsorted(self._indices, [first, first + count]).tolist()
        np.frombuffer(piece, self._kind)[self._indices[low:high] - first] = self._values[low:high]


def _copy_others(folder: Path, target: Path) -> None:
    """Copies what holds no weights: configuration, tokenizer, code, and folders of such files."""
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.name.endswith(_WEIGHTS):
            continue
        if entry.is_file():
            target.mkdir(exist_ok=True)
            shutil.copyfile(entry, target / entry.name)
        elif entry.is_dir() and not entry.is_symlink():
            _copy_others(entry, target / entry.name)
