"""A column of the log as numbers, one per event, whichever table it stands in."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.builtin.preprocess.columns import Column, find_column
from recprofile.plugin import DataError, Dataset, Interactions

Doubles = NDArray[np.float64]


def of_events(column: Column, data: Dataset, events: Interactions) -> pl.Series:
    """The column's value at each event, null where it is missing; of users or items that of the event's own."""
    if column.table == "users":
        return data.users.column(column.name).gather(events.user.astype(np.uint32))
    if column.table == "items":
        return data.items.column(column.name).gather(events.item.astype(np.uint32))
    if column.name == "weight":
        return pl.Series("weight", events.weight).fill_nan(None)
    if column.name not in events.context.columns:  # a part without events may lack the context columns
        return pl.Series(column.name, [None] * len(events), dtype=pl.Float64)
    return events.context[column.name]


def event_numbers(name: str, data: Dataset, events: Interactions) -> Doubles:
    """Numbers of a column by name, one per event, float64 (n,), NaN where missing.

    Raises DataError RP502 for a column that no table has, and RP503 for one that is not made of finite numbers.
    """
    column = find_column(name, data)
    return as_numbers(of_events(column, data, events), str(column))


def as_numbers(values: pl.Series, name: str) -> Doubles:
    """Numbers, true and false as 1 and 0, text that reads as numbers: float64 (n,), NaN where missing.

    Raises DataError RP503 for anything else, with the first such value.
    """
    dtype = values.dtype
    if dtype.is_nested() or dtype.is_temporal() or dtype in (pl.Binary, pl.Object):
        raise DataError.of("RP503", f"column '{name}' is {dtype}, and must be numbers")
    cast = values.cast(pl.Float64, strict=False)
    _refuse(values, cast.is_null() & values.is_not_null(), f"in column '{name}' is no number")
    out = cast.fill_null(float("nan")).to_numpy()
    _refuse(values, pl.Series(np.isinf(out)), f"in column '{name}' is not finite")
    return np.asarray(out, np.float64)


def probabilities(name: str, data: Dataset, events: Interactions) -> Doubles:
    """As `event_numbers`, for a column of probabilities: RP503 too where one is not above 0, or is above 1."""
    out = event_numbers(name, data, events)
    wrong = np.flatnonzero((out <= 0) | (out > 1))
    if len(wrong):
        message = f"column '{name}' holds {out[wrong[0]]:g}, and a propensity is above 0 and at most 1"
        raise DataError.of("RP503", message, help=("it is the probability with which the item was shown",))
    return out


def _refuse(values: pl.Series, wrong: pl.Series, why: str) -> None:
    if wrong.any():
        raise DataError.of("RP503", f"'{values[int(wrong.arg_true()[0])]}' {why}")
