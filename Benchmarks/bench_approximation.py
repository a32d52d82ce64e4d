#!/usr/bin/env python3
"""Tells how far approximate masks are the exact ones, and how much faster they come; prints a Markdown table.

  Benchmarks/bench_approximation.py llama-1b-2-layers --budget 1% --ranks-of-approximation 128,256

Exact masks of frog-mpi (f64) are the truth. Two things are held against them:

- `mask --rank r`, whose audit estimates the overlap that is then measured;
- what most scripts do on big models: a truncated randomized SVD in PyTorch (peers/torch_masks.py --method lowrank).

All runs go by turns, and the best time of each counts. Speed is that of the stage `scores`, without the audit.
"""

import numpy as np
from safetensors.numpy import load_file

import common
import reference

EXACT = "frog-mpi, exact f64"


def frog_masks(out):
    """name → flat positions of the kept weights."""
    shapes = {matrix["name"]: tuple(matrix["shape"]) for matrix in common.document(out, "frog.json")["matrices"]}
    return {name: mask.indices for name, mask in reference.read_output(out, shapes).items()}


def overlap(exact, found):
    """The share of the exact masks that `found` has too."""
    wanted = sum(positions.size for positions in exact.values())
    both = sum(np.intersect1d(p, found.get(name, p[:0]), assume_unique=True).size for name, p in exact.items())
    return both / wanted


def main():
    parser = common.parser(__doc__)
    parser.add_argument("checkpoint", type=common.checkpoint)
    parser.add_argument("--budget", default="1%")
    parser.add_argument("--ranks-of-approximation", type=common.numbers, default=[64, 128, 256], metavar="R,R,…")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    ranks = arguments.ranks_of_approximation

    with common.scratch() as folder:
        outs = {EXACT: folder / "exact"} | {f"frog-mpi --rank {rank}": folder / f"rank{rank}" for rank in ranks}
        saved = {f"torch svd_lowrank, {rank}": folder / f"torch{rank}.safetensors" for rank in ranks}
        options = ["--budget", arguments.budget, "--threads", 1, "--overwrite", "--quiet"]
        commands = {
            name: common.frog("mask", arguments.checkpoint, "--out", out, *options, *(["--rank", rank] if rank else []), ranks=2)
            for (name, out), rank in zip(outs.items(), [None, *ranks])
        }
        lowrank = ["--budget", arguments.budget, "--threads", 2, "--method", "lowrank"]
        commands |= {
            name: common.peer("torch_masks.py", arguments.checkpoint, *lowrank, "--rank", rank, "--save", file)
            for (name, file), rank in zip(saved.items(), ranks)
        }
        seconds, scores = dict.fromkeys(commands, np.inf), dict.fromkeys(outs, np.inf)
        for name, timed in common.by_turns(arguments.repeats, commands):
            seconds[name] = min(seconds[name], timed.seconds)
            if name in outs:
                scores[name] = min(scores[name], common.phase_seconds(outs[name], "scores"))

        exact = frog_masks(outs[EXACT])
        print(f"{common.command_line()}, two ranks, best of {arguments.repeats}\n")
        table = common.Table(
            "", "overlap with exact", "the audit's estimate", "its error of scores, mean", "of the scale", "seconds", "scores",
            "speed of scores",
        )  # fmt: skip
        for name, out in outs.items():
            cells = ["1", "", "", ""]
            if name != EXACT:
                audit = common.document(out, "frog.json")["audit"]
                cells = [
                    f"{overlap(exact, frog_masks(out)):.3f}", f"{audit['overlap']:.3f}", f"{audit['mean_error']:.3f}",
                    f"{audit['scale_error']:.4f}",
                ]  # fmt: skip
            table.row(name, *cells, f"{seconds[name]:.2f}", f"{scores[name]:.2f}", f"{scores[EXACT] / scores[name]:.3g}")
        for name, file in saved.items():
            table.row(name, f"{overlap(exact, load_file(file)):.3f}", "", "", "", f"{seconds[name]:.2f}", "", "")


if __name__ == "__main__":
    main()
