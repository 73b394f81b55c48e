"""Which file is what: the log, and the tables of its items and users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

import polars as pl

from recprofile.errors import DataError, printable
from recprofile.guess.attributes import Attribute, attributes_of, groups_of, label_of
from recprofile.guess.log import ITEM, USER, Log, log_of
from recprofile.guess.looks import Seen


@dataclass(frozen=True)
class Side:
    """A table of items or of users: the column of its ids and why, its other columns, and what parts or names rows."""

    seen: Seen
    id: str
    why: str
    attributes: Sequence[Attribute]
    label: str | None = None
    groups: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Guess:
    """The log, its tables where there are, and the files that are neither, each with why."""

    log: Log
    items: Side | None
    users: Side | None
    left: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Match:
    seen: Seen
    id: str
    coverage: float
    score: float


def guess(files: Sequence[Seen]) -> Guess:
    """Which file is what. Raises DataError RP502, with what was seen, when no file looks like a log of events."""
    keys = {seen.shown: [c.name for c in seen.columns.values() if c.is_unique and c.could_be_ids()] for seen in files}
    logs = []
    for seen in files:
        others = [other.ids(key) for other in files if other is not seen for key in keys[other.shown]]
        if (log := log_of(seen, _known(seen, others))) is not None:
            logs.append(log)
    if not logs:
        helps = [printable(seen.said()) for seen in files[:6]]
        helps.append("a log has a column of users and one of items, whose values repeat: a row for each event")
        raise DataError.of("RP502", "no file looks like a log of who did something with what", help=helps)
    log = max(logs, key=lambda one: one.score)
    items, users = _tables(log, [seen for seen in files if seen is not log.seen], keys)
    left = {
        seen.shown: _why_left(seen, log, logs, keys[seen.shown])
        for seen in files
        if seen is not log.seen and not any(match and match.seen is seen for match in (items, users))
    }
    return Guess(log, _side(items, log, "items"), _side(users, log, "users"), left)


def _known(seen: Seen, others: Sequence[pl.Series]) -> dict[str, float]:
    """By column that may hold ids, the largest share of them that a column of another file has, each once."""
    return {
        column.name: max((_share(seen.ids(column.name), other) for other in others), default=0.0)
        for column in seen.columns.values()
        if column.could_be_ids() and not column.is_unique
    }


def _share(ids: pl.Series, among: pl.Series) -> float:
    return float(ids.is_in(among.implode()).mean() or 0) if len(ids) else 0.0  # type: ignore[arg-type]  # a share


def _tables(log: Log, files: Sequence[Seen], keys: Mapping[str, Sequence[str]]) -> tuple[_Match | None, _Match | None]:
    """The tables of items and of users that together fit best, a file for each at most."""
    by_axis = {
        "items": _matches(log, log.item, files, keys, own=ITEM, other=USER),
        "users": _matches(log, log.user, files, keys, own=USER, other=ITEM),
    }
    best: tuple[_Match | None, _Match | None] = (None, None)
    top = 0.0
    items: list[_Match | None] = [None, *by_axis["items"]]
    users: list[_Match | None] = [None, *by_axis["users"]]
    for a in items:
        for b in users:
            if a is not None and b is not None and a.seen is b.seen:
                continue
            score = (a.score if a else 0) + (b.score if b else 0)
            if score > top:
                best, top = (a, b), score
    return best


def _matches(
    log: Log,
    column: str,
    files: Sequence[Seen],
    keys: Mapping[str, Sequence[str]],
    *,
    own: frozenset[str],
    other: frozenset[str],
) -> list[_Match]:
    ids = log.seen.ids(column)
    found = []
    for seen in files:
        for key in keys[seen.shown]:
            theirs = seen.ids(key)
            coverage = _share(ids, theirs)
            words = seen.words | seen.columns[key].words
            hint = bool(words & own) or key == column
            if coverage < (0.05 if hint else 0.5):
                continue
            score = 2 * coverage + 1.5 * (key == column) + 1.5 * bool(words & own) - 2.5 * bool(words & other - own)
            score += 0.5 * ("id" in seen.columns[key].words) + 0.5 * min(1.0, len(ids) / max(1, len(theirs)))
            score += 0.6 * min(3, sum(a.kind != "none" for a in attributes_of(seen, key)))
            if score > 0:
                found.append(_Match(seen, key, coverage, score))
    return found


def _side(match: _Match | None, log: Log, axis: str) -> Side | None:
    if match is None:
        return None
    seen = match.seen
    of = log.user if axis == "users" else log.item
    why = f"each once; {match.coverage:.0%} of the values of {of} in {log.seen.shown} are among them"
    attributes = attributes_of(seen, match.id)
    if axis == "items":
        return Side(seen, match.id, why, attributes, label=label_of(seen, attributes))
    return Side(seen, match.id, why, attributes, groups=groups_of(seen, match.id))


def _why_left(seen: Seen, log: Log, logs: Sequence[Log], keys: Sequence[str]) -> str:
    if any(other.seen is seen for other in logs):
        return f"it looks like a second log, and {log.seen.shown} like the better one"
    if not keys:
        for column, of in permutations((log.item, log.user)):
            if column in seen.columns or of in seen.columns:
                name = column if column in seen.columns else of
                return f"{name} is there, but not once for each row, as a table must have it"
        return "no column has a value of its own in every row, as a table must have"
    return f"no column of it has the ids of {log.user} or {log.item}, or another file has them better"
