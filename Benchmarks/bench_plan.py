#!/usr/bin/env python3
"""Holds `frog-mpi plan` against a run: predicted and measured time and memory of a checkpoint, as a Markdown table.

  Benchmarks/bench_plan.py llama-70b-1-layers [--ranks 2] [--precision f64] [--rank R] [--no-calibration]
  Benchmarks/bench_plan.py CHECKPOINT --shapes shapes.json.gz --model Llama-3-70B

Calibrates on as many ranks as will run, plans, runs `frog-mpi mask`, and compares. With --shapes and --model it also prints the plan of a
whole model at the same rates; checkpoints/make_shapes.py writes such a list.
"""

import json
import sys
from pathlib import Path

import common


def main():
    parser = common.parser(__doc__)
    parser.add_argument("checkpoint", type=common.checkpoint)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--precision", default="f64", choices=["f64", "f32"])
    parser.add_argument("--rank", type=int, help="the rank of an approximation")
    parser.add_argument("--shapes", type=Path, help="a list of shapes")
    parser.add_argument("--model", help="a model of that list")
    parser.add_argument("--no-calibration", action="store_true", help="use the rates that were measured last")
    arguments = parser.parse_args()

    # 1. Measure the machine.
    if not arguments.no_calibration:
        calibrated = common.run(common.frog("plan", "--calibrate", "--threads", 1, ranks=arguments.ranks))
        print(f"{calibrated.output}calibrated in {calibrated.seconds:.0f} s", file=sys.stderr)

    # 2. Plan, and run.
    options = ["--precision", arguments.precision, *(["--rank", arguments.rank] if arguments.rank else []), "--threads", 1]
    layout = ["--ranks", arguments.ranks, "--ranks-per-node", arguments.ranks]
    planned = json.loads(common.run(common.frog("plan", arguments.checkpoint, *options, *layout, "--json")).output)["totals"]
    with common.scratch() as folder:
        out = folder / "out"
        whole = common.run(common.frog("mask", arguments.checkpoint, "--out", out, *options, "--quiet", ranks=arguments.ranks))
        record = common.document(out, "run.json")
        solvers = sorted({str(matrix["solver"]) for matrix in common.document(out, "frog.json")["matrices"]})

    # 3. Compare.
    measured = sum(max(phase["seconds"]) for phase in record["phases"])
    memory, expected = max(record["peak_anonymous_bytes"]), planned["peak_bytes_per_rank"]
    print(f"{common.command_line()}\n")
    table = common.Table("", "planned", "measured", "measured / planned")
    table.row(
        "seconds",
        f"{planned['seconds']:.1f}",
        f"{measured:.1f} (whole process {whole.seconds:.1f})",
        f"{measured / planned['seconds']:.2f}",
    )
    for phase in record["phases"]:
        table.row(f"… {phase['name']}", "", f"{max(phase['seconds']):.1f}", "")
    table.row("memory of a process, MB", f"{expected / 1e6:.0f}", f"{memory / 1e6:.0f}", f"{memory / expected:.2f}")
    print(f"\nsolvers: {', '.join(solvers)}")
    if arguments.shapes:
        for ranks in (1, 64, 512):
            layout = ["--ranks", ranks, "--ranks-per-node", min(ranks, 64), "--memory-per-rank", "4GiB"]
            named = ["--model", arguments.model] if arguments.model else []
            totals = json.loads(common.run(common.frog("plan", arguments.shapes, *named, *options, *layout, "--json")).output)["totals"]
            print(
                f"{arguments.model}, {ranks} ranks: {totals['seconds']:.0f} s, {totals['core_hours']:.1f} core hours, "
                f"efficiency {totals['efficiency']:.3f}"
            )


if __name__ == "__main__":
    main()
