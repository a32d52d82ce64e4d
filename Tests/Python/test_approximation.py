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
    planned = json.loads(frog("plan", source, "--rank", 64, "--ranks", 6, "--memory-per-rank", "1TB", "--json").stdout)["matrices"]
    assert [m["solver"] for m in planned] == ["exact f64", "rank 64", "rank 64"] and planned[0]["ranks"] == 1


def test_an_audit_by_teams_changes_no_mask(frog, checkpoint, minilm, tmp_path):
    described, _ = run(frog, checkpoint("minilm"), tmp_path / "out", "--rank", 32, "--teams", "speed", ranks=6)
    alone, _ = minilm(32)
    assert described["files"] == alone["files"]
    assert described["audit"]["overlap"] == pytest.approx(alone["audit"]["overlap"], abs=1e-3)


def test_an_audit_that_does_not_fit_is_refused_at_once(frog, tmp_path):
    """Exact scores of its one matrix need more memory than approximate ones."""
    source = matrices(tmp_path / "in", a=(1040, 1040))
    options = ("--rank", 4, "--oversample", 0, "--power-iterations", 0)
    limit = largest_need(frog, source, *options)
    assert limit < largest_need(frog, source)
    result = frog("mask", source, "--out", tmp_path / "out", "--threads", 1, *options, "--memory", limit, ranks=2)
    assert_refused(result, 64, "audit", "a.weight", "--memory")
    assert "norms" not in result.stderr and not (tmp_path / "out").exists()
    asked = result.error_lines[0].split("give --memory ")[1].split()[0]
    run(frog, source, tmp_path / "out", *options, "--memory", asked)


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


@pytest.mark.parametrize(
    "options, word",
    [(("--rank", 0), "--rank"), (("--rank", "-3"), "--rank"), (("--rank", "few"), "--rank"),
     (("--oversample", 4), "--rank"), (("--power-iterations", 2), "--rank"), (("--audit", 2), "--audit"),
     (("--score", "lift", "--oversample", 4), "--oversample"), (("--score", "lift", "--audit", 4), "--audit"),
     (("--rank", 8, "--audit", 0), "--audit"), (("--rank", 8, "--oversample", "-1"), "--oversample"),
     (("--rank", 8, "--power-iterations", 101), "--power-iterations"),
     (("--target-overlap", 0), "--target-overlap"), (("--target-overlap", 1.5), "--target-overlap"),
     (("--target-overlap", "nan"), "--target-overlap"), (("--target-overlap", 0.9, "--rank", 8), "--rank"),
     (("--target-overlap", 0.9, "--score", "lift"), "--target-overlap")],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else None,
)  # fmt: skip
def test_impossible_options(frog, checkpoint, tmp_path, options, word):
    joined = [f"{a}={b}" for a, b in zip(options[::2], options[1::2])]
    result = frog("mask", checkpoint("mixed"), "--out", tmp_path / "out", *joined)
    assert result.status == 64 and word in result.stderr and "Fatal" not in result.stderr, str(result)
    assert not (tmp_path / "out").exists()


def test_ranks_that_leave_nothing_out_are_refused(frog, checkpoint, tmp_path):
    """The largest order is 256; the smallest rank that a target tries is 32."""
    for options in (("--rank", 256), ("--rank", 1_000_000), ("--rank", 250, "--oversample", 6)):
        result = frog("mask", checkpoint("bf16_sharded"), "--out", tmp_path / "out", "--threads", 1, *options, ranks=2)
        assert_refused(result, 64, f"rank {options[1]}", "largest order of a matrix is 256", "leave --rank")
        assert not (tmp_path / "out").exists()
    small = matrices(tmp_path / "in", a=(20, 30), b=(30, 20))
    result = frog("mask", small, "--out", tmp_path / "out", "--threads", 1, "--target-overlap", "0.5", ranks=3)
    assert_refused(result, 64, "--target-overlap", "largest order of a matrix is 20")
    assert not (tmp_path / "out").exists()
    # One vector less, and there is something to approximate.
    run(frog, checkpoint("bf16_sharded"), tmp_path / "out", "--rank", 249, "--oversample", 6, "--exclude", "*.mlp.*", "--exclude", "*.1.*")


def test_matrices_below_the_rank_are_exact(frog, checkpoint, tmp_path):
    described, found = run(frog, checkpoint("mixed"), tmp_path / "out", "--rank", 30, "--oversample", 2, ranks=3)
    _, truth = run(frog, checkpoint("mixed"), tmp_path / "exact")
    orders = {m["name"]: min(m["shape"]) for m in described["matrices"]}
    for matrix in described["matrices"]:
        name = matrix["name"]
        assert matrix["solver"] == ("randomized" if orders[name] > 32 else "local")
        for part in ("noise_row", "noise_col"):
            same = np.array_equal(getattr(found[name], part), getattr(truth[name], part))
            assert same == (orders[name] <= 32), (name, part)
    assert min(orders.values()) == 2 and {29, 33} < set(orders.values())
    assert all(orders[name] > 32 for name in described["audit"]["matrices"])
    # Single rows and columns are no weight matrices.
    assert not {name for name in orders if "one_" in name}
    shown = frog("inspect", checkpoint("mixed")).stdout
    assert "h.0.one_row.weight" in shown and "h.0.one_column.weight" in shown


RANK = 8


def peculiar(folder, rows, columns):
    """Matrices of rank 0, 1, 2, 3 and of equal singular values, and one whose rows are far apart."""
    random = np.random.default_rng(5)
    core = min(rows, columns)
    uneven = checkpoints.trained(random, rows, columns)
    uneven[rows // 3] *= 1e4
    arrays = {
        "zero": np.zeros((rows, columns)),
        "constant": np.full((rows, columns), 0.25),
        "one_weight": np.pad([[3.0]], ((rows // 2, rows - rows // 2 - 1), (0, columns - 1))),
        "rank3": random.standard_normal((rows, 3)) @ random.standard_normal((3, columns)),
        "uneven_rows": uneven,
        "permutation": np.eye(rows, columns)[:, random.permutation(columns)][random.permutation(rows)] * 0.5,
        "two_rows": checkpoints.trained(random, 2, core),
        "two_columns": checkpoints.trained(random, core, 2),
    }
    return checkpoints.write_checkpoint(folder, {f"{n}.weight": checkpoints.encode(a, "F32") for n, a in arrays.items()})


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Shape → the checkpoint of peculiar matrices, and its float64 scores by kind."""
    made = {}

    def make(*shape):
        if shape not in made:
            folder = peculiar(tmp_path_factory.mktemp("odd"), *shape)
            scores = {score: reference.Reference(folder, score=score, rank=RANK) for score in ("frog", "lift")}
            made[shape] = folder, scores
        return made[shape]

    return make


# What is scored, and the matrices of which the scores are not those of the reference: those that an approximation does not
# hold, and the leading directions of equal singular values, which are arbitrary.
PECULIAR = {
    "exact": ((), "frog", ()),
    "approximate": (("--rank", RANK), "frog", ("uneven_rows", "permutation")),
    "approximate, normalized": (("--rank", RANK, "--normalize", "rowcol"), "frog", ("uneven_rows", "permutation")),
    "approximate, drawn": (("--rank", RANK, "--sample", 2), "frog", ("uneven_rows", "permutation")),
    "lift": (("--score", "lift", "--rank", RANK), "lift", ("permutation",)),
}


def assert_sound(frog, source, ours, out, options, other, ranks):
    """All scores, then a small mask: finite, as many as asked for, right where right is defined."""
    frog.mask(source, out, "--budget", "100%", *options, ranks=ranks)
    described, everything = kept(out)
    assert described["kept"] == ours.total
    for matrix in ours.matrices:
        found = everything[matrix.name]
        for part in (found.scores, found.noise_row, found.noise_col):
            assert np.isfinite(part).all() and (part >= 0).all(), matrix.name
        if matrix.name.removesuffix(".weight") not in other:
            assert np.abs(found.scores - matrix.scores).max() <= 2e-5 * matrix.scores.max(), matrix.name
    frog.mask(source, out, "--budget", "3%", "--overwrite", *options, ranks=ranks)
    described, few = kept(out)
    assert described["kept"] == described["K"] == reference.kept_count(Fraction(3, 100), ours.total)
    assert sum(mask.indices.size for mask in few.values()) == described["K"]
    for name, mask in few.items():
        assert np.array_equal(mask.scores, everything[name].scores[mask.indices]), name
    assert frog("verify", out, "--checkpoint", source).status == 0
    assert "NaN" not in (out / "frog.json").read_text()
    return described


@pytest.mark.parametrize("kind", PECULIAR)
def test_peculiar_matrices(frog, odd, tmp_path, kind):
    options, score, other = PECULIAR[kind]
    for shape, ranks in (((100, 64), 6), ((64, 100), 3)):
        source, scores = odd(*shape)
        described = assert_sound(frog, source, scores[score], tmp_path / f"{ranks}", options, other, ranks)
        assert not any(m["solver"].startswith("team") for m in described["matrices"])
    frog.mask(source, tmp_path / "1", "--budget", "3%", *options)
    assert digests(tmp_path / "1") == digests(tmp_path / "3")


@pytest.mark.parametrize("kind", ["exact", "approximate", "lift"])
def test_peculiar_matrices_in_teams(frog, odd, tmp_path, kind):
    options, score, other = PECULIAR[kind]
    source, scores = odd(1024, 256)
    # A memory limit makes teams of exact decompositions; approximations take teams as they are.
    memory = () if kind == "approximate" else ("--memory", largest_need(frog, source) - 1)
    described = assert_sound(frog, source, scores[score], tmp_path / "out", (*options, *memory), other, 4)
    if kind != "approximate":
        assert sum(m["solver"].startswith("team") for m in described["matrices"]) == 6


@pytest.mark.parametrize(
    "options",
    [(), ("--rank", 24), ("--score", "lift", "--rank", 24), ("--sample", 1), ("--rank", 24, "--sample", 1),
     ("--score", "magnitude"), ("--target-overlap", 0.5)],
    ids=lambda options: " ".join(map(str, options)),
)  # fmt: skip
def test_more_ranks_than_matrices(frog, tmp_path, options):
    source = matrices(tmp_path / "in", only=(160, 90))
    for ranks in (1, 7):
        run(frog, source, tmp_path / f"{ranks}", *options, ranks=ranks)
    assert digests(tmp_path / "1") == digests(tmp_path / "7")
    assert frog("verify", tmp_path / "7", "--checkpoint", source).status == 0
