"""Small models, and masks of them that the real program makes.

FROG_MPI         the binary to make masks with (default: the release build in this repository)
FROG_MPI_MINILM  the folder of MiniLM-L6, which scripts/fetch-minilm prints
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The header reader and the fixed reference of the program's own tests.
sys.path[:0] = [str(ROOT / "scripts"), str(Path(__file__).parent)]

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Processes that tests start import the package of this copy too.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "python/src"), os.environ.get("PYTHONPATH")]))

import models  # noqa: E402


@pytest.fixture(scope="session")
def frog():
    """Runs frog-mpi with some arguments; it has to succeed."""
    named = os.environ.get("FROG_MPI")
    binary = Path(named) if named else ROOT / ".build/release/frog-mpi"
    if not os.access(binary, os.X_OK):
        # Only a run that names no program may go on without one.
        (pytest.fail if named else pytest.skip)(f"no program at {binary}: swift build -c release, or set FROG_MPI")
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {}

    def run(*arguments):
        command = [str(binary), *map(str, arguments)]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | allowed,
            start_new_session=True,
        ) as process:  # fmt: skip
            try:
                output, _ = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                # MPI's own process holds the pipe too, so the session must end as a whole.
                os.killpg(process.pid, signal.SIGKILL)
                pytest.fail(f"no end after 60 s: {' '.join(command)}")
        assert process.returncode == 0, f"{' '.join(command)}\n{output}"

    return run


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Name of a small model → folder of its checkpoint, made once."""
    made = {}

    def make(name):
        if name not in made:
            made[name] = models.save(name, tmp_path_factory.mktemp(name) / name)
        return made[name]

    return make


@pytest.fixture(scope="session")
def masked(frog, checkpoint, tmp_path_factory):
    """Name of a small model and options of `mask` → output folder, made once."""
    made = {}

    def make(name, *options):
        if (name, options) not in made:
            folder = tmp_path_factory.mktemp("masks") / name
            frog("mask", checkpoint(name), "--out", folder, "--threads", 1, *options)
            made[name, options] = folder
        return made[name, options]

    return make


@pytest.fixture(scope="session")
def minilm():
    """The folder of the MiniLM-L6 checkpoint."""
    if "FROG_MPI_MINILM" not in os.environ:
        pytest.skip("FROG_MPI_MINILM names no folder; scripts/fetch-minilm prints it")
    return os.environ["FROG_MPI_MINILM"]
