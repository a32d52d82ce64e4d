"""How the tests run the program, and what every refusal has in common.

FROG_MPI_LONG=1 asks for wider sweeps.
"""

import json
import os
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

LONG = os.environ.get("FROG_MPI_LONG") == "1"
TIMEOUT = 60


@dataclass
class Result:
    command: list
    status: int
    stdout: str
    stderr: str

    def __str__(self):
        return f"{' '.join(map(str, self.command))}\nstatus {self.status}\n{self.stdout}\n{self.stderr}"

    @property
    def error_lines(self):
        return [line for line in self.stderr.splitlines() if line.startswith("frog-mpi: error:")]


class Program:
    """The binary under test, run alone or under mpirun."""

    def __init__(self, binary):
        self.binary = Path(binary)

    def __call__(self, *arguments, ranks=None, timeout=TIMEOUT, prefix=()):
        command = [*prefix, self.binary, *arguments]
        if ranks is not None:
            command = ["mpirun", "-n", ranks, "--oversubscribe", "--mca", "mpi_yield_when_idle", "1", *command]
        command = [str(part) for part in command]
        environment = os.environ | {"SWIFT_BACKTRACE": "enable=no"}
        if os.geteuid() == 0:
            environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        # A run that hangs is stopped with all its ranks, and the test fails.
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="backslashreplace", env=environment, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.terminate()  # mpirun takes its ranks along
                try:
                    out, err = process.communicate(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    out, err = process.communicate()
                pytest.fail(f"no end after {timeout} s: {' '.join(command)}\n{out}\n{err}")
        return Result(command, process.returncode, out, err)

    def mask(self, checkpoint, out, *options, ranks=1, timeout=TIMEOUT):
        """`frog-mpi mask` that has to succeed; returns frog.json."""
        result = self("mask", checkpoint, "--out", out, "--threads", 1, *options, ranks=ranks, timeout=timeout)
        assert result.status == 0, str(result)
        return json.loads((Path(out) / "frog.json").read_text())


def assert_refused(result, status, *words):
    """The failure rules: the documented status and one line on stderr, from one rank, that says what is needed."""
    assert result.status == status, str(result)
    assert len(result.error_lines) == 1, str(result)
    assert "frog-mpi: rank" not in result.stderr, str(result)
    for word in words:
        assert str(word) in result.error_lines[0], f"'{word}' is missing\n{result}"


def at_stage(frog, stage, act, *arguments, ranks=1):
    """The result of `mask`, during which `act(process)` was called once, when `stage` began."""
    command = [frog.binary, "mask", *arguments]
    if ranks > 1:
        command = ["mpirun", "-n", ranks, "--oversubscribe", "--mca", "mpi_yield_when_idle", "1", *command]
    command = [str(part) for part in command]
    environment = os.environ | {"SWIFT_BACKTRACE": "enable=no", "OPENBLAS_NUM_THREADS": "1"}
    if os.geteuid() == 0:
        environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        watchdog = threading.Timer(120, process.terminate)  # mpirun takes its ranks along
        watchdog.start()
        try:
            lines = []
            for line in process.stderr:
                lines.append(line)
                if line == f"frog-mpi: {stage}\n":
                    act(process)
                    break
            out, err = process.communicate()
        finally:
            watchdog.cancel()
    return Result(command, process.returncode, out, "".join(lines) + err)


def final_files(out):
    """The names in `out` but for the work folder: what a finished run leaves, and nothing of one that failed."""
    out = Path(out)
    return sorted(path.name for path in out.iterdir() if path.name != ".frog-mpi") if out.is_dir() else []
