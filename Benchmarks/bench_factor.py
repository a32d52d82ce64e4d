#!/usr/bin/env python3
"""Times `factor` beside torch.linalg.svd, and beside PEFT's PiSSA; prints Markdown tables.

  Benchmarks/bench_factor.py [--repeats 2]                   all factors, beside torch.linalg.svd (peers/torch_factors.py)
  Benchmarks/bench_factor.py --pissa [--repeats 2]           128 triplets, beside PEFT's PiSSA (peers/peft_pissa.py)
  Benchmarks/bench_factor.py --pissa --export [--repeats 2]  the same, and `export pissa`, where the program has it

The checkpoint is two layers of a Llama of 1B (121 M weights, BF16), or the one that --checkpoint names. The peer gets two threads,
frog-mpi two ranks of one thread; runs go by turns, whole processes are timed, and the best of each is compared. Every one reads the
checkpoint and writes what it has found. OpenBLAS chooses its kernels by the processor, as torch's library does: OPENBLAS_CORETYPE is not
handed on, unless --kernels names some. Memory is the anonymous memory of all processes together, looked at 50 times a second.

The residual is ‖W − U·Σ·Vᵀ‖_F ÷ ‖W‖_F and the error of orthogonality the larger of ‖UᵀU − I‖_F and ‖VᵀV − I‖_F, the largest of all
matrices, computed in double from what was written.

Exit: 0 done, 1 a figure misses its threshold, 75 others used more than 5% of the machine during a best run.
"""

import os
import re
import sys
import threading
import time
from pathlib import Path

import numpy as np

import common
import reference

SPEED = {"torch.linalg.svd": 3, "PEFT pissa": 3, "PEFT pissa_niter_16": 1}  # how many times faster frog-mpi has to be
MEMORY = 4  # how many times smaller
DISTURBED = 0.05
OURS = "2 ranks × 1 thread"


class Memory:
    """The most anonymous memory that all descendants of this process have together between `begin` and `end`."""

    def begin(self):
        self.peak, self.ended = 0, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def end(self):
        """The peak in bytes."""
        self.ended.set()
        self.thread.join()
        return self.peak

    def watch(self):
        while not self.ended.wait(0.02):
            self.peak = max(self.peak, sum(self.anonymous()))

    @staticmethod
    def anonymous():
        """Bytes of anonymous memory of each descendant."""
        found = {}
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
            except OSError:
                continue
            if "RssAnon" in fields:
                found[int(fields["Pid"])] = (int(fields["PPid"]), int(fields["RssAnon"].split()[0]) << 10)
        for pid, (parent, size) in found.items():
            while parent in found and parent != os.getpid():
                parent = found[parent][0]
            if parent == os.getpid() and pid != os.getpid():
                yield size


def fastest(repeats, commands):
    """The fastest run of each command and its memory, all run by turns: name → (`Run`, bytes)."""
    best, memory = {}, Memory()
    for name, timed in common.by_turns(repeats, commands, before=memory.begin):
        peak = memory.end()
        if name not in best or timed.seconds < best[name][0].seconds:
            best[name] = (timed, peak)
    return best


def matrices(folder):
    """Every matrix of a checkpoint in double, by its name."""
    return {tensor.name: tensor for tensor in reference.checkpoint_tensors(folder) if len(tensor.shape) == 2}


def written(folder):
    """Every tensor of all safetensors files in a folder and below, by its name."""
    return {tensor.name: tensor for file in sorted(Path(folder).rglob("*.safetensors")) for tensor in reference.read_header(file)}


def factors(tensors, name):
    """U, Σ and Vᵀ in double, as frog-mpi and the peer write them."""
    u, s, vt = (tensors[f"{name}.{part}"].read().astype(np.float64) for part in ("u", "s", "vt"))
    return u, s, vt


def adapter(tensors, name):
    """B, 1, A of an adapter of PEFT: the product is what it adds."""
    a, b = (tensors[f"base_model.model.{name.removesuffix('.weight')}.lora_{part}.weight"].read() for part in "AB")
    return b.astype(np.float64), np.ones(len(a)), a.astype(np.float64)


def quality(checkpoint, out, parts):
    """The largest residual and the largest error of orthogonality of all matrices."""
    tensors, residual, disorder = written(out), 0.0, 0.0
    for name, tensor in matrices(checkpoint).items():
        weights = tensor.read().astype(np.float64)
        u, s, vt = parts(tensors, name)
        residual = max(residual, np.linalg.norm(weights - u * s @ vt) / np.linalg.norm(weights))
        disorder = max(disorder, *(np.linalg.norm(a.T @ a - np.eye(len(s))) for a in (u, vt.T)))
    return residual, disorder


def inner_seconds(run):
    """The seconds of the decomposition alone, as a peer tells them; None for frog-mpi."""
    found = re.search(r"(?:svd|init)_s=(\S+)", run.output)
    return float(found[1]) if found else None


def compare(checkpoint, commands, outs, parts, repeats):
    """Prints the table of all commands; returns whether all was met, and who was disturbed."""
    best = fastest(repeats, commands)
    kernels = next((common.document(out, "run.json")["blas"] for out in outs.values() if (out / "run.json").exists()), "unknown BLAS")
    print(f"\n{common.command_line()}: best of {repeats}, whole processes; {kernels}\n")
    columns = ["", "seconds", "the decomposition alone", "CPU", "others", "memory, MB", "residual", "orthogonality"]
    table = common.Table(*columns)
    found = {name: quality(checkpoint, outs[name], parts[name]) for name in commands}
    for name, (run, memory) in best.items():
        residual, disorder = found[name]
        inner = inner_seconds(run)
        orthogonality = f"{disorder:.1e}" if parts[name] is factors else ""
        table.row(
            name, f"{run.seconds:.2f}", f"{inner:.2f}" if inner else "", f"{run.cpu:.2f}", f"{run.others:.0%}", f"{memory / 1e6:.0f}",
            f"{residual:.2e}" if residual < 1e-3 else f"{residual:.6f}", orthogonality,
        )  # fmt: skip
    disturbed = [name for name, (run, _) in best.items() if run.others > DISTURBED]
    print()
    table = common.Table(
        "", "beside", "times as fast", "wanted", "as its decomposition alone", "of its memory", "wanted", "residual no larger", "met"
    )
    all_met = True
    for ours in (name for name in commands if name.startswith("frog-mpi")):
        for theirs in (name for name in commands if name in SPEED):
            speed = best[theirs][0].seconds / best[ours][0].seconds
            memory = best[ours][1] / best[theirs][1]
            is_better = found[ours][0] <= found[theirs][0] * (1 + 1e-6)
            is_met = speed >= SPEED[theirs] and memory <= 1 / MEMORY and is_better
            all_met &= is_met
            alone = inner_seconds(best[theirs][0]) / best[ours][0].seconds
            table.row(
                ours, theirs, f"{speed:.2f}", f"≥ {SPEED[theirs]}", f"{alone:.2f}", f"{memory:.2f}", f"≤ {1 / MEMORY}",
                common.verdict(is_better), "disturbed" if disturbed else common.verdict(is_met),
            )  # fmt: skip
    return all_met or bool(disturbed), disturbed


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--checkpoint", type=common.checkpoint, default="llama-1b-2-layers")
    parser.add_argument("--pissa", action="store_true", help="compare 128 triplets with PEFT's PiSSA")
    parser.add_argument("--kernels", help="the kernels of OpenBLAS, such as Haswell (default: those that it chooses)")
    parser.add_argument("--export", action="store_true", help="with --pissa: run `frog-mpi export pissa` too")
    arguments = parser.parse_args()
    checkpoint = arguments.checkpoint
    os.environ.pop("OPENBLAS_CORETYPE", None)
    if arguments.kernels:
        os.environ["OPENBLAS_CORETYPE"] = arguments.kernels
    options = ["--threads", 1, "--overwrite", "--quiet"]
    with common.scratch() as folder:
        commands, outs, parts = {}, {}, {}

        def add(name, command, out, read):
            commands[name], outs[name], parts[name] = command, out, read

        if arguments.pissa:
            for init in ("pissa", "pissa_niter_16"):
                out = folder / init
                add(f"PEFT {init}", common.peer("peft_pissa.py", checkpoint, out, "--init", init, "--threads", 2), out, adapter)
            out = folder / "factors"
            factor = ["factor", checkpoint, "--out", out, "--rank", 128]
            add(f"frog-mpi factor --rank 128, {OURS}", common.frog(*factor, *options, ranks=2), out, factors)
            if arguments.export:
                out = folder / "export"
                export = ["export", "pissa", checkpoint, "--out", out, "--rank", 128, "--alpha", 128, "--target-modules", "all-linear"]
                add(f"frog-mpi export pissa, {OURS}", common.frog(*export, *options, ranks=2), out, adapter)
        else:
            for name, lean in (("torch.linalg.svd", []), ("torch.linalg.svd, a file a matrix", ["--lean"])):
                out = folder / f"torch{len(lean)}"
                add(name, common.peer("torch_factors.py", checkpoint, out, "--threads", 2, *lean), out, factors)
            out = folder / "factors"
            add(f"frog-mpi factor, {OURS}", common.frog("factor", checkpoint, "--out", out, *options, ranks=2), out, factors)
        started = time.perf_counter()
        all_met, disturbed = compare(checkpoint, commands, outs, parts, arguments.repeats)
        print(f"{time.perf_counter() - started:.0f} s in all", file=sys.stderr)
    if disturbed:
        print(f"\nDisturbed: others used the processors during the best run of {', '.join(disturbed)}.")
    sys.exit(1 if not all_met else 75 if disturbed else 0)


if __name__ == "__main__":
    main()
