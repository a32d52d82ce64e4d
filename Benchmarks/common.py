"""What all benchmarks share: the program, runs by turns, checkpoints, tables.

Import it before the modules of checkpoints/, scripts/ and Tests/Python: it tells Python where they lie. FROG_MPI names the program
(default: the release build of this repository, made where it is missing), FROG_MPI_CACHE the folder in which generated checkpoints stay.
"""

import argparse
import contextlib
import functools
import json
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CACHE = Path(os.environ.get("FROG_MPI_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "frog-mpi")
sys.path += [str(HERE / "checkpoints"), str(ROOT / "scripts"), str(ROOT / "Tests/Python")]


# MARK: Command lines


def parser(doc):
    """A parser of options whose help is the text of the script."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def numbers(text):
    """Whole numbers with commas between: the type of an option."""
    return [int(part) for part in text.split(",")]


def command_line():
    """This command as it was typed, for the line above a table."""
    return f"`Benchmarks/{Path(sys.argv[0]).name} {shlex.join(sys.argv[1:])}`".replace(" `", "`")


# MARK: The program


@functools.cache
def program():
    """The frog-mpi to be measured."""
    if os.environ.get("FROG_MPI"):
        return Path(os.environ["FROG_MPI"])
    build = ["swift", "build", "-c", "release", "--package-path", ROOT]
    subprocess.run([*build, "--product", "frog-mpi"], check=True, stdout=sys.stderr)
    where = subprocess.run([*build, "--show-bin-path"], check=True, capture_output=True, text=True)
    return Path(where.stdout.strip()) / "frog-mpi"


def frog(*arguments, ranks=None, build=None):
    """The command line of frog-mpi, or of another build of it, under mpirun where `ranks` is given.

    Ranks that share a processor give it up while they wait.
    """
    command = [build or program(), *arguments]
    if ranks is not None:
        yielding = ["--mca", "mpi_yield_when_idle", "1"] if ranks > os.cpu_count() else []
        command = ["mpirun", "-n", ranks, "--oversubscribe", *yielding, *command]
    return [str(part) for part in command]


def environment(**variables):
    """The environment of a command: Open MPI may run as root, a crash prints no backtrace."""
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {}
    return os.environ | root | {"SWIFT_BACKTRACE": "enable=no"} | variables


@functools.cache
def peer_python():
    """The Python that has what the peers need; scripts/setup --peers makes it."""
    subprocess.run([ROOT / "scripts/setup", "--peers"], check=True, stdout=sys.stderr)
    return CACHE / "venv/bin/python"


def peer(name, *arguments):
    """The command line of a script of peers/."""
    return [str(part) for part in (peer_python(), HERE / "peers" / name, *arguments)]


# MARK: Runs


@dataclass(frozen=True)
class Run:
    """A whole process, from its start to its end."""

    seconds: float
    cpu: float  # user and system seconds of the command and its children
    others: float  # the share of the machine's processors that other processes took meanwhile
    output: str


def run(command):
    """Times a command that has to succeed; ends this process where it does not."""
    command = [str(part) for part in command]
    start, busy, cpu = time.perf_counter(), machine_busy(), children_cpu()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment())
    seconds, busy, cpu = time.perf_counter() - start, machine_busy() - busy, children_cpu() - cpu
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return Run(seconds, cpu, max(0.0, busy - cpu) / (seconds * os.cpu_count()), done.stdout)


def machine_busy():
    """Processor seconds that all processes together have used since the machine started (Linux)."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def children_cpu():
    """Processor seconds of all children of this process that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def by_turns(repeats, commands, before=lambda: None):
    """Runs every command once, then every command again, so that what slows the machine down slows all of them.

    Args:
        commands: name → command line.
        before: What is called before each run, outside of its time.

    Yields:
        The name of each command and its `Run`, when it has ended.
    """
    for repeat in range(1, repeats + 1):
        for name, command in commands.items():
            before()
            timed = run(command)
            print(f"{repeat}/{repeats}  {name}  {timed.seconds:.2f} s, CPU {timed.cpu:.2f} s, others {timed.others:.0%}", file=sys.stderr)
            yield name, timed


def fastest(repeats, commands):
    """The fastest run of each command, all run by turns: name → `Run`."""
    best = {}
    for name, timed in by_turns(repeats, commands):
        best[name] = min(timed, best.get(name, timed), key=lambda one: one.seconds)
    return best


# MARK: What runs leave


def document(out, name):
    """A JSON document of an output folder."""
    return json.loads((Path(out) / name).read_text())


def phase_seconds(out, phase):
    """Seconds of a stage on the rank that took longest for it."""
    return next(max(found["seconds"]) for found in document(out, "run.json")["phases"] if found["name"] == phase)


class Table:
    """A Markdown table whose rows are printed as soon as they are known."""

    def __init__(self, *columns):
        self.row(*columns)
        print(f"|{'---|' * len(columns)}", flush=True)

    def row(self, *cells):
        print("|" + "".join(f" {cell} |" if cell != "" else " |" for cell in cells), flush=True)


def verdict(is_met):
    return "yes" if is_met else "**no**"


# MARK: Files


def drop_cache(*paths):
    """Takes files out of the page cache; as root, everything that is in it."""
    try:
        Path("/proc/sys/vm/drop_caches").write_text("1")
    except OSError:
        for path in paths:
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


@contextlib.contextmanager
def scratch(folder=None):
    """A folder that goes when its `with` ends; on the disk of `folder` where that matters."""
    with tempfile.TemporaryDirectory(prefix=f"{Path(sys.argv[0]).stem}-", dir=folder) as path:
        yield Path(path)


def checkpoint(text):
    """A checkpoint: a folder or file, or the name of one that is made and kept. The type of an option.

    `minilm-l6` is what scripts/fetch-minilm fetches. `llama-1b-2-layers` and `tiny-4-layers-8-shards` are made by
    checkpoints/make_checkpoint.py: two layers of its model llama-1b, four of tiny in eight files.
    """
    if text == "minilm-l6":
        return Path(subprocess.run([ROOT / "scripts/fetch-minilm"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
    named = re.fullmatch(r"([^/]+?)-(\d+)-layers?(?:-(\d+)-shards?)?", text)
    if Path(text).exists() or not named:
        return Path(text)
    import make_checkpoint
    import models
    import weights

    folder = CACHE / f"checkpoints-{weights.EDITION}" / text
    if not folder.exists():
        print(f"making {folder}", file=sys.stderr)
        try:
            model = models.first_layers(models.built_in(named[1]), int(named[2]))
        except models.ModelError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        make_checkpoint.make(folder, model, int(named[3] or 0))
    return folder
