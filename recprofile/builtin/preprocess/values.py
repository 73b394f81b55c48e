"""What values columns hold: `impute` (fill what is missing) and `scale` (bring numbers to one size)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

import numpy as np
import polars as pl

from recprofile.builtin.preprocess.columns import (
    Column,
    check_numeric,
    every_value,
    find_column,
    training_values,
    with_values,
)
from recprofile.plugin import ColumnsOf, Context, DataError, Dataset, Field, Interactions, Params, Preprocessor

Value = int | float | bool | str
Fill = Literal["mean", "median", "most-frequent", "constant"]
Scaling = Literal["standard", "min-max", "robust"]


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


class Impute(Preprocessor[ImputeParams]):
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

    def preprocess(self, data: Dataset, ctx: Context) -> Dataset:
        """The data with the columns filled, and a note per column that says with what.

        Raises DataError RP502 for a column that is not there, RP503 for a way of filling that does not fit its type,
        RP505 when nothing is known to take a statistic of.
        """
        given = data
        for name, how in self.params.columns.items():
            column = find_column(name, given)
            gaps = sum(values.null_count() for values in every_value(column, given))
            value = _filling(column, how, given)
            if self.params.missing_indicator:
                data = _with_indicator(column, data)
            before = data
            data = with_values(column, data, partial(_filled, value=value))
            if column == Column("interactions", "weight"):
                data = _positives_follow(before, data)
            if gaps:
                says = how if isinstance(how, str) else "constant"
                shown = f"{value:.6g}" if isinstance(value, float) else f"'{value}'"
                data = data.note(f"impute: {gaps} missing values of {column} filled with {shown} ({says})")
        return data


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


def _with_indicator(column: Column, data: Dataset) -> Dataset:
    name = f"{column.name}_missing"
    taken = {
        "items": data.items.columns,
        "users": data.users.columns,
        "interactions": data.train.context.columns,
    }
    if name in taken[column.table]:
        raise DataError.of("RP503", f"the {column.table} have a column '{name}' already, so none can be added")
    return with_values(column, data, lambda values: values.is_null(), name=name)


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


class ScaleParams(Params):
    columns: Annotated[dict[str, Scaling], ColumnsOf("any")] = Field(
        min_length=1,
        description="Numeric column → standard (mean 0, deviation 1), min-max (0 to 1) or robust (median 0, quartiles "
        "1 apart). 'weight' is that of the interactions; write 'items.price' where two tables have a column.",
    )


class Scale(Preprocessor[ScaleParams]):
    """Brings numeric columns of items, users or interactions to one size.

    Statistics come from the training part, as in `impute`, so values elsewhere may lie outside the range. Missing
    values stay missing. A column without spread in the training part becomes 0. The deviation is that of the
    population (divided by n). Which events are positive does not change.
    """

    name = "scale"

    def preprocess(self, data: Dataset, ctx: Context) -> Dataset:
        """The data with the columns scaled.

        Raises DataError RP502 for a column that is not there and RP503 for one that is not made of finite numbers.
        """
        for name, how in self.params.columns.items():
            column = find_column(name, data)
            check_numeric(column, data, purpose=how)
            known = training_values(column, data).drop_nulls().cast(pl.Float64).to_numpy()
            if len(known) == 0:
                ctx.warn(f"scale: column '{column}' has no value in the training part and stays as it is")
                continue
            centre, spread = _centre_and_spread(known, how)
            if spread == 0:
                ctx.warn(f"scale: column '{column}' has no spread in the training part, so every value becomes 0")

            def change(values: pl.Series, centre: float = centre, spread: float = spread) -> pl.Series:
                numbers = values.cast(pl.Float64)
                return (numbers - centre) / spread if spread else numbers * 0

            data = with_values(column, data, change)
        return data


def _centre_and_spread(known: np.ndarray[tuple[int], np.dtype[np.float64]], how: Scaling) -> tuple[float, float]:
    """What is subtracted and what is divided by; the spread is 0 when it is nothing but rounding."""
    match how:
        case "standard":
            centre, spread = known.mean(), known.std()
        case "min-max":
            centre, spread = known.min(), known.max() - known.min()
        case "robust":
            low, centre, high = np.quantile(known, [0.25, 0.5, 0.75])
            spread = high - low
    negligible = spread <= 1e-12 * np.abs(known).max()
    return float(centre), 0.0 if negligible else float(spread)
