#!/usr/bin/env python3
"""Times masks that are made of stored factors beside masks that decompose every matrix; prints a Markdown table.

  Benchmarks/bench_stored_factors.py [--checkpoint llama-1b-2-layers] [--ranks 2] [--repeats 3]

`factor` stores F32 and BF16 factors first, once each. Then runs of one mask take turns: with a decomposition and with either factors, of
the scores frog and lift. Ranks have one thread each. The ratio is that of medians of whole processes, to the run of the same score that
decomposes.
"""

import json
import statistics

import common


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--checkpoint", type=common.checkpoint, default="llama-1b-2-layers")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()

    with common.scratch() as folder:

        def run(command, name, *options):
            usual = ["--threads", 1, "--overwrite", "--quiet", *options]
            return common.frog(command, arguments.checkpoint, "--out", folder / name, *usual, ranks=arguments.ranks)

        seconds = {}
        for dtype in ("f32", "bf16"):
            name = f"factor --dtype {dtype}"
            for _, timed in common.by_turns(1, {name: run("factor", dtype, "--dtype", dtype)}):
                seconds[name] = [timed.seconds]
        ways = {"": (), " --factors, F32": ("--factors", folder / "f32"), " --factors, BF16": ("--factors", folder / "bf16")}
        scores = ("frog", "lift")
        masks = {f"mask --score {score}{way}": (score, options) for score in scores for way, options in ways.items()}
        commands = {name: run("mask", name.replace(" ", ""), "--score", score, *options) for name, (score, options) in masks.items()}
        peaks = {}
        for name, timed in common.by_turns(arguments.repeats, commands):
            seconds.setdefault(name, []).append(timed.seconds)
            statement = json.loads((folder / name.replace(" ", "") / "run.json").read_text())
            peaks[name] = max(statement["peak_anonymous_bytes"])

    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{common.command_line()}: medians of {arguments.repeats}, whole processes\n")
    table = common.Table("run", "s", "to the same score decomposed", "peak of a process")
    for name, value in medians.items():
        if name not in masks:
            table.row(name, f"{value:.2f}", "", "")
            continue
        ratio = value / medians[f"mask --score {masks[name][0]}"]
        table.row(name, f"{value:.2f}", f"{ratio:.3f}", f"{peaks[name] / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
