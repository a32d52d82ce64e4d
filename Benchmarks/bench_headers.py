#!/usr/bin/env python3
"""Times how headers are read, at growing sizes, beside the reference reader; prints a Markdown table.

  Benchmarks/bench_headers.py [--largest 1600000] [--families empty,ordinary] [--sizes 4] [--repeats 3]
  Benchmarks/bench_headers.py --shapes shapes.json.gz --model DeepSeek-V3 [--shards 163]

Each family of headers is a way to be expensive. For each size the table has the seconds of three processes, the best of --repeats runs by
turns, and then the peaks of their memory:

- the header alone: a file of one byte too many, which `frog-mpi inspect` refuses at the very end;
- the whole of `frog-mpi inspect --json`;
- `safetensors.safe_open` in Python, the process apart.

`growth` is the exponent of size in the seconds of the header alone, between the two largest sizes that take a tenth of a second: 1 is
linear. Exit: 0 done, 1 growth is above 1.5 anywhere, or a process takes more than two minutes (inf).

With a list of shapes (checkpoints/make_shapes.py), `frog-mpi plan` and `inspect` on a checkpoint of that model: right sizes, holes in
place of data.
"""

import json
import math
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
import models
import shards

LARGEST_HEADER = 100_000_000
LIMIT = 120  # seconds until a process is stopped, which then counts as infinitely slow


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

# Runs a command and tells its status, seconds and bytes at the peak. It is a process of its own, since a process that is large, as this
# one, hands its peak down to its children.
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
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as result:
        run = ["bash", "-c", f'exec "$@" 3>&{result.fileno()}', "bash", sys.executable, "-S", "-c", RUN, str(LIMIT), *map(str, command)]
        subprocess.run(run, stdout=out, stderr=err, check=True, pass_fds=[result.fileno()], env=common.environment())
        result.seek(0)
        status, seconds, peak = json.load(result)
        if status == -signal.SIGKILL:
            return math.inf, peak, b"inf"
        if status not in statuses:
            err.seek(0)
            sys.exit(f"{' '.join(map(str, command))[:500]}: status {status}\n{err.read().decode()[:2000]}")
        out.seek(0)
        return seconds, peak, out.read(200)


def best(runs):
    """The least seconds and the largest peak of several runs."""
    return min(run[0] for run in runs), max(run[1] for run in runs)


def best_reading(runs):
    """The same of the reference reader, which times itself."""
    return min(float(run[2]) for run in runs), max(run[1] for run in runs)


def measure(folder, text, data, repeats):
    """(seconds, bytes) of the header alone, of `inspect`, of the reference reader."""
    good, long = folder / "good.safetensors", folder / "long.safetensors"
    shards.write_file(good, text, None, data)
    shards.write_file(long, text, None, data + 1)
    alone, whole, other = [], [], []
    for _ in range(repeats):
        alone.append(child(common.frog("inspect", long), {65}))
        whole.append(child(common.frog("inspect", "--json", good), {0, 65}))
        other.append(child([sys.executable, "-c", REFERENCE, good], {0}))
    return best(alone), best(whole), best_reading(other)


def growth(points):
    """The exponent of n in the seconds of the two largest sizes that take long enough to tell; None if there are no two."""
    points = [(n, seconds) for n, seconds in points if seconds > 0.1][-2:]
    if len(points) < 2:
        return None
    (n, first), (m, second) = points
    return math.log(second / first) / math.log(m / n)


def bench_families(arguments):
    families = [family for family in FAMILIES if family.__name__ in (arguments.families or [known.__name__ for known in FAMILIES])]
    print(f"{common.command_line()}\n")
    table = common.Table(
        "family", "n", "header, MB", "header alone, s", "inspect, s", "reference, s", "memory, MB: alone", "inspect", "reference", "growth"
    )  # fmt: skip
    steep = []
    with common.scratch() as folder:
        for family in families:
            points = []
            for n in (arguments.largest // 4**step for step in range(arguments.sizes - 1, -1, -1)):
                text, data = family(n)
                bytes_ = len(text.encode())
                if bytes_ > LARGEST_HEADER:
                    break
                found = measure(folder, text, data, arguments.repeats)
                points.append((n, found[0][0]))
                exponent = growth(points)
                seconds, memory = ([f"{run[0]:.2f}" for run in found], [f"{run[1] / 1e6:.0f}" for run in found])
                rise = "" if exponent is None else f"{exponent:.2f}"
                table.row(family.__name__, f"{n:,}", f"{bytes_ / 1e6:.1f}", *seconds, *memory, rise)
                if math.isinf(found[1][0]) or exponent is not None and exponent > 1.5:
                    steep.append(f"{family.__name__} at {n:,}")
                    break
    print("\nfamilies: " + "; ".join(f"{f.__name__}: {f.__doc__[0].lower()}{f.__doc__[1:].rstrip('.')}" for f in families))
    if steep:
        sys.exit(f"bench_headers: error: not linear: {', '.join(steep)}")


# MARK: A model


def first_line(command):
    """Seconds until the first line of output has come; then nobody reads on."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=common.environment()) as process:
        process.stdout.readline()
        seconds = time.perf_counter() - start
        process.stdout.close()
        complaint = process.stderr.read().decode()
    if process.returncode not in (0, -signal.SIGPIPE) or "error" in complaint:
        sys.exit(f"{' '.join(command)} | head: status {process.returncode}\n{complaint[:2000]}")
    return seconds


def bench_model(arguments):
    tensors = models.listed(arguments.shapes, arguments.model).tensors
    with common.scratch(arguments.folder) as folder:
        shards.write_checkpoint(folder, tensors, arguments.shards)
        total = sum(map(shards.size, tensors))
        print(f"{common.command_line()}: {len(tensors):,} tensors, {total / 1e9:.1f} GB, best of {arguments.repeats}\n")
        table = common.Table("", "seconds", "memory, MB")
        layout = ["--ranks", 64, "--ranks-per-node", 64, "--memory-per-rank", "16GiB"]
        for label, command in (
            ("`plan`", ["plan", folder, *layout]), ("`plan --all`", ["plan", folder, *layout, "--all"]),
            ("`plan --json`", ["plan", folder, *layout, "--json"]),
            ("`inspect`", ["inspect", folder]), ("`inspect --json`", ["inspect", folder, "--json"]),
        ):  # fmt: skip
            seconds, memory = best([child(common.frog(*command), {0}) for _ in range(arguments.repeats)])
            table.row(label, f"{seconds:.2f}", f"{memory / 1e6:.0f}")
        seconds = min(first_line(common.frog("inspect", folder)) for _ in range(arguments.repeats))
        table.row("`inspect`, first line", f"{seconds:.2f}", "")
        command = [sys.executable, "-c", REFERENCE, *sorted(folder.glob("*.safetensors"))]
        seconds, memory = best_reading([child(command, {0}) for _ in range(arguments.repeats)])
        table.row("`safe_open` of every shard", f"{seconds:.2f}", f"{memory / 1e6:.0f}")


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--largest", type=int, default=1_600_000, help="n of the largest header of each family")
    parser.add_argument("--sizes", type=int, default=4, help="how many sizes, each a quarter of the next")
    parser.add_argument("--families", type=lambda text: text.split(","), help="names, with commas between (default: all)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--shapes", type=Path, help="a list of shapes")
    parser.add_argument("--model", help="a model of that list")
    parser.add_argument("--shards", type=int, default=163)
    parser.add_argument("--folder", type=Path, help="where the checkpoint of --shapes is made: a file system with sparse files")
    arguments = parser.parse_args()
    unknown = set(arguments.families or ()) - {family.__name__ for family in FAMILIES}
    if unknown:
        parser.error(f"there is no family {', '.join(sorted(unknown))}")
    (bench_model if arguments.shapes else bench_families)(arguments)


if __name__ == "__main__":
    main()
