#!/usr/bin/env python3
"""Times one run that makes several masks beside the runs that make each of them; prints a Markdown table.

  Benchmarks/bench_masks.py [--checkpoint llama-1b-2-layers] [--budgets 0.1%,1%,5%] [--selects global,matrix,uniform] [--repeats 3]

Two ranks of one thread run exact masks: all at once, and each alone, by turns. The ratio is that of the run of all to the dearest alone,
of medians. A last row makes the dearest mask without histograms.
"""

import statistics

import common


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--checkpoint", type=common.checkpoint, default="llama-1b-2-layers")
    parser.add_argument("--budgets", default="0.1%,1%,5%")
    parser.add_argument("--selects", default="global,matrix,uniform")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()

    def mask(folder, budgets, selects, *more):
        options = ["--budget", budgets, "--select", selects, "--threads", 1, "--overwrite", "--quiet", *more]
        return common.frog("mask", arguments.checkpoint, "--out", folder, *options, ranks=2)

    alone = [(select, budget) for select in arguments.selects.split(",") for budget in arguments.budgets.split(",")]
    with common.scratch() as folder:
        commands = {f"{select}, {budget}": mask(folder / f"{select}-{budget}", budget, select) for select, budget in alone}
        commands["all"] = mask(folder / "all", arguments.budgets, arguments.selects)
        select, budget = alone[-1]
        plain = f"{select}, {budget}, without histograms"
        commands[plain] = mask(folder / "plain", budget, select, "--no-histograms")
        seconds = {name: [] for name in commands}
        for name, timed in common.by_turns(arguments.repeats, commands):
            seconds[name].append(timed.seconds)

    medians = {name: statistics.median(values) for name, values in seconds.items()}
    dearest = max(medians[f"{select}, {budget}"] for select, budget in alone)
    print(f"{common.command_line()}: medians of {arguments.repeats}, whole processes\n")
    table = common.Table("masks", "s", "to the dearest alone")
    for name, value in medians.items():
        table.row(name, f"{value:.2f}", f"{value / dearest:.3f}")


if __name__ == "__main__":
    main()
