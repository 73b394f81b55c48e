"""Whom a treatment may have reached, as columns of equal length: all users, or all events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.builtin.check.nuisance import design
from recprofile.builtin.preprocess.columns import Column, find_column
from recprofile.builtin.preprocess.logged import as_numbers, of_events
from recprofile.plugin import DataError, Dataset, IntArray, Interactions, Recommendations

Doubles = NDArray[np.float64]
LISTED, UNLISTED = "in the list", "not in the list"


@dataclass(frozen=True, eq=False)
class Units:
    """One row per unit: user int32, treatment 0 or 1, outcome, and what was asked for beside them, else None.

    `kind` is 'users' or 'events'; `covariates` float64 (n, d); `left_out` counts units by what they lack.
    """

    kind: str
    user: IntArray
    treated: Doubles
    outcome: Doubles
    propensity: Doubles | None
    score: Doubles | None
    covariates: Doubles
    segment: pl.Series | None
    left_out: dict[str, int]

    def arms(self) -> tuple[int, int]:
        """How many are treated, and how many are not."""
        return int(self.treated.sum()), int((1 - self.treated).sum())

    def table(self, *, cut: int = 0) -> pl.DataFrame:
        """What estimates rest on."""
        treated, untreated = self.arms()
        rows = {f"treated {self.kind}": treated, f"untreated {self.kind}": untreated, **self.left_out}
        rows["propensities of treatment cut to [0.01, 0.99]"] = cut
        return pl.DataFrame({"what": list(rows), "number": list(rows.values())})


def read_units(
    recs: Recommendations,
    data: Dataset,
    *,
    treatment: str,
    outcome: str,
    covariates: Sequence[str] = (),
    propensity: str | None = None,
    score: str | None = None,
    segment: str | None = None,
) -> Units:
    """The units with all that was asked for; those that lack some of it are left out and counted.

    Units are users where treatment and outcome are columns of the users, else the events of training and test. Without
    a `segment` events are parted by whether the item is in the user's list. Raises DataError RP502 and RP503 as
    `Uplift` says.
    """
    by, of = find_column(treatment, data), find_column(outcome, data)
    if "items" in (by.table, of.table) or (by.table, of.table) == ("interactions", "users"):
        message = f"treatment '{by}' and outcome '{of}' do not go together"
        helps = ("both may be of users or of the interactions, or the treatment of users and the outcome of events",)
        raise DataError.of("RP503", message, help=helps)
    rows = _Users(data) if of.table == "users" else _Events(data)
    t = as_numbers(rows.read(by), str(by))
    wrong = np.flatnonzero(~np.isnan(t) & (t != 0) & (t != 1))
    if len(wrong):
        raise DataError.of("RP503", f"column '{by}' holds {t[wrong[0]]:g}, and a treatment is 0 or 1")
    columns = {"treatment": t, "outcome": as_numbers(rows.read(of), str(of))}
    for what, name in (("propensity", propensity), ("score", score)):
        if name is not None:
            columns[what] = as_numbers(rows.read(find_column(name, data)), name)
    if propensity is not None and ((columns["propensity"] <= 0) | (columns["propensity"] > 1)).any():
        raise DataError.of("RP503", f"column '{propensity}' holds a probability that is not in (0, 1]")
    used, left_out = np.ones(len(t), np.bool_), {}
    for what, values in columns.items():
        lacking = used & np.isnan(values)
        left_out[f"left out, without {what}"] = int(np.count_nonzero(lacking))
        used &= ~lacking
    told = {what: values[used] for what, values in columns.items()}
    names = [find_column(name, data) for name in covariates]
    return Units(
        rows.kind,
        rows.user[used],
        told["treatment"],
        told["outcome"],
        told.get("propensity"),
        told.get("score"),
        design([rows.read(column).alias(str(column)).filter(pl.Series(used)) for column in names], int(used.sum())),
        _segments(rows, recs, data, segment, used),
        left_out,
    )


class _Users:
    """All users, with the columns of their table."""

    kind = "users"

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self.user: IntArray = np.arange(data.n_users, dtype=np.int32)

    def read(self, column: Column) -> pl.Series:
        """A column of the users; RP503 for one of another table."""
        if column.table != "users":
            message = f"column '{column}' is not of the users, as treatment and outcome are"
            raise DataError.of("RP503", message)
        return self.data.users.column(column.name)

    def listed(self, recs: Recommendations) -> pl.Series | None:
        """Nothing: a user is in no list."""
        return None


class _Events:
    """All events, with their own columns and those of their user and item."""

    kind = "events"

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self.parts: list[Interactions] = [part for part in (data.train, data.test) if len(part)] or [data.train]
        self.user: IntArray = np.concatenate([part.user for part in self.parts])

    def read(self, column: Column) -> pl.Series:
        """A column of any table, one value per event."""
        return pl.concat([of_events(column, self.data, part) for part in self.parts])

    def listed(self, recs: Recommendations) -> pl.Series:
        """Whether each event's item is in its user's list."""
        wide = max(1, self.data.n_items)
        item = np.concatenate([part.item for part in self.parts])
        place = recs.items >= 0
        pairs = np.repeat(recs.users.astype(np.int64), place.sum(axis=1)) * wide + recs.items[place]
        there = np.isin(self.user.astype(np.int64) * wide + item, pairs)
        return pl.Series(np.where(there, LISTED, UNLISTED))


def _segments(
    rows: _Users | _Events, recs: Recommendations, data: Dataset, segment: str | None, used: NDArray[np.bool_]
) -> pl.Series | None:
    if segment is None:
        values = rows.listed(recs)
        return None if values is None else values.filter(pl.Series(used))
    column = find_column(segment, data)
    values = rows.read(column)
    if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
        raise DataError.of("RP503", f"column '{column}' is {values.dtype}, and must be text or numbers")
    return values.cast(pl.String).filter(pl.Series(used))
