"""Numbers as people read them, and as short as a file needs them."""

from __future__ import annotations

import math


def brief(value: float | None, digits: int = 4) -> float | None:
    """A number with so many significant digits, for data of charts; None if it is none that JSON can hold."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def percent(value: float | None, digits: int = 3) -> str:
    """A share, such as `1.25%`."""
    if value is None:
        return ""
    text = f"{100 * value:.{digits}g}"
    return "0%" if value == 0 else f"{float(text):,.0f}%" if "e+" in text else f"{text}%"


def count(value: int) -> str:
    """A whole number with commas."""
    return f"{value:,}"


def size(value: float) -> str:
    """A number of bytes, such as `43.7 MB`."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= step:
            return f"{value / step:.1f} {unit}"
    return f"{value:.0f} B"


def seconds(value: float) -> str:
    """A time, such as `2 h 05 min`, `3.2 s`."""
    if value < 60:
        return f"{value:.1f} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def figure(value: object) -> str:
    """A cell of a table: numbers with four significant digits, whole ones with commas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}" if abs(value) < 1e12 else f"{value:.3e}"
    return str(value)
