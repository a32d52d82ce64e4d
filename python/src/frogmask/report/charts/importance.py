"""Which layers matter: the bar graph of layer importance."""

from __future__ import annotations

import json

import altair as alt

from frogmask.report.cells import Cell
from frogmask.report.charts.base import Roles, Rows, chart, layer_axis, legend_choice
from frogmask.report.numbers import brief, percent
from frogmask.report.picture import Panel, Picture, Table
from frogmask.report.runs import MaskRun

WORDS = {
    "importance": "importance (R)",
    "selected": "scores of kept weights",
    "scores": "scores of all weights",
    "kept": "kept weights",
}
"""The fields of the data that bars can show, and the words for them."""
MEASURES = tuple(WORDS)
METRICS = {
    "frobenius": "Frobenius norms (R)",
    "spectral": "largest singular values (R)",
    "nuclear": "sums of singular values (R)",
    "stable-rank": "stable ranks (R)",
    "log-norm": "log-norms (R)",
}


def picture(runs: list[MaskRun], roles: Roles) -> Picture:
    """Bars by layer, in the colours of roles, as a share of the whole model."""
    found = Picture(
        "importance",
        "Layer importance",
        "What each layer has of the whole model, as a share: of the importance R of matrices, of the scores of kept weights, of all "
        "scores, or of kept weights. All layers of a run add up to 100%.",
    )
    data = [_rows(run, roles) for run in runs]
    tops = {measure: max(_top(rows, measure) for rows in data) for measure in MEASURES}
    for run, rows in zip(runs, data):
        found.panels.append(Panel(run.label, _chart(run, rows, roles, tops, len(runs) == 1), _extremes(run), _table(run)))
    return found


def _rows(run: MaskRun, roles: Roles) -> Rows:
    whole = {measure: sum(value for cell in run.cells if (value := _value(cell, measure)) is not None) for measure in MEASURES}
    return [
        {
            "layer": run.layers[cell.place],
            "role": roles.shown(cell.role),
            "name": cell.role,
            "matrices": cell.matrices,
            "weights": cell.weights,
            "kept_weights": cell.kept,
            **{
                measure: None if (value := _value(cell, measure)) is None else brief(value / whole[measure], 6) if whole[measure] else 0
                for measure in MEASURES
            },
        }
        for cell in run.cells
    ]


def _value(cell: Cell, measure: str) -> float | None:
    values = {"importance": cell.importance, "selected": cell.selected, "scores": cell.score_sum, "kept": float(cell.kept)}
    return values[measure]


def _top(rows: Rows, measure: str) -> float:
    sums: dict[str, float] = {}
    for row in rows:
        sums[row["layer"]] = sums.get(row["layer"], 0.0) + (row[measure] or 0.0)
    return max(sums.values(), default=0.0)


def _chart(run: MaskRun, rows: Rows, roles: Roles, tops: dict[str, float], is_alone: bool) -> alt.Chart:
    words = dict(WORDS)
    words["importance"] = METRICS.get(str(run.parameters.get("importance")), WORDS["importance"])
    by = alt.param(
        name="by",
        # Masks of one checkpoint have the same importance of layers, and differ in what they keep.
        value="importance" if is_alone else "selected",
        bind=alt.binding_select(options=list(words), labels=list(words.values()), name="Bars show "),
    )
    choice = legend_choice()
    found: alt.Chart = (
        chart(rows)
        .transform_calculate(share="datum[by]")
        .mark_bar()
        .encode(
            layer_axis(list(run.layers.values())),
            # Runs side by side have one scale.
            alt.Y(
                "sum(share):Q",
                title="share of the whole model",
                axis=alt.Axis(format="%"),
                scale=alt.Scale(domainMin=0, domainMax=alt.ExprRef(expr=f"{json.dumps(tops)}[by]")),
            ),
            roles.color(),
            opacity=alt.condition(choice, alt.value(1), alt.value(0.15)),
            tooltip=[
                alt.Tooltip("layer:N"),
                alt.Tooltip("role:N"),
                alt.Tooltip("sum(share):Q", title="share", format=".3%"),
                alt.Tooltip("sum(matrices):Q", title="matrices", format=","),
                alt.Tooltip("sum(weights):Q", title="weights", format=","),
                alt.Tooltip("sum(kept_weights):Q", title="kept", format=","),
            ],
        )
        .properties(title=alt.Title(alt.ExprRef(expr=f"{json.dumps(words)}[by]")))
        .add_params(by, choice)
    )
    return found


def _extremes(run: MaskRun) -> str:
    sums: dict[str, float] = {}
    for cell in run.cells:
        if cell.place.depth is not None:
            sums[run.layers[cell.place]] = sums.get(run.layers[cell.place], 0.0) + cell.importance
    if len(sums) < 2:
        return ""
    most, least = max(sums, key=lambda label: sums[label]), min(sums, key=lambda label: sums[label])
    return (
        f"By importance R, layer {most} is the most critical ({percent(sums[most])}) and layer {least} the least ({percent(sums[least])})."
    )


def _table(run: MaskRun) -> Table:
    return Table(
        ("layer", "role", "matrices", "weights", "kept", "kept share", "R", "scores of all", "scores of kept"),
        [
            (
                run.layers[cell.place], cell.role, cell.matrices, cell.weights, cell.kept, percent(cell.kept_share), cell.importance,
                cell.score_sum, cell.selected,
            )
            for cell in run.cells
        ],
        "layers.csv",
    )  # fmt: skip
