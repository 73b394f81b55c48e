"""The block `tune`: which parameters `recprofile tune` searches, and how it judges."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from recprofile.recipe.blocks import parse_metric
from recprofile.shape import Model, refusal

DEFAULT_TRIALS = 50
Choice = bool | int | float | str | None


def _metric_of_lists(text: str) -> str:
    try:
        _, k = parse_metric(text)
    except ValueError as error:
        raise refusal("RP204", str(error), help=("for example ndcg@10",)) from None
    if k is None:
        raise refusal("RP204", f"'{text}' has no length, and lists are what is judged", help=(f"write {text}@10",))
    return text


class Range(Model):
    """What a parameter may be: numbers from `low` to `high`, or one of `values`."""

    low: float | None = Field(None, description="The least value that is tried.")
    high: float | None = Field(None, description="The greatest value that is tried.")
    log: bool = Field(False, description="Whether ratios count, not differences: for what spans powers of ten.")
    values: Annotated[tuple[Choice, ...], Field(min_length=1, max_length=1000)] | None = Field(
        None, description="The values that are tried, in place of 'low' and 'high'; from 1 to 1000."
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        bounds = {"low": self.low, "high": self.high}
        given = [name for name, value in bounds.items() if value is not None]
        if self.values is not None:
            extra = [*given, *(["log"] if self.log else [])]
            if extra:
                raise refusal("RP205", f"'values' and '{extra[0]}' do not go together", key=extra[0])
            return self
        if not given:
            raise refusal("RP202", "a range has 'low' and 'high', or 'values'", help=("write {low: 1, high: 100}",))
        if self.low is None or self.high is None:
            lacking = next(name for name, value in bounds.items() if value is None)
            raise refusal("RP202", f"'{lacking}' is missing from the range", key=given[0])
        if not self.low < self.high:
            raise refusal("RP204", f"'high' is {self.high:g}, and must be more than 'low'", value="high")
        if self.log and self.low <= 0:
            raise refusal("RP204", f"'low' is {self.low:g}, and must be more than 0 with 'log'", value="low")
        return self


class Tune(Model):
    """What `recprofile tune` searches; a run does not look at it."""

    metric: Annotated[str, AfterValidator(_metric_of_lists)] = Field(
        "ndcg@10", description="What is made as large as can be, on the validation part: a metric of each user's list."
    )
    trials: int = Field(
        DEFAULT_TRIALS, ge=1, le=100_000, description="Trials in all, the recipe's own values included; at most 100000."
    )
    folds: int | None = Field(
        None,
        ge=1,
        le=20,
        description="Validation parts that a trial is judged on, from 1 to 20; default: 3 where whole items or users "
        "are held out, else 1.",
    )
    ranges: dict[Annotated[str, Field(min_length=1)], Range] = Field(
        default_factory=dict,
        description="Parameters by path, as {stages.ease.with.l2: {low: 10, high: 2000, log: true}}; default: those "
        "that the components mark, of the final recommender and of all that it stands on.",
    )
