"""Where the time of a run went, by phase and process."""

from __future__ import annotations

from typing import Any

import altair as alt

from frogmask.report.charts.base import Rows, chart, whole
from frogmask.report.numbers import brief, count, seconds, size
from frogmask.report.picture import Panel, Picture, Table
from frogmask.report.runs import Run
from frogmask.report.theme import ALL, KEPT

MOST_RANKS = 64
"""Of more processes, ticks show the fastest, the median and the slowest."""


def picture(runs: list[Run]) -> Picture:
    """Bars by phase: the slowest process; ticks: each of them."""
    found = Picture(
        "time",
        "Time",
        "How long each phase took, in seconds: the bar is the slowest process, a tick is each one. Ticks far apart mean that processes "
        "waited for each other.",
    )
    # Masks of one run have one run.json.
    different = {repr(run.run) if run.run else run.label: run for run in reversed(runs)}
    for run in reversed(different.values()):
        phases = _phases(run.run)
        if not phases:
            found.panels.append(Panel(run.label, None, "The folder has no run.json with times."))
            continue
        bars: Rows = [{"phase": name, "seconds": brief(max(times))} for name, times in phases]
        ticks: Rows = [{"phase": name, "seconds": brief(time)} for name, times in phases for time in _shown(times)]
        order = [name for name, _ in phases]
        y = alt.Y("phase:N", sort=order, title=None)
        tips = [alt.Tooltip("phase:N"), alt.Tooltip("seconds:Q", format=".4~g")]
        picture = whole(
            chart(bars).mark_bar(color=ALL, height={"band": 0.7}).encode(alt.X("seconds:Q", title="seconds"), y, tooltip=tips),
            chart(ticks).mark_tick(color=KEPT, thickness=2, height={"band": 0.7}).encode(alt.X("seconds:Q"), y, tooltip=tips),
            height=max(90, 26 * len(order)),
        )
        table = Table(
            ("phase", "processes", "fastest", "slowest"), [(name, len(times), min(times), max(times)) for name, times in phases], "run.json"
        )
        found.panels.append(Panel(run.label, picture, _words(run.run, phases), table))
    return found


def _phases(run: dict[str, Any]) -> list[tuple[str, list[float]]]:
    found: dict[str, list[float]] = {}
    for phase in run.get("phases") or []:
        if isinstance(phase, dict) and isinstance(phase.get("name"), str) and isinstance(phase.get("seconds"), list):
            times = [float(time) for time in phase["seconds"] if isinstance(time, int | float) and time >= 0]
            if times:
                found[phase["name"]] = times
    return list(found.items())


def _shown(times: list[float]) -> list[float]:
    if len(times) <= MOST_RANKS:
        return times
    ordered = sorted(times)
    return [ordered[0], ordered[len(ordered) // 2], ordered[-1]]


def _words(run: dict[str, Any], phases: list[tuple[str, list[float]]]) -> str:
    words = f"{seconds(sum(max(times) for _, times in phases))} in all"
    ranks, hosts = run.get("ranks"), run.get("hosts")
    if isinstance(ranks, int):
        words += f", {count(ranks)} process{'es' * (ranks != 1)}"
    if isinstance(hosts, list) and len(set(map(str, hosts))) > 1:
        words += f" on {len(set(map(str, hosts)))} hosts"
    if isinstance(run.get("threads"), int):
        words += f", {run['threads']} thread{'s' * (run['threads'] != 1)} each"
    memory = [one for one in run.get("peak_anonymous_bytes") or [] if isinstance(one, int | float)]
    return f"{words}, at most {size(max(memory))} of memory a process." if memory else f"{words}."
