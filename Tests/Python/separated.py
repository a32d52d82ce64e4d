"""The float64 reference on matrices that are parts of stored tensors, and the same parts out of an output folder.

A `Part` says which numbers of a stored tensor are its matrix: their flat positions, in the shape of the matrix.
Everything else follows from that: the weights, the local positions of kept ones, the rows of a bit map.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import layouts
import reference


@dataclass
class Part:
    name: str  # in frog.json
    tensor: str  # in the checkpoint
    group: str  # what its tensors in the mask files are named after: the tensor, or the tensor and [part]
    expert: int | None  # position in a stack
    positions: np.ndarray  # rows × columns, flat positions in the stored tensor


def whole(tensor, shape):
    """One matrix as stored; a convolution as outputs × everything else."""
    return [Part(tensor, tensor, tensor, None, np.arange(math.prod(shape)).reshape(shape[0], -1))]


def stack(tensor, shape):
    every = np.arange(math.prod(shape)).reshape(shape)
    return [Part(f"{tensor}[{e}]", tensor, tensor, e, every[e]) for e in range(shape[0])]


def rows(tensor, shape, cuts):
    """Parts made of some rows each: part name → row numbers."""
    every = np.arange(math.prod(shape)).reshape(shape)
    return [Part(f"{tensor}[{part}]", tensor, f"{tensor}[{part}]", None, every[numbers]) for part, numbers in cuts.items()]


def stack_columns(tensor, shape, cuts):
    """Parts made of some columns of every expert: part name → column numbers."""
    every = np.arange(math.prod(shape)).reshape(shape)
    return [
        Part(f"{tensor}[{e}][{part}]", tensor, f"{tensor}[{part}]", e, every[e][:, numbers])
        for part, numbers in cuts.items()
        for e in range(shape[0])
    ]


class Separated(reference.Reference):
    """Scores of `parts`, whose numbers come from `values`: stored tensor → float64 array."""

    def __init__(self, parts, values):
        parts = sorted(parts, key=lambda part: part.name.encode())
        self.parts = {part.name: part for part in parts}
        self.total = sum(part.positions.size for part in parts)
        self.scores = np.empty(self.total)
        self.matrices, at = [], 0
        for part in parts:
            weights = values[part.tensor].reshape(-1)[part.positions]
            flat = self.scores[at : at + weights.size]
            flat[:] = reference.frog_scores(weights).reshape(-1)
            norm = reference.frobenius_norm(weights)
            self.matrices.append(reference.Matrix(part.name, weights.shape, "", norm, flat))
            at += weights.size
        self.ranked = self.scores

    def read(self, out):
        """Masks of an output folder: name of a matrix → reference.Output with positions in that matrix."""
        out = Path(out)
        weight_map = json.loads((out / "masks.safetensors.index.json").read_text())["weight_map"]
        stored = {t.name: t for file in sorted(set(weight_map.values())) for t in reference.read_header(out / file)}
        assert stored.keys() == weight_map.keys()
        groups = {key.rpartition(".")[0] for key in stored}
        assert groups == {part.group for part in self.parts.values()}
        found = {}
        for group in groups:
            parts = [part for part in self.parts.values() if part.group == group]
            for part, local in zip(parts, self.kept(stored, group, parts)):
                positions, chosen = local
                row, col = (stored[f"{group}.{noise}"].read() for noise in ("noise_row", "noise_col"))
                experts = () if part.expert is None else (len(parts),)
                assert row.shape == (*experts, part.positions.shape[0]) and col.shape == (*experts, part.positions.shape[1])
                if part.expert is not None:
                    row, col = row[part.expert], col[part.expert]
                found[part.name] = reference.Output(positions, stored[f"{group}.scores"].read()[chosen], row, col)
        return found

    def kept(self, stored, group, parts):
        """For each part: ascending positions in it, and where their scores lie in the group's."""
        if f"{group}.mask" in stored:
            assert f"{group}.indices" not in stored
            yield from self.kept_in_bits(stored[f"{group}.mask"], parts)
            return
        indices = stored[f"{group}.indices"].read().astype(np.int64)
        assert np.all(np.diff(indices) > 0), group
        claimed = 0
        for part in parts:
            flat = part.positions.reshape(-1)
            order = np.argsort(flat, kind="stable")
            at = np.minimum(np.searchsorted(flat[order], indices), flat.size - 1)
            chosen = np.flatnonzero(flat[order][at] == indices)
            # Rows and columns of a part keep their order, so ascending in the tensor is ascending in the part.
            yield order[at[chosen]], chosen
            claimed += chosen.size
        assert claimed == indices.size, f"{group} keeps weights outside its matrices"

    def kept_in_bits(self, mask, parts):
        bits = mask.read()
        heights, width = parts[0].positions.shape
        experts = () if parts[0].expert is None else (len(parts),)
        assert bits.shape == (*experts, heights, -(-width // 8)), (mask.name, bits.shape)
        every = np.unpackbits(bits, axis=-1, bitorder="little")
        assert not every[..., width:].any(), mask.name
        every = every[..., :width].reshape(len(parts), -1)
        before = 0
        for part in parts:
            positions = np.flatnonzero(every[part.expert or 0])
            yield positions, slice(before, before + positions.size)
            before += positions.size


def stored_values(tensors):
    """Stored tensor → the numbers it stands for, 8-bit weights times their scale, as transformers would load them."""
    values = {}
    for name, (dtype, shape, raw) in tensors.items():
        if dtype in layouts.INTEGERS:
            continue
        values[name] = layouts.decoded(dtype, shape, raw)
    for name, (dtype, shape, _) in tensors.items():
        for suffix in ("_scale_inv", "_scale"):
            if dtype.startswith("F8_E") and name + suffix in values:
                values[name] = values[name] * layouts.scale_grid(values[name + suffix], shape)
    return values
