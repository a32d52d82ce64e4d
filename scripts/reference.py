#!/usr/bin/env python3
"""FROG masks the textbook way: a float64 SVD of every matrix with NumPy, all scores kept, one exact selection.

Shares no code and no method with the program (which never forms U and never stores the scores), so that the two
agreeing means something. For checkpoints up to some hundred million weights: the scores take 8 bytes each.

  scripts/reference.py CHECKPOINT --budget 1% --select global
  scripts/reference.py CHECKPOINT --budget 1% --compare OUT --min-overlap 0.99999

With --compare, OUT is a directory written by `frog-mpi mask`; prints how far the two agree and exits 1 if the share
of kept weights in common is below --min-overlap or the count differs.
"""

import argparse
import fnmatch
import json
import math
import re
import sys
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
FLOATS = ("F64", "F32", "F16", "BF16")

# Names that are not weight matrices though they are stored as such; each is one dot-separated part of a tensor name.
SKIPPED = re.compile(
    r"(embed_tokens|wte|wpe|embeddings?|\w*(word|position|token_type|patch)_embeddings?|patch_embed"
    r"|lm_head|embed_out|score|classifier"
    r"|router|A_log|inv_freq|position_ids|\w*_bias|\w*scale(_inv)?)"
)


@dataclass
class Tensor:
    """One entry of a safetensors header; `read` gives its values as stored (BF16 widened to float32)."""

    name: str
    file: Path
    dtype: str
    shape: tuple
    start: int

    @property
    def size(self):
        return math.prod(self.shape)

    def read(self):
        if self.size == 0:
            return np.zeros(self.shape, np.float32)
        raw = np.memmap(self.file, DTYPES[self.dtype], "r", self.start, self.shape)
        if self.dtype == "BF16":
            return (raw.astype(np.uint32) << 16).view(np.float32)
        return np.array(raw)


def read_header(file):
    with open(file, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    return [
        Tensor(name, Path(file), entry["dtype"], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0])
        for name, entry in header.items()
    ]


def checkpoint_tensors(path):
    """Every tensor of a checkpoint (a file, a folder with an index, a folder without), by byte-wise order of names."""
    path = Path(path)
    index = path / "model.safetensors.index.json"
    if path.is_file():
        files = [path]
    elif index.is_file():
        files = sorted({path / name for name in json.loads(index.read_text())["weight_map"].values()})
    else:
        files = sorted(path.glob("*.safetensors"))
    return sorted((t for file in files for t in read_header(file)), key=lambda t: t.name.encode())


def is_matrix(tensor, include=(), exclude=()):
    if len(tensor.shape) != 2 or tensor.dtype not in FLOATS or min(tensor.shape) < 2:
        return False
    if any(fnmatch.fnmatchcase(tensor.name, glob) for glob in exclude):
        return False
    if any(fnmatch.fnmatchcase(tensor.name, glob) for glob in include):
        return True
    parts = tensor.name.split(".")
    router = len(parts) > 1 and parts[-2] == "gate" and parts[-1] == "weight"
    return not router and not any(SKIPPED.fullmatch(part) for part in parts)


def to_unit_size(weights):
    """Weights in float64 times a power of two that brings the largest to [1/2, 1), and the exponent that undoes it."""
    weights = weights.astype(np.float64)
    exponent = int(np.frexp(np.abs(weights).max(initial=0))[1])
    return np.ldexp(weights, -exponent), exponent


def frog_scores(weights):
    """S = |U| Σ |V|ᵀ in float64."""
    scaled, exponent = to_unit_size(weights)
    u, sigma, vt = np.linalg.svd(scaled, full_matrices=False)
    return np.ldexp((np.abs(u) * sigma) @ np.abs(vt), exponent)


def lift_scores(weights, rank):
    """|U_r Σ_r V_rᵀ| in float64."""
    scaled, exponent = to_unit_size(weights)
    u, sigma, vt = np.linalg.svd(scaled, full_matrices=False)
    return np.ldexp(np.abs((u[:, :rank] * sigma[:rank]) @ vt[:rank]), exponent)


def scores_of(weights, kind, rank):
    if kind == "frog":
        return frog_scores(weights)
    if kind == "lift":
        return lift_scores(weights, rank)
    if kind == "magnitude":
        return np.abs(weights.astype(np.float64))
    if kind == "one":
        return np.ones(weights.shape)
    raise ValueError(f"no score {kind}")


def normalized(scores, how):
    """What is ranked: scores, scores over their mean, or scores over row mean × column mean / mean."""
    if how == "none":
        return scores
    mean = scores.mean()
    if mean == 0:
        return np.zeros_like(scores)
    divisor = mean if how == "matrix" else np.outer(scores.mean(axis=1), scores.mean(axis=0) / mean)
    return np.divide(scores, divisor, out=np.zeros_like(scores), where=divisor > 0)


def concentration(positions, shape):
    """What frog.json says of where kept weights lie; None if there are none."""
    if positions.size == 0:
        return None
    result = {}
    for axis, name in ((0, "rows"), (1, "columns")):
        counts = np.bincount(np.unravel_index(positions, shape)[axis], minlength=shape[axis])
        share = counts[counts > 0] / positions.size
        result[f"top_{name}"] = np.sort(counts)[::-1][: math.ceil(shape[axis] / 100)].sum() / positions.size
        result[f"effective_{name}"] = math.exp(-(share * np.log(share)).sum()) / shape[axis]
        result[f"unused_{name}"] = int((counts == 0).sum())
    return result


def frobenius_norm(weights):
    scaled, exponent = to_unit_size(weights)
    return math.ldexp(math.sqrt(math.fsum(np.square(scaled).sum(axis=1))), exponent)


def noise_factors(scores):
    """Row means, column means over the overall mean, and ‖S − row·colᵀ‖ / ‖S‖."""
    mean = scores.mean()
    row = scores.mean(axis=1)
    col = scores.mean(axis=0) / mean if mean > 0 else np.zeros(scores.shape[1])
    norm = np.linalg.norm(scores)
    error = np.linalg.norm(scores - np.outer(row, col)) / norm if norm > 0 else 0.0
    return row, col, error


def parse_budget(text):
    """`1%` or `0.01` as an exact fraction."""
    fraction = Fraction(text[:-1]) / 100 if text.endswith("%") else Fraction(text)
    if not 0 <= fraction <= 1:
        raise ValueError(f"budget {text} is not between 0 and 100%")
    return fraction


def kept_count(budget, total):
    """round-half-up(budget · N), exactly."""
    return math.floor(budget * total + Fraction(1, 2))


def largest_remainder(shares, total):
    """Integers that sum to `total`, each its share rounded down or up; ties go to the earlier one."""
    counts = [math.floor(share) for share in shares]
    order = sorted(range(len(shares)), key=lambda i: (counts[i] - shares[i], i))
    for i in order[: total - sum(counts)]:
        counts[i] += 1
    return counts


def uniform_counts(sizes, total):
    return largest_remainder([Fraction(total * size, sum(sizes)) for size in sizes], total)


def matrix_counts(norms, sizes, total):
    """Shares in proportion to Frobenius norms; who would get more than it has is filled, the surplus goes to the others."""
    weights = [Fraction(norm) for norm in norms]
    shares = [Fraction(0)] * len(sizes)
    active, left = set(range(len(sizes))), Fraction(total)
    while active and left > 0:
        scale = sum(weights[i] for i in active)
        if scale == 0:  # only zero matrices are left: by size
            scale, weights = sum(sizes[i] for i in active), list(map(Fraction, sizes))
        full = [i for i in active if left * weights[i] >= sizes[i] * scale]
        if not full:
            for i in active:
                shares[i] = left * weights[i] / scale
            break
        for i in full:
            shares[i] = Fraction(sizes[i])
            left -= sizes[i]
            active.remove(i)
    return largest_remainder(shares, total)


def top(scores, count):
    """Flat positions of the `count` largest, ascending; equal scores in order of position."""
    if count == 0:
        return np.zeros(0, np.int64)
    if count == scores.size:
        return np.arange(scores.size)
    threshold = np.partition(scores, scores.size - count)[scores.size - count]
    above = np.flatnonzero(scores > threshold)
    ties = np.flatnonzero(scores == threshold)[: count - above.size]
    return np.sort(np.concatenate([above, ties]))


@dataclass
class Matrix:
    name: str
    shape: tuple
    dtype: str
    norm: float
    scores: np.ndarray = field(repr=False)  # flat float64, row-major

    @property
    def size(self):
        return math.prod(self.shape)


class Reference:
    """Scores of every matrix of a checkpoint, side by side in one array; selections come from it without another SVD."""

    def __init__(self, checkpoint, include=(), exclude=(), progress=None, score="frog", rank=128, weight_by=None, normalize="none"):
        signals = {t.name: t for t in checkpoint_tensors(weight_by)} if weight_by else {}
        tensors = [t for t in checkpoint_tensors(checkpoint) if is_matrix(t, include, exclude)]
        self.total = sum(t.size for t in tensors)
        self.scores = np.empty(self.total)
        self.matrices, at = [], 0
        for tensor in tensors:
            if progress:
                progress(f"{tensor.name} {tensor.dtype} {tensor.shape}")
            weights = tensor.read()
            flat = self.scores[at : at + tensor.size]
            scores = scores_of(weights, score, rank)
            if signals:
                scores = scores * signals[tensor.name].read().astype(np.float64)
            flat[:] = scores.reshape(-1)
            self.matrices.append(Matrix(tensor.name, tensor.shape, tensor.dtype, frobenius_norm(weights), flat))
            at += tensor.size
        # What is ranked, matrix by matrix; the scores themselves unless they are normalized.
        self.ranked = self.scores
        if normalize != "none":
            self.ranked = np.concatenate([normalized(m.scores.reshape(m.shape), normalize).reshape(-1) for m in self.matrices])

    def select(self, mode, count):
        """Name → ascending flat positions of the kept weights."""
        sizes = [m.size for m in self.matrices]
        ends = np.cumsum(sizes)
        if mode == "global":
            flat = top(self.ranked, count)
            cuts = np.searchsorted(flat, ends)
            starts = [0, *cuts[:-1]]
            return {m.name: flat[a:b] - (end - m.size) for m, a, b, end in zip(self.matrices, starts, cuts, ends)}
        if mode == "matrix":
            counts = matrix_counts([m.norm for m in self.matrices], sizes, count)
        elif mode == "uniform":
            counts = uniform_counts(sizes, count)
        else:
            raise ValueError(f"no selection {mode}")
        return {m.name: top(self.ranked[end - m.size : end], k) for m, k, end in zip(self.matrices, counts, ends)}


@dataclass
class Output:
    """One matrix as `frog-mpi mask` wrote it."""

    indices: np.ndarray
    scores: np.ndarray
    noise_row: np.ndarray
    noise_col: np.ndarray


def read_output(out, shapes):
    """Masks of an output directory: name → Output, scores in the units of the weights. `shapes` tells the columns of bit maps."""
    out = Path(out)
    weight_map = json.loads((out / "masks.safetensors.index.json").read_text())["weight_map"]
    tensors = {t.name: t for file in sorted(set(weight_map.values())) for t in read_header(out / file)}
    if tensors.keys() != weight_map.keys():
        raise ValueError(f"{out}: the index and the files hold different tensors")
    described = json.loads((out / "frog.json").read_text())
    exponents = {matrix["name"]: matrix["score_exponent"] for matrix in described["matrices"]}
    masks = {}
    for name in sorted({key.rpartition(".")[0] for key in tensors}):
        if f"{name}.mask" in tensors:
            bits = np.unpackbits(tensors[f"{name}.mask"].read(), axis=1, bitorder="little")
            rows, columns = shapes[name]
            if bits[:, columns:].any() or bits.shape[0] != rows:
                raise ValueError(f"{out}: {name}.mask has bits outside {rows} × {columns}")
            indices = np.flatnonzero(bits[:, :columns])
        else:
            indices = tensors[f"{name}.indices"].read().astype(np.int64)
        scores, row, column = (tensors[f"{name}.{part}"].read() for part in ("scores", "noise_row", "noise_col"))
        if exponents[name] != 0:
            scores, row = (np.ldexp(values.astype(np.float64), exponents[name]) for values in (scores, row))
        masks[name] = Output(indices, scores, row, column)
    return masks


@dataclass
class Agreement:
    wanted: int
    kept: int
    common: int
    score_error: float  # largest |s − S| / S over the kept weights
    noise_error: float  # largest |row·col of the output − row·col of the reference|, relative, over rows and columns

    @property
    def overlap(self):
        return self.common / self.wanted if self.wanted else float(self.kept == 0)


def compare(reference, selection, output):
    kept = common = 0
    score_error = noise_error = 0.0
    if output.keys() != selection.keys():
        raise ValueError(f"other matrices than the reference: {sorted(output.keys() ^ selection.keys())}")
    for matrix in reference.matrices:
        mine, theirs = selection[matrix.name], output[matrix.name]
        kept += theirs.indices.size
        common += np.intersect1d(mine, theirs.indices, assume_unique=True).size
        exact = matrix.scores[theirs.indices]
        score_error = max(score_error, relative_error(theirs.scores, exact))
        row, col, _ = noise_factors(matrix.scores.reshape(matrix.shape))
        noise_error = max(noise_error, relative_error(theirs.noise_row, row), relative_error(theirs.noise_col, col))
    return Agreement(sum(s.size for s in selection.values()), kept, common, score_error, noise_error)


def relative_error(found, exact):
    """Largest |found − exact| / |exact|; where exact is 0 (or far below the rest), relative to the largest."""
    if exact.size == 0:
        return 0.0
    largest = np.abs(exact).max()
    scale = np.maximum(np.abs(exact), 1e-6 * largest) if largest > 0 else 1.0
    return float((np.abs(found.astype(np.float64) - exact) / scale).max())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--budget", default="1%", help="share of all weights: 1%% or 0.01")
    amount.add_argument("--keep", type=int, help="number of weights instead")
    parser.add_argument("--select", default="global", choices=["global", "matrix", "uniform"])
    parser.add_argument("--score", default="frog", choices=["frog", "lift", "magnitude"])
    parser.add_argument("--rank", type=int, default=128, help="of the score lift")
    parser.add_argument("--normalize", default="none", choices=["none", "matrix", "rowcol"])
    parser.add_argument("--weight-by", metavar="DIR", help="checkpoint of tensors that scores are multiplied by")
    parser.add_argument("--include", action="append", default=[], metavar="GLOB")
    parser.add_argument("--exclude", action="append", default=[], metavar="GLOB")
    parser.add_argument("--compare", metavar="OUT", help="output directory of frog-mpi mask with the same parameters")
    parser.add_argument("--min-overlap", type=float, default=0.99999)
    arguments = parser.parse_args()

    reference = Reference(
        arguments.checkpoint, arguments.include, arguments.exclude, lambda line: print(line, file=sys.stderr),
        arguments.score, arguments.rank, arguments.weight_by, arguments.normalize,
    )  # fmt: skip
    if not reference.matrices:
        sys.exit(f"{arguments.checkpoint}: no weight matrices")
    count = arguments.keep if arguments.keep is not None else kept_count(parse_budget(arguments.budget), reference.total)
    selection = reference.select(arguments.select, count)
    threshold = min((m.scores[selection[m.name]].min() for m in reference.matrices if selection[m.name].size), default=None)
    print(f"matrices {len(reference.matrices)}  weights {reference.total}  K {count}  lowest kept score {threshold}")
    if not arguments.compare:
        for matrix in reference.matrices:
            print(f"{selection[matrix.name].size:10d}  {matrix.norm:.9g}  {matrix.name}")
        return
    shapes = {m.name: m.shape for m in reference.matrices}
    found = compare(reference, selection, read_output(arguments.compare, shapes))
    print(
        f"overlap {found.overlap:.7f} ({found.common} of {found.wanted})  kept {found.kept}  "
        f"score error {found.score_error:.2e}  noise error {found.noise_error:.2e}"
    )
    if found.kept != count or found.overlap < arguments.min_overlap:
        sys.exit(1)


if __name__ == "__main__":
    main()
