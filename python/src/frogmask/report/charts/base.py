"""What charts share: data without copies of names, axes of layers, colours of roles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import altair as alt

from frogmask.report.numbers import brief
from frogmask.report.theme import CATEGORIES

_COLUMNS = 4  # of a legend, which have room on a telephone
Rows = list[dict[str, Any]]

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


def layer_axis(order: list[str]) -> alt.X:
    """An axis of the field `layer`, in this order; labels that would touch are left out."""
    return alt.X("layer:N", sort=order, title="layer", axis=alt.Axis(labelOverlap="greedy", labelAngle=0 if _are_short(order) else -40))


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

    def color(self) -> alt.Color:
        """The colours of the field `role`, with a legend that a click filters by."""
        return alt.Color("role:N", scale=self.scale(), title=None, legend=alt.Legend(columns=_COLUMNS, labelLimit=110))


def marked(value: float, words: str) -> list[alt.Chart]:
    """A line across the chart at a value of its x axis, and words above it."""
    rows: Rows = [{"value": brief(value, 6), "words": words}]
    x = alt.X("value:Q")
    return [
        chart(rows).mark_rule(strokeWidth=2, style="marked-line").encode(x),
        chart(rows).mark_text(baseline="bottom", style="marked").encode(x, alt.Text("words:N"), y=alt.value(-4)),
    ]


def legend_choice() -> alt.Parameter:
    """A filter: a click on a role in the legend shows that role alone, a double click all again."""
    return alt.selection_point(name="role_choice", fields=["role"], bind="legend")
