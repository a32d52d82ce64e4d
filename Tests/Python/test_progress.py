"""What a run shows of itself: a block on the screen of a terminal, also on that of mpirun, lines elsewhere, JSON where it is asked for.

The screen is a pseudo terminal, whose text pyte draws as a terminal would.
"""

import contextlib
import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time

import numpy as np
import pyte
import pytest

import checkpoints
from harness import final_files

ROWS = 24
ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
KEYS = {"time", "phase", "done", "eta_s", "matrices", "rss", "slowest"}


def command_of(frog, checkpoint, out, *options, ranks=None, launcher=()):
    command = [frog.binary, "mask", checkpoint, "--out", out, "--threads", 1, *options]
    if ranks is not None:
        command = ["mpirun", "-n", ranks, "--oversubscribe", "--mca", "mpi_yield_when_idle", "1", *launcher, *command]
    return [str(part) for part in command]


def environment_of(**variables):
    environment = os.environ | {"SWIFT_BACKTRACE": "enable=no", "TERM": "xterm-256color"} | variables
    if os.geteuid() == 0:
        environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return environment


class Screen:
    """A command on a terminal of its own, and what can be seen there."""

    def __init__(self, command, columns=80, **variables):
        self.command = command
        self.text = ""
        self.screen = pyte.Screen(columns, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        self.lock = threading.Lock()
        self.master, slave = os.openpty()
        self.resize(columns)
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment_of(**variables), start_new_session=True,
            # The terminal is that of the session, as it is under a shell.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        # Reading fails once the last process that has the terminal is gone.
        with contextlib.suppress(OSError):
            while data := os.read(self.master, 1 << 16):
                with self.lock:
                    self.text += data.decode(errors="replace")
                    self.stream.feed(data)

    def resize(self, columns):
        with self.lock:
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
            self.screen.resize(ROWS, columns)

    @property
    def lines(self):
        with self.lock:
            return [line.rstrip() for line in self.screen.display if line.strip()]

    def wait_for(self, *words, timeout=60):
        """The lines on the screen once all words are there."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            lines = self.lines
            if all(word in "\n".join(lines) for word in words):
                return lines
            time.sleep(0.05)
        pytest.fail(f"no {words}\n{self}")

    def end(self, timeout=60):
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            pytest.fail(f"no end\n{self}")
        self.reader.join(5)
        return self.process.returncode

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.master)

    def widest(self, start=0):
        """The width of the widest piece of text between two moves of the cursor to the left, from a place in the text on."""
        return max(len(piece) for piece in re.split(r"[\r\n]", ESCAPE.sub("", self.text[start:])))

    def __str__(self):
        return f"{' '.join(self.command)}\nstatus {self.process.poll()}\n" + "\n".join(self.lines) + f"\n{self.text[-2000:]!r}"


@pytest.fixture
def show():
    screens = []

    def begin(command, **options):
        screens.append(Screen(command, **options))
        return screens[-1]

    yield begin
    for screen in screens:
        screen.close()


def repeated(folder, count, order):
    """A checkpoint of `count` equal matrices, quickly made."""
    weights = checkpoints.encode(np.random.default_rng(0).standard_normal((order, order)), "BF16")
    names = [f"model.language_model.layers.{i}.mlp.down_proj.weight" for i in range(count)]
    return checkpoints.write_checkpoint(folder, dict.fromkeys(names, weights))


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """More work than any test waits for."""
    return repeated(tmp_path_factory.mktemp("long"), 60, 1536)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Some seconds of work."""
    return repeated(tmp_path_factory.mktemp("short"), 24, 1024)


def assert_clean(lines):
    """No part of a block is left on the screen."""
    for line in lines:
        assert not any(word in line for word in ("so far", "slowest:", " left", "matrices,")), "\n".join(lines)


@pytest.mark.parametrize("ranks", [None, 2])
def test_block(frog, long, show, tmp_path, ranks):
    """It fits any width, also after the terminal has become narrower, and is gone when a message comes."""
    screen = show(command_of(frog, long, tmp_path / "out", ranks=ranks), columns=200)
    first = "slowest: rank " if ranks else "at model.language_model.layers."
    lines = screen.wait_for("scores  ", "of 60 matrices", "a process", "so far", " left", first)
    assert len(lines) == 3, str(screen)
    for columns in (80, 60, 30, 100):
        screen.resize(columns)
        # Every redrawing after the next one knows the new width.
        time.sleep(1.2)
        with screen.lock:
            start = len(screen.text)
        time.sleep(1.1)
        lines = screen.lines
        assert len(lines) == 3 and lines[0].startswith("scores  ") and "of 60 matrices" in lines[1], str(screen)
        assert 0 < screen.widest(start) < columns, str(screen)
    (tmp_path / "out/.frog-mpi/halt").touch()
    assert screen.end() == 75, str(screen)
    assert "frog-mpi: stopping" in screen.lines[0] and "--resume" in "".join(screen.lines[:3]), str(screen)
    assert_clean(screen.lines)


def test_summary(frog, short, show, tmp_path):
    """Matrices of all ranks are counted, those of an earlier process included, and nothing but the summary is left."""
    out = tmp_path / "out"
    screen = show(command_of(frog, short, out, ranks=2))
    lines = screen.wait_for(" of 24 matrices")
    while int(re.search(r"(\d+) of 24 matrices", "\n".join(lines))[1]) < 3:
        lines = screen.wait_for(" of 24 matrices")
    (out / ".frog-mpi/halt").touch()
    assert screen.end() == 75, str(screen)
    finished = len(list((out / ".frog-mpi").glob("scores-*")))
    assert finished >= 3

    screen = show(command_of(frog, short, out, "--resume", ranks=2))
    counts = []
    while screen.process.poll() is None:
        counts += map(int, re.findall(r"(\d+) of 24 matrices,", "\n".join(screen.lines)))
        time.sleep(0.05)
    assert screen.end() == 0, str(screen)
    assert counts and finished <= counts[0] and counts == sorted(counts), f"{counts}\n{screen}"
    assert screen.lines[0] == f"frog-mpi: resuming with {finished} of 24 matrices finished", str(screen)
    assert screen.lines[1].split() == ["matrices", "24"], str(screen)
    assert_clean(screen.lines[1:])


def test_error(frog, short, show, tmp_path):
    """An error that is found in the middle of a stage stands on lines of its own."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    file = next(short.glob("*.safetensors"))
    (folder / file.name).write_bytes(file.read_bytes())
    # The error takes fewer rows here than the block.
    screen = show(command_of(frog, folder, tmp_path / "out"), columns=250)
    screen.wait_for(" of 24 matrices")
    with open(folder / file.name, "r+b") as weights:
        weights.seek(file.stat().st_size - 4096)
        weights.write(bytes(4096))
    assert screen.end() == 74, str(screen)
    assert screen.lines[0].startswith("frog-mpi: error: ") and "was written to" in "".join(screen.lines[:4]), str(screen)
    assert_clean(screen.lines)


def lines_of(command):
    """What a command says of its progress where standard error is no terminal: all but warnings."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment_of())
    return done.returncode, without_warnings(done.stderr)


def without_warnings(text):
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("frog-mpi: warning: "))


STAGES = "".join(f"frog-mpi: {stage}\n" for stage in ("catalog", "norms", "scores", "selection", "masks", "histograms"))


def test_no_terminal(frog, checkpoint, tmp_path):
    for ranks in (None, 2):
        assert lines_of(command_of(frog, checkpoint("mixed"), tmp_path / f"{ranks}", ranks=ranks)) == (0, STAGES)


def test_terminal_that_cannot_move_its_cursor(frog, checkpoint, show, tmp_path):
    screen = show(command_of(frog, checkpoint("mixed"), tmp_path / "out", ranks=2), TERM="dumb")
    assert screen.end() == 0, str(screen)
    assert "\x1b" not in screen.text and STAGES in screen.text.replace("\r", ""), str(screen)


def test_launcher_that_changes_the_text(frog, short, show, tmp_path):
    screen = show(command_of(frog, short, tmp_path / "out", ranks=1, launcher=["--tag-output"]))
    screen.wait_for("frog-mpi: scores")
    (tmp_path / "out/.frog-mpi/halt").touch()
    assert screen.end() == 75, str(screen)
    assert "\x1b" not in screen.text, str(screen)


def test_parent_that_is_no_launcher(frog, short, show, tmp_path):
    """It has a terminal, but what it reads from its child goes anywhere."""
    command = command_of(frog, short, tmp_path / "out")
    parent = "import subprocess, sys; sys.stdout.write(repr(subprocess.run(sys.argv[1:], stderr=subprocess.PIPE).stderr))"
    screen = show([sys.executable, "-c", parent, *command], columns=200)
    assert screen.end() == 0, str(screen)
    assert "x1b" not in screen.text and "\x1b" not in screen.text and "frog-mpi: scores" in screen.text, str(screen)


@pytest.mark.parametrize(
    "options, shows, prints",
    [
        ((), True, True),
        (("--quiet",), False, False),
        (("--progress", "never"), False, True),
        (("--quiet", "--progress", "always"), True, False),
    ],
)
def test_choice(frog, checkpoint, tmp_path, options, shows, prints):
    result = frog("mask", checkpoint("mixed"), "--out", tmp_path / "out", *options, ranks=2)
    assert (result.status, without_warnings(result.stderr)) == (0, STAGES if shows else ""), str(result)
    assert ("matrices" in result.stdout) == prints, str(result)
    result = frog("mask", checkpoint("mixed"), "--out", tmp_path / "json", "--log-format", "json", *options)
    assert any("phase" in line for line in objects(result.stderr)) == shows, str(result)


def objects(text):
    """Every line as the object that it has to be."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("command", ["mask", "analyze", "compare", "factor"])
def test_json(frog, checkpoint, tmp_path, command):
    folders = [checkpoint("mixed")] * (2 if command == "compare" else 1)
    result = frog(command, *folders, "--out", tmp_path / "out", "--log-format", "json", ranks=2)
    assert result.status == 0, str(result)
    found = [line for line in objects(result.stderr) if "phase" in line]
    phases = [line["phase"] for line in found]
    # Each stage begins and ends once.
    assert phases[::2] == phases[1::2] == list(dict.fromkeys(phases)), phases
    for begin, end in zip(found[::2], found[1::2]):
        assert set(begin) == set(end) == KEYS
        assert (begin["done"], begin["eta_s"], end["done"], end["eta_s"]) == (0, None, 1, 0)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", begin["time"]) and begin["time"] <= end["time"]
    last = next(line for line in reversed(found) if line["matrices"])
    assert last["matrices"]["done"] == last["matrices"]["of"] > 0
    assert found[-1]["rss"] > 1 << 20


def test_json_of_messages(frog, short, tmp_path):
    """Warnings, errors and the reason of a stop are objects, also those of another rank than the first, and nothing else is there."""
    out = tmp_path / "out"
    command = command_of(frog, short, out, "--log-format", "json", ranks=2)
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment_of(), start_new_session=True
    ) as process:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if '"scores"' in line:
                (out / ".frog-mpi/halt").touch()
    assert process.returncode == 75, "".join(lines)
    # What mpirun says of a job that failed is not ours.
    ours = [line for line in lines if line.startswith("{")]
    assert all(not line.startswith("frog-mpi") for line in lines), "".join(lines)
    notices = [line for line in objects("".join(ours)) if line.get("level") == "notice"]
    assert len(notices) == 1 and "stopping" in notices[0]["message"] and set(notices[0]) == {"time", "level", "message"}

    result = frog("mask", tmp_path / "none", "--out", tmp_path / "no", "--log-format", "json", ranks=2)
    errors = [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{") and "level" in json.loads(line)]
    assert result.status == 66 and len(errors) == 1 and errors[0]["level"] == "error", str(result)
    assert "frog-mpi:" not in result.stderr and final_files(tmp_path / "no") == []


def test_refused_values(frog, checkpoint, tmp_path):
    for option in ("--progress=sometimes", "--log-format=xml"):
        result = frog("mask", checkpoint("mixed"), "--out", tmp_path / "out", option)
        assert result.status == 64 and len(result.error_lines) == 1 and option.split("=")[0] in result.error_lines[0], str(result)
