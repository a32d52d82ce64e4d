"""Standard output that cannot be written to: every command says so with status 74, and a reader that has gone is no failure."""

import json
import os
import signal
import subprocess

import pytest

from harness import assert_refused, final_files

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")

# Command → its arguments; IN is a checkpoint, MASKS the finished masks of it, OUT a folder of the test's own.
COMMANDS = {
    "inspect": ("inspect", "IN"),
    "inspect --json": ("inspect", "IN", "--json"),
    "plan": ("plan", "IN"),
    "plan --json": ("plan", "IN", "--json"),
    "verify": ("verify", "MASKS", "--checkpoint", "IN"),
    "mask": ("mask", "IN", "--out", "OUT", "--threads", 1),
    "analyze": ("analyze", "IN", "--out", "OUT", "--threads", 1),
    "compare": ("compare", "IN", "IN", "--out", "OUT", "--threads", 1),
    "factor": ("factor", "IN", "--out", "OUT", "--threads", 1),
    "--help": ("--help",),
    "mask --help": ("mask", "--help"),
    "--version": ("--version",),
}
RUNS = ("mask", "analyze", "compare", "factor")
# What a shell makes of standard output, and what the system says of a write to it.
BROKEN = {">/dev/full": "No space left on device", ">&-": "Bad file descriptor"}


@pytest.fixture(scope="module")
def masks(frog, checkpoint, tmp_path_factory):
    out = tmp_path_factory.mktemp("masks") / "out"
    frog.mask(checkpoint("mixed"), out)
    return out


@pytest.fixture
def line(checkpoint, masks, tmp_path):
    places = {"IN": checkpoint("mixed"), "MASKS": masks, "OUT": tmp_path / "out"}
    return lambda command: [places.get(word, word) for word in COMMANDS[command]]


def whole(command, out):
    """Checks that the results of a run are there, as they would be with a summary."""
    if command in ("mask", "factor"):
        assert {"mask": "masks", "factor": "factors"}[command] + ".safetensors.index.json" in final_files(out)
    else:
        assert json.loads((out / "summary.json").read_text()) and (out / "details.csv").stat().st_size > 0
    assert not (out / ".frog-mpi").exists()


@pytest.mark.parametrize("broken, ranks", [(">/dev/full", None), (">/dev/full", 2), (">&-", None)])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_or_closed_output_is_an_error(frog, line, tmp_path, command, broken, ranks):
    # The shell breaks the output of the program, not that of mpirun.
    result = frog(*line(command), prefix=("sh", "-c", f'exec "$0" "$@" {broken}'), ranks=ranks)
    assert_refused(result, 74, f"cannot write to standard output: {BROKEN[broken]}")
    assert result.stdout == "", str(result)
    if command in RUNS:
        assert f"the results in {tmp_path / 'out'} are complete" in result.error_lines[0], str(result)
        whole(command, tmp_path / "out")
        assert frog(*line(command), "--quiet", "--resume").status == 0


@pytest.mark.parametrize("broken", BROKEN)
def test_quiet_commands_need_no_output(frog, line, tmp_path, broken):
    result = frog(*line("mask"), "--quiet", "--select", "uniform", prefix=("sh", "-c", f'exec "$0" "$@" {broken}'))
    assert (result.status, result.stderr) == (0, ""), str(result)
    whole("mask", tmp_path / "out")


def test_no_stream_at_all(frog, line, tmp_path):
    """The files of a run must not get the numbers of streams that are closed."""
    assert frog(*line("mask"), prefix=("sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-')).status == 74
    whole("mask", tmp_path / "out")
    assert frog("verify", tmp_path / "out").status == 0


def test_problems_outweigh_an_output(frog, line, masks, tmp_path):
    """Masks that do not verify are the worse news."""
    copy = tmp_path / "out"
    subprocess.run(["cp", "-r", masks, copy], check=True)
    for path in copy.glob("masks-*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    (copy / "run.json").unlink()
    result = frog("verify", copy, prefix=("sh", "-c", 'exec "$0" "$@" >/dev/full'))
    assert_refused(result, 65, "masks-00001")


@pytest.mark.parametrize("command", [command for command in COMMANDS if not command.startswith("inspect")])
def test_a_reader_that_has_gone_is_no_failure(frog, line, tmp_path, command):
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [str(word) for word in [frog.binary, *line(command)]], stdout=write, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL),
    )  # fmt: skip
    os.close(write)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 0 and "error" not in complaint, complaint
    if command in RUNS:
        whole(command, tmp_path / "out")


@pytest.mark.parametrize(
    "name", ["out", "my results", "Tom's $HOME `x`; rm -r *", "-overwrite", "~/-a", "größer", "two\nlines\t\x1b[31m\\'", "right\u202eleft"]
)
@pytest.mark.parametrize("command, options", [("mask", ()), ("mask", ("--budget", "1%,2%")), ("analyze", ()), ("compare", ())])
def test_the_last_line_says_how_to_look_at_the_result(frog, line, tmp_path, monkeypatch, command, options, name):
    """It is a command line: a shell makes the same folder of its last word, as it was given."""
    monkeypatch.chdir(tmp_path)
    words = [word if word != tmp_path / "out" else None for word in line(command)]
    place = words.index(None)
    words[place - 1 : place + 1] = [f"--out={name}"]
    first = frog(*words, *options)
    assert first.status == 0, str(first)
    again = frog(*words, *options, "--resume")
    # Columns are as wide as their names, and a finished run has fewer lines.
    lines = [result.stdout.splitlines()[-1] for result in (first, again)]
    assert all(line.startswith("look at it  ") and line.isprintable() for line in lines), lines
    last = lines[0].removeprefix("look at it").lstrip()
    assert lines[1].removeprefix("look at it").lstrip() == last
    words = subprocess.run(["bash", "-c", f'printf "%s\\0" {last}'], capture_output=True).stdout.split(b"\0")
    assert words[:2] == [b"frogmask", b"report"] and len(words) == 4, last
    assert os.path.samefile(words[2], name) and (name != "out" or words[2] == b"out")
