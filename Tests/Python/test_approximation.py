"""Approximate scores: how close they come, what the audit says of that, and matrices that no solver likes."""

import json
from fractions import Fraction

import numpy as np
import pytest

import checkpoints
import reference
from harness import assert_refused
from test_reproducible import digests
from test_teams import common, kept, largest_need

MINILM_RANKS = (32, 64, 128)


def run(frog, source, out, *options, ranks=2):
    frog.mask(source, out, "--budget", "1%", *options, ranks=ranks)
    return kept(out)


@pytest.fixture(scope="module")
def minilm(frog, checkpoint, tmp_path_factory):
    """Rank → frog.json and masks of MiniLM at 1%; None is exact."""
    made = {}

    def make(rank):
        if rank not in made:
            options = () if rank is None else ("--rank", rank)
            made[rank] = run(frog, checkpoint("minilm"), tmp_path_factory.mktemp("minilm") / "out", *options)
        return made[rank]

    return make


def overlap_with_reference(exact, output):
    count = reference.kept_count(Fraction(1, 100), exact.total)
    found = reference.compare(exact, exact.select("global", count), output)
    assert found.kept == found.wanted == count
    return found.overlap


def test_overlap_with_exact_rises_with_the_rank(minilm, exact):
    overlaps = [overlap_with_reference(exact("minilm"), minilm(rank)[1]) for rank in MINILM_RANKS]
    assert overlaps == sorted(overlaps), overlaps
    assert overlaps[0] >= 0.6 and overlaps[1] >= 0.75 and overlaps[2] >= 0.85, overlaps
    for rank, overlap in zip(MINILM_RANKS, overlaps):
        assert abs(minilm(rank)[0]["audit"]["overlap"] - overlap) <= 0.1


def assert_audit_tells(audit, truth, found):
    """The audit is what comparing these two runs, `kept` of its matrices with one threshold or budgets of their own, gives."""
    total = together = 0
    errors, scales = [], []
    for name in audit["matrices"]:
        mine, theirs = found[name], truth[name]
        both, at, of = np.intersect1d(mine.indices, theirs.indices, assume_unique=True, return_indices=True)
        total, together = total + theirs.indices.size, together + both.size
        exact_scores = theirs.scores[of].astype(np.float64)
        errors.append(np.abs(mine.scores[at] - exact_scores) / exact_scores)
        scales.append(abs(mine.noise_row.mean(dtype=np.float64) / theirs.noise_row.mean(dtype=np.float64) - 1))
    errors = np.concatenate(errors)
    assert audit["kept"] == total > 100
    assert audit["overlap"] == together / total
    assert audit["mean_error"] == pytest.approx(errors.mean(), rel=1e-6)
    assert audit["largest_error"] == pytest.approx(errors.max(), rel=1e-6)
    assert audit["scale_error"] == pytest.approx(max(scales), rel=1e-3)


def test_the_audit_is_what_its_matrices_alone_show(frog, checkpoint, exact, minilm, tmp_path):
    """Their share of the budget, under one threshold of their own."""
    described, _ = minilm(64)
    audit = described["audit"]
    assert len(audit["matrices"]) == 3 and audit["matrices"] == sorted(audit["matrices"]) and audit["tried"] == []
    # One of every shape.
    sizes = {m["name"]: tuple(m["shape"]) for m in described["matrices"]}
    assert {sizes[name] for name in audit["matrices"]} == set(sizes.values())
    part = sum(np.prod(sizes[name]) for name in audit["matrices"])
    keep = int(Fraction(int(described["K"] * part), exact("minilm").total) + Fraction(1, 2))
    others = [word for name in sizes if name not in audit["matrices"] for word in ("--exclude", name)]
    for name, options in (("exact", ()), ("approximate", ("--rank", 64))):
        frog.mask(checkpoint("minilm"), tmp_path / name, "--keep", keep, *others, *options, ranks=2)
    (_, truth), (alone, found) = kept(tmp_path / "exact"), kept(tmp_path / "approximate")
    assert audit["kept"] == keep
    assert_audit_tells(audit, truth, found)
    assert 0.005 < audit["mean_error"] < 0.06 and audit["scale_error"] < 0.03
    # The matrices of a run of nothing else are all audited, with the same result.
    assert alone["audit"] == audit


def test_an_audit_of_everything_is_the_overlap(frog, checkpoint, minilm, tmp_path):
    described, found = run(frog, checkpoint("minilm"), tmp_path / "out", "--rank", 32, "--audit", 10_000, ranks=3)
    _, truth = minilm(None)
    assert len(described["audit"]["matrices"]) == 37
    assert_audit_tells(described["audit"], truth, found)
    # What is audited does not change what is kept.
    assert common(found, minilm(32)[1]) == described["kept"]


@pytest.mark.parametrize(
    "options",
    [("--select", "matrix"), ("--select", "uniform", "--normalize", "rowcol"), ("--select", "matrix", "--sample", 2)],
    ids=lambda options: " ".join(map(str, options)),
)  # fmt: skip
def test_the_audit_of_budgets_for_each_matrix(frog, checkpoint, tmp_path, options):
    described, found = run(frog, checkpoint("bf16_sharded"), tmp_path / "out", "--rank", 64, "--audit", 2, *options)
    _, truth = run(frog, checkpoint("bf16_sharded"), tmp_path / "exact", *options)
    assert len(described["audit"]["matrices"]) == 2
    assert_audit_tells(described["audit"], truth, found)


SHARED = [("--rank", 64), ("--rank", 64, "--normalize", "rowcol"), ("--rank", 64, "--sample", 2), ("--rank", 64, "--select", "matrix"),
          ("--target-overlap", "0.8")]  # fmt: skip


@pytest.mark.parametrize("options", SHARED, ids=lambda options: " ".join(map(str, options)))
def test_the_same_bytes_on_any_number_of_ranks(frog, checkpoint, tmp_path, options):
    """Of this checkpoint matrices of order 256 are approximated, by teams where that is faster; those of order 64 are not."""
    wanted = None
    for ranks in (1, 2, 3, 6):
        out = tmp_path / f"out{ranks}"
        run(frog, checkpoint("bf16_sharded"), out, *options, ranks=ranks)
        found = digests(out)
        assert found == (wanted := wanted or found), f"{ranks} ranks"
    run(frog, checkpoint("bf16_sharded"), tmp_path / "seed", *options, "--seed", 1)
    assert digests(tmp_path / "seed")["masks-00001-of-00008.safetensors"] != wanted["masks-00001-of-00008.safetensors"]


def matrices(folder, **shapes):
    random = np.random.default_rng(8)
    tensors = {f"{name}.weight": checkpoints.encode(checkpoints.trained(random, *shape), "F32") for name, shape in shapes.items()}
    return checkpoints.write_checkpoint(folder, tensors)


def test_a_long_matrix_of_small_order_stays_on_one_rank(frog, tmp_path):
    """Its exact decomposition by a team would have other last bits."""
    source = matrices(tmp_path / "in", long=(60, 40_000), tall=(200, 100), wide=(100, 200))
    for ranks in (1, 6):
        described, _ = run(frog, source, tmp_path / f"{ranks}", "--rank", 64, ranks=ranks)
        assert [m["solver"] for m in described["matrices"]] == ["local", "randomized", "randomized"]
    assert digests(tmp_path / "1") == digests(tmp_path / "6")


def test_parameters_and_solvers_are_recorded(frog, checkpoint, minilm, tmp_path):
    described, _ = minilm(64)
    parameters = described["parameters"]
    assert (parameters["rank"], parameters["seed"], parameters["target_overlap"]) == (64, 0, None)
    assert parameters["oversample"] > 0 and parameters["power_iterations"] > 0
    assert {m["solver"] for m in described["matrices"]} == {"randomized"}
    assert {m["solver"] for m in minilm(None)[0]["matrices"]} == {"local"} and minilm(None)[0]["audit"] is None
    options = ("--rank", 40, "--oversample", 3, "--power-iterations", 1, "--seed", 2**64 - 1)
    described, _ = run(frog, checkpoint("bf16_sharded"), tmp_path / "out", *options)
    names = ("rank", "oversample", "power_iterations", "seed")
    assert [described["parameters"][name] for name in names] == [40, 3, 1, 2**64 - 1]
    assert {m["solver"] for m in described["matrices"]} == {"randomized"}
    # Fewer power iterations than by default find a worse subspace.
    many, _ = run(frog, checkpoint("bf16_sharded"), tmp_path / "many", "--rank", 40)
    assert many["audit"]["mean_error"] < described["audit"]["mean_error"]


def test_a_target_takes_the_first_rank_that_reaches_it(frog, checkpoint, minilm, tmp_path):
    described, found = run(frog, checkpoint("minilm"), tmp_path / "out", "--target-overlap", "0.7")
    tried = described["audit"]["tried"]
    assert [t["rank"] for t in tried] == [32, 64]
    assert [t["overlap"] for t in tried] == [minilm(rank)[0]["audit"]["overlap"] for rank in (32, 64)]
    assert tried[0]["overlap"] < 0.7 <= tried[1]["overlap"] == described["audit"]["overlap"]
    asked, wanted = minilm(64)
    assert described["parameters"] == asked["parameters"] | {"target_overlap": 0.7}
    assert described["files"] == asked["files"]


def test_a_target_out_of_reach_is_met_exactly(frog, checkpoint, minilm, tmp_path):
    result = frog("mask", checkpoint("minilm"), "--out", tmp_path / "out", "--threads", 1, "--target-overlap", "0.9999999", ranks=2)
    assert result.status == 0, str(result)
    warnings = [line for line in result.stderr.splitlines() if "warning" in line and "exactly" in line]
    assert len(warnings) == 1 and "no rank reaches" in warnings[0] and "0.9999999" in warnings[0], str(result)
    described, _ = kept(tmp_path / "out")
    truth, _ = minilm(None)
    assert described["files"] == truth["files"] and described["matrices"] == truth["matrices"]
    parameters = described["parameters"]
    assert parameters["rank"] is None and parameters["target_overlap"] == 0.9999999
    assert [t["rank"] for t in described["audit"]["tried"]] == [32, 64, 128, 256]
    assert all(t["overlap"] < 0.9999999 for t in described["audit"]["tried"])
