"""What spectra say of training: α by layer and role, and the spectrum of any matrix with its fit."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np

from frogmask.report.charts.base import MOST_MATRICES, Roles, Rows, chart, legend_choice, whole
from frogmask.report.details import Row, number, text
from frogmask.report.numbers import brief, count
from frogmask.report.picture import Panel, Picture, Table
from frogmask.report.runs import Measured
from frogmask.report.spectra import Spectra
from frogmask.report.theme import KEPT

SHOWN = 1e-4
"""Eigenvalues below this share of the largest are not drawn: they would push the tail into a corner."""
POINTS = 48
"""Points of a drawn spectrum, evenly spread in the logarithm of the rank."""


def has_fit(row: Row, prefix: str = "") -> bool:
    """Whether a power law was found."""
    alpha = number(row, f"{prefix}alpha")
    return alpha is not None and alpha > 0


def alphas(measured: Sequence[tuple[str, Measured]], roles: Roles) -> Picture:
    """Lines by role: α at every depth."""
    found = Picture(
        "alpha",
        "Power-law exponents",
        "The exponent α of the power law that the tail of each matrix's eigenvalues follows, by layer and role. Trained matrices mostly "
        "lie in the band from 2 to 6; above it they look untrained, below it overtrained.",
    )
    for label, one in measured:
        fits = [row for row in one.rows if has_fit(row) and number(row, "depth") is not None]
        values: dict[tuple[int, str], list[float]] = {}
        for row in fits:
            values.setdefault((int(number(row, "depth") or 0), roles.shown(text(row, "role"))), []).append(number(row, "alpha") or 0.0)
        rows: Rows = [
            {"layer": depth, "role": role, "alpha": brief(float(np.median(some))), "matrices": len(some)}
            for (depth, role), some in sorted(values.items())
        ]
        table = Table(
            ("matrix", "layer", "role", "α", "D", "xmin", "tail", "eigenvalues", "warning"),
            [
                (text(row, "longname"), number(row, "depth"), text(row, "role"), number(row, "alpha"), number(row, "D"),
                 number(row, "xmin"), number(row, "num_pl_spikes"), number(row, "num_evals"), row.get("warning"))
                for row in one.rows
            ],
            "details.csv",
        )  # fmt: skip
        panel = (
            Panel(label, _lines(rows, roles), _words(one), table)
            if rows
            else Panel(label, None, "No matrix of a layer has a power law.", table)
        )
        found.panels.append(panel)
    return found


def _lines(rows: Rows, roles: Roles) -> alt.LayerChart:
    choice = legend_choice()
    band = chart([{"low": 2, "high": 6}]).mark_rect(color="#7f8a96", opacity=0.18).encode(y=alt.Y("low:Q", title="α"), y2="high:Q")
    lines = (
        chart(rows)
        .mark_line(point=alt.OverlayMarkDef(size=45, filled=True))
        .encode(
            alt.X("layer:Q", title="layer", axis=alt.Axis(tickMinStep=1, format="d"), scale=alt.Scale(nice=False, padding=8)),
            alt.Y("alpha:Q", title="α (median)", scale=alt.Scale(type="log", base=2, nice=False, padding=8)),
            roles.color(),
            opacity=alt.condition(choice, alt.value(0.9), alt.value(0.1)),
            tooltip=[
                alt.Tooltip("layer:Q"),
                alt.Tooltip("role:N"),
                alt.Tooltip("alpha:Q", title="α", format=".2f"),
                alt.Tooltip("matrices:Q", format=","),
            ],
        )
        .add_params(choice)
    )
    return whole(band, lines)


def _words(measured: Measured) -> str:
    summary, number_of = measured.summary, len(measured.rows)
    words = []
    for key, what in (("over_trained", "have α below 2"), ("under_trained", "have α above 6"), ("failed_fits", "have no fit")):
        if isinstance(found := summary.get(key), int) and found:
            words.append(f"{count(found)} {what}")
    return (
        f"Of {count(number_of)} matrices, {' and '.join(words)}." if words else f"All {count(number_of)} matrices have α between 2 and 6."
    )


def spectrum(measured: Sequence[tuple[str, Measured]]) -> Picture:
    """The eigenvalues of one matrix, which a reader chooses, on logarithmic axes."""
    found = Picture(
        "spectrum",
        "Spectra",
        "The share of a matrix's eigenvalues λ (squares of its singular values) that are at least as large as the one on the axis, both on "
        "logarithmic axes. A power law is a straight line there: the fitted one is drawn over the tail that it describes. Eigenvalues "
        "below a ten-thousandth of the largest are not drawn.",
    )
    for label, one in measured:
        if one.spectra is None:
            found.panels.append(
                Panel(label, None, "The folder has no spectra.safetensors, which older versions of frog-mpi did not write.")
            )
            continue
        chosen = _chosen(one.rows)
        rows, fits, table = [], [], []
        for ordinal in chosen:
            row = one.rows[ordinal]
            points = _curve(one.spectra, ordinal)
            if not points:
                continue
            name = text(row, "longname")
            rows.append({"matrix": name, "value": [x for x, _ in points], "share": [y for _, y in points]})
            fits += _fit(row, name)
            table.append((name, number(row, "alpha"), number(row, "xmin"), number(row, "xmax"), number(row, "num_pl_spikes")))
        left = len(one.rows) - len(chosen)
        note = f"{count(left)} further matrices are not in this page, which has those with warnings and the first ones." if left else ""
        if rows:
            table_of = Table(("matrix", "α", "xmin", "xmax", "tail"), table, "details.csv and spectra.safetensors")
            found.panels.append(Panel(label, _curves(rows, fits), note, table_of))
        else:
            found.panels.append(Panel(label, None, "No matrix has eigenvalues above 0."))
    return found


def _chosen(rows: list[Row]) -> list[int]:
    """The ordinals of the matrices to draw: all, or of many those with warnings and then the first."""
    order = sorted(range(len(rows)), key=lambda ordinal: (has_fit(rows[ordinal]) and not rows[ordinal].get("warning"), ordinal))
    return sorted(order[:MOST_MATRICES])


def _curve(spectra: Spectra, ordinal: int) -> list[tuple[float | None, float | None]]:
    values = spectra.eigenvalues(ordinal)
    values = values[values > 0]
    if values.size == 0:
        return []
    last = int(np.count_nonzero(values >= SHOWN * values[0]))
    ranks = np.unique(np.geomspace(1, last, POINTS).round().astype(np.int64))
    return [(brief(float(values[rank - 1])), brief(rank / values.size)) for rank in ranks[::-1]]


def _fit(row: Row, name: str) -> Rows:
    alpha, low, high = number(row, "alpha"), number(row, "xmin"), number(row, "xmax")
    tail, total = number(row, "num_pl_spikes"), number(row, "num_evals")
    if not has_fit(row) or not alpha or not low or not high or not tail or not total or low <= 0 or high <= low:
        return []
    end = (tail / total) * (high / low) ** (1 - alpha)
    return [{"matrix": name, "value": brief(low), "share": brief(tail / total), "alpha": brief(alpha)},
            {"matrix": name, "value": brief(high), "share": brief(end), "alpha": brief(alpha)}]  # fmt: skip


def _curves(rows: Rows, fits: Rows) -> alt.LayerChart:
    names = [row["matrix"] for row in rows]
    choice = alt.param(name="matrix_choice", value=names[0], bind=alt.binding_select(options=names, name="Matrix "))
    is_chosen = "datum.matrix == matrix_choice"
    axis = alt.X("value:Q", title="eigenvalue λ", scale=alt.Scale(type="log", nice=False), axis=alt.Axis(format="~g", tickCount=6))
    share = alt.Y(
        "share:Q", title="share of eigenvalues ≥ λ", scale=alt.Scale(type="log", nice=False), axis=alt.Axis(format="~g", tickCount=5)
    )
    points = (
        chart(rows)
        .transform_filter(is_chosen)
        .transform_flatten(["value", "share"])
        .mark_point(color=KEPT, filled=True, size=28, opacity=0.9)
        .encode(axis, share, tooltip=[alt.Tooltip("value:Q", title="λ", format=".4~g"), alt.Tooltip("share:Q", format=".3~%")])
    )
    layers = [points]
    if fits:
        line = chart(fits).transform_filter(is_chosen).mark_line(strokeWidth=2.5, style="marked-line").encode(axis, share)
        words = (
            chart(fits)
            .transform_filter(is_chosen)
            .transform_aggregate(value="min(value)", share="max(share)", alpha="max(alpha)")
            .transform_calculate(words="'α = ' + format(datum.alpha, '.2f')")
            .mark_text(align="left", dx=8, dy=-8, style="marked")
            .encode(axis, share, alt.Text("words:N"))
        )
        layers += [line, words]
    found: alt.LayerChart = whole(*layers).add_params(choice)
    return found
