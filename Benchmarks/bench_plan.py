#!/usr/bin/env python3
"""Holds `frog-mpi plan` against a run: predicted and measured time and memory of a checkpoint, as a Markdown table.

Calibrates on as many ranks as will run, plans, runs `frog-mpi mask`, and compares. With --shapes and --model also quotes the plan of a
whole model at the same rates.

  scripts/bench-plan CHECKPOINT [--ranks 2] [--precision f64] [--rank R] [--shapes FILE --model NAME] [--no-calibration]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run(command, quiet=True):
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {}
    start = time.perf_counter()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=os.environ | root)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}{done.stderr}")
    if not quiet:
        print(done.stdout, file=sys.stderr)
    return done.stdout, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--precision", default="f64", choices=["f64", "f32"])
    parser.add_argument("--rank", type=int, help="of an approximation")
    parser.add_argument("--shapes", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--no-calibration", action="store_true")
    arguments = parser.parse_args()

    frog = os.environ.get("FROG_MPI")
    if not frog:
        build = ["swift", "build", "-c", "release", "--package-path", ROOT]
        subprocess.run([*build, "--product", "frog-mpi"], check=True)
        frog = Path(run([*build, "--show-bin-path"])[0].strip()) / "frog-mpi"
    mpirun = ["mpirun", "-n", arguments.ranks]
    if not arguments.no_calibration:
        print(f"calibrated in {run([*mpirun, frog, 'plan', '--calibrate', '--threads', 1], quiet=False)[1]:.0f} s", file=sys.stderr)
    options = ["--precision", arguments.precision, *(["--rank", arguments.rank] if arguments.rank else []), "--threads", 1]
    layout = ["--ranks", arguments.ranks, "--ranks-per-node", arguments.ranks]
    plan = json.loads(run([frog, "plan", arguments.checkpoint, *options, *layout, "--json"])[0])
    with tempfile.TemporaryDirectory() as out:
        _, seconds = run([*mpirun, frog, "mask", arguments.checkpoint, "--out", out, *options, "--overwrite", "--quiet"])
        record = json.loads((Path(out) / "run.json").read_text())
        teams = sorted({m["solver"] for m in json.loads((Path(out) / "frog.json").read_text())["matrices"]})
    measured = sum(max(p["seconds"]) for p in record["phases"])
    totals = plan["totals"]
    memory = max(record["peak_anonymous_bytes"])
    print(f"`scripts/bench-plan {arguments.checkpoint.name} --ranks {arguments.ranks} {' '.join(map(str, options[:-2]))}`\n")
    print("| | planned | measured | measured / planned |\n|---|---|---|---|")
    print(f"| seconds | {totals['seconds']:.1f} | {measured:.1f} (whole process {seconds:.1f}) | {measured / totals['seconds']:.2f} |")
    for phase in record["phases"]:
        print(f"| … {phase['name']} | | {max(phase['seconds']):.1f} | |")
    print(
        f"| memory of a process, MB | {totals['peak_bytes_per_rank'] / 1e6:.0f} | {memory / 1e6:.0f} | {memory / totals['peak_bytes_per_rank']:.2f} |"
    )
    print(f"\nsolvers: {', '.join(map(str, teams))}")
    if arguments.shapes:
        for ranks in (1, 64, 512):
            text, _ = run([
                frog, "plan", arguments.shapes, "--model", arguments.model, *options, "--ranks", ranks,
                "--ranks-per-node", min(ranks, 64), "--memory-per-rank", "4GiB", "--json",
            ])  # fmt: skip
            whole = json.loads(text)["totals"]
            print(
                f"{arguments.model}, {ranks} ranks: {whole['seconds']:.0f} s, {whole['core_hours']:.1f} core hours, efficiency {whole['efficiency']:.3f}"
            )


if __name__ == "__main__":
    main()
