#!/usr/bin/env python3
"""Makes a run of `frog-mpi mask` fail at each of its calls on files, and checks what is left; see scripts/faults.

A *scenario* is a run on two ranks of a checkpoint so small that it takes half a second. It is done once undisturbed, for
the bytes that every other run must end with, while Tests/Interposers/files.c logs the calls of each rank. A *case* is a
scenario with one fault, SCENARIO/RANK/CALL/KIND. After it must hold:

- the run has ended by itself, in time, with a documented status and no more than one error line;
- a file has its final name only if all of them are there and whole, or `verify` says that they are not;
- the same run continued, on one to three ranks, succeeds with the bytes of the undisturbed one and leaves nothing else.
"""

import argparse
import concurrent.futures
import contextlib
import hashlib
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
from pathlib import Path

import numpy as np

import checkpoints

ROOT = Path(__file__).resolve().parents[2]
WORK = ".frog-mpi"
FINAL = re.compile(r"masks-\d+-of-\d+\.safetensors|masks\.safetensors\.index\.json|frog\.json|run\.json|names\.json")
CRASH = re.compile(r"frog-mpi: rank|Fatal error|Illegal instruction|Segmentation fault|Trace/breakpoint|MPI_ABORT|\bcore dumped")

# Statuses that a call which fails may end in. Killed ranks end a run with 128 + 9.
REFUSED = {66, 74}
KILLED = {137}

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


@dataclass
class Scenario:
    name: str
    options: tuple
    #: How the folder comes to be as the run finds it.
    overwrites: bool = False
    interrupted: bool = False
    bytes: dict = field(default_factory=dict)
    calls: dict = field(default_factory=dict)


SCENARIOS = [
    Scenario("plain", ("--budget", "5%")),
    Scenario("pread", ("--budget", "3%", "--io", "pread", "--select", "matrix", "--format", "bitmap", "--names", "transformers5")),
    Scenario("audit", ("--budget", "5%", "--rank", 8, "--oversample", 4, "--audit", 2, "--normalize", "rowcol")),
    Scenario("overwrite", ("--budget", "5%"), overwrites=True),
    Scenario("resume", ("--budget", "5%"), interrupted=True),
]  # fmt: skip


@dataclass
class Ended:
    command: list
    status: int
    stderr: str
    seconds: float
    timed_out: bool

    @property
    def error_lines(self):
        return [line for line in self.stderr.splitlines() if line.startswith("frog-mpi: error:")]


def session_members(session):
    """The processes of a session, by /proc: mpirun gives every rank a process group of its own."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                fields = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] != "Z":
                    found.append(int(entry))
    return found


def kill_session(session):
    for process in session_members(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


class Harness:
    def __init__(self, binary, folder, seed, limit):
        self.binary, self.folder, self.seed, self.limit = binary, folder, seed, limit
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("FROG_FAULT")} | {
            "SWIFT_BACKTRACE": "enable=no", "OPENBLAS_NUM_THREADS": "1"}  # fmt: skip
        if os.geteuid() == 0:
            self.environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        helped = subprocess.run([binary, "mask", "--help"], capture_output=True, text=True, env=self.environment)
        self.can_resume = "--resume" in helped.stdout
        self.interposer = folder / "files.so"
        source = ROOT / "Tests/Interposers/files.c"
        flags = "-std=c11 -shared -fPIC -O1 -pthread -Wall -Wextra -Werror".split()
        subprocess.run([os.environ.get("CC", "cc"), *flags, "-o", self.interposer, source, "-ldl"], check=True)

    # Checkpoints

    def make_checkpoints(self):
        generator = np.random.default_rng(self.seed)
        tensors = checkpoints.llama(generator, hidden=48, inner=64, kv=16, vocabulary=50)
        self.small = checkpoints.write_checkpoint(self.folder / "small", tensors, shard_size=25_000)
        # What an older run has left: other masks, in more files.
        self.other = checkpoints.write_checkpoint(self.folder / "other", tensors, shard_size=12_000)

    # Running

    def mask(self, checkpoint, out, options, ranks, faults=(), kill=None):
        """One run under mpirun, stopped when it takes too long; `kill(process)` may end some of it."""
        settings = [f"{name}={value}" for name, value in faults]
        command = ["mpirun", "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1", "-n", ranks]
        if settings:
            roots = f"FROG_FAULT_ROOTS={checkpoint}:{out}"
            command += ["env", f"LD_PRELOAD={self.interposer}", roots, *settings]
        command += [self.binary, "mask", checkpoint, "--out", out, "--threads", 1, "--quiet", *options]
        command = [str(part) for part in command]
        started = time.monotonic()
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment, start_new_session=True)  # fmt: skip
            timed_out = False
            try:
                if kill:
                    kill(process)
                process.wait(self.limit)
                # A killed mpirun cannot wait for its ranks.
                while session_members(process.pid) and time.monotonic() < started + self.limit:
                    time.sleep(0.02)
                timed_out = bool(session_members(process.pid))
            except subprocess.TimeoutExpired:
                timed_out = True
            finally:
                seconds = time.monotonic() - started
                kill_session(process.pid)
                process.wait()
            log.seek(0)
            return Ended(command, process.returncode, log.read().decode(errors="backslashreplace"), seconds, timed_out)

    def verify(self, out):
        return subprocess.run(
            [self.binary, "verify", out], capture_output=True, text=True, env=self.environment, timeout=60)  # fmt: skip

    def undisturbed(self, scenario):
        """Runs it twice, for its bytes and for its calls."""
        out = self.folder / f"{scenario.name}.reference"
        scenario.bytes = self.expect(self.mask(self.small, out, scenario.options, 2), out)
        out = self.folder / f"{scenario.name}.logged"
        log = self.folder / f"{scenario.name}.calls"
        options = self.prepare(scenario, out)
        found = self.expect(self.mask(self.small, out, options, 2, [("FROG_FAULT_LOG", log)]), out)
        if found != scenario.bytes:
            raise SystemExit(f"{scenario.name}: two undisturbed runs differ")
        scenario.calls = {rank: read_calls(Path(f"{log}.{rank}"), [self.small, out]) for rank in (0, 1)}

    def expect(self, ended, out):
        if ended.status != 0:
            raise SystemExit(f"an undisturbed run failed\n{' '.join(ended.command)}\n{ended.stderr}")
        return contents(out)

    def prepare(self, scenario, out):
        """Brings the folder into the state in which the run finds it; returns the run's options."""
        if scenario.overwrites:
            older = ("--budget", "2%", "--format", "bitmap", "--names", "transformers5")
            self.expect(self.mask(self.other, out, older, 1), out)
            return (*scenario.options, "--overwrite")
        if scenario.interrupted:
            # About where half of the matrices are scored.
            self.mask(self.small, out, scenario.options, 2, [("FROG_FAULT_RANK", 1), ("FROG_FAULT", "60:kill")])
            return self.continued(scenario)
        return scenario.options

    def continued(self, scenario):
        """The options of a run that takes up what a failed one has left."""
        how = ["--resume"] if self.can_resume else []
        return (*scenario.options, *how, *(["--overwrite"] if scenario.overwrites or not how else []))

    # Checking

    def check(self, scenario, case):
        """One fault. Returns what happened, the seconds until the run ended, and what was wrong, a line each."""
        rank, number, kind = case
        name = f"{scenario.name}/{rank}/{number}/{kind}"
        folder = self.folder / name.replace("/", "-")
        folder.mkdir()
        out = folder / "out"
        options = self.prepare(scenario, out)
        before = contents(out) if scenario.overwrites else None
        faults = [("FROG_FAULT_RANK", rank), ("FROG_FAULT", f"{number}:{kind}"), ("FROG_FAULT_LOG", folder / "calls")]
        ended = self.mask(self.small, out, options, 2, faults)
        hit = hit_call(folder / f"calls.{rank}")
        problems = self.ending_problems(ended, kind) if hit else []
        problems += self.remaining_problems(scenario, out, before, ended)
        ranks = 1 + int.from_bytes(hashlib.sha256(f"{self.seed} {name}".encode()).digest()[:2]) % 3
        problems += self.recover(scenario, out, ranks)
        status = f"status {ended.status}" if hit else "no such call"
        if problems:
            said = [line for line in ended.stderr.splitlines() if line.startswith("frog-mpi:")] or ended.stderr.splitlines()
            problems = [f"{problem} [{hit or 'not reached'}; {status}; {' | '.join(said[:3])}]" for problem in problems]
        else:
            shutil.rmtree(folder)
        return status, ended.seconds, problems

    def ending_problems(self, ended, kind):
        """Status, time and messages of a run that met a fault."""
        problems = []
        if ended.timed_out:
            return [f"no end after {self.limit:g} s"]
        kind = kind.rstrip("+")
        allowed = KILLED if kind.startswith("kill") else {0} if kind in ("short", "eintr") else {0} | REFUSED
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
        """What a failed run has left under final names."""
        found = contents(out)
        strays = [name for name in found if not FINAL.fullmatch(name)]
        problems = [f"left behind: {' '.join(strays)}"] if strays else []
        if ended.status == 0:
            if found != scenario.bytes:
                problems.append(f"WRONG: it succeeds with other bytes: {difference(found, scenario.bytes)}")
            if (out / WORK).exists():
                problems.append(f"it succeeds and leaves {WORK}")
        elif found and found not in (scenario.bytes, before):
            result = self.verify(out)
            if result.returncode != 65:
                problems.append(f"WRONG: verify of an unfinished folder ends with {result.returncode}: {sorted(found)}")
        elif found:
            result = self.verify(out)
            if result.returncode != 0:
                problems.append(f"verify of whole masks ends with {result.returncode}: {result.stderr.strip()}")
        return problems

    def recover(self, scenario, out, ranks):
        """Continues what is not finished; it has to end with the bytes of the undisturbed run."""
        if contents(out) == scenario.bytes and not (out / WORK).exists():
            return []
        ended = self.mask(self.small, out, self.continued(scenario), ranks)
        if ended.timed_out or ended.status != 0:
            why = "does not end" if ended.timed_out else f"ends with {ended.status}"
            return [f"LOST: going on with {ranks} ranks {why}: {' | '.join(ended.error_lines)}"]
        found = contents(out)
        problems = []
        if found != scenario.bytes:
            problems.append(f"WRONG: after going on with {ranks} ranks {difference(found, scenario.bytes)}")
        if (out / WORK).exists():
            problems.append(f"{WORK} is there after going on")
        return problems


def contents(out):
    """Name → bytes of what lies in a folder, but for the work folder; of run.json only that it is there."""
    if not out.is_dir():
        return {}
    files = [path for path in out.iterdir() if path.name != WORK]
    return {p.name: b"" if p.name == "run.json" else p.read_bytes() if p.is_file() else b"no file" for p in files}


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


def read_calls(path, roots):
    calls = []
    for number, group, name, count, file, _ in log_lines(path):
        for root in roots:
            file = file.replace(str(root), root.name)
        calls.append(Call(int(number), group, name, int(count), file))
    return calls


def hit_call(path):
    """The first call that failed, as text; None if there was none."""
    for number, _, name, _, file, fault in log_lines(path):
        if fault != "-":
            return f"call {number}: {name} {file}"
    return None


def all_cases(scenario):
    return [
        ((rank, call.number, kind), (call.group, call.name, call.place, kind))
        for rank, calls in scenario.calls.items()
        for call in calls
        for kind, groups in KINDS.items()
        if call.group in groups and (not kind.startswith("short") or call.bytes > 1)
    ]


def sample(scenarios, count, seed):
    """So many cases, of as many sorts as possible: scenario, rank, call, file and fault in turn."""
    generator = random.Random(seed)
    sorts = {}
    for scenario in scenarios:
        for case, sort in all_cases(scenario):
            sorts.setdefault((scenario.name, case[0], *sort), []).append((scenario, case))
    chosen = [generator.choice(cases) for _, cases in sorted(sorts.items())]
    generator.shuffle(chosen)
    return chosen[:count]


def main():
    parser = argparse.ArgumentParser(prog="scripts/faults", description="Injects faults into runs on two ranks.")
    parser.add_argument("--binary", type=Path, default=os.environ.get("FROG_MPI", ROOT / ".build/release/frog-mpi"))
    parser.add_argument("--long", action="store_true", help="every call of every scenario, and 100 kills")
    parser.add_argument("--sample", type=int, default=120, metavar="N", help="so many faults, of different sorts (120)")
    parser.add_argument("--only", action="append", choices=[s.name for s in SCENARIOS], help="this scenario")
    parser.add_argument("--case", action="append", metavar="SCENARIO/RANK/CALL/KIND", help="this fault alone")
    parser.add_argument("--seed", type=int, default=0, help="of the checkpoint, the sample and the ranks that go on")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="faults at the same time (2)")
    parser.add_argument("--limit", type=float, default=10, metavar="S", help="seconds in which a run has to end (10)")
    parser.add_argument("--calls", action="store_true", help="only say which calls the runs make")
    arguments = parser.parse_args()

    folder = Path(tempfile.mkdtemp(prefix="frog-faults-")).resolve()
    harness = Harness(Path(arguments.binary).resolve(), folder, arguments.seed, arguments.limit)
    harness.make_checkpoints()
    wanted = {case.split("/")[0] for case in arguments.case or []} or set(arguments.only or [s.name for s in SCENARIOS])
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in wanted]
    for scenario in scenarios:
        harness.undisturbed(scenario)
        for rank, calls in scenario.calls.items():
            groups = Counter(call.group for call in calls)
            text = ", ".join(f"{count} {group}" for group, count in sorted(groups.items()))
            print(f"{scenario.name}, rank {rank}: {len(calls)} calls ({text})")
    if arguments.calls:
        shutil.rmtree(folder)
        return 0

    if arguments.case:
        by_name = {scenario.name: scenario for scenario in scenarios}
        parts = [case.split("/") for case in arguments.case]
        cases = [(by_name[name], (int(rank), int(number), kind)) for name, rank, number, kind in parts]
    elif arguments.long:
        cases = [(scenario, case) for scenario in scenarios for case, _ in all_cases(scenario)]
    else:
        cases = sample(scenarios, arguments.sample, arguments.seed)
    return 1 if try_all(harness, cases, arguments.jobs) else 0


def try_all(harness, cases, jobs):
    """Returns how many cases had problems, after saying which."""
    statuses, slowest, bad, texts = Counter(), 0.0, 0, []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(harness.check, scenario, case): (scenario, case) for scenario, case in cases}
        for future in concurrent.futures.as_completed(futures):
            scenario, case = futures[future]
            status, seconds, problems = future.result()
            statuses[status] += 1
            slowest = max(slowest, seconds)
            bad += bool(problems)
            texts += problems
            name = "/".join(map(str, (scenario.name, *case)))
            for problem in problems:
                print(f"{name}: {problem}\n  scripts/faults --seed {harness.seed} --case {name}", flush=True)
    lost, wrong = (sum(word in text for text in texts) for word in ("LOST", "WRONG"))
    ends = ", ".join(f"{count} ended with {status}" for status, count in sorted(statuses.items()))
    print(f"{len(cases)} faults: {ends}; {lost} lost, {wrong} wrong, {bad} with problems; slowest end {slowest:.1f} s")
    if bad:
        print(f"what they left is in {harness.folder}")
    else:
        shutil.rmtree(harness.folder)
    return bad


if __name__ == "__main__":
    sys.exit(main())
