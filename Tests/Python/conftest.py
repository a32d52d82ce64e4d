"""The program and the checkpoints that many tests share.

FROG_MPI         the binary to test (default: the release build in this repository)
FROG_MPI_MINILM  folder of the MiniLM-L6 checkpoint (default: what scripts/fetch-minilm fetches)
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(Path(__file__).parent)]

import checkpoints  # noqa: E402
import reference  # noqa: E402
from harness import Program  # noqa: E402


@pytest.fixture(scope="session")
def frog():
    named = os.environ.get("FROG_MPI")
    binary = Path(named) if named else ROOT / ".build/release/frog-mpi"
    if not os.access(binary, os.X_OK):
        # Only a run that names no program may go on without one.
        (pytest.fail if named else pytest.skip)(f"no program at {binary}: swift build -c release, or set FROG_MPI")
    return Program(binary)


def minilm_folder():
    folder = os.environ.get("FROG_MPI_MINILM")
    if folder:
        return Path(folder)
    fetched = subprocess.run([ROOT / "scripts/fetch-minilm"], capture_output=True, text=True)
    if fetched.returncode != 0:
        pytest.skip(f"MiniLM could not be fetched: {fetched.stderr.strip()}")
    return Path(fetched.stdout.strip())


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Name → folder of a checkpoint, made once."""
    made = {}

    def make(name):
        if name not in made:
            if name == "minilm":
                made[name] = minilm_folder()
            else:
                made[name] = checkpoints.CHECKPOINTS[name](tmp_path_factory.mktemp(name))
        return made[name]

    return make


@pytest.fixture(scope="session")
def exact(checkpoint):
    """Name → the float64 reference of that checkpoint, decomposed once."""
    made = {}

    def make(name):
        if name not in made:
            made[name] = reference.Reference(checkpoint(name))
        return made[name]

    return make
