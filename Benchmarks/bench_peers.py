#!/usr/bin/env python3
"""Times frog-mpi side by side with what a user would write in PyTorch, and prints a Markdown table.

The checkpoint has the shapes of two layers of a 1B Llama (121 M weights, BF16). PyTorch gets two threads, frog-mpi two
ranks of one thread; all runs are interleaved, whole processes are timed, and the best of each is compared. Needs
peers/make_checkpoint.py and peers/torch_frog.py in the shared folder.

A ratio says something only if nobody else used the cores. So the CPU time that other processes took during each run is
measured too; where it is more than 5% of the machine, the figures are called disturbed and no verdict is given.

With --spectra, `frog-mpi analyze` side by side with WeightWatcher instead, on the same checkpoint.

  scripts/bench-peers [--shared ../shared] [--repeats 3] [--spectra]

Exit 1 if a figure misses its threshold, 75 if the machine was too busy to tell.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "frog-mpi"
CACHE = Path(os.environ.get("FROG_MPI_CACHE") or HOME_CACHE)

# (precision, peer) → how many times faster frog-mpi has to be.
THRESHOLDS = {("f64", "svd"): 2.7, ("f64", "gram"): 1.3, ("f32", "svd"): 4.0, ("f32", "gram"): 1.9}
SELECTION_SHARE = 0.03
# How many times faster and smaller `analyze` has to be than WeightWatcher.
SPECTRA_TIME, SPECTRA_MEMORY = 4, 3
BUDGET = "0.01"
DISTURBED = 0.05  # share of the machine's CPU time that others may take during a run


@dataclass
class Timing:
    seconds: float
    cpu: float  # user and system time of the command and its children
    others: float  # share of the machine's CPU time that went to other processes
    output: str


def machine_busy():
    """CPU seconds that all processes together have used since boot (Linux)."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(command, environment=None):
    """Times a command that has to succeed."""
    command = [str(part) for part in command]
    start, busy, cpu = time.perf_counter(), machine_busy(), children_cpu()
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | (environment or {}))
    seconds, busy, cpu = time.perf_counter() - start, machine_busy() - busy, children_cpu() - cpu
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return Timing(seconds, cpu, max(0.0, busy - cpu) / (seconds * os.cpu_count()), done.stdout)


def checkpoint(python, shared):
    folder = CACHE / "llama-1b-2-layers"
    if not (folder / "config.json").exists():  # written last
        run([python, shared / "peers/make_checkpoint.py", folder, "--preset", "llama-1b", "--layers", 2])
    return folder


def largest_side(folder):
    """The larger of the smaller sides of all matrices: the order of the largest Gram matrix."""
    sides = []
    for file in folder.glob("*.safetensors"):
        with open(file, "rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        header.pop("__metadata__", None)
        sides += [min(entry["shape"]) for entry in header.values() if len(entry["shape"]) == 2]
    return max(sides)


def frog_command(frog, folder, out, precision):
    return [
        "mpirun", "-n", 2, frog, "mask", folder, "--out", out, "--budget", BUDGET, "--precision", precision,
        "--threads", 1, "--overwrite", "--quiet",
    ]  # fmt: skip


def selection_share(record):
    """Share of the ranks' time that went into selecting and writing masks."""
    seconds = {phase["name"]: sum(phase["seconds"]) for phase in record["phases"]}
    last = sum(value for name, value in seconds.items() if re.search("select|mask|writ", name))
    return last / sum(seconds.values())


def cells_of(timing):
    return f"{timing.seconds:.2f} | {timing.cpu:.2f} | {timing.others:.0%}"


def verdict(ok):
    return "yes" if ok else "**no**"


def best_of(repeats, commands, environment):
    """The fastest run of each command, all by turns."""
    best = {}
    for repeat in range(repeats):
        for name, command in commands.items():
            timing = run(command, environment)
            best[name] = min(timing, best.get(name, timing), key=lambda t: t.seconds)
            print(
                f"{repeat + 1}/{repeats}  {name}  {timing.seconds:.2f} s, CPU {timing.cpu:.2f} s, others {timing.others:.0%}",
                file=sys.stderr,
            )
    return best


def compare_spectra(python, frog, folder, environment, repeats):
    """Time and memory of `analyze` against WeightWatcher's; returns the exit status."""
    out = CACHE / "bench-spectra"
    theirs, ours = "WeightWatcher, 2 threads", "frog-mpi analyze, 2 ranks × 1 thread"
    commands = {
        theirs: [python, ROOT / "scripts/peer-weightwatcher", folder, "--threads", 2],
        ours: ["mpirun", "-n", 2, frog, "analyze", folder, "--out", out, "--threads", 1, "--overwrite", "--quiet"],
    }
    best = best_of(repeats, commands, environment)
    disturbed = any(timing.others > DISTURBED for timing in best.values())
    peaks = {
        theirs: int(re.search(r"peak_mib=(\d+)", best[theirs].output)[1]) * 1.048576,
        ours: sum(json.loads((out / "run.json").read_text())["peak_anonymous_bytes"]) / 1e6,
    }
    time_ratio = best[theirs].seconds / best[ours].seconds
    memory_ratio = peaks[theirs] / peaks[ours]
    held = time_ratio >= SPECTRA_TIME and memory_ratio >= SPECTRA_MEMORY
    print(f"\n`scripts/bench-peers --spectra --repeats {repeats}`: best of {repeats}, whole processes, in seconds\n")
    print("| | seconds | CPU | others | memory of all processes, MB | mean alpha |\n|---|---|---|---|---|---|")
    alphas = {
        theirs: re.search(r"mean_alpha=(\S+)", best[theirs].output)[1],
        ours: f"{json.loads((out / 'summary.json').read_text())['summary']['alpha']:.6f}",
    }
    for name, timing in best.items():
        print(f"| {name} | {cells_of(timing)} | {peaks[name]:.0f} | {alphas[name]} |")
    said = "disturbed" if disturbed else verdict(held)
    print(f"\nTime {time_ratio:.2f} (wanted {SPECTRA_TIME}), memory {memory_ratio:.2f} (wanted {SPECTRA_MEMORY}): {said}")
    return 75 if disturbed else 0 if held else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--spectra", action="store_true", help="compare with WeightWatcher")
    arguments = parser.parse_args()
    if not (arguments.shared / "peers/torch_frog.py").exists():
        sys.exit(f"{arguments.shared}/peers/torch_frog.py is not there; name the folder with --shared")

    subprocess.run([ROOT / "scripts/setup", "--peers"], check=True)
    python = CACHE / "venv/bin/python"
    frog = os.environ.get("FROG_MPI")
    if not frog:
        build = ["swift", "build", "-c", "release", "--package-path", ROOT]
        subprocess.run([*build, "--product", "frog-mpi"], check=True)
        frog = Path(run([*build, "--show-bin-path"]).output.strip()) / "frog-mpi"
    folder = checkpoint(python, arguments.shared)
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {}

    if arguments.spectra:
        sys.exit(compare_spectra(python, frog, folder, root, arguments.repeats))
    peer = [python, arguments.shared / "peers/torch_frog.py", folder, "--budget", BUDGET, "--threads", 2, "--method"]
    outputs = {precision: CACHE / f"bench-{precision}" for precision in ("f64", "f32")}
    commands = {f"torch {method}": [*peer, method] for method in ("svd", "gram")}
    commands |= {f"frog-mpi {p}": frog_command(frog, folder, out, p) for p, out in outputs.items()}
    best = best_of(arguments.repeats, commands, root)

    disturbed = [name for name, timing in best.items() if timing.others > DISTURBED]
    held = True
    print(f"\n`scripts/bench-peers --repeats {arguments.repeats}`: best of {arguments.repeats}, whole processes, in seconds\n")
    print(
        "| | seconds | CPU | others | against torch svd | wanted | against torch gram | wanted | met |\n|---|---|---|---|---|---|---|---|---|"
    )
    for method in ("svd", "gram"):
        print(f"| torch {method}, 2 threads | {cells_of(best[f'torch {method}'])} | | | | | |")
    for precision in outputs:
        timing = best[f"frog-mpi {precision}"]
        ratios = {method: best[f"torch {method}"].seconds / timing.seconds for method in ("svd", "gram")}
        ok = all(ratio >= THRESHOLDS[precision, method] for method, ratio in ratios.items())
        held &= ok or bool(disturbed)
        cells = " | ".join(f"{ratio:.2f} | {THRESHOLDS[precision, method]}" for method, ratio in ratios.items())
        print(f"| frog-mpi {precision}, 2 ranks × 1 thread | {cells_of(timing)} | {cells} | {'disturbed' if disturbed else verdict(ok)} |")

    limit = 6 * largest_side(folder) ** 2 * 8 + 150e6
    print("\n| | selection and masks | wanted | anonymous memory by rank, MB | wanted | output, MB | met |\n|---|---|---|---|---|---|---|")
    for precision, out in outputs.items():
        record = json.loads((out / "run.json").read_text())
        share, peaks = selection_share(record), record["peak_anonymous_bytes"]
        ok = share <= SELECTION_SHARE and max(peaks) <= limit
        held &= ok
        size = sum(file.stat().st_size for file in out.iterdir())
        print(
            f"| frog-mpi {precision} | {share:.1%} | ≤ {SELECTION_SHARE:.0%} | {', '.join(f'{p / 1e6:.0f}' for p in peaks)} "
            f"| ≤ {limit / 1e6:.0f} | {size / 1e6:.1f} | {verdict(ok)} |"
        )
    for method in ("svd", "gram"):
        peak = re.search(r"peak_mib=(\d+)", best[f"torch {method}"].output)
        print(f"| torch {method} | | | {int(peak[1]) * 1.048576:.0f} in all | | | |")
    if disturbed:
        print(
            f"\nDisturbed: others used the cores during the best run of {', '.join(disturbed)}. The ratios mean nothing; repeat on a quiet machine."
        )
    sys.exit(1 if not held else 75 if disturbed else 0)


if __name__ == "__main__":
    main()
