"""A Dataset in a few numbers, for the terminal, the manifest and the report."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from recprofile.artifacts import Dataset, Interactions


def describe(data: Dataset) -> dict[str, Any]:
    """Counts of users, items and events by part, density, span of time and notes; plain values, ready for JSON.

    `density` is training events per user and item, in [0, 1] unless events repeat. `cold` counts users and items of
    the catalogue without a training event. `time` is None without times, else the first and the last, UTC.
    """
    parts = {"train": data.train, "valid": data.valid, "test": data.test}
    cells = data.n_users * data.n_items
    return {
        "users": data.n_users,
        "items": data.n_items,
        "events": {name: len(part) for name, part in parts.items()},
        "positive": {name: int(part.positive.sum()) for name, part in parts.items()},
        "positive_rule": f"{data.positive.op} {data.positive.threshold:g}" if data.positive else None,
        "density": len(data.train) / cells if cells else 0.0,
        "cold": {"users": int(data.cold_users().sum()), "items": int(data.cold_items().sum())},
        "columns": {"users": data.users.columns, "items": data.items.columns},
        "time": _time_span([data.train, data.test]),
        "notes": list(data.notes),
    }


def _time_span(parts: list[Interactions]) -> dict[str, str] | None:
    times = [part.time for part in parts if part.time is not None and len(part)]
    if not times:
        return None
    first, last = min(int(np.min(t)) for t in times), max(int(np.max(t)) for t in times)
    return {"first": _utc(first), "last": _utc(last)}


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
