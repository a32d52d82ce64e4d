#!/usr/bin/env python3
"""Measures what the journal costs a run, and what a resumed run saves; prints a Markdown table.

  Benchmarks/bench_journal.py llama-1b-2-layers [--ranks 2] [--repeats 3] [--share 0.8] [--out DIR] [-- OPTIONS OF mask]

`frog-mpi mask` runs from start to end. Then runs are killed with SIGKILL after a share of that time and go on with --resume. The table
has the share of the stage `scores` that ranks spent on records (written, hashed, synchronized, renamed), and the time of `--resume` over
that of an undisturbed run. Exit: 0 done, 1 a resumed run has other bytes than an undisturbed one. Leave the machine alone meanwhile.
"""

import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import common


def contents(out):
    """name → bytes of every file but run.json."""
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.name != "run.json"}


def killed(command, seconds):
    """Starts a run and kills mpirun and its ranks after so many seconds."""
    process = subprocess.Popen(command, env=common.environment(), start_new_session=True, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(2)  # ranks die a moment after mpirun


def main():
    parser = common.parser(__doc__)
    parser.add_argument("checkpoint", type=common.checkpoint)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.8, help="of the run's time, after which it is killed")
    parser.add_argument("--out", type=Path, help="where outputs go (default: the folder for temporary files)")
    parser.add_argument("options", nargs="*", help="for mask, behind --")
    arguments = parser.parse_args()

    def mask(out, *options):
        command = ["mask", arguments.checkpoint, "--out", out, "--threads", 1, "--quiet", *options, *arguments.options]
        return common.frog(*command, ranks=arguments.ranks)

    full, resumed, shares, megabytes, finished, expected = [], [], [], [], [], None
    with common.scratch(arguments.out) as folder:
        for repeat in range(arguments.repeats):
            out = folder / f"full-{repeat}"
            full.append(common.run(mask(out)).seconds)
            run = common.document(out, "run.json")
            scores = next(phase for phase in run["phases"] if phase["name"] == "scores")
            shares.append(max(journal / stage for journal, stage in zip(run["journal_seconds"], scores["seconds"])))
            megabytes.append(sum(run["journal_bytes"]) / 1e6)
            expected = expected or contents(out)
            count = len(common.document(out, "frog.json")["matrices"])

            out = folder / f"killed-{repeat}"
            killed(mask(out), arguments.share * full[-1])
            resumed.append(common.run(mask(out, "--resume")).seconds)
            finished.append(common.document(out, "run.json")["resumed_matrices"])
            if contents(out) != expected:
                sys.exit(f"bench_journal: error: {out} differs from {folder / 'full-0'}")
            shutil.rmtree(out)
    print(f"{common.command_line()}\n")
    table = common.Table("", "each repeat", "median")
    for name, values, form in (
        ("seconds, undisturbed", full, "{:.2f}"),
        ("journal, share of scores (slowest rank)", shares, "{:.2%}"),
        ("journal, MB", megabytes, "{:.1f}"),
        (f"matrices finished when killed at {arguments.share:.0%}, of {count}", finished, "{:.0f}"),
        ("seconds of --resume", resumed, "{:.2f}"),
        ("of an undisturbed run", [mine / whole for mine, whole in zip(resumed, full)], "{:.0%}"),
    ):
        table.row(name, ", ".join(map(form.format, values)), form.format(statistics.median(values)))
    print("\nAll files but run.json are the same bytes.")


if __name__ == "__main__":
    main()
