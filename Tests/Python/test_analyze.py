"""`frog-mpi analyze`: every metric against WeightWatcher itself, on a real model and on synthetic matrices; tables and refusals."""

import csv
import json
import math

import numpy as np
import pytest

import checkpoints
import reference
import weightwatcher_oracle
from harness import assert_refused, final_files

# Relative; integers are equal.
TOLERANCE = 1e-9
INTEGERS = {"M", "N", "rf", "num_evals", "num_pl_spikes", "matrix_rank", "rank_loss", "weak_rank_loss", "detX_num", "ERG_gap", "num_spikes"}
NUMBERS = [
    "D", "Q", "alpha", "alpha_weighted", "entropy", "lambda_max", "log_alpha_norm", "log_norm", "log_spectral_norm", "norm",
    "sigma", "spectral_norm", "stable_rank", "sv_max", "xmax", "xmin",
]  # fmt: skip
BULK = ["sigma_mp", "mp_softrank", "W_scale", "bulk_max", "bulk_min"]


def analyze(frog, checkpoint, out, *options, ranks=None):
    """The rows of details.csv by longname, and summary.json."""
    result = frog("analyze", checkpoint, "--out", out, "--threads", 1, *options, ranks=ranks, timeout=300)
    assert result.status == 0, str(result)
    with open(out / "details.csv", newline="") as file:
        rows = {row["longname"]: row for row in csv.DictReader(file)}
    return rows, json.loads((out / "summary.json").read_text())


def known_faults(row, theirs):
    """Columns of WeightWatcher's row that are wrong, by its known faults; ours must do better."""
    faulty = set()
    if theirs["status"] != "success":
        # Numbers made of the −1 that stands for a fit.
        faulty |= {"alpha_weighted", "log_alpha_norm", "xmax", "ERG_gap"}
        assert all(row[name] == "" and name in row["reasons"] for name in faulty), row
    elif theirs["sigma"] < 0 < theirs["alpha"] - 1:
        # It forgets σ of a fit to few eigenvalues.
        assert float(row["sigma"]) > 0
        faulty.add("sigma")
    if theirs["mp_softrank"] == pytest.approx(0.0025):
        # The lower end of the search is no fit.
        bulk = {*BULK, "num_spikes"}
        assert all(row[name] == "" and name in row["reasons"] for name in bulk), row
        faulty |= bulk
    if int(theirs["N"]) < int(theirs["M"]):
        # It exchanges the sides once for every position of a kernel, whose number may be even.
        faulty |= {"N", "M", "Q", "num_spikes", *BULK} - {"W_scale"}
    return faulty


def differences(row, theirs, numbers=NUMBERS, integers=INTEGERS):
    """What differs between our row and WeightWatcher's, in words."""
    found = []
    faulty = known_faults(row, theirs)
    for name in numbers:
        if name in faulty:
            continue
        ours = float(row[name]) if row[name] else None
        if ours is None or not math.isclose(ours, theirs[name], rel_tol=TOLERANCE, abs_tol=1e-12):
            found.append(f"{name}: {row[name]!r}, WeightWatcher {theirs[name]!r}")
    for name in (integers & theirs.keys() & row.keys()) - faulty:
        if row[name] == "" or int(row[name]) != int(theirs[name]):
            found.append(f"{name}: {row[name]!r}, WeightWatcher {theirs[name]!r}")
    return found


needs_weightwatcher = pytest.mark.skipif(not weightwatcher_oracle.available(), reason="needs weightwatcher 0.7.7")


@needs_weightwatcher
def test_a_real_model_is_measured_as_weightwatcher_does(frog, checkpoint, tmp_path):
    source = checkpoint("minilm")
    rows, summary = analyze(frog, source, tmp_path / "out", "--mp-fit", "--include", "*embeddings*")
    tensors = {t.name.removesuffix(".weight"): t for t in reference.checkpoint_tensors(source)}
    assert len(rows) == 40
    theirs = weightwatcher_oracle.details([np.asarray(tensors[name].read(), np.float32) for name in rows], mp_fit=True, detX=True)
    problems, means = {}, {}
    for (name, row), their in zip(rows.items(), theirs):
        if their is None:
            # It passes over matrices of fewer than eight eigenvalues.
            assert int(row["num_evals"]) < 8 and row["status"] == "failed" and "fewer than 8" in row["reasons"]
            continue
        found = differences(row, their, NUMBERS + BULK)
        if found:
            problems[name] = found
        for column in ("alpha", "log_alpha_norm"):
            means.setdefault(column, []).append(their[column])
    assert not problems, json.dumps(problems, indent=1)
    for column, values in means.items():
        assert summary["summary"][column] == pytest.approx(np.mean(values), rel=1e-9)


def synthetic(generator):
    """Thirty matrices of every kind, float32, by name; convolutions have four dimensions."""

    def normal(*shape):
        return generator.standard_normal(shape).astype(np.float32)

    def pareto(exponent, *shape):
        signs = generator.choice([-1.0, 1.0], shape)
        return (signs * generator.pareto(exponent, shape)).astype(np.float32)

    made = {}
    for number, shape in enumerate([(200, 200), (300, 100), (64, 500), (128, 129), (40, 1000), (17, 400)]):
        made[f"gaussian{number}"] = normal(*shape) / np.float32(np.sqrt(max(shape)))
    for number, (exponent, shape) in enumerate([(1.5, (200, 100)), (2.5, (150, 150)), (3.5, (100, 300)), (1.1, (64, 64)), (5.0, (256, 32))]):
        made[f"pareto{number}"] = pareto(exponent, *shape)
    for number, (rank, shape) in enumerate([(5, (100, 80)), (20, (64, 200)), (1, (50, 40)), (63, (64, 64))]):
        made[f"low{number}"] = (normal(shape[0], rank) @ normal(rank, shape[1])).astype(np.float32)
    for number, shape in enumerate([(8, 8), (9, 30), (19, 19), (25, 10), (10, 11)]):
        made[f"tiny{number}"] = normal(*shape)
    for number, shape in enumerate([(32, 16, 3, 3), (64, 3, 7, 7), (20, 40, 1, 3), (16, 16, 5, 5), (12, 24, 2, 2)]):
        made[f"conv{number}"] = normal(*shape) / np.float32(10)
    # Spectra as trained layers have: a bulk and a tail of power-law spikes.
    for number, shape in enumerate([(256, 128), (200, 300), (96, 96), (384, 64), (100, 101)]):
        order = min(shape)
        u, _ = np.linalg.qr(generator.standard_normal((shape[0], order)))
        v, _ = np.linalg.qr(generator.standard_normal((shape[1], order)))
        made[f"trained{number}"] = ((u * (generator.pareto(2 + number / 2, order) + 0.1)) @ v.T).astype(np.float32)
    return made


def write(folder, matrices):
    return checkpoints.write_checkpoint(folder, {f"h.{name}.weight": checkpoints.encode(matrix, "F32") for name, matrix in matrices.items()})


@needs_weightwatcher
def test_synthetic_matrices_are_measured_as_weightwatcher_does(frog, tmp_path):
    matrices = synthetic(np.random.default_rng(60))
    assert len(matrices) == 30
    rows, _ = analyze(frog, write(tmp_path / "in", matrices), tmp_path / "out", "--mp-fit", "--conv", ranks=2)
    theirs = weightwatcher_oracle.details(list(matrices.values()), mp_fit=True, detX=True)
    problems = {}
    for name, their in zip(matrices, theirs):
        assert their is not None, name
        found = differences(rows[f"h.{name}"], their, NUMBERS + BULK)
        if found:
            problems[name] = found
    assert not problems, json.dumps(problems, indent=1)
