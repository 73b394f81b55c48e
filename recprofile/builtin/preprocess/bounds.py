"""Numbers held against bounds: `clip` (outliers to the bounds) and `binarise` (1 from a threshold on, else 0)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.builtin.preprocess.columns import (
    WEIGHT,
    Column,
    check_numeric,
    every_value,
    find_column,
    training_numbers,
    with_values,
)
from recprofile.plugin import (
    ColumnsOf,
    Context,
    DataError,
    Dataset,
    Field,
    LearningPreprocessor,
    Params,
    model_validator,
)

Clipping = Literal["quantiles", "iqr", "mad"]
Cut = Literal["mean", "median"]
# The median absolute deviation of a normal distribution is its standard deviation divided by this.
NORMAL = 1.4826


class Bounds(Params):
    low: float | None = Field(None, description="Least value; null: none.")
    high: float | None = Field(None, description="Greatest value; null: none.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("needs 'low', 'high' or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("'low' is above 'high'")
        return self


class ClipParams(Params):
    columns: Annotated[dict[str, Clipping | Bounds], ColumnsOf("any")] = Field(
        min_length=1,
        description="Numeric column → quantiles, iqr (quartiles ∓ `k_iqr` times their distance), mad (median "
        "∓ `k_mad` deviations) or {low: …, high: …}. 'weight' is that of the interactions; write "
        "'items.price' where two tables have a column.",
    )
    low_quantile: float = Field(0.01, ge=0, lt=0.5, description="Share of values below the lower bound, for quantiles.")
    high_quantile: float = Field(
        0.99, gt=0.5, le=1, description="Share of values below the upper bound, for quantiles."
    )
    k_iqr: float = Field(1.5, gt=0, le=100, description="Distances of the quartiles that a value may lie beyond them.")
    k_mad: float = Field(
        3.0,
        gt=0,
        le=100,
        description="Deviations from the median, 1.4826 · median |x − median| each; 1 is that of a normal.",
    )


class Clip(LearningPreprocessor[ClipParams]):
    """Brings values that lie outside bounds to the bound.

    Bounds are learnt from the training part, as in `impute`, or given. Missing values stay missing. A column whose
    bounds would be one and the same number, as where most values are equal, stays as it is, and that is said. A clipped
    column becomes floating. Which events are positive does not change.
    Source: the fences at 1.5 distances of quartiles, Tukey 1977, "Exploratory data analysis"; 3 median deviations, Leys
    et al. 2013, "Detecting outliers: do not use standard deviation around the mean".
    """

    name = "clip"

    def learn(self, data: Dataset, ctx: Context) -> Mapping[str, Any]:
        """Bounds by column, {low, high}.

        Raises DataError RP502 for a column that is not there and RP503 for one that is not made of finite numbers.
        """
        learnt: dict[str, Any] = {}
        for name, how in self.params.columns.items():
            column = find_column(name, data)
            check_numeric(column, data, purpose="clip")
            if isinstance(how, Bounds):
                learnt[str(column)] = {"low": how.low, "high": how.high}
                continue
            known = training_numbers(column, data)
            if len(known) == 0:
                ctx.warn(f"clip: column '{column}' has no value in the training part and stays as it is")
                continue
            low, high = self._fences(known, how)
            if not low < high:
                ctx.warn(f"clip: both bounds of column '{column}' would be {low:.6g} ({how}), so it stays as it is")
                continue
            learnt[str(column)] = {"low": low, "high": high}
        return learnt

    def _fences(self, known: NDArray[np.float64], how: Clipping) -> tuple[float, float]:
        p = self.params
        match how:
            case "quantiles":
                low, high = np.quantile(known, [p.low_quantile, p.high_quantile])
            case "iqr":
                first, third = np.quantile(known, [0.25, 0.75])
                reach = p.k_iqr * (third - first)
                low, high = first - reach, third + reach
            case "mad":
                centre = np.median(known)
                reach = p.k_mad * NORMAL * np.median(np.abs(known - centre))
                low, high = centre - reach, centre + reach
        return float(low), float(high)

    def apply(self, learnt: Mapping[str, Any], data: Dataset, ctx: Context) -> Dataset:
        """The data with the columns clipped, and a note per column that says how many values were."""
        for text, bounds in learnt.items():
            column, low, high = Column.of(text), bounds["low"], bounds["high"]
            if not column.is_in(data):
                continue
            values = every_value(column, data)
            below = sum(int((one < low).sum()) for one in values) if low is not None else 0
            above = sum(int((one > high).sum()) for one in values) if high is not None else 0

            def change(one: pl.Series, low: float | None = low, high: float | None = high) -> pl.Series:
                return one.cast(pl.Float64).clip(low, high)

            if below or above or column != WEIGHT:
                data = with_values(column, data, change)
            if below or above:
                told = [f"{n} values of {column} {way} {bound:.6g}" for n, way, bound in (
                    (below, "raised to", low), (above, "lowered to", high)
                ) if n]  # fmt: skip
                data = data.note(f"clip: {' and '.join(told)}")
        return data


class Quantile(Params):
    quantile: float = Field(ge=0, le=1, description="Share of training values below the threshold.")


class BinariseParams(Params):
    columns: Annotated[dict[str, float | Cut | Quantile], ColumnsOf("any")] = Field(
        min_length=1,
        description="Numeric column → the threshold: a number, mean, median or {quantile: 0.8}. 'weight' is that of "
        "the interactions; write 'items.price' where two tables have a column.",
    )
    strict: bool = Field(False, description="1 only above the threshold, and 0 at it.")


class Binarise(LearningPreprocessor[BinariseParams]):
    """Makes a numeric column 1 from a threshold on, and 0 below it.

    A threshold that is no number is learnt from the training part, as in `impute`. Missing values stay missing. A
    weight of 0 is an event all the same, and which events are positive does not change: `data: {positive: …}` says it.
    """

    name = "binarise"

    def learn(self, data: Dataset, ctx: Context) -> Mapping[str, Any]:
        """Thresholds by column.

        Raises DataError RP502 for a column that is not there, RP503 for one that is not made of finite numbers, RP505
        when no value is known to learn the threshold from.
        """
        learnt: dict[str, Any] = {}
        for name, how in self.params.columns.items():
            column = find_column(name, data)
            check_numeric(column, data, purpose="binarise")
            if isinstance(how, float):
                learnt[str(column)] = how
                continue
            known = training_numbers(column, data)
            if len(known) == 0:
                message = f"column '{column}' has no value in the training part to learn a threshold from"
                raise DataError.of("RP505", message, help=("a number as the threshold needs none",))
            if isinstance(how, Quantile):
                learnt[str(column)] = float(np.quantile(known, how.quantile))
            else:
                learnt[str(column)] = float(known.mean() if how == "mean" else np.median(known))
        return learnt

    def apply(self, learnt: Mapping[str, Any], data: Dataset, ctx: Context) -> Dataset:
        """The data with the columns as 0 and 1, and a note per column that says how many became which."""
        for text, threshold in learnt.items():
            column = Column.of(text)
            if not column.is_in(data):
                continue

            def change(values: pl.Series, threshold: float = threshold) -> pl.Series:
                # A weight is float32, in which 0.7 is a little less than 0.7: it is compared as what it is.
                dtype = values.dtype if values.dtype.is_float() else pl.Float64
                cut = pl.Series([threshold], dtype=dtype)
                numbers = values.cast(dtype)
                return (numbers > cut if self.params.strict else numbers >= cut).cast(pl.Int64)

            data = with_values(column, data, change)
            values = every_value(column, data)
            ones, known = (
                sum(int(f(one)) for one in values) for f in (pl.Series.sum, lambda s: len(s) - s.null_count())
            )
            way = "above" if self.params.strict else "at least"
            data = data.note(f"binarise: {ones} values of {column} are {way} {threshold:.6g}, {known - ones} are not")
        return data
