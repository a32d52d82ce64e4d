"""scripts/faults notices what it is there for: a program that does harm to its results, or ends otherwise than documented."""

import os
import shlex
import subprocess
import sys

import pytest

import faults

# Runs the program, then does what a test says; OUT is the folder, STATUS the program's. Not under the interposer itself.
HARMFUL = """#!/bin/bash
{program} "$@"
export STATUS=$?
unset LD_PRELOAD
[[ {when} ]] || exit "$STATUS"
while [[ $1 != --out ]]; do shift; done
export OUT=$2
bash -c {harm}
"""
ALWAYS = "$1 != --help && $1 != verify"
FAULTED = "-n $FROG_FAULT"
RESUMED = '" $* " == *" --resume "*'

# Of a fault that a run must survive, and of one that ends it.
SURVIVED, ENDED = "20/eintr", "60/ENOSPC"
CHANGE, REMOVE = 'echo x >"$OUT"/{0}; exit "$STATUS"', 'rm -f "$OUT"/{0}; exit "$STATUS"'


def report(frog, folder, case, when, harm, *options):
    """What scripts/faults says of one fault."""
    program = folder / "frog-mpi"
    program.write_text(HARMFUL.format(program=shlex.quote(str(frog.binary.resolve())), when=when, harm=shlex.quote(harm)))
    program.chmod(0o755)
    command = [sys.executable, faults.__file__, "--binary", program, "--case", case, *options]
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=120, env=os.environ | {"TMPDIR": str(folder)})  # fmt: skip
    assert not result.stderr, result.stderr
    return result


@pytest.mark.parametrize(
    "scenario, fault, when, harm, words",
    [
        ("analyze", SURVIVED, FAULTED, CHANGE.format("details.csv"),
            ["WRONG: it succeeds with other bytes: other bytes in details.csv", "WRONG: details.csv is not what summary.json vouches for"]),
        ("mask-analyze", SURVIVED, FAULTED, CHANGE.format("summary.json"), ["WRONG: summary.json is not what frog.json vouches for"]),
        ("compare", SURVIVED, FAULTED, REMOVE.format("details.csv"), ["WRONG: details.csv is not there, and summary.json vouches for it"]),
        # The same in every run: all end with equal bytes.
        ("compare", SURVIVED, ALWAYS, CHANGE.format("details.csv"), ["compare: details.csv is not what summary.json vouches for"]),
        ("analyze", SURVIVED, ALWAYS, CHANGE.format("more.csv"), ["analyze: nothing vouches for more.csv"]),
        ("analyze", ENDED, FAULTED, 'mkdir -p "$OUT"; ' + CHANGE.format("summary.json"), ["WRONG: summary.json is there, and"]),
        ("compare", ENDED, FAULTED, 'mkdir -p "$OUT"; >"$OUT"/part.tmp; echo "frog-mpi: error: too" >&2; exit 65',
            ["left behind: part.tmp", " error lines", "status 65, not 66 or 74"]),
        ("analyze", ENDED, FAULTED, "exit 0", ["status 0, not 66 or 74", "WRONG: it succeeds with other bytes: missing details.csv"]),
        ("compare", ENDED, FAULTED, "sleep 60", ["no end after 3 s"]),
        ("analyze", ENDED, RESUMED, 'mkdir -p "$OUT"/.frog-mpi; ' + REMOVE.format("details.csv"),
            ["WRONG: after going on with", "missing details.csv", ".frog-mpi is there after going on"]),
        ("compare", ENDED, RESUMED, "exit 70", ["LOST: going on with"]),
        # In folders in folders.
        ("export", SURVIVED, FAULTED, CHANGE.format("pissa/adapter/adapter_config.json"),
            ["WRONG: it succeeds with other bytes: other bytes in pissa/adapter/adapter_config.json",
             "WRONG: pissa/adapter/adapter_config.json is not what export.json vouches for"]),
        ("export", SURVIVED, FAULTED, REMOVE.format("pissa/original/params.json"),
            ["WRONG: pissa/original/params.json is not there, and export.json vouches for it"]),
        ("export", ENDED, FAULTED, 'mkdir -p "$OUT"/pissa/more; exit "$STATUS"', ["left behind: pissa/more/"]),
        # In the folders of several masks.
        ("several", SURVIVED, FAULTED, CHANGE.format("global-2%/layers.csv"),
            ["WRONG: it succeeds with other bytes: other bytes in global-2%/layers.csv",
             "WRONG: global-2%/layers.csv is not what global-2%/frog.json vouches for"]),
        ("several", SURVIVED, ALWAYS, CHANGE.format("global-2%/frog.json"),
            ["several: global-2%/frog.json is not what masks.json vouches for"]),
        ("several", SURVIVED, FAULTED, 'mkdir "$OUT"/more; exit "$STATUS"', ["WRONG: it succeeds with other bytes: stray more/"]),
        ("several", ENDED, FAULTED, 'mkdir -p "$OUT"/global-2%; ' + CHANGE.format("global-2%/masks.safetensors.index.json"),
            ["WRONG: in global-2%/: masks.safetensors.index.json cannot be read"]),
    ],
)  # fmt: skip
def test_harm_is_noticed(frog, tmp_path, scenario, fault, when, harm, words):
    result = report(frog, tmp_path, f"{scenario}/0/{fault}", when, harm, "--limit", 3 if "sleep" in harm else 10)
    assert result.returncode == 1, result.stdout
    for word in words:
        assert word in result.stdout, f"'{word}' is missing\n{result.stdout}"


def test_no_harm_is_none(frog, tmp_path):
    result = report(frog, tmp_path, f"mask-analyze/0/{ENDED}", FAULTED, 'exit "$STATUS"')
    assert result.returncode == 0 and "0 lost, 0 wrong, 0 with problems" in result.stdout, result.stdout
    assert not list(tmp_path.glob("frog-faults-*"))


def calls(*text):
    """Calls on files, each written as GROUP PATH."""
    return [faults.Call(n, line.split()[0], line.split()[0], 0, line.split()[1]) for n, line in enumerate(text, 1)]


def test_what_a_power_cut_could_undo():
    written = "write out/.frog-mpi/new-details.csv", "sync out/.frog-mpi/new-details.csv"
    named = "rename out/details.csv", "sync out"
    whole = calls("remove out/summary.json", "sync out", *written, *named, "rename out/summary.json", "sync out")
    assert faults.unsynchronized(whole, "out", "summary.json") == []
    for left_out, words in [(1, "is not yet on the disk"), (3, "is not followed by fsync"), (7, "is not followed by fsync")]:
        problems = faults.unsynchronized(whole[:left_out] + whole[left_out + 1 :], "out", "summary.json")
        assert len(problems) == 1 and words in problems[0], problems


def test_what_a_power_cut_could_undo_in_folders():
    """A folder that is made, and the index of older masks that goes, are on the disk before a file gets its name."""
    index = "masks.safetensors.index.json"
    old = f"remove out/masks/{index}", "sync out/masks"
    whole = calls(*old, "mkdir out/new", "rename out/new/frog.json", "sync out/new", "rename out/masks.json", "sync out")
    assert faults.unsynchronized(whole, "out", "masks.json") == []
    for left_out, words in [(1, "is not yet on the disk"), (4, "is not followed by fsync"), (6, "is not followed by fsync")]:
        problems = faults.unsynchronized(whole[:left_out] + whole[left_out + 1 :], "out", "masks.json")
        assert len(problems) == 1 and words in problems[0], problems
