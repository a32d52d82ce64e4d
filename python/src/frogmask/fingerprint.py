"""The fingerprint of a checkpoint: whether masks or a patch belong to it (docs/reference/formats.md)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from frogmask.checkpoint import Checkpoint
from frogmask.errors import FormatError, MatchError
from frogmask.parts import Part
from frogmask.tensorfile import FLOATS

_BLOCK = 1 << 22  # weights


def fingerprint(matrices: Iterable[dict[str, Any]], checkpoint: Checkpoint) -> str:
    """The fingerprint of the weights that `matrices` describe.

    Args:
        matrices: Entries as in frog.json, by ordinal, with at least `name`, `tensor`, `dtype`, `shape` and `slice`.
        checkpoint: Where the weights are read.

    Raises:
        MatchError: The checkpoint has other tensors, or stores its weights in 8 bits.
        FormatError: An entry contradicts itself.
    """
    import xxhash

    total = hashlib.sha256()
    entries = list(matrices)
    experts: dict[str, int] = {}
    for entry in entries:
        label = f"{entry['tensor']}[{(entry['slice'] or {}).get('part')}]"
        experts[label] = experts.get(label, 0) + 1
    for entry in entries:
        name, tensor = str(entry["name"]), str(entry["tensor"])
        is_stack = entry["slice"] is not None and entry["slice"]["expert"] is not None
        try:
            part = Part.of(entry, experts[f"{tensor}[{(entry['slice'] or {}).get('part')}]"] if is_stack else None)
        except ValueError as error:
            raise FormatError(f"the entry of '{name}' contradicts itself ({error}); make or copy the masks again") from None
        weights = checkpoint.array(tensor)
        dtype = checkpoint.entry(tensor).dtype
        if dtype not in FLOATS:
            raise MatchError(f"'{tensor}' is {dtype} in {checkpoint.path}: use frog-mpi verify --checkpoint, which reads scaled weights")
        if weights.size != part.slab_size * part.slabs or dtype != entry["dtype"]:
            raise MatchError(f"'{tensor}' is {dtype} {list(weights.shape)} in {checkpoint.path}, not what the masks were made from")
        encoded = name.encode()
        total.update(f"{len(encoded)} ".encode() + encoded + f" {dtype} {entry['shape'][0]} {entry['shape'][1]}".encode())
        for block in _blocks(weights, part):
            digest = xxhash.xxh3_128(block.data).digest()  # big-endian: high word first
            total.update(digest[::-1])
    return f"sha256-xxh3:{total.hexdigest()}"


def check_fingerprint(matrices: Iterable[dict[str, Any]], wanted: str, checkpoint: str | os.PathLike[str] | Checkpoint) -> None:
    """Refuses a checkpoint whose weight matrices are not those that masks were made from.

    Raises:
        MatchError: The fingerprint differs.
    """
    opened = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
    found = fingerprint(matrices, opened)
    if found != wanted:
        raise MatchError(f"{opened.path} is another checkpoint: its fingerprint is {found}, the masks were made from {wanted}")


def _blocks(weights: npt.NDArray[Any], part: Part) -> Iterator[npt.NDArray[Any]]:
    """The matrix's weights in row-major order, in blocks of 2²² and a shorter last one."""
    slabs = weights.reshape(part.slabs, part.stored_rows, part.stored_columns)
    slab = slabs[part.slab]
    rows = part.rows.stored(np.arange(part.rows.total, dtype=np.int64))
    columns = part.columns.stored(np.arange(part.columns.total, dtype=np.int64))
    is_plain = part.columns.total == part.stored_columns and bool((np.diff(rows) == 1).all())
    total = part.rows.total * part.columns.total
    if is_plain:
        flat = slab.reshape(-1)[int(rows[0]) * part.stored_columns :][:total]
        for start in range(0, total, _BLOCK):
            yield flat[start : start + _BLOCK]
        return
    # Blocks do not end at rows: gather the rows that a block touches, and cut.
    for start in range(0, total, _BLOCK):
        stop = min(start + _BLOCK, total)
        first, last = start // columns.size, (stop - 1) // columns.size + 1
        some = np.ascontiguousarray(slab[rows[first:last]][:, columns]).reshape(-1)
        yield some[start - first * columns.size : stop - first * columns.size]
