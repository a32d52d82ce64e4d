"""Runs that are asked to stop: they end soon, with status 75 and one line, and leave nothing under a final name."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import checkpoints
from harness import final_files

STOPPED = 75
# Rank 0 ends after a grace period of 3 s what does not end by itself; mpirun needs up to 1 s more for the other ranks.
SOON = 8
NUMBERS = {"TERM": signal.SIGTERM, "INT": signal.SIGINT, "USR1": signal.SIGUSR1, "USR2": signal.SIGUSR2}


def processes(root, name):
    """Process ids below `root`, itself included, that run the program `name`, by rank; of one that mpirun did not start, 0."""
    found, pending = {}, [root]
    while pending:
        pid = pending.pop()
        try:
            pending += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == name:
                environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                ranks = [int(v[21:]) for v in environment if v.startswith(b"OMPI_COMM_WORLD_RANK=")]
                found[ranks[0] if ranks else 0] = pid
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            pass
    return found


class Run:
    """`frog-mpi mask` that can be watched and disturbed while it runs."""

    def __init__(self, frog, checkpoint, out, *options, ranks=2):
        self.name = frog.binary.name
        self.out = out
        command = [frog.binary, "mask", checkpoint, "--out", out, "--threads", 1, *options]
        if ranks is not None:
            command = ["mpirun", "-n", ranks, "--oversubscribe", "--mca", "mpi_yield_when_idle", "1", *command]
        environment = os.environ | {"SWIFT_BACKTRACE": "enable=no"}
        if os.geteuid() == 0:
            environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True,
            # A shell may have started pytest in the background, with SIGINT ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        self.lines = []
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            with self.news:
                self.lines.append(line.rstrip("\n"))
                self.news.notify_all()

    def wait_for(self, line, timeout=60):
        with self.news:
            assert self.news.wait_for(lambda: line in self.lines, timeout), f"no '{line}'\n{self}"

    def send(self, number, rank):
        os.kill(processes(self.process.pid, self.name)[rank], number)

    def end(self, timeout=SOON):
        """Seconds until it ended, which has to be soon."""
        start = time.monotonic()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            pytest.fail(f"no end after {timeout} s\n{self}")
        self.reader.join(5)
        return time.monotonic() - start

    def close(self):
        for pid in [*processes(self.process.pid, self.name).values(), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    @property
    def stop_lines(self):
        return [line for line in self.lines if line.startswith("frog-mpi: ") and "stopping" in line]

    def __str__(self):
        return f"status {self.process.returncode}\n" + "\n".join(self.lines)

    def assert_stopped(self, *words, status=STOPPED):
        assert self.process.returncode == status, str(self)
        assert len(self.stop_lines) == 1, str(self)
        assert "--resume" in self.stop_lines[0], str(self)
        for word in words:
            assert word in self.stop_lines[0], f"'{word}' is missing\n{self}"
        assert "frog-mpi: error" not in "\n".join(self.lines), str(self)
        assert final_files(self.out) == []


@pytest.fixture
def start(frog, tmp_path):
    runs = []

    def begin(checkpoint, *options, ranks=2):
        runs.append(Run(frog, checkpoint, tmp_path / "out", *options, ranks=ranks))
        return runs[-1]

    yield begin
    for run in runs:
        run.close()


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Sixty matrices, seconds of scores and of masks if all weights are kept."""
    generator = np.random.default_rng(0)
    tensors = {f"h.{i}.weight": checkpoints.encode(generator.standard_normal((700, 700)), "F32") for i in range(60)}
    return checkpoints.write_checkpoint(tmp_path_factory.mktemp("many"), tensors)


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """One matrix, a decomposition of many seconds on one core."""
    weights = np.random.default_rng(0).standard_normal((4000, 4000))
    return checkpoints.write_checkpoint(
        tmp_path_factory.mktemp("long"), {"h.0.weight": checkpoints.encode(weights, "F32")})  # fmt: skip


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Weights that take seconds to read, and no room on the disk."""
    header = {f"h.{i}.weight": {"dtype": "BF16", "shape": [64, 1 << 24], "data_offsets": [i << 31, (i + 1) << 31]} for i in range(4)}
    text = json.dumps(header).encode()
    file = tmp_path_factory.mktemp("wide") / "model.safetensors"
    with open(file, "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        out.truncate(8 + len(text) + (4 << 31))
    return file


CASES = [(name, rank) for name in NUMBERS for rank in (0, 1, None)]


@pytest.mark.parametrize("name, rank", CASES, ids=lambda value: str(value))
@pytest.mark.parametrize("stage", ["norms", "scores", "masks"])
def test_signal(start, many, wide, stage, name, rank):
    options = ("--budget", "100%", "--score", "magnitude") if stage == "masks" else ()
    run = start(wide if stage == "norms" else many, *options, ranks=None if rank is None else 2)
    run.wait_for(f"frog-mpi: {stage}")
    run.send(NUMBERS[name], rank or 0)
    seconds = run.end()
    # Alone there is nobody to wait for: it must not take the grace period.
    assert rank is not None or seconds < 2.5, str(run)
    # Once the masks are about to appear a run is not stopped any more.
    if stage == "masks" and run.process.returncode == 0:
        assert "masks.safetensors.index.json" in final_files(run.out) and not run.stop_lines, str(run)
        return
    run.assert_stopped(f"SIG{name}" + (" on rank 1" if rank == 1 else ""))


@pytest.mark.parametrize("rank, ranks", [(0, None), (0, 2), (1, 2)])
@pytest.mark.parametrize("teams", ["memory", "speed"])
def test_signal_in_a_long_solve(start, long, rank, ranks, teams):
    run = start(long, "--teams", teams, ranks=ranks)
    run.wait_for("frog-mpi: scores")
    time.sleep(1)
    run.send(signal.SIGUSR1, rank)
    run.end()
    run.assert_stopped("SIGUSR1")


def test_all_ranks_at_once(start, many):
    run = start(many, ranks=3)
    run.wait_for("frog-mpi: scores")
    for rank in range(3):
        run.send(signal.SIGTERM, rank)
    run.end()
    run.assert_stopped("SIGTERM")


@pytest.mark.parametrize("name", ["TERM", "INT", "USR1", "USR2"])
def test_signal_to_mpirun(start, many, name):
    run = start(many)
    run.wait_for("frog-mpi: scores")
    run.process.send_signal(NUMBERS[name])
    run.end()
    assert run.process.returncode != 0, str(run)
    run.assert_stopped(status=run.process.returncode)


def test_second_signal_ends_at_once(start, long):
    run = start(long, ranks=None)
    run.wait_for("frog-mpi: scores")
    run.send(signal.SIGINT, 0)
    time.sleep(0.5)
    run.send(signal.SIGINT, 0)
    assert run.end() < 1.5
    run.assert_stopped("SIGINT")


@pytest.mark.parametrize("ranks", [None, 2])
def test_halt_file(start, many, ranks):
    run = start(many, ranks=ranks)
    run.wait_for("frog-mpi: scores")
    (run.out / ".frog-mpi/halt").touch()
    run.end()
    run.assert_stopped("halt")


def test_old_halt_file(frog, checkpoint, tmp_path):
    """One that an earlier run left does not stop the next."""
    (tmp_path / "out/.frog-mpi").mkdir(parents=True)
    for name in ("halt", "announced"):
        (tmp_path / "out/.frog-mpi" / name).touch()
    frog.mask(checkpoint("mixed"), tmp_path / "out", "--overwrite", ranks=2)


@pytest.mark.parametrize("ranks", [None, 2])
def test_stop_before(start, long, ranks):
    run = start(long, "--stop-before", "12s", ranks=ranks)
    run.end(timeout=12)
    run.assert_stopped("--stop-before")


@pytest.mark.parametrize("rank", [0, 1])
def test_lost_rank(start, many, rank):
    run = start(many, "--rank-timeout", "2s")
    run.wait_for("frog-mpi: scores")
    run.send(signal.SIGSTOP, rank)
    # The other works until it waits; another rank than 0 waits 5 s longer.
    run.end(timeout=25)
    assert run.process.returncode == STOPPED, str(run)
    told = [line for line in run.lines if "--rank-timeout" in line]
    assert len(told) == 1 and told[0].startswith(f"frog-mpi: error: rank {1 - rank} "), str(run)
    assert "--resume" in told[0] and final_files(run.out) == []


@pytest.mark.parametrize(
    "option, value",
    [("--stop-before", t) for t in ("2001-01-01T00:00", "@1", "yesterday", "2099-02-30T00:00", "2099-01-01", "-5s", "0s", "")]
    + [("--rank-timeout", t) for t in ("0", "0s", "5", "1m1h", "many", "-1s", "")],
)
def test_refused(frog, many, tmp_path, option, value):
    result = frog("mask", many, "--out", tmp_path / "out", f"{option}={value}")
    assert result.status == 64, str(result)
    assert len(result.error_lines) == 1 and option in result.error_lines[0], str(result)
    assert not (tmp_path / "out").exists()


def test_far_limits_change_nothing(frog, checkpoint, tmp_path):
    folder = checkpoint("mixed")
    frog.mask(folder, tmp_path / "plain", ranks=2)
    frog.mask(folder, tmp_path / "limited", "--stop-before", "3h", "--rank-timeout", "1h", ranks=2)
    for name in final_files(tmp_path / "plain"):
        if name != "run.json":
            assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "limited" / name).read_bytes(), name


@pytest.mark.parametrize("rank, ranks", [(0, None), (0, 2), (1, 2)])
def test_resume(frog, start, many, tmp_path, rank, ranks):
    frog.mask(many, tmp_path / "undisturbed", ranks=2)
    run = start(many, ranks=ranks)
    run.wait_for("frog-mpi: scores")
    time.sleep(1)
    run.send(signal.SIGUSR1, rank)
    run.end()
    run.assert_stopped("SIGUSR1")
    frog.mask(many, run.out, "--resume", ranks=2)
    for name in final_files(tmp_path / "undisturbed"):
        if name != "run.json":
            assert (tmp_path / "undisturbed" / name).read_bytes() == (run.out / name).read_bytes(), name
