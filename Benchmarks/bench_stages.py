#!/usr/bin/env python3
"""Times the stages of one matrix with one thread, and what LAPACK's dsyevd spends where; prints a Markdown table.

  Benchmarks/bench_stages.py [--order 2048] [--repeats 3]

Calls the OpenBLAS that frog-mpi links (libopenblas.so.0) through ctypes. The rotation in blocks of 128 is that of Reflectors.swift in
Sources/DistSVD. The rates relative to sgemm are what the cost model of `plan` weighs operations with where nothing was calibrated.
"""

import ctypes
import time
from ctypes import byref, c_char, c_int, c_size_t

import numpy as np

import common

blas = ctypes.CDLL("libopenblas.so.0")
blas.openblas_set_num_threads(1)
ONE = c_size_t(1)


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def call(name, *arguments):
    """A Fortran call: integers and characters by reference, one hidden length for each character."""
    converted, lengths = [], []
    for argument in arguments:
        if isinstance(argument, str):
            converted.append(byref(c_char(argument.encode())))
            lengths.append(ONE)
        elif isinstance(argument, (int, np.integer)):
            converted.append(byref(c_int(int(argument))))
        elif isinstance(argument, np.ndarray):
            converted.append(pointer(argument))
        else:
            converted.append(byref(argument))
    getattr(blas, name)(*converted, *lengths)


def rotate(vectors, factors, z, width=128):
    """Z := Q·Z in blocks of reflectors; all arrays in Fortran order, single precision."""
    order = z.shape[0]
    one, zero, minus = ctypes.c_float(1), ctypes.c_float(0), ctypes.c_float(-1)
    product = np.empty((width, order), np.float32, order="F")
    scaled = np.empty((width, order), np.float32, order="F")
    for first in reversed(range(0, order - 1, width)):
        count, rows = min(width, order - 1 - first), order - 1 - first
        block = np.asfortranarray(np.tril(vectors[first + 1 :, first : first + count], -1))
        block[np.arange(count), np.arange(count)] = 1
        triangle = np.zeros((count, count), np.float32, order="F")
        call("slarft_", "F", "C", rows, count, block, rows, factors[first:], triangle, count)
        lower = z[first + 1 :]
        call("sgemm_", "T", "N", count, order, rows, one, block, rows, lower, order, zero, product, count)
        call("sgemm_", "N", "N", count, order, count, one, triangle, count, product, count, zero, scaled, count)
        call("sgemm_", "N", "N", rows, order, count, minus, block, rows, scaled, count, one, lower, order)


def measure(n, m):
    """Seconds of each stage for an m × n matrix: name → seconds."""
    return measure_width("d", np.float64, ctypes.c_double, n, m) | measure_width("s", np.float32, ctypes.c_float, n, m)


def measure_width(letter, dtype, real, n, m):
    """The same in one width; `letter` is LAPACK's for it."""
    seconds = {}

    def timed(name, *arguments):
        start = time.perf_counter()
        call(f"{name}_", *arguments)
        seconds[name] = time.perf_counter() - start

    a = np.asfortranarray(np.random.default_rng(1).standard_normal((n, m)).astype(dtype))
    gram = np.zeros((n, n), dtype, order="F")
    timed(f"{letter}syrk", "L", "N", n, m, real(1), a, n, real(0), gram, n)
    d, e, tau = (np.zeros(n, dtype) for _ in range(3))
    z = np.zeros((n, n), dtype, order="F")
    work, iwork, info = np.zeros(1 + 6 * n + 2 * n * n, dtype), np.zeros(3 + 5 * n, np.int32), c_int()
    copy = gram.copy(order="F")
    timed(f"{letter}syevd", "V", "L", n, copy, n, d, work, work.size, iwork, iwork.size, info)
    truth = d.copy()
    q = gram.copy(order="F")
    timed(f"{letter}sytrd", "L", n, q, n, d, e, tau, work, work.size, info)
    timed(f"{letter}stedc", "I", n, d, e, z, n, work, work.size, iwork, iwork.size, info)
    assert info.value == 0 and np.allclose(d, truth, rtol=1e-4, atol=1e-5 * truth[-1])
    vectors, rotated = (np.asfortranarray(array.astype(np.float32)) for array in (q, z))
    start = time.perf_counter()
    rotate(vectors, tau.astype(np.float32), rotated)
    seconds[f"rotation after {letter}stedc"] = time.perf_counter() - start
    timed(f"{letter}ormtr", "L", "L", "N", n, n, q, n, tau, z, n, work, work.size, info)
    assert np.abs(rotated - z).max() < 1e-4, "the rotation is wrong"
    if letter == "s":
        timed("sgemm", "N", "N", n, m, n, real(1), z, n, a, n, real(0), np.zeros((n, m), dtype, order="F"), n)
    return seconds


STAGES = {
    "syrk (Gram matrix)": "{}syrk",
    "sytrd": "{}sytrd",
    "stedc": "{}stedc",
    "rotation, single, blocks of 128": "rotation after {}stedc",
    "ormtr, instead of the rotation": "{}ormtr",
    "syevd, instead of all three": "{}syevd",
}


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--order", type=int, default=2048, help="n of a matrix of 4n × n")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    n, m = arguments.order, 4 * arguments.order
    runs = [measure(n, m) for _ in range(arguments.repeats)]
    best = {name: min(run[name] for run in runs) for name in runs[0]}
    print(f"{common.command_line()}: {m} × {n}, one thread, best of {arguments.repeats}\n")
    table = common.Table("stage", "double, s", "single, s")
    for label, name in STAGES.items():
        table.row(label, *(f"{best[name.format(letter)]:.2f}" for letter in "ds"))
    table.row("sgemm, m·n·n", "", f"{best['sgemm']:.2f}")
    gemm = 2 * m * n * n / best["sgemm"]  # operations a second
    for letter, precision in (("d", "f64"), ("s", "f32")):
        eigen = best[f"{letter}sytrd"] + best[f"{letter}stedc"] + best[f"rotation after {letter}stedc"]
        print(
            f"\n{precision}: the three steps take {eigen / best[f'{letter}syevd']:.2f} of {letter}syevd; one operation of the Gram matrix "
            f"costs {best[f'{letter}syrk'] / (m * n * n) * gemm:.1f}, one of 9n³ {eigen / (9 * n**3) * gemm:.1f} of sgemm's."
        )


if __name__ == "__main__":
    main()
