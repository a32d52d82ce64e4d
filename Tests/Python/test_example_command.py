"""A command of at most 120 lines (Tests/ExampleCommand): plan, teams, journal and resume come with CommandRun and MatrixStage."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from harness import Program

SOURCE = Path(__file__).resolve().parents[1] / "ExampleCommand/ZeroCount.swift"


@pytest.fixture(scope="module")
def example():
    """The debug build that the unit tests make."""
    binary = SOURCE.parents[2] / ".build/debug/example-command"
    assert binary.exists(), "swift build --build-tests makes it"
    return Program(binary)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zeros")
    random = np.random.default_rng(3)
    tensors = {f"h.{i}.fc.weight": random.integers(0, 3, (40 + i, 30 + 7 * i)).astype(np.float32) for i in range(9)}
    save_file(tensors, folder / "model.safetensors")
    return folder, {name: int((values == 0).sum()) for name, values in tensors.items()}


def summary(out):
    return (out / "summary.json").read_bytes()


def test_it_is_short():
    assert len(SOURCE.read_text().splitlines()) <= 120


@pytest.mark.parametrize("ranks", [1, 3])
def test_it_counts_zeros(example, source, tmp_path, ranks):
    folder, zeros = source
    result = example(folder, tmp_path / "out", ranks=ranks)
    assert result.status == 0, str(result)
    assert json.loads(summary(tmp_path / "out"))["zeros"] == zeros


def test_it_goes_on_from_its_journal(example, source, tmp_path):
    folder, zeros = source
    out = tmp_path / "out"
    assert example(folder, out, "--keep-work", ranks=2).status == 0
    whole = summary(out)
    # As a killed run leaves it, with some of the records.
    (out / "summary.json").unlink()
    (out / ".frog-mpi/commit.json").unlink()
    records = sorted((out / ".frog-mpi").glob("zeros-*.frogrec"))
    assert len(records) == len(zeros)
    for record in records[::2]:
        record.unlink()
    assert "unfinished run" in example(folder, out).stdout
    result = example(folder, out, "--resume", ranks=3)
    assert result.status == 0, str(result)
    assert summary(out) == whole
    assert json.loads((out / "run.json").read_text())["resumed_matrices"] == len(zeros) // 2
    # Of another checkpoint it is another run.
    save_file({"h.0.fc.weight": np.ones((4, 4), np.float32)}, tmp_path / "model.safetensors")
    refused = example(tmp_path / "model.safetensors", out, "--resume")
    assert refused.status == 1 and "checkpoint was another one" in refused.stdout
