#!/usr/bin/env python3
"""Times frog-mpi side by side with what a user would write in Python, and prints Markdown tables.

  Benchmarks/bench_peers.py [--repeats 3]              masks, beside PyTorch (peers/torch_masks.py)
  Benchmarks/bench_peers.py --spectra [--repeats 3]    `analyze`, beside WeightWatcher (peers/weightwatcher_metrics.py)

The checkpoint is two layers of a Llama of 1B (121 M weights, BF16), or the one that --checkpoint names. The peer gets two threads,
frog-mpi two ranks of one thread; runs go by turns, whole processes are timed, and the best of each is compared.

A ratio says something only if nobody else used the processors. So the processor time of other processes is measured too; where it is
more than 5% of the machine during one of the best runs, the figures are called disturbed and no verdict is given.

Exit: 0 done, 1 a figure misses its threshold, 75 the machine was too busy to tell.
"""

import re
import sys

import common
import reference

# (precision, peer) → how many times faster frog-mpi has to be.
THRESHOLDS = {("f64", "svd"): 2.7, ("f64", "gram"): 1.3, ("f32", "svd"): 4.0, ("f32", "gram"): 1.9}
METHODS = ("svd", "gram")
SELECTION_SHARE = 0.03  # how much of a run selection and masks may take
# How many times faster and smaller `analyze` has to be than WeightWatcher.
SPECTRA_TIME, SPECTRA_MEMORY = 4, 3
DISTURBED = 0.05  # the share of the machine's processors that others may take during a run


def largest_order(folder):
    """The larger of the smaller sides of all matrices: the order of the largest Gram matrix."""
    return max(min(tensor.shape) for tensor in reference.checkpoint_tensors(folder) if len(tensor.shape) == 2)


def selection_share(record):
    """The share of the ranks' time that went into selecting and writing masks."""
    seconds = {phase["name"]: sum(phase["seconds"]) for phase in record["phases"]}
    return (seconds["selection"] + seconds["masks"]) / sum(seconds.values())


def peer_memory(run):
    """Bytes that a peer had in memory at its peak."""
    return int(re.search(r"peak_mib=(\d+)", run.output)[1]) << 20


def disturbed(best):
    """The names of the best runs during which others used the processors."""
    return [name for name, run in best.items() if run.others > DISTURBED]


def times(run):
    return f"{run.seconds:.2f}", f"{run.cpu:.2f}", f"{run.others:.0%}"


def head(repeats):
    print(f"\n{common.command_line()}: best of {repeats}, whole processes, in seconds\n")


def compare_spectra(checkpoint, repeats):
    """Holds time and memory of `analyze` against WeightWatcher's; returns whether it was met, and who was disturbed."""
    theirs, ours = "WeightWatcher, 2 threads", "frog-mpi analyze, 2 ranks × 1 thread"
    with common.scratch() as out:
        best = common.fastest(
            repeats,
            {
                theirs: common.peer("weightwatcher_metrics.py", checkpoint, "--threads", 2),
                ours: common.frog("analyze", checkpoint, "--out", out, "--threads", 1, "--overwrite", "--quiet", ranks=2),
            },
        )
        memory = {theirs: peer_memory(best[theirs]), ours: sum(common.document(out, "run.json")["peak_anonymous_bytes"])}
        alpha = common.document(out, "summary.json")["summary"]["alpha"]
    alphas = {theirs: re.search(r"mean_alpha=(\S+)", best[theirs].output)[1], ours: f"{alpha:.6f}"}
    head(repeats)
    table = common.Table("", "seconds", "CPU", "others", "memory of all processes, MB", "mean alpha")
    for name, run in best.items():
        table.row(name, *times(run), f"{memory[name] / 1e6:.0f}", alphas[name])
    time_ratio, memory_ratio = best[theirs].seconds / best[ours].seconds, memory[theirs] / memory[ours]
    is_met = time_ratio >= SPECTRA_TIME and memory_ratio >= SPECTRA_MEMORY
    said = "disturbed" if disturbed(best) else common.verdict(is_met)
    print(f"\nTime {time_ratio:.2f} (wanted {SPECTRA_TIME}), memory {memory_ratio:.2f} (wanted {SPECTRA_MEMORY}): {said}")
    return is_met or bool(disturbed(best)), disturbed(best)


def compare_masks(checkpoint, repeats):
    """Holds time and memory of `mask` against PyTorch's; returns whether all was met, and who was disturbed."""
    budget = ["--budget", "1%"]
    with common.scratch() as folder:
        outs = {precision: folder / precision for precision in ("f64", "f32")}
        commands = {
            f"torch {method}": common.peer("torch_masks.py", checkpoint, *budget, "--threads", 2, "--method", method) for method in METHODS
        }
        options = [*budget, "--threads", 1, "--overwrite", "--quiet"]
        for precision, out in outs.items():
            mask = ["mask", checkpoint, "--out", out, "--precision", precision, *options]
            commands[f"frog-mpi {precision}"] = common.frog(*mask, ranks=2)
        best = common.fastest(repeats, commands)
        records = {precision: common.document(out, "run.json") for precision, out in outs.items()}
        sizes = {precision: sum(file.stat().st_size for file in out.iterdir()) for precision, out in outs.items()}

    # 1. Time.
    all_met, busy = True, disturbed(best)
    head(repeats)
    table = common.Table("", "seconds", "CPU", "others", "against torch svd", "wanted", "against torch gram", "wanted", "met")
    for method in METHODS:
        table.row(f"torch {method}, 2 threads", *times(best[f"torch {method}"]), "", "", "", "", "")
    for precision in outs:
        run = best[f"frog-mpi {precision}"]
        ratios = {method: best[f"torch {method}"].seconds / run.seconds for method in METHODS}
        is_met = all(ratio >= THRESHOLDS[precision, method] for method, ratio in ratios.items())
        all_met &= is_met or bool(busy)
        cells = [cell for method, ratio in ratios.items() for cell in (f"{ratio:.2f}", THRESHOLDS[precision, method])]
        name = f"frog-mpi {precision}, 2 ranks × 1 thread"
        table.row(name, *times(run), *cells, "disturbed" if busy else common.verdict(is_met))

    # 2. What does not depend on who else is there.
    limit = 6 * largest_order(checkpoint) ** 2 * 8 + 150e6
    print()
    table = common.Table("", "selection and masks", "wanted", "anonymous memory by rank, MB", "wanted", "output, MB", "met")
    for precision, record in records.items():
        share, peaks = selection_share(record), record["peak_anonymous_bytes"]
        is_met = share <= SELECTION_SHARE and max(peaks) <= limit
        all_met &= is_met
        table.row(
            f"frog-mpi {precision}", f"{share:.1%}", f"≤ {SELECTION_SHARE:.0%}", ", ".join(f"{peak / 1e6:.0f}" for peak in peaks),
            f"≤ {limit / 1e6:.0f}", f"{sizes[precision] / 1e6:.1f}", common.verdict(is_met),
        )  # fmt: skip
    for method in METHODS:
        table.row(f"torch {method}", "", "", f"{peer_memory(best[f'torch {method}']) / 1e6:.0f} in all", "", "", "")
    return all_met, busy


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--spectra", action="store_true", help="compare `analyze` with WeightWatcher")
    parser.add_argument("--checkpoint", type=common.checkpoint, default="llama-1b-2-layers")
    arguments = parser.parse_args()
    compare = compare_spectra if arguments.spectra else compare_masks
    all_met, busy = compare(arguments.checkpoint, arguments.repeats)
    if busy:
        print(f"\nDisturbed: others used the processors during the best run of {', '.join(busy)}.")
        print("The ratios mean nothing; repeat on a quiet machine.")
    sys.exit(1 if not all_met else 75 if busy else 0)


if __name__ == "__main__":
    main()
