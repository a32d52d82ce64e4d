#!/usr/bin/env python3
"""Holds the norms pass against the disk and against memory; prints two Markdown tables.

  Benchmarks/bench_read.py [--gigabytes 4] [--repeats 3] [--folder DIR] [--only cold|warm]

Cold: the page cache is dropped before every reading (as root; otherwise only the file's own pages are), and `dd` to /dev/null and
`frog-mpi mask` go by turns. Warm: the file is in the page cache; the rate on one core stands beside that of copying memory and of `dd`.
The pass is timed from the line `frog-mpi: norms` to the line `frog-mpi: scores` on standard error; then the run is ended.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import common
import shards
import weights
from models import Tensor

SHAPE = (4096, 8192)
DTYPES = ("BF16", "F16", "F32")


def write(path, dtype, size):
    """Writes a checkpoint of one file of about `size` bytes, one matrix over and over; returns the bytes of its weights."""
    matrix = b"".join(weights.data(Tensor("h.0000.weight", SHAPE, dtype)))
    tensors = [Tensor(f"h.{number:04}.weight", SHAPE, dtype) for number in range(max(1, round(size / len(matrix))))]
    return shards.write_repeated(path, tensors, matrix)


def read_through(path):
    """Seconds that `dd` takes to read the file."""
    return common.run(["dd", f"if={path}", "of=/dev/null", "bs=1M", "status=none"]).seconds


def norms(path, ranks, io):
    """Seconds of the norms pass, and of one rank's processor (None where there are several)."""
    with common.scratch(path.parent) as out:
        options = ["--threads", 1, "--io", io, "--score", "random", "--memory-per-rank", "4GiB"]
        command = common.frog("mask", path, "--out", out, *options, ranks=ranks if ranks > 1 else None)
        environment = common.environment(OPENBLAS_NUM_THREADS="1")
        seen, errors = {}, []
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment) as process:
            for line in process.stderr:
                errors.append(line)
                seen[line.strip()] = time.perf_counter(), processor_seconds(process.pid)
                if line == "frog-mpi: scores\n":
                    process.terminate()
                    break
            process.communicate()
    try:
        begin, end = seen["frog-mpi: norms"], seen["frog-mpi: scores"]
    except KeyError:
        sys.exit("".join(errors))
    return end[0] - begin[0], end[1] - begin[1] if ranks == 1 else None


def processor_seconds(pid):
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def copying():
    """Bytes that one core copies from memory to memory in a second of processor time."""
    source, target = np.ones(1 << 26), np.zeros(1 << 26)
    target[:] = 2  # so that every page is there
    start = time.process_time()
    np.copyto(target, source)
    return source.nbytes / (time.process_time() - start)


def best(values):
    return f"{max(values):.2f}"


def cold(folder, size, repeats):
    path = folder / "cold.safetensors"
    size = write(path, "BF16", size)
    ways = [(ranks, io) for ranks in (1, 2) for io in ("mmap", "pread")]
    rates = {way: [] for way in ["dd", *ways]}
    ratios = {way: [] for way in ways}
    for _ in range(repeats):
        for way in ways:
            common.drop_cache(path)
            disk = size / read_through(path)
            common.drop_cache(path)
            own = size / norms(path, *way)[0]
            rates["dd"].append(disk / 1e9)
            rates[way].append(own / 1e9)
            ratios[way].append(own / disk)
    path.unlink()
    print(f"\nCold, {size / 1e9:.1f} GB, BF16: GB/s; the ratio is the median of {repeats} pairs, in brackets the least and the largest\n")
    table = common.Table("", "best", "median", "against dd beside it")
    table.row("dd bs=1M to /dev/null", best(rates["dd"]), f"{statistics.median(rates['dd']):.2f}", 1)
    for (ranks, io), found in ratios.items():
        mine = rates[ranks, io]
        ratio = f"{statistics.median(found):.2f} ({min(found):.2f}–{max(found):.2f})"
        table.row(f"norms, {ranks} rank{'s' * (ranks > 1)}, {io}", best(mine), f"{statistics.median(mine):.2f}", ratio)


def warm(folder, size, repeats):
    print("\nWarm, one rank: GB/s of wall time and of processor time, best of each; the ratio to copying memory\n")
    table = common.Table("", "wall", "processor", "dd", "copying memory", "processor / copying")
    for dtype in DTYPES:
        path = folder / "warm.safetensors"
        length = write(path, dtype, size)
        read_through(path)
        for io in ("mmap", "pread"):
            wall, processor, disk, memory = [], [], [], []
            for _ in range(repeats):
                memory.append(copying() / 1e9)
                disk.append(length / read_through(path) / 1e9)
                seconds, own = norms(path, 1, io)
                wall.append(length / seconds / 1e9)
                processor.append(length / own / 1e9)
            table.row(f"{dtype}, {io}", best(wall), best(processor), best(disk), best(memory), f"{max(processor) / max(memory):.2f}")
        path.unlink()


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--gigabytes", type=float, default=4, help="the size of the file")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="a folder on the disk to be measured, with room for the file")
    parser.add_argument("--only", choices=["cold", "warm"])
    arguments = parser.parse_args()
    print(f"{common.command_line()}, load {os.getloadavg()[0]:.1f} at the start")
    with common.scratch(arguments.folder) as folder:
        if arguments.only != "warm":
            cold(folder, arguments.gigabytes * 1e9, arguments.repeats)
        if arguments.only != "cold":
            warm(folder, arguments.gigabytes * 1e9, arguments.repeats)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
