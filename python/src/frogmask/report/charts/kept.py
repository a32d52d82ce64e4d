"""Where kept weights lie: layers and roles, rows and columns."""

from __future__ import annotations

import altair as alt

from frogmask.report.charts.base import MOST_MATRICES, Roles, Rows, chart, layer_axis, legend_choice, whole
from frogmask.report.numbers import brief, count, percent
from frogmask.report.picture import Panel, Picture, Table
from frogmask.report.runs import MaskRun
from frogmask.report.theme import SEQUENCE

MOST_NUMBERS = 160
"""A map with more fields has no numbers in them."""


def shares(runs: list[MaskRun]) -> Picture:
    """A map of layers and roles: the share of weights that is kept."""
    found = Picture(
        "kept",
        "Kept shares",
        "The share of its weights that each role of each layer keeps. Lighter fields keep more.",
    )
    top = max(cell.kept_share for run in runs for cell in run.cells)
    for run in runs:
        rows = [
            {"layer": run.layers[cell.place], "role": cell.role, "share": brief(cell.kept_share), "kept": cell.kept,
             "weights": cell.weights, "shown": percent(cell.kept_share, 2)}
            for cell in run.cells
        ]  # fmt: skip
        starved = f"{count(run.starved)} of {count(len(run.matrices))} matrices keep less than a tenth of a uniform share."
        drawn = share_map(rows, list(run.layers.values()), top, "kept share")
        found.panels.append(Panel(run.label, drawn, starved if run.starved else "", _table(rows)))
    return found


def share_map(rows: Rows, order: list[str], top: float, title: str) -> alt.LayerChart:
    """A map of shares, with the numbers in the fields where they have room.

    Args:
        rows: With `layer`, `role`, `share` (0 to 1), `shown` (the words for it), and what a tooltip shall say.
        order: The layers in their order.
        top: The share at the upper end of the colours.
        title: What a share is of.
    """
    roles = sorted({row["role"] for row in rows})
    fields = (
        chart(rows)
        .mark_rect()
        .encode(
            layer_axis(order),
            alt.Y("role:N", sort=roles, title="role"),
            alt.Color(
                "share:Q",
                scale=alt.Scale(scheme=SEQUENCE, domain=[0, top or 1], clamp=True),
                title=title,
                legend=alt.Legend(format="%", gradientLength=160, orient="top"),
            ),
            tooltip=[
                alt.Tooltip(f"{name}:{'N' if isinstance(rows[0][name], str) else 'Q'}", format=_format(name))
                for name in rows[0]
                if name != "shown"
            ],
        )
    )
    height = max(120, 28 * len(roles))
    if len(order) * len(roles) > MOST_NUMBERS:
        return whole(fields, height=height)
    numbers = (
        chart(rows)
        .mark_text(fontSize=11, opacity=alt.ExprRef(expr=f"width > {46 * len(order)} ? 1 : 0"))  # none where they would touch
        .encode(
            layer_axis(order),
            alt.Y("role:N", sort=roles),
            alt.Text("shown:N"),
            # Black or white, whichever the colour behind has the larger contrast with.
            color=alt.condition(alt.datum.share > 0.42 * (top or 1), alt.value("#000000"), alt.value("#ffffff")),
        )
    )
    return whole(fields, numbers, height=height)


def _format(name: str) -> str:
    return ".3%" if name == "share" else "" if name in ("layer", "role") else ","


def _table(rows: Rows) -> Table:
    return Table(
        ("layer", "role", "weights", "kept", "kept share"),
        [(row["layer"], row["role"], row["weights"], row["kept"], row["shown"]) for row in rows],
        "layers.csv",
    )


def concentration(runs: list[MaskRun], roles: Roles) -> Picture:
    """Points: over how many rows and columns the kept weights of a matrix are spread."""
    found = Picture(
        "concentration",
        "Concentration",
        "Over how many of its rows and columns the kept weights of a matrix spread, as a share of all: the exponential of the entropy of "
        "the kept counts. Points at the lower left use few rows and columns; larger points keep more. Axes are in square roots.",
    )
    for run in runs:
        rows, note = _spread(run, roles)
        if not rows:
            found.panels.append(Panel(run.label, None, "No matrix keeps weights."))
            continue
        choice = legend_choice()
        share = alt.Axis(format="~%", values=[0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1])
        scale = alt.Scale(domain=[0, 1], type="sqrt")  # most masks crowd near 0
        picture = (
            chart(rows)
            .mark_point(filled=True, strokeWidth=0.5)
            .encode(
                alt.X("columns:Q", title="effective columns", axis=share, scale=scale),
                alt.Y("rows:Q", title="effective rows", axis=share, scale=scale),
                roles.color(),
                size=alt.Size("kept:Q", title="kept weights", scale=alt.Scale(range=[20, 300]), legend=None),
                opacity=alt.condition(choice, alt.value(0.85), alt.value(0.1)),
                tooltip=[
                    alt.Tooltip("name:N"), alt.Tooltip("role:N"), alt.Tooltip("kept:Q", format=","),
                    alt.Tooltip("rows:Q", title="effective rows", format=".1%"),
                    alt.Tooltip("columns:Q", title="effective columns", format=".1%"),
                ],
            )
            .add_params(choice)
        )  # fmt: skip
        found.panels.append(Panel(run.label, picture, note, _spread_table(rows)))
    return found


def _spread(run: MaskRun, roles: Roles) -> tuple[Rows, str]:
    kept = [row for row in run.matrices if row.effective_rows is not None and row.effective_columns is not None and row.kept]
    if len(kept) <= MOST_MATRICES:
        return [
            {"name": row.name, "role": roles.shown(row.role), "kept": row.kept, "rows": brief(row.effective_rows),
             "columns": brief(row.effective_columns)}
            for row in kept
        ], ""  # fmt: skip
    sums: dict[tuple[str, str], list[float]] = {}
    for row in kept:
        one = sums.setdefault((run.layers[row.place], row.role), [0.0, 0.0, 0.0])
        one[0] += row.kept
        one[1] += row.kept * (row.effective_rows or 0.0)
        one[2] += row.kept * (row.effective_columns or 0.0)
    return [
        {"name": f"layer {layer}, {role}", "role": roles.shown(role), "kept": int(total), "rows": brief(by_row / total),
         "columns": brief(by_column / total)}
        for (layer, role), (total, by_row, by_column) in sums.items()
    ], f"A point stands for all matrices of one role in one layer, {count(len(kept))} in all: means, weighted by kept weights."  # fmt: skip


def _spread_table(rows: Rows) -> Table:
    return Table(
        ("matrix", "role", "kept", "effective rows", "effective columns"),
        [(row["name"], row["role"], row["kept"], percent(row["rows"]), percent(row["columns"])) for row in rows],
        "frog.json",
    )
