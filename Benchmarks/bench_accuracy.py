#!/usr/bin/env python3
"""Compares masks with the independent float64 reference and prints a Markdown table: every selection, budget and precision.

  scripts/bench-accuracy CHECKPOINT… [--ranks 2]

Each checkpoint is decomposed once by numpy.linalg.svd (scripts/reference.py), then masked by frog-mpi with one thread a rank. Exit 1 if an
overlap is below 99.999 % (f64) or 99.95 % (f32), or a count is off.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import reference

ROOT = Path(__file__).resolve().parent.parent
WANTED = {"f64": 0.99999, "f32": 0.9995}


def mask(frog, checkpoint, out, ranks, **options):
    command = ["mpirun", "-n", ranks, "--oversubscribe", "--mca", "mpi_yield_when_idle", "1", frog, "mask", checkpoint, "--out", out]
    command += ["--threads", 1, "--quiet", "--overwrite"]
    for name, value in options.items():
        command += [f"--{name}", value]
    environment = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    subprocess.run([str(part) for part in command], check=True, env=environment)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--ranks", type=int, default=2)
    arguments = parser.parse_args()
    frog = os.environ.get("FROG_MPI") or ROOT / ".build/release/frog-mpi"
    held = True
    print("| checkpoint | selection | budget | precision | kept | in common | largest score error | largest noise error |")
    print("|---|---|---|---|---|---|---|---|")
    for checkpoint in arguments.checkpoints:
        ours = reference.Reference(checkpoint)
        shapes = {m.name: m.shape for m in ours.matrices}
        for select in ("global", "matrix", "uniform"):
            for budget in ("1%", "5%"):
                count = reference.kept_count(reference.parse_budget(budget), ours.total)
                selection = ours.select(select, count)
                for precision, wanted in WANTED.items():
                    with tempfile.TemporaryDirectory() as folder:
                        out = Path(folder) / "out"
                        mask(frog, checkpoint, out, arguments.ranks, budget=budget, select=select, precision=precision)
                        found = reference.compare(ours, selection, reference.read_output(out, shapes))
                    held &= found.overlap >= wanted and found.kept == found.wanted == count
                    print(
                        f"| {checkpoint.name} | {select} | {budget} | {precision} | {found.kept:,} | {found.overlap:.5%} "
                        f"| {found.score_error:.1e} | {found.noise_error:.1e} |",
                        flush=True,
                    )
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
