"""`frog-mpi export` from gradients (SMT) and from stored factors, against NumPy in float64."""

import json

import numpy as np
import pytest

import checkpoints
from exports import assert_tensors, decomposed, expected, export, llama, tensors_of, weights_of
from harness import assert_refused

SIDE = 12


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return llama(tmp_path_factory.mktemp("llama") / "model")


def targets(weights):
    return [name for name in sorted(weights) if "embed" not in name and "lm_head" not in name]


def write(folder, arrays):
    return checkpoints.write_checkpoint(folder, {name: checkpoints.encode(array, "F32") for name, array in arrays.items()})


@pytest.fixture(scope="module")
def gradients(model, tmp_path_factory):
    """Signed gradients of the targets, as a checkpoint, whose means differ from the means of their magnitudes."""
    random = np.random.default_rng(7)
    found = {name: random.normal(random.normal(0, 0.3), 1, shape.shape) for name, shape in weights_of(model).items()}
    folder = tmp_path_factory.mktemp("gradients")
    found = {name: value.astype(np.float32) for name, value in found.items()}
    return write(folder, found), found


def blocks_of(matrix, side, rule):
    """What ranks each block, row by row: edges are blocks too."""
    values = []
    for top in range(0, matrix.shape[0], side):
        for left in range(0, matrix.shape[1], side):
            block = matrix[top : top + side, left : left + side]
            values.append(np.abs(block).mean() if rule == "paper" else abs(block.mean()))
    return values


def chosen(ranked, count):
    """The best blocks of all, by matrix: of equal ones the first."""
    best = sorted((-value, name, block) for name, values in ranked.items() for block, value in enumerate(values))[:count]
    return {name: sorted(block for _, found, block in best if found == name) for name in ranked}


def stored_blocks(out, weights):
    found = tensors_of(out / "smt")
    blocks = {}
    for name in targets(weights):
        key = f"{name.removesuffix('.weight')}.blocks"
        across = -(-weights[name].shape[1] // SIDE)
        dtype, places = found.pop(key, ("I32", np.zeros((0, 2), np.int32)))
        assert dtype == "I32" and places.shape[1] == 2
        blocks[name] = [int(row * across + column) for row, column in places]
    assert not found
    return blocks


@pytest.mark.parametrize("rule", ["paper", "repo"])
@pytest.mark.parametrize("ranking", ["global", "matrix"])
def test_blocks_by_gradients(frog, model, gradients, tmp_path, rule, ranking):
    folder, values = gradients
    weights = weights_of(model)
    options = ("--gradients", folder, "--block", SIDE, "--ratio", 0.2, "--block-rule", rule, "--block-ranking", ranking)
    described = export(frog, "smt", model, tmp_path / "out", *options)
    found = stored_blocks(tmp_path / "out", weights)
    ranked = {name: blocks_of(values[name].astype(float), SIDE, rule) for name in targets(weights)}
    count = int(0.2 * sum(weights[name].size for name in ranked) / SIDE**2)
    if ranking == "global":
        assert found == chosen(ranked, count)
    else:
        assert sum(map(len, found.values())) == count
        share = count / sum(weights[name].size for name in ranked)
        for name, own in found.items():
            assert abs(len(own) - share * weights[name].size) < 1
            assert own == chosen({name: ranked[name]}, len(own))[name]
    record = json.loads((tmp_path / "out/smt/adapter.json").read_text())
    assert record["parameters"]["gradients"] == described["parameters"]["blocks"]["gradients"]
    assert {name: entry["blocks"] for name, entry in record["tensors"].items()} == {n: len(b) for n, b in found.items() if b}
    assert {m["name"]: m["methods"]["smt"]["blocks"] for m in described["matrices"]} == {n: len(b) for n, b in found.items()}


def test_blocks_by_scores(frog, model, tmp_path):
    """Without gradients the means of FROG scores stand for them, also beside methods of other triplets, and in any number of processes."""
    weights = weights_of(model)
    options = ("--proxy", "--block", SIDE, "--ratio", 0.1)
    export(frog, "smt", model, tmp_path / "alone", *options)
    ranked = {}
    for name in targets(weights):
        u, s, vt = decomposed(weights[name])
        ranked[name] = blocks_of((np.abs(u) * s) @ np.abs(vt), SIDE, "paper")
    count = int(0.1 * sum(weights[name].size for name in ranked) / SIDE**2)
    assert stored_blocks(tmp_path / "alone", weights) == chosen(ranked, count)
    export(frog, "smt,pissa", model, tmp_path / "both", *options, "--rank", 4, ranks=2)
    blocks = [(tmp_path / out / "smt/adapter-00001-of-00001.safetensors").read_bytes() for out in ("alone", "both")]
    assert blocks[0] == blocks[1]
    assert frog("verify", tmp_path / "both", "--checkpoint", model).status == 0


def test_gradients_that_do_not_fit(frog, model, gradients, tmp_path):
    _, values = gradients
    name = targets(weights_of(model))[2]

    def refused(changed, status, *words):
        folder = tmp_path / "gradients"
        folder.mkdir(exist_ok=True)
        write(folder, changed)
        result = frog("export", "smt", model, "--out", tmp_path / "out", "--gradients", folder, "--block", SIDE, "--ratio", 0.2)
        assert_refused(result, status, *words)
        assert not (tmp_path / "out").exists()

    refused({n: v for n, v in values.items() if n != name}, 65, name, "--gradients", "--target-modules")
    refused({**values, name: values[name].T.copy()}, 65, name, "should be floating-point")
    broken = values[name].copy()
    broken[3, 5] = np.nan
    refused({**values, name: broken}, 65, name)


def test_options_of_blocks(frog, model, gradients, tmp_path):
    def refused(status, words, *options):
        result = frog("export", *options[:1], model, "--out", tmp_path / "out", *options[1:])
        assert_refused(result, status, *words)

    refused(64, ["--gradients", "--proxy"], "smt")
    refused(64, ["--block-rule"], "smt", "--proxy", "--block-rule", "repo")
    refused(64, ["--ratio"], "smt", "--proxy", "--ratio", 0)
    refused(64, ["--ratio", "no block"], "smt", "--proxy", "--ratio", 1e-6)
    refused(64, ["--block", "4096"], "smt", "--proxy", "--block", 5000)
    assert not (tmp_path / "out").exists()
    refused(64, ["--proxy", "smt"], "pissa", "--proxy")


# Stored factors ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def factors(frog, model, tmp_path_factory):
    out = tmp_path_factory.mktemp("factors")
    for name, options in {"f32": [], "bf16": ["--dtype", "bf16"], "leading": ["--rank", 6]}.items():
        assert frog("factor", model, "--out", out / name, *options).status == 0
    return out


@pytest.mark.parametrize("stored", ["f32", "bf16"])
def test_triplets_from_stored_factors(frog, model, factors, tmp_path, stored):
    methods = ("pissa", "milora", "svft", "lora-xs")
    weights = weights_of(model)
    described = export(frog, ",".join(methods), model, tmp_path / "out", "--rank", 5, "--factors", factors / stored)
    assert described["parameters"]["factors"]["dtype"] == stored
    for method in methods:
        folder = tmp_path / "out" / method / "adapter" if method in ("pissa", "milora") else tmp_path / "out" / method
        found = tensors_of(folder)
        for name in targets(weights):
            assert_tensors(found, expected(method, name, weights[name], 5), 1e-5 if stored == "f32" else 2.0**-7)
    assert frog("verify", tmp_path / "out", "--checkpoint", model).status == 0
    export(frog, ",".join(methods), model, tmp_path / "two", "--rank", 5, "--factors", factors / stored, ranks=2)
    for file in (tmp_path / "out").rglob("*"):
        if file.is_file() and file.name != "run.json":
            assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "out")).read_bytes(), file


def test_ranks_by_stored_singular_values(frog, model, factors, tmp_path):
    rule = ("--rank-by", "energy:0.5")
    ranks = [
        [m["methods"]["pissa"]["rank"] for m in export(frog, "pissa", model, tmp_path / name, *rule, *options)["matrices"]]
        for name, options in {"own": (), "stored": ("--factors", factors / "f32")}.items()
    ]
    assert ranks[0] == ranks[1]


def test_factors_that_do_not_fit(frog, model, factors, tmp_path):
    def refused(status, words, method, folder, *options):
        result = frog("export", method, model, "--out", tmp_path / "out", "--factors", folder, *options)
        assert_refused(result, status, *words)
        assert not (tmp_path / "out").exists()

    refused(65, ["pissa needs 7", "--rank 7"], "pissa", factors / "leading", "--rank", 7)
    refused(65, ["milora needs all"], "milora", factors / "leading", "--rank", 3)
    refused(65, ["needs all"], "pissa", factors / "leading", "--rank-by", "stable-rank")
    refused(66, ["nothing"], "pissa", tmp_path / "nothing")
    other = llama(tmp_path / "other", seed=9)
    assert frog("factor", other, "--out", tmp_path / "others").status == 0
    refused(65, ["fingerprint"], "pissa", tmp_path / "others", "--rank", 3)
    export(frog, "pissa", model, tmp_path / "six", "--rank", 6, "--factors", factors / "leading")
