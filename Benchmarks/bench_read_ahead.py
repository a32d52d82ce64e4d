#!/usr/bin/env python3
"""Measures what reading ahead gives `analyze`; prints a Markdown table.

  Benchmarks/bench_read_ahead.py [OTHER] [--matrices 48] [--rows 65536] [--columns 128] [--repeats 5] [--ranks 1] [--folder DIR]

The matrices are tall and narrow, F32: about as long to read as to decompose. The page cache is dropped when the stage `spectra` begins, as
if the model were larger than memory, and the stage is timed (`run.json`). OTHER is another build of the program; each build has a turn
with a cold cache and one with a warm one. What a cold cache costs is the time that reading does not overlap.
"""

import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

import common
import shards
from models import Tensor


def write(path, matrices, rows, columns):
    """A checkpoint of one file; returns the bytes of its weights."""
    random = np.random.default_rng(1).standard_normal((rows, columns), np.float32) * 0.02
    tensors = [Tensor(f"h.{number:04}.weight", (rows, columns), "F32") for number in range(matrices)]
    return shards.write_repeated(path, tensors, random.tobytes())


def spectra(build, path, out, ranks, is_cold):
    """Seconds of the stage `spectra`."""
    command = common.frog("analyze", path, "--out", out, "--threads", 1, "--overwrite", ranks=ranks, build=build)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=common.environment()
    ) as process:
        for line in process.stderr:
            if line == "frog-mpi: spectra\n" and is_cold:
                common.drop_cache(path)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: status {process.returncode}")
    return common.phase_seconds(out, "spectra")


def main():
    parser = common.parser(__doc__)
    parser.add_argument("other", type=Path, nargs="?", help="another build of the program")
    parser.add_argument("--matrices", type=int, default=48)
    parser.add_argument("--rows", type=int, default=65536)
    parser.add_argument("--columns", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="a folder on the disk to be measured, with room for the file")
    arguments = parser.parse_args()
    builds = {"this build": common.program()} | ({"the other": arguments.other} if arguments.other else {})
    with common.scratch(arguments.folder) as folder:
        path = folder / "model.safetensors"
        size = write(path, arguments.matrices, arguments.rows, arguments.columns)
        seconds = {(name, is_cold): [] for name in builds for is_cold in (True, False)}
        for _ in range(arguments.repeats):
            for name, is_cold in seconds:
                seconds[name, is_cold].append(spectra(builds[name], path, folder / "out", arguments.ranks, is_cold))
    print(f"{common.command_line()}: {size / 1e9:.1f} GB, medians of {arguments.repeats}\n")
    table = common.Table("", "cold, s", "warm, s", "reading that waits, s")
    for name in builds:
        cold, warm = (statistics.median(seconds[name, is_cold]) for is_cold in (True, False))
        table.row(name, f"{cold:.2f}", f"{warm:.2f}", f"{cold - warm:.2f}")


if __name__ == "__main__":
    main()
