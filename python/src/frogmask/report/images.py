"""Writes pictures as SVG and PNG files, for papers and slides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frogmask import documents
from frogmask.errors import WriteError
from frogmask.report.page import specification
from frogmask.report.picture import Picture
from frogmask.report.theme import Scheme, config

WIDTH = 640
"""Of a drawing, in pixels of 1/96 inch; axes and legends come on top."""
PNG_SCALE = 3


def write(pictures: list[Picture], folder: Path, kind: str, schemes: Sequence[Scheme]) -> list[Path]:
    """Writes a file for each panel.

    Args:
        pictures: What to draw.
        folder: Where to, new or there already; files of the same names are replaced.
        kind: `svg` or `png`.
        schemes: Light, dark, or both.

    Returns:
        The files: KEY.svg, or KEY-LABEL.svg where several runs have a panel; KEY-dark.svg of the dark scheme.

    Raises:
        WriteError: A file could not be written.
    """
    import vl_convert

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"cannot make {folder}: {error.strerror}") from None
    found = []
    for picture in pictures:
        panels = [panel for panel in picture.panels if panel.chart is not None]
        for panel in panels:
            name = picture.key if len(picture.panels) == 1 else f"{picture.key}-{_plain(panel.label)}"
            spec = _fixed(specification(picture, panel))
            for scheme in schemes:
                path = folder / f"{name}{'-dark' if scheme == 'dark' else ''}.{kind}"
                theme = config(scheme, background=True)
                with documents.written(path) as temporary:
                    if kind == "svg":
                        temporary.write_text(vl_convert.vegalite_to_svg(spec, config=theme), encoding="utf-8")
                    else:
                        temporary.write_bytes(vl_convert.vegalite_to_png(spec, config=theme, scale=PNG_SCALE))
                found.append(path)
    return found


def _fixed(spec: dict[str, Any]) -> dict[str, Any]:
    return {**spec, "width": WIDTH, "padding": 8}


def _plain(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9._%+-]+", "-", label).strip("-.") or "run"
