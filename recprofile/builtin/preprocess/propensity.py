"""`propensity`: how likely each event was to be seen at all, and events weighed by the inverse of that."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import polars as pl

from recprofile.builtin.preprocess.logged import Doubles, probabilities
from recprofile.plugin import ColumnsOf, Context, DataError, Dataset, Field, Interactions, Params, Preprocessor

PROPENSITY = "propensity"  # the context column that evaluation looks for, too
Weights = Literal["multiply", "replace", "keep"]


class PropensityParams(Params):
    column: Annotated[str, ColumnsOf("any")] | None = Field(
        None, description="Column with the propensity of each event, in (0, 1], where the log has one; null: estimated."
    )
    power: float = Field(
        0.5,
        ge=0,
        le=4,
        description="How propensity grows with popularity, (n_i / max n)^power: 0.5 after Saito, (γ + 1)/2 after Yang "
        "with γ of 0 to 3; 0: all alike.",
    )
    clip: float = Field(
        0.1, gt=0, le=1, description="Least propensity: smaller ones become this, so that no event weighs over 1/clip."
    )
    weights: Weights | None = Field(
        None,
        description="What becomes of the weights of training events: multiply them by the inverse propensities, "
        "replace them, or keep them; null: multiply, and refuse where weights differ, for they may be ratings.",
    )


class Propensity(Preprocessor[PropensityParams]):
    """Says of each event how likely it was to be observed, and weighs training events by the inverse of that.

    An event is seen only where its item was exposed to its user, and popular items are exposed more: learning and
    judging by the events as they lie favours them. The propensity p of an event is that of its item,
    max(clip, (max(n_i, 1) / max n)^power) with n_i the users who have a training event on it, or what `column` says,
    cut at `clip` too. It goes into the context column 'propensity' of every part, which the metrics `snips-dcg` and
    `snips-recall` need; only training events are counted.

    Training events get the weight w_e = c · old weight / p_e (multiply) or c / p_e (replace), with c such that the
    factors c / p_e of positive events have the mean 1, so that `alpha`, `l2` and the like keep their meaning. What
    weighs events by their weight then learns without the bias, as `encode: als` with `weighted: true` does. One
    number cannot be both a rating and a weight: `surprise/…` and others that predict ratings need `keep`, and so
    does what grades events by rating. Which events are positive, and the validation and test weights, stay as they are.

    Raises DataError RP503 for a propensity that is missing or not in (0, 1], and for weights that differ where
    `weights` does not say what becomes of them; RP502 for a column that there is not.
    Source: Saito et al. 2020, "Unbiased recommender learning from missing-not-at-random implicit feedback", with its
    clipping; the exponent of Yang et al. 2018, "Unbiased offline recommender evaluation for missing-not-at-random
    implicit feedback".
    """

    name = "propensity"

    def adds(self) -> frozenset[str]:
        """The column 'propensity'."""
        return frozenset({PROPENSITY})

    def preprocess(self, data: Dataset, ctx: Context) -> Dataset:
        """The data with the column, weights revised; a note says how large the weights became."""
        p = self.params
        if PROPENSITY in data.train.context.columns and p.column not in (PROPENSITY, f"interactions.{PROPENSITY}"):
            message = "the interactions have a column 'propensity' already"
            raise DataError.of("RP503", message, help=(f"'column: {PROPENSITY}' takes it as it is",))
        train, valid, test = (self._propensities(data, part) for part in (data.train, data.valid, data.test))
        factor = 1 / train
        if data.train.positive.any():
            factor /= factor[data.train.positive].mean()
        revised = data.revise(
            train=self._weighed(_with_column(data.train, train), factor),
            valid=_with_column(data.valid, valid),
            test=_with_column(data.test, test),
        )
        if len(train) == 0:
            return revised
        cut = int(np.count_nonzero(train <= p.clip))
        note = f"propensity: {train.min():.3g} to {train.max():.3g}, {cut} of {len(train)} training events at the least"
        note += f", {p.clip:g}"
        if p.weights != "keep":
            note += f"; weights times {factor.min():.3g} to {factor.max():.3g}"
        return revised.note(note)

    def _propensities(self, data: Dataset, events: Interactions) -> Doubles:
        p = self.params
        if p.column is not None:
            given = probabilities(p.column, data, events)
            if np.isnan(given).any():
                message = f"column '{p.column}' has no propensity at {int(np.isnan(given).sum())} events"
                raise DataError.of("RP503", message, help=("a stage 'preprocess: impute' before this one fills it",))
            return np.maximum(given, p.clip)
        return np.maximum(item_propensities(data, power=p.power)[events.item], p.clip)

    def _weighed(self, train: Interactions, factor: Doubles) -> Interactions:
        how = self.params.weights
        if how == "keep":
            return train
        if how is None and len(train) and not (train.weight == train.weight[0]).all():
            raise DataError.of(
                "RP503",
                "the events have weights of their own, and 'weights' does not say what becomes of them",
                help=(
                    "keep: as they are, as for ratings that are predicted or graded",
                    "multiply: for counts and the like; replace: the inverse propensities alone",
                ),
            )
        weight = factor if how == "replace" else train.weight * factor
        return replace(train, weight=weight.astype(np.float32))


def item_propensities(data: Dataset, *, power: float) -> Doubles:
    """(max(n_i, 1) / max n)^power, float64 (n_items,) in (0, 1]; n_i are users with a training event on item i."""
    users = np.bincount(data.seen().indices, minlength=data.n_items)
    out: Doubles = (np.maximum(users, 1) / max(1, users.max(initial=1))) ** power
    return out


def _with_column(events: Interactions, values: Doubles) -> Interactions:
    column = pl.Series(PROPENSITY, values)
    context = events.context.with_columns(column) if events.context.width else column.to_frame()
    return replace(events, context=context)
