"""Colours and type of charts, light and dark.

Colours of categories are as far apart as eight can be for readers who see all colours and for those who do not tell red from green
(at least 28 in CIELAB, by a search that started from those of Okabe and Ito), and none is faint on white or on black.
Shares are drawn in viridis, whose lightness rises with the value, so that it can also be read in grey.
"""

from __future__ import annotations

from typing import Any, Literal

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")

CATEGORIES = ("#0b5fba", "#fc9400", "#107d63", "#e192c0", "#82a7ff", "#cd8c4a", "#7c4309", "#565281")
SEQUENCE: Literal["viridis"] = "viridis"
KEPT, ALL = "#0b5fba", "#9aa5b1"
"""Kept weights, and all weights behind them."""
_INK = {"light": "#1b1f24", "dark": "#e6e8eb"}
_FAINT = {"light": "#59636e", "dark": "#a4adb8"}
_GRID = {"light": "#e3e6ea", "dark": "#343b44"}
_MARK = {"light": "#b34700", "dark": "#ff9a52"}  # what a reader should look at: a threshold, a budget, a fit
_PAGE = {"light": "#ffffff", "dark": "#14181d"}
_FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"


def config(scheme: Scheme, background: bool = False) -> dict[str, Any]:
    """Vega-Lite's configuration.

    Args:
        scheme: Light or dark.
        background: Whether charts paint the page behind them: pictures do, charts in a page do not.
    """
    ink, faint, grid = _INK[scheme], _FAINT[scheme], _GRID[scheme]
    return {
        "background": _PAGE[scheme] if background else None,
        "font": _FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": faint, "titleColor": ink, "gridColor": grid, "domainColor": faint, "tickColor": faint,
            "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal", "labelLimit": 220,
        },
        "axisX": {"grid": False},
        "legend": {
            "labelColor": ink, "titleColor": ink, "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal",
            "orient": "top", "symbolOpacity": 1, "labelLimit": 220,
        },
        "title": {"color": ink, "fontSize": 13, "fontWeight": "normal", "anchor": "start"},
        "text": {"color": ink, "fontSize": 11},
        "style": {
            "marked": {"color": _MARK[scheme], "fontWeight": "bold"},
            "marked-line": {"color": _MARK[scheme], "stroke": _MARK[scheme]},
        },
        "bar": {"stroke": _PAGE[scheme], "strokeWidth": 0.5},
        "range": {"category": list(CATEGORIES)},
    }  # fmt: skip
