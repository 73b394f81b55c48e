"""`derive`: columns of items and users made from training events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.builtin.preprocess.columns import Column, TableName, check_new
from recprofile.plugin import Context, Dataset, Field, LearningPreprocessor, Params, model_validator

Measure = Literal["events", "positives", "positive-share", "mean-weight", "partners", "recency-days", "age-days"]
DAY = 86_400  # seconds
TIMED = ("recency-days", "age-days")


class DeriveParams(Params):
    items: tuple[Measure, ...] = Field(
        (),
        description="Columns to add to the items: events (how many), positives (likewise), positive-share, "
        "mean-weight, partners (different users), recency-days (since the last event), age-days (since the first).",
    )
    users: tuple[Measure, ...] = Field(
        (), description="Columns to add to the users: the same, partners being different items."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.items and not self.users:
            raise ValueError("needs 'items', 'users' or both")
        return self


class Derive(LearningPreprocessor[DeriveParams]):
    """Adds columns to items and users that say what happened in training: events, recency, shares, means.

    A measure's column has its name with '_' for '-'. Counts are of training events; days are measured back from the
    last training event; the mean leaves missing weights out. What has no training event has the counts 0, and nothing
    in the other columns: so it is with new items. The columns hold what happened up to the end of training, so that a
    stage that tunes itself on validation events knows a little of them beforehand.
    """

    name = "derive"

    def __init__(self, params: DeriveParams) -> None:
        super().__init__(params)
        self.needs_time = any(one in TIMED for one in (*params.items, *params.users))

    def adds(self) -> frozenset[str]:
        """The measures' columns."""
        return frozenset(_column(one) for one in (*self.params.items, *self.params.users))

    def learn(self, data: Dataset, ctx: Context) -> Mapping[str, Any]:
        """The time of the last training event; raises DataError RP503 where a table has a column of that name."""
        wanted: tuple[tuple[TableName, tuple[Measure, ...]], ...] = (
            ("items", self.params.items),
            ("users", self.params.users),
        )
        for table, measures in wanted:
            for one in measures:
                check_new(Column(table, _column(one)), data)
        time = data.train.time
        return {"now": int(time.max()) if time is not None and len(time) else None}

    def apply(self, learnt: Mapping[str, Any], data: Dataset, ctx: Context) -> Dataset:
        """The data with the columns."""
        p = self.params
        if p.items:
            made = [_measured(one, data, "items", learnt["now"]) for one in dict.fromkeys(p.items)]
            data = data.revise(items=data.items.with_columns(*made))
        if p.users:
            made = [_measured(one, data, "users", learnt["now"]) for one in dict.fromkeys(p.users)]
            data = data.revise(users=data.users.with_columns(*made))
        return data


def _column(measure: str) -> str:
    return measure.replace("-", "_")


def _measured(measure: Measure, data: Dataset, table: Literal["items", "users"], now: int | None) -> pl.Series:
    """A measure of each item or user."""
    train = data.train
    of, n = (train.item, data.n_items) if table == "items" else (train.user, data.n_users)
    name = _column(measure)
    events = np.bincount(of, minlength=n)
    match measure:
        case "events":
            return pl.Series(name, events)
        case "positives":
            return pl.Series(name, np.bincount(of[train.positive], minlength=n))
        case "positive-share":
            return _ratio(name, np.bincount(of[train.positive], minlength=n), events)
        case "mean-weight":
            known = ~np.isnan(train.weight)
            if known.all():
                return _ratio(name, np.bincount(of, weights=train.weight, minlength=n), events)
            of, weight = of[known], train.weight[known]
            return _ratio(name, np.bincount(of, weights=weight, minlength=n), np.bincount(of, minlength=n))
        case "partners":
            seen = data.seen()
            both = np.bincount(seen.indices, minlength=n) if table == "items" else np.diff(seen.indptr)
            return pl.Series(name, both.astype(np.int64))
        case "recency-days" | "age-days":
            if train.time is None or now is None:
                return pl.Series(name, [None] * n, dtype=pl.Float64)
            latest = measure == "recency-days"
            at = np.full(n, np.iinfo(np.int64).min if latest else np.iinfo(np.int64).max)
            (np.maximum if latest else np.minimum).at(at, of, train.time)
            return _ratio(name, np.where(events > 0, now - at, 0), np.where(events > 0, DAY, 0))


def _ratio(name: str, over: NDArray[Any], under: NDArray[np.int64]) -> pl.Series:
    """A quotient, null where the divisor is 0."""
    values = np.divide(over, under, out=np.full(len(under), np.nan), where=under > 0)
    return pl.Series(name, values).fill_nan(None)
