#!/usr/bin/env python3
"""Seconds for the singular values of square matrices, by how many of them the Gram matrix does not resolve.

  scripts/bench-spectrum [--orders 1024,2048,4096] [--repeats 3] [--threads 1] [--fits 200]

Runs `frog-mpi analyze` on one rank, by turns, on matrices that differ in their small singular values alone: all are resolved; a few are not, as in
most square matrices of noise and one large direction; a tenth are zero. The first is done with the Gram matrix, the second with an inverse
too, the third with a bidiagonal form (docs/decisions/0012). Then says how long a power-law fit of 16,384 eigenvalues takes: those of a convolution with 64
positions of order 256, with a p-value of so many drawn spectra and without. Last, LAPACK's two ways to a tridiagonal form, directly and by way of a
band, in as many processes at the same time as there are cores, and in one. Prints Markdown. Leave the machine alone meanwhile.

FROG_MPI names the program (default: the release build in this repository).
"""

import argparse
import concurrent.futures
import csv
import ctypes
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("all resolved", "a few not", "a tenth zero")


PROGRAM = os.environ.get("FROG_MPI", ROOT / ".build/release/frog-mpi")


def matrix(kind, order):
    generator = np.random.default_rng(order)
    sides = generator.standard_normal((2, order))
    found = generator.standard_normal((order, order)) + 20 / order**0.5 * np.outer(*sides)
    if kind == KINDS[0]:
        found += 3 * order**0.5 * np.eye(order)
    if kind == KINDS[2]:
        found[:, : order // 10] = 0
    return found.astype(np.float32)


def seconds(folder, out, threads, *options):
    """Of the stage that decomposes; and the smallest singular value over the largest."""
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {}
    command = [PROGRAM, "analyze", folder, "--out", out, "--threads", threads, "--overwrite", "--quiet", *options]
    subprocess.run([str(part) for part in command], check=True, env=os.environ | root)
    with open(out / "details.csv", newline="") as file:
        row = next(csv.DictReader(file))
    phases = json.loads((out / "run.json").read_text())["phases"]
    time = next(max(phase["seconds"]) for phase in phases if phase["name"] == "spectra")
    return time, float(row["sv_min"]) / float(row["sv_max"])


def reduction(order, in_stages):
    """Seconds of dsytrd or dsytrd_2stage in the BLAS that the program uses, one thread."""
    linked = subprocess.run(["ldd", PROGRAM], check=True, capture_output=True, text=True).stdout
    blas = ctypes.CDLL(next(line.split()[2] for line in linked.splitlines() if "openblas" in line))
    blas.openblas_set_num_threads(1)
    noise = np.random.default_rng(order).standard_normal((order, order))
    gram = np.asfortranarray(noise @ noise.T)
    vectors = np.zeros((3, order))
    n, info = ctypes.c_int(order), ctypes.c_int(0)

    def call(*rooms):
        """Vectors d, e and tau, workspaces and their sizes."""
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (gram, *vectors, *rooms)]
        sizes = [ctypes.byref(ctypes.c_int(a.size if a.size > 1 else -1)) for a in rooms]
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
    print("\n| order | processes | direct, s | by way of a band, s | ratio |\n|---|---|---|---|---|")
    for order in orders:
        for processes in sorted({1, os.cpu_count() or 1}):
            best = [float("inf")] * 2
            with concurrent.futures.ProcessPoolExecutor(processes) as pool:
                for _ in range(repeats):
                    for in_stages in (False, True):
                        times = pool.map(reduction, [order] * processes, [in_stages] * processes)
                        best[in_stages] = min(best[in_stages], max(times))
            print(f"| {order} | {processes} | {best[0]:.2f} | {best[1]:.2f} | {best[0] / best[1]:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--orders", default="1024,2048,4096", help="of the matrices, with commas between")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fits", type=int, default=200, help="how many are timed")
    arguments = parser.parse_args()
    orders = [int(order) for order in arguments.orders.split(",")]

    print("| order | matrix | seconds | ratio | σ_min/σ₁ |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="bench-spectrum-") as folder:
        folder = Path(folder)
        for order in orders:
            best, smallest = dict.fromkeys(KINDS, float("inf")), {}
            for kind in KINDS:
                (folder / kind).mkdir(exist_ok=True)
                save_file({"layers.0.q_proj.weight": matrix(kind, order)}, folder / kind / "model.safetensors")
            for _ in range(arguments.repeats):
                for kind in KINDS:
                    time, smallest[kind] = seconds(folder / kind, folder / "out", arguments.threads)
                    best[kind] = min(best[kind], time)
            for kind in KINDS:
                ratio = best[kind] / best[KINDS[0]]
                print(f"| {order} | {kind} | {best[kind]:.2f} | {ratio:.2f} | {smallest[kind]:.1e} |", flush=True)
        kernel = np.random.default_rng(0).standard_normal((256, 256, 8, 8)).astype(np.float32)
        (folder / "fits").mkdir()
        save_file({"layers.0.conv.weight": kernel}, folder / "fits" / "model.safetensors")
        times = [
            min(seconds(folder / "fits", folder / "out", arguments.threads, *options)[0] for _ in range(arguments.repeats))
            for options in (("--conv",), ("--conv", "--p-value", arguments.fits))
        ]
        print(f"\n{1000 * (times[1] - times[0]) / arguments.fits:.1f} ms to draw, sort and fit 16,384 eigenvalues")
    reductions(orders, arguments.repeats)


if __name__ == "__main__":
    main()
