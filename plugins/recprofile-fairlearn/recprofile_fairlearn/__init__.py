"""Components over fairlearn, in the namespace `fairlearn`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.plugin import (
    BoolArray,
    Check,
    CheckResult,
    Context,
    Dataset,
    Field,
    IdMap,
    Inputs,
    Measure,
    Params,
    Recommendations,
    UserColumn,
    hookimpl,
    model_validator,
    refusal,
)
from recprofile_fairlearn.quality import Doubles, Resampled, ndcg_by_user, resampled_means

if TYPE_CHECKING:
    from fairlearn.metrics import MetricFrame

__all__ = ["QualityGap", "QualityGapParams"]

Counts = NDArray[np.int64]

MISSING = "(missing)"  # the group of users whose value is missing
SLACK = 1e-9  # so that a gap of exactly the limit is within it, however its means were rounded


class QualityGapParams(Params):
    group: UserColumn = Field(description="User column whose values are the groups, as 'gender'.")
    metric: Literal["ndcg"] = Field(default="ndcg", description="Quality of one user's list, 0 to 1.")
    k: int = Field(default=10, ge=1, le=10_000, description="How much of a list counts, in items, 1 to 10000.")
    max_difference: float | None = Field(
        default=None, ge=0, le=1, description="Most that the best group's mean may be above the worst's, 0 to 1."
    )
    min_ratio: float | None = Field(
        default=None, ge=0, le=1, description="Least that the worst group's mean may be of the best's, 0 to 1."
    )
    min_group: int = Field(
        default=30,
        ge=1,
        le=1_000_000_000,
        description="Users a group must have to be compared, 1 to 10⁹; smaller groups are shown only.",
    )
    bootstrap: int = Field(default=1000, ge=100, le=100_000, description="Resamples behind an interval, 100 to 100000.")
    confidence: float = Field(default=0.95, ge=0.5, le=0.999, description="Coverage of the intervals, 0.5 to 0.999.")

    @model_validator(mode="after")
    def _has_a_limit(self) -> QualityGapParams:
        if self.max_difference is None and self.min_ratio is None:
            raise refusal("RP205", "one of 'max_difference' and 'min_ratio' is needed, or the check could never fail")
        return self


class QualityGap(Check[QualityGapParams]):
    """Whether lists are equally good for groups of users: mean NDCG by group, the largest difference, the least ratio.

    A group's quality is the mean NDCG@k (in [0, 1]) of those of its users who have a list and something relevant in
    test. Groups of fewer than `min_group` such users, and the users without a value, are shown but not compared. With
    fewer than two groups to compare there is no verdict (`passed` is None). Else the gate fails when the difference of
    best and worst group is above `max_difference`, or their ratio is below `min_ratio` (1 where all groups are 0). The
    numbers themselves decide and not their intervals: whether an interval reaches across a limit is said in the
    summary, since a gap of which the data cannot tell the side should not change the exit code from seed to seed.

    Intervals are percentiles of a bootstrap over users, group by group; that of a difference, which cannot be negative,
    leans upwards when groups are equal. Raises DataError RP502 for an unknown column.

    Source: MetricFrame of fairlearn (Weerts et al. 2023, "Fairlearn: assessing and improving fairness of AI systems"),
    methods `difference` and `ratio` between groups; user-oriented quality gap: Ekstrand et al. 2018, "All the cool
    kids, how do they fit in?".
    """

    name = "quality-gap"
    needs_users = True

    def check(self, recs: Recommendations, inputs: Inputs, data: Dataset, ctx: Context) -> CheckResult:
        p = self.params
        column = data.users.text(p.group).fill_null(MISSING)
        users, quality = ndcg_by_user(recs, data, k=p.k)
        if len(users) == 0:
            return CheckResult(None, "no verdict: no user has both a list and something relevant in test")
        if recs.k < p.k:
            ctx.warn(f"lists hold {recs.k} items, so 'k: {p.k}' counts the rest of each list as misses")
        labels = column.gather(users.astype(np.uint32))
        names = IdMap.of(labels)
        group = names.codes(labels)
        n = np.bincount(group, minlength=len(names))
        compared = (n >= p.min_group) & (names.ids != MISSING).to_numpy()
        by_group, overall = group_means(quality, labels)
        drawn = resampled_means(quality, group, n_groups=len(names), times=p.bootstrap, rng=ctx.rng())
        groups = self._table(names.ids, n, by_group, drawn, compared)
        whole = Measure(f"ndcg@{p.k}", overall, *self._interval(drawn.overall), n=len(users))
        if compared.sum() < 2:
            sizes = ", ".join(
                f"'{name}' {size}" for name, size in groups.sort("n", descending=True)["group", "n"].rows()[:5]
            )
            why = f"fewer than two groups of '{p.group}' have {p.min_group} users with something relevant in test"
            return CheckResult(None, f"no verdict: {why} ({sizes})", (whole,), groups)
        rows = compared[group]
        difference, ratio = gaps(quality[rows], labels.filter(pl.Series(rows)))
        best, worst = drawn.by_group[:, compared].max(axis=1), drawn.by_group[:, compared].min(axis=1)
        ratios = np.divide(worst, best, out=np.ones_like(best), where=best > 0)
        measures = (
            Measure("difference", difference, *self._interval(best - worst), limit=p.max_difference, n=int(rows.sum())),
            Measure("ratio", ratio, *self._interval(ratios), limit=p.min_ratio, n=int(rows.sum())),
            whole,
        )
        return self._verdict(measures, groups)

    def _table(
        self, names: pl.Series, n: Counts, by_group: Mapping[str, float], drawn: Resampled, compared: BoolArray
    ) -> pl.DataFrame:
        low, high = np.quantile(drawn.by_group, self._tails(), axis=0)
        alone = pl.col("n") < 2  # one user says nothing of how users differ
        return pl.DataFrame(
            {
                "group": names,
                "n": n,
                "value": [by_group[name] for name in names],
                "low": low,
                "high": high,
                "compared": compared,
            }
        ).with_columns(pl.when(alone).then(None).otherwise(pl.col("low", "high")).name.keep())

    def _verdict(self, measures: tuple[Measure, ...], groups: pl.DataFrame) -> CheckResult:
        """Pass or fail by the numbers, and what the intervals say of it."""
        difference, ratio, _ = measures
        shown = groups.filter("compared").sort("value")
        worst, best = shown.row(0, named=True), shown.row(-1, named=True)
        holds, said = [], []
        if difference.limit is not None:
            holds.append(difference.value <= difference.limit + SLACK)
            said.append(_said(difference, "within" if holds[-1] else "above"))
        if ratio.limit is not None:
            holds.append(ratio.value >= ratio.limit - SLACK)
            said.append(_said(ratio, "no less than" if holds[-1] else "below"))
        between = f"{worst['value']:.3f} for '{worst['group']}' and {best['value']:.3f} for '{best['group']}'"
        summary = f"{self.params.metric}@{self.params.k} by '{self.params.group}' is {between}; {'; '.join(said)}"
        return CheckResult(all(holds), summary, measures, groups)

    def _tails(self) -> tuple[float, float]:
        tail = (1 - self.params.confidence) / 2
        return tail, 1 - tail

    def _interval(self, values: Doubles) -> tuple[float, float]:
        low, high = np.quantile(values, self._tails())
        return float(low), float(high)


def _said(measure: Measure, side: str) -> str:
    """A measure beside its limit, and whether its interval lies wholly on one side."""
    assert measure.low is not None
    assert measure.high is not None
    assert measure.limit is not None
    across = measure.low < measure.limit - SLACK and measure.high > measure.limit + SLACK
    tail = "but the interval reaches across" if across else "and so is the interval"
    span = f"{measure.low:.3f} to {measure.high:.3f}"
    return f"{measure.name} {measure.value:.3f} ({span}) is {side} {measure.limit:g}, {tail}"


def group_means(quality: Doubles, labels: pl.Series) -> tuple[dict[str, float], float]:
    """Mean quality by group, and over all users; fairlearn's pandas objects become plain numbers here."""
    frame = _metric_frame(quality, labels)
    return {str(name): float(value) for name, value in frame.by_group.items()}, float(frame.overall)


def gaps(quality: Doubles, labels: pl.Series) -> tuple[float, float]:
    """Largest difference and least ratio between groups; the ratio is 1 where every group has 0."""
    frame = _metric_frame(quality, labels)
    ratio = float(frame.ratio(method="between_groups"))
    return float(frame.difference(method="between_groups")), 1.0 if np.isnan(ratio) else ratio


def _metric_frame(quality: Doubles, labels: pl.Series) -> MetricFrame:
    from fairlearn.metrics import MetricFrame

    # A MetricFrame measures predictions against truths; here both are the users' own quality, and it takes the mean.
    return MetricFrame(
        metrics=lambda y_true, y_pred: float(np.mean(y_pred)),
        y_true=quality,
        y_pred=quality,
        sensitive_features=labels.to_numpy().astype(str),
    )


@hookimpl
def recprofile_checks() -> Sequence[type[Check[Any]]]:
    return [QualityGap]
