"""The parts of a report: pictures with a panel for each run, and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

MOST_ROWS = 400
"""A page has no more rows of one table; it says how many there are, and which file has them all."""


@dataclass(frozen=True)
class Table:
    """Rows of text and numbers.

    Attributes:
        columns: The heads.
        rows: The cells; None is an empty one.
        source: The file that has all rows, for tables that are cut.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    source: str = ""


@dataclass(frozen=True, eq=False)
class Panel:
    """A picture of one run.

    Attributes:
        label: That of the run.
        chart: What is drawn; None where the run has nothing to draw, which the note explains.
        note: What a reader should know beside it; may be empty.
        table: The numbers behind it.
    """

    label: str
    chart: alt.LayerChart | alt.Chart | None
    note: str
    table: Table | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """What several runs show of one thing, side by side.

    Attributes:
        key: The name of its files and of its place in the page.
        title: A few words.
        sentence: What it shows, and in which unit.
        panels: One for each run that has something to show.
    """

    key: str
    title: str
    sentence: str
    panels: list[Panel] = field(default_factory=list)
