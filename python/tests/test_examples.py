"""The examples at a tenth of their steps: what they print, and what they leave.

FROG_MPI_MINILM   the folder of MiniLM-L6, which the text example trains
"""

import json
import math
import os
import re
import subprocess
import sys
from importlib import import_module

import pytest
import torch
from safetensors.torch import load_file

import frogmask
from conftest import ROOT
from frogmask.errors import MissingError, UsageError
from training import bits

sys.path.insert(0, str(ROOT / "examples"))
common, text, vision = map(import_module, ("common", "finetune_text", "finetune_vision"))


def run(name, *options):
    """The lines that an example prints."""
    command = [sys.executable, ROOT / f"examples/finetune_{name}.py", "--scale", "0.1", "--seeds", "1", *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_text(frog, minilm, tmp_path):
    printed = run("text", "--out", tmp_path / "out", "--model", minilm)
    check(text, printed, tmp_path / "out", minilm)


def test_vision(frog, tmp_path):
    printed = run("vision", "--out", tmp_path / "out")
    check(vision, printed, tmp_path / "out", tmp_path / "out/base")


def check(example, printed, out, base):
    # 1. A table of finite numbers, the same as those in the file.
    head = next(number for number, line in enumerate(printed) if line.startswith("method "))
    rows = [re.split(r"  +", line.rstrip()) for line in printed[head + 1 : head + 1 + len(example.METHODS)]]
    results = {result["method"]: result for result in json.loads((out / "results.json").read_text())}
    assert [row[0] for row in rows] == list(results) == [method.name for method in example.METHODS]
    for method, weights, rate, validation, test, *difference in rows:
        values = [float(value) for value in (rate, validation, test, *difference)]
        assert all(math.isfinite(value) for value in values) and len(difference) == (method != example.CONTROL)
        assert [int(weights.replace(",", "")), values[0]] == [results[method]["weights"], results[method]["rate"]]
        assert values[1:3] == [round(results[method][key], 1) for key in ("validation", "test")]

    # 2. The merged model differs from its base at kept positions alone, and at most of them.
    saved = next(method for method in example.METHODS if method.name == example.SAVED)
    kept = {name: tensor.indices for name, tensor in frogmask.load(out / saved.masks).items()}
    before, after = load_file(f"{base}/model.safetensors"), load_file(out / "merged/model.safetensors")
    assert before.keys() == after.keys()
    changed = {name: (bits(before[name]) != bits(after[name])).flatten().nonzero().flatten() for name in before}
    for name, positions in changed.items():
        assert torch.isin(positions, kept.get(name, torch.empty(0, dtype=torch.int64))).all(), name
    assert sum(map(len, changed.values())) > 0.9 * sum(map(len, kept.values())) > 0

    # 3. In a new process the patched and the merged model are as good as the trained one.
    found = [match[1] for match in map(re.compile(r" *(?:patched|merged) model: ([\d.]+)%").match, printed) if match]
    assert found == [f"{results[saved.name]['test']:.2f}"] * 2

    # 4. All that was made is known to the next run, which replaces it.
    assert set(example.CONTENTS) <= {entry.name for entry in out.iterdir()}
    common.Log(out, example.__name__, example.CONTENTS)
    assert [entry.name for entry in out.iterdir()] == [f"{example.__name__}.log"]


def test_the_same_seed_gives_the_same_results(tmp_path):
    torch.set_num_threads(1)
    method = vision.Method("all weights", 1e-2)
    found = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        vision.pretrain(folder, vision.Digits(0, 1.0), scale=0.02)
        result, _ = vision.train(vision.with_new_head(folder), method, 1e-2, 0, vision.Digits(5, 1.0), 2, tmp_path)
        found.append((result, (folder / "model.safetensors").read_bytes()))
    assert found[0] == found[1]


def test_a_folder_with_other_things_is_refused(tmp_path):
    """Also one whose names are those of the example, but that it has not made."""
    (tmp_path / "masks").mkdir()
    with pytest.raises(UsageError, match="has 'masks' in it"):
        common.Log(tmp_path, "finetune_text", ["masks"])
    (tmp_path / "finetune_text.log").touch()
    (tmp_path / "notes").touch()
    with pytest.raises(UsageError, match="has 'notes' in it"):
        common.Log(tmp_path, "finetune_text", ["masks"])
    assert {entry.name for entry in tmp_path.iterdir()} == {"masks", "notes", "finetune_text.log"}
    with pytest.raises(UsageError, match="notes is no folder"):
        common.Log(tmp_path / "notes", "finetune_text", [])


def test_a_command_that_fails_ends_the_example_with_its_status(frog, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = common.Log(tmp_path / "out", "finetune_text", [])
    with pytest.raises(SystemExit) as ended:
        log.run("frog-mpi", "inspect", "nowhere")
    assert ended.value.code == 66 and "nowhere" in capfd.readouterr().err
    monkeypatch.setenv("FROG_MPI", "nowhere")
    with pytest.raises(MissingError, match="no program nowhere; start the example with scripts/example"):
        log.run("frog-mpi", "inspect", "nowhere")


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--scale", "0"), 64, "--scale"),
        (("--seeds", "none"), 64, "--seeds"),
        (("--model", "/nowhere"), 66, "there is no /nowhere/config.json"),
        (("--wordnet", "/nowhere"), 66, "there is no /nowhere/data.adj; install Debian's package wordnet-base"),
        (("--evaluate", "--out", "/nowhere"), 66, "there is no folder /nowhere/merged"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_options(minilm, monkeypatch, capsys, options, status, words):
    monkeypatch.setattr(sys, "argv", ["finetune_text.py", "--model", minilm, *options])
    with pytest.raises(SystemExit) as ended:
        common.start(text.main)
    shown = capsys.readouterr().err
    assert ended.value.code == status and words in shown and len(shown.splitlines()) == 1


def test_tables():
    """Means over seeds, standard errors, paired differences, and the rate that is best on validation data."""
    results = [common.Result("random", 0.1, seed, 5, 50.0, test) for seed, test in enumerate((60.0, 70.0))]
    results += [common.Result("FROG", 0.1, seed, 5, 50.0, 10.0) for seed in range(2)]
    results += [common.Result("FROG", 0.3, seed, 5, 51.0, test) for seed, test in enumerate((61.0, 73.0))]
    _, random, chosen = common.table(results, "random").splitlines()
    assert random.split() == ["random", "5", "0.1", "50.0", "65.0", "±", "5.0"]
    assert chosen.split() == ["FROG", "5", "0.3", "51.0", "67.0", "±", "6.0", "+2.0", "±", "1.0"]


def test_the_script():
    """Help, and a name that no example has."""

    def script(*arguments):
        return subprocess.run([ROOT / "scripts/example", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)

    shown = script("--help")
    assert shown.returncode == 0 and "scripts/example text" in shown.stdout and "scripts/example vision" in shown.stdout
    for wrong in ("audio",), ():
        refused = script(*wrong)
        assert refused.returncode == 64 and "there is no example" in refused.stderr and len(refused.stderr.splitlines()) == 1
