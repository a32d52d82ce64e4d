#!/usr/bin/env python3
"""What the journal costs a run, and what a resumed run saves.

  scripts/bench-journal CHECKPOINT [--ranks 2] [--repeats 3] [--share 0.8] [--out DIR] [-- OPTIONS OF mask]

Runs `frog-mpi mask` from start to end, then kills runs with SIGKILL after a share of that time and lets them go on with --resume.
Prints the share of the stage `scores` that ranks spent on records (written, hashed, synchronized, renamed), the time of
`--resume` over that of an undisturbed run, and whether its files are the same bytes. Leave the machine alone meanwhile.

FROG_MPI names the program (default: the release build in this repository).
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def environment():
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {}
    return os.environ | root | {"SWIFT_BACKTRACE": "enable=no"}


def start(arguments, out, *options):
    program = os.environ.get("FROG_MPI", ROOT / ".build/release/frog-mpi")
    command = ["mpirun", "-n", arguments.ranks, "--oversubscribe", "--mca", "mpi_yield_when_idle", "1", program, "mask"]
    command += [arguments.checkpoint, "--out", out, "--threads", "1", "--quiet", *options, *arguments.options]
    return subprocess.Popen([str(part) for part in command], env=environment(), start_new_session=True,
                            stderr=subprocess.DEVNULL)  # fmt: skip


def finish(arguments, out, *options):
    """Seconds of a run that has to succeed."""
    begun = time.monotonic()
    status = start(arguments, out, *options).wait()
    if status != 0:
        sys.exit(f"bench-journal: mask ended with status {status}")
    return time.monotonic() - begun


def contents(out):
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.name != "run.json"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.8, help="of the run's time, after which it is killed")
    parser.add_argument("--out", type=Path, help="where outputs go (default: the folder for temporary files)")
    parser.add_argument("options", nargs="*", help="for mask, behind --")
    arguments = parser.parse_args()

    folder = Path(tempfile.mkdtemp(prefix="bench-journal-", dir=arguments.out))
    try:
        full, resumed, shares, megabytes, skipped = [], [], [], [], []
        reference = None
        for repeat in range(arguments.repeats):
            out = folder / f"full-{repeat}"
            full.append(finish(arguments, out))
            run = json.loads((out / "run.json").read_text())
            scores = next(phase for phase in run["phases"] if phase["name"] == "scores")
            shares.append(max(j / s for j, s in zip(run["journal_seconds"], scores["seconds"])))
            megabytes.append(sum(run["journal_bytes"]) / 1e6)
            reference = reference or contents(out)

            out = folder / f"killed-{repeat}"
            process = start(arguments, out)
            time.sleep(arguments.share * full[-1])
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            time.sleep(2)  # ranks die a moment after mpirun
            resumed.append(finish(arguments, out, "--resume"))
            skipped.append(json.loads((out / "run.json").read_text())["resumed_matrices"])
            if contents(out) != reference:
                sys.exit(f"bench-journal: {out} differs from {folder / 'full-0'}")
            shutil.rmtree(out)
        count = len(json.loads(reference["frog.json"])["matrices"])
        print("| | each repeat | median |\n|---|---|---|")

        def row(name, values, form):
            print(f"| {name} | {', '.join(form.format(v) for v in values)} | {form.format(statistics.median(values))} |")

        row("seconds, undisturbed", full, "{:.2f}")
        row("journal, share of scores (worst rank)", shares, "{:.2%}")
        row("journal, MB", megabytes, "{:.1f}")
        row(f"matrices finished when killed at {arguments.share:.0%}, of {count}", skipped, "{:.0f}")
        row("seconds of --resume", resumed, "{:.2f}")
        row("of an undisturbed run", [r / f for r, f in zip(resumed, full)], "{:.0%}")
        print("\nAll files but run.json are the same bytes.")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
