"""What tuning has changed: sizes of updates by layer and role, and exponents before and after."""

from __future__ import annotations

import altair as alt
import numpy as np

from frogmask.report.charts.base import MOST_MATRICES, Roles, Rows, chart, legend_choice, whole
from frogmask.report.charts.kept import share_map
from frogmask.report.charts.spectra import has_fit
from frogmask.report.details import Row, number, text
from frogmask.report.numbers import brief, count, percent
from frogmask.report.picture import Panel, Picture, Table
from frogmask.report.runs import ComparisonRun


def updates(runs: list[ComparisonRun]) -> Picture:
    """A map of layers and roles: how large the update is against the matrix."""
    found = Picture(
        "updates",
        "What tuning has changed",
        "The size of the update against that of the matrix, ‖ΔW‖ / ‖W‖ in Frobenius norms, as the median over the matrices of one role in "
        "one layer. Lighter fields have changed more; colours end at five times the median of all fields.",
    )
    data = [_cells(run.rows) for run in runs]
    top = _top([row["share"] for rows in data for row in rows])
    for run, rows in zip(runs, data):
        table = Table(
            ("matrix", "layer", "role", "‖ΔW‖/‖W‖", "CKA", "α before", "α after", "trend", "flags"),
            [
                (text(row, "longname"), number(row, "depth"), text(row, "role"), percent(number(row, "update_relative_norm")),
                 number(row, "cka"), number(row, "base_alpha"), number(row, "tuned_alpha"), text(row, "trend"), text(row, "flags"))
                for row in run.rows
            ],
            "details.csv",
        )  # fmt: skip
        if not rows:
            found.panels.append(Panel(run.label, None, "No pair of matrices could be compared.", table))
            continue
        order = [str(depth) for depth in sorted({row["depth"] for row in rows if row["depth"] is not None})]
        order += ["outside"] if any(row["depth"] is None for row in rows) else []
        shown = [{key: value for key, value in row.items() if key != "depth"} for row in rows]
        found.panels.append(Panel(run.label, share_map(shown, order, top, "‖ΔW‖ / ‖W‖"), verdict(run), table))
    return found


def _top(shares: list[float]) -> float:
    """The upper end of the colours: one matrix that has run away must not leave all others dark."""
    moved = [share for share in shares if share > 0]
    return min(max(moved), 5 * float(np.median(moved))) if moved else 0.0


def verdict(run: ComparisonRun) -> str:
    """What summary.json concludes, in a sentence."""
    found = run.record.get("verdict")
    if not isinstance(found, dict):
        return ""
    reasons = [str(reason) for reason in found.get("reasons") or []]
    return f"Verdict: {found.get('status')}{': ' + '; '.join(reasons) if reasons else ''}."


def _cells(pairs: list[Row]) -> Rows:
    values: dict[tuple[float | None, str], list[float]] = {}
    for row in pairs:
        if (size := number(row, "update_relative_norm")) is not None:
            values.setdefault((number(row, "depth"), text(row, "role")), []).append(size)
    return [
        {"layer": "outside" if depth is None else str(int(depth)), "role": role, "share": brief(float(np.median(some))),
         "matrices": len(some), "shown": percent(float(np.median(some)), 2), "depth": None if depth is None else int(depth)}
        for (depth, role), some in values.items()
    ]  # fmt: skip


def exponents(runs: list[ComparisonRun], roles: Roles) -> Picture:
    """Points: α of each matrix before tuning and after it."""
    found = Picture(
        "alpha-change",
        "Exponents before and after",
        "The power-law exponent α of each matrix in the base model and in the tuned one. On the diagonal tuning has left it as it was; the "
        "squares mark the range from 2 to 6.",
    )
    for run in runs:
        fitted = [row for row in run.rows if has_fit(row, "base_") and has_fit(row, "tuned_")]
        rows: Rows = [
            {"matrix": text(row, "longname"), "role": roles.shown(text(row, "role")), "base": brief(number(row, "base_alpha")),
             "tuned": brief(number(row, "tuned_alpha")), "trend": text(row, "trend")}
            for row in _largest_changes(fitted)
        ]  # fmt: skip
        left = len(fitted) - len(rows)
        note = f"{count(left)} matrices whose α has changed least are not drawn." if left else ""
        table = Table(
            ("matrix", "role", "α before", "α after", "trend"),
            [tuple(row[key] for key in ("matrix", "role", "base", "tuned", "trend")) for row in rows],
            "details.csv",
        )
        panel = Panel(run.label, _points(rows, roles), note, table) if rows else Panel(run.label, None, "No matrix has both fits.")
        found.panels.append(panel)
    return found


def _largest_changes(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: -abs((number(row, "tuned_alpha") or 0) - (number(row, "base_alpha") or 0)))[:MOST_MATRICES]


def _points(rows: Rows, roles: Roles) -> alt.LayerChart:
    values = [value for row in rows for value in (row["base"], row["tuned"])]
    low, high = min(values) * 0.95, max(values) * 1.05
    scale = alt.Scale(type="log", base=2, domain=[low, high], nice=False)
    choice = legend_choice()
    good = chart([{"low": max(2, low), "high": min(6, high)}] if low < 6 and high > 2 else []).mark_rect(color="#7f8a96", opacity=0.18)
    same = chart([{"base": low, "tuned": low}, {"base": high, "tuned": high}]).mark_line(color="#7f8a96", strokeDash=[4, 3])
    x, y = alt.X("base:Q", title="α in the base model", scale=scale), alt.Y("tuned:Q", title="α in the tuned model", scale=scale)
    points = (
        chart(rows)
        .mark_point(filled=True, size=55)
        .encode(
            x,
            y,
            roles.color(),
            opacity=alt.condition(choice, alt.value(0.85), alt.value(0.1)),
            tooltip=[
                alt.Tooltip("matrix:N"), alt.Tooltip("role:N"), alt.Tooltip("base:Q", format=".3f"), alt.Tooltip("tuned:Q", format=".3f"),
                alt.Tooltip("trend:N"),
            ],
        )
        .add_params(choice)
    )  # fmt: skip
    band = good.encode(
        alt.X("low:Q", scale=scale, title="α in the base model"), alt.X2("high:Q"), alt.Y("low:Q", scale=scale), alt.Y2("high:Q")
    )
    return whole(band, same.encode(x, y), points, height=340)
