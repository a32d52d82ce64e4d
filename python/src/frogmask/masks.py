"""Reads the output folder of `frog-mpi mask`, lazily: one tensor's mask at a time, from mapped files."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from frogmask import documents
from frogmask.errors import FormatError, MatchError, MissingError, UsageError
from frogmask.outputs import Floats, Output
from frogmask.parts import Part, Positions, sizes
from frogmask.tensorfile import TensorFile

if TYPE_CHECKING:
    import torch
    from torch import nn

    from frogmask.matching import Match

RECORD = "frog.json"
SET = "masks.json"
INDEX = "masks.safetensors.index.json"
NAMES = "names.json"
FORMAT_VERSIONS = (5,)
"""The versions of frog.json that are understood: MaskRecord.currentFormatVersion of frog-mpi."""
_EXPONENTS = range(-4096, 4097)


def load(folder: str | os.PathLike[str], checkpoint: str | os.PathLike[str] | None = None) -> Masks:
    """Opens the masks in a folder that `frog-mpi mask` wrote. Reads nothing but frog.json.

    Args:
        folder: The output folder of one mask.
        checkpoint: The checkpoint that the masks should have been made from. If it is given, all of its weight matrices are read, and
            their fingerprint is compared.

    Raises:
        MissingError: There are no masks.
        UsageError: The folder holds several masks; names their folders.
        FormatError: The masks are unfinished, of another version, or not what their format says.
        MatchError: The checkpoint is another one.
    """
    masks = Masks(folder)
    if checkpoint is not None:
        from frogmask.fingerprint import check_fingerprint

        check_fingerprint(masks.matrices, masks.fingerprint, checkpoint)
    return masks


@dataclass(frozen=True, eq=False)
class Matrix:
    """What frog.json says of one weight matrix.

    Attributes:
        name: Its name: that of the tensor, with expert and part in brackets.
        part: Which part of the stored tensor it is.
        kept: The number of kept weights.
        importance: R, its share of the sum of all norms.
        stack: The stack of layers that it lies in; None outside of all layers.
        depth: The number of the layer in the stack; None outside of all layers.
        role: What it does in its layer, such as `q` or `down`.
        output: What the mask file holds for it, and for the other experts of its stack.
        expert: Its position there.
    """

    name: str
    part: Part
    kept: int
    importance: float
    stack: str | None
    depth: int | None
    role: str
    output: Output
    expert: int

    def noise(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Row means of S in units of weights, float32 [m], and column means over the mean of S, float32 [n]."""
        import torch

        row, column = self.output.noise(self.expert)
        return torch.from_numpy(row), torch.from_numpy(column)


@dataclass(frozen=True, eq=False)
class Mask:
    """The kept weights of one stored tensor. Everything is read anew each time it is asked for, and checked.

    Attributes:
        name: The name of the tensor in the checkpoint.
        shape: The shape that flat positions count in: that of the tensor, but outputs × (everything else) of a convolution.
        dtype: The type in which the checkpoint stores it, such as `BF16`.
        kept: The number of kept weights, K.
        matrices: Its matrices: one, or the experts of a stack, or the parts of a split tensor.
        is_whole: Whether the tensor is one matrix, which may be a convolution of more dimensions.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    kept: int
    matrices: tuple[Matrix, ...]
    is_whole: bool

    @property
    def indices(self) -> torch.Tensor:
        """Flat row-major positions of the kept weights in the stored tensor, ascending, int64 [K]."""
        return self.read()[0]

    @property
    def scores(self) -> torch.Tensor:
        """S of the kept weights in the order of their positions, in units of weights, float32 [K]."""
        return self.read()[1]

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What mask files hold for the tensor."""
        return tuple({matrix.output.name: matrix.output for matrix in self.matrices}.values())

    def read(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Positions, int64 [K], and scores, float32 [K]; in one go where both are needed."""
        import torch

        positions, scores = self._merged(None, None)
        return torch.from_numpy(positions), torch.from_numpy(scores)

    def rows(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The kept weights of a shard that holds some rows (positions of the first dimension). Reads no more than it needs.

        Args:
            start: The first row of the shard.
            stop: The row after its last.

        Returns:
            Positions that count in the shard, int64 [k], and their scores, float32 [k].
        """
        import torch

        if not 0 <= start <= stop <= self.shape[0]:
            raise UsageError(f"'{self.name}' has the rows 0 to {self.shape[0]}, not {start} to {stop}")
        width = math.prod(self.shape[1:])
        positions, scores = self._merged(start * width, stop * width)
        return torch.from_numpy(positions - start * width), torch.from_numpy(scores)

    def _merged(self, start: int | None, stop: int | None) -> tuple[Positions, Floats]:
        found = [output.read(start, stop) for output in self.outputs]
        if len(found) == 1:
            return found[0]
        positions = np.concatenate([positions for positions, _ in found])
        order = np.argsort(positions, kind="stable")
        positions = positions[order]
        if bool((positions[1:] == positions[:-1]).any()):
            raise FormatError(f"the parts of '{self.name}' overlap; make or copy the masks again")
        return positions, np.concatenate([scores for _, scores in found])[order]


class Masks(Mapping[str, Mask]):
    """The masks of a checkpoint, by the names of its tensors. Nothing but frog.json has been read.

    Example:
        masks = frogmask.load("my-masks")
        mask = masks["model.layers.0.self_attn.q_proj.weight"]
        mask.indices, mask.scores
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Reads frog.json; see `load`."""
        self.folder = Path(folder)
        self.path = self.folder / RECORD
        if not self.folder.is_dir():
            raise MissingError(f"there is no folder {self.folder}")
        if not self.path.exists() and (self.folder / SET).exists():
            raise UsageError(f"{self.folder} holds several masks: give the folder of one ({', '.join(_folders(self.folder / SET))})")
        if not self.path.exists() or not (self.folder / INDEX).exists():
            is_begun = self.path.exists() or (self.folder / INDEX).exists() or (self.folder / ".frog-mpi").exists()
            hint = "the run that wrote it did not finish: repeat it with --resume" if is_begun else "it is no output of frog-mpi mask"
            raise FormatError(f"{self.folder} has no {INDEX if self.path.exists() else RECORD}: {hint}")
        self.record = documents.read_format(self.path, "frog-mask", FORMAT_VERSIONS, "frog-mpi")
        self._files: dict[str, TensorFile] = {}
        self._masks: dict[str, Mask] = {}
        try:
            self.fingerprint = str(self.record["checkpoint"]["fingerprint"])
            self.kept = _count(self.record["kept"])
            self.matrices: list[dict[str, Any]] = list(self.record["matrices"])
            self._entries: dict[str, list[dict[str, Any]]] = {}
            for entry in self.matrices:
                self._entries.setdefault(str(entry["tensor"]), []).append(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{self.path} lacks or garbles {error}; make or copy the masks again") from None

    def __getitem__(self, name: str) -> Mask:
        if name in self._masks:
            return self._masks[name]
        entries = self._entries[name]
        try:
            return self._masks.setdefault(name, self._mask(name, entries))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise FormatError(f"{self.path}: the entry of '{name}' contradicts itself ({error}); make or copy the masks again") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __repr__(self) -> str:
        return f"<masks of {len(self)} tensors in {self.folder}, {self.kept} weights kept>"

    @cached_property
    def names(self) -> dict[str, Any]:
        """Where tensors lie in a model that transformers 5 has loaded, as names.json says; no entries without that file."""
        if NAMES not in self.record.get("documents", {}):
            return {}
        found = documents.read_format(self.folder / NAMES, "frog-names", (1,), "frog-mpi").get("tensors")
        if not isinstance(found, dict):
            raise FormatError(f"{self.folder / NAMES} has no 'tensors'; make or copy the masks again")
        return found

    def match(self, model: nn.Module) -> Match:
        """Finds the parameters of a loaded model in which the kept weights lie.

        Args:
            model: The model, also inside of DistributedDataParallel, FSDP2 or torch.compile.

        Returns:
            The placements, and by name what has no partner.

        Raises:
            MatchError: The masks are those of another model, keep no weights, or the model's weights are quantized or not loaded.
        """
        from frogmask.matching import match

        if self.kept == 0:
            raise MatchError(f"the masks in {self.folder} keep no weights: make them with a larger --budget")
        return match(self, model)

    def _mask(self, name: str, entries: list[dict[str, Any]]) -> Mask:
        groups: dict[str, list[dict[str, Any]]] = {}
        for entry in entries:
            label = (entry["slice"] or {}).get("part")
            groups.setdefault(name if label is None else f"{name}[{label}]", []).append(entry)
        matrices: list[Matrix] = []
        for output_name, group in groups.items():
            matrices += self._matrices(output_name, group)
        first = entries[0]
        is_whole = first["slice"] is None
        shape = sizes(first["shape"] if is_whole else first["slice"]["shape"])
        if any(matrix.part.shape != shape for matrix in matrices) or (is_whole and len(entries) > 1):
            raise ValueError("shape")
        return Mask(name, shape, str(first["dtype"]), sum(m.kept for m in matrices), tuple(matrices), is_whole)

    def _matrices(self, name: str, entries: list[dict[str, Any]]) -> list[Matrix]:
        is_stack = entries[0]["slice"] is not None and entries[0]["slice"]["expert"] is not None
        if is_stack:
            entries = sorted(entries, key=lambda entry: _count(entry["slice"]["expert"]))
        elif len(entries) > 1:
            raise ValueError("one name for several matrices")
        parts = tuple(Part.of(entry, len(entries) if is_stack else None) for entry in entries)
        kept = tuple(_count(entry["kept"]) for entry in entries)
        exponents = tuple(entry["score_exponent"] for entry in entries)
        file, stored = entries[0]["file"], entries[0]["format"]
        # Experts share rows, columns, file and format, and are all there.
        if any(part.slab != slab or (part.rows, part.columns) != (parts[0].rows, parts[0].columns) for slab, part in enumerate(parts)):
            raise ValueError("experts")
        if any((entry["file"], entry["format"]) != (file, stored) for entry in entries) or stored not in ("indices", "bitmap"):
            raise ValueError("file or format")
        if is_stack and len(parts) != parts[0].slabs:
            raise ValueError("number of experts")
        if any(number > part.rows.total * part.columns.total for number, part in zip(kept, parts)):
            raise ValueError("kept")
        if any(type(exponent) is not int or exponent not in _EXPONENTS for exponent in exponents):
            raise ValueError("score_exponent")
        for entry in entries:
            if not (isinstance(entry["stack"], str | None) and isinstance(entry["depth"], int | None)):
                raise ValueError("stack or depth")
        output = Output(name, stored == "bitmap", parts, kept, exponents, is_stack, lambda: self._file(file))
        return [
            Matrix(
                str(entry["name"]), part, entry["kept"], float(entry["importance"]), entry["stack"], entry["depth"], str(entry["role"]),
                output, expert,
            )
            for expert, (entry, part) in enumerate(zip(entries, parts))
        ]  # fmt: skip

    def _file(self, name: str) -> TensorFile:
        if name not in self._files:
            recorded = self.record.get("files", {}).get(name)
            # A name that is no plain file name could lead out of the folder.
            if not isinstance(recorded, dict) or name in ("", ".", "..") or "/" in name or os.sep in name:
                raise FormatError(f"{self.path}: '{name}' is no name of a mask file; make or copy the masks again")
            path = self.folder / name
            if path.exists() and path.stat().st_size != recorded.get("bytes"):
                raise FormatError(
                    f"{path} is truncated or another file: {path.stat().st_size} bytes, should be {recorded.get('bytes')}; copy it again"
                )
            self._files[name] = TensorFile(path)
        return self._files[name]


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"the number {value!r}")
    return value


def _folders(path: Path) -> list[str]:
    found = documents.read_format(path, "frog-masks", (1,), "frog-mpi").get("masks")
    if not isinstance(found, list):
        raise FormatError(f"{path} has no 'masks'; make or copy the masks again")
    return [str(mask.get("folder")) for mask in found if isinstance(mask, dict)]
