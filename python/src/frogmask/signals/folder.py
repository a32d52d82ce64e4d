"""Writes signals as a checkpoint: float32 tensors in shards, a record of what they are, and an index."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import torch

from frogmask import documents
from frogmask.errors import FormatError, UsageError, WriteError
from frogmask.patch import digest

RECORD = "signals.json"
INDEX = "signals.safetensors.index.json"
FORMAT = "frog-signals"
FORMAT_VERSION = 1
_SHARD_BYTES = 5 << 30
_PIECE = 1 << 22  # elements
_DIMENSIONS = 8


class SignalFolder:
    """A folder of signals that is being written.

    Files get their names when everything is in them, the index last. Nothing is left of a folder whose block ends with an error.

    Example:
        with SignalFolder("my-signals", ["layer.weight"]) as folder:
            folder.add("layer.weight", torch.ones(3, 4))
            folder.finish({"kind": "activation"})

    Attributes:
        path: The folder.
        work: A folder in it for temporary files.
    """

    def __init__(self, path: str | os.PathLike[str], names: Iterable[str], shard_bytes: int = _SHARD_BYTES) -> None:
        """Looks whether the folder can be written.

        Args:
            path: The folder, new or empty.
            names: The names of all tensors that may come.
            shard_bytes: How large a shard may become; a tensor is never divided.

        Raises:
            UsageError: There is something in the folder.
        """
        self.path = Path(path)
        self.work = self.path / f".signals.{os.getpid()}.tmp"
        documents.check_new(self.path)
        self._is_new = not self.path.exists()
        self._limit = shard_bytes
        # A header stands before its data, and how long it becomes is known afterwards: leave room for all tensors.
        self._room = 256 + sum(len(json.dumps(name)) + 128 + 20 * _DIMENSIONS for name in names)
        self._shards: list[dict[str, Any]] = []
        self._bytes = 0
        self._stream: BinaryIO | None = None
        self._named: list[Path] = []

    def __enter__(self) -> SignalFolder:
        try:
            self.work.mkdir(parents=True)
        except OSError as error:
            raise WriteError(f"cannot write to {self.path}: {error.strerror}") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._stream is not None:
            with suppress(OSError):  # what could not be written before cannot be written now
                self._stream.close()
        shutil.rmtree(self.work, ignore_errors=True)
        if kind is not None:
            for path in self._named:
                path.unlink(missing_ok=True)
        if kind is not None and self._is_new and not any(self.path.iterdir()):
            self.path.rmdir()

    def add(self, name: str, values: torch.Tensor, divisor: int = 1) -> None:
        """Writes a tensor.

        Args:
            name: Its name.
            values: Finite and not negative, in any floating-point type, on any device and in any layout.
            divisor: What the values are divided by.

        Raises:
            FormatError: A value is negative or not finite.
            WriteError: The disk is full, or fails.
        """
        if values.dim() > _DIMENSIONS:
            raise FormatError(f"the signal of '{name}' has {values.dim()} dimensions; at most {_DIMENSIONS} are understood")
        size = 4 * values.numel()
        if self._stream is not None and self._bytes + size > self._limit and self._shards[-1]:
            self._close()
        with self._reported():
            if self._stream is None:
                self._stream = open(self._shard(len(self._shards)), "w+b")  # noqa: SIM115
                self._stream.seek(8 + self._room)
                self._shards.append({})
                self._bytes = 0
            for piece in pieces(values):
                part = piece.detach().to("cpu", torch.float32).contiguous().numpy()
                part = part / np.float32(divisor) if divisor != 1 else part
                if not bool(np.isfinite(part).all()) or bool((part < 0).any()):
                    raise FormatError(f"the signal of '{name}' has values that are negative or not finite in float32")
                self._stream.write(part.astype("<f4", copy=False).data)
        offsets = [self._bytes, self._bytes + size]
        self._shards[-1][name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": offsets}
        self._bytes += size

    def finish(self, about: Mapping[str, Any]) -> None:
        """Gives all files their names: shards, signals.json, and the index.

        Args:
            about: What signals.json says beside format, version and files.
        """
        if not self._shards:
            raise UsageError("there are no signals to write")
        self._close()
        names = [f"signals-{number + 1:05}-of-{len(self._shards):05}.safetensors" for number in range(len(self._shards))]
        files: dict[str, Any] = {}
        for number, name in enumerate(names):
            with self._reported():
                self._named.append(self.path / name)
                os.replace(self._shard(number), self.path / name)
                files[name] = {"bytes": (self.path / name).stat().st_size, "sha256": digest(self.path / name)}
        record = {"files": files, "format": FORMAT, "format_version": FORMAT_VERSION, "version": version("frogmask")}
        self._named.append(self.path / RECORD)
        documents.write(self.path / RECORD, dict(about) | record)
        total = sum(entry["data_offsets"][1] - entry["data_offsets"][0] for shard in self._shards for entry in shard.values())
        mapped = {tensor: name for name, shard in zip(names, self._shards) for tensor in shard}
        documents.write(self.path / INDEX, {"metadata": {"format": "pt", "total_size": total}, "weight_map": mapped})

    def _close(self) -> None:
        """Writes the header of a shard, which ends with as many spaces as are left of its room."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        header = json.dumps({"__metadata__": {"format": "pt"}} | self._shards[-1], separators=(",", ":")).encode()
        assert len(header) <= self._room, "the room for a header is that of all tensors"
        with self._reported(), stream:
            stream.seek(0)
            stream.write(self._room.to_bytes(8, "little") + header.ljust(self._room))
            stream.flush()
            # A name must not become visible before the contents are on the disk.
            os.fsync(stream.fileno())

    def _shard(self, number: int) -> Path:
        return self.work / f"{number}.safetensors"

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise WriteError(f"cannot write to {self.path}: {error.strerror or error}") from None


def write(
    out: str | os.PathLike[str], tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any], *, shard_bytes: int = _SHARD_BYTES
) -> None:
    """Writes signals that were found in another way, as `frog-mpi mask --weight-by` takes them.

    Args:
        out: The folder, new or empty.
        tensors: Finite values that are not negative, by the name of the tensor in the checkpoint: [n] or [m, n] for a matrix [m, n].
        about: What signals.json says of them, such as `{"kind": "my own"}`.
        shard_bytes: How large a shard may become; a tensor is never divided.

    Raises:
        UsageError: There is something in `out`, or there are no tensors.
        FormatError: A value is negative or not finite.
        WriteError: The disk is full, or fails.
    """
    with SignalFolder(out, tensors, shard_bytes) as folder:
        for name, values in tensors.items():
            folder.add(name, values)
        folder.finish(about)


def pieces(values: torch.Tensor) -> Iterator[torch.Tensor]:
    """Parts of a tensor in row-major order that have few elements, so that copies of them are small."""
    if values.numel() <= _PIECE:
        yield values
        return
    width = math.prod(values.shape[1:])
    if width > _PIECE:
        for row in values:
            yield from pieces(row)
        return
    yield from torch.split(values, max(1, _PIECE // width))
