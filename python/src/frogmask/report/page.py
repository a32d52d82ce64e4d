"""Puts pictures and tables into one HTML file that needs nothing else."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from frogmask.report import facts
from frogmask.report.numbers import count, figure
from frogmask.report.picture import MOST_ROWS, Panel, Picture, Table
from frogmask.report.repeat import command
from frogmask.report.runs import Run
from frogmask.report.theme import SCHEMES, config

_TABLES = (
    ("flags", "Flags and warnings", "What is wrong with matrices, in words."),
    ("left-out", "Left out", "Tensors that do not count as weight matrices, and why: their weights are neither scored nor kept."),
    ("parameters", "Parameters", "The options that shape the result, and what the run ran with."),
)
_TABLE_OF = {"flags": facts.flagged, "left-out": facts.left_out, "parameters": facts.parameters}


def page(runs: list[Run], pictures: list[Picture]) -> str:
    """The whole file as text.

    Names from checkpoints are hostile: text is escaped, and data cannot end the element that holds it.
    """
    title = f"frog-mpi: {', '.join(run.label for run in runs)}"
    parts = [_facts(runs)]
    parts += [_picture(picture) for picture in pictures]
    parts += [_tables(key, title, sentence, runs) for key, title, sentence in _TABLES]
    parts.append(_repeat(runs))
    links = [("runs", "Runs"), *((picture.key, picture.title) for picture in pictures)]
    links += [(key, title) for key, title, _ in _TABLES if any(f'<section id="{key}"' in part for part in parts)] + [("repeat", "Repeat")]
    return _asset("page.html").format_map(
        {
            "title": html.escape(title),
            "style": _asset("page.css"),
            "links": "".join(f'<a href="#{key}">{html.escape(words)}</a>' for key, words in links),
            "body": "\n".join(part for part in parts if part),
            # Pictures of one run stand beside each other, those of several in rows.
            "layout": "one" if len(runs) == 1 else "several",
            "themes": _json({scheme: config(scheme) for scheme in SCHEMES}),
            "bundle": _bundle(),
            "script": _asset("page.js"),
        }
    )


@cache
def _bundle() -> str:
    import vl_convert

    # Nothing in the libraries may end the element that holds them.
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")).replace("</script", "<\\/script")


def _asset(name: str) -> str:
    return (files("frogmask.report") / "assets" / name).read_text(encoding="utf-8")


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _facts(runs: list[Run]) -> str:
    cards = []
    for run in runs:
        rows = "".join(f"<div><dt>{html.escape(key)}</dt><dd>{html.escape(value)}</dd></div>" for key, value in facts.facts(run))
        cards.append(f"<article><h3>{html.escape(run.label)}</h3><dl>{rows}</dl></article>")
    return f'<section id="runs"><h2>Runs</h2><div class="cards">{"".join(cards)}</div></section>'


def _picture(picture: Picture) -> str:
    panels = "".join(_panel(picture, number, panel) for number, panel in enumerate(picture.panels))
    return (
        f'<section id="{picture.key}"><h2>{html.escape(picture.title)}</h2><p>{html.escape(picture.sentence)}</p>'
        f'<div class="panels">{panels}</div></section>'
    )


def _panel(picture: Picture, number: int, panel: Panel) -> str:
    parts = [f"<figcaption>{html.escape(panel.label)}</figcaption>"] if len(picture.panels) > 1 else []
    if panel.chart is not None:
        name = f"{picture.key}-{number}"
        parts.append(f'<div class="chart" id="chart-{name}"></div>')
        parts.append(f'<script type="application/json" id="spec-{name}">{_json(specification(picture, panel))}</script>')
    if panel.note:
        parts.append(f'<p class="note">{html.escape(panel.note)}</p>')
    if panel.table is not None:
        parts.append(f"<details><summary>Table</summary>{_table(panel.table)}</details>")
    return f"<figure>{''.join(parts)}</figure>"


def specification(picture: Picture, panel: Panel) -> dict[str, Any]:
    """The Vega-Lite of a panel that has a chart, without a configuration: that comes from the scheme."""
    assert panel.chart is not None
    found: dict[str, Any] = panel.chart.to_dict()
    found.pop("config", None)
    return found | {"description": f"{picture.title}, {panel.label}. {picture.sentence}"}


def _tables(key: str, title: str, sentence: str, runs: list[Run]) -> str:
    found = [(run, table) for run in runs if (table := _TABLE_OF[key](run)) is not None]
    if not found:
        return ""
    parts = "".join(
        f"<figure>{f'<figcaption>{html.escape(run.label)}</figcaption>' if len(runs) > 1 else ''}{_table(table)}</figure>"
        for run, table in found
    )
    return f'<section id="{key}"><h2>{title}</h2><p>{html.escape(sentence)}</p><div class="panels">{parts}</div></section>'


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in table.columns)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in table.rows[:MOST_ROWS])
    left = len(table.rows) - MOST_ROWS
    more = f'<p class="note">{count(left)} further rows are in {html.escape(table.source or "the folder")}.</p>' if left > 0 else ""
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{more}'


def _cell(value: object) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_number = is_number or (isinstance(value, str) and value[-1:] == "%")
    return f"<td{' class=number' if is_number else ''}>{html.escape(figure(value))}</td>"


def _repeat(runs: Iterable[Run]) -> str:
    commands = "".join(f"<h3>{html.escape(run.label)}</h3><pre>{html.escape(command(run))}</pre>" for run in runs)
    sentence = "These commands give the same bytes in every file but run.json, for any number of processes."
    return f'<section id="repeat"><h2>Repeat</h2><p>{sentence}</p>{commands}</section>'
