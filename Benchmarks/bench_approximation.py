#!/usr/bin/env python3
"""How far approximate masks are the exact ones, and how much faster they come; prints a Markdown table.

Exact masks of frog-mpi (f64) are the truth. Against them: `mask --rank r`, whose audit should tell the overlap that is
then measured, and what most scripts do on big models, a truncated randomized SVD in PyTorch (peers/torch_frog.py --method
lowrank). All runs are interleaved; the best time of each counts. Speed is that of the stage `scores`, the audit apart.

  scripts/bench-approximation CHECKPOINT [--shared ../shared] [--budget 1%] [--ranks-of-approximation 64 128 256] [--repeats 3]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import reference

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("FROG_MPI_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "frog-mpi")


def run(command):
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {}
    start = time.perf_counter()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=os.environ | root)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return time.perf_counter() - start


def frog_masks(out):
    described = json.loads((out / "frog.json").read_text())
    shapes = {m["name"]: tuple(m["shape"]) for m in described["matrices"]}
    return {name: mask.indices for name, mask in reference.read_output(out, shapes).items()}


def phase(out, name):
    phases = json.loads((out / "run.json").read_text())["phases"]
    return max((max(p["seconds"]) for p in phases if p["name"] == name), default=0.0)


def overlap(exact, found):
    wanted = sum(positions.size for positions in exact.values())
    common = sum(np.intersect1d(p, found.get(name, p[:0]), assume_unique=True).size for name, p in exact.items())
    return common / wanted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--budget", default="1%")
    parser.add_argument("--ranks-of-approximation", type=int, nargs="+", default=[64, 128, 256], metavar="R")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()

    frog = os.environ.get("FROG_MPI")
    if not frog:
        build = ["swift", "build", "-c", "release", "--package-path", ROOT]
        subprocess.run([*build, "--product", "frog-mpi"], check=True)
        frog = Path(subprocess.run([*build, "--show-bin-path"], check=True, capture_output=True, text=True).stdout.strip()) / "frog-mpi"

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        mask = [
            "mpirun",
            "-n",
            2,
            frog,
            "mask",
            arguments.checkpoint,
            "--budget",
            arguments.budget,
            "--threads",
            1,
            "--overwrite",
            "--quiet",
        ]
        commands = {"frog-mpi, exact f64": [*mask, "--out", folder / "exact"]}
        for rank in arguments.ranks_of_approximation:
            commands[f"frog-mpi --rank {rank}"] = [*mask, "--out", folder / f"rank{rank}", "--rank", rank]
        share = float(reference.parse_budget(arguments.budget))
        peer = [
            CACHE / "venv/bin/python",
            arguments.shared / "peers/torch_frog.py",
            arguments.checkpoint,
            "--budget",
            share,
            "--threads",
            2,
        ]
        for rank in arguments.ranks_of_approximation:
            commands[f"torch svd_lowrank, {rank}"] = [*peer, "--method", "lowrank", "--rank", rank, "--save", folder / f"torch{rank}.npz"]
        seconds, scores = {}, {}
        for _ in range(arguments.repeats):
            for name, command in commands.items():
                seconds[name] = min(seconds.get(name, np.inf), run(command))
                out = command[command.index("--out") + 1] if "--out" in command else None
                if out:
                    scores[name] = min(scores.get(name, np.inf), phase(out, "scores"))

        exact = frog_masks(folder / "exact")
        whole, stage = seconds["frog-mpi, exact f64"], scores["frog-mpi, exact f64"]
        print(
            f"`scripts/bench-approximation {arguments.checkpoint.name} --budget {arguments.budget}`, two ranks, best of {arguments.repeats}\n"
        )
        print(
            "| | overlap with exact | the audit's estimate | its error of scores, mean | of the scale | seconds | scores | speed of scores |"
        )
        print("|---|---|---|---|---|---|---|---|")
        print(f"| frog-mpi, exact f64 | 1 | | | | {whole:.2f} | {stage:.2f} | 1 |")
        for rank in arguments.ranks_of_approximation:
            name, out = f"frog-mpi --rank {rank}", folder / f"rank{rank}"
            audit = json.loads((out / "frog.json").read_text())["audit"]
            print(
                f"| {name} | {overlap(exact, frog_masks(out)):.3f} | {audit['overlap']:.3f} | {audit['mean_error']:.3f} | {audit['scale_error']:.4f} "
                f"| {seconds[name]:.2f} | {scores[name]:.2f} | {stage / scores[name]:.2f} |"
            )
        for rank in arguments.ranks_of_approximation:
            name = f"torch svd_lowrank, {rank}"
            found = np.load(folder / f"torch{rank}.npz")
            print(f"| {name} | {overlap(exact, dict(found)):.3f} | | | | {seconds[name]:.2f} | | |")


if __name__ == "__main__":
    main()
