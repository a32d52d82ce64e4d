"""`frogmask report`: pictures of what frog-mpi has written."""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Adds the command."""
    report = commands.add_parser("report", help="draw what a run of frog-mpi mask, analyze or compare has found")
    report.add_argument("folders", metavar="OUT", nargs="+", help="folders of mask (of one or several masks), analyze and compare")
    report.add_argument("-o", "--out", metavar="FILE", help="the HTML file to write (default: OUT.html beside the first folder)")
    report.add_argument("--only", metavar="KEYS", help="the pictures to draw, with commas between, such as importance,kept (default: all)")
    report.add_argument("--svg", metavar="DIR", help="also write every picture as SVG")
    report.add_argument("--png", metavar="DIR", help="also write every picture as PNG")
    report.add_argument("--scheme", choices=("light", "dark", "both"), default="light", help="the colours of SVG and PNG (default: light)")
    report.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from frogmask.report import write_report

    only = options.only.split(",") if options.only is not None else ()
    for path in write_report(options.folders, options.out, svg=options.svg, png=options.png, scheme=options.scheme, only=only):
        print(path)
