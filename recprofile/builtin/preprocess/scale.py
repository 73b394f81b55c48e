"""`scale`: numbers brought to one size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.builtin.preprocess.columns import (
    Column,
    check_numeric,
    find_column,
    training_numbers,
    with_values,
)
from recprofile.plugin import ColumnsOf, Context, Dataset, Field, LearningPreprocessor, Params

Scaling = Literal["standard", "min-max", "robust", "quantile"]
KNOTS = 1001  # values whose rank is kept; the rank of any other lies between those of its neighbours


class ScaleParams(Params):
    columns: Annotated[dict[str, Scaling], ColumnsOf("any")] = Field(
        min_length=1,
        description="Numeric column → standard (mean 0, deviation 1), min-max (0 to 1), robust (median 0, quartiles 1 "
        "apart) or quantile (the share of training values below, 0 to 1). 'weight' is that of the interactions; write "
        "'items.price' where two tables have a column.",
    )


class Scale(LearningPreprocessor[ScaleParams]):
    """Brings numeric columns of items, users or interactions to one size.

    Statistics come from the training part, as in `impute`, so values elsewhere may lie outside the range. Missing
    values stay missing. A column without spread in the training part becomes 0. The deviation is that of the
    population (divided by n). Which events are positive does not change.

    `quantile` gives the share of training values that are smaller, and half of those that are equal: equal values get
    the mean of the ranks that they take, so that the mean of the training part is 1/2 whatever its form. What lies
    between two training values lies between their ranks, on a straight line; what lies beyond all is 0 or 1. Of more
    than 1001 different values 1001 evenly spread over the ranks are kept, so that no training value is further from its
    rank than 0.001.
    """

    name = "scale"

    def learn(self, data: Dataset, ctx: Context) -> Mapping[str, Any]:
        """By column {centre, spread}, or {values, ranks} for `quantile`.

        Raises DataError RP502 for a column that is not there and RP503 for one that is not made of finite numbers.
        """
        learnt: dict[str, Any] = {}
        for name, how in self.params.columns.items():
            column = find_column(name, data)
            check_numeric(column, data, purpose=how)
            known = training_numbers(column, data)
            if len(known) == 0:
                ctx.warn(f"scale: column '{column}' has no value in the training part and stays as it is")
                continue
            centre, spread = _centre_and_spread(known, how)
            if spread == 0:
                ctx.warn(f"scale: column '{column}' has no spread in the training part, so every value becomes 0")
            if how == "quantile" and spread:
                values, ranks = _ranks(known)
                learnt[str(column)] = {"values": values.tolist(), "ranks": ranks.tolist()}
            else:
                learnt[str(column)] = {"centre": centre, "spread": spread}
        return learnt

    def apply(self, learnt: Mapping[str, Any], data: Dataset, ctx: Context) -> Dataset:
        """The data with the columns scaled."""
        for text, found in learnt.items():
            column = Column.of(text)
            if not column.is_in(data):
                continue

            def change(values: pl.Series, found: Mapping[str, Any] = found) -> pl.Series:
                numbers = values.cast(pl.Float64)
                if "ranks" in found:
                    ranks = np.interp(numbers.to_numpy(), found["values"], found["ranks"], left=0, right=1)
                    return pl.Series(values.name, ranks).fill_nan(None)
                return (numbers - found["centre"]) / found["spread"] if found["spread"] else numbers * 0

            data = with_values(column, data, change)
        return data


def _ranks(known: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Different values, ascending, and the mean rank of each as a share; of many, those nearest to even ranks."""
    values, counts = np.unique(known, return_counts=True)
    ranks = (np.cumsum(counts) - counts / 2) / len(known)
    if len(values) > KNOTS:
        even = np.searchsorted(ranks, np.linspace(ranks[0], ranks[-1], KNOTS))
        rows = np.unique(np.minimum(even, len(values) - 1))
        values, ranks = values[rows], ranks[rows]
    return values, ranks


def _centre_and_spread(known: NDArray[np.float64], how: Scaling) -> tuple[float, float]:
    """What is subtracted and what is divided by; the spread is 0 when it is nothing but rounding."""
    match how:
        case "standard":
            centre, spread = known.mean(), known.std()
        case "min-max" | "quantile":
            centre, spread = known.min(), known.max() - known.min()
        case "robust":
            low, centre, high = np.quantile(known, [0.25, 0.5, 0.75])
            spread = high - low
    negligible = spread <= 1e-12 * np.abs(known).max()
    return float(centre), 0.0 if negligible else float(spread)
