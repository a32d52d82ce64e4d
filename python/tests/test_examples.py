"""The examples at a tenth of their steps: what they print, and what they leave.

FROG_MPI_MINILM   the folder of MiniLM-L6, which the text example trains
"""

import json
import math
import os
import re
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

import frogmask
from conftest import ROOT
from training import bits


@pytest.fixture(scope="module")
def example(frog, tmp_path_factory):
    """Name of an example → folder and printed lines of a run, made once."""
    made = {}

    def make(name):
        if name not in made:
            out = tmp_path_factory.mktemp(name) / "out"
            done = run(name, "--out", out)
            assert done.returncode == 0, done.stderr
            made[name] = out, done.stdout.splitlines()
        return made[name]

    return make


def run(name, *options, scale="0.1"):
    options = ["--scale", scale, "--seeds", "1", *map(str, options)]
    if name == "text":
        if "FROG_MPI_MINILM" not in os.environ:
            pytest.skip("FROG_MPI_MINILM names no folder; scripts/fetch-minilm prints it")
        options += ["--model", os.environ["FROG_MPI_MINILM"]]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    command = [sys.executable, ROOT / f"examples/finetune_{name}.py", *options]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, env=environment)


# Example, its base model in the output folder (None: MiniLM), the mask of its patch, the methods of its table.
CASES = [
    ("text", None, "masks/uniform-lora3-rowcol", 6),
    ("vision", "base", "masks/uniform-1%-rowcol", 6),
]


@pytest.mark.parametrize(("name", "base", "mask", "methods"), CASES, ids=[case[0] for case in CASES])
def test_an_example(example, name, base, mask, methods):
    out, printed = example(name)
    base = out / base if base else os.environ["FROG_MPI_MINILM"]

    # A table of finite numbers, the same as those in the file.
    head = next(number for number, line in enumerate(printed) if line.startswith("method "))
    rows = [re.split(r"  +", line.rstrip()) for line in printed[head + 1 : head + 1 + methods]]
    results = {result["method"]: result for result in json.loads((out / "results.json").read_text())}
    assert len(rows) == len(results) == methods
    for method, weights, rate, validation, test, *difference in rows:
        values = [float(value) for value in (rate, validation, test, *difference)]
        assert all(math.isfinite(value) for value in values) and len(difference) == (method != "random")
        assert [int(weights.replace(",", "")), values[0]] == [results[method]["weights"], results[method]["rate"]]
        assert values[1:3] == [round(results[method][key], 1) for key in ("validation", "test")]

    # The merged model differs from its base at kept positions alone, and at most of them.
    kept = {name: tensor.indices for name, tensor in frogmask.load(out / mask).items()}
    before, after = load_file(f"{base}/model.safetensors"), load_file(out / "merged/model.safetensors")
    assert before.keys() == after.keys()
    changed = {name: (bits(before[name]) != bits(after[name])).flatten().nonzero().flatten() for name in before}
    for name, positions in changed.items():
        assert torch.isin(positions, kept.get(name, torch.empty(0, dtype=torch.int64))).all(), name
    assert sum(map(len, changed.values())) > 0.9 * sum(map(len, kept.values())) > 0

    # In a new process the patched and the merged model are as good as the trained one.
    found = [float(match[1]) for match in map(re.compile(r" *(?:patched|merged) model: ([\d.]+)%").match, printed) if match]
    assert found == [round(results["FROG, uniform rowcol"]["test"], 2)] * 2


def test_repeated_in_its_folder(frog, tmp_path):
    """It replaces what it has made, with the same results, and refuses a folder that has anything else."""
    results = []
    for _ in range(2):
        done = run("vision", "--out", tmp_path / "out", scale="0.02")
        assert done.returncode == 0, done.stderr
        results.append((tmp_path / "out/results.json").read_text())
    assert results[0] == results[1]
    (tmp_path / "out/notes.txt").write_text("mine")
    done = run("vision", "--out", tmp_path / "out")
    assert done.returncode == 64 and "has 'notes.txt' in it" in done.stderr and len(done.stderr.splitlines()) == 1
    assert (tmp_path / "out/merged/model.safetensors").exists()


def test_a_folder_of_its_names_but_not_its_own(tmp_path):
    (tmp_path / "masks").mkdir()
    done = run("vision", "--out", tmp_path)
    assert done.returncode == 64 and "has 'masks' in it" in done.stderr and len(done.stderr.splitlines()) == 1
    assert os.listdir(tmp_path) == ["masks"]


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--scale", "0"), 64, "--scale"),
        (("--seeds", "none"), 64, "--seeds"),
        (("--wordnet", "/nowhere"), 66, "there is no /nowhere/data.adj; install Debian's package wordnet-base"),
        (("--evaluate", "--out", "/nowhere"), 66, "/nowhere/patch"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_bad_options(options, status, words):
    done = run("text", *options)
    assert done.returncode == status and words in done.stderr and len(done.stderr.splitlines()) == 1


def test_the_script():
    """Help, and a name that no example has."""

    def script(*arguments):
        return subprocess.run([ROOT / "scripts/example", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)

    shown = script("--help")
    assert shown.returncode == 0 and "scripts/example text" in shown.stdout and "scripts/example vision" in shown.stdout
    for wrong in ("audio",), ():
        refused = script(*wrong)
        assert refused.returncode == 64 and "there is no example" in refused.stderr and len(refused.stderr.splitlines()) == 1
