"""How the layers' shares shift with the budget, and how values lie around the threshold; both from the histograms."""

from __future__ import annotations

import altair as alt
import numpy as np

from frogmask.report.charts.base import Roles, Rows, chart, marked, whole
from frogmask.report.histograms import BINS, Histograms, Numbers, divide, edges
from frogmask.report.numbers import brief, count, percent
from frogmask.report.picture import Panel, Picture, Table
from frogmask.report.runs import MaskRun
from frogmask.report.theme import ALL, KEPT, SEQUENCE

BUDGETS = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 3e-3, 5e-3, 7e-3, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5)
NO_HISTOGRAMS = "The run wrote no histograms.safetensors (--no-histograms), so other budgets cannot be estimated."
EVERY_ROLE = "all roles"
EVEN_BARS = 80
Bar = tuple[str, float, float, float, float]
"""The role, the ends of a bar, and how many weights lie between them, in all and kept."""


def taken(run: MaskRun, histograms: Histograms, keep: float) -> Numbers:
    """How many weights of each bin a mask of `keep` weights takes, [B], divided as the run divides its budget."""
    select, rows = run.parameters.get("select"), run.matrices
    if select == "global":
        return histograms.taken_globally(keep)
    if select == "matrix":
        by = [row.importance * row.weight for row in rows]
    elif select == "lora":
        by = [float(row.rows + row.columns) for row in rows]
    else:
        by = [float(row.size) for row in rows]
    return histograms.taken_of_each(divide(keep, np.array(by), histograms.sizes))


def sweep(runs: list[MaskRun]) -> Picture:
    """Areas by layer: what share of the kept weights, or of their scores, each layer has at every budget."""
    found = Picture(
        "budget",
        "Importance against budget",
        "How kept weights, or the sum of their scores, divide among layers as the budget grows, in shares of the whole mask. The line "
        "marks the budget of this mask. Estimated from histograms.safetensors, within one bin of an eighth of an octave.",
    )
    for run in runs:
        histograms = run.histograms
        if histograms is None:
            found.panels.append(Panel(run.label, None, NO_HISTOGRAMS))
            continue
        total = float(histograms.sizes.sum())
        own = run.kept / total if total else 0.0
        others = [budget for budget in BUDGETS if budget * total >= 1 and not 0.97 < budget / (own or 1) < 1.03]
        budgets = sorted([*others, own] if own > 0 else others)
        order = list(run.layers.values())
        position = {place: number for number, place in enumerate(run.layers)}
        positions = np.array([position[row.place] for row in run.matrices])
        kept, scores = np.zeros((2, len(budgets), len(order)))
        for number, budget in enumerate(budgets):
            counts, sums = histograms.by_matrix(taken(run, histograms, budget * total))
            kept[number] = np.bincount(positions, counts, len(order))
            scores[number] = np.bincount(positions, np.where(np.isfinite(sums), sums, 0.0), len(order))
        found.panels.append(_areas(run, budgets, order, _shares(kept), _shares(scores), own))
    return found


def _shares(values: Numbers) -> Numbers:
    return np.asarray(values / np.maximum(values.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny))


def _areas(run: MaskRun, budgets: list[float], order: list[str], kept: Numbers, scores: Numbers, own: float) -> Panel:
    rows = [
        {"layer": label, "position": number, "budget": [brief(budget) for budget in budgets],
         "kept": [brief(value) for value in kept[:, number]], "scores": [brief(value) for value in scores[:, number]]}
        for number, label in enumerate(order)
    ]  # fmt: skip
    words = {"kept": "kept weights", "scores": "scores of kept weights"}
    listed = alt.binding_select(options=list(words), labels=list(words.values()), name="Shares of ")
    by = alt.param(name="by", value="kept", bind=listed)
    areas = (
        chart(rows)
        .transform_flatten(["budget", "kept", "scores"])
        .transform_calculate(share="datum[by]")
        .mark_area(strokeWidth=0.5, line=False)
        .encode(
            alt.X(
                "budget:Q", title="budget (share of all weights)", scale=alt.Scale(type="log", nice=False),
                axis=alt.Axis(format="~%", grid=False, values=[1e-4, 1e-3, 0.01, 0.1, 0.5]),
            ),
            alt.Y("share:Q", stack="zero", title="share of the whole mask", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            alt.Color("position:Q", scale=alt.Scale(scheme=SEQUENCE), legend=None),
            order=alt.Order("position:Q"),
            detail="layer:N",
            tooltip=[alt.Tooltip("layer:N"), alt.Tooltip("budget:Q", format=".2~%"), alt.Tooltip("share:Q", format=".2%")],
        )
        .add_params(by)
    )  # fmt: skip
    layers = [areas]
    if own > 0:
        layers += marked(own, f"this mask, {percent(own)}")
    note = f"Layers from {order[0]} (dark, at the bottom) to {order[-1]} (light, at the top)." if len(order) > 1 else ""
    table = Table(
        ("layer", *(percent(budget) for budget in budgets)),
        [(label, *(percent(float(value)) for value in kept[:, number])) for number, label in enumerate(order)],
        "frog-mpi inspect --layers --budget-sweep",
    )
    return Panel(run.label, whole(*layers), note, table)


def scores(runs: list[MaskRun], roles: Roles) -> Picture:
    """Bars on logarithmic axes: how many weights have which value, and how many of these are kept."""
    found = Picture(
        "scores",
        "Scores and threshold",
        "How many weights have which ranked value, and how many of these are kept (dark). Axes are logarithmic, and a bar is an eighth of "
        "an octave wide; values that may be negative, as of --sample, have bars of one width. Values are scores in units of weights, or "
        "what --normalize and --sample make of them.",
    )
    for run in runs:
        histograms = run.histograms
        found.panels.append(Panel(run.label, None, NO_HISTOGRAMS) if histograms is None else _bars(run, histograms, roles))
    return found


def _bars(run: MaskRun, histograms: Histograms, roles: Roles) -> Panel:
    # 1. The same bin of all matrices of one role is one bar.
    numbers = np.array([roles.order.index(roles.shown(row.role)) for row in run.matrices])[histograms.owners]
    keys = np.stack([numbers, histograms.exponents[histograms.owners], histograms.bins])
    (owners, exponents, bins), places = np.unique(keys, axis=1, return_inverse=True)
    counts = np.bincount(places.ravel(), histograms.counts)
    some = np.bincount(places.ravel(), taken(run, histograms, run.kept))
    starts = np.ldexp(edges()[bins], exponents)
    ends = np.ldexp(edges()[np.minimum(bins + 1, BINS - 1)], exponents)
    # 2. A logarithmic axis has no place for some values.
    is_log = not bool((starts < 0).any())
    is_shown = np.isfinite(starts) & np.isfinite(ends) & ((starts > 0) | (not is_log))
    zeros = int(counts[~is_shown].sum())
    found = zip(owners[is_shown], starts[is_shown], ends[is_shown], counts[is_shown], some[is_shown])
    bars = [(roles.order[role], *bar) for role, *bar in found]
    if not is_log:
        bars = _evened(bars)
    rows: Rows = [
        {"role": role, "low": brief(float(start), 5), "high": brief(float(end), 5), "all": brief(float(number)), "kept": brief(float(part))}
        for role, start, end, number, part in bars
        if number > 0
    ]
    notes = []
    if zeros:
        notes.append(f"{count(zeros)} weights have the value 0 (or none that double precision holds) and are not drawn.")
    if run.threshold is None:
        notes.append("Every matrix has a threshold of its own, so kept and other weights overlap.")
    return Panel(run.label, _distribution(rows, is_log, run.threshold), " ".join(notes), _value_table(rows)) if rows else Panel(
        run.label, None, "No value is different from 0."
    )  # fmt: skip


def _evened(bars: list[Bar]) -> list[Bar]:
    """The same weights in bars of one width: bins are thinner than a hair near 0. A bin that is cut is shared in proportion."""
    ends = np.linspace(min(bar[1] for bar in bars), max(bar[2] for bar in bars), EVEN_BARS + 1)
    found: list[Bar] = []
    for role in dict.fromkeys(bar[0] for bar in bars):
        own = sorted(bar[1:] for bar in bars if bar[0] == role)
        places = np.array([value for start, end, *_ in own for value in (start, end)])
        every, some = (np.cumsum([value for bar in own for value in (0.0, bar[column])]) for column in (2, 3))
        counts, kept = (np.diff(np.interp(ends, places, sums)) for sums in (every, some))
        found += [(role, float(ends[i]), float(ends[i + 1]), float(counts[i]), float(kept[i])) for i in range(EVEN_BARS)]
    return found


def _distribution(rows: Rows, is_log: bool, threshold: float | None) -> alt.LayerChart:
    choice = alt.param(
        name="shown_role",
        value=EVERY_ROLE,
        bind=alt.binding_select(options=[EVERY_ROLE, *sorted({row["role"] for row in rows})], name="Weights of "),
    )
    axis = alt.X(
        "low:Q",
        title="ranked value",
        scale=alt.Scale(type="log", base=2, nice=False) if is_log else alt.Scale(nice=False),
        axis=alt.Axis(format=".2~g", labelOverlap="greedy", tickCount=10),
    )
    numbers = alt.Axis(format="~s", tickCount=6)
    base = (
        chart(rows)
        .transform_filter(f"shown_role == '{EVERY_ROLE}' || datum.role == shown_role")
        .transform_aggregate(all="sum(all)", kept="sum(kept)", groupby=["low", "high"])
    )
    tips = [
        alt.Tooltip("low:Q", title="from", format=".4~g"), alt.Tooltip("high:Q", title="to", format=".4~g"),
        alt.Tooltip("all:Q", title="weights", format=",.0f"), alt.Tooltip("kept:Q", title="kept, estimated", format=",.0f"),
    ]  # fmt: skip
    layers = []
    for field, color in (("all", ALL), ("kept", KEPT)):
        layers.append(
            base.transform_filter(f"datum.{field} > 0")
            .mark_bar(color=color)
            .encode(
                axis,
                alt.X2("high:Q"),
                alt.Y(f"{field}:Q", title="weights", scale=alt.Scale(type="log", domainMin=0.5 if is_log else 0.05), axis=numbers),
                y2=alt.value("height"),
                tooltip=tips,
            )
        )
    if threshold is not None and (threshold > 0 or not is_log):
        layers += marked(threshold, f"threshold {threshold:.4g}")
    found: alt.LayerChart = whole(*layers).add_params(choice)
    return found


def _value_table(rows: Rows) -> Table:
    sums: dict[tuple[float, float], list[float]] = {}
    for row in rows:
        one = sums.setdefault((row["low"], row["high"]), [0.0, 0.0])
        one[0] += row["all"]
        one[1] += row["kept"]
    return Table(
        ("from", "to", "weights", "kept, estimated"),
        [(low, high, number, some) for (low, high), (number, some) in sorted(sums.items())],
        "histograms.safetensors",
    )
