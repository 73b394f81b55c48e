"""Which columns of a file are users, items, weights and times, if it is a log of events."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import permutations

import numpy as np
import polars as pl

from recprofile.dataset.values import Column as Values
from recprofile.dataset.values import times_of
from recprofile.guess.looks import Column, Seen

USER = frozenset(
    {
        "user", "customer", "client", "member", "buyer", "person", "people", "account", "visitor",
        "reader", "listener", "viewer", "subscriber", "shopper", "uid", "cust", "player", "student",
        "patient", "reviewer",
    }
)  # fmt: skip
ITEM = frozenset(
    {
        "item", "product", "movie", "film", "book", "article", "news", "sku", "song",
        "track", "isbn", "asin", "video", "game", "business", "listing", "recipe", "offer",
        "iid", "restaurant", "show", "artist", "album", "course", "job", "anime", "post",
        "page", "story", "content", "document", "url", "hotel", "place", "venue", "poi",
    }
)  # fmt: skip
TIME = frozenset(
    {
        "time", "timestamp", "date", "datetime", "at", "ts", "when", "day", "created",
        "unix", "unixtime",
    }
)  # fmt: skip
RATING = frozenset(
    {
        "rating", "star", "score", "grade", "rate", "overall",
    }
)  # fmt: skip
LIKE = frozenset(
    {
        "like", "liked", "click", "clicked", "label", "thumb", "feedback",
    }
)  # fmt: skip
AMOUNT = frozenset(
    {
        "weight", "amount", "count", "play", "playcount", "listen", "quantity", "qty", "strength",
        "view", "hour", "minute", "duration", "revenue", "spent",
    }
)  # fmt: skip
ENOUGH = 2.5  # of a score: the name of one side, and that both repeat


@dataclass(frozen=True)
class Log:
    """A file as a log: its columns, and why each was taken; `score` says how much it looks like one."""

    seen: Seen
    user: str
    item: str
    weight: str | None
    time: str | None
    score: float
    why: Mapping[str, str]
    scale: str = ""  # of the weight: 'rating', 'like' or 'amount'


def log_of(seen: Seen, known: Mapping[str, float]) -> Log | None:
    """The file as a log, or None when it has no two columns that may be users and items.

    `known`: by column, the largest share of its ids that another file has as ids of its own.
    """
    if seen.rows < 2:
        return None
    times = {name: found for name, c in seen.columns.items() if (found := _time(c, seen)) is not None}
    weight, scale = _weight(seen, set(times))
    ids = [
        c for c in seen.columns.values() if c.could_be_ids() and c.name not in times and c.name != weight
    ]  # fmt: skip
    best: tuple[float, Column, Column] | None = None
    for user, item in permutations(ids, 2):
        score = _as(user, USER, ITEM, known) + _as(item, ITEM, USER, known)
        score += 0.2 * (list(seen.columns).index(user.name) < list(seen.columns).index(item.name))
        if best is None or score > best[0]:
            best = score, user, item
    if best is None or best[0] < ENOUGH:
        return None
    score, user, item = best
    time = next((n for n in times if seen.columns[n].words & TIME), next(iter(times), None))
    why = {user.name: _said(user, USER), item.name: _said(item, ITEM)}
    if time is not None:
        why[time] = times[time]
    if weight is not None:
        why[weight] = _weight_said(seen.columns[weight], scale)
    score += 2 * (time is not None) + 1.5 * (weight is not None) + 0.3 * math.log10(seen.rows)
    return Log(seen, user.name, item.name, weight, time, score, why, scale)


def _as(column: Column, own: frozenset[str], other: frozenset[str], known: Mapping[str, float]) -> float:
    score = 3.0 * bool(column.words & own) - 3.0 * bool(column.words & other)
    score += 0.5 * ("id" in column.words) + 2.0 * (known.get(column.name, 0) >= 0.5)
    return score - (2.0 if column.is_unique else 0.0) - (1.0 if column.gaps else 0.0)


def _said(column: Column, own: frozenset[str]) -> str:
    count = f"{column.distinct} {'value' if column.distinct == 1 else 'values'} in {len(column.values)} rows"
    if not column.words & own:
        count += "; a guess, for its name does not say"
    if column.gaps:
        count += f"; {column.gaps} are missing, and a run refuses those rows"
    return count


def _time(column: Column, seen: Seen) -> str | None:
    """What a column holds if it is times that can be used, else None."""
    hinted = bool(column.words & TIME)
    dtype = column.values.dtype
    if column.gaps or not (dtype.is_temporal() or column.is_text or dtype.is_numeric()):
        return None
    if column.is_text and (column.distinct < 2 or column.length < 8):
        return None
    try:
        seconds, problems, note = times_of(Values(column.values, column.name, seen.file, None))
    except ArithmeticError:
        return None
    if problems or len(seconds) == 0:
        return None
    low, high = int(seconds.min()), int(seconds.max())
    if (
        dtype.is_numeric()
        and not (low >= 631_152_000 and high < 4_102_444_800)
        and not (hinted and {"time", "timestamp", "ts"} & column.words)
    ):
        return None  # numbers that are no moments from 1990 to 2100
    if dtype.is_numeric() and not hinted and (column.is_unique or np.ptp(seconds) < 86_400):
        return None
    unit = "seconds since 1970"
    if note:
        unit = f"{note.partition(' are ')[2].partition(' since')[0]} since 1970"
    form = unit if dtype.is_numeric() else "dates"
    return f"{form}, {_day(low)} to {_day(high)}"


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(min(seconds, 250_000_000_000), UTC).strftime("%Y-%m-%d")


def _weight(seen: Seen, times: set[str]) -> tuple[str | None, str]:
    """The column of weights and what kind they are: a rating before a like, and that before an amount."""
    numbers = [
        c
        for c in seen.columns.values()
        if (c.is_number or (c.values.dtype == pl.Boolean and seen.file.kind != "csv"))
        and c.name not in times
        and len(c.there)
    ]
    for kind, hints in (("rating", RATING), ("like", LIKE), ("amount", AMOUNT)):
        for column in numbers:
            if column.words & hints and not column.words & {"id", "price"}:
                return column.name, kind
    rest = [c for c in numbers if not c.words & (USER | ITEM | {"id", "price", "session", "age", "year"})]
    rest = [c for c in rest if c.is_number and 1 < c.distinct <= 11 and c.there.min() >= -1 and c.there.max() <= 10]  # type: ignore[operator]  # numbers
    others = sum(c.is_number and c.name not in times for c in seen.columns.values())
    if len(rest) == 1 and len(seen.columns) <= 5 and others <= 3:
        return rest[0].name, "rating"
    return None, ""


def _weight_said(column: Column, kind: str) -> str:
    low, high = float(column.there.min()), float(column.there.max())  # type: ignore[arg-type]  # numbers
    hinted = column.words & (RATING | LIKE | AMOUNT)
    said = f"{column.distinct} values from {low:g} to {high:g}"
    return said if hinted else f"{said}; a guess, for its name does not say"


def positive_of(log: Log) -> tuple[str | None, str]:
    """The rule for positive events that the scale of the weights suggests, and why; None for every event."""
    if log.weight is None:
        return None, "there are no weights: every event is positive"
    values = log.seen.columns[log.weight].there
    low, high, distinct = float(values.min()), float(values.max()), values.n_unique()  # type: ignore[arg-type]  # numbers
    rule: tuple[str, float] | None = None
    scale = ""
    if log.scale == "amount":
        rule, scale = ((">", 0), "what is not above 0 takes something back") if low <= 0 < high else (None, "")
    elif low < 0 < high:
        rule, scale = (">", 0), "from disliked to liked"
    elif low == 0 and high == 1 and distinct == 2:
        rule, scale = (">=", 1), "0 or 1"
    elif 1 < high <= 5 and low >= 0 and distinct <= 20:
        rule, scale = (">=", 4 if high == 5 else math.ceil(high * 0.75)), f"a scale up to {high:g}"
    elif 5 < high <= 10:
        rule, scale = (">=", 7), "a scale up to 10"
    elif 10 < high <= 100 and log.scale == "rating":
        rule, scale = (">=", 70), "a scale up to 100"
    if rule is None:
        return None, "the amounts have no scale of likes: every event is positive"
    numbers = values.cast(float).to_numpy()
    share = float(np.mean(numbers > rule[1] if rule[0] == ">" else numbers >= rule[1]))
    if share == 0:
        return (
            None,
            f"no event of the first {len(values)} would be at the upper end of {scale}: every event is positive",
        )
    return f"{rule[0]} {rule[1]:g}", f"{scale}; {share:.0%} of the events are positive"
