#!/usr/bin/env python3
"""Times two builds of frog-mpi side by side: whether a change made it slower; prints a Markdown table.

  Benchmarks/bench_builds.py OTHER [--checkpoint llama-1b-2-layers] [--repeats 5] [--runs f64,f32,analyze] [--cold]

OTHER is the program before the change; the program after it is the one that FROG_MPI names. Two ranks of one thread run exact masks in
double and in single precision and `analyze`, by turns. The ratio is new over old: the median over pairs of runs, one after the other, in
brackets the least and the largest. With --cold no weight is in the page cache when a run starts: the times then include reading.
"""

import statistics
from pathlib import Path

import common

RUNS = {
    "f64": ["mask", "--budget", "1%", "--precision", "f64"],
    "f32": ["mask", "--budget", "1%", "--precision", "f32"],
    "analyze": ["analyze"],
}


def main():
    parser = common.parser(__doc__)
    parser.add_argument("other", type=Path, help="the program that the other is held against")
    parser.add_argument("--checkpoint", type=common.checkpoint, default="llama-1b-2-layers")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--runs", type=lambda text: text.split(","), default=list(RUNS), help="some of f64, f32, analyze (default: all)")
    parser.add_argument("--cold", action="store_true", help="drop the page cache before every run")
    arguments = parser.parse_args()
    files = [arguments.checkpoint] if arguments.checkpoint.is_file() else sorted(arguments.checkpoint.glob("*.safetensors"))
    if unknown := set(arguments.runs) - RUNS.keys():
        parser.error(f"there is no run {', '.join(sorted(unknown))}")

    builds = {"before": arguments.other, "after": common.program()}
    seconds = {f"{run} {build}": [] for run in arguments.runs for build in builds}
    with common.scratch() as folder:
        options = ["--threads", 1, "--overwrite", "--quiet"]
        commands = {
            f"{run} {build}": common.frog(
                RUNS[run][0], arguments.checkpoint, "--out", folder / f"{run}-{build}", *RUNS[run][1:], *options, ranks=2, build=program
            )
            for run in arguments.runs
            for build, program in builds.items()
        }
        before = (lambda: common.drop_cache(*files)) if arguments.cold else (lambda: None)
        for name, timed in common.by_turns(arguments.repeats, commands, before):
            seconds[name].append(timed.seconds)

    print(f"{common.command_line()}: medians of {arguments.repeats}, whole processes\n")
    table = common.Table("", "before, s", "after, s", "after / before")
    for run in arguments.runs:
        old, new = seconds[f"{run} before"], seconds[f"{run} after"]
        ratios = [mine / other for mine, other in zip(new, old)]
        ratio = f"{statistics.median(ratios):.3f} ({min(ratios):.3f}–{max(ratios):.3f})"
        table.row(run, f"{statistics.median(old):.2f}", f"{statistics.median(new):.2f}", ratio)


if __name__ == "__main__":
    main()
