"""Reads details.csv of `analyze`, `mask --analyze` and `compare`: a row for each matrix, with numbers as numbers."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from frogmask.errors import FormatError, MissingError

Value = str | float | None
Row = dict[str, Value]

_GUARDED = ("=", "+", "-", "@", "\t", "\r")
_TEXTS = frozenset({"name", "longname", "tuned_longname", "layer_type", "role", "status", "reasons", "flags", "trend"})


def read(path: Path, needed: tuple[str, ...]) -> list[Row]:
    """The rows of a table.

    Args:
        path: The file.
        needed: Columns that it must have.

    Returns:
        By row the values by column: text, a finite number, or None for an empty cell.

    Raises:
        MissingError: There is no such file.
        FormatError: The file is not of the documented form; names the line.
    """
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            lines = csv.reader(stream, strict=True)
            columns = next(lines, [])
            missing = [column for column in needed if column not in columns]
            if missing:
                raise FormatError(f"{path} has no column '{missing[0]}'; make or copy the folder again")
            rows = []
            for cells in lines:
                if len(cells) != len(columns):
                    raise FormatError(f"{path}, line {lines.line_num}: {len(cells)} cells, should be {len(columns)}; copy the folder again")
                rows.append({column: _value(column, cell) for column, cell in zip(columns, cells)})
            return rows
    except FileNotFoundError:
        raise MissingError(f"there is no file {path}") from None
    except OSError as error:
        raise FormatError(f"cannot read {path}: {error.strerror}") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise FormatError(f"{path} is no table ({error}); make or copy the folder again") from None


def number(row: Row, column: str) -> float | None:
    """The number in a cell; None if it is empty or holds none."""
    value = row.get(column)
    return value if isinstance(value, float) else None


def text(row: Row, column: str) -> str:
    """The text in a cell; empty if there is none."""
    value = row.get(column)
    return value if isinstance(value, str) else ""


def _value(column: str, cell: str) -> Value:
    if column in _TEXTS:
        # The program puts an apostrophe before what a spreadsheet would run.
        return cell[1:] if cell[:1] == "'" and cell[1:2] in _GUARDED else cell
    if cell == "":
        return None
    try:
        found = float(cell)
    except ValueError:
        return cell
    return found if math.isfinite(found) else None
