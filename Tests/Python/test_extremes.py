"""Weights at the ends of the number formats, and matrices of which most scores are equal or zero.

Single precision holds neither the scores of weights times 1e30 nor those of weights times 1e-35 side by side with ordinary
ones; the program scales by powers of two, which round nothing.
"""

import json

import numpy as np
import pytest

import checkpoints
import reference
from harness import LONG, assert_refused
from test_reproducible import digests
from test_selection import signals
from test_teams import largest_need

SHAPES = {"h.0.weight": (96, 40), "h.1.weight": (40, 112), "h.2.weight": (56, 56), "h.3.weight": (64, 24)}

# Type and factor of each matrix.
CASES = {
    "one_large_one_small": ("F32", (1, 1e30, 1e-35, 1)),
    "one_large_one_small_bf16": ("BF16", (1, 1e30, 1e-35, 1)),
    "one_large_one_small_f64": ("F64", (1, 1e30, 1e-35, 1)),
    "one_large_one_small_f16": ("F16", (1, 2e5, 3e-5, 1)),
    "one_beyond_single_precision": ("F64", (1, 1e60, 1, 1e12)),
    "one_dead": ("F32", (1, 1, 1e-40, 1)),
    "all_large": ("F32", (1e30, 1e30, 1e30, 1e30)),
    "all_at_the_end": ("F32", (1e38, 1e38, 1e38, 1e38)),
    "all_small": ("F32", (1e-35, 1e-35, 1e-35, 1e-35)),
    "all_small_bf16": ("BF16", (1e-35, 1e-35, 1e-35, 1e-35)),
    "all_subnormal": ("F32", (1e-40, 1e-40, 1e-40, 1e-40)),
    "all_subnormal_bf16": ("BF16", (1e-37, 1e-37, 1e-37, 1e-37)),
    "all_subnormal_f16": ("F16", (1e-4, 1e-4, 1e-4, 1e-4)),
    "sixty_decades": ("F32", (1e30, 1e-30, 1e10, 1e-10)),
    "sixty_decades_below_one": ("F64", (1, 1e-20, 1e-60, 1e-40)),
    "sixty_decades_above_one": ("F64", (1e60, 1e20, 1, 1e40)),
}
# Far enough down that the smallest matrices of every case keep some, and far enough that none is kept whole.
AMOUNTS = [("global", "30%"), ("global", "97%"), ("uniform", "5%"), ("matrix", "90%")]


def write(folder, dtype, factors, shapes=SHAPES):
    generator = np.random.default_rng(8)
    tensors = {
        name: checkpoints.encode(checkpoints.trained(generator, *shape) * factor, dtype)
        for (name, shape), factor in zip(shapes.items(), factors)
    }
    return checkpoints.write_checkpoint(folder, tensors)


@pytest.fixture(scope="module")
def extreme(tmp_path_factory):
    """Case → folder, and its reference."""
    made = {}

    def make(case, **options):
        key = (case, *sorted(options.items()))
        if key not in made:
            folder = made[case][0] if case in made else write(tmp_path_factory.mktemp(case), *CASES[case])
            made[key] = made[case,] = folder, reference.Reference(folder, **options)
        return made[key]

    return make


def masks(frog, source, out, *options, ranks=1):
    described = frog.mask(source, out, *options, ranks=ranks)
    output = reference.read_output(out, {m["name"]: tuple(m["shape"]) for m in described["matrices"]})
    return described, output


def assert_right(ours, found, select, budget, tolerance=5e-6, misplaced=0):
    described, output = found
    count = reference.kept_count(reference.parse_budget(budget), ours.total)
    wanted = ours.select(select, count)
    agreement = reference.compare(ours, wanted, output)
    assert agreement.kept == agreement.wanted == described["kept"] == count
    assert agreement.common >= count - misplaced
    assert agreement.noise_error <= tolerance
    if described["parameters"]["score"] == "lift":
        # Differences of products: small ones have the error of the large ones.
        for matrix in ours.matrices:
            mine = output[matrix.name]
            assert np.abs(mine.scores - matrix.scores[mine.indices]).max(initial=0) <= tolerance * matrix.scores.max()
        return
    assert agreement.score_error <= tolerance
    for matrix, entry in zip(ours.matrices, described["matrices"]):
        assert entry["norm"] == pytest.approx(matrix.norm, rel=1e-9, abs=0)
        if select != "global" and wanted[matrix.name].size and described["parameters"]["normalize"] == "none":
            assert entry["threshold"] == pytest.approx(matrix.scores[wanted[matrix.name]].min(), rel=tolerance, abs=0)
    if select == "global" and described["parameters"]["normalize"] == "none":
        least = min(m.scores[wanted[m.name]].min() for m in ours.matrices if wanted[m.name].size)
        assert described["threshold"] == pytest.approx(least, rel=tolerance, abs=0)


@pytest.mark.parametrize("select, budget", AMOUNTS)
@pytest.mark.parametrize("case", CASES)
def test_masks_of_extreme_weights(frog, extreme, tmp_path, case, select, budget):
    folder, ours = extreme(case)
    found = masks(frog, folder, tmp_path / "out", "--select", select, "--budget", budget)
    assert_right(ours, found, select, budget)
    if budget in ("97%", "5%"):
        assert frog("verify", tmp_path / "out", "--checkpoint", folder).status == 0


@pytest.mark.parametrize("case", CASES)
def test_in_single_precision(frog, extreme, tmp_path, case):
    folder, ours = extreme(case)
    found = masks(frog, folder, tmp_path / "out", "--budget", "97%", "--precision", "f32")
    assert_right(ours, found, "global", "97%", tolerance=2e-3, misplaced=20)


@pytest.mark.parametrize(
    "options",
    [{"score": "magnitude"}, {"score": "lift", "rank": 8}, {"normalize": "matrix"}, {"normalize": "rowcol"}],
    ids=lambda options: " ".join(map(str, options.values())),
)
@pytest.mark.parametrize("case", ["one_large_one_small", "one_beyond_single_precision", "all_subnormal", "sixty_decades"])
def test_other_scores_of_extreme_weights(frog, extreme, tmp_path, case, options):
    folder, ours = extreme(case, **options)
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    for select, budget in (("global", "97%"), ("uniform", "5%")):
        found = masks(frog, folder, tmp_path / "out", "--select", select, "--budget", budget, *words, "--overwrite")
        assert_right(ours, found, select, budget, 1e-5, misplaced=2)


@pytest.mark.parametrize(
    "options",
    [(), ("--select", "uniform"), ("--select", "matrix", "--precision", "f32"), ("--rank", 4), ("--rank", 4, "--select", "uniform"),
     ("--normalize", "rowcol"), ("--score", "magnitude"), ("--sample", 2, "--budget", "97%")],
    ids=lambda options: " ".join(map(str, options)),
)  # fmt: skip
def test_any_number_of_ranks_writes_the_same_bytes(frog, extreme, tmp_path, options):
    folder, _ = extreme("sixty_decades")
    for ranks in (1, 3):
        frog.mask(folder, tmp_path / f"{ranks}", "--budget", "40%", *options, ranks=ranks)
    assert digests(tmp_path / "1") == digests(tmp_path / "3")


def assert_scaled(plain, scaled, factor):
    """The same weights, and everything that has units times `factor`, exactly."""
    (before, first), (after, second) = plain, scaled
    for name, mask in first.items():
        assert np.array_equal(mask.indices, second[name].indices), name
        assert np.array_equal(mask.scores.astype(np.float64) * factor, second[name].scores.astype(np.float64)), name
        assert np.array_equal(mask.noise_row.astype(np.float64) * factor, second[name].noise_row.astype(np.float64)), name
        assert np.array_equal(mask.noise_col, second[name].noise_col), name
    unit = factor if before["parameters"]["normalize"] == "none" else 1
    assert (before["threshold"] is None) == (after["threshold"] is None)
    for one, other in [(before, after), *zip(before["matrices"], after["matrices"])]:
        if one["threshold"] is not None:
            assert other["threshold"] == one["threshold"] * unit
    for one, other in zip(before["matrices"], after["matrices"]):
        assert (one["noise_error"], one["rank_one_share"], one["importance"]) == (
            other["noise_error"], other["rank_one_share"], other["importance"])  # fmt: skip
        assert other["norm"] == one["norm"] * factor
    assert before["audit"] == after["audit"]


@pytest.fixture(scope="module")
def powers(tmp_path_factory):
    """Exponent → a checkpoint whose weights are multiples of 2⁻¹⁰ times 2^exponent, so that even subnormal ones are exact."""
    made = {}

    def make(exponent):
        if exponent not in made:
            generator = np.random.default_rng(9)
            grid = {name: np.round(checkpoints.trained(generator, *shape) * 2**10) / 2**10 for name, shape in SHAPES.items()}
            tensors = {name: checkpoints.encode(np.ldexp(values, exponent), "F32") for name, values in grid.items()}
            made[exponent] = checkpoints.write_checkpoint(tmp_path_factory.mktemp("powers"), tensors)
        return made[exponent]

    return make


OPTIONS = [
    (), ("--budget", "90%"), ("--precision", "f32"), ("--select", "uniform"), ("--select", "matrix"), ("--rank", 4),
    ("--rank", 4, "--power-iterations", 0, "--select", "matrix"),
    ("--normalize", "matrix"), ("--normalize", "rowcol", "--select", "uniform"), ("--score", "magnitude"), ("--score", "lift", "--rank", 8),
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(map(str, options)))
def test_a_power_of_two_changes_the_units_alone(frog, powers, tmp_path, options):
    plain = masks(frog, powers(0), tmp_path / "plain", *options)
    assert all(m["score_exponent"] == 0 for m in plain[0]["matrices"])
    for exponent in (-139, -60, 120, *([-100, 60] if LONG else [])):
        scaled = masks(frog, powers(exponent), tmp_path / f"{exponent}", *options)
        assert_scaled(plain, scaled, 2.0**exponent)
        assert all((m["score_exponent"] == 0) == (abs(exponent) == 60) or exponent == 120 for m in scaled[0]["matrices"])


def test_ordinary_matrices_keep_their_units_beside_a_dead_one(frog, extreme, tmp_path):
    """`score_exponent` is that of the matrix, though all are ranked in one unit."""
    folder, _ = extreme("one_dead")
    described, _ = masks(frog, folder, tmp_path / "out", "--budget", "97%")
    exponents = [m["score_exponent"] for m in described["matrices"]]
    assert exponents[0] == exponents[1] == exponents[3] == 0 and exponents[2] < -100
    shown = frog("inspect", tmp_path / "out").stdout
    # Below what single precision shows.
    assert f"threshold {described['threshold']}" in shown


@pytest.mark.parametrize("select", ["global", "uniform"])
def test_sampling_is_the_same_in_any_units(frog, powers, tmp_path, select):
    """Keys are p·ln S + G in single precision: in other units they round otherwise, which moves a few at the border."""
    options = ("--sample", 2, "--select", select, "--budget", "20%")
    (_, plain), (_, scaled) = (masks(frog, powers(e), tmp_path / f"{e}", *options) for e in (0, -130))
    total = sum(m.indices.size for m in plain.values())
    assert sum(np.intersect1d(mask.indices, scaled[name].indices).size for name, mask in plain.items()) >= total - 3


def test_sampling_across_decades(frog, extreme, tmp_path):
    """A draw by score: those 40 decades larger come first, whatever the noise; scores to the power 0.01 mix all of them."""
    folder, ours = extreme("sixty_decades")
    sizes = [m.size for m in ours.matrices]
    _, output = masks(frog, folder, tmp_path / "sharp", "--sample", 2, "--keep", sizes[0] + 100)
    assert [m.indices.size for m in output.values()] == [sizes[0], 0, 100, 0]
    _, output = masks(frog, folder, tmp_path / "blunt", "--sample", 0.01, "--keep", sum(sizes) // 2)
    share = [m.indices.size / size for m, size in zip(output.values(), sizes)]
    assert share[0] > share[2] > share[3] > share[1] > 0.1


@pytest.mark.parametrize("kind", ["columns", "weights"])
@pytest.mark.parametrize("factor", [1e-45, 1e-20, 1e25, 1e60])
def test_signals_at_the_ends_of_their_range(frog, extreme, tmp_path, kind, factor):
    def scale(tensors):
        for name, (dtype, shape, raw) in tensors.items():
            values = np.frombuffer(raw, {"F32": "<f4", "F64": "<f8"}[dtype]).reshape(shape)
            tensors[name] = checkpoints.encode(values.astype(np.float64) * factor, "F64")

    for case in ("one_large_one_small", "all_subnormal"):
        folder = extreme(case)[0]
        signal = signals(tmp_path / case / "signals", folder, kind, change=scale)
        for select, budget in (("global", "30%"), ("uniform", "5%")):
            ours = reference.Reference(folder, weight_by=signal)
            options = ("--select", select, "--budget", budget, "--weight-by", signal)
            assert_right(ours, masks(frog, folder, tmp_path / case / select, *options), select, budget, 1e-5, 1)


def test_teams_of_scaled_matrices(frog, checkpoint, tmp_path):
    """Members find the same units from the norms; a power of two changes nothing else."""
    names = [
        "encoder.layer.0.intermediate.dense.weight",
        "encoder.layer.0.output.dense.weight",
        "encoder.layer.0.attention.self.key.weight",
    ]
    weights = {t.name: t.read() for t in reference.checkpoint_tensors(checkpoint("minilm")) if t.name in names}
    folders = {
        exponent: checkpoints.write_checkpoint(
            tmp_path / f"in{exponent}", {n: checkpoints.encode(np.ldexp(w.astype(np.float64), exponent), "F64") for n, w in weights.items()}
        )
        for exponent in (0, -200, 150)
    }
    limit = largest_need(frog, folders[0]) - 1
    for options in ((), ("--select", "uniform", "--precision", "f32", "--normalize", "rowcol")):
        found = {}
        for exponent, folder in folders.items():
            found[exponent] = masks(frog, folder, tmp_path / f"out{exponent}", "--memory", limit, "--overwrite", *options, ranks=4)
            assert any(m["solver"].startswith("team of") for m in found[exponent][0]["matrices"])
        for exponent in (-200, 150):
            assert_scaled(found[0], found[exponent], 2.0**exponent)


# Matrices that leave little to choose.


def degenerate(generator):
    negative = checkpoints.trained(generator, 40, 30)
    negative[generator.random(negative.shape) < 0.3] = -0.0
    one = np.zeros((20, 30))
    one[3, 4] = -2.5
    tiny = checkpoints.trained(generator, 90, 30)
    tiny[7] *= 1e-30
    tiny_wide = checkpoints.trained(generator, 30, 90)
    tiny_wide[7] *= 1e-30
    return {
        "negative_zeros": negative, "equal_rows": np.tile(checkpoints.trained(generator, 1, 33), (50, 1)),
        "equal_columns": np.tile(checkpoints.trained(generator, 50, 1), (1, 33)), "equal": np.full((37, 29), -0.3),
        "equal_wide": np.full((29, 37), 0.3), "one": one, "tiny_row": tiny, "tiny_row_wide": tiny_wide,
    }  # fmt: skip


@pytest.mark.parametrize("factor, precision", [(1, "f64"), (1, "f32"), (1e-35, "f64"), (1e30, "f32")])
@pytest.mark.parametrize("kind", degenerate(np.random.default_rng(3)))
def test_degenerate_matrices(frog, tmp_path, kind, precision, factor):
    """Beside matrices of zeros, of either sign.

    What is equal by arithmetic may differ by rounding: kept weights score as much as any other.
    """
    matrix = degenerate(np.random.default_rng(3))[kind] * factor
    tensors = {"a.zeros.weight": np.zeros((20, 20)), "b.weight": matrix, "c.zeros.weight": np.full((5, 9), -0.0)}
    folder = checkpoints.write_checkpoint(tmp_path / "in", {n: checkpoints.encode(w, "F32") for n, w in tensors.items()})
    ours = reference.Reference(folder)
    rounding = 1e-4
    for keep in (2, matrix.size // 2):
        described, output = masks(frog, folder, tmp_path / "out", "--keep", keep, "--precision", precision, "--overwrite", ranks=2)
        assert described["kept"] == keep
        scores = ours.matrices[1].scores
        least = np.sort(scores)[-keep]
        for matrix_reference in ours.matrices:
            found = output[matrix_reference.name]
            if found.indices.size:
                exact = matrix_reference.scores[found.indices]
                assert exact.min() >= least * (1 - rounding)
                assert np.allclose(found.scores, exact, rtol=rounding, atol=least * rounding)


@pytest.mark.parametrize("factor", [1, 1e-35, 1e30])
def test_ties_of_equal_rows_and_of_zeros_follow_the_rule(frog, tmp_path, factor):
    """Equal rows score alike but for rounding; one weight scores, and zeros, of either sign, do not.

    Whether equal rows get equal bits is up to the products of BLAS, so the rule is applied to the scores as they are written.
    """
    generator = np.random.default_rng(5)
    rows = degenerate(generator)["equal_rows"] * factor
    one = degenerate(generator)["one"] * factor
    tensors = {"a.zeros.weight": np.full((4, 6), -0.0), "b.one.weight": one, "c.rows.weight": rows, "d.zeros.weight": np.zeros((3, 3))}
    folder = checkpoints.write_checkpoint(tmp_path / "in", {n: checkpoints.encode(w, "F32") for n, w in tensors.items()})
    _, output = masks(frog, folder, tmp_path / "out", "--keep", rows.size, "--exclude", "b.*", "--overwrite", ranks=3)
    scores = output["c.rows.weight"].scores
    assert scores.size == rows.size and np.unique(scores).size < rows.size / 2
    assert np.allclose(scores.reshape(rows.shape), scores[: rows.shape[1]], rtol=1e-5)
    # The best of c, and of equal ones the first; then b's one; then zeros by ordinal and index.
    for count in (1, 60, rows.size - 1):
        _, output = masks(frog, folder, tmp_path / "out", "--keep", count, "--exclude", "b.*", "--overwrite", ranks=3)
        assert set(output["c.rows.weight"].indices) == set(np.argsort(-scores, kind="stable")[:count])
    described, output = masks(frog, folder, tmp_path / "out", "--keep", rows.size + 1 + 24 + 100, "--overwrite", ranks=3)
    assert list(output["a.zeros.weight"].indices) == list(range(24))
    # The one weight, 94, and a hundred zeros.
    assert list(output["b.one.weight"].indices) == list(range(101))
    assert output["c.rows.weight"].indices.size == rows.size and output["d.zeros.weight"].indices.size == 0
    assert described["threshold"] == 0


@pytest.mark.parametrize("value, word", [(1e-200, "vanish"), (1e-310, "vanish"), (1e160, "overflow")])
def test_weights_whose_squares_double_precision_does_not_hold(frog, tmp_path, value, word):
    """Of F64 alone: refused, not taken for zeros."""
    tensors = {"a.weight": np.eye(4), "b.weight": np.full((4, 4), value)}
    folder = checkpoints.write_checkpoint(tmp_path / "in", {n: checkpoints.encode(w, "F64") for n, w in tensors.items()})
    result = frog("mask", folder, "--out", tmp_path / "out", "--threads", 1, ranks=2)
    assert_refused(result, 65, "b.weight", word, "--exclude")
    assert not (tmp_path / "out").exists()


def test_an_exponent_out_of_range_is_refused(frog, powers, tmp_path):
    masks(frog, powers(0), tmp_path / "out")
    file = tmp_path / "out/frog.json"
    record = json.loads(file.read_text())
    record["matrices"][0]["score_exponent"] = -(2**63)
    file.write_text(json.dumps(record))
    assert_refused(frog("verify", tmp_path / "out"), 65, "contradicts itself")
