"""Users by how active they are, and items by how popular: where a difference comes from."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.artifacts import IntArray
from recprofile.metrics import Values

QUARTILES = (0.25, 0.5, 0.75)
POPULARITY = ("head", "middle", "tail")


def activity_bounds(events: NDArray[Any]) -> list[tuple[int, int]]:
    """The least and largest number of training events of each quartile of users, rising; fewer where many are equal.

    A boundary is the smallest number that at least a quarter (half, three quarters) of the users do not exceed; those
    with as many are below it, so that equally active users are always in one bin, and none is empty.
    """
    if len(events) == 0:
        return []
    edges = np.unique([*np.quantile(events, QUARTILES, method="inverted_cdf"), events.max()])
    bins = np.searchsorted(edges, events)
    return [(int(events[bins == n].min()), int(edge)) for n, edge in enumerate(edges)]


def activity_of(events: NDArray[Any], bounds: list[tuple[int, int]]) -> NDArray[np.int64]:
    """The bin of each user, (n,)."""
    return np.searchsorted([high for _, high in bounds], events)


def popularity_of(events: NDArray[Any]) -> IntArray:
    """Which third of the positive training events each item is in, int32 (n_items,): 0 head, 1 middle, 2 tail.

    The share of all positive training events that is on items with more of them than this one: below 1/3 is the head,
    below 2/3 the middle, the rest, and every item without any, the tail. Each holds about a third of the events, the
    head on few items; items with equally many are always in one bin.

    Source: the short head of Cremonesi, Koren & Turrin 2010, the items that hold 33 % of the events; the rest is
    halved likewise.
    """
    total = int(events.sum())
    if total == 0:
        return np.full(len(events), 2, np.int32)
    counts, at = np.unique(events, return_inverse=True)
    held = counts * np.bincount(at)
    above = held[::-1].cumsum()[::-1] - held
    # Whole numbers: 1/3 of 3 events is exactly one.
    return np.minimum(3 * above // total, 2).astype(np.int32)[at]


def by_popularity(pairs: pl.DataFrame, bins: pl.DataFrame, users: pl.Series) -> Values:
    """How many of these (user, item) pairs are of each user and bin, float64 (n_users, 3); `bins` has item and bin."""
    rows = pl.DataFrame({"user": users, "row": np.arange(len(users))})
    found = pairs.select("user", "item").join(rows, on="user").join(bins, on="item")
    keys = found["row"].to_numpy() * len(POPULARITY) + found["bin"].to_numpy()
    counts = np.bincount(keys, minlength=len(users) * len(POPULARITY)).reshape(len(users), len(POPULARITY))
    return counts.astype(np.float64)


def popularity_bins(items: pl.DataFrame) -> pl.DataFrame:
    """item and bin, from item and positive_events."""
    return items.select("item", bin=pl.Series(popularity_of(items["positive_events"].to_numpy())))
