#!/usr/bin/env python3
"""Compares masks with the independent float64 reference, for every selection, budget and precision; prints a Markdown table.

  Benchmarks/bench_accuracy.py minilm-l6 tiny-4-layers-8-shards [--ranks 2]

Each checkpoint (a folder, or a name of common.checkpoint) is decomposed once by numpy.linalg.svd (scripts/reference.py), then masked by
frog-mpi with one thread a rank. Exit: 0 done, 1 an overlap is below 99.999% (f64) or 99.95% (f32), or a count is wrong.
"""

import sys

import common
import reference

WANTED = {"f64": 0.99999, "f32": 0.9995}


def main():
    parser = common.parser(__doc__)
    parser.add_argument("checkpoints", nargs="+", type=common.checkpoint)
    parser.add_argument("--ranks", type=int, default=2)
    arguments = parser.parse_args()
    is_met = True
    table = common.Table(
        "checkpoint", "selection", "budget", "precision", "kept", "in common", "largest score error", "largest noise error"
    )  # fmt: skip
    for checkpoint in arguments.checkpoints:
        ours = reference.Reference(checkpoint)
        shapes = {matrix.name: matrix.shape for matrix in ours.matrices}
        for select in ("global", "matrix", "uniform"):
            for budget in ("1%", "5%"):
                count = reference.kept_count(reference.parse_budget(budget), ours.total)
                selection = ours.select(select, count)
                for precision, wanted in WANTED.items():
                    with common.scratch() as folder:
                        options = ["--budget", budget, "--select", select, "--precision", precision, "--threads", 1, "--quiet"]
                        common.run(common.frog("mask", checkpoint, "--out", folder / "out", *options, ranks=arguments.ranks))
                        found = reference.compare(ours, selection, reference.read_output(folder / "out", shapes))
                    is_met &= found.overlap >= wanted and found.kept == found.wanted == count
                    table.row(
                        checkpoint.name, select, budget, precision, f"{found.kept:,}", f"{found.overlap:.5%}",
                        f"{found.score_error:.1e}", f"{found.noise_error:.1e}",
                    )  # fmt: skip
    sys.exit(0 if is_met else 1)


if __name__ == "__main__":
    main()
