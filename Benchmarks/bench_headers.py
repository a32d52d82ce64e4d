#!/usr/bin/env python3
"""Times how headers are read, at growing sizes, beside the reference reader; prints a Markdown table.

Each family of headers is a way to be expensive. For each size: seconds of the header alone (a file of one byte too many, which
`frog-mpi inspect` refuses at the very end), of the whole of `frog-mpi inspect --json`, and of `safetensors.safe_open` inside a Python
process, best of --repeats, run in turn; then the peak memory of the three processes. `growth` is the exponent of size in the seconds of
the header alone, between the two largest sizes that take a tenth of a second: 1 is linear. Ends with status 1 if it is above 1.5 anywhere,
or if a process takes more than two minutes (inf).

  scripts/bench-headers [--largest 1600000] [--families empty,ordinary] [--repeats 3]

With a list of shapes, `frog-mpi plan` and `inspect` on a checkpoint of that model: right sizes, sparse files without data.

  scripts/bench-headers --shapes shapes.json.gz --model DeepSeek-V3 [--shards 163]
"""

import argparse
import gzip
import json
import math
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LARGEST_HEADER = 100_000_000
LIMIT = 120  # seconds until a process is stopped, which then counts as infinitely slow
BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "F16": 16,
    "BF16": 16,
    "I16": 16,
    "F32": 32,
    "I32": 32,
    "F64": 64,
    "I64": 64,
}


# MARK: Families: n to (header, bytes of data)


def entry(name, shape="[0]", begin=0, end=0, dtype="U8", extra=""):
    return f'"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]{extra}}}'


def header(entries):
    return "{" + ",".join(entries) + "}"


def empty(n):
    """Names as short as can be, no data."""
    return header(entry(i) for i in range(n)), 0


def experts(order):
    for i in order:
        yield entry(f"model.layers.{i // 256}.mlp.experts.{i % 256}.down_proj.weight", "[2,4]", 16 * i, 16 * i + 16, "BF16")


def ordinary(n):
    """Experts, in the order of their data."""
    return header(experts(range(n))), 16 * n


def shuffled(n):
    """The same in random order."""
    order = list(range(n))
    random.Random(1).shuffle(order)
    return header(experts(order)), 16 * n


def prefixed(n):
    """Names that differ only after 200 bytes, backwards."""
    return header(entry("a" * 200 + str(i)) for i in reversed(range(n))), 0


def escaped(n):
    """Every character of every name escaped."""
    return header(entry("".join(f"\\u00{ord(c):02x}" for c in str(i))) for i in range(n)), 0


def shapes(n):
    """A shape of its own for every tensor."""
    return header(entry(i, f"[0,{i},{n - i}]") for i in range(n)), 0


def dimensions(n):
    """One tensor of n dimensions."""
    return header([entry("t", "[" + ",".join(["1"] * n) + "]", 0, 1)]), 1


def name(n):
    """One name of 32 n bytes."""
    return header([entry("x" * 32 * n)]), 0


def marks(n):
    """One name of n combining marks in the wrong order, and one such key of the metadata."""
    text = "\u0301\u0323" * (n // 2)
    return header([f'"__metadata__":{{"{text}":"{text}"}}', entry(text)]), 0


def metadata(n):
    """n keys of metadata."""
    return header(['"__metadata__":{' + ",".join(f'"{i}":"x"' for i in range(n)) + "}"]), 0


def fields(n):
    """Fields that nobody reads: nested, long and fractional."""
    junk = ',"x":' + "[" * 60 + '1.5e-3,"\\ud83d\\ude00"' + "]" * 60
    return header(entry(i, extra=junk) for i in range(n // 4)), 0


def digits(n):
    """One number of 32 n digits after the point."""
    return header([entry("t", extra=f',"x":0.{"1" * 32 * n}')]), 0


def duplicate(n):
    """The first name once more at the end: we refuse it, the reference does not."""
    return header(entry(i % (n - 1)) for i in range(n)), 0


FAMILIES = [empty, ordinary, shuffled, prefixed, escaped, shapes, dimensions, name, marks, metadata, fields, digits, duplicate]


# MARK: Measuring

REFERENCE = """
import sys, time
from safetensors import safe_open
start = time.perf_counter()
try:
    for path in sys.argv[1:]: safe_open(path, "np")
except Exception: pass
print(time.perf_counter() - start)
"""


# Runs a command and tells its status, seconds and bytes at the peak. A process of its own, since a process that is large, as this one,
# hands its peak down to its children.
RUN = """
import json, os, signal, sys, time
start = time.perf_counter()
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
signal.alarm(int(sys.argv[1]))
_, status, usage = os.wait4(child, 0)
json.dump([os.waitstatus_to_exitcode(status), time.perf_counter() - start, usage.ru_maxrss * 1024], open(3, "w"))
"""


def child(command, statuses):
    """Seconds, bytes at the peak, and the standard output of a process."""
    command = [str(part) for part in command]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as result:
        run = ["bash", "-c", f'exec "$@" 3>&{result.fileno()}', "bash", sys.executable, "-S", "-c", RUN, str(LIMIT), *command]
        subprocess.run(run, stdout=out, stderr=err, check=True, pass_fds=[result.fileno()])
        result.seek(0)
        status, seconds, peak = json.load(result)
        if status == -signal.SIGKILL:
            return math.inf, peak, b"inf"
        if status not in statuses:
            err.seek(0)
            sys.exit(f"{' '.join(command)[:500]}: status {status}\n{err.read().decode()[:2000]}")
        out.seek(0)
        return seconds, peak, out.read(200)


def write(path, text, data):
    text = text if isinstance(text, bytes) else text.encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + data)


def best(runs):
    return min(run[0] for run in runs), max(run[1] for run in runs)


def reference(runs):
    return min(float(run[2]) for run in runs), max(run[1] for run in runs)


def measure(frog, folder, text, data, repeats):
    """(seconds, bytes) of the header alone, of inspect, of the reference reader."""
    good, long = folder / "good.safetensors", folder / "long.safetensors"
    write(good, text, data)
    write(long, text, data + 1)
    alone, whole, other = [], [], []
    for _ in range(repeats):
        alone.append(child([frog, "inspect", long], {65}))
        whole.append(child([frog, "inspect", "--json", good], {0, 65}))
        other.append(child([sys.executable, "-c", REFERENCE, good], {0}))
    return best(alone), best(whole), reference(other)


def growth(points):
    points = [(n, seconds) for n, seconds in points if seconds > 0.1][-2:]
    if len(points) < 2:
        return None
    (n, first), (m, second) = points
    return math.log(second / first) / math.log(m / n)


def bench_families(frog, arguments):
    wanted = arguments.families.split(",") if arguments.families else [family.__name__ for family in FAMILIES]
    unknown = set(wanted) - {family.__name__ for family in FAMILIES}
    if unknown:
        sys.exit(f"bench-headers: error: no family {', '.join(sorted(unknown))}")
    print(f"`scripts/bench-headers --largest {arguments.largest} --repeats {arguments.repeats}`\n")
    print("| family | n | header, MB | header alone, s | inspect, s | reference, s | memory, MB: alone | inspect | reference | growth |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    steep = []
    with tempfile.TemporaryDirectory() as folder:
        for family in FAMILIES:
            if family.__name__ not in wanted:
                continue
            points = []
            for n in (arguments.largest // 4**step for step in range(arguments.sizes - 1, -1, -1)):
                text, data = family(n)
                size = len(text.encode())
                if size > LARGEST_HEADER:
                    break
                alone, whole, other = measure(frog, Path(folder), text, data, arguments.repeats)
                points.append((n, alone[0]))
                exponent = growth(points)
                print(
                    f"| {family.__name__} | {n:,} | {size / 1e6:.1f} | {alone[0]:.2f} | {whole[0]:.2f} | {other[0]:.2f} | {alone[1] / 1e6:.0f} "
                    f"| {whole[1] / 1e6:.0f} | {other[1] / 1e6:.0f} | {'' if exponent is None else f'{exponent:.2f}'} |",
                    flush=True,
                )
                if math.isinf(whole[0]) or exponent is not None and exponent > 1.5:
                    steep.append(f"{family.__name__} at {n:,}")
                    break
    print(
        "\nfamilies: "
        + "; ".join(f"{f.__name__}: {f.__doc__[0].lower()}{f.__doc__[1:].rstrip('.')}" for f in FAMILIES if f.__name__ in wanted)
    )
    if steep:
        sys.exit(f"bench-headers: not linear: {', '.join(steep)}")


# MARK: A model


def build(folder, tensors, count):
    """A checkpoint of `count` shards, each an equal share of the bytes: headers, an index, and holes in place of data."""
    total = sum(size(shape, dtype) for _, shape, dtype in tensors)
    shards, filled = [[] for _ in range(count)], 0
    for tensor in tensors:
        shards[min(count - 1, filled * count // total)].append(tensor)
        filled += size(tensor[1], tensor[2])
    weight_map = {}
    for number, shard in enumerate(shards, 1):
        entries, begin = {}, 0
        for tensor, shape, dtype in shard:
            end = begin + size(shape, dtype)
            entries[tensor] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
            weight_map[tensor] = f"model-{number:05}-of-{count:06}.safetensors"
            begin = end
        write(folder / f"model-{number:05}-of-{count:06}.safetensors", json.dumps(entries), begin)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))
    return total


def size(shape, dtype):
    return math.prod(shape) * BITS[dtype] // 8


def first_line(command):
    """Seconds until the first line of output has come; then nobody reads on."""
    start = time.perf_counter()
    with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        seconds = time.perf_counter() - start
        process.stdout.close()
        complaint = process.stderr.read().decode()
    if process.returncode not in (0, -13) or "error" in complaint:
        sys.exit(f"{' '.join(map(str, command))} | head: status {process.returncode}\n{complaint[:2000]}")
    return seconds


def bench_model(frog, arguments):
    with (gzip.open if arguments.shapes.suffix == ".gz" else open)(arguments.shapes) as file:
        document = json.load(file)
    tensors = (document if "tensors" in document else document[arguments.model])["tensors"]
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        folder = Path(folder)
        total = build(folder, tensors, arguments.shards)
        print(f"`scripts/bench-headers --shapes {arguments.shapes.name} --model {arguments.model} --shards {arguments.shards}`: ", end="")
        print(f"{len(tensors):,} tensors, {total / 1e9:.1f} GB, best of {arguments.repeats}\n")
        print("| | seconds | memory, MB |\n|---|---|---|")
        layout = ["--ranks", 64, "--ranks-per-node", 64, "--memory-per-rank", "16GiB"]
        for label, command in (
            ("`plan`", [frog, "plan", folder, *layout]), ("`plan --all`", [frog, "plan", folder, *layout, "--all"]),
            ("`plan --json`", [frog, "plan", folder, *layout, "--json"]),
            ("`inspect`", [frog, "inspect", folder]), ("`inspect --json`", [frog, "inspect", folder, "--json"]),
        ):  # fmt: skip
            seconds, memory = best([child(command, {0}) for _ in range(arguments.repeats)])
            print(f"| {label} | {seconds:.2f} | {memory / 1e6:.0f} |", flush=True)
        print(f"| `inspect`, first line | {min(first_line([frog, 'inspect', folder]) for _ in range(arguments.repeats)):.2f} | |")
        command = [sys.executable, "-c", REFERENCE, *sorted(folder.glob("*.safetensors"))]
        seconds, memory = reference([child(command, {0}) for _ in range(arguments.repeats)])
        print(f"| `safe_open` of every shard | {seconds:.2f} | {memory / 1e6:.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=1_600_000, help="n of the largest header of each family")
    parser.add_argument("--sizes", type=int, default=4, help="how many sizes, each a quarter of the next")
    parser.add_argument("--families", help="names, with commas between")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--shapes", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--shards", type=int, default=163)
    parser.add_argument("--folder", type=Path, help="where the checkpoint of --shapes is made: a file system with sparse files")
    arguments = parser.parse_args()
    frog = os.environ.get("FROG_MPI")
    if not frog:
        command = ["swift", "build", "-c", "release", "--package-path", str(ROOT)]
        subprocess.run([*command, "--product", "frog-mpi"], check=True)
        frog = Path(subprocess.run([*command, "--show-bin-path"], check=True, capture_output=True, text=True).stdout.strip()) / "frog-mpi"
    (bench_model if arguments.shapes else bench_families)(frog, arguments)


if __name__ == "__main__":
    main()
