"""Pictures of what frog-mpi has written: one HTML file that opens offline, and SVG or PNG files.

Needs the extra `report`: altair, and vl-convert-python, which has Vega's scripts and draws pictures without a browser.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from frogmask import documents
from frogmask.errors import MissingError, UsageError

StrPath = str | os.PathLike[str]


def write_report(
    folders: Sequence[StrPath],
    out: StrPath | None = None,
    *,
    svg: StrPath | None = None,
    png: StrPath | None = None,
    scheme: str = "light",
    only: Sequence[str] = (),
) -> list[Path]:
    """Draws what runs of `mask`, `analyze` and `compare` have found.

    Args:
        folders: Their output folders; one with several masks stands for all of them.
        out: The HTML file; if None, it lies beside the first folder, with the same name.
        svg: A folder for the pictures as SVG.
        png: A folder for the pictures as PNG.
        scheme: The colours of SVG and PNG: `light`, `dark`, or `both`. The HTML file has both.
        only: The keys of the pictures to draw, such as `importance`, in place of all.

    Returns:
        The files that were written, the HTML file first.

    Raises:
        UsageError: There are no folders, too many, or one is given twice; or there is no picture of such a key.
        MissingError: A folder is not there, or altair is not installed.
        FormatError: A folder is unfinished, no output of frog-mpi, or contradicts itself.
        WriteError: A file could not be written.
    """
    for module in ("altair", "vl_convert"):
        if find_spec(module) is None:
            raise MissingError("reports need altair and vl-convert-python: pip install 'frogmask[report]'")
    if not folders:
        raise UsageError("a report needs the folder of a run")

    from frogmask.report import images
    from frogmask.report.content import pictures
    from frogmask.report.page import page
    from frogmask.report.runs import open_runs
    from frogmask.report.theme import SCHEMES

    chosen = [one for one in SCHEMES if scheme in (one, "both")]
    if not chosen:
        raise UsageError(f"the scheme is light, dark or both, not '{scheme}'")
    paths = [Path(folder) for folder in folders]
    runs = open_runs(paths)
    drawn = pictures(runs)
    for key in only:
        if key not in (known := [picture.key for picture in drawn]):
            raise UsageError(f"there is no picture '{key}' of these folders: there are {', '.join(known)}")
    drawn = [picture for picture in drawn if not only or picture.key in only]
    target = Path(out) if out is not None else paths[0].resolve().with_name(paths[0].resolve().name + ".html")
    text = page(runs, drawn)
    with documents.written(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    written = [target]
    if svg is not None:
        written += images.write(drawn, Path(svg), "svg", chosen)
    if png is not None:
        written += images.write(drawn, Path(png), "png", chosen)
    return written
