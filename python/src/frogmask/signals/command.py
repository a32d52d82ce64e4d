"""The command `frogmask signals`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frogmask import documents

if TYPE_CHECKING:
    from frogmask.signals.batches import Batch
    from frogmask.signals.collecting import Summary

_SHOWN = 5


def add(commands: Any) -> None:
    """Adds the command to those of the program."""
    parser = commands.add_parser("signals", help="measure activations or gradients, for frog-mpi mask --weight-by")
    parser.add_argument("model", metavar="MODEL", help="a folder as Hugging Face stores it, loaded by transformers")
    parser.add_argument(
        "--data", required=True, help="calibration examples: texts a line, .jsonl with 'text' and 'label', or .safetensors with tensors"
    )
    parser.add_argument(
        "--kind", required=True, choices=("activation", "gradient", "fisher"),
        help="root mean square of the inputs of each feature, mean |G| over batches, or mean G² over examples",
    )  # fmt: skip
    parser.add_argument("--out", required=True, help="the folder to write, new or empty")
    parser.add_argument("--examples", type=_count, default=128, help="the first so many examples are used (128)")
    parser.add_argument("--batch-size", type=_count, default=8, help="examples in a batch (8)")
    parser.add_argument("--max-length", type=_count, help="tokens of a text that are used (what the model takes, at most 512)")
    parser.add_argument("--tokenizer", help="the folder of the tokenizer (MODEL)")
    parser.add_argument("--exclude", metavar="GLOB", action="append", default=[], help="leave out tensors by name, such as '*embed*'")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32", help="what to compute in (float32)")
    parser.add_argument("--device", default="cpu", help="where to compute, such as cuda:0 (cpu)")
    parser.add_argument("--seed", type=int, default=0, help="which tokens are masked for a masked language model (0)")
    parser.set_defaults(run=_signals)


def _count(word: str) -> int:
    if not word.isascii() or not word.isdigit() or int(word) == 0:
        raise argparse.ArgumentTypeError(f"'{word}' is no number from 1 on")
    return int(word)


def _signals(options: argparse.Namespace) -> None:
    from frogmask.signals.collecting import collect
    from frogmask.signals.models import DTYPES, load

    documents.check_new(Path(options.out))  # before the model is loaded
    model = load(options.model, DTYPES[options.dtype], options.device)
    about = {
        "architecture": type(model).__name__, "batch_size": options.batch_size, "dtype": options.dtype, "max_length": options.max_length,
        "model_type": model.config.model_type, "seed": options.seed,
    }  # fmt: skip
    data = _named(options.data, _batches(options, model))
    summary = collect(
        model, data, options.kind, options.out, checkpoint=options.model, run=_run(options), exclude=options.exclude, about=about
    )
    _report(options, summary)


def _batches(options: argparse.Namespace, model: Any) -> Iterator[Batch]:
    from frogmask.signals.data import TextBatches, tensor_batches

    path, with_labels = Path(options.data), options.kind != "activation"
    if path.suffix == ".safetensors":
        return tensor_batches(path, model, options.batch_size, options.examples, with_labels=with_labels)
    made = TextBatches(
        path, model, options.tokenizer or options.model, longest=options.max_length, seed=options.seed, with_labels=with_labels
    )
    return made.batches(options.batch_size, options.examples)


def _named(path: str, batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches; an error that names the file if there are none."""
    from frogmask.errors import FormatError

    is_empty = True
    for batch in batches:
        is_empty = False
        yield batch
    if is_empty:
        raise FormatError(f"{path} has no examples")


def _run(options: argparse.Namespace) -> Any:
    from frogmask.errors import FormatError
    from frogmask.signals.models import first_line

    def run(model: Any, batch: Batch) -> Any:
        try:
            return getattr(model(**batch), "loss", None)
        except (ValueError, IndexError, TypeError, KeyError, AttributeError, RuntimeError) as error:
            raise FormatError(f"{type(model).__name__} cannot take the examples of {options.data}: {first_line(error)}") from None

    return run


def _report(options: argparse.Namespace, summary: Summary) -> None:
    score = "magnitude" if options.kind == "activation" else "one"  # Wanda, and gradients alone
    print(f"{options.out}: signals of {summary.tensors} tensors, from {summary.examples} examples (batches: {summary.batches})")
    print(f"use them with: frog-mpi mask {options.model} --score {score} --weight-by {options.out}")
    notes = {
        "signals of zeros, as nothing has reached": summary.unreached,
        "no signals of": [f"{name} ({reason})" for name, reason in summary.absent.items()],
        "parameters of the model that the checkpoint does not have": summary.newcomers,
    }
    for problem, names in notes.items():
        if names:
            shown = [_printable(name) for name in names[:_SHOWN]]
            more = f", and {len(names) - _SHOWN} more in signals.json" if len(names) > _SHOWN else ""
            print(f"frogmask: warning: {problem} {', '.join(shown)}{more}", file=sys.stderr)


def _printable(name: str) -> str:
    """A name from a checkpoint without characters that act on a terminal."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in name)
