"""The lines of an evaluation, one per Entry, and how they are written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recprofile.artifacts import BoolArray, IntArray
from recprofile.evaluate.evaluation import Entry
from recprofile.evaluate.ratings import RatingSheet
from recprofile.evaluate.relevance import Relevance
from recprofile.metrics import Interval, Metric, Values

Cells = dict[str, Interval]
Hits = tuple[NDArray[np.int64], IntArray, NDArray[np.int64]]  # row of the judged user, item, rank


@dataclass(frozen=True)
class Asked:
    """A metric as the recipe writes it."""

    text: str
    metric: Metric
    k: int


@dataclass(frozen=True, eq=False)
class Group:
    """The judged users with one value of a user column, bool (n,); all of them where `column` is None."""

    column: str | None
    value: str
    members: BoolArray


@dataclass(eq=False)
class Line:
    """What was measured of one Entry: a column per metric and user, a number per system metric and group."""

    entry: Entry
    values: Values
    system: list[dict[str, float]]  # by group, in the order of the groups
    cells: list[Cells] = field(default_factory=list)  # likewise
    ratings: RatingSheet | None = None
    hits: Hits = field(default_factory=lambda: hits_of(np.zeros((0, 0), np.int32), np.zeros((0, 0), np.bool_)))


def hits_of(items: IntArray, hits: BoolArray) -> Hits:
    """Where there is a hit in lists of items, both (n, length): the row, the item, and its rank from 1."""
    row, column = np.nonzero(hits)
    return row, items[row, column], column + 1


def line_json(line: Line, relevance: Relevance, parts: Sequence[Group]) -> dict[str, Any]:
    """A line as it stands under `rankers` in metrics.json."""
    groups: dict[str, dict[str, Any]] = {}
    for part, cells in zip(parts, line.cells, strict=True):
        if part.column is not None:
            found = {"n": int(part.members.sum()), "metrics": _cells_json(cells)}
            groups.setdefault(part.column, {})[part.value] = found
    entry = line.entry
    out = {
        "id": entry.id,
        "component": entry.component,
        "role": entry.role,
        "after": entry.after,
        "metrics": _cells_json(line.cells[0]),
        "groups": groups,
        "fallbacks": relevance.fallbacks(entry),
    }
    return out if line.ratings is None else out | {"ratings": dict(line.ratings.counts)}


def _cells_json(cells: Cells) -> dict[str, dict[str, float | None]]:
    return {name: interval_json(interval) for name, interval in cells.items()}


def interval_json(found: Interval) -> dict[str, float | None]:
    """A value with its interval as JSON holds it."""
    return {"value": number(found.value), "low": number(found.low), "high": number(found.high), "n": found.n}


def number(value: float) -> float | None:
    """A number for JSON: six decimals, so that the last bits of a sum do not show; None for NaN."""
    return round(float(value), 6) + 0.0 if np.isfinite(value) else None
