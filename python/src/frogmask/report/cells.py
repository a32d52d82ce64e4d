"""What a report shows of matrices: numbers of each, and what those of one role in one layer add up to."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from frogmask.errors import FormatError


@dataclass(frozen=True, order=True)
class Place:
    """Where a matrix lies: the number of a layer in a stack of layers, or outside of all layers (stack and depth None)."""

    stack: str | None
    depth: int | None


@dataclass(frozen=True)
class MatrixRow:
    """What frog.json says of one weight matrix.

    Attributes:
        name: The checkpoint's name, with expert and part in brackets.
        place: The layer that it lies in.
        role: What it does in its layer, such as `q` or `down`.
        rows: m.
        columns: n.
        norm: ‖W‖_F.
        importance: R, its share of the sum of all norms (or of another metric).
        weight: What a quality weight makes of its importance, a factor.
        kept: The number of kept weights.
        threshold: The smallest kept value; None if nothing is kept.
        score_sum: ΣS of all weights; None if double precision does not hold it.
        selected: ΣS of the kept ones; None likewise.
        exponent: u: stored scores are S·2^−u.
        effective_rows: exp of the entropy of the kept weights over rows, as a share of m; None if nothing is kept.
        effective_columns: The same for columns.
    """

    name: str
    place: Place
    role: str
    rows: int
    columns: int
    norm: float
    importance: float
    weight: float
    kept: int
    threshold: float | None
    score_sum: float | None
    selected: float | None
    exponent: int
    effective_rows: float | None
    effective_columns: float | None

    @property
    def size(self) -> int:
        """The number of its weights."""
        return self.rows * self.columns

    @staticmethod
    def of(entry: dict[str, Any], path: object) -> MatrixRow:
        """Takes an entry of `matrices` in frog.json.

        Raises:
            FormatError: Something is missing, or is of another type; names the file and the matrix.
        """
        try:
            stack, depth, (rows, columns) = entry["stack"], entry["depth"], entry["shape"][:1] + [math.prod(entry["shape"][1:])]
            if not isinstance(stack, str | None) or not isinstance(depth, int | None):
                raise ValueError("stack or depth")
            spread = entry["concentration"] or {}
            return MatrixRow(
                name=str(entry["name"]), place=Place(stack, depth), role=str(entry["role"]), rows=whole(rows), columns=whole(columns),
                norm=number(entry["norm"]), importance=number(entry["importance"]), weight=optional(entry["quality_weight"], 1.0),
                kept=whole(entry["kept"]), threshold=optional(entry["threshold"]), score_sum=optional(entry["score_sum"]),
                selected=optional(entry["selected_score_sum"]), exponent=whole(entry["score_exponent"], signed=True),
                effective_rows=optional(spread.get("effective_rows")), effective_columns=optional(spread.get("effective_columns")),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            name = entry.get("name") if isinstance(entry, dict) else None
            raise FormatError(f"{path}: the entry of '{name}' lacks or garbles {error}; make or copy the masks again") from None


def whole(value: object, signed: bool = False) -> int:
    """A whole number of JSON, not negative unless `signed`."""
    if type(value) is not int or (value < 0 and not signed) or abs(value) >= 1 << 63:
        raise ValueError(f"the number {value!r}")
    return value


def number(value: object) -> float:
    """A finite number of JSON."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"the number {value!r}")
    return float(value)


def optional(value: object, default: Any = None) -> Any:
    """A finite number of JSON; `default` for null."""
    return default if value is None else number(value)


@dataclass
class Cell:
    """What the matrices of one role in one layer add up to: a line of layers.csv. Sums are None if one of a matrix is."""

    place: Place
    role: str
    matrices: int = 0
    weights: int = 0
    kept: int = 0
    importance: float = 0.0
    score_sum: float | None = 0.0
    selected: float | None = 0.0

    @property
    def kept_share(self) -> float:
        """Kept weights over all weights."""
        return self.kept / self.weights if self.weights else 0.0

    def add(self, row: MatrixRow) -> None:
        """Adds a matrix."""
        self.matrices += 1
        self.weights += row.size
        self.kept += row.kept
        self.importance += row.importance
        self.score_sum = _sum(self.score_sum, row.score_sum)
        self.selected = _sum(self.selected, row.selected)


def cells_of(rows: Iterable[MatrixRow]) -> list[Cell]:
    """The cells of matrices: stacks in the order of their first matrix, layers by depth, what lies outside last; roles by name."""
    found: dict[tuple[Place, str], Cell] = {}
    for row in rows:
        found.setdefault((row.place, row.role), Cell(row.place, row.role)).add(row)
    order = places_of(cell.place for cell in found.values())
    position = {place: number for number, place in enumerate(order)}
    return sorted(found.values(), key=lambda cell: (position[cell.place], cell.role.encode()))


def places_of(places: Iterable[Place]) -> list[Place]:
    """The different places: stacks in the order of their first one, layers by depth, what lies outside last."""
    different = list(dict.fromkeys(places))
    stacks = list(dict.fromkeys(place.stack for place in different))
    return sorted(different, key=lambda place: (place.depth is None, stacks.index(place.stack), place.depth or 0))


def layer_labels(places: Iterable[Place]) -> dict[Place, str]:
    """The words for layers on an axis, by place and in order: the number alone while there is one stack, and `outside`."""
    order = places_of(places)
    stacks = {place.stack for place in order if place.depth is not None}
    labels = {}
    for place in order:
        if place.depth is None:
            labels[place] = "outside" if place.stack is None else place.stack
        else:
            labels[place] = str(place.depth) if len(stacks) == 1 else f"{place.stack}.{place.depth}"
    return labels


def _sum(left: float | None, right: float | None) -> float | None:
    if left is None or right is None or not math.isfinite(left + right):
        return None
    return left + right
