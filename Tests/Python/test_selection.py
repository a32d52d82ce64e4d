"""Selections beyond the paper: other scores, normalization, sampling, external signals, concentration."""

import functools
import itertools
import json
import math

import numpy as np
import pytest
import xxhash

import checkpoints
import reference
from harness import assert_refused, final_files


def kept_by(frog, source, out, *options, ranks=2):
    described = frog.mask(source, out, *options, ranks=ranks)
    shapes = {m["name"]: tuple(m["shape"]) for m in described["matrices"]}
    return described, reference.read_output(out, shapes)


def agreement(ours, select, budget, output):
    return reference.compare(ours, ours.select(select, reference.kept_count(reference.parse_budget(budget), ours.total)), output)


@pytest.fixture(scope="module", params=["matrix", "rowcol"])
def normalized(request, checkpoint):
    """How, and name → the reference of that checkpoint, decomposed once."""
    return request.param, functools.cache(lambda name: reference.Reference(checkpoint(name), normalize=request.param))


@pytest.mark.parametrize("select", ["global", "matrix", "uniform"])
@pytest.mark.parametrize("name", ["minilm", "bf16_sharded", "mixed"])
def test_normalized_scores(frog, checkpoint, normalized, tmp_path, name, select):
    normalize, ours = normalized[0], normalized[1](name)
    options = ("--budget", "3%", "--normalize", normalize, "--select", select)
    described, output = kept_by(frog, checkpoint(name), tmp_path / "out", *options)
    found = agreement(ours, select, "3%", output)
    assert found.kept == found.wanted == described["K"]
    assert found.overlap >= 0.9998 if name != "mixed" else found.common >= found.wanted - 2
    assert found.score_error <= 1e-5 and found.noise_error <= 5e-6
    assert frog("verify", tmp_path / "out", "--checkpoint", checkpoint(name)).status == 0


@pytest.mark.parametrize("options", [("--score", "magnitude"), ("--score", "lift", "--rank", 16), ("--score", "lift")])
@pytest.mark.parametrize("name", ["minilm", "bf16_sharded", "mixed"])
def test_other_scores(frog, checkpoint, tmp_path, name, options):
    ours = reference.Reference(checkpoint(name), score=options[1], rank=options[3] if len(options) > 2 else 128)
    described, output = kept_by(frog, checkpoint(name), tmp_path / "out", "--budget", "2%", *options)
    found = agreement(ours, "global", "2%", output)
    assert found.kept == found.wanted and found.overlap >= 0.9998
    # LIFT's scores are differences of products: their error is that of the largest.
    largest = max(np.abs(o.scores).max() for o in output.values() if o.scores.size)
    for matrix in ours.matrices:
        mine = output[matrix.name]
        assert np.abs(mine.scores - matrix.scores[mine.indices]).max(initial=0) <= 2e-6 * largest
    assert described["parameters"]["score"] == options[1]
    assert (described["parameters"]["rank"] is None) == (options[1] != "lift")


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011) of one block, in plain integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def bits(seed, stream, index):
    """64 random bits of an index: half a block."""
    counter = index // 2
    block = philox([counter & 0xFFFFFFFF, counter >> 32, stream & 0xFFFFFFFF, stream >> 32], [seed & 0xFFFFFFFF, seed >> 32])
    low, high = block[2:] if index % 2 else block[:2]
    return high << 32 | low


def test_philox_is_philox():
    """The three vectors that Random123 publishes."""
    assert philox([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    counter = [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]
    assert philox(counter, [0xA4093822, 0x299F31D0]) == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def stream(name, purpose):
    """XXH3 of the tensor's name, seeded with the purpose."""
    return xxhash.xxh3_64_intdigest(name.encode(), seed=purpose)


def test_random_scores_are_the_documented_numbers(frog, tmp_path):
    tensors = {
        name: checkpoints.encode(np.random.default_rng(1).standard_normal(shape), "F32")
        for name, shape in {"tall.weight": (31, 6), "wide.weight": (5, 40)}.items()
    }
    folder = checkpoints.write_checkpoint(tmp_path / "in", tensors)
    _, output = kept_by(frog, folder, tmp_path / "out", "--score", "random", "--seed", 2**40 + 7, "--budget", "100%")
    for name, mine in output.items():
        wanted = [((bits(2**40 + 7, stream(name, 2), i) >> 41) + 0.5) * 2.0**-23 for i in range(mine.scores.size)]
        assert np.array_equal(mine.scores, np.float32(wanted)), name


def test_sampling_takes_the_largest_documented_keys(frog, checkpoint, exact, tmp_path):
    ours = exact("mixed")
    described, output = kept_by(frog, checkpoint("mixed"), tmp_path / "out", "--sample", 3, "--seed", 5, "--budget", "10%")
    keys = []
    for matrix in ours.matrices:
        numbers = np.array([bits(5, stream(matrix.name, 1), i) >> 12 for i in range(matrix.size)], np.float64)
        gumbel = -np.log(-np.log((numbers + 0.5) * 2.0**-52))
        with np.errstate(divide="ignore"):
            keys.append(3 * np.log(matrix.scores) + gumbel)
    flat = reference.top(np.concatenate(keys), described["K"])
    kept = np.concatenate([np.isin(np.arange(m.size), output[m.name].indices) for m in ours.matrices])
    # Scores are single precision: a key or two at the border may change places.
    assert np.intersect1d(flat, np.flatnonzero(kept)).size >= flat.size - 2
    assert described["threshold"] == pytest.approx(np.sort(np.concatenate(keys))[-described["K"]], abs=1e-4)


def inclusion_probabilities(weights, count):
    """π_i and π_ij of `count` draws one after the other, each with probabilities in proportion to the weights that are left."""
    sets = {frozenset(): 1.0}
    for _ in range(count):
        following = {}
        for chosen, probability in sets.items():
            left = sum(w for i, w in enumerate(weights) if i not in chosen)
            for i, w in enumerate(weights):
                if i not in chosen:
                    key = chosen | {i}
                    following[key] = following.get(key, 0.0) + probability * w / left
        sets = following
    n = len(weights)
    single, pair = np.zeros(n), np.zeros((n, n))
    for chosen, probability in sets.items():
        for i in chosen:
            single[i] += probability
        for i, j in itertools.product(chosen, chosen):
            pair[i, j] += probability
    return single, pair


@pytest.mark.parametrize("power", [0, 1, 4])
def test_sampling_draws_without_replacement_in_proportion(frog, tmp_path, power):
    """2,000 seeds: as many copies of one small matrix, each with the random numbers of its name."""
    copies, kept = 2000, 3
    weights = np.array([[1.0, 0.3, -0.5], [0.2, 0.9, 0.4]])
    tensors = {f"copy{i}.weight": checkpoints.encode(weights, "F64") for i in range(copies)}
    folder = checkpoints.write_checkpoint(tmp_path / "in", tensors)
    options = ("--sample", power, "--select", "uniform", "--keep", kept * copies, "--seed", power)
    _, output = kept_by(frog, folder, tmp_path / "out", *options)
    scores = reference.frog_scores(weights).reshape(-1)
    single, pair = inclusion_probabilities(list(scores**power), kept)
    counts = np.zeros(scores.size)
    for mask in output.values():
        assert mask.indices.size == kept
        counts[mask.indices] += 1
    # The counts of a sample of fixed size are not independent: a quadratic form with their exact covariance, n - 1 degrees.
    covariance = copies * (pair - np.outer(single, single))
    difference = counts - copies * single
    statistic = difference @ np.linalg.pinv(covariance, rcond=1e-9) @ difference
    assert statistic < 25.7, f"chi-square {statistic} with 5 degrees of freedom (p = 1e-4)"
    # A test that can fail: the draws are not those of another power.
    other, _ = inclusion_probabilities(list(scores ** (power + 1)), kept)
    difference = counts - copies * other
    assert difference @ np.linalg.pinv(covariance, rcond=1e-9) @ difference > 100


def test_sampling_of_many_powers(frog, checkpoint, exact, tmp_path):
    """p = 0 is uniform and blind to scores; a large p takes the best."""
    ours = exact("minilm")
    count = reference.kept_count(reference.parse_budget("1%"), ours.total)
    _, best = kept_by(frog, checkpoint("minilm"), tmp_path / "large", "--sample", 1000, "--budget", "1%")
    assert agreement(ours, "global", "1%", best).overlap > 0.98
    described, blind = kept_by(frog, checkpoint("minilm"), tmp_path / "zero", "--sample", 0, "--budget", "1%")
    for matrix in ours.matrices:
        expected = count * matrix.size / ours.total
        assert abs(blind[matrix.name].indices.size - expected) < 6 * math.sqrt(expected)
    overlap = agreement(ours, "global", "1%", blind).overlap
    assert abs(overlap - 0.01) < 6 * math.sqrt(0.01 / count)
    assert described["concentration"]["effective_rows"] > 0.9 and described["starved"] == 0
    for file in (tmp_path / "zero", tmp_path / "large"):
        assert frog("verify", file).status == 0


@pytest.mark.parametrize(
    "options",
    [("--sample", 8), ("--sample", 2, "--normalize", "rowcol", "--select", "matrix"), ("--score", "random", "--seed", 3),
     ("--normalize", "rowcol"), ("--normalize", "matrix"), ("--score", "lift"), ("--sample", 1, "--score", "magnitude")],
)  # fmt: skip
@pytest.mark.parametrize("name", ["mixed", "bf16_sharded"])
def test_the_same_bytes_on_any_number_of_ranks(frog, checkpoint, tmp_path, name, options):
    wanted = None
    for ranks in (1, 2, 3, 6):
        out = tmp_path / f"out{ranks}"
        frog.mask(checkpoint(name), out, "--budget", "2%", *options, ranks=ranks)
        found = {p.name: p.read_bytes() for p in out.iterdir() if p.name != "run.json"}
        assert found == (wanted := wanted or found), f"{ranks} ranks"


def test_seeds_and_names_change_what_is_drawn(frog, checkpoint, tmp_path):
    kept = {}
    for seed in (0, 0, 1):
        _, output = kept_by(frog, checkpoint("mixed"), tmp_path / "out", "--sample", 1, "--seed", seed, "--overwrite")
        found = {name: tuple(mask.indices) for name, mask in output.items()}
        assert kept.setdefault(seed, found) == found
    assert kept[0] != kept[1]


def signals(folder, source, kind, dtype="F32", change=None):
    """A checkpoint of positive numbers for every matrix: one for each column, or for each weight."""
    random = np.random.default_rng(7)
    tensors = {}
    for tensor in reference.checkpoint_tensors(source):
        if reference.is_matrix(tensor):
            shape = tensor.shape if kind == "weights" else tensor.shape[1:]
            values = np.exp(2 * random.standard_normal(shape))
            tensors[tensor.name] = checkpoints.encode(values, dtype)
    if change:
        change(tensors)
    return checkpoints.write_checkpoint(folder, tensors, shard_size=2**20)


@pytest.mark.parametrize("kind", ["columns", "weights"])
@pytest.mark.parametrize("name", ["mixed", "bf16_sharded"])
def test_external_signals_multiply_scores(frog, checkpoint, tmp_path, name, kind):
    folder = signals(tmp_path / "signals", checkpoint(name), kind)
    for score, normalize in (("frog", "none"), ("magnitude", "rowcol")):
        ours = reference.Reference(checkpoint(name), weight_by=folder, score=score, normalize=normalize)
        options = ("--weight-by", folder, "--budget", "2%", "--score", score, "--normalize", normalize, "--overwrite")
        described, output = kept_by(frog, checkpoint(name), tmp_path / "out", *options)
        found = agreement(ours, "global", "2%", output)
        assert found.common >= found.wanted - max(1, found.wanted // 10_000)
        assert found.score_error <= 5e-6 and found.noise_error <= 5e-6
        assert described["parameters"]["weight_by"].startswith("sha256-xxh3:")


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("kind", ["columns", "weights"])
@pytest.mark.parametrize("options", [("--select", "global"), ("--select", "matrix"), ("--select", "uniform", "--normalize", "rowcol")])
def test_a_signal_alone_ranks(frog, checkpoint, tmp_path, kind, options, ranks):
    """Each kept weight, its score and the noise factors are those of the signal, which NumPy ranks; whole columns of equal ones too."""
    source = checkpoint("mixed")
    folder = signals(tmp_path / "signals", source, kind)
    ours = reference.Reference(source, weight_by=folder, score="one", normalize=options[3] if len(options) > 2 else "none")
    described, output = kept_by(
        frog, source, tmp_path / "out", "--score", "one", "--weight-by", folder, "--budget", "3%", *options, ranks=ranks
    )
    chosen = ours.select(options[1], described["K"])
    for matrix, row in zip(ours.matrices, described["matrices"], strict=True):
        found = output[matrix.name]
        # Quotients are rounded to single precision before they are compared, so those at the border may come in another order.
        assert np.array_equal(found.indices, chosen[matrix.name]) if len(options) == 2 else found.indices.size == chosen[matrix.name].size
        assert np.array_equal(found.scores, matrix.scores[found.indices])
        signal = matrix.scores.reshape(matrix.shape)
        assert found.noise_row == pytest.approx(signal.mean(axis=1), rel=1e-6)
        assert found.noise_col == pytest.approx(signal.mean(axis=0) / signal.mean(), rel=1e-6)
        assert row["score_sum"] == pytest.approx(signal.sum(), rel=1e-6) and row["solver"] is None
        assert kind == "weights" or (row["noise_error"] <= 1e-3 and row["rank_one_share"] == pytest.approx(1, abs=1e-6))
    assert described["parameters"]["score"] == "one" and described["parameters"]["seed"] is None
    assert frog("verify", tmp_path / "out", "--checkpoint", source).status == 0


def test_equal_signals_go_to_the_lower_matrix_and_position(frog, tmp_path):
    """64 values of 2 among ones, and a matrix of zeros: the order among equals is that of names and positions."""
    shapes = {"h.1.weight": (24, 16), "h.10.weight": (16, 40), "h.2.weight": (8, 8)}
    random = np.random.default_rng(3)
    source = checkpoints.write_checkpoint(
        tmp_path / "in", {name: checkpoints.encode(random.standard_normal(shape), "F32") for name, shape in shapes.items()})  # fmt: skip
    values = {name: np.ones(shape) for name, shape in shapes.items()}
    values["h.2.weight"][:] = 0
    for name in ("h.1.weight", "h.10.weight"):
        values[name].reshape(-1)[random.permutation(values[name].size)[:32]] = 2
    folder = checkpoints.write_checkpoint(tmp_path / "ties", {name: checkpoints.encode(v, "F32") for name, v in values.items()})
    ours = reference.Reference(source, weight_by=folder, score="one")
    for ranks, count in itertools.product((1, 3), (1, 33, 64, 65, 500, 1024, 1030)):
        options = ("--score", "one", "--weight-by", folder, "--keep", count, "--overwrite")
        described, output = kept_by(frog, source, tmp_path / "out", *options, ranks=ranks)
        assert described["kept"] == count
        for name, indices in ours.select("global", count).items():
            assert np.array_equal(output[name].indices, indices), (ranks, count, name)


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("kind", ["columns", "weights"])
def test_a_signal_ranks_the_experts_of_a_stack(frog, tmp_path, kind, ranks):
    """A stack [E, m, n] takes a signal of [E, n], or of its own shape."""
    random = np.random.default_rng(5)
    shape = (3, 24, 16)
    name = "model.layers.0.mlp.experts.gate_up_proj"
    source = checkpoints.write_checkpoint(tmp_path / "in", {name: checkpoints.encode(random.standard_normal(shape), "F32")})
    values = np.float32(np.exp(random.standard_normal(shape if kind == "weights" else (3, 16))))
    folder = checkpoints.write_checkpoint(tmp_path / "signal", {name: checkpoints.encode(values, "F32")})
    count = 100
    options = ("--score", "one", "--weight-by", folder, "--keep", count, "--format", "indices")
    described = frog.mask(source, tmp_path / "out", *options, ranks=ranks)
    assert len(described["matrices"]) == 3 and described["kept"] == count
    signal = np.broadcast_to(values.reshape(values.shape if kind == "weights" else (3, 1, 16)), shape).reshape(-1)
    found = {t.name.rpartition(".")[2]: t.read() for file in described["files"] for t in reference.read_header(tmp_path / "out" / file)}
    wanted = reference.top(signal.astype(np.float64), count)
    assert np.array_equal(found["indices"], wanted) and np.array_equal(found["scores"], signal[wanted])


def test_unfit_signals_are_refused(frog, checkpoint, tmp_path):
    source = checkpoint("mixed")
    names = [t.name for t in reference.checkpoint_tensors(source) if reference.is_matrix(t)]
    name = names[1]
    shape = next(t.shape for t in reference.checkpoint_tensors(source) if t.name == name)
    ones = np.ones(shape)
    cases = {
        "missing": (lambda t: t.pop(name), "no tensor", 65),
        "shape": (lambda t: t.update({name: checkpoints.encode(ones[:, :-1], "F32")}), "should be", 65),
        "integers": (lambda t: t.update({name: checkpoints.encode(ones, "I64")}), "should be", 65),
        "negative": (lambda t: t.update({name: checkpoints.encode(-ones, "F32")}), "not negative", 65),
        "nan": (lambda t: t.update({name: checkpoints.encode(ones * np.nan, "F32")}), "NaN", 65),
    }
    for case, (change, word, status) in cases.items():
        folder = signals(tmp_path / case, source, "weights", change=change)
        out = tmp_path / f"out {case}"
        result = frog("mask", source, "--out", out, "--weight-by", folder, "--threads", 1, ranks=3)
        assert_refused(result, status, name, word)
        assert final_files(out) == []
    result = frog("mask", source, "--out", tmp_path / "out", "--weight-by", tmp_path / "nowhere", ranks=2)
    assert_refused(result, 66, "nowhere")


def test_concentration_is_what_the_masks_show(frog, checkpoint, tmp_path):
    for options in ((), ("--sample", 0), ("--select", "uniform", "--format", "bitmap")):
        described, output = kept_by(frog, checkpoint("minilm"), tmp_path / "out", "--budget", "1%", *options, "--overwrite")
        total = described["kept"]
        for matrix in described["matrices"]:
            wanted = reference.concentration(output[matrix["name"]].indices, matrix["shape"])
            assert (matrix["concentration"] is None) == (wanted is None)
            if wanted:
                assert matrix["concentration"] == pytest.approx(wanted, rel=1e-9)
        share = described["K"] / described["checkpoint"]["weights"]
        starved = sum(m["kept"] < 0.1 * share * math.prod(m["shape"]) for m in described["matrices"])
        assert described["starved"] == starved
        for key in ("top_rows", "effective_columns"):
            mean = sum(m["kept"] * m["concentration"][key] for m in described["matrices"] if m["kept"]) / total
            assert described["concentration"][key] == pytest.approx(mean, rel=1e-9)
        for key, axis in (("unused_rows", 0), ("unused_columns", 1)):
            unused = sum(m["concentration"][key] if m["kept"] else m["shape"][axis] for m in described["matrices"])
            assert described["concentration"][key] == unused


def test_rank_one_share_is_that_of_the_scores(frog, checkpoint, exact, tmp_path):
    described = frog.mask(checkpoint("bf16_sharded"), tmp_path / "out", ranks=2)
    for mine, theirs in zip(exact("bf16_sharded").matrices, described["matrices"]):
        sigma = np.linalg.svd(mine.scores.reshape(mine.shape), compute_uv=False)
        assert theirs["rank_one_share"] == pytest.approx(sigma[0] ** 2 / (sigma**2).sum(), abs=1e-4)


def test_starvation_is_warned_of(frog, checkpoint, tmp_path):
    result = frog("mask", checkpoint("minilm"), "--out", tmp_path / "a", "--budget", "1%", ranks=2)
    assert result.status == 0 and "29 of 37 matrices keep less than a tenth" in result.stderr and "--normalize rowcol" in result.stderr
    result = frog("mask", checkpoint("minilm"), "--out", tmp_path / "b", "--budget", "1%", "--select", "uniform")
    assert result.status == 0 and "warning" not in result.stderr
    shown = frog("inspect", tmp_path / "a").stdout
    assert "29 of 37 matrices keep less than a tenth of a uniform share" in shown
    assert json.loads(frog("inspect", tmp_path / "a", "--json").stdout)["starved"] == 29


@pytest.mark.parametrize("name", ["minilm", "mixed"])
def test_budgets_of_lora(frog, checkpoint, exact, tmp_path, name):
    """r(m + n) weights of every matrix, or all of a small one: the best of it by the reference. Globally as many as that together."""
    rank = 3
    ours = exact(name)
    wanted = {m.name: min(rank * sum(m.shape), m.size) for m in ours.matrices}
    assert name != "mixed" or any(k == m.size for k, m in zip(wanted.values(), ours.matrices, strict=True))
    described, output = kept_by(frog, checkpoint(name), tmp_path / "each", "--budget", f"lora:{rank}", "--select", "lora")
    assert {m["name"]: m["kept"] for m in described["matrices"]} == wanted
    parameters = described["parameters"]
    assert (parameters["budget"], parameters["keep"], parameters["lora_rank"]) == (None, None, rank)
    for matrix in ours.matrices:
        best = np.sort(np.partition(matrix.scores, matrix.size - wanted[matrix.name])[matrix.size - wanted[matrix.name] :])
        found = np.sort(matrix.scores[output[matrix.name].indices])
        assert found.size == best.size and np.all(found >= best * (1 - 1e-5)), matrix.name
    whole = frog.mask(checkpoint(name), tmp_path / "all", "--budget", f"lora:{rank}")
    counted = frog.mask(checkpoint(name), tmp_path / "count", "--keep", str(sum(wanted.values())), "--select", "lora")
    assert whole["K"] == whole["kept"] == sum(wanted.values())
    assert {m["name"]: m["kept"] for m in counted["matrices"]} == wanted
    assert frog("verify", tmp_path / "each", "--checkpoint", checkpoint(name)).status == 0
    again = frog("mask", checkpoint(name), "--out", tmp_path / "each", "--resume", "--budget", "lora:4", "--select", "lora")
    assert again.status == 64 and "--budget was 'lora:3', is 'lora:4'" in again.stderr, str(again)


@pytest.mark.parametrize(
    "options, word",
    [(("--budget", "lora:0"), "--budget"), (("--select", "lora", "--quality-weight", "alpha"), "--quality-weight"),
     (("--sample", "-1"), "--sample"), (("--sample", "nan"), "--sample"), (("--sample", "1001"), "--sample"),
     (("--normalize", "rows"), "--normalize"), (("--score", "taylor"), "--score"), (("--seed", "-1"), "--seed"),
     (("--score", "lift", "--rank", "0"), "--rank"), (("--score", "magnitude", "--rank", "4"), "--rank"),
     (("--score", "one"), "--weight-by"), (("--score", "one", "--weight-by", "signals", "--rank", "4"), "--rank"),
     (("--score", "one", "--weight-by", "signals", "--audit", "2"), "--audit"),
     (("--score", "one", "--weight-by", "signals", "--target-overlap", "0.5"), "--target-overlap"),
     (("--score", "one", "--weight-by", "signals", "--analyze"), "every singular value")],
)  # fmt: skip
def test_impossible_options(frog, checkpoint, tmp_path, options, word):
    result = frog("mask", checkpoint("mixed"), "--out", tmp_path / "out", *options)
    assert result.status == 64 and word in result.stderr, str(result)
    assert not (tmp_path / "out").exists()
