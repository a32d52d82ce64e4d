"""What the examples share: their options, the commands that they run, and the table at their end."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from transformers import logging

from frogmask.errors import FrogmaskError, MissingError, UsageError, WriteError

ROOT = Path(__file__).resolve().parent.parent
# What --sweep multiplies the learning rate of each method by.
SWEEP = (0.3, 1.0, 3.0)


@dataclass(frozen=True)
class Method:
    """A way to train.

    Attributes:
        name: What the table calls it.
        rate: Its learning rate: the best of a sweep on validation data (docs/guide/examples.md).
        masks: The folder of its mask, in the output folder; None if it has none.
    """

    name: str
    rate: float
    masks: str | None = None


@dataclass(frozen=True)
class Result:
    """What one training came to. Accuracies are in percent."""

    method: str
    rate: float
    seed: int
    weights: int
    validation: float
    test: float


class Parser(argparse.ArgumentParser):
    """The options of both examples."""

    def __init__(self, description: str | None, out: str, seeds: int) -> None:
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        self.add_argument("--out", type=Path, default=Path(out), help="the folder for everything that is made (default: ./%(default)s)")
        self.add_argument("--seeds", type=positive, default=seeds, help="how often each method is trained (default: %(default)s)")
        self.add_argument(
            "--sweep", action="store_true", help="try three learning rates with each method, and take the best on validation data"
        )
        self.add_argument(
            "--scale", type=share, default=1.0, help="the share of the training steps, and of the test data, such as 0.1 for a try"
        )
        self.add_argument("--evaluate", action="store_true", help="only test the models that are in --out already")

    def error(self, message: str) -> None:  # type: ignore[override]
        """Ends with the status of usage errors, which is 64 and not argparse's 2."""
        fail(UsageError(f"{message} (see --help)"))


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def share(text: str) -> float:
    number = float(text)
    if not 0 < number <= 1:
        raise ValueError(text)
    return number


def start(example: Callable[[], None]) -> None:
    """Runs an example; an error that a user can mend is one line."""
    try:
        example()
    except FrogmaskError as error:
        fail(error)
    except OSError as error:
        fail(WriteError(str(error)))
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def fail(error: FrogmaskError) -> None:
    print(f"{Path(sys.argv[0]).stem}: error: {error}", file=sys.stderr)
    raise SystemExit(error.exit_status)


def quiet() -> None:
    """Has transformers print errors alone."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


class Log:
    """Prints what happens, and keeps it in a file of the output folder, with all that commands have printed."""

    def __init__(self, out: Path, example: str, contents: Sequence[str]) -> None:
        """Makes the folder ready.

        Args:
            out: The folder; what an earlier run of the example has left there is removed.
            example: The name of the example, and of the file.
            contents: The names of what the example puts there beside it.

        Raises:
            UsageError: It is no folder, or there is something else in it.
        """
        if out.exists() and not out.is_dir():
            raise UsageError(f"{out} is no folder; give a new one to --out")
        self.path = out / f"{example}.log"
        found = {entry.name for entry in out.iterdir()} if out.exists() else set()
        foreign = found - {self.path.name, *contents} if self.path.name in found else found
        if foreign:
            raise UsageError(f"{out} has '{min(foreign)}' in it, which this example has not made; give a new folder to --out")
        for entry in [out / name for name in found]:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        out.mkdir(parents=True, exist_ok=True)
        self._keep([])
        self.started = self.lap = time.monotonic()

    def say(self, text: str = "") -> None:
        print(text, flush=True)
        self._keep([text])

    def _keep(self, lines: Sequence[str]) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)

    def run(self, *command: str | Path, show: str = "") -> None:
        """Runs frog-mpi, frogmask or python, and prints the lines of its output that begin with the regular expression `show`."""
        words = [str(word) for word in command]
        self.say(f"\n$ {shlex.join(words)}")
        done = subprocess.run([*program(words[0]), *words[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if line]
        warnings = [line for line in done.stderr.splitlines() if "warning:" in line]
        shown = [line for line in lines if re.match(show, line)]
        self._keep([f"    {line}" for line in [*done.stderr.splitlines(), *lines]])
        if done.returncode != 0:
            print(done.stderr, end="", file=sys.stderr)
            raise SystemExit(done.returncode)
        for line in [*warnings, *shown]:
            print(f"    {line}")
        if len(shown) < len(lines):
            print(f"    … {len(lines) - len(shown)} more lines in {self.path}", flush=True)

    def result(self, result: Result) -> None:
        """Prints what a training came to, and how long it took since the last one."""
        seconds, self.lap = time.monotonic() - self.lap, time.monotonic()
        accuracies = f"validation {result.validation:5.1f}%  test {result.test:5.1f}%"
        self.say(f"    {result.method:20}  rate {result.rate:<6g}  seed {result.seed}  {accuracies}  {seconds:4.1f} s")


def program(name: str) -> list[str]:
    """The words that start a program: frog-mpi of this repository, and what belongs to the Python that runs the example."""
    if name == "python":
        return [sys.executable]
    if name == "frogmask":
        return [sys.executable, "-m", "frogmask"]
    binary = os.environ.get("FROG_MPI") or ROOT / ".build/release/frog-mpi"
    if not os.access(binary, os.X_OK):
        raise MissingError(f"there is no program {binary}; start the example with scripts/example, which builds it, or set FROG_MPI")
    return [str(binary)]


def trainings(methods: Sequence[Method], seeds: int, sweep: bool) -> Iterator[tuple[Method, float, int]]:
    """The trainings to do: method, learning rate, seed."""
    for method in methods:
        for factor in SWEEP if sweep else (1.0,):
            for seed in range(seeds):
                yield method, round(method.rate * factor, 8), seed


def schedule(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """Learning rates that rise over the first tenth of the steps, and then fall to zero."""
    rising = steps / 10
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / rising, (steps - step) / (steps - rising), 1.0))


def table(results: Sequence[Result], control: str) -> str:
    """A line for each method, at its rate that is best on validation data: means over seeds ± standard errors.

    The last column is the mean difference from the control in test accuracy. Seeds are paired: they have the same training data.
    """
    best: dict[str, list[Result]] = {}
    for method in dict.fromkeys(result.method for result in results):
        tried = [[result for result in results if (result.method, result.rate) == (method, rate)] for rate in rates_of(method, results)]
        best[method] = max(tried, key=lambda runs: statistics.mean(run.validation for run in runs))
    width = max(len(method) for method in best)
    lines = [f"{'method':{width}}  {'weights':>10}  {'rate':>7}  {'validation':>10}  {'test':>12}  {'against ' + control:>15}"]
    for method, runs in best.items():
        differences = [run.test - other.test for run, other in zip(runs, best[control])]
        lines.append(
            f"{method:{width}}  {runs[0].weights:>10,}  {runs[0].rate:>7g}  {statistics.mean(run.validation for run in runs):>10.1f}  "
            f"{with_error([run.test for run in runs]):>12}  {'' if method == control else with_error(differences, '+'):>15}"
        )
    return "\n".join(lines)


def rates_of(method: str, results: Sequence[Result]) -> list[float]:
    """The learning rates that were tried with a method."""
    return sorted({result.rate for result in results if result.method == method})


def with_error(values: Sequence[float], sign: str = "") -> str:
    """The mean of some values, and its standard error if there are several."""
    mean = f"{statistics.mean(values):{sign}.1f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values) / math.sqrt(len(values)):.1f}"


def save(results: Sequence[Result], path: Path) -> None:
    """Writes all results as JSON."""
    path.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n", encoding="utf-8")
