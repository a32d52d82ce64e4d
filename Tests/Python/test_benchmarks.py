"""Benchmarks/: checkpoints and peers are what they are said to be, and the measurements can be repeated by the commands beside them."""

import gzip
import json
import os
import re
import shlex
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

import reference

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "Benchmarks"
PAGE = ROOT / "docs/measurements.md"
sys.path += [str(BENCHMARKS / "checkpoints"), str(BENCHMARKS / "peers")]

import models  # noqa: E402
import shards  # noqa: E402
import weights  # noqa: E402


def run(script, *arguments, **variables):
    """What a script prints; it has to succeed."""
    command = [sys.executable, BENCHMARKS / script, *arguments] if script.endswith(".py") else [ROOT / script, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=os.environ | variables, timeout=60)
    assert done.returncode == 0, f"{script}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def make(folder, *options):
    run("checkpoints/make_checkpoint.py", folder, *options)
    return folder


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# MARK: Checkpoints


def test_the_same_options_give_the_same_bytes(tmp_path):
    options = ("--model", "tiny", "--layers", 1, "--shards", 3)
    first = files(make(tmp_path / "a", *options))
    assert len(first) == 5  # shards, index, config.json
    assert first == files(make(tmp_path / "b", *options))
    assert first != files(make(tmp_path / "c", *options, "--seed", 1))


def test_a_matrix_is_the_same_whatever_else_is_there(tmp_path):
    """In a model of more layers, in another number of shards, in another dtype but for its rounding."""
    small = load_file(make(tmp_path / "small", "--model", "tiny", "--layers", 1, "--dtype", "F64") / "model.safetensors")
    assert len(small) == 9
    folder = make(tmp_path / "large", "--model", "tiny", "--layers", 2, "--dtype", "F16", "--shards", 2)
    large = {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()}
    assert len(large) == 18
    for name, tensor in small.items():
        np.testing.assert_array_equal(tensor.astype(np.float16), large[name], name)
    queries = [tensor for name, tensor in large.items() if "q_proj" in name]
    assert not np.array_equal(*queries)


def test_matrices_look_trained():
    """The bulk has the documented size, rows and columns are uneven, and leading directions stand out of it."""
    matrix = np.concatenate(list(weights.panels("w", 500, 300, seed=7)))
    size = np.median(np.abs(matrix)) / 0.6745
    assert 0.01 < size < 0.04
    for axis in (0, 1):
        spread = np.log(np.sqrt((matrix**2).mean(axis=axis))).std()
        assert 0.15 < spread < 0.35, axis
    found = np.linalg.svd(matrix, compute_uv=False)
    edge = size * (np.sqrt(500) + np.sqrt(300))
    assert found[0] > 1.8 * edge and found[40] < 1.5 * edge


@pytest.mark.parametrize("shape", [(4096, 4096), (2, 2048, 4096), (4096, 1024, 2, 2)], ids=str)
def test_a_panel_is_in_memory_at_a_time(shape):
    tensor = models.Tensor("h.0.weight", shape, "F32")
    tracemalloc.start()
    length = sum(map(len, weights.data(tensor)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert length == shards.size(tensor) == 1 << 26
    assert peak < 0.6 * length


LISTED = [
    ["model.layers.0.mlp.experts.up", [3, 40, 24], "F32"],
    ["model.layers.0.self_attn.q_proj.weight", [300, 200], "F8_E4M3"],
    ["model.layers.0.self_attn.q_proj.weight_scale_inv", [3, 2], "F32"],
    ["model.layers.0.conv.weight", [16, 5, 3, 3], "BF16"],
    ["model.layers.0.empty.weight", [0, 16], "F64"],
    ["model.layers.0.ids", [8, 40], "I64"],
    ["model.layers.0.scalar", [], "F16"],
    ["model.layers.1.mlp.up_proj.weight", [33, 65], "F64"],
    ["model.norm.weight", [200], "BF16"],
]


@pytest.mark.parametrize("number", [1, 4, 100])
def test_a_list_of_shapes_gives_a_checkpoint(frog, tmp_path, number):
    """Read by the safetensors library and by the program; every dtype and number of dimensions."""
    path = tmp_path / "shapes.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"one": {"tensors": LISTED}, "two": {"tensors": []}}).encode()))
    folder = make(tmp_path / "made", "--list", path, "--model", "one", "--shards", number)
    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "np") as shard:
            found |= {name: [name, shard.get_slice(name).get_shape(), shard.get_slice(name).get_dtype()] for name in list(shard.keys())}
    assert sorted(found.values()) == sorted(LISTED)
    assert len(list(folder.glob("*.safetensors"))) == min(number, len(LISTED))
    inspected = frog("inspect", folder, "--json")
    assert inspected.status == 0, str(inspected)
    assert [tensor["name"] for tensor in json.loads(inspected.stdout)["tensors"]] == sorted(found)


@pytest.mark.parametrize("sizes", [[1, 1, 1, 100], [100, 1, 1, 1], [5] * 7, [0, 0, 3]], ids=str)
def test_shards_are_as_many_as_wanted_and_none_is_empty(sizes):
    tensors = [models.Tensor(f"h.{number}", (size,), "U8") for number, size in enumerate(sizes)]
    for count in range(1, len(sizes) + 1):
        parts = shards.split(tensors, count)
        assert len(parts) == count and all(parts) and sum(parts, []) == tensors


def test_eight_bit_weights_stand_for_the_same_numbers():
    """Times their scale they are the numbers of other dtypes, within half a unit of a mantissa of three bits, or of the smallest code."""
    exact = np.concatenate(list(weights.panels("w", 300, 200, 0)))
    coded = models.layouts.decoded("F8_E4M3", (300, 200), b"".join(weights.data(models.Tensor("w", (300, 200), "F8_E4M3"))))
    (scale,) = np.frombuffer(b"".join(weights.data(models.Tensor("w_scale_inv", (1, 1), "F32"))), "<f4")
    assert (np.abs(coded * scale - exact) <= np.maximum(np.abs(exact) / 16, scale * 2.0**-10)).all()


def test_models_have_their_published_sizes():
    for name, weights_, tensors in (
        ("llama-70b", 70_553_706_496, 723),
        ("Mixtral-8x22B-v0.1", 140_620_634_112, 1739),
        ("deepseek-v3", 684_531_386_000, 91_991),
    ):
        found = models.built_in(name).tensors
        assert (sum(int(np.prod(tensor.shape)) for tensor in found), len(found)) == (weights_, tensors), name


def test_lists_of_shapes_are_planned(frog, tmp_path):
    run("checkpoints/make_shapes.py", tmp_path / "shapes.json.gz", "--models", "tiny", "llama-1b")
    result = frog("plan", tmp_path / "shapes.json.gz", "--model", "llama-1b", "--ranks", 2, "--memory", "4GiB", "--json")
    assert result.status == 0, str(result)
    assert json.loads(result.stdout)["totals"]["weights"] == 16 * 60_817_408


@pytest.mark.parametrize(
    "options, message",
    [
        (("--model", "llama-2b"), "there is no model 'llama-2b'"),
        (("--model", "Llama-3.1-8B nvfp4", "--layers", 0), None),
        ((), "--model or --list is needed"),
    ],
)
def test_what_cannot_be_made_is_said(tmp_path, options, message):
    command = [sys.executable, BENCHMARKS / "checkpoints/make_checkpoint.py", tmp_path / "made", *options]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if message is None:
        assert done.returncode == 0
    else:
        assert done.returncode != 0 and message in done.stderr and "Traceback" not in done.stderr
        assert not (tmp_path / "made").exists()


# MARK: Peers


@pytest.fixture(scope="module")
def torch_masks():
    pytest.importorskip("torch", reason="torch is not installed (scripts/setup --peers)")
    import torch_masks

    return torch_masks


@pytest.mark.parametrize("shape", [(2, 2), (7, 3), (3, 7), (64, 48), (40, 64), (64, 64)], ids=str)
def test_scores_of_peers_are_inside_their_documented_bounds(torch_masks, shape):
    for seed in range(20):
        matrix = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
        exact, sigma = reference.frog_scores(matrix), np.linalg.svd(matrix.astype(np.float64), compute_uv=False)
        bound, bound_of_squares = (8 * 2.0**-23 * values[0] / np.abs(np.diff(values)).min() for values in (sigma, sigma**2))
        weight = torch_masks.torch.from_numpy(matrix)
        for found, largest in (
            (torch_masks.svd_scores(weight), bound),
            (torch_masks.lowrank_scores(weight, min(shape)), bound),
            (torch_masks.gram_scores(weight), bound_of_squares),
        ):
            assert found.shape == exact.shape
            assert np.abs(found.numpy() - exact).max() <= largest * exact.max()


def test_fewer_vectors_give_smaller_scores(torch_masks):
    matrix = np.random.default_rng(0).standard_normal((64, 48)).astype(np.float32)
    exact = reference.frog_scores(matrix)
    found = torch_masks.lowrank_scores(torch_masks.torch.from_numpy(matrix), 8).numpy()
    assert (found < exact).all() and found.sum() < 0.5 * exact.sum()


def test_masks_of_a_peer_are_those_of_the_reference(torch_masks, checkpoint, exact, tmp_path):
    found = run("peers/torch_masks.py", checkpoint("bf16_sharded"), "--budget", "5%", "--method", "gram", "--save", tmp_path / "masks")
    masks, ours = load_file(tmp_path / "masks"), exact("bf16_sharded")
    wanted = ours.select("global", reference.kept_count(reference.parse_budget("5%"), ours.total))
    assert masks.keys() == wanted.keys()
    common = sum(np.intersect1d(masks[name], positions, assume_unique=True).size for name, positions in wanted.items())
    kept = sum(positions.size for positions in wanted.values())
    assert sum(positions.size for positions in masks.values()) == kept and common >= 0.999 * kept
    assert f"matrices={len(wanted)} weights={ours.total} kept={kept} " in found


# MARK: Commands


@pytest.mark.parametrize("script", sorted(path.name for path in BENCHMARKS.glob("bench_*.py")))
def test_help(script):
    said = run(script, "--help")
    assert f"Benchmarks/{script}" in said, "the text of the script shows how it is called"
    assert f"| `{script}` |" in (BENCHMARKS / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "command",
    [
        ("bench_headers.py", "--largest", 400, "--sizes", 1, "--repeats", 1, "--families", "empty"),
        ("bench_plan.py", "tiny-1-layer-2-shards", "--no-calibration"),
        ("bench_stages.py", "--order", 64, "--repeats", 1),
    ],
    ids=lambda command: command[0],
)
def test_a_benchmark_prints_a_table(frog, tmp_path, command):
    said = run(*command, FROG_MPI=str(frog.binary), FROG_MPI_CACHE=str(tmp_path))
    assert re.search(rf"^`Benchmarks/{command[0]} .*`", said)
    rows = [line.count("|") for line in said.splitlines() if line.startswith("|")]
    assert len(rows) > 2 and len(set(rows)) == 1, said


def commands():
    """The command lines of the page that run something of this repository, or the program: (words, line)."""
    for number, line in enumerate(PAGE.read_text(encoding="utf-8").splitlines(), 1):
        for code in re.findall(r"`([^`]+)`", line):
            words = shlex.split(code)
            while words and "=" in words[0]:
                words.pop(0)
            if words[:1] == ["mpirun"]:
                words = words[next(at for at, word in enumerate(words) if word == "frog-mpi") :]
            if words and (words[0] == "frog-mpi" or re.match(r"(scripts|Benchmarks|\.ci)/", words[0])):
                yield words, number


def options_of(words):
    return {word.split("=")[0] for word in words if re.match(r"--\w", word)}


def test_commands_of_the_measurements_exist_and_know_their_options(frog):
    known = {}

    def assert_known(options, script, *arguments, line):
        if script not in known:
            command = [frog.binary if script == "frog-mpi" else ROOT / script, *arguments, "--help"]
            environment = os.environ | {"FROG_MPI": str(frog.binary), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, timeout=60)
            assert done.returncode == 0, f"line {line}: {script} --help: {done.stderr}"
            known[script] = set(re.findall(r"--[\w-]+", done.stdout))
        assert options <= known[script], f"line {line}: {script} has no {', '.join(options - known[script])}"

    found = list(commands())
    assert len(found) > 25 and any(words[0] == "frog-mpi" for words, _ in found)
    for words, line in found:
        own, passed_on = (words[: words.index("--")], words[words.index("--") :]) if "--" in words else (words, [])
        script = own[0]
        if script != "frog-mpi":
            assert os.access(ROOT / script, os.X_OK), f"{PAGE.name}:{line}: there is no {script} to run"
        if options_of(own):
            assert_known(options_of(own), script, *(own[1:2] if script == "frog-mpi" else []), line=line)
        if options_of(passed_on):
            assert_known(options_of(passed_on), "frog-mpi", "mask", line=line)
