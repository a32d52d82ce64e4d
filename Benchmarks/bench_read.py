#!/usr/bin/env python3
"""Holds the norms pass against the disk and against memory; prints two Markdown tables.

Cold: the page cache is dropped before every reading (needs root; otherwise only the file's own pages are), `cat` to /dev/null and
`frog-mpi mask` by turns. Warm: the file is in the page cache; the rate on one core, beside that of copying memory and of `cat`.
The pass is timed from the line `frog-mpi: norms` to the line `frog-mpi: scores` on standard error; then the run is ended.

  scripts/bench-read [--gigabytes 4] [--repeats 3] [--folder DIR] [--only cold|warm]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
ROWS, COLUMNS = 4096, 8192
BITS = {"BF16": 16, "F16": 16, "F32": 32}


def finite(dtype, count):
    """Bytes of `count` weights of both signs and many sizes."""
    random = np.random.default_rng(1).standard_normal(count, np.float32) * 0.02
    if dtype == "BF16":
        return (random.view(np.uint32) >> 16).astype("<u2").tobytes()
    return random.astype({"F16": "<f2", "F32": "<f4"}[dtype]).tobytes()


def write(path, dtype, size):
    """A checkpoint of one file of about `size` bytes; returns the bytes of its weights."""
    weights = finite(dtype, ROWS * COLUMNS)
    count = max(1, round(size / len(weights)))
    entry = {"dtype": dtype, "shape": [ROWS, COLUMNS]}
    header = {f"h.{i:04d}.weight": entry | {"data_offsets": [i * len(weights), (i + 1) * len(weights)]} for i in range(count)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _ in range(count):
            file.write(weights)
        file.flush()
        os.fsync(file.fileno())
    return count * len(weights)


def drop(path):
    """Takes the file out of the page cache."""
    try:
        Path("/proc/sys/vm/drop_caches").write_text("1")
    except OSError:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def cat(path):
    start = time.perf_counter()
    subprocess.run(["dd", f"if={path}", "of=/dev/null", "bs=1M", "status=none"], check=True)
    return time.perf_counter() - start


def norms(frog, path, ranks, io):
    """Seconds of the norms pass, and of one rank's processor (None where there are several)."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    if os.geteuid() == 0:
        environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    with tempfile.TemporaryDirectory(dir=path.parent) as out:
        command = [frog, "mask", path, "--out", out, "--threads", 1, "--io", io, "--score", "random", "--memory-per-rank", "4GiB"]
        if ranks > 1:
            command = ["mpirun", "-n", ranks, "--oversubscribe", *command]
        seen = {}
        with subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, text=True, env=environment) as process:
            errors = []
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


def cold(frog, folder, size, repeats):
    path = folder / "cold.safetensors"
    size = write(path, "BF16", size)
    ways = [(ranks, io) for ranks in (1, 2) for io in ("mmap", "pread")]
    rates = {way: [] for way in ["dd", *ways]}
    ratios = {way: [] for way in ways}
    for _ in range(repeats):
        for way in ways:
            drop(path)
            disk = size / cat(path)
            drop(path)
            own = size / norms(frog, path, *way)[0]
            rates["dd"].append(disk / 1e9)
            rates[way].append(own / 1e9)
            ratios[way].append(own / disk)
    path.unlink()
    print(f"\nCold, {size / 1e9:.1f} GB, BF16: GB/s; the ratio is the median of {repeats} pairs, in brackets the least and the largest\n")
    print("| | best | median | against dd beside it |\n|---|---|---|---|")
    print(f"| dd bs=1M to /dev/null | {best(rates['dd'])} | {statistics.median(rates['dd']):.2f} | 1 |")
    for (ranks, io), found in ratios.items():
        mine = rates[ranks, io]
        print(
            f"| norms, {ranks} rank{'s' * (ranks > 1)}, {io} | {best(mine)} | {statistics.median(mine):.2f} | "
            f"{statistics.median(found):.2f} ({min(found):.2f}–{max(found):.2f}) |"
        )


def warm(frog, folder, size, repeats):
    print("\nWarm, one rank: GB/s of wall time and of processor time, best of each; the ratio to copying memory\n")
    print("| | wall | processor | dd | copying memory | processor / copying |\n|---|---|---|---|---|---|")
    for dtype in BITS:
        path = folder / "warm.safetensors"
        bytes_ = write(path, dtype, size)
        cat(path)
        for io in ("mmap", "pread"):
            wall, processor, disk, memory = [], [], [], []
            for _ in range(repeats):
                memory.append(copying() / 1e9)
                disk.append(bytes_ / cat(path) / 1e9)
                seconds, own = norms(frog, path, 1, io)
                wall.append(bytes_ / seconds / 1e9)
                processor.append(bytes_ / own / 1e9)
            print(
                f"| {dtype}, {io} | {best(wall)} | {best(processor)} | {best(disk)} | {best(memory)} | {max(processor) / max(memory):.2f} |"
            )
        path.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured; needs room for the file")
    parser.add_argument("--only", choices=["cold", "warm"])
    arguments = parser.parse_args()
    frog = os.environ.get("FROG_MPI")
    if not frog:
        build = ["swift", "build", "-c", "release", "--package-path", str(ROOT)]
        subprocess.run([*build, "--product", "frog-mpi"], check=True)
        frog = Path(subprocess.run([*build, "--show-bin-path"], check=True, capture_output=True, text=True).stdout.strip()) / "frog-mpi"
    size = arguments.gigabytes * 1e9
    print(
        f"`scripts/bench-read --gigabytes {arguments.gigabytes:g} --repeats {arguments.repeats}`, load {os.getloadavg()[0]:.1f} at the start"
    )
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="bench-read-") as folder:
        if arguments.only != "warm":
            cold(frog, Path(folder), size, arguments.repeats)
        if arguments.only != "cold":
            warm(frog, Path(folder), size, arguments.repeats)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
