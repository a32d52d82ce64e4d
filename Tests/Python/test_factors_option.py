"""`mask --factors` and `analyze --factors`: singular values and vectors that `factor` has stored, in place of a decomposition."""

import hashlib
import json
import math
import re
import struct

import numpy as np
import pytest

import checkpoints
import details
import layouts
import reference
import separated
from harness import assert_refused, at_stage, final_files
from test_factor import INDEX, contents, factor
from test_layouts import counted, fused_rows, made  # noqa: F401
from test_resume import Interrupted

#: Of budgets to 5%: the least share of exactly kept weights, the largest error of a kept score, and that of a noise factor.
DOCUMENTED = {"f32": (0.99999, 9e-7, 9e-7), "bf16": (0.995, 4e-3, 4e-3)}


@pytest.fixture(scope="session")
def factors(frog, checkpoint, tmp_path_factory):
    """Checkpoint, type and rank → the folder of its factors, made once."""
    folders = {}

    def make(name, dtype="f32", rank=None):
        key = (name, dtype, rank)
        if key not in folders:
            folders[key] = tmp_path_factory.mktemp("factors") / "out"
            options = ["--dtype", dtype, *(["--rank", rank] if rank else [])]
            factor(frog, checkpoint(name), folders[key], *options)
        return folders[key]

    return make


def copied(folder, to):
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def assert_agrees(ours, selection, output, dtype):
    found = reference.compare(ours, selection, output)
    print(dtype, found)
    overlap, score_error, noise_error = DOCUMENTED[dtype]
    assert found.kept == found.wanted
    # A few weights of a small model are more than a share of it.
    assert found.wanted - found.common <= max(1 if dtype == "f32" else 3, (1 - overlap) * found.wanted)
    assert found.score_error <= score_error and found.noise_error <= noise_error


# Masks against the reference -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DOCUMENTED)
@pytest.mark.parametrize("budget", ["0.1%", "1%", "5%"])
@pytest.mark.parametrize("name", ["minilm", "bf16_sharded"])
def test_masks_are_as_exact_as_documented(frog, checkpoint, exact, factors, tmp_path, name, budget, dtype):
    ours, folder = exact(name), factors(name, dtype)
    out = tmp_path / "out"
    described = frog.mask(checkpoint(name), out, "--budget", budget, "--factors", folder, ranks=2)
    count = reference.kept_count(reference.parse_budget(budget), ours.total)
    output = reference.read_output(out, {m.name: m.shape for m in ours.matrices})
    assert_agrees(ours, ours.select("global", count), output, dtype)
    # The record says which factors these were.
    digest = hashlib.sha256((folder / "factors.json").read_bytes()).hexdigest()
    assert described["parameters"]["factors"] == {"dtype": dtype, "rank": None, "sha256": digest}
    assert described["parameters"]["precision"] == dtype
    assert {m["solver"] for m in described["matrices"]} == {"factors"}
    assert frog("verify", out, "--checkpoint", checkpoint(name)).status == 0
    if dtype == "f32":
        # Next to nothing distinguishes them from scores of a decomposition.
        decomposed = frog.mask(checkpoint(name), tmp_path / "exact", "--budget", budget)
        assert described["threshold"] == pytest.approx(decomposed["threshold"], rel=1e-6)


@pytest.mark.parametrize("options", [("--score", "lift", "--rank", 20), ("--score", "lift", "--rank", 9, "--normalize", "rowcol"),
                                     ("--normalize", "matrix"), ("--select", "matrix"), ("--sample", 3, "--seed", 5)])  # fmt: skip
def test_every_way_to_rank(frog, checkpoint, factors, tmp_path, options):
    """Whatever is made of scores is the same as with a decomposition."""
    source = checkpoint("bf16_sharded")
    masks = {}
    for way, more in (("stored", ("--factors", factors("bf16_sharded"))), ("decomposed", ())):
        described = frog.mask(source, tmp_path / way, "--budget", "2%", *options, *more)
        shapes = {m["name"]: m["shape"] for m in described["matrices"]}
        masks[way] = reference.read_output(tmp_path / way, shapes)
    kept = common = 0
    for name, stored in masks["stored"].items():
        both, ours, theirs = np.intersect1d(stored.indices, masks["decomposed"][name].indices, return_indices=True)
        kept, common = kept + stored.indices.size, common + both.size
        np.testing.assert_allclose(stored.scores[ours], masks["decomposed"][name].scores[theirs], rtol=1e-5 if "lift" in options else 3e-6)
        np.testing.assert_allclose(stored.noise_row, masks["decomposed"][name].noise_row, rtol=3e-6)
    assert kept - common <= max(1, 1e-4 * kept)


def test_leading_triplets_are_enough_for_lift(frog, checkpoint, exact, factors, tmp_path):
    """The masks of 12 triplets are those of all of them, byte by byte but for what names the factors."""
    source = checkpoint("bf16_sharded")
    files = {}
    for rank in (None, 12):
        out = tmp_path / f"{rank}"
        frog.mask(source, out, "--score", "lift", "--rank", 12, "--factors", factors("bf16_sharded", rank=rank), ranks=2)
        files[rank] = {name: content for name, content in contents(out).items() if name.startswith("masks-")}
    assert files[None] == files[12]


@pytest.mark.parametrize("name", ["DeepSeek-V3", "Llama per-tensor fp8", "gpt-oss (BF16)", "Mixtral-8x22B-Instruct-v0.1", "gpt2"])
@pytest.mark.parametrize("dtype", DOCUMENTED)
def test_stacks_and_eight_bits(frog, made, tmp_path, name, dtype):  # noqa: F811
    folder, tensors = made(name)
    factor(frog, folder, tmp_path / "factors", "--dtype", dtype)
    ours = separated.Separated(counted(tensors, layouts.LAYOUTS[name].small_config()), separated.stored_values(tensors))
    frog.mask(folder, tmp_path / "out", "--factors", tmp_path / "factors", "--budget", "1%", ranks=3)
    count = reference.kept_count(reference.parse_budget("1%"), ours.total)
    assert_agrees(ours, ours.select("global", count), ours.read(tmp_path / "out"), dtype)
    assert frog("verify", tmp_path / "out", "--checkpoint", folder).status == 0


def test_split_parts(frog, made, tmp_path):  # noqa: F811
    folder, tensors = made("Phi-3-mini-4k")
    cuts = fused_rows("Phi-3-mini-4k")
    parts = []
    for part in counted(tensors, layouts.LAYOUTS["Phi-3-mini-4k"].small_config()):
        leaf = part.tensor.split(".")[-2]
        parts += separated.rows(part.tensor, tensors[part.tensor][1], cuts[leaf]) if leaf in cuts else [part]
    factor(frog, folder, tmp_path / "split", "--split-fused")
    factor(frog, folder, tmp_path / "whole")
    ours = separated.Separated(parts, separated.stored_values(tensors))
    frog.mask(folder, tmp_path / "out", "--split-fused", "--factors", tmp_path / "split", "--budget", "1%")
    count = reference.kept_count(reference.parse_budget("1%"), ours.total)
    assert_agrees(ours, ours.select("global", count), ours.read(tmp_path / "out"), "f32")
    # Factors of another cut have other matrices.
    refused = frog("mask", folder, "--split-fused", "--factors", tmp_path / "whole", "--out", tmp_path / "none")
    assert_refused(refused, 65, "no factors of tensor", "[", "--split-fused")
    assert_refused(frog("mask", folder, "--factors", tmp_path / "split", "--out", tmp_path / "none"), 65, "--split-fused")
    assert final_files(tmp_path / "none") == []


def test_convolutions(frog, tmp_path):
    generator = np.random.default_rng(4)
    shapes = {"conv1": (48, 24, 3, 3), "conv2": (64, 32, 1, 1), "linear": (72, 96)}
    tensors = {f"block.{name}.weight": checkpoints.encode(layouts.realistic(generator, shape), "F32") for name, shape in shapes.items()}
    folder = layouts.write_tensors(tmp_path / "in", tensors, {}, shards=1)
    factor(frog, folder, tmp_path / "factors", "--conv")
    ours = separated.Separated(counted(tensors, {}, conv=True), separated.stored_values(tensors))
    frog.mask(folder, tmp_path / "out", "--conv", "--factors", tmp_path / "factors", "--budget", "1%", "--analyze")
    count = reference.kept_count(reference.parse_budget("1%"), ours.total)
    assert_agrees(ours, ours.select("global", count), ours.read(tmp_path / "out"), "f32")
    # A spectrum of each kernel position is another decomposition.
    refused = frog("analyze", folder, "--conv", "--factors", tmp_path / "factors", "--out", tmp_path / "none")
    assert_refused(refused, 64, "block.conv1.weight", "kernel", "--no-conv")
    refused = frog("mask", folder, "--conv", "--factors", tmp_path / "factors", "--out", tmp_path / "none", "--quality-weight", "alpha")
    assert_refused(refused, 64, "block.conv1.weight", "kernel")
    assert_refused(
        frog("mask", folder, "--no-conv", "--factors", tmp_path / "factors", "--out", tmp_path / "none"), 65, "block.conv1.weight"
    )


def test_units_far_from_one(frog, tmp_path):
    """Powers of two cancel; what single precision does not hold is refused."""
    generator = np.random.default_rng(6)
    base = generator.standard_normal((90, 60)).astype(np.float32)
    found = {}
    for exponent in (0, 60, -60, 100):
        here = tmp_path / f"{exponent}"
        here.mkdir()
        folder = checkpoints.write_checkpoint(here / "in", {"h.0.weight": checkpoints.encode(np.ldexp(base, exponent), "F32")})
        factor(frog, folder, here / "factors")
        described = frog.mask(folder, here / "out", "--factors", here / "factors", "--keep", 50)
        mask = reference.read_output(here / "out", {"h.0.weight": (90, 60)})["h.0.weight"]
        found[exponent] = (mask.indices.tolist(), np.ldexp(mask.scores.astype(np.float64), -exponent).tolist())
        assert described["matrices"][0]["solver"] == "factors"
    assert all(values == found[0] for values in found.values())
    folder = checkpoints.write_checkpoint(tmp_path / "small", {"h.0.weight": checkpoints.encode(base.astype(np.float64) * 1e-60, "F64")})
    factor(frog, folder, tmp_path / "factors")
    result = frog("mask", folder, "--out", tmp_path / "none", "--factors", tmp_path / "factors")
    assert_refused(result, 65, "h.0.weight", "single precision", "--factors")


# Bytes that depend on nothing else -------------------------------------------------------------------------------------------------


def test_the_same_bytes_on_any_number_of_ranks(frog, checkpoint, factors, tmp_path):
    """Several masks of one run with spectra; each is that of a run for it alone."""
    source = checkpoint("minilm")
    options = ("--factors", factors("minilm"), "--budget", "0.5%,2%", "--select", "global,uniform", "--analyze")
    folders = [f"{select}-{budget}" for select in ("global", "uniform") for budget in ("0.5%", "2%")]
    for ranks in (1, 2, 3):
        result = frog("mask", source, "--out", tmp_path / f"{ranks}", "--threads", 1, *options, ranks=ranks)
        assert result.status == 0, str(result)
    for folder in folders:
        first = contents(tmp_path / "1" / folder)
        assert {"frog.json", "details.csv", "spectra.safetensors", "summary.json"} <= first.keys()
        assert first == contents(tmp_path / "2" / folder) == contents(tmp_path / "3" / folder)
    alone = tmp_path / "alone"
    frog.mask(source, alone, "--factors", factors("minilm"), "--budget", "2%", "--select", "uniform", "--analyze")
    assert contents(alone) == contents(tmp_path / "1" / "uniform-2%")
    assert frog("verify", tmp_path / "1", "--checkpoint", source).status == 0


@pytest.mark.parametrize("options", [(), ("--quality-weight", "alpha"), ("--score", "lift", "--rank", 4, "--normalize", "rowcol")])
def test_an_interrupted_run_goes_on(frog, checkpoint, factors, tmp_path, options):
    run = Interrupted(frog, checkpoint("bf16_sharded"), tmp_path, "--factors", factors("bf16_sharded"), *options)
    run.lose(0.5)
    run.assert_resumed(run.resume("--threads", 1, ranks=3))


def test_a_killed_run_goes_on(frog, checkpoint, factors, tmp_path):
    source, folder, out = checkpoint("minilm"), factors("minilm"), tmp_path / "out"
    frog.mask(source, tmp_path / "whole", "--factors", folder)
    result = at_stage(frog, "scores", lambda process: process.kill(), source, "--out", out, "--factors", folder, "--threads", 1)
    assert result.status == -9 and final_files(out) == [], str(result)
    frog.mask(source, out, "--factors", folder, "--resume", ranks=2)
    assert contents(out) == contents(tmp_path / "whole")


def test_other_factors_are_another_run(frog, checkpoint, factors, tmp_path):
    source = checkpoint("bf16_sharded")
    run = Interrupted(frog, source, tmp_path, "--factors", factors("bf16_sharded"))
    run.lose(0.5)
    for options in (("--factors", factors("bf16_sharded", "bf16")), ()):
        result = frog("mask", source, "--out", run.out, "--resume", "--threads", 1, *options)
        assert_refused(result, 64, "--factors")
    # A finished run is the same run with the same factors alone, wherever they lie.
    moved = copied(factors("bf16_sharded"), tmp_path / "moved")
    finished = frog("mask", source, "--out", run.reference, "--resume", "--threads", 1, "--factors", moved)
    assert finished.status == 0, str(finished)
    refused = frog("mask", source, "--out", run.reference, "--resume", "--threads", 1, "--factors", factors("bf16_sharded", "bf16"))
    assert_refused(refused, 64, "--factors")


# Spectra -----------------------------------------------------------------------------------------------------------------------------


def numbers(row):
    return {key: float(value) for key, value in row.items() if key not in details.OPTIONAL and _is_number(value)}


def _is_number(text):
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def test_spectra_are_those_of_analyze(frog, checkpoint, factors, tmp_path):
    source = checkpoint("minilm")
    options = ("--vectors", "--overlap", 8, "--randomize", "--threads", 1)
    for name, more in (("stored", ("--factors", factors("minilm"))), ("exact", ())):
        result = frog("analyze", source, "--out", tmp_path / name, *options, *more, timeout=240)
        assert result.status == 0, str(result)
    stored, exact = (details.rows(tmp_path / name) for name in ("stored", "exact"))
    assert stored.keys() == exact.keys()
    for name, row in stored.items():
        mine, theirs = numbers(row), numbers(exact[name])
        # A smallest value that a Gram matrix does not resolve is not told.
        assert theirs.keys() - mine.keys() <= {"entropy", "matrix_rank", "rank_loss", "weak_rank_loss", "sv_min"}, name
        assert mine.keys() <= theirs.keys() and (mine.keys() == theirs.keys()) == ("not resolved" not in row["reasons"]), name
        for column, value in mine.items():
            # Rounded components fall into other bins of the histograms that the measures of vectors are made of.
            assert value == pytest.approx(theirs[column], rel=1e-3 if "vec" in column else 2e-5, abs=1e-7), (name, column)
    summaries = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("stored", "exact")]
    digest = hashlib.sha256((factors("minilm") / "factors.json").read_bytes()).hexdigest()
    assert summaries[0]["parameters"]["factors"] == {"dtype": "f32", "rank": None, "sha256": digest}
    assert summaries[1]["parameters"]["factors"] is None
    for ours, theirs in zip(summaries[0]["overlaps"], summaries[1]["overlaps"], strict=True):
        assert ours["writer"] == theirs["writer"] and ours["overlap"] == pytest.approx(theirs["overlap"], abs=1e-6)
    # On any number of processes.
    result = frog("analyze", source, "--out", tmp_path / "three", *options, "--factors", factors("minilm"), ranks=3, timeout=240)
    assert result.status == 0 and contents(tmp_path / "three") == contents(tmp_path / "stored")


def test_small_singular_values_are_not_told(frog, tmp_path):
    """Where a Gram matrix would not tell σ, stored values do not either: cells of ranks are empty, with the reason."""
    generator = np.random.default_rng(3)
    base = [np.linalg.qr(generator.standard_normal((80, 80)))[0] for _ in range(2)]
    weights = base[0] * np.geomspace(1, 1e-9, 80) @ base[1]
    folder = checkpoints.write_checkpoint(tmp_path / "in", {"h.0.weight": checkpoints.encode(weights, "F64")})
    factor(frog, folder, tmp_path / "factors")
    result = frog("analyze", folder, "--out", tmp_path / "out", "--factors", tmp_path / "factors")
    assert result.status == 0, str(result)
    (row,) = details.rows(tmp_path / "out").values()
    assert row["sv_min"] == "" and "not resolved" in row["reasons"]
    assert float(row["sv_max"]) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("options", [("--quality-weight", "alpha"), ("--select", "matrix", "--importance", "nuclear"), ("--analyze",),
                                     ("--score", "magnitude", "--quality-weight", "alpha-hat")])  # fmt: skip
def test_masks_with_spectra(frog, checkpoint, factors, tmp_path, options):
    source = checkpoint("minilm")
    stored = frog.mask(source, tmp_path / "stored", "--factors", factors("minilm"), *options)
    exact = frog.mask(source, tmp_path / "exact", *options)
    for mine, theirs in zip(stored["matrices"], exact["matrices"], strict=True):
        assert abs(mine["kept"] - theirs["kept"]) <= 2
        assert mine["importance"] == pytest.approx(theirs["importance"], rel=1e-6)
        for key in ("alpha", "quality_weight"):
            assert mine[key] == (theirs[key] and pytest.approx(theirs[key], rel=1e-5)), (key, mine["name"])


# What is refused -------------------------------------------------------------------------------------------------------------------


def test_options_that_have_no_effect(frog, checkpoint, factors, tmp_path):
    source = checkpoint("mixed")
    usual = ("mask", source, "--out", tmp_path / "out", "--factors", factors("mixed"))
    for options, words in [
        (("--score", "magnitude"), "no effect"), (("--score", "random"), "no effect"), (("--precision", "f32"), "--precision"),
        (("--rank", 4), "--rank"), (("--teams", "speed"), "--teams"), (("--target-overlap", 0.5), "--target-overlap"),
        (("--oversample", 3), "--oversample"),
    ]:  # fmt: skip
        result = frog(*usual, *options)
        assert result.status == 64 and words in result.stderr, str(result)
    assert frog("plan", source, "--factors", factors("mixed"), "--score", "one").status == 64
    assert frog("plan", source, "--for", "compare", "--factors", factors("mixed")).status == 64


def test_too_few_triplets(frog, checkpoint, factors, tmp_path):
    source, folder = checkpoint("bf16_sharded"), factors("bf16_sharded", rank=12)
    out = tmp_path / "out"
    name = json.loads((folder / "factors.json").read_text())["matrices"][0]["name"]
    assert_refused(frog("mask", source, "--out", out, "--factors", folder), 65, "12 leading", name, "all 256", "without --rank")
    lift = frog("mask", source, "--out", out, "--factors", folder, "--score", "lift", "--rank", 13)
    assert_refused(lift, 65, name, "needs 13", "--rank 13")
    assert_refused(frog("analyze", source, "--out", out, "--factors", folder), 65, name, "all 256")
    spectra = frog("mask", source, "--out", out, "--factors", folder, "--score", "lift", "--rank", 4, "--analyze")
    assert_refused(spectra, 65, "--analyze", name)
    assert final_files(out) == []


@pytest.mark.parametrize("command", ["mask", "analyze"])
def test_factors_of_another_checkpoint(frog, checkpoint, tmp_path, factors, command):
    other = factors("bf16_sharded")
    assert_refused(frog(command, checkpoint("mixed"), "--out", tmp_path / "out", "--factors", other), 65, "no factors of tensor")
    # The same names and shapes with other numbers.
    folder = checkpoints.bf16_sharded(tmp_path / "in", seed=9)
    result = frog(command, folder, "--out", tmp_path / "out", "--factors", other, ranks=2)
    recorded = json.loads((other / "factors.json").read_text())["checkpoint"]["fingerprint"]
    assert_refused(result, 65, recorded, "this one has sha256-xxh3:", "frog-mpi factor")
    assert final_files(tmp_path / "out") == []


def test_other_choices_of_tensors(frog, checkpoint, tmp_path, factors):
    source, folder = checkpoint("bf16_sharded"), factors("bf16_sharded")
    name = json.loads((folder / "factors.json").read_text())["matrices"][0]["name"]
    result = frog("mask", source, "--out", tmp_path / "out", "--factors", folder, "--exclude", name)
    assert_refused(result, 65, name, "no matrix of this run", "--exclude")
    factor(frog, source, tmp_path / "fewer", "--exclude", name, "--rank", 2)
    result = frog("mask", source, "--out", tmp_path / "out", "--factors", tmp_path / "fewer", "--score", "lift", "--rank", 2)
    assert_refused(result, 65, "no factors of tensor", name, "--exclude")


def test_damaged_and_unfinished_folders(frog, checkpoint, factors, tmp_path):
    source, whole = checkpoint("mixed"), factors("mixed")
    file = sorted(path.name for path in whole.glob("factors-0*"))[0]
    number = iter(range(100))

    def refused(change, *words, status=65, command="mask", ranks=None):
        folder = copied(whole, tmp_path / f"{next(number)}")
        out = folder.with_suffix(".out")
        change(folder)
        result = frog(command, source, "--out", out, "--factors", folder, ranks=ranks)
        assert_refused(result, status, *words)
        assert final_files(out) == []

    def write(name, content):
        return lambda folder: (folder / name).write_bytes(content)

    def flip(folder):
        content = bytearray((folder / file).read_bytes())
        content[-1] ^= 1
        (folder / file).write_bytes(content)

    refused(lambda folder: (folder / INDEX).unlink(), INDEX, ranks=2)
    refused(lambda folder: (folder / "factors.json").unlink(), "factors.json")
    refused(lambda folder: (folder / file).unlink(), file, status=66)
    refused(lambda folder: (folder / file).write_bytes((folder / file).read_bytes()[:-1]), file)
    refused(flip, file, "SHA-256", "frog-mpi factor", ranks=2)
    refused(flip, file, "SHA-256", command="analyze")
    refused(write("factors.json", b"{}"), "factors.json")
    refused(write(file, struct.pack("<Q", 1 << 60)), file)
    record = (whole / "factors.json").read_bytes()
    assert b'"u_error" : ' in record
    refused(write("factors.json", re.sub(rb'"rank" : \d+', b'"rank" : 999999999999', record)), file)
    refused(write("factors.json", record.replace(b'"u_error" : ', b'"u_error" : 1', 1)), INDEX)
    assert_refused(frog("mask", source, "--out", tmp_path / "out", "--factors", tmp_path / "nowhere"), 66, "nowhere")
    assert_refused(frog("mask", source, "--out", tmp_path / "out", "--factors", source), 65, "factors.json")


def forged(folder, change):
    """A folder whose documents vouch for the numbers that `change(name, array)` makes."""
    record = json.loads((folder / "factors.json").read_text())
    for file in record["files"]:
        content = bytearray((folder / file).read_bytes())
        for tensor in reference.read_header(folder / file):
            values = tensor.read().copy()
            changed = change(tensor.name, values)
            if changed is not None:
                raw = np.asarray(changed, np.float32).tobytes()
                content[tensor.start : tensor.start + len(raw)] = raw
        (folder / file).write_bytes(content)
        record["files"][file]["sha256"] = hashlib.sha256(content).hexdigest()
    old = hashlib.sha256((folder / "factors.json").read_bytes()).hexdigest()
    text = json.dumps(record).encode()
    (folder / "factors.json").write_bytes(text)
    index = (folder / INDEX).read_text()
    (folder / INDEX).write_text(index.replace(old, hashlib.sha256(text).hexdigest()))


@pytest.mark.parametrize(
    "kind, change, words",
    [("s", lambda s: np.where(np.arange(s.size) == 1, np.nan, s), "position 1 is nan"),
     ("s", lambda s: np.where(np.arange(s.size) == s.size - 1, -1, s), "is -1"),
     ("s", lambda s: s[::-1], "descending"),
     ("s", lambda s: s * np.float32(1.01), "add up to"),
     ("s", lambda s: s * 0, "add up to"),
     ("u", lambda u: np.where(np.arange(u.size).reshape(u.shape) == 5, np.inf, u), "NaN or infinity at row"),
     ("vt", lambda v: np.where(np.arange(v.size).reshape(v.shape) == 7, np.nan, v), "NaN or infinity at row")],
)  # fmt: skip
def test_numbers_that_are_no_factors(frog, checkpoint, factors, tmp_path, kind, change, words):
    """A writer that vouches for what is wrong is found out by the values."""
    source, folder = checkpoint("bf16_sharded"), copied(factors("bf16_sharded"), tmp_path / "factors")
    name = json.loads((folder / "factors.json").read_text())["matrices"][3]["name"]
    forged(folder, lambda tensor, values: change(values) if tensor == f"{name}.{kind}" else None)
    assert_refused(frog("mask", source, "--out", tmp_path / "out", "--factors", folder), 65, f"{name}.{kind}", words)
    if kind == "s":
        assert_refused(frog("analyze", source, "--out", tmp_path / "none", "--factors", folder), 65, f"{name}.{kind}", words)
    assert final_files(tmp_path / "out") == []


# Plans -------------------------------------------------------------------------------------------------------------------------------


def test_a_plan_charges_the_products_alone(frog, checkpoint, factors, tmp_path):
    source, folder = checkpoint("minilm"), factors("minilm")

    def plan(*options):
        result = frog("plan", source, "--ranks", 1, "--json", *options)
        assert result.status == 0, str(result)
        return json.loads(result.stdout)

    stored, exact = plan("--factors", folder), plan()
    matrices = json.loads((folder / "factors.json").read_text())["matrices"]
    products = sum(2 * math.prod(m["shape"]) * min(m["shape"]) for m in matrices)
    assert stored["totals"]["operations"] == products
    factor_bytes = sum(file["bytes"] for file in json.loads((folder / "factors.json").read_text())["files"].values())
    weight_bytes = sum(4 * math.prod(m["shape"]) for m in matrices)
    assert stored["totals"]["bytes_read"] == weight_bytes + 2 * factor_bytes
    for mine, theirs in zip(stored["matrices"], exact["matrices"], strict=True):
        assert mine["bytes_per_rank"] < theirs["bytes_per_rank"]
    assert {m["solver"] for m in stored["matrices"]} == {"factors"}
    analysis = plan("--for", "analyze", "--factors", folder)
    assert {m["solver"] for m in analysis["matrices"]} == {"factors"}
    refused = frog("plan", checkpoint("mixed"), "--factors", folder)
    assert_refused(refused, 65, "no factors of tensor")


def test_memory_is_what_the_plan_says(frog, tmp_path):
    """A run under the planned limit is one that the same run without factors does not fit."""
    generator = np.random.default_rng(1)
    weights = generator.standard_normal((3000, 2048)).astype(np.float32)
    folder = checkpoints.write_checkpoint(tmp_path / "in", {"h.0.weight": checkpoints.encode(weights, "F32")})
    factor(frog, folder, tmp_path / "factors")
    planned = json.loads(frog("plan", folder, "--factors", tmp_path / "factors", "--ranks", 1, "--json").stdout)
    limit = planned["matrices"][0]["bytes_per_rank"]
    described = frog.mask(folder, tmp_path / "out", "--factors", tmp_path / "factors", "--memory", limit, timeout=120)
    assert described["kept"] == described["K"]
    assert_refused(frog("mask", folder, "--out", tmp_path / "none", "--memory", limit), 64, "--memory")
    assert max(json.loads((tmp_path / "out/run.json").read_text())["peak_anonymous_bytes"]) <= limit
