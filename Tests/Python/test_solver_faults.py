"""Eigensolvers that lie or give up: the matrix is done again by another one, and the masks are right; if that fails too, so does the run.

The library under the program is spoilt by Tests/Interposers/lapack.c, which says what it did in a log.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import checkpoints
import details
import reference
from harness import assert_refused, final_files
from test_teams import common, kept, largest_need

SOURCE = Path(__file__).resolve().parents[1] / "Interposers/lapack.c"
KINDS = ["info", "swap", "rotate", "stretch", "scale", "nan"]
# One layer of MiniLM: matrices of order 384, of which one rank holds the squares and a team the others.
PART = ("--exclude", "*.attention.*", "--exclude", "*.layer.[1-5].*", "--budget", "1%")


@pytest.fixture(scope="session")
def interposer(tmp_path_factory):
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        pytest.skip("no C compiler")
    library = tmp_path_factory.mktemp("interposer") / "lapack.so"
    built = subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return library


@pytest.fixture
def spoilt(frog, interposer, tmp_path):
    """Runs `frog-mpi mask` with a spoilt library; gives the result and the lines of the log, (routine, order, kind)."""

    def run(source, out, *options, fault="", rank=None, ranks=None):
        log = tmp_path / f"{out.name}.log"
        prefix = ["env", f"LD_PRELOAD={interposer}", f"FROG_LAPACK_FAULT={fault}", f"FROG_LAPACK_LOG={log}"]
        if rank is not None:
            prefix.append(f"FROG_LAPACK_RANK={rank}")
        result = frog("mask", source, "--out", out, "--threads", 1, *options, ranks=ranks, prefix=prefix, timeout=120)
        lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
        return result, [(routine, int(order), kind) for routine, order, _, kind in lines]

    return run


def succeeded(result, out):
    assert result.status == 0, str(result)
    return kept(out)


def named(log, *routines):
    return [line for line in log if line[0] in routines]


@pytest.mark.parametrize("precision, routine, other", [("f64", "dstedc", "dsyev"), ("f32", "sstedc", "ssyev")])
@pytest.mark.parametrize("kind", KINDS)
def test_a_lying_solver_is_replaced_by_the_other(frog, spoilt, checkpoint, exact, tmp_path, kind, precision, routine, other):
    source, ours = checkpoint("bf16_sharded"), exact("bf16_sharded")
    options = ("--precision", precision, "--budget", "1%")
    _, plain = succeeded(spoilt(source, tmp_path / "plain", *options)[0], tmp_path / "plain")
    result, log = spoilt(source, tmp_path / "spoilt", *options, fault=f"{routine}:{kind}:3")
    described, output = succeeded(result, tmp_path / "spoilt")
    wrong = [line for line in log if line[2] == kind]
    assert len(wrong) == 1 and wrong[0][0] == routine
    # The one matrix, and no other.
    assert named(log, other) == [(other, wrong[0][1], "-")]
    assert common(plain, output) >= described["kept"] * (1 if precision == "f64" else 0.9999) - 1
    selection = ours.select("global", reference.kept_count(reference.parse_budget("1%"), ours.total))
    found = reference.compare(ours, selection, output)
    assert found.kept == found.wanted
    assert found.overlap >= (0.99999 if precision == "f64" else 0.9995) - 1 / found.kept
    assert found.score_error <= (1.5e-6 if precision == "f64" else 2e-3)
    assert frog("verify", tmp_path / "spoilt", "--checkpoint", source).status == 0


def test_without_a_fault_nothing_is_done_twice(spoilt, frog, checkpoint, tmp_path):
    source = checkpoint("bf16_sharded")
    result, log = spoilt(source, tmp_path / "watched", "--budget", "1%")
    described, _ = succeeded(result, tmp_path / "watched")
    assert {routine for routine, _, _ in log} == {"dstedc"} and len(log) == len(described["matrices"])
    frog.mask(source, tmp_path / "alone", "--budget", "1%")
    for file in described["files"]:
        assert (tmp_path / "watched" / file).read_bytes() == (tmp_path / "alone" / file).read_bytes()


def test_every_matrix_may_need_the_other(spoilt, checkpoint, tmp_path):
    source = checkpoint("bf16_sharded")
    _, plain = succeeded(spoilt(source, tmp_path / "plain", "--budget", "1%")[0], tmp_path / "plain")
    result, log = spoilt(source, tmp_path / "spoilt", "--budget", "1%", fault="dstedc:rotate:*", ranks=2)
    described, output = succeeded(result, tmp_path / "spoilt")
    assert len(named(log, "dsyev")) == len(described["matrices"])
    assert common(plain, output) >= described["kept"] - 1


@pytest.mark.parametrize("first, second", [("swap", "rotate"), ("info", "info"), ("nan", "scale")])
def test_two_lying_solvers_end_the_run(spoilt, checkpoint, tmp_path, first, second):
    fault = f"dstedc:{first}:2,dsyev:{second}:1"
    result, log = spoilt(checkpoint("bf16_sharded"), tmp_path / "out", "--budget", "1%", fault=fault, ranks=2, rank=1)
    assert_refused(result, 70, "Gram matrix of order")
    assert [kind for _, _, kind in log if kind != "-"] == [first, second]
    assert final_files(tmp_path / "out") == []


@pytest.mark.parametrize(
    "precision, kind, rank",
    [("f64", kind, None) for kind in KINDS] + [("f32", "swap", None), ("f64", "info", 1), ("f64", "stretch", 1), ("f64", "nan", 0)],
)
def test_a_team_takes_the_other_solver_together(frog, spoilt, checkpoint, tmp_path, precision, kind, rank):
    """Also if only one member has been lied to."""
    source = checkpoint("minilm")
    letter = "d" if precision == "f64" else "s"
    options = (*PART, "--precision", precision, "--memory", largest_need(frog, source, "--precision", precision) - 1)
    frog.mask(source, tmp_path / "alone", *PART, "--precision", precision)
    _, alone = kept(tmp_path / "alone")
    result, log = spoilt(source, tmp_path / "teams", *options, fault=f"p{letter}syevd:{kind}:1", rank=rank, ranks=3)
    described, teams = succeeded(result, tmp_path / "teams")
    assert sorted(m["solver"] for m in described["matrices"]) == ["local", "team of 2", "team of 2, QR"]
    assert len(named(log, f"p{letter}syevd")) == 4
    # Both members of the one team whose result was spoilt, whoever was lied to.
    assert [line[2] for line in log if line[2] != "-"] == [kind] * (2 if rank is None else 1)
    assert named(log, f"p{letter}syev") == [(f"p{letter}syev", 384, "-")] * 2
    assert common(alone, teams) >= described["kept"] * (0.99999 if precision == "f64" else 0.9995)


def test_two_lying_solvers_end_a_team_together(frog, spoilt, checkpoint, tmp_path):
    source = checkpoint("minilm")
    options = (*PART, "--memory", largest_need(frog, source) - 1)
    result, _ = spoilt(source, tmp_path / "out", *options, fault="pdsyevd:swap:1,pdsyev:info:1", rank=1, ranks=3)
    assert_refused(result, 70, "did not converge", "Gram matrix of order 384")
    assert final_files(tmp_path / "out") == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_randomized_solver_checks_its_eigensystems(spoilt, checkpoint, tmp_path, kind):
    options = (*PART, "--rank", 32)
    source = checkpoint("minilm")
    _, plain = succeeded(spoilt(source, tmp_path / "plain", *options)[0], tmp_path / "plain")
    result, log = spoilt(source, tmp_path / "spoilt", *options, fault=f"dsyevd:{kind}:1,dsterf:{kind}:1")
    described, output = succeeded(result, tmp_path / "spoilt")
    # Of the first matrix the Ritz vectors, and the values of the tail, which has no vectors to spoil.
    assert len(named(log, "dsyev")) == (2 if kind in ("info", "scale") else 1)
    assert common(plain, output) >= described["kept"] * 0.9999


def test_a_basis_that_is_not_orthonormal_ends_the_run(spoilt, checkpoint, tmp_path):
    result, _ = spoilt(checkpoint("minilm"), tmp_path / "out", *PART, "--rank", 32, fault="dgeqrf:stretch:2")
    assert_refused(result, 70, "orthonormal basis", "relative residual")
    assert final_files(tmp_path / "out") == []


@pytest.mark.parametrize("kind", ["info", "scale"])
def test_a_spectrum_that_the_solver_gets_wrong_is_found_another_way(frog, interposer, checkpoint, tmp_path, kind):
    options = ("--exclude", "*.layer.[1-5].*", "--threads", 1)
    source = checkpoint("minilm")
    assert frog("analyze", source, "--out", tmp_path / "plain", *options).status == 0
    log = tmp_path / "log"
    prefix = ["env", f"LD_PRELOAD={interposer}", f"FROG_LAPACK_FAULT=dsterf:{kind}:2", f"FROG_LAPACK_LOG={log}"]
    result = frog("analyze", source, "--out", tmp_path / "spoilt", *options, prefix=prefix)
    assert result.status == 0, str(result)
    assert [line.split()[3] for line in log.read_text().splitlines() if line.startswith("dsterf")].count(kind) == 1
    assert len(json.loads((tmp_path / "spoilt/run.json").read_text())["rescued"]) == 1
    plain, spoilt = (details.rows(tmp_path / name).values() for name in ("plain", "spoilt"))
    for row, other in zip(plain, spoilt, strict=True):
        for column in ("alpha", "D", "norm", "entropy", "sv_max"):
            assert float(other[column]) == pytest.approx(float(row[column]), rel=1e-9)
        assert other["matrix_rank"] == row["matrix_rank"]


@pytest.mark.parametrize("call, whose", [(1, "base"), (2, "tuned"), (3, "difference")])
def test_a_comparison_says_whose_spectrum_went_wrong(frog, interposer, tmp_path, call, whose):
    """Both models have a tensor of the name: the spectra come in this order."""
    generator = np.random.default_rng(68)
    matrix = checkpoints.trained(generator, 80, 60)
    for folder, weights in (("base", matrix), ("tuned", matrix + 0.01 * generator.standard_normal(matrix.shape))):
        checkpoints.write_checkpoint(tmp_path / folder, {"h.0.fine.weight": checkpoints.encode(weights, "F32")})

    def run(out, fault):
        prefix = ["env", f"LD_PRELOAD={interposer}", f"FROG_LAPACK_FAULT={fault}"]
        return frog("compare", tmp_path / "base", tmp_path / "tuned", "--out", out, "--threads", 1, "--delta-spectrum", prefix=prefix)

    result = run(tmp_path / "rescued", f"dsterf:info:{call}")
    assert result.status == 0 and f"tensor 'h.0.fine.weight': {whose}: " in result.stderr, str(result)
    assert json.loads((tmp_path / "rescued/run.json").read_text())["rescued"]["h.0.fine.weight"].startswith(f"{whose}: ")
    model = {"base": "the base", "tuned": "the tuned model", "difference": "the difference of the models"}[whose]
    refused = run(tmp_path / "refused", f"dsterf:info:{call},dgeqrf:info:{call}")
    assert_refused(refused, 70, f"{model}: tensor 'h.0.fine.weight': ")


def factored(frog, interposer, source, out, fault, *options, ranks=None):
    """`frog-mpi factor` with a spoilt library; the result and the lines of the log."""
    log = out.parent / f"{out.name}.log"
    prefix = ["env", f"LD_PRELOAD={interposer}", f"FROG_LAPACK_FAULT={fault}", f"FROG_LAPACK_LOG={log}"]
    result = frog("factor", source, "--out", out, "--threads", 1, *options, prefix=prefix, ranks=ranks)
    return result, [line.split() for line in log.read_text().splitlines()] if log.exists() else []


@pytest.mark.parametrize("kind", ["info", "swap", "rotate", "stretch", "nan"])
def test_factors_come_out_right_whichever_solver_fails(frog, interposer, tmp_path, kind):
    """All vectors by divide and conquer, then by representations; all triplets of R by divide and conquer, then by QR."""
    generator = np.random.default_rng(70)
    plain = checkpoints.trained(generator, 80, 60)
    graded = np.linalg.qr(plain)[0] * 0.5 ** np.arange(60) @ np.linalg.qr(generator.standard_normal((60, 60)))[0]
    matrices = {"h.0.plain.weight": plain, "h.1.graded.weight": graded}
    source = checkpoints.write_checkpoint(tmp_path / "in", {n: checkpoints.encode(m, "F32") for n, m in matrices.items()})
    assert factored(frog, interposer, source, tmp_path / "whole", "")[0].status == 0
    expected = json.loads((tmp_path / "whole/factors.json").read_text())["matrices"]
    assert [m["solver"] for m in expected] == ["local", "local, QR"]
    for routine in ("dstedc", "dgesdd"):
        out = tmp_path / routine
        result, log = factored(frog, interposer, source, out, f"{routine}:{kind}:1")
        assert result.status == 0 and [line for line in log if line[3] == kind][0][0] == routine, str(result)
        rescued = json.loads((out / "run.json").read_text())["rescued"]
        assert list(rescued) == ["h.0.plain.weight" if routine == "dstedc" else "h.1.graded.weight"]
        for entry, wanted in zip(json.loads((out / "factors.json").read_text())["matrices"], expected, strict=True):
            assert entry["residual"] <= 1.5 * wanted["residual"] and entry["u_error"] < 1e-5 and entry["v_error"] < 1e-5
