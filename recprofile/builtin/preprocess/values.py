"""`impute`: what is missing in columns is filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl

from recprofile.builtin.preprocess.columns import (
    WEIGHT,
    Column,
    check_new,
    check_numeric,
    every_value,
    find_column,
    training_values,
    with_values,
)
from recprofile.plugin import (
    ColumnsOf,
    Context,
    DataError,
    Dataset,
    Field,
    Interactions,
    LearningPreprocessor,
    Params,
)

Value = int | float | bool | str
Fill = Literal["mean", "median", "most-frequent", "constant"]


class Constant(Params):
    constant: bool | int | float | str = Field(description="The value to fill with; of the column's own type.")


class ImputeParams(Params):
    columns: Annotated[dict[str, Fill | Constant], ColumnsOf("any")] = Field(
        min_length=1,
        description="Column → mean, median, most-frequent, constant (0, 'missing' or false, by the column's type) or "
        "{constant: value}. 'weight' is that of the interactions; write 'items.price' where two tables have a column.",
    )
    missing_indicator: bool = Field(
        False, description="Also add a column '<column>_missing', true where a value was filled."
    )


class Impute(LearningPreprocessor[ImputeParams]):
    """Fills missing values of items, users and interactions.

    Statistics come from the training part: for a column of items or users from those with a training event, each
    counted once; for the weight and context columns from the training events. NaN counts as missing. A column filled
    with a mean or median becomes floating. The most frequent value is the smallest of equals. An event whose weight
    was missing becomes positive when the filled weight is, so put it before `scale`.
    """

    name = "impute"

    def fills(self) -> frozenset[str]:
        """The columns, as the recipe names them; those of the interactions also without their table's name."""
        names = self.params.columns
        return frozenset(names) | {n.removeprefix("interactions.") for n in names if n.startswith("interactions.")}

    def adds(self) -> frozenset[str]:
        """With `missing_indicator`, a column '<column>_missing' for each, in the table of that column."""
        names = {name.rpartition(".")[2] for name in self.params.columns} | set(self.params.columns)
        return frozenset(f"{name}_missing" for name in names) if self.params.missing_indicator else frozenset()

    def learn(self, data: Dataset, ctx: Context) -> Mapping[str, Any]:
        """What to fill with, by column: {value, how}.

        Raises DataError RP502 for a column that is not there, RP503 for a way of filling that does not fit its type or
        an indicator that there is already, RP505 when nothing is known to take a statistic of.
        """
        learnt: dict[str, Any] = {}
        for name, how in self.params.columns.items():
            column = find_column(name, data)
            if self.params.missing_indicator:
                check_new(_indicator(column), data)
            told = how if isinstance(how, str) else "constant"
            learnt[str(column)] = {"value": _filling(column, how, data), "how": told}
        return learnt

    def apply(self, learnt: Mapping[str, Any], data: Dataset, ctx: Context) -> Dataset:
        """The data with the columns filled, and a note per column that says with what."""
        for text, found in learnt.items():
            column, value = Column.of(text), found["value"]
            if not column.is_in(data):
                continue
            gaps = sum(values.null_count() for values in every_value(column, data))
            if self.params.missing_indicator:
                data = with_values(column, data, pl.Series.is_null, name=_indicator(column).name)
            if gaps or column != WEIGHT:
                before = data
                data = with_values(column, data, partial(_filled, value=value))
                if column == WEIGHT:
                    data = _positives_follow(before, data)
            if gaps:
                shown = f"{value:.6g}" if isinstance(value, float) else f"'{value}'"
                data = data.note(f"impute: {gaps} missing values of {column} filled with {shown} ({found['how']})")
        return data


def _indicator(column: Column) -> Column:
    return Column(column.table, f"{column.name}_missing")


def _filling(column: Column, how: Fill | Constant, data: Dataset) -> Value:
    """The value that fills a column."""
    dtype = every_value(column, data)[0].dtype
    if isinstance(how, Constant):
        _check_constant(column, how.constant, dtype)
        return how.constant
    if how == "constant":
        if dtype == pl.Boolean:
            return False
        if dtype.is_numeric():
            return 0
        _check_constant(column, "missing", dtype)
        return "missing"
    if dtype.is_nested() or (how == "most-frequent" and dtype.is_temporal()):
        raise DataError.of("RP503", f"column '{column}' is {dtype}, and '{how}' cannot fill it")
    if how != "most-frequent":
        check_numeric(column, data, purpose=how)
    known = training_values(column, data).drop_nulls()
    if len(known) == 0:
        of = "training events" if column.table == "interactions" else f"{column.table} of the training part"
        message = f"column '{column}' has no value among the {of} to take the {how} of"
        raise DataError.of("RP505", message, help=("{constant: value} fills a column without any",))
    if how == "most-frequent":
        counts = known.to_frame("value").group_by("value").len()
        most: Value = counts.sort(["len", "value"], descending=[True, False])["value"][0]
        return most
    numbers = known.cast(pl.Float64).to_numpy()
    return float(np.mean(numbers) if how == "mean" else np.median(numbers))


def _check_constant(column: Column, value: Value, dtype: pl.DataType) -> None:
    if dtype == pl.Boolean:
        fits = isinstance(value, bool)
    elif dtype.is_numeric():
        fits = isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
    else:
        fits = dtype == pl.Null or (isinstance(value, str) and dtype in (pl.String, pl.Categorical, pl.Enum))
    if not fits:
        raise DataError.of("RP503", f"the constant '{value}' does not fit column '{column}', which is {dtype}")


def _filled(values: pl.Series, value: Value) -> pl.Series:
    """The series without gaps; whole numbers become floating for a floating value, categories become text."""
    if isinstance(value, float) and not values.dtype.is_float():
        values = values.cast(pl.Float64)
    elif isinstance(value, str) and values.dtype != pl.String:
        values = values.cast(pl.String)
    elif values.dtype == pl.Null:
        values = values.cast(pl.Boolean if isinstance(value, bool) else pl.Int64)
    return values.fill_null(pl.lit(value)) if values.null_count() else values


def _positives_follow(before: Dataset, after: Dataset) -> Dataset:
    """The data after weights were filled, with `positive` set where a weight was missing."""

    def follow(old: Interactions, new: Interactions) -> Interactions:
        gap = np.isnan(old.weight)
        rule = after.positive
        positive = new.positive.copy()
        positive[gap] = rule.mask(new.weight[gap]) if rule is not None else True
        return replace(new, positive=positive)

    return after.revise(
        train=follow(before.train, after.train),
        valid=follow(before.valid, after.valid),
        test=follow(before.test, after.test),
    )
