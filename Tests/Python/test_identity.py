"""What makes a run another one: every option that shapes the result is named by --resume, before the run is done and after it."""

import json
import shutil

import numpy as np
import pytest

import checkpoints
from harness import assert_refused

WORK = ".frog-mpi"
TENSORS = {
    "--include": ("--include", "wte.*"),
    "--exclude": ("--exclude", "*.up.*"),
    "--conv": ("--conv",),
    "--split-fused": ("--split-fused",),
}
OPTIONS = {
    "mask": TENSORS
    | {
        "--budget": ("--budget", "2%"),
        "--keep": ("--keep", 7),
        "--select": ("--select", "matrix"),
        "--importance": ("--select", "matrix", "--importance", "log-norm"),
        "--precision": ("--precision", "f32"),
        "--format": ("--format", "bitmap"),
        "--score": ("--score", "magnitude"),
        "--rank": ("--rank", 4),
        "--oversample": ("--rank", 4, "--oversample", 1),
        "--power-iterations": ("--rank", 4, "--power-iterations", 1),
        "--audit": ("--rank", 4, "--audit", 2),
        "--target-overlap": ("--target-overlap", 0.5),
        "--normalize": ("--normalize", "matrix"),
        "--sample": ("--sample", 1),
        "--seed": ("--sample", 1, "--seed", 18446744073709551615),
        "--quality-weight": ("--quality-weight", "alpha"),
        "--overparameterized": ("--overparameterized", "boost"),
        "--analyze": ("--analyze",),
        "--histograms": ("--no-histograms",),
        "--weight-by": ("--weight-by", "SIGNAL"),
        "--factors": ("--factors", "FACTORS"),
        "--block": ("--block", 2),
        "--names": ("--names", "transformers5"),
        "--teams": ("--teams", "speed"),
    },
    "analyze": TENSORS
    | {
        "--metrics": ("--metrics", "alpha"),
        "--fix-fingers": ("--fix-fingers",),
        "--truncated": ("--truncated",),
        "--mp-fit": ("--mp-fit",),
        "--randomize": ("--randomize",),
        "--vectors": ("--vectors",),
        "--p-value": ("--p-value", 2),
        "--overlap": ("--overlap", 2),
        "--seed": ("--seed", 18446744073709551615),
        "--factors": ("--factors", "FACTORS"),
    },
    "factor": TENSORS | {"--rank": ("--rank", 4), "--dtype": ("--dtype", "bf16")},
    "compare": TENSORS | {"--top": ("--top", 3), "--delta-spectrum": ("--delta-spectrum",)},
}
# The results of a finished mask do not say these, since they shape no byte of them or only last bits.
UNSAID = {("mask", "finished"): {"--audit", "--teams"}}
CASES = [
    (command, state, name)
    for command, options in OPTIONS.items()
    for state in ("unfinished", "finished")
    for name in options
    if name not in UNSAID.get((command, state), ())
]


@pytest.fixture(scope="module")
def inputs(frog, tmp_path_factory):
    """A checkpoint with an embedding and a convolution, a signal for each of its matrices, and its factors."""
    random = np.random.default_rng(5)
    shapes = {"h.0.up": (64, 48), "h.0.down": (48, 64), "h.1.up": (64, 48)}
    weights = {f"{name}.weight": checkpoints.encode(random.standard_normal(shape), "F32") for name, shape in shapes.items()}
    others = {"wte.weight": checkpoints.encode(random.standard_normal((40, 48)), "F32"),
              "h.0.conv.weight": checkpoints.encode(random.standard_normal((4, 3, 2, 2)), "F32")}  # fmt: skip
    signal = {f"{name}.weight": checkpoints.encode(1 + random.random(shape), "F32") for name, shape in shapes.items()}
    folder = tmp_path_factory.mktemp("identity")
    checkpoints.write_checkpoint(folder / "base", weights | others)
    checkpoints.write_checkpoint(folder / "tuned", weights | others)
    checkpoints.write_checkpoint(folder / "signal", signal)
    assert frog("factor", folder / "base", "--out", folder / "factors").status == 0
    return folder


@pytest.fixture(scope="module")
def begun(frog, inputs, tmp_path_factory):
    """(command, state) → the command line of a run and its folder, in that state; made once."""
    made = {}

    def make(command, state):
        if (command, state) not in made:
            sources = [inputs / "base"] + ([inputs / "tuned"] if command == "compare" else [])
            out = tmp_path_factory.mktemp(f"{command}-{state}") / "out"
            line = (command, *sources, "--out", out, "--threads", 1)
            result = frog(*line, *(["--keep-work"] if state == "unfinished" else []))
            assert result.status == 0, str(result)
            if state == "unfinished":
                # As a killed run leaves it.
                for path in [*(path for path in out.iterdir() if path.is_file()), out / WORK / "commit.json"]:
                    path.unlink()
            made[command, state] = line, out
        return made[command, state]

    return make


def files(out):
    """Everything in a folder that a refusal has to leave alone."""
    return {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != "lock"}


@pytest.mark.parametrize("command, state, name", CASES)
def test_another_option_is_refused_by_name(frog, begun, inputs, command, state, name):
    line, out = begun(command, state)
    before = files(out)
    options = [inputs / word.lower() if word in ("SIGNAL", "FACTORS") else word for word in OPTIONS[command][name]]
    result = frog(*line, "--resume", *options)
    assert_refused(result, 64, f"{name} was ", "is another one", "--overwrite")
    # What changes the matrices themselves is no change of the checkpoint.
    assert name in ("--include", "--exclude", "--conv") or "checkpoint" not in result.stderr, str(result)
    assert files(out) == before, str(result)


@pytest.mark.parametrize("state", ["unfinished", "finished"])
@pytest.mark.parametrize("command", OPTIONS)
def test_the_right_options_go_on(frog, begun, tmp_path, command, state):
    line, out = begun(command, state)
    copy = shutil.copytree(out, tmp_path / "out")
    result = frog(*[copy if word == out else word for word in line], "--resume")
    assert result.status == 0, str(result)


@pytest.mark.parametrize("command", OPTIONS)
def test_the_words_are_those_of_the_command_line(begun, command):
    _, out = begun(command, "unfinished")
    identity = json.loads((out / WORK / "identity.json").read_text())
    assert identity["options"].keys() == {*OPTIONS[command], "--threads"}
