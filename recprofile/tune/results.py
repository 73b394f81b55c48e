"""What a search came to, and which of its trials to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recprofile.evaluate import UserScores
from recprofile.plan import Knob, Plan
from recprofile.tune.scores import Estimate, difference


@dataclass(frozen=True)
class Trial:
    """One set of values: `state` is 'done', 'pruned' (worse than most on its first folds) or 'failed'.

    `result` is the metric over the folds that were judged; `own` marks the recipe's own values, `why` tells a failure.
    """

    number: int
    values: Mapping[str, Any]
    state: str
    result: Estimate | None
    own: bool = False
    why: str = ""
    seconds: float = 0.0
    scores: Sequence[UserScores] = field(default=(), repr=False)


@dataclass(frozen=True)
class Tuned:
    """What a search came to: `chosen` is the trial nearest to the recipe's own values that is as good as the `best`,
    within one standard error of their difference.
    """

    plan: Plan
    knobs: tuple[Knob, ...]
    metric: str
    folds: int
    trials: tuple[Trial, ...]
    own: Trial
    best: Trial
    chosen: Trial
    over_own: Estimate  # of the chosen one
    under_best: Estimate  # by how much the best is better than the chosen one
    study: Path
    name: str
    earlier: int  # trials that were there before
    seconds: float


def choose(trials: Sequence[Trial], knobs: Sequence[Knob]) -> tuple[Trial, Trial]:
    """The best trial, and the one to take: of those that are not worse by more than one standard error of the paired
    difference, the one nearest to the recipe's own values.

    Nearness is the Euclidean distance, each parameter measured by its range (by ratios with `log`), and 1 for another
    one of `values`.
    """
    done = [trial for trial in trials if trial.state == "done"]
    best = max(done, key=lambda t: (t.result.value if t.result else 0.0, t.own, -t.number))

    def is_as_good(trial: Trial) -> bool:
        lead = difference(best.scores, trial.scores)
        return lead.value <= lead.error

    fit = [trial for trial in done if trial is best or is_as_good(trial)]
    value = {trial.number: trial.result.value if trial.result else 0.0 for trial in fit}
    return best, min(fit, key=lambda t: (not t.own, _distance(t, knobs), -value[t.number], t.number))


def _distance(trial: Trial, knobs: Sequence[Knob]) -> float:
    return float(np.hypot.reduce([0.0, *(_apart(knob, trial.values[knob.path]) for knob in knobs)]))


def _apart(knob: Knob, value: Any) -> float:  # noqa: ANN401 - whatever a parameter is
    if value == knob.own:
        return 0.0
    if knob.values or not isinstance(knob.own, int | float) or isinstance(knob.own, bool):
        return 1.0
    a, b, low, high = float(value), float(knob.own), float(knob.low), float(knob.high)
    if knob.log and b > 0:
        a, b, low, high = (float(np.log(x)) for x in (a, b, low, high))
    return abs(a - b) / (high - low)
