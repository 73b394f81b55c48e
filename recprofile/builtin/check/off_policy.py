"""`off-policy`: what the lists would have earned, from a log of what another policy showed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.builtin.check.resample import Doubles, Drawn, Estimate, draw
from recprofile.builtin.check.rewards import RewardModel, fit_rewards
from recprofile.builtin.preprocess.logged import event_numbers, probabilities
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
)

Estimator = Literal["dr", "snips", "ips"]
WHAT = {
    "dr": "doubly robust",
    "snips": "self-normalised inverse propensities",
    "ips": "inverse propensities",
    "direct": "the reward model alone",
    "logged": "what the log's own policy earned",
}
EVENTS, WEIGHT, WEIGHED, REWARD, DIRECT, ROBUST = range(6)  # columns of what each user gives
CELLS = 1 << 22  # events times places of a list looked at at once


class OffPolicyParams(Params):
    propensity: Annotated[str, ColumnsOf("any")] = Field(
        "propensity", description="Column with the probability with which the log's policy showed the item, in (0, 1]."
    )
    reward: Annotated[str, ColumnsOf("any")] = Field(
        "weight", description="Column with what a showing earned, as 1 for a click and 0 for none, in any unit."
    )
    k: int = Field(1, ge=1, le=10_000, description="The policy shows one of the first k items of a list.")
    temperature: float | None = Field(
        None, gt=0, le=1e9, description="Show them by softmax of score / temperature; null: each of the k alike."
    )
    estimator: Estimator = Field("dr", description="Which estimate decides: dr (doubly robust), snips or ips.")
    min_value: float | None = Field(
        None,
        ge=-1e12,
        le=1e12,
        description="Least that the lower end of the interval may be, in units of the reward; null: the lower end of "
        "the gain over the log's policy must be above 0.",
    )
    max_weight: float | None = Field(
        None, gt=0, le=1e9, description="Cut importance weights here: less spread for some bias; null: no cut."
    )
    min_effective: float = Field(
        30, ge=1, le=1e9, description="Effective sample size, in events, below which there is no verdict."
    )
    damping: float = Field(
        10, gt=0, le=1e9, description="Events of its own at which a user or item counts half in the reward model."
    )
    bootstrap: int = Field(1000, ge=100, le=100_000, description="Resamples behind an interval, 100 to 100000.")
    confidence: float = Field(0.95, ge=0.5, le=0.999, description="Coverage of the intervals, 0.5 to 0.999.")


class OffPolicy(Check[OffPolicyParams]):
    """What the lists would earn if they were shown, from logged showings in the test part: off-policy evaluation.

    An event of the test part is one showing: the log's policy showed the item to the user with a known probability p,
    and earned a reward r (needs context columns: `data: {interactions: {columns: […]}}`). The policy π that is judged
    shows one of the first k items of the user's list. With importance weights w = π(item | user) / p, the value of a
    showing is estimated as

        ips     mean of w · r
        snips   Σ w · r / Σ w
        dr      mean of Σ_a π(a | user) q(user, a) + w · (r - q(user, item))

    with q the mean reward in training plus damped deviations of item and user. ips and dr are unbiased where p is right
    and above 0 wherever π is; dr has less spread where q is good, and stays right where q is bad. `direct`, the mean of
    q over the lists, is shown for comparison and has no such warrant. Intervals are percentiles of a bootstrap over
    users. Where the log shows an item to a user more than once, lists should too: `list: {exclude_seen: false}`.

    The gate holds when the lower end of the chosen estimate is at least `min_value`, or, without that, when its gain
    over the mean reward in the log is above 0 with all of its interval. There is no verdict (`passed` is None) without
    usable events, with fewer than two users, or with an effective sample size (Σw)² / Σw² below `min_effective`.
    Weights should average 1: where they do not, the log does not cover the lists, or p is wrong, which the summary
    says. Events without reward, propensity or a list for their user are left out and counted.

    Raises DataError RP502 for a column that there is not, RP503 for a propensity that is not in (0, 1].
    Source: Dudík, Langford & Li 2011, "Doubly robust policy evaluation and learning"; self-normalised: Swaminathan &
    Joachims 2015; of logged recommendations: Li et al. 2011.
    """

    name = "off-policy"

    def check(self, recs: Recommendations, inputs: Inputs, data: Dataset, ctx: Context) -> CheckResult:
        """The verdict, with all estimates in a table."""
        p = self.params
        log = logged(recs, data, propensity=p.propensity, reward=p.reward)
        model = self._rewards(data)
        if len(log.reward) == 0:
            return CheckResult(None, f"no verdict: {log.why_empty()}", tables={"Log": log.table(model)})
        terms = self._terms(recs, log, model)
        n_users = len(np.unique(log.row))
        effective = effective_size(terms.weight)
        measures = [
            Measure("effective sample size", effective, limit=p.min_effective, n=n_users),
            Measure("share of events supported", float((terms.weight > 0).mean()), n=n_users),
            Measure("largest importance weight", float(terms.weight.max()), n=n_users),
        ]
        tables = {"Log": log.table(model)}
        if n_users < 2 or effective < p.min_effective:
            few = "one user has usable test events" if n_users < 2 else self._too_few(effective, log)
            return CheckResult(None, f"no verdict: {few}", tuple(measures), tables=tables)
        drawn = draw(terms.by_user(log.row), times=p.bootstrap, confidence=p.confidence, rng=ctx.rng())
        found = estimates(drawn)
        weight = drawn.estimate(lambda s: s[..., WEIGHT] / s[..., EVENTS])
        value, logging, gain = found[p.estimator], found["logged"], gain_of(drawn, p.estimator)
        limit = 0.0 if p.min_value is None else None
        measures = [
            _measure(f"value by {p.estimator}", value, n_users, p.min_value),
            _measure("value of the log's policy", logging, n_users),
            _measure("gain over the log's policy", gain, n_users, limit),
            *measures,
            _measure("mean importance weight", weight, n_users),
        ]
        shown = pl.DataFrame(
            [
                {"estimate": name, "what": WHAT[name], "value": e.value, "low": e.low, "high": e.high}
                for name, e in found.items()
            ]
        )
        passed = gain.low > 0 if p.min_value is None else value.low >= p.min_value
        summary = self._summary(value, logging, gain, weight, passed=passed)
        return CheckResult(passed, summary, tuple(measures), tables={"Estimates": shown, **tables})

    def _rewards(self, data: Dataset) -> RewardModel:
        reward = event_numbers(self.params.reward, data, data.train)
        known = ~np.isnan(reward)
        return fit_rewards(
            data.train.user[known],
            data.train.item[known],
            reward[known],
            n_users=data.n_users,
            n_items=data.n_items,
            damping=self.params.damping,
        )

    def _terms(self, recs: Recommendations, log: Log, model: RewardModel) -> Terms:
        p = self.params
        items = recs.items[:, : p.k]
        shares = shown_shares(items, recs.scores[:, : p.k], p.temperature)
        weight = share_of_item(items, shares, log) / log.propensity
        if p.max_weight is not None:
            weight = np.minimum(weight, p.max_weight)
        direct = (shares * model.expected(recs.users[:, None], np.maximum(items, 0))).sum(axis=1)[log.row]
        return Terms(weight, log.reward, direct, model.expected(recs.users[log.row], log.item))

    def _too_few(self, effective: float, log: Log) -> str:
        if effective == 0:
            return f"none of {len(log.reward)} test events shows what the lists would show"
        return f"the test events weigh as much as {effective:.1f}, and {self.params.min_effective:g} are needed"

    def _summary(self, value: Estimate, logging: Estimate, gain: Estimate, weight: Estimate, *, passed: bool) -> str:
        p = self.params
        first = "the first item" if p.k == 1 else f"one of the first {p.k} items"
        said = f"a showing of {first} is worth {value} by {p.estimator}, against {logging.value:.3g} in the log; "
        if p.min_value is None:
            said += f"the gain of {gain} is {'' if passed else 'not '}above 0 with all of its interval"
        else:
            said += f"its lower end is {'at least' if passed else 'below'} {p.min_value:g}"
        if p.max_weight is None and not weight.low <= 1 <= weight.high:
            said += f". Importance weights average {weight} and not 1: the log misses what the lists show, or its "
            said += "propensities are wrong"
        return said


@dataclass(frozen=True, eq=False)
class Log:
    """The usable showings of the test part: item, row of the user's list, propensity, reward; and what was left out."""

    item: NDArray[np.int32]
    row: NDArray[np.int64]
    propensity: Doubles
    reward: Doubles
    counts: dict[str, int]

    def why_empty(self) -> str:
        """Why no event can be used."""
        if self.counts["test events"] == 0:
            return "there are no test events"
        told = [f"{n} {name}" for name, n in self.counts.items() if n and name != "test events"]
        return f"no test event can be used ({', '.join(told)})"

    def table(self, model: RewardModel) -> pl.DataFrame:
        """What the estimates rest on."""
        rows = [*self.counts.items(), ("used", len(self.reward)), ("training events of the reward model", model.events)]
        return pl.DataFrame({"what": [name for name, _ in rows], "number": [n for _, n in rows]})


def logged(recs: Recommendations, data: Dataset, *, propensity: str, reward: str) -> Log:
    """The showings of the test part that can be used."""
    test = data.test
    p, r = probabilities(propensity, data, test), event_numbers(reward, data, test)
    row = np.full(data.n_users, -1, np.int64)
    row[recs.users[(recs.items >= 0).any(axis=1)]] = np.flatnonzero((recs.items >= 0).any(axis=1))
    row = row[test.user]
    lacking = {
        "left out, without a propensity": np.isnan(p),
        "left out, without a reward": np.isnan(r),
        "left out, whose user has no list": row < 0,
    }
    used = np.ones(len(test), np.bool_)
    counts = {"test events": len(test)}
    for name, mask in lacking.items():
        counts[name] = int(np.count_nonzero(used & mask))
        used &= ~mask
    return Log(test.item[used], row[used], p[used], r[used], counts)


def shown_shares(items: NDArray[np.int32], scores: NDArray[np.float32], temperature: float | None) -> Doubles:
    """How often each place of each list is shown, float64 (n, k), rows summing to 1 (0 for an empty list)."""
    filled = items >= 0
    if temperature is None:
        share = filled.astype(np.float64)
    else:
        heat = np.where(filled, scores.astype(np.float64) / temperature, -np.inf)
        top = heat.max(axis=1, keepdims=True, initial=-np.inf)
        share = np.exp(heat - np.where(np.isfinite(top), top, 0))
    total = share.sum(axis=1, keepdims=True)
    out: Doubles = np.divide(share, total, out=np.zeros_like(share), where=total > 0)
    return out


def share_of_item(items: NDArray[np.int32], shares: Doubles, log: Log) -> Doubles:
    """π of the item that was shown, for each event of the log, float64 (n_events,)."""
    out = np.zeros(len(log.item))
    step = max(1, CELLS // max(1, items.shape[1]))
    for at in range(0, len(out), step):
        some = slice(at, at + step)
        row = log.row[some]
        out[some] = np.where(items[row] == log.item[some, None], shares[row], 0.0).sum(axis=1)
    return out


@dataclass(frozen=True, eq=False)
class Terms:
    """Of each event: importance weight, reward, the model's value of the list and of the item; float64 (n_events,)."""

    weight: Doubles
    reward: Doubles
    direct: Doubles
    expected: Doubles

    def by_user(self, row: NDArray[np.int64]) -> Doubles:
        """Sums over the events of each user who has some, (n_users, 6), in the columns EVENTS … ROBUST."""
        robust = self.direct + self.weight * (self.reward - self.expected)
        columns = (np.ones(len(row)), self.weight, self.weight * self.reward, self.reward, self.direct, robust)
        _, user = np.unique(row, return_inverse=True)
        return np.stack([np.bincount(user, column) for column in columns], axis=1)


def effective_size(weight: Doubles) -> float:
    """(Σw)² / Σw², how many events of equal weight tell as much; 0 without any weight. Source: Kish 1965."""
    squares = float(np.square(weight).sum())
    return float(weight.sum()) ** 2 / squares if squares else 0.0


def _value(sums: Doubles, name: str) -> Doubles:
    top = {"dr": ROBUST, "snips": WEIGHED, "ips": WEIGHED, "direct": DIRECT, "logged": REWARD}[name]
    out: Doubles = sums[..., top] / sums[..., WEIGHT if name == "snips" else EVENTS]
    return out


def estimates(drawn: Drawn) -> dict[str, Estimate]:
    """Every estimate of the value of a showing, by name, and that of the log's own policy as 'logged'."""
    return {name: drawn.estimate(partial(_value, name=name)) for name in WHAT}


def gain_of(drawn: Drawn, name: str) -> Estimate:
    """An estimate less the mean reward in the log, resampled together."""
    return drawn.estimate(lambda sums: _value(sums, name) - _value(sums, "logged"))


def _measure(name: str, estimate: Estimate, n: int, limit: float | None = None) -> Measure:
    return Measure(name, estimate.value, estimate.low, estimate.high, limit, n)
