"""`select`: the columns of items or users that say something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.builtin.preprocess.informative import (
    as_correlation,
    as_doubles,
    correlation,
    is_category,
    is_number,
    lasso,
    mutual_information,
    variance,
)
from recprofile.plugin import AxisColumns, Context, DataError, Dataset, Field, LearningPreprocessor, Params, Table

Method = Literal["variance", "correlation", "mutual-information", "lasso"]
POPULARITY, MEAN_WEIGHT = "popularity", "mean-weight"
FEWEST = 3  # rows with an outcome, below which nothing can be said of it


class SelectParams(Params):
    axis: Literal["item", "user"] = Field("item", description="Whose columns: the items' or the users'.")
    method: Method = Field(
        "correlation",
        description="What a column is judged by: its own variance, or what it says of the outcome: |r|, mutual "
        "information, or its coefficient beside the others in a lasso.",
    )
    outcome: str = Field(
        POPULARITY,
        min_length=1,
        description="Of an item or user: popularity, log(1 + positive training events); mean-weight of training "
        "events; or a column of numbers in the table. Without effect on the variance.",
    )
    columns: AxisColumns = Field((), description="Columns to judge; none: all of the table.")
    keep: AxisColumns = Field((), description="Columns that stay whatever they say.")
    at_least: float = Field(0.01, ge=0, description="Score below which a column goes; see the method for its unit.")
    k: int | None = Field(
        None, ge=1, description="Keep no more than this many of the judged columns, the best; null: all."
    )
    l1: float = Field(
        0.1, gt=0, lt=1, description="Penalty of the lasso, as a share of the one that leaves no column at all."
    )


class Select(LearningPreprocessor[SelectParams]):
    """Keeps the columns of items or users that say something, and drops those that say nothing.

    Scores: `variance`, of numbers brought to [0, 1], at most 1/4, and 1 − Σ p² of categories; `correlation`, |r| after
    Pearson; `mutual-information` in nats, numbers cut into ten parts of equal frequency, less what chance alone shows;
    `lasso`, |coefficient| with columns and outcome at deviation 1. Categories have no r and no coefficient: theirs is
    √(1 − e^(−2·MI)) after Linfoot, which for normal numbers is |r|. Rows are the items or users with a training event.
    Text of which more than half the values differ is no category, and lists are none either: both stay, as do columns
    in `keep` and the outcome's own. A note says what was dropped, with its score. Where there are fewer than 3 rows,
    or the outcome is the same in all, nothing is dropped, and that is said.
    Source: the lasso, Tibshirani 1996; Linfoot 1957, "An informational measure of correlation".
    """

    name = "select"

    def __init__(self, params: SelectParams) -> None:
        super().__init__(params)
        self.needs_items, self.needs_users = params.axis == "item", params.axis == "user"

    def learn(self, data: Dataset, ctx: Context) -> Mapping[str, Any]:
        """Scores of the judged columns, the best first, and which of them go.

        Raises DataError RP502 for a column that is not there, RP503 for an outcome that is not made of numbers.
        """
        p = self.params
        table, cold = (data.items, data.cold_items()) if p.axis == "item" else (data.users, data.cold_users())
        for name in (*p.columns, *p.keep):
            table.column(name)
        outcome = self._outcome(data, table)[~cold]
        judged = {
            name: values
            for name in dict.fromkeys(p.columns or table.columns)
            if name not in (*p.keep, p.outcome)
            and (is_number(values := table.column(name).filter(pl.Series(~cold))) or is_category(values))
        }
        if p.method != "variance":
            known = outcome[~np.isnan(outcome)]
            if len(known) < FEWEST or np.ptp(known) == 0:
                ctx.warn(f"select: the outcome '{p.outcome}' tells no {p.axis}s apart, so that no column is dropped")
                return {"scores": {}, "dropped": []}
        scores = self._scores(judged, outcome)
        order = sorted(scores, key=lambda name: -scores[name])  # equals stay in the order of the table
        stays = [name for name in order if scores[name] >= p.at_least][: p.k]
        return {"scores": {name: scores[name] for name in order}, "dropped": [n for n in order if n not in stays]}

    def _outcome(self, data: Dataset, table: Table) -> NDArray[np.float64]:
        p, train = self.params, data.train
        of = train.item if p.axis == "item" else train.user
        if p.outcome == POPULARITY:
            return np.log1p(np.bincount(of[train.positive], minlength=len(table)))
        if p.outcome == MEAN_WEIGHT:
            known = ~np.isnan(train.weight)
            total = np.bincount(of[known], weights=train.weight[known], minlength=len(table))
            count = np.bincount(of[known], minlength=len(table))
            mean: NDArray[np.float64] = np.divide(total, count, out=np.full(len(table), np.nan), where=count > 0)
            return mean
        values = table.column(p.outcome)
        if not is_number(values):
            message = f"the outcome '{p.outcome}' is {values.dtype}, and must be numbers"
            raise DataError.of("RP503", message, help=(f"{POPULARITY} and {MEAN_WEIGHT} are made of events",))
        return as_doubles(values)

    def _scores(self, judged: Mapping[str, pl.Series], outcome: NDArray[np.float64]) -> dict[str, float]:
        match self.params.method:
            case "variance":
                return {name: variance(values) for name, values in judged.items()}
            case "correlation":
                return {name: correlation(values, outcome) for name, values in judged.items()}
            case "mutual-information":
                return {name: mutual_information(values, outcome) for name, values in judged.items()}
            case "lasso":
                numbers = lasso({n: v for n, v in judged.items() if is_number(v)}, outcome, l1=self.params.l1)
                return {
                    name: numbers[name] if name in numbers else as_correlation(mutual_information(values, outcome))
                    for name, values in judged.items()
                }

    def apply(self, learnt: Mapping[str, Any], data: Dataset, ctx: Context) -> Dataset:
        """The data without the dropped columns; a note says which, and what they and the others scored."""
        axis = "items" if self.params.axis == "item" else "users"
        table: Table = getattr(data, axis)
        gone = [name for name in learnt["dropped"] if name in table.columns]
        if not gone:
            return data
        scores = learnt["scores"]
        of = "" if self.params.method == "variance" else f" with {self.params.outcome}"
        left = [f"{name} {score:.3g}" for name, score in scores.items() if name not in gone]
        told = f"select: columns of {axis} dropped by {self.params.method}{of}: "
        told += ", ".join(f"{name} {scores[name]:.3g}" for name in gone)
        told += f"; kept: {', '.join(left)}" if left else "; none of those judged is kept"
        return data.revise(**{axis: replace(table, frame=table.frame.drop(gone))}).note(told)
