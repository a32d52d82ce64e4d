"""Masks of whole blocks, against NumPy: the best blocks by the mean of what ranks their weights, as long as they fit in the budget."""

import functools
import hashlib
import json
import math
import os
import shutil
import signal
from fractions import Fraction

import numpy as np
import pytest

import checkpoints
import layouts
import reference
from harness import assert_refused, at_stage
from test_selection import signals
from test_several import Lists, assert_masks_of_their_own, contents, several
from test_teams import largest_need


def blocks_of(shape, side):
    """The blocks of a matrix, row by row of blocks, as index pairs; those at the right and lower edges may be smaller."""
    rows, columns = ([slice(start, start + side) for start in range(0, size, side)] for size in shape)
    return [(row, column) for row in rows for column in columns]


def fitting(blocks, room):
    """The best blocks of (mean, order, weights) as long as they fit in a number of weights: their orders."""
    kept = []
    for _, order, weights in sorted(blocks, key=lambda block: (-block[0], block[1])):
        if weights > room:
            break
        kept.append(order)
        room -= weights
    return kept


def budgets_in_blocks(counts, shapes, side):
    """Budgets of matrices as whole blocks; what is cut off pays for one more block where most of one was cut off."""
    units = [min(side, rows) * min(side, columns) for rows, columns in shapes]
    sizes = [math.prod(shape) for shape in shapes]
    rests = [count % unit if count < size else 0 for count, unit, size in zip(counts, units, sizes)]
    found, left = [count - rest for count, rest in zip(counts, rests)], sum(rests)
    for i in sorted(range(len(counts)), key=lambda i: (-Fraction(rests[i], units[i]), i)):
        more = min(units[i], sizes[i] - found[i])
        if rests[i] > 0 and more <= left:
            found[i] += more
            left -= more
    return found


class BlockReference:
    """The masks of blocks of a checkpoint, from means in double precision that are rounded to single precision, as documented."""

    def __init__(self, ours, side):
        self.ours, self.side, self.means = ours, side, []
        ends = np.cumsum([matrix.size for matrix in ours.matrices])
        for number, (matrix, end) in enumerate(zip(ours.matrices, ends)):
            ranked = ours.ranked[end - matrix.size : end].reshape(matrix.shape)
            cuts = blocks_of(matrix.shape, side)
            self.means.append([(np.float32(ranked[cut].mean()), (number, i), ranked[cut].size) for i, cut in enumerate(cuts)])

    def select(self, mode, count):
        """Name → ascending flat positions of the kept weights."""
        matrices = self.ours.matrices
        if mode == "global":
            kept = fitting(sum(self.means, []), count)
        else:
            sizes = [matrix.size for matrix in matrices]
            norms = sizes if mode == "uniform" else [matrix.norm for matrix in matrices]
            counts = reference.matrix_counts(norms, sizes, count)
            rooms = budgets_in_blocks(counts, [matrix.shape for matrix in matrices], self.side)
            kept = [order for blocks, room in zip(self.means, rooms) for order in fitting(blocks, room)]
        found = {}
        for number, matrix in enumerate(matrices):
            chosen = np.zeros(matrix.shape, bool)
            for i, cut in enumerate(blocks_of(matrix.shape, self.side)):
                chosen[cut] = (number, i) in kept
            found[matrix.name] = np.flatnonzero(chosen)
        return found

    def lowest_mean(self, number, indices):
        """The lowest mean of the blocks that hold these weights of a matrix."""
        columns = self.ours.matrices[number].shape[1]
        blocks = indices // columns // self.side * -(-columns // self.side) + indices % columns // self.side
        return min(self.means[number][block][0] for block in np.unique(blocks))


def masked(frog, source, out, *options, ranks=1):
    described = frog.mask(source, out, *options, ranks=ranks)
    return described, reference.read_output(out, {m["name"]: tuple(m["shape"]) for m in described["matrices"]})


@pytest.fixture(scope="module")
def scored(checkpoint):
    """Name and normalization → the scores of that checkpoint, decomposed once."""
    return functools.cache(lambda name, normalize="none": reference.Reference(checkpoint(name), normalize=normalize))


@pytest.mark.parametrize("select", ["global", "matrix", "uniform"])
@pytest.mark.parametrize(
    "name, side, budget, normalize",
    [("mixed", 16, "7%", "none"), ("mixed", 5, "30%", "matrix"), ("mixed", 3, "2%", "rowcol"), ("mixed", 200, "60%", "none"),
     ("bf16_sharded", 64, "5%", "none"), ("bf16_sharded", 256, "40%", "none"), ("bf16_sharded", 33, "10%", "rowcol"),
     ("minilm", 128, "3%", "none")],
)  # fmt: skip
def test_the_best_blocks_by_mean(frog, checkpoint, scored, tmp_path, name, side, budget, normalize, select):
    ours = BlockReference(scored(name, normalize), side)
    options = ("--block", side, "--budget", budget, "--select", select, "--normalize", normalize)
    described, output = masked(frog, checkpoint(name), tmp_path / "out", *options, ranks=2)
    wanted = ours.select(select, described["K"])
    assert described["K"] == reference.kept_count(reference.parse_budget(budget), ours.ours.total)
    assert described["kept"] == sum(found.size for found in wanted.values()) <= described["K"]
    assert described["parameters"]["block"] == side
    lowest = {}
    for number, (matrix, row) in enumerate(zip(ours.ours.matrices, described["matrices"], strict=True)):
        found = output[matrix.name]
        assert np.array_equal(found.indices, wanted[matrix.name]), matrix.name
        assert np.allclose(found.scores, matrix.scores[found.indices], rtol=1e-5)
        assert row["kept"] == found.indices.size
        assert row["selected_score_sum"] == pytest.approx(matrix.scores[found.indices].sum(), rel=1e-5)
        assert row["score_sum"] == pytest.approx(matrix.scores.sum(), rel=1e-5)
        if found.indices.size:
            lowest[matrix.name] = ours.lowest_mean(number, found.indices)
    # The threshold is the mean of the last block that is kept.
    thresholds = {row["name"]: row["threshold"] for row in described["matrices"]}
    if select == "global":
        assert described["threshold"] == pytest.approx(min(lowest.values()), rel=1e-5)
        assert {t for t in thresholds.values() if t is not None} == {described["threshold"]}
    else:
        assert described["threshold"] is None
        assert {n: t for n, t in thresholds.items() if t is not None} == pytest.approx(lowest, rel=1e-5)
    assert frog("verify", tmp_path / "out", "--checkpoint", checkpoint(name), ranks=2).status == 0


def test_blocks_of_one_weight_are_weights(frog, checkpoint, tmp_path):
    """The same tensors, bit for bit, by every kind of budget."""
    for number, select in enumerate(("global", "matrix", "uniform", "lora")):
        options = ("--budget", "3%", "--select", select)
        frog.mask(checkpoint("mixed"), tmp_path / f"plain{number}", *options)
        frog.mask(checkpoint("mixed"), tmp_path / f"blocks{number}", *options, "--block", 1)
        found, wanted = contents(tmp_path / f"blocks{number}"), contents(tmp_path / f"plain{number}")
        assert found.keys() == wanted.keys()
        assert {n for n in found if found[n] != wanted[n]} == {"frog.json", "masks.safetensors.index.json"}


@pytest.mark.parametrize("options", [("--score", "magnitude"), ("--score", "lift", "--rank", 16), ("--score", "one")])
@pytest.mark.parametrize("kind", ["columns", "weights"])
def test_other_scores_times_a_signal(frog, checkpoint, tmp_path, kind, options):
    source, folder = checkpoint("mixed"), signals(tmp_path / "signals", checkpoint("mixed"), kind)
    ours = BlockReference(reference.Reference(source, score=options[1], rank=16, weight_by=folder), 12)
    described, output = masked(frog, source, tmp_path / "out", "--block", 12, "--budget", "12%", "--weight-by", folder, *options)
    wanted = ours.select("global", described["K"])
    assert described["kept"] > 0
    assert all(np.array_equal(output[name].indices, wanted[name]) for name in wanted)
    assert frog("verify", tmp_path / "out").status == 0


@pytest.mark.parametrize("select", ["global", "uniform"])
@pytest.mark.parametrize("budget, ranks", [("0%", 1), ("3%", 1), ("20%", 1), ("31%", 1), ("31%", 3), ("77%", 1), ("100%", 1)])
def test_equal_blocks_go_to_the_lower_matrix_and_position(frog, tmp_path, budget, select, ranks):
    """Blocks of 2 among blocks of 1 and a matrix of zeros; ragged edges, panels of rows and of columns."""
    random = np.random.default_rng(8)
    values = {}
    for name, shape in {"h.1.weight": (40, 23), "h.10.weight": (17, 50), "h.2.weight": (24, 24), "h.3.weight": (9, 9)}.items():
        values[name] = np.ones(shape)
        for row, column in random.permutation(blocks_of(shape, 8))[::3]:
            values[name][row, column] = 2
    values["h.2.weight"][:] = 0
    encoded = {name: checkpoints.encode(value, "F32") for name, value in values.items()}
    source = checkpoints.write_checkpoint(tmp_path / "in", encoded)
    ours = BlockReference(reference.Reference(source, score="magnitude"), 8)
    options = ("--score", "magnitude", "--block", 8, "--budget", budget, "--select", select)
    described, output = masked(frog, source, tmp_path / "out", *options, ranks=ranks)
    wanted = ours.select(select, described["K"])
    assert all(np.array_equal(output[name].indices, wanted[name]) for name in wanted)
    assert budget != "100%" or described["kept"] == described["K"] == described["checkpoint"]["weights"]
    if select == "global":
        kept = [values[name].flat[mask.indices] for name, mask in output.items()]
        lowest = min((found.min() for found in kept if found.size), default=None)
        assert described["threshold"] == lowest
    assert frog("verify", tmp_path / "out", ranks=ranks).status == 0


def test_equal_scores_of_decompositions(frog, checkpoint, tmp_path):
    """Constant, zero and permutation matrices, and one matrix three times."""
    options = ("--block", 16, "--budget", "40%", "--select", "matrix")
    _, whole = masked(frog, checkpoint("equal_scores"), tmp_path / "1", *options)
    for ranks in (2, 3):
        frog.mask(checkpoint("equal_scores"), tmp_path / f"{ranks}", *options, ranks=ranks)
        assert contents(tmp_path / "1") == contents(tmp_path / f"{ranks}")
    twins = [whole[f"h.{i}.twin.weight"].indices for i in (3, 4, 5)]
    assert twins[0].size and np.array_equal(twins[0], twins[1]) and np.array_equal(twins[0], twins[2])


@pytest.mark.parametrize(
    "options",
    [(), ("--normalize", "rowcol", "--select", "matrix"), ("--score", "magnitude", "--select", "uniform"), ("--score", "random"),
     ("--quality-weight", "alpha"), ("--importance", "stable-rank", "--select", "matrix"), ("--format", "bitmap")],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("name", ["mixed", "bf16_sharded"])
def test_the_same_bytes_on_any_number_of_ranks(frog, checkpoint, tmp_path, name, options):
    wanted = None
    for ranks in (1, 2, 3):
        out = tmp_path / f"out{ranks}"
        frog.mask(checkpoint(name), out, "--block", 24, "--budget", "11%", *options, ranks=ranks)
        wanted = wanted or contents(out)
        assert contents(out) == wanted, f"{ranks} ranks"
    assert frog("verify", tmp_path / "out3").status == 0


def test_several_masks_of_one_run(frog, checkpoint, tmp_path):
    lists = Lists(("2%", "20%", "lora:2"), ("global", "matrix", "uniform", "lora"), ("none", "rowcol"))
    several(frog, checkpoint("mixed"), tmp_path / "out", *lists.options, "--block", 8, ranks=3)
    assert_masks_of_their_own(frog, checkpoint("mixed"), tmp_path / "out", lists, "--block", 8)
    assert frog("verify", tmp_path / "out", ranks=2).status == 0


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_killed_run_goes_on(frog, checkpoint, tmp_path, ranks):
    source, out = checkpoint("mixed"), tmp_path / "out"
    options = ("--block", 16, "--budget", "5%,20%", "--select", "global,matrix")
    several(frog, source, tmp_path / "whole", *options)
    result = at_stage(frog, "masks", lambda process: os.kill(process.pid, signal.SIGKILL), source, "--out", out, "--threads", 1, *options)
    assert result.status == -signal.SIGKILL, str(result)
    for path in sorted((out / ".frog-mpi").glob("*.frogrec"))[::2]:
        path.unlink()
    again = frog("mask", source, "--out", out, "--threads", 1, *options, "--block", 17, "--resume")
    assert_refused(again, 64, "--block was 16, is 17")
    several(frog, source, out, *options, "--resume", ranks=ranks)
    assert contents(out) == contents(tmp_path / "whole")


def test_teams_keep_the_same_blocks(frog, checkpoint, tmp_path):
    source = checkpoint("bf16_sharded")
    # Scores that need no eigensolver are the same whoever makes them.
    options = ("--score", "magnitude", "--block", 48, "--budget", "10%")
    frog.mask(source, tmp_path / "alone", *options)
    frog.mask(source, tmp_path / "teams", *options, "--teams", "speed", ranks=6)
    assert contents(tmp_path / "alone") == contents(tmp_path / "teams")
    # Others differ in last bits; the best blocks are the same unless two means are.
    for side in (40, 100):
        options = ("--block", side, "--budget", "20%", "--overwrite")
        _, alone = masked(frog, source, tmp_path / "alone", *options)
        limit = largest_need(frog, source, "--block", side) - 1
        described, teams = masked(frog, source, tmp_path / "teams", *options, "--memory", limit, ranks=6)
        assert any(matrix["solver"].startswith("team of") for matrix in described["matrices"])
        assert all(np.array_equal(mask.indices, teams[name].indices) for name, mask in alone.items())
        assert max(json.loads((tmp_path / "teams/run.json").read_text())["peak_anonymous_bytes"]) <= limit


def unpacked(folder, name, shape):
    """Bits of a bitmap [rows, columns], or of a stack of them."""
    files = json.loads((folder / "masks.safetensors.index.json").read_text())["weight_map"]
    tensors = {t.name: t for t in reference.read_header(folder / files[f"{name}.mask"])}
    return np.unpackbits(tensors[f"{name}.mask"].read(), axis=-1, bitorder="little")[..., : shape[-1]].astype(bool)


@pytest.mark.parametrize("layout, options", [("gpt-oss (BF16)", ("--split-fused",)), ("DeepSeek-V3", ()), ("gpt2", ("--split-fused",))])
def test_stacks_split_parts_and_scaled_weights(frog, tmp_path, layout, options):
    """Every expert and every part has blocks of its own, all or nothing of each."""
    source = tmp_path / "source"
    layouts.write_layout(source, layout)
    frog.mask(source, tmp_path / "indices", "--block", 16, "--budget", "20%", "--format", "indices", *options, ranks=3)
    described = frog.mask(source, tmp_path / "bits", "--block", 16, "--budget", "20%", "--format", "bitmap", *options)
    assert 0 < described["kept"] <= described["K"]
    for matrix in described["matrices"]:
        taken = matrix["slice"] or {}
        bits = unpacked(tmp_path / "bits", matrix["tensor"] + (f"[{taken['part']}]" if taken.get("part") else ""), matrix["shape"])
        bits = bits if taken.get("expert") is None else bits[taken["expert"]]
        assert bits.sum() == matrix["kept"]
        assert {float(bits[cut].mean()) for cut in blocks_of(bits.shape, 16)} <= {0.0, 1.0}, matrix["name"]
    other = json.loads((tmp_path / "indices" / "frog.json").read_text())
    assert [matrix["kept"] for matrix in other["matrices"]] == [matrix["kept"] for matrix in described["matrices"]]
    for out in ("indices", "bits"):
        assert frog("verify", tmp_path / out, "--checkpoint", source, ranks=2).status == 0


def test_convolutions_are_matrices(frog, tmp_path):
    weights = {f"h.{i}.conv.weight": np.random.default_rng(i).standard_normal((12, 5, 3, 3)) for i in range(3)}
    flat = {name: checkpoints.encode(w.reshape(12, 45), "F32") for name, w in weights.items()}
    kernels = checkpoints.write_checkpoint(tmp_path / "kernels", {name: checkpoints.encode(w, "F32") for name, w in weights.items()})
    found = masked(frog, kernels, tmp_path / "a", "--block", 7, "--budget", "30%", "--conv")[1]
    wanted = masked(frog, checkpoints.write_checkpoint(tmp_path / "flat", flat), tmp_path / "b", "--block", 7, "--budget", "30%")[1]
    assert all(np.array_equal(found[name].indices, wanted[name].indices) for name in weights)
    assert sum(mask.indices.size for mask in found.values()) > 0


def test_panels_that_would_cut_blocks(frog, tmp_path):
    """Matrices of several panels, wide and tall, whose blocks are no part of a panel's usual length."""
    random = np.random.default_rng(4)
    shapes = {"h.0.tall.weight": (9001, 601), "h.0.wide.weight": (600, 9007)}
    values = {name: random.standard_normal(shape) * np.exp(random.standard_normal((shape[0], 1))) for name, shape in shapes.items()}
    source = checkpoints.write_checkpoint(tmp_path / "in", {name: checkpoints.encode(v, "F32") for name, v in values.items()})
    ours = reference.Reference(source, score="magnitude")
    for side in (250, 1000, 4096):
        options = ("--score", "magnitude", "--block", side, "--budget", "30%", "--overwrite")
        described, output = masked(frog, source, tmp_path / "out", *options, ranks=2)
        wanted = BlockReference(ours, side).select("global", described["K"])
        assert all(np.array_equal(output[name].indices, wanted[name]) for name in wanted), side
        teams = frog.mask(source, tmp_path / "teams", *options, "--teams", "speed", ranks=3)
        assert teams == described


def test_approximate_scores(frog, checkpoint, tmp_path):
    described, _ = masked(frog, checkpoint("bf16_sharded"), tmp_path / "out", "--rank", 16, "--block", 32, "--budget", "20%", ranks=2)
    assert described["audit"]["overlap"] > 0.6 and described["audit"]["kept"] >= 32 * 32
    assert frog("verify", tmp_path / "out").status == 0


@pytest.mark.parametrize("select", ["global", "matrix"])
def test_a_sweep_bounds_other_budgets(frog, checkpoint, tmp_path, select):
    budgets = ("1%", "10%", "50%", "100%")
    lists = ("--block", 16, "--budget", ",".join(budgets), "--select", select)
    several(frog, checkpoint("mixed"), tmp_path / "out", *lists)
    report = json.loads(
        frog("inspect", tmp_path / "out" / f"{select}-10%", "--layers", "--json", "--budget-sweep", ",".join(budgets)).stdout)  # fmt: skip
    for step in report["sweep"]:
        record = json.loads((tmp_path / "out" / f"{select}-{step['budget']}" / "frog.json").read_text())
        for estimate, layer in zip(step["layers"], record["layers"], strict=True):
            assert abs(estimate["kept"] - layer["kept"]) <= estimate["kept_bound"], step["budget"]
        assert step["budget"] != "100%" or all(layer["kept_bound"] == 0 for layer in step["layers"])


def resigned(out, file, change):
    """Changes a mask file, and every checksum that vouches for it."""
    content = bytearray((out / file).read_bytes())
    before = hashlib.sha256(content).hexdigest()
    change(content)
    (out / file).write_bytes(content)
    record = (out / "frog.json").read_text()
    changed = record.replace(before, hashlib.sha256(content).hexdigest())
    assert changed != record
    (out / "frog.json").write_text(changed)
    index = (out / "masks.safetensors.index.json").read_text()
    replaced = index.replace(hashlib.sha256(record.encode()).hexdigest(), hashlib.sha256(changed.encode()).hexdigest())
    assert replaced != index
    (out / "masks.safetensors.index.json").write_text(replaced)


@pytest.mark.parametrize("format", ["indices", "bitmap"])
def test_verify_knows_blocks(frog, tmp_path, format):
    random = np.random.default_rng(2)
    source = checkpoints.write_checkpoint(tmp_path / "in", {"h.0.weight": checkpoints.encode(random.standard_normal((32, 32)), "F32")})
    out = tmp_path / "out"
    described = frog.mask(source, out, "--block", 8, "--budget", "50%", "--format", format)
    file = described["matrices"][0]["file"]
    (tensor,) = (t for t in reference.read_header(out / file) if t.name.endswith(("indices", "mask")))
    _, output = described, reference.read_output(out, {"h.0.weight": (32, 32)})
    kept = output["h.0.weight"].indices
    free = np.setdiff1d(np.arange(1024), kept)

    def move(content):
        """One weight of a block is replaced by one of another block."""
        moved = np.sort(np.append(kept[1:], free[-1])).astype("<i4")
        if format == "bitmap":
            bits = np.zeros(1024, np.uint8)
            bits[moved] = 1
            raw = np.packbits(bits, bitorder="little").tobytes()
        else:
            raw = moved.tobytes()
        content[tensor.start : tensor.start + len(raw)] = raw

    resigned(out, file, move)
    assert_refused(frog("verify", out), 65, "h.0.weight", "of the 64 weights of block")
    record = json.loads((out / "frog.json").read_text())
    record["parameters"]["block"] = 0
    (out / "frog.json").write_text(json.dumps(record))
    assert_refused(frog("verify", out), 65, "no blocks have the side 0")


def test_inspect_and_plan_know_blocks(frog, checkpoint, tmp_path):
    described = frog.mask(checkpoint("mixed"), tmp_path / "out", "--block", 16, "--budget", "10%")
    shown = frog("inspect", tmp_path / "out").stdout
    assert "blocks of 16 × 16" in shown and f"{described['K']:,}" in shown and f"{described['kept']:,}" in shown
    wide = tmp_path / "wide.json"
    wide.write_text(json.dumps({"tensors": [["h.0.weight", [60000, 8192], "BF16"]]}))
    needs = [largest_need(frog, wide, "--score", "magnitude", *options) for options in ((), ("--block", 256), ("--block", 4096))]
    # A panel holds a row of blocks: its weights, projections, scores and ranked values, four bytes each.
    assert needs[0] <= needs[1] < needs[2] and needs[2] - needs[0] >= 4 * 4 * (4096 - 256) * 8192


@pytest.mark.parametrize(
    "options, words",
    [(("--block", "0"), ("--block", "1 to 4096")), (("--block", "4097"), ("--block",)), (("--block", "16,32"), ("--block",)),
     (("--block", "16", "--sample", "1"), ("--sample", "--block")), (("--block", "16", "--sample", "none,1"), ("--sample",)),
     (("--block", "16", "--target-overlap", "0.5"), ("--target-overlap", "--block")),
     (("--block", "300", "--keep", "3"), ("3 weights", "300 × 300", "smallest has 4 weights"))],
)  # fmt: skip
def test_bad_input(frog, checkpoint, tmp_path, options, words):
    result = frog("mask", checkpoint("mixed"), "--out", tmp_path / "out", *options, ranks=2)
    assert_refused(result, 64, *words)
    assert not (tmp_path / "out").exists()


def test_a_budget_below_the_best_block_warns(frog, tmp_path):
    values = {"h.0.weight": np.full((40, 40), 2.0), "h.1.weight": np.full((4, 4), 1.0)}
    source = checkpoints.write_checkpoint(tmp_path / "in", {name: checkpoints.encode(v, "F32") for name, v in values.items()})
    result = frog("mask", source, "--out", tmp_path / "out", "--score", "magnitude", "--block", 40, "--keep", 100)
    assert result.status == 0 and "nothing is kept: the best block of 40 × 40" in result.stderr, str(result)
    record = json.loads((tmp_path / "out/frog.json").read_text())
    assert (record["K"], record["kept"], record["threshold"]) == (100, 0, None)
    assert frog("verify", tmp_path / "out").status == 0
    shutil.rmtree(tmp_path / "out")
    # With a budget for each matrix the small one keeps its block.
    record = frog.mask(source, tmp_path / "out", "--score", "magnitude", "--block", 40, "--keep", 100, "--select", "lora")
    assert record["kept"] in (0, 16)
