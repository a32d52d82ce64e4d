"""The program `frogmask`: info, merge, convert, signals, report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version

from frogmask.errors import FrogmaskError
from frogmask.report import command as report
from frogmask.signals import command as signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: The words after the program's name; those of the process if None.

    Returns:
        The exit status: 0, or that of the error, which is one line on stderr (docs/reference/exit-statuses.md).
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except FrogmaskError as error:
        print(f"frogmask: error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        """Ends with the status of usage errors, which is 64 and not argparse's 2."""
        print(f"frogmask: error: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(64)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="frogmask", description="Masks and patches of selected weights.")
    parser.add_argument("--version", action="version", version=f"frogmask {version('frogmask')}")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)

    info = commands.add_parser("info", help="what a folder of masks or a patch holds")
    info.add_argument("directory", metavar="DIR", help="masks of frog-mpi, or a patch")
    info.add_argument("--checkpoint", help="also check that this is the checkpoint that they belong to, by its fingerprint")
    info.set_defaults(run=_info)

    merge = commands.add_parser("merge", help="write a checkpoint with the values of a patch")
    merge.add_argument("checkpoint", metavar="CHECKPOINT", help="a folder as Hugging Face stores it, or one safetensors file")
    merge.add_argument("directory", metavar="DIR", help="the patch")
    merge.add_argument("--out", required=True, help="the folder to write, new or empty")
    _add_verify(merge)
    merge.set_defaults(run=_merge)

    convert = commands.add_parser("convert", help="write a patch, or untrained masks, as an adapter of another library")
    convert.add_argument("directory", metavar="DIR", help="a patch; or masks, which give an adapter of zeros to train")
    convert.add_argument(
        "--to", required=True, choices=("shira", "supertuning", "sft", "patch"),
        help="SHiRA or Super-Tuning of PEFT, SFT of AlanAnsell/peft, or a patch in the checkpoint's types, without unchanged values",
    )  # fmt: skip
    convert.add_argument("--checkpoint", required=True, help="the base model")
    convert.add_argument("--out", required=True, help="the folder to write, new or empty")
    _add_verify(convert)
    convert.set_defaults(run=_convert)

    signals.add(commands)
    report.add(commands)
    return parser


def _add_verify(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--no-verify", action="store_true", help="do not compare the checkpoint's fingerprint first, which reads all of its weight matrices"
    )


def _merge(options: argparse.Namespace) -> None:
    from frogmask.merging import merge

    merge(options.checkpoint, options.directory, options.out, verify=not options.no_verify)


def _convert(options: argparse.Namespace) -> None:
    from frogmask.conversion import convert

    convert(options.directory, options.to, options.out, checkpoint=options.checkpoint, verify=not options.no_verify)


def _info(options: argparse.Namespace) -> None:
    from frogmask.conversion import opened
    from frogmask.fingerprint import check_fingerprint
    from frogmask.masks import Masks

    source = opened(options.directory)
    if options.checkpoint is not None:
        check_fingerprint(source.matrices, source.fingerprint, options.checkpoint)
    kept = [(name, tensor.kept, tensor.shape) for name, tensor in source.items()]
    total = sum(number for _, number, _ in kept)
    print(f"{'masks' if isinstance(source, Masks) else 'patch'}        {source.folder}")
    print(f"checkpoint   {source.fingerprint}{' (checked)' if options.checkpoint is not None else ''}")
    print(f"tensors      {len(kept)}, {sum(number > 0 for _, number, _ in kept)} with kept weights")
    print(f"kept         {total:,}")
    width = max((len(name) for name, _, _ in kept), default=0)
    for name, number, shape in kept:
        size = 1
        for dimension in shape:
            size *= dimension
        print(f"  {name:{width}}  {' × '.join(map(str, shape)):>16}  {number:>12,}  {number / size:8.3%}")
