"""`uplift`: what a treatment did, for whom, and whether a score finds those whom it helps."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.builtin.check.effects import Effects, effects, fitted_score, qini, qini_bins, qini_curve
from recprofile.builtin.check.resample import Doubles, Drawn, Estimate, draw
from recprofile.builtin.check.units import Units, read_units
from recprofile.plugin import (
    Check,
    CheckResult,
    ColumnsOf,
    Context,
    Dataset,
    Field,
    Inputs,
    Measure,
    Params,
    Recommendations,
    model_validator,
    refusal,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

AnyColumn = Annotated[str, ColumnsOf("any")]
MISSING = "(missing)"
MOST_SEGMENTS = 20
N, SCORE, TREATED, TREATED_OUTCOME, OUTCOME, FIRST = range(6)  # columns of what each user gives; then pairs


class UpliftParams(Params):
    treatment: AnyColumn = Field(description="Column of the users or the events that says who was treated: 1 or 0.")
    outcome: AnyColumn = Field(description="Column of the users or the events with what came of it, a number.")
    covariates: Annotated[tuple[str, ...], ColumnsOf("any")] = Field(
        (), description="Columns, known before the treatment, by which to adjust and to predict who gains."
    )
    propensity: AnyColumn | None = Field(
        None, description="Column with the probability of treatment, in (0, 1]; null: estimated from the covariates."
    )
    score: AnyColumn | None = Field(
        None, description="Column with a score by which to treat, highest first; null: fitted from the covariates."
    )
    segment: AnyColumn | None = Field(
        None, description="Column by whose values effects are shown; null: of events, whether the item is listed."
    )
    min_effect: float | None = Field(
        None, ge=-1e12, le=1e12, description="Least that the lower end of the adjusted effect may be, as the outcome."
    )
    min_qini: float | None = Field(
        None, ge=-1e12, le=1e12, description="Least that the lower end of the Qini coefficient may be, as the outcome."
    )
    min_group: int = Field(
        30, ge=2, le=1_000_000_000, description="Units that either arm must have, in all or in a segment, to be judged."
    )
    folds: int = Field(5, ge=2, le=50, description="Parts of the users, each predicted by models of the others.")
    l2: float = Field(1.0, gt=0, le=1e9, description="Regularisation of the regressions on standardised covariates.")
    bootstrap: int = Field(1000, ge=100, le=100_000, description="Resamples behind an interval, 100 to 100000.")
    confidence: float = Field(0.95, ge=0.5, le=0.999, description="Coverage of the intervals, 0.5 to 0.999.")

    @model_validator(mode="after")
    def _can_fail(self) -> UpliftParams:
        if self.min_effect is None and self.min_qini is None:
            raise refusal("RP205", "one of 'min_effect' and 'min_qini' is needed, or the check could never fail")
        if self.min_qini is not None and self.score is None and not self.covariates:
            raise refusal("RP205", "'min_qini' needs a 'score', or 'covariates' to fit one from")
        return self


class Uplift(Check[UpliftParams]):
    """What a treatment did: its average effect, adjusted for covariates; by segment; and whether a score finds gains.

    Units are users where treatment and outcome are columns of the users, else the events of training and test, which
    have the columns of their user and item, too. The effect is given twice: as the difference of the mean outcomes of
    treated and others, which is right where treatment was by lot, and adjusted, as the mean of doubly robust scores
    (AIPW), which is right where the outcome (ridge) or the treatment (logistic) follows from the covariates as
    modelled. Models are cross-fitted: no user's outcome is predicted by a model that saw it.

    Of events, effects are shown for items in the user's list and for others, which tells whether treating what is
    recommended gains more. The score by which to treat is a column, or the effect that regressions of the two arms
    predict (T-learner), learnt from one half of the users and judged by the other. Its Qini coefficient is the area
    between the gain per unit when the highest scores are treated first and the straight line of treating by lot: 0 for
    a score that says nothing, in units of the outcome.

    The gate holds when the lower ends of the intervals are at least `min_effect` and `min_qini`. There is no verdict
    (`passed` is None) with fewer than `min_group` units in either arm, or fewer than two users. Intervals are
    percentiles of a bootstrap over users. Units that lack treatment, outcome, propensity or score are left out and
    counted.

    Raises DataError RP502 for a column that there is not, RP503 for a treatment other than 0 and 1, for an outcome or
    score that is no number, and for columns that the units do not have.
    Source: Robins, Rotnitzky & Zhao 1994 (AIPW); Künzel et al. 2019 (T-learner); Radcliffe 2007 and Yadlowsky et al.
    2025 (Qini); of recommended items: Sato et al. 2019, "Uplift-based evaluation and optimization of recommenders".
    """

    name = "uplift"

    def check(self, recs: Recommendations, inputs: Inputs, data: Dataset, ctx: Context) -> CheckResult:
        """The verdict, effects by segment, and the Qini curve."""
        p = self.params
        units = read_units(
            recs, data, treatment=p.treatment, outcome=p.outcome, covariates=p.covariates, propensity=p.propensity,
            score=p.score, segment=p.segment,
        )  # fmt: skip
        treated, untreated = units.arms()
        n_users = len(np.unique(units.user))
        if min(treated, untreated) < p.min_group or n_users < 2:
            lacks = "of fewer than two users" if n_users < 2 else f"and {p.min_group} of each are needed"
            why = f"no verdict: {treated} {units.kind} are treated and {untreated} are not, {lacks}"
            return CheckResult(None, why, tables={"Units": units.table()})
        found = effects(
            units.outcome, units.treated, units.covariates, units.user, propensity=units.propensity, n_folds=p.folds,
            l2=p.l2, rng=ctx.rng(),
        )  # fmt: skip
        score = self._score(units, ctx)
        segment, names = largest_segments(units)
        bins = None if score is None else qini_bins(score)
        drawn = draw(
            sums_by_user(units, found, segment, len(names), bins),
            times=p.bootstrap,
            confidence=p.confidence,
            rng=ctx.rng(),
        )
        groups = self._groups(units, drawn, segment, names)
        tables = {"Units": units.table(cut=found.cut)}
        measures = [
            _measure("adjusted effect", drawn.estimate(partial(_mean, column=N)), n_users, p.min_effect),
            _measure("difference of means", drawn.estimate(_difference), n_users),
        ]
        if bins is not None:
            steps = slice(FIRST + 2 * len(names), None)
            area = drawn.estimate(lambda sums: qini(sums[..., steps][..., ::2], sums[..., steps][..., 1::2]))
            judged = len(np.unique(units.user[bins >= 0]))
            measures.append(_measure("Qini coefficient", area, judged, p.min_qini))
            tables = {"Qini curve": _curve(drawn.sums[steps])} | tables
        return self._verdict(measures, groups, tables)

    def _score(self, units: Units, ctx: Context) -> Doubles | None:
        """By which score to treat: the one given, else one fitted from the covariates, if that can be done."""
        if units.score is not None or not self.params.covariates:
            return units.score
        fitted = fitted_score(
            units.outcome, units.treated, units.covariates, units.user, l2=self.params.l2, rng=ctx.rng()
        )
        return None if np.isnan(fitted).all() else fitted

    def _verdict(self, measures: list[Measure], groups: pl.DataFrame, tables: dict[str, pl.DataFrame]) -> CheckResult:
        p = self.params
        adjusted, plain, *areas = measures
        said = f"the treatment changes '{p.outcome}' by {_said(adjusted)} on average, by {plain.value:.3g} without "
        said += "adjustment"
        holds: list[bool] = []
        for limit, measure in ((p.min_effect, adjusted), (p.min_qini, areas[0] if areas else None)):
            if limit is None:
                continue
            if measure is None:
                return CheckResult(
                    None, f"no verdict: no score could be fitted; {said}", (adjusted, plain), groups, tables
                )
            assert measure.low is not None
            holds.append(measure.low >= limit)
            what = "its lower end" if measure is adjusted else f"the lower end of the Qini coefficient {_said(measure)}"
            said += f"; {what} is {'at least' if holds[-1] else 'below'} {limit:g}"
        return CheckResult(all(holds), said, tuple(measures), groups, tables)

    def _groups(self, units: Units, drawn: Drawn, segment: NDArray[np.int64], names: list[str]) -> pl.DataFrame:
        """The adjusted effect in each segment; null where one of its arms is too small."""
        rows = []
        for at, name in enumerate(names):
            inside = segment == at
            treated = int(units.treated[inside].sum())
            untreated = int(inside.sum()) - treated
            found = drawn.estimate(partial(_mean, column=FIRST + 2 * at))
            shown = (found.value, found.low, found.high) if min(treated, untreated) >= self.params.min_group else None
            value, low, high = shown or (None, None, None)
            n_users = len(np.unique(units.user[inside]))
            rows.append((name, n_users, value, low, high, treated, untreated))
        schema = {"group": pl.String, "n": pl.Int64, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64,
                  "treated": pl.Int64, "untreated": pl.Int64}  # fmt: skip
        return pl.DataFrame(rows, schema=schema, orient="row") if rows else pl.DataFrame()


def largest_segments(units: Units) -> tuple[NDArray[np.int64], list[str]]:
    """Segment of each unit, -1 where it is not one of the MOST_SEGMENTS largest, and their names, the largest first."""
    if units.segment is None:
        return np.full(len(units.user), -1, np.int64), []
    text = units.segment.fill_null(MISSING).alias("value")
    counts = text.value_counts(name="n").sort(["n", "value"], descending=[True, False]).head(MOST_SEGMENTS)
    names = counts["value"].to_list()
    codes = text.replace_strict(names, list(range(len(names))), default=-1, return_dtype=pl.Int64)
    return codes.to_numpy(), names


def sums_by_user(
    units: Units, found: Effects, segment: NDArray[np.int64], n_segments: int, bins: NDArray[np.int64] | None
) -> csr_array:
    """What each user gives to every estimate, (n_users, c) CSR.

    The columns N … OUTCOME, then a pair for each segment and each bin of a score: units, and the sum of their scores.
    """
    from scipy.sparse import coo_array

    n_bins = 0 if bins is None else int(bins.max()) + 1
    _, user = np.unique(units.user, return_inverse=True)
    n = len(user)
    ones, t, y = np.ones(n), units.treated, units.outcome
    entries = [(np.full(n, at), value) for at, value in enumerate((ones, found.scores, t, t * y, y))]
    rows = [user] * FIRST
    for labels, first in ((segment, FIRST), (bins, FIRST + 2 * n_segments)):
        if labels is not None:
            inside = labels >= 0
            at = first + 2 * labels[inside]
            entries += [(at, ones[inside]), (at + 1, found.scores[inside])]
            rows += [user[inside]] * 2
    columns, values = (np.concatenate(part) for part in zip(*entries, strict=True))
    shape = (int(user.max()) + 1, FIRST + 2 * (n_segments + n_bins))
    return coo_array((values, (np.concatenate(rows), columns)), shape=shape).tocsr()


def _measure(name: str, estimate: Estimate, n: int, limit: float | None = None) -> Measure:
    return Measure(name, estimate.value, estimate.low, estimate.high, limit, n)


def _said(measure: Measure) -> str:
    return f"{measure.value:.3g} ({measure.low:.3g} to {measure.high:.3g})"


def _mean(sums: Doubles, column: int) -> Doubles:
    """The mean score of units, from the pair of columns that begins here: how many, and the sum of their scores."""
    out: Doubles = sums[..., column + 1] / sums[..., column]
    return out


def _difference(sums: Doubles) -> Doubles:
    treated = sums[..., TREATED_OUTCOME] / sums[..., TREATED]
    others = (sums[..., OUTCOME] - sums[..., TREATED_OUTCOME]) / (sums[..., N] - sums[..., TREATED])
    out: Doubles = treated - others
    return out


def _curve(pairs: Doubles) -> pl.DataFrame:
    """The Qini curve at tenths: share treated, gain per unit by the score, and by lot."""
    share, gain = qini_curve(pairs[::2], pairs[1::2])
    at = np.linspace(0.1, 1, 10)
    by_score = np.interp(at, share, gain)
    return pl.DataFrame({"share treated": at, "gain by score": by_score, "gain by lot": at * gain[-1]})
