"""A column of the items, the users or the interactions, by the name that a recipe gives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.plugin import DataError, Dataset, Interactions, did_you_mean

TableName = Literal["items", "users", "interactions"]
TABLES: tuple[TableName, ...] = ("items", "users", "interactions")


@dataclass(frozen=True)
class Column:
    """Where a column stands."""

    table: TableName
    name: str

    def __str__(self) -> str:
        return f"{self.table}.{self.name}"

    @classmethod
    def of(cls, text: str) -> Column:
        """The inverse of `str`."""
        table, _, name = text.partition(".")
        return next(cls(one, name) for one in TABLES if one == table)

    def is_in(self, data: Dataset) -> bool:
        """Whether the data have it; later events lack context columns and attributes."""
        return self.name in _held(data)[self.table]


WEIGHT = Column("interactions", "weight")


def find_column(name: str, data: Dataset) -> Column:
    """The column that a name means: 'price', or 'items.price' where more than one table has it.

    The interactions have 'weight' and the context columns. Raises DataError RP502 for a name that no table has, or
    more than one.
    """
    held = _held(data)
    found = [Column(table, name) for table in TABLES if name in held[table]]
    if not found:
        found = [Column(t, name.removeprefix(f"{t}.")) for t in TABLES if name.removeprefix(f"{t}.") in held[t]]
    if len(found) == 1:
        return found[0]
    if found:
        choices = " or ".join(f"'{column}'" for column in found)
        message = f"column '{name}' stands in {' and in '.join(c.table for c in found)}"
        raise DataError.of("RP502", message, help=(f"write {choices}",))
    known = [c for columns in held.values() for c in columns]
    qualified = [f"{table}.{c}" for table in TABLES for c in held[table]]
    helps = did_you_mean(name, qualified if "." in name else known, label="columns")
    if not helps[0].startswith("did you mean"):
        helps = ("the events' weight is called 'weight', whatever its column in the file", *helps)
    raise DataError.of("RP502", f"no column '{name}' in items, users or interactions", help=helps)


def check_new(column: Column, data: Dataset) -> None:
    """Refuse to add a column where there is one of that name: DataError RP503."""
    if column.is_in(data):
        raise DataError.of("RP503", f"the {column.table} have a column '{column.name}' already, so none can be added")


def _held(data: Dataset) -> dict[TableName, list[str]]:
    return {
        "items": data.items.columns,
        "users": data.users.columns,
        "interactions": ["weight", *data.train.context.columns],
    }


def training_values(column: Column, data: Dataset) -> pl.Series:
    """Values to learn statistics from: those of items or users with a training event, once each, or of train's events.

    NaN counts as missing.
    """
    match column.table:
        case "items":
            return _plain(data.items.column(column.name).filter(pl.Series(~data.cold_items())))
        case "users":
            return _plain(data.users.column(column.name).filter(pl.Series(~data.cold_users())))
        case "interactions":
            return _of_events(column.name, data.train)


def training_numbers(column: Column, data: Dataset) -> NDArray[np.float64]:
    """`training_values` that are known, as float64."""
    return training_values(column, data).drop_nulls().cast(pl.Float64).to_numpy()


def every_value(column: Column, data: Dataset) -> list[pl.Series]:
    """All values of the column: one series for a table; for the interactions those of train, valid and test."""
    match column.table:
        case "items":
            return [_plain(data.items.column(column.name))]
        case "users":
            return [_plain(data.users.column(column.name))]
        case "interactions":
            return [_of_events(column.name, part) for part in (data.train, data.valid, data.test)]


def with_values(
    column: Column, data: Dataset, change: Callable[[pl.Series], pl.Series], *, name: str | None = None
) -> Dataset:
    """The data with the column's values changed, everywhere it stands; with `name`, put beside it under that name.

    A change of the weight leaves `positive` as it is.
    """
    new = name or column.name
    match column.table:
        case "items":
            return data.revise(items=data.items.with_columns(change(every_value(column, data)[0]).rename(new)))
        case "users":
            return data.revise(users=data.users.with_columns(change(every_value(column, data)[0]).rename(new)))
        case "interactions":

            def revise(events: Interactions) -> Interactions:
                values = change(_of_events(column.name, events)).rename(new)
                if new == "weight":
                    return replace(events, weight=values.cast(pl.Float32).fill_null(float("nan")).to_numpy())
                context = events.context.with_columns(values) if events.context.width else values.to_frame()
                return replace(events, context=context)

            return data.revise(train=revise(data.train), valid=revise(data.valid), test=revise(data.test))


def check_numeric(column: Column, data: Dataset, *, purpose: str) -> None:
    """Refuse a column that is not made of finite numbers: DataError RP503, with the row where there is one."""
    if column.table == "items":
        data.items.numbers([column.name])
    elif column.table == "users":
        data.users.numbers([column.name])
    for values in every_value(column, data):
        if not (values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null)):
            message = f"'{purpose}' needs numbers, and column '{column}' is {values.dtype}"
            raise DataError.of("RP503", message)
        if values.dtype.is_float() and values.is_infinite().any():
            raise DataError.of("RP503", f"column '{column}' holds an infinity")


def _of_events(name: str, events: Interactions) -> pl.Series:
    # A part without events may lack the context columns too.
    if name == "weight":
        return _plain(pl.Series("weight", events.weight))
    if name not in events.context.columns:
        return pl.Series(name, [None] * len(events))
    return _plain(events.context[name])


def _plain(values: pl.Series) -> pl.Series:
    return values.fill_nan(None) if values.dtype.is_float() else values
