"""What charts share: data without copies of names, axes of layers, colours of roles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import altair as alt

from frogmask.report.theme import CATEGORIES

_COLUMNS = 4  # of a legend, which have room on a telephone
Rows = list[dict[str, Any]]
Chart = alt.Chart | alt.LayerChart

HEIGHT = 280
OTHERS = "others"
MOST_MATRICES = 600
"""Of more matrices, charts show what those of one role in one layer have in common."""


def chart(rows: Rows, height: int = HEIGHT) -> alt.Chart:
    """A chart as wide as its place, with rows of data."""
    return alt.Chart(alt.InlineData(values=rows), width="container", height=height)


def whole(*layers: alt.Chart, height: int = HEIGHT) -> alt.LayerChart:
    """Layers over each other, as wide as their place."""
    found: alt.LayerChart = alt.layer(*layers).properties(width="container", height=height)
    return found


def layer_axis(field: str, order: list[str], title: str = "layer") -> alt.X:
    """An axis of layers in their order; labels that would touch are left out."""
    return alt.X(f"{field}:N", sort=order, title=title, axis=alt.Axis(labelOverlap="greedy", labelAngle=0 if _are_short(order) else -40))


def _are_short(labels: list[str]) -> bool:
    return all(len(label) <= 7 for label in labels)


class Roles:
    """Colours of roles, the same in all pictures: the commonest have their own, all others share one."""

    def __init__(self, roles: Iterable[str]) -> None:
        """Takes the role of every matrix of every run."""
        counts = Counter(roles)
        common = sorted(counts, key=lambda role: (-counts[role], role))
        self.named = common if len(common) <= len(CATEGORIES) else common[: len(CATEGORIES) - 1]
        self.order = sorted(self.named) + ([OTHERS] if len(self.named) < len(common) else [])

    def shown(self, role: str) -> str:
        """The role, or `others`."""
        return role if role in self.named else OTHERS

    def scale(self) -> alt.Scale:
        """Their colours."""
        return alt.Scale(domain=self.order, range=list(CATEGORIES[: len(self.order)]))

    def color(self, field: str = "role") -> alt.Color:
        """Their colours, with a legend that a click filters by."""
        return alt.Color(f"{field}:N", scale=self.scale(), title=None, legend=alt.Legend(columns=_COLUMNS, labelLimit=110))


def legend_choice(name: str = "role") -> alt.Parameter:
    """A filter: a click on a role in the legend shows that role alone, a double click all again."""
    return alt.selection_point(name=f"{name}_choice", fields=[name], bind="legend")
