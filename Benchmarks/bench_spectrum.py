#!/usr/bin/env python3
"""Measures seconds for the singular values of square matrices, by how many of them the Gram matrix does not resolve.

  Benchmarks/bench_spectrum.py [--orders 1024,2048,4096] [--repeats 3] [--threads 1] [--fits 200]

1. `frog-mpi analyze` on one rank, by turns, on matrices that differ in their small singular values alone: all are resolved; a few are not,
   as in most square matrices of noise and one large direction; a tenth are zero. The first is done with the Gram matrix, the second with
   an inverse too, the third with a bidiagonal form (docs/decisions/0012).
2. A power-law fit of 16,384 eigenvalues, those of a convolution with 64 positions of order 256: with a p-value of so many drawn spectra and
   without.
3. LAPACK's two ways to a tridiagonal form, directly and by way of a band, in one process and in as many at the same time as there are
   processors (docs/decisions/0013).

Prints Markdown. Leave the machine alone meanwhile.
"""

import concurrent.futures
import csv
import ctypes
import os
import subprocess
import time

import numpy as np
from safetensors.numpy import save_file

import common

KINDS = ("all resolved", "a few not", "a tenth zero")


def matrix(kind, order):
    generator = np.random.default_rng(order)
    sides = generator.standard_normal((2, order))
    found = generator.standard_normal((order, order)) + 20 / order**0.5 * np.outer(*sides)
    if kind == KINDS[0]:
        found += 3 * order**0.5 * np.eye(order)
    if kind == KINDS[2]:
        found[:, : order // 10] = 0
    return found.astype(np.float32)


def checkpoint(folder, tensors):
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    return folder


def analyze(source, out, threads, *options):
    return common.frog("analyze", source, "--out", out, "--threads", threads, "--overwrite", "--quiet", *options)


def spectra(folder, orders, threads, repeats):
    """The stage that decomposes, for every order and kind, and the smallest singular value over the largest."""
    table = common.Table("order", "matrix", "seconds", "ratio", "σ_min/σ₁")
    for order in orders:
        sources = {kind: checkpoint(folder / f"{order} {kind}", {"layers.0.q_proj.weight": matrix(kind, order)}) for kind in KINDS}
        outs = {kind: folder / f"out {order} {kind}" for kind in KINDS}
        best = dict.fromkeys(KINDS, float("inf"))
        for kind, _ in common.by_turns(repeats, {kind: analyze(sources[kind], outs[kind], threads) for kind in KINDS}):
            best[kind] = min(best[kind], common.phase_seconds(outs[kind], "spectra"))
        for kind in KINDS:
            with open(outs[kind] / "details.csv", newline="") as file:
                row = next(csv.DictReader(file))
            smallest = float(row["sv_min"]) / float(row["sv_max"])
            table.row(order, kind, f"{best[kind]:.2f}", f"{best[kind] / best[KINDS[0]]:.2f}", f"{smallest:.1e}")


def fits(folder, threads, repeats, count):
    """Milliseconds to draw, sort and fit a spectrum."""
    kernel = np.random.default_rng(0).standard_normal((256, 256, 8, 8)).astype(np.float32)
    source, out = checkpoint(folder / "fits", {"layers.0.conv.weight": kernel}), folder / "out fits"
    best = {}
    options = {"plain": ["--conv"], "with fits": ["--conv", "--p-value", count]}
    for name, _ in common.by_turns(repeats, {name: analyze(source, out, threads, *more) for name, more in options.items()}):
        best[name] = min(best.get(name, float("inf")), common.phase_seconds(out, "spectra"))
    return 1000 * (best["with fits"] - best["plain"]) / count


def reduction(order, in_stages, program):
    """Seconds of dsytrd, or dsytrd_2stage, in the BLAS that the program uses, on one thread."""
    linked = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    blas = ctypes.CDLL(next(line.split()[2] for line in linked.splitlines() if "openblas" in line))
    blas.openblas_set_num_threads(1)
    noise = np.random.default_rng(order).standard_normal((order, order))
    gram = np.asfortranarray(noise @ noise.T)
    vectors = np.zeros((3, order))
    n, info = ctypes.c_int(order), ctypes.c_int(0)

    def call(*rooms):
        """Calls it with the vectors d, e and tau, and with workspaces and their sizes; a room of one asks for the size."""
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (gram, *vectors, *rooms)]
        sizes = [ctypes.byref(ctypes.c_int(room.size if room.size > 1 else -1)) for room in rooms]
        work = [word for pair in zip(pointers[4:], sizes) for word in pair]
        names = (b"N", b"L") if in_stages else (b"L",)
        function = blas.dsytrd_2stage_ if in_stages else blas.dsytrd_
        function(*names, ctypes.byref(n), pointers[0], ctypes.byref(n), *pointers[1:4], *work, ctypes.byref(info), *(1 for _ in names))

    rooms = [np.zeros(1), np.zeros(1)] if in_stages else [np.zeros(1)]
    call(*rooms)
    rooms = [np.zeros(int(room[0])) for room in rooms]
    started = time.perf_counter()
    call(*rooms)
    assert info.value == 0
    return time.perf_counter() - started


def reductions(orders, repeats):
    table = common.Table("order", "processes", "direct, s", "by way of a band, s", "ratio")
    for order in orders:
        for processes in sorted({1, os.cpu_count() or 1}):
            best = [float("inf")] * 2
            with concurrent.futures.ProcessPoolExecutor(processes) as pool:
                for _ in range(repeats):
                    for in_stages in (False, True):
                        times = pool.map(reduction, *([same] * processes for same in (order, in_stages, common.program())))
                        best[in_stages] = min(best[in_stages], max(times))
            table.row(order, processes, f"{best[0]:.2f}", f"{best[1]:.2f}", f"{best[0] / best[1]:.2f}")


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--orders", type=common.numbers, default="1024,2048,4096", help="sizes of the matrices, with commas between")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fits", type=int, default=200, help="how many fits are timed")
    arguments = parser.parse_args()
    print(f"{common.command_line()}\n")
    with common.scratch() as folder:
        spectra(folder, arguments.orders, arguments.threads, arguments.repeats)
        milliseconds = fits(folder, arguments.threads, arguments.repeats, arguments.fits)
        print(f"\n{milliseconds:.1f} ms to draw, sort and fit 16,384 eigenvalues\n")
    reductions(arguments.orders, arguments.repeats)


if __name__ == "__main__":
    main()
