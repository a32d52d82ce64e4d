#!/usr/bin/env python3
"""Makes runs of mask, analyze, compare, factor and export fail at their calls on files, and checks what is left; see scripts/faults.

A *scenario* is a run on two ranks of checkpoints so small that it takes half a second. It is done once undisturbed, for
the bytes that every other run must end with, while Tests/Interposers/files.c logs the calls of each rank. A *case* is a
scenario with one fault, SCENARIO/RANK/CALL/KIND. After it must hold:

- the run has ended by itself, in time, with a documented status and no more than one error line;
- what the command writes last (Command below: the index of masks or factors, masks.json of several masks, export.json, summary.json of
  tables) is there only if all files are there and whole, each with the hash that another one states, and so is the index of each of
  several masks; where some files are, `verify` says what they are, if it knows results of the command;
- the same run continued, on one to three ranks, succeeds with the bytes of the undisturbed one, run.json apart, and leaves
  nothing else.

Tests/Python/test_faults.py shows that each of these is noticed where it does not hold.
"""

import argparse
import concurrent.futures
import contextlib
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import numpy as np

import checkpoints

ROOT = Path(__file__).resolve().parents[2]
WORK = ".frog-mpi"
# What may differ between equal runs; nothing vouches for it.
RUN = "run.json"
CRASH = re.compile(r"frog-mpi: rank|Fatal error|Illegal instruction|Segmentation fault|Trace/breakpoint|MPI_ABORT|\bcore dumped")

# Statuses that a call which fails may end in. Killed ranks end a run with 128 + 9.
REFUSED = {66, 74}
KILLED = {137}

# Calls that must not fail without anyone noticing: what they should have done is part of the result.
MATTERS = {"create", "write", "sync", "rename", "resize", "mkdir"}
# Calls that change the disk: being killed anywhere between two of them leaves the same behind.
CHANGES = {"create", "write", "sync", "rename", "resize", "remove", "mkdir"}
KINDS = {
    "EIO": {"open", "read", "list", "map", "lock", "stat", "close"} | CHANGES,
    "EIO+": {"open", "read", "list"} | CHANGES,
    "ENOSPC": {"create", "write", "sync", "rename", "resize", "mkdir"},
    "ENOSPC+": {"create", "write", "sync", "rename", "resize", "mkdir"},
    "EMFILE": {"open", "create", "list"},
    "EMFILE+": {"open", "create", "list"},
    "ENOMEM": {"open", "create", "list", "map", "mkdir", "rename", "stat"},
    "eintr": {"open", "create", "read", "write", "sync", "resize", "lock"},
    "short": {"read", "write"},
    "short+": {"read", "write"},
    "kill": CHANGES,
    "kill-after": {"create", "rename", "remove", "mkdir"},
}


@dataclass(frozen=True)
class Call:
    number: int
    group: str
    name: str
    bytes: int
    path: str

    @property
    def place(self):
        """The file, without what differs from run to run."""
        return re.sub(r"[0-9a-f]{8,}|\d+", "#", self.path)

    def __str__(self):
        return f"call {self.number}: {self.name} {self.path}"


def digests(*stated):
    """File → SHA-256, of objects as the program writes them: name → bytes and sha256."""
    return {name: file["sha256"] for files in stated for name, file in (files or {}).items() if file}


@dataclass(frozen=True)
class Command:
    """A subcommand, and by what its results are known."""

    name: str
    #: Written last, after all that it vouches for: a folder without it is not finished.
    last: str
    #: By file, what it states of others, taken from its JSON.
    vouchers: dict
    #: Whether `verify` knows what it has written.
    has_verify: bool = False

    def vouching_problems(self, found):
        """What is wrong in a folder, path → bytes, that is said to be finished: everything but run.json is vouched for."""
        problems, known = [], {self.last, RUN}
        for voucher in sorted(path for path in found if PurePath(path).name in self.vouchers):
            folder = voucher.rpartition("/")[0]
            try:
                stated = self.vouchers[PurePath(voucher).name](json.loads(found[voucher]))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                problems.append(f"{voucher} cannot be read: {error!r}")
                continue
            # What a file states is about files of its own folder, or of folders in it.
            stated = {f"{folder}/{name}".lstrip("/"): digest for name, digest in stated.items()}
            known |= stated.keys()
            # The index of a mask holds nothing that its record and the files do not determine.
            known |= {f"{path.rpartition('/')[0]}/{INDEX}" for path in stated if path.count("/") > voucher.count("/")}
            problems += [f"{n} is not there, and {voucher} vouches for it" for n in stated.keys() - found.keys()]
            hashes = {n: hashlib.sha256(found[n]).hexdigest() for n in stated.keys() & found.keys()}
            problems += [f"{n} is not what {voucher} vouches for" for n in hashes if hashes[n] != stated[n]]
        return sorted(problems) + [f"nothing vouches for {name}" for name in sorted(found.keys() - known)]


INDEX = "masks.safetensors.index.json"
TABLES = {"summary.json": lambda summary: digests(summary["files"])}
MASK = Command(
    "mask",
    INDEX,
    {
        INDEX: lambda index: {"frog.json": index["metadata"]["frog_json_sha256"]},
        "frog.json": lambda record: digests(record["files"], record["documents"]),
        **TABLES,
    },
    has_verify=True,
)
#: One run that makes several masks, each in a folder of its own.
SEVERAL = Command(
    "mask",
    "masks.json",
    {
        "masks.json": lambda masks: {f"{mask['folder']}/frog.json": mask["frog_json"]["sha256"] for mask in masks["masks"]},
        **MASK.vouchers,
    },
    has_verify=True,
)
ANALYZE = Command("analyze", "summary.json", TABLES)
COMPARE = Command("compare", "summary.json", TABLES)
FACTORS = "factors.safetensors.index.json"
FACTOR = Command(
    "factor",
    FACTORS,
    {
        FACTORS: lambda index: {"factors.json": index["metadata"]["factors_json_sha256"]},
        "factors.json": lambda record: digests(record["files"]),
    },
    has_verify=True,
)


EXPORT = Command("export", "export.json", {"export.json": lambda record: digests(record["files"])}, has_verify=True)


@dataclass(frozen=True)
class Older:
    """Finished results that a run finds in its folder, and replaces: those of the same command, asked for otherwise."""

    options: tuple
    #: Where they differ from those of the run.
    inputs: tuple = ()
    methods: str = ""


@dataclass
class Scenario:
    name: str
    command: Command
    #: A path among them is that of a folder that Harness.make_factors has made.
    options: tuple
    #: The checkpoints, folders that Harness.make_checkpoints has made.
    inputs: tuple = ("small",)
    #: What `export` makes; it stands before the checkpoint.
    methods: str = ""
    older: Older | None = None
    #: At which call of rank 1 the run was killed that it goes on with; 0 if there was none.
    killed_at: int = 0
    #: Of an undisturbed run.
    bytes: dict = field(default_factory=dict)
    calls: dict = field(default_factory=dict)
    seconds: float = 0.0


TIED = ("--budget", "5%", "--include", "*embed*", "--include", "lm_head*")
OLDER_MASKS = ("--budget", "2%", "--format", "bitmap", "--names", "transformers5")
ANALYZED = ("--budget", "2%", "--analyze")
# Records of spectra with all their sections.
SPECTRA = ("--vectors", "--overlap", 4, "--randomize", "--mp-fit")
# Two stages with a journal each: what is kept depends on all power laws.
WEIGHTED = ("--budget", "5%", "--analyze", "--quality-weight", "alpha")
PAIR = ("small", "tuned")
UPDATE = ("--delta-spectrum", "--top", 4)
FURNISHED = ("furnished",)
SCENARIOS = [
    Scenario("plain", MASK, TIED),
    Scenario("pread", MASK, ("--budget", "3%", "--io", "pread", "--select", "matrix", "--format", "bitmap", "--names", "transformers5")),
    Scenario("audit", MASK, ("--budget", "5%", "--rank", 8, "--oversample", 4, "--audit", 2, "--normalize", "rowcol")),
    Scenario("overwrite", MASK, TIED, older=Older(OLDER_MASKS)),
    # Its masks have other names.
    Scenario("replace", MASK, TIED, older=Older(OLDER_MASKS, inputs=("other",))),
    # Their tables go.
    Scenario("forget", MASK, TIED, older=Older(ANALYZED)),
    Scenario("resume", MASK, TIED, killed_at=60),
    Scenario("mask-analyze", MASK, ("--budget", "5%", "--analyze")),
    Scenario("mask-analyze-overwrite", MASK, ("--budget", "5%", "--analyze"), older=Older(ANALYZED, inputs=("tuned",))),
    Scenario("mask-analyze-resume", MASK, WEIGHTED, killed_at=150),
    # Scores, and spectra before them, without a decomposition.
    Scenario("stored", MASK, ("--budget", "5%", "--factors", PurePath("factors"))),
    Scenario("stored-resume", MASK, (*WEIGHTED, "--factors", PurePath("factors")), killed_at=150),
    Scenario("several", SEVERAL, ("--budget", "2%", "--normalize", "none,rowcol", "--analyze")),
    # One mask gets new files, one goes, and those that come have other names. Tables go.
    Scenario("several-overwrite", SEVERAL, ("--budget", "2%,5%"), older=Older(("--budget", "2%,3%", "--analyze"))),
    # The folders of several go.
    Scenario("one-from-several", MASK, TIED, older=Older(("--budget", "2%,5%"))),
    Scenario("analyze", ANALYZE, SPECTRA),
    Scenario("analyze-stored", ANALYZE, ("--vectors", "--overlap", 4, "--factors", PurePath("factors"))),
    Scenario("analyze-overwrite", ANALYZE, SPECTRA, older=Older(("--truncated", "--metrics", "alpha,stable_rank"))),
    Scenario("analyze-resume", ANALYZE, SPECTRA, killed_at=60),
    Scenario("compare", COMPARE, UPDATE, inputs=PAIR),
    Scenario("compare-overwrite", COMPARE, UPDATE, inputs=PAIR, older=Older(("--top", 2), inputs=("tuned", "small"))),
    Scenario("compare-resume", COMPARE, UPDATE, inputs=PAIR, killed_at=80),
    Scenario("factor", FACTOR, ("--rank", 12)),
    # Its files have other names.
    Scenario("factor-overwrite", FACTOR, ("--rank", 12), older=Older(("--dtype", "bf16"), inputs=("other",))),
    Scenario("factor-resume", FACTOR, (), killed_at=80),
    Scenario("export", EXPORT, ("--rank", 4, "--diagonals", 1), inputs=FURNISHED, methods="pissa,svft,mica"),
    # A base and an adapter get new files, two methods go, and one comes.
    Scenario("export-overwrite", EXPORT, ("--rank", 4), inputs=FURNISHED, methods="pissa,lora-xs",
        older=Older(("--rank", 3, "--diagonals", 2), methods="pissa,svft,milora")),
    # Two stages with a journal each: the second one writes.
    Scenario("export-resume", EXPORT, ("--rank-by", "energy:0.7", "--diagonals", 1), inputs=FURNISHED, methods="pissa,svft", killed_at=190),
]  # fmt: skip

# Runs of seconds, for kills at any time of them; the I-th kill takes them in turn.
LARGE = [
    Scenario("large-mask", MASK, (), inputs=("large",)),
    Scenario("large-analyze", ANALYZE, ("--vectors", "--overlap", 8, "--randomize"), inputs=("large",)),
    Scenario("large-mask-analyze", MASK, WEIGHTED, inputs=("large",)),
    Scenario("large-compare", COMPARE, ("--delta-spectrum",), inputs=("large", "large-tuned")),
    Scenario("large-factor", FACTOR, (), inputs=("large",)),
    Scenario("large-export", EXPORT, ("--rank", 16), inputs=("large",), methods="pissa,svft,milora"),
]


@dataclass
class Ended:
    command: list
    status: int
    stderr: str
    seconds: float
    timed_out: bool
    #: Whether mpirun had to be killed although its ranks were gone.
    launcher_hung: bool = False

    @property
    def error_lines(self):
        return [line for line in self.stderr.splitlines() if line.startswith("frog-mpi: error:")]


def session_members(session, name=""):
    """The processes of a session, by /proc: mpirun gives every rank a process group of its own. `name` starts their names."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                called, _, rest = Path("/proc", entry, "stat").read_text().partition("(")[2].rpartition(")")
                fields = rest.split()
                if int(fields[3]) == session and fields[0] != "Z" and called.startswith(name):
                    found.append(int(entry))
    return sorted(found)


def kill_session(session):
    for process in session_members(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


class Harness:
    def __init__(self, binary, folder, seed, limit):
        self.binary, self.folder, self.seed, self.limit = binary, folder, seed, limit
        self.launcher_hangs = 0
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("FROG_FAULT")} | {
            "SWIFT_BACKTRACE": "enable=no", "OPENBLAS_NUM_THREADS": "1"}  # fmt: skip
        if os.geteuid() == 0:
            self.environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        self.interposer = folder / "files.so"
        source = ROOT / "Tests/Interposers/files.c"
        flags = "-std=c11 -shared -fPIC -O1 -pthread -Wall -Wextra -Werror".split()
        subprocess.run([os.environ.get("CC", "cc"), *flags, "-o", self.interposer, source, "-ldl"], check=True)

    # Checkpoints

    def make_checkpoints(self):
        generator = np.random.default_rng(self.seed)
        tensors = checkpoints.llama(generator, hidden=48, inner=64, kv=16, vocabulary=50)
        small = checkpoints.write_checkpoint(self.folder / "small", tensors, shard_size=25_000)
        # Where output heads are included this decides whether they count: who overlooks the file makes other masks.
        (small / "config.json").write_text(json.dumps({"model_type": "llama", "tie_word_embeddings": True}))
        # The same with files that bases of an export have too.
        furnished = shutil.copytree(small, self.folder / "furnished")
        (furnished / "tokenizer.json").write_text("{}")
        (furnished / "original").mkdir()
        (furnished / "original/params.json").write_text("{}")
        # The same in more files. Masks of this one have other names.
        checkpoints.write_checkpoint(self.folder / "other", tensors, shard_size=12_000)
        checkpoints.write_checkpoint(self.folder / "tuned", tuned(tensors, generator), shard_size=40_000)

    def make_factors(self):
        """The factors of the small checkpoint, which some scenarios name among their options."""
        command = [self.binary, "factor", self.folder / "small", "--out", self.folder / "factors", "--threads", "1", "--quiet"]
        subprocess.run(command, check=True, env=self.environment, stdout=subprocess.DEVNULL)

    def make_large_checkpoints(self):
        generator = np.random.default_rng(self.seed)
        tensors = checkpoints.llama(generator, layers=6)
        checkpoints.write_checkpoint(self.folder / "large", tensors, shard_size=1_500_000)
        checkpoints.write_checkpoint(self.folder / "large-tuned", tuned(tensors, generator), shard_size=2_000_000)

    # Running

    def run(self, scenario, out, options, ranks, faults=(), kill=None, limit=None, inputs=(), methods=""):
        """One run under mpirun, stopped when it takes too long; `kill(process)` may end some of it."""
        limit = limit or self.limit
        inputs = [self.folder / name for name in inputs or scenario.inputs]
        options = [self.folder / option if isinstance(option, PurePath) else option for option in options]
        settings = [f"{name}={value}" for name, value in faults]
        command = ["mpirun", "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1", "-n", ranks]
        if settings:
            roots = ":".join(map(str, (*inputs, *(option for option in options if isinstance(option, PurePath)), out)))
            command += ["env", f"LD_PRELOAD={self.interposer}", f"FROG_FAULT_ROOTS={roots}", *settings]
        methods = [methods or scenario.methods] if scenario.methods else []
        command += [self.binary, scenario.command.name, *methods, *inputs, "--out", out, "--threads", 1, "--quiet", *options]
        command = [str(part) for part in command]
        started = time.monotonic()
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment, start_new_session=True)  # fmt: skip
            try:
                if kill:
                    kill(process)
                process.wait(max(0.1, started + limit - time.monotonic()))
                # A killed mpirun cannot wait for its ranks.
                while session_members(process.pid) and time.monotonic() < started + limit:
                    time.sleep(0.02)
            except subprocess.TimeoutExpired:
                pass
            finally:
                # mpirun 4.1 now and then waits for a lock of its own (PMIx_server_finalize) when a rank dies as it starts.
                left = session_members(process.pid)
                timed_out = bool(session_members(process.pid, "frog-mpi"))
                seconds = time.monotonic() - started
                kill_session(process.pid)
                process.wait()
            launcher_hung = bool(left) and not timed_out
            if launcher_hung:
                self.launcher_hangs += 1
                seconds = 0.0  # of the program, whenever that was
            log.seek(0)
            text = log.read().decode(errors="backslashreplace")
            return Ended(command, process.returncode, text, seconds, timed_out, launcher_hung)

    def verify(self, out):
        return subprocess.run(
            [self.binary, "verify", out], capture_output=True, text=True, env=self.environment, timeout=60)  # fmt: skip

    def undisturbed(self, scenario):
        """Runs it twice, for its bytes and for its calls; returns what is wrong already."""
        self.measure(scenario)
        self.make_start(scenario)
        out = self.folder / f"{scenario.name}.logged"
        log = self.folder / f"{scenario.name}.calls"
        options = self.prepare(scenario, out)
        found = self.expect(self.run(scenario, out, options, 2, [("FROG_FAULT_LOG", log)]), out)
        if found != scenario.bytes:
            raise SystemExit(f"{scenario.name}: two undisturbed runs differ: {difference(found, scenario.bytes)}")
        roots = [*(self.folder / name for name in scenario.inputs), out]
        scenario.calls = {rank: read_calls(Path(f"{log}.{rank}"), roots) for rank in (0, 1)}
        problems = [p for calls in scenario.calls.values() for p in unsynchronized(calls, out.name, scenario.command.last)]
        return problems + scenario.command.vouching_problems(found)

    def measure(self, scenario, limit=None):
        """The bytes that all runs must end with, and the time that they take."""
        out = self.folder / f"{scenario.name}.reference"
        ended = self.run(scenario, out, scenario.options, 2, limit=limit)
        scenario.bytes, scenario.seconds = self.expect(ended, out), ended.seconds

    def expect(self, ended, out):
        if ended.status != 0:
            raise SystemExit(f"an undisturbed run failed\n{' '.join(ended.command)}\n{ended.stderr}")
        return contents(out)

    def start(self, scenario):
        return self.folder / f"{scenario.name}.start"

    def make_start(self, scenario):
        """The folder as every run of the scenario finds it, if it is not a new one."""
        out = self.start(scenario)
        if older := scenario.older:
            ended = self.run(scenario, out, older.options, 1, inputs=older.inputs, methods=older.methods)
            if self.expect(ended, out) == scenario.bytes:
                raise SystemExit(f"{scenario.name}: the older results are those of the run")
        elif scenario.killed_at:
            # About where half of the matrices have a record.
            faults = [("FROG_FAULT_RANK", 1), ("FROG_FAULT", f"{scenario.killed_at}:kill")]
            ended = self.run(scenario, out, scenario.options, 2, faults)
            if ended.status not in KILLED or not any((out / WORK).glob("*.frogrec")) or contents(out):
                raise SystemExit(f"{scenario.name}: the run that was killed left nothing to go on with")

    def prepare(self, scenario, out):
        """Brings the folder into the state in which the run finds it; returns the run's options."""
        start = self.start(scenario)
        if not start.exists():
            return scenario.options
        shutil.copytree(start, out)
        return (*scenario.options, "--overwrite" if scenario.older else "--resume")

    # Checking

    def check_kill(self, number):
        """Kills ranks or mpirun of one run up to three times, then lets it end. Returns what check returns."""
        scenario = LARGE[number % len(LARGE)]
        generator = random.Random(f"{self.seed} kill {number}")
        folder = self.folder / f"kill-{number}"
        folder.mkdir()
        out = folder / "out"
        problems, texts, slowest = [], [], 0.0
        for attempt in range(generator.choice((1, 1, 2, 3))):
            ranks = generator.choice((2, 2, 3))
            delay, target = generator.uniform(0.1, scenario.seconds), generator.choice(("rank", "rank", "mpirun"))
            share = generator.random()

            def kill(process, delay=delay, target=target, share=share):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(delay)
                    return
                members = session_members(process.pid, "frog-mpi") if target == "rank" else [process.pid]
                if members:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(members[int(share * len(members))], signal.SIGKILL)

            options = (*scenario.options, *(("--resume",) if attempt else ()))
            ended = self.run(scenario, out, options, ranks, kill=kill, limit=delay + self.limit)
            slowest = max(slowest, ended.seconds - delay)
            texts.append(f"{scenario.name}, {target} killed after {delay:.2f} s: status {ended.status}")
            if ended.timed_out:
                problems.append(f"no end {self.limit:g} s after a kill")
            elif ended.status not in (0, 137, -signal.SIGKILL):
                problems.append(f"status {ended.status} after a kill")
            if len(ended.error_lines) > 1 or CRASH.search(ended.stderr):
                problems.append(f"it says {' | '.join(ended.stderr.splitlines()[:6])}")
            problems += self.remaining_problems(scenario, out, None, ended)
            if ended.status == 0:
                break
        problems += self.recover(scenario, out, ("--resume",), generator.choice((1, 2, 3)), 60)
        if not problems:
            shutil.rmtree(folder)
        status = f"{len(texts)} kill{'s' * (len(texts) > 1)}"
        return status, slowest, [f"{problem} [{'; '.join(texts)}]" for problem in problems]

    def check(self, scenario, case):
        """One fault. Returns what happened, the seconds until the run ended, and what was wrong, a line each."""
        rank, number, kind = case
        name = f"{scenario.name}/{rank}/{number}/{kind}"
        folder = self.folder / name.replace("/", "-")
        folder.mkdir()
        out = folder / "out"
        options = self.prepare(scenario, out)
        before = contents(out) if scenario.older else None
        faults = [("FROG_FAULT_RANK", rank), ("FROG_FAULT", f"{number}:{kind}"), ("FROG_FAULT_LOG", folder / "calls")]
        ended = self.run(scenario, out, options, 2, faults)
        hit, group = hit_call(folder / f"calls.{rank}")
        problems = self.ending_problems(ended, kind, group) if hit else []
        problems += self.remaining_problems(scenario, out, before, ended)
        ranks = 1 + int.from_bytes(hashlib.sha256(f"{self.seed} {name}".encode()).digest()[:2]) % 3
        how = ("--resume", "--overwrite") if scenario.older else ("--resume",)
        problems += self.recover(scenario, out, how, ranks, self.limit)
        status = f"status {ended.status}" if hit else "no such call"
        if problems:
            lines = ended.stderr.splitlines()
            said = [line for line in lines if line.startswith("frog-mpi:") and "warning:" not in line] or lines
            problems = [f"{problem} [{hit or 'not reached'}; {status}; {' | '.join(said[:3])}]" for problem in problems]
        else:
            shutil.rmtree(folder)
        return status, ended.seconds, problems

    def ending_problems(self, ended, kind, group):
        """Status, time and messages of a run that met a fault in a call of a group."""
        problems = []
        if ended.timed_out:
            return [f"no end after {self.limit:g} s"]
        if ended.launcher_hung:
            return []
        kind = kind.rstrip("+")
        allowed = REFUSED if group in MATTERS else {0} | REFUSED
        if kind in ("short", "eintr"):
            allowed = {0}
        elif kind.startswith("kill"):
            allowed = KILLED
        if ended.status not in allowed:
            problems.append(f"status {ended.status}, not {' or '.join(map(str, sorted(allowed)))}")
        lines = len(ended.error_lines)
        wanted = range(2) if kind.startswith("kill") else range(1, 2) if ended.status else range(1)
        if lines not in wanted:
            problems.append(f"{lines} error lines")
        if crash := CRASH.search(ended.stderr):
            problems.append(f"it says '{crash[0]}'")
        return problems

    def remaining_problems(self, scenario, out, before, ended):
        """What a failed run has left under final names; `before`: what was there, None if nothing."""
        command, wanted, found = scenario.command, scenario.bytes, contents(out)
        # A folder is made before the first file gets its name in it, and goes after the last has gone.
        made = {f"{folder}/" for path in [*wanted, *(before or {})] for folder in PurePath(path).parents}
        strays = sorted(found.keys() - wanted.keys() - (before or {}).keys() - made)
        problems = [f"left behind: {' '.join(strays)}"] if strays else []
        is_whole = found in (wanted, before)
        if ended.status == 0:
            if found != wanted:
                problems.append(f"WRONG: it succeeds with other bytes: {difference(found, wanted)}")
            if (out / WORK).exists():
                problems.append(f"it succeeds and leaves {WORK}")
        elif not is_whole and command.last in found:
            problems.append(f"WRONG: {command.last} is there, and {difference(found, wanted)}")
        if command.last in found:
            problems += [f"WRONG: {problem}" for problem in command.vouching_problems(found)]
        # A mask in a folder of its own is whole if its index is there, whether or not the others are.
        for folder in sorted(path.removesuffix(INDEX) for path in found if path.endswith(f"/{INDEX}")):
            own = {path.removeprefix(folder): data for path, data in found.items() if path.startswith(folder)}
            problems += [f"WRONG: in {folder}: {problem}" for problem in MASK.vouching_problems(own)]
        if command.has_verify and found and ended.status != 0:
            result = self.verify(out)
            if is_whole and result.returncode != 0:
                problems.append(f"verify of whole results ends with {result.returncode}: {result.stderr.strip()}")
            if not is_whole and result.returncode != 65:
                problems.append(f"WRONG: verify of an unfinished folder ends with {result.returncode}: {sorted(found)}")
        return problems

    def recover(self, scenario, out, how, ranks, limit):
        """Continues what is not finished; it has to end with the bytes of the undisturbed run."""
        wanted = scenario.bytes
        if contents(out) == wanted and not (out / WORK).exists():
            return []
        ended = self.run(scenario, out, (*scenario.options, *how), ranks, limit=limit)
        if ended.timed_out or ended.status != 0:
            why = "does not end" if ended.timed_out else f"ends with {ended.status}"
            return [f"LOST: going on with {ranks} ranks {why}: {' | '.join(ended.error_lines)}"]
        found = contents(out)
        problems = []
        if found != wanted:
            problems.append(f"WRONG: after going on with {ranks} ranks {difference(found, wanted)}")
        if (out / WORK).exists():
            problems.append(f"{WORK} is there after going on")
        return problems


def tuned(tensors, generator):
    """BF16 tensors after a little training: one matrix as it was, one under a name that the other model does not have."""
    found = {}
    for name, (dtype, shape, raw) in tensors.items():
        values = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
        noise = generator.standard_normal(shape) * np.abs(values).mean() * 0.05
        if "0.self_attn.v_proj" in name:
            name = name.replace("v_proj", "value_proj")
        found[name] = tensors[name] if "0.self_attn.q_proj" in name else checkpoints.encode(values + noise, dtype)
    return found


def contents(out):
    """Path → bytes of what lies in a folder and the folders in it, but for the work folder; a path of an empty one ends with a slash.

    Of run.json only that it is there, and whole.
    """
    found = {}
    for path in out.iterdir() if out.is_dir() else []:
        if path.is_dir() and not path.is_symlink():
            if path.name != WORK:
                inner = {f"{path.name}/{name}": data for name, data in contents(path).items()}
                found |= inner or {f"{path.name}/": b"no file"}
        else:
            found[path.name] = content(path)
    return found


def content(path):
    if not path.is_file():
        return b"no file"
    data = path.read_bytes()
    if path.name == RUN:
        try:
            json.loads(data)
        except ValueError:
            return b"no JSON"
    return b"" if path.name == RUN else data


def difference(found, wanted):
    parts = [f"missing {name}" for name in sorted(wanted.keys() - found.keys())]
    parts += [f"stray {name}" for name in sorted(found.keys() - wanted.keys())]
    parts += [f"other bytes in {name}" for name in sorted(found.keys() & wanted.keys()) if found[name] != wanted[name]]
    return ", ".join(parts)


def log_lines(path):
    for line in path.read_text(errors="backslashreplace").splitlines() if path.exists() else []:
        fields = line.split("\t")
        if len(fields) == 6:
            yield fields


def unsynchronized(calls, out, last_name):
    """What a power cut could undo: a kill leaves the page cache as it is, so only the order of calls can tell.

    Every file that is written is synchronized afterwards by the rank that wrote, every folder after names in it change, and
    the removal of what vouches for the older ones before the first new name appears. The lock need not last.
    """
    last, removed, problems, marks = {}, None, [], {last_name, INDEX}
    for call in calls:
        folder = call.path.rpartition("/")[0]
        if call.group == "write":
            last[call.path] = call
        elif call.group == "mkdir" and folder:
            last[folder] = call
        elif call.group == "sync":
            last.pop(call.path, None)
            removed = None if removed and call.path == removed.path.rpartition("/")[0] else removed
        elif call.group == "rename":
            last[folder] = call
            if removed and WORK not in folder:
                problems.append(f"{call} comes while {removed} is not yet on the disk")
                removed = None
        elif call.group == "remove":
            last.pop(call.path, None)
            removed = call if call.path.startswith(f"{out}/") and WORK not in call.path and PurePath(call.path).name in marks else removed
    return problems + [f"{call} is not followed by fsync" for path, call in last.items() if not path.endswith("/lock")]


def read_calls(path, roots):
    calls = []
    for number, group, name, count, file, _ in log_lines(path):
        for root in roots:
            file = file.replace(str(root), root.name)
        calls.append(Call(int(number), group, name, int(count), file))
    return calls


def hit_call(path):
    """The first call that failed, as text, and its group; None twice if there was none."""
    for number, group, name, _, file, fault in log_lines(path):
        if fault != "-":
            return f"call {number}: {name} {file}", group
    return None, None


def all_cases(scenario):
    return [
        ((rank, call.number, kind), (call.group, call.name, call.place, kind))
        for rank, calls in scenario.calls.items()
        for call in calls
        for kind, groups in KINDS.items()
        if call.group in groups and (not kind.startswith("short") or call.bytes > 1)
    ]


def sample(scenarios, count, seed):
    """So many cases, from all scenarios in turn; of each of as many sorts as possible: rank, call, file and fault."""
    generator = random.Random(seed)
    hands = []
    for scenario in scenarios:
        sorts = {}
        for case, sort in all_cases(scenario):
            sorts.setdefault((case[0], *sort), []).append((scenario, case))
        hands.append([generator.choice(cases) for _, cases in sorted(sorts.items())])
        generator.shuffle(hands[-1])
    dealt = itertools.chain.from_iterable(itertools.zip_longest(*hands))
    return [case for case in dealt if case][:count]


def main():
    parser = argparse.ArgumentParser(prog="scripts/faults", description="Injects faults into runs on two ranks.")
    parser.add_argument("--binary", type=Path, default=os.environ.get("FROG_MPI", ROOT / ".build/release/frog-mpi"))
    parser.add_argument("--long", action="store_true", help="every call of every scenario, and 100 kills")
    parser.add_argument("--sample", type=int, default=64, metavar="N", help="so many faults, of different sorts (64)")
    parser.add_argument("--only", action="append", choices=[s.name for s in SCENARIOS], help="this scenario")
    parser.add_argument("--case", action="append", metavar="SCENARIO/RANK/CALL/KIND", help="this fault alone")
    parser.add_argument("--seed", type=int, default=0, help="of the checkpoint, the sample and the ranks that go on")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="faults at the same time (2)")
    parser.add_argument("--limit", type=float, default=10, metavar="S", help="seconds in which a run has to end (10)")
    parser.add_argument("--kind", action="append", choices=KINDS, help="every fault of this kind, instead of a sample")
    parser.add_argument("--group", action="append", help="every fault in such calls, instead of a sample: stat, rename …")
    parser.add_argument("--kills", type=int, metavar="N", help="N runs of seconds with SIGKILL at random times (--long: 100)")
    parser.add_argument("--kill", type=int, action="append", metavar="I", help="the I-th of these alone")
    parser.add_argument("--calls", action="store_true", help="only say which calls the runs make")
    arguments = parser.parse_args()

    # A stop ends like Ctrl-C: the runs under way are stopped too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="frog-faults-")).resolve()
    harness = Harness(Path(arguments.binary).resolve(), folder, arguments.seed, arguments.limit)
    harness.make_checkpoints()
    # SCENARIO/RANK/CALL/KIND
    named = [case.split("/") for case in arguments.case or []]
    wanted = {parts[0] for parts in named} or set(arguments.only or [s.name for s in SCENARIOS])
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in wanted and not arguments.kill]
    if any(isinstance(option, PurePath) for scenario in scenarios for option in scenario.options):
        harness.make_factors()
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        found = list(pool.map(harness.undisturbed, scenarios))
    for scenario, problems in zip(scenarios, found, strict=True):
        bad += say_problems(scenario, problems)
        for rank, calls in scenario.calls.items():
            groups = Counter(call.group for call in calls)
            text = ", ".join(f"{count} {group}" for group, count in sorted(groups.items()))
            print(f"{scenario.name}, rank {rank}: {len(calls)} calls ({text})", flush=True)

    if arguments.calls or arguments.kill:
        cases = []
    elif named:
        by_name = {scenario.name: scenario for scenario in scenarios}
        cases = [(by_name[name], (int(rank), int(number), kind)) for name, rank, number, kind in named]
    elif arguments.long or arguments.kind or arguments.group:
        kinds, groups = arguments.kind or KINDS, arguments.group
        cases = [
            (scenario, case)
            for scenario in scenarios
            for case, (group, *_, kind) in all_cases(scenario)
            if kind in kinds and (not groups or group in groups)
        ]
    else:
        cases = sample(scenarios, arguments.sample, arguments.seed)
    kills = arguments.kill or range(arguments.kills if arguments.kills is not None else 100 if arguments.long else 0)
    if kills:
        harness.make_large_checkpoints()
        for scenario in LARGE:
            harness.measure(scenario, limit=60)
            bad += say_problems(scenario, scenario.command.vouching_problems(scenario.bytes))

    jobs = [("/".join(map(str, (s.name, *case))), "--case", harness.check, (s, case)) for s, case in cases]
    jobs += [(str(number), "--kill", harness.check_kill, (number,)) for number in kills]
    bad += try_all(jobs, arguments.jobs, arguments.seed)
    if harness.launcher_hangs:
        print(f"mpirun did not end although its ranks had, {harness.launcher_hangs} times")
        bad += harness.launcher_hangs > 1 + len(jobs) // 25
    if bad:
        print(f"what they left is in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if bad else 0


def say_problems(scenario, problems):
    for problem in problems:
        print(f"{scenario.name}: {problem}")
    return len(problems)


def try_all(jobs, width, seed):
    """Does all; returns how many had problems, after saying which."""
    statuses, slowest, bad, texts = Counter(), 0.0, 0, []
    started = said = time.monotonic()
    pool = concurrent.futures.ThreadPoolExecutor(width)
    futures = {pool.submit(check, *case): (name, option) for name, option, check, case in jobs}
    try:
        for done, future in enumerate(concurrent.futures.as_completed(futures), 1):
            name, option = futures[future]
            status, seconds, problems = future.result()
            statuses[status] += 1
            slowest = max(slowest, seconds)
            bad += bool(problems)
            texts += problems
            for problem in problems:
                print(f"{name}: {problem}\n  scripts/faults --seed {seed} {option} {name}", flush=True)
            if time.monotonic() - said > 60:
                said = time.monotonic()
                print(f"{done} of {len(jobs)} after {said - started:.0f} s", flush=True)
    except KeyboardInterrupt:
        print("stopped; what follows is about those that are done", flush=True)
        bad += 1
    finally:
        pool.shutdown(cancel_futures=True)
    lost, wrong = (sum(word in text for text in texts) for word in ("LOST", "WRONG"))
    ends = ", ".join(f"{count} with {status}" for status, count in sorted(statuses.items()))
    print(
        f"{sum(statuses.values())} faults in {time.monotonic() - started:.0f} s, ended {ends}: {lost} lost, {wrong} wrong, "
        f"{bad} with problems, slowest end {slowest:.1f} s"
    )
    return bad


if __name__ == "__main__":
    sys.exit(main())
