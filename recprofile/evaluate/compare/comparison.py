"""The whole comparison, as plain values: what the command prints and the page shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from recprofile.artifacts import BoolArray
from recprofile.errors import RunError
from recprofile.evaluate.compare.breakdown import by_activity, by_item_popularity, cells_of
from recprofile.evaluate.compare.contenders import Contender, main_line
from recprofile.evaluate.compare.grid import Grid, root_of
from recprofile.evaluate.compare.pairing import pair
from recprofile.evaluate.compare.significance import FLIPS, holm, randomization_p
from recprofile.evaluate.lines import interval_json, number
from recprofile.metrics import (
    METRICS,
    Difference,
    Interval,
    Values,
    percentile_interval,
    resampled_means,
    resampled_ratios,
)
from recprofile.metrics import differences as paired_differences
from recprofile.recipe import parse_metric

RESAMPLES = 1000


def compare(
    contenders: Sequence[Contender],
    *,
    against: int = 0,
    metric: str | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Every metric that two or more have, with intervals, and how each differs from `against`, user by user.

        lines         key (a letter), name, run (its folder), ranker, component, role, users (judged)
        against       key of the one that the others are compared with
        metric        the one that breakdowns and plots show, the first per user that all have unless it is named
        confidence, resamples    of the intervals: percentiles of a bootstrap over each line's own judged users
        flips         sign patterns drawn for the tests
        metrics       by name and key: value, low, high, n; null where there is none
        left_out      metrics that only one has
        paired        users who were judged alike by all, and why (null, or why nobody is)
        differences   metric, key, against, value = key's - against's over the paired users, low, high, n; p of the
                      randomization test and `p_holm` corrected for all tests here; verdict 'higher', 'lower', 'not told
                      apart' (p_holm is not below 1 - confidence) or null, where there is no test
        tests         how many p-values the correction is for
        activity      see `by_activity`; null without a metric per user
        popularity    see `by_item_popularity`; null without lists
        notes         what a reader must know of these numbers

    Raises RunError RP607 where there are not two, all of them have no metric in common, or not this one.
    """
    if len(contenders) < 2:
        message = f"nothing to compare: the run '{contenders[0].evidence.run.folder}' judged one recommender"
        raise RunError.of("RP607", message, help=("name another run, or give its recipe baselines",))
    names = list(dict.fromkeys(name for c in contenders for name in c.line["metrics"]))
    having = {name: sum(name in c.line["metrics"] for c in contenders) for name in names}
    common = [name for name in names if having[name] > 1]
    shown = _shown(contenders, metric)
    pairing = pair(contenders)
    grid = Grid.of(contenders, common, pairing)
    drawing: dict[str, Any] = {"resamples": resamples, "seed": 0, "confidence": confidence}
    k = parse_metric(shown)[1] or min(int(c.evidence.metrics.get("k", 0)) for c in contenders)
    found = _differences(grid, contenders, common, against, drawing)
    return {
        "lines": [_line(c, grid, at) for at, c in enumerate(contenders)],
        "against": contenders[against].key,
        "metric": shown,
        "confidence": confidence,
        "resamples": resamples,
        "flips": FLIPS,
        "metrics": _cells(grid, contenders, common, drawing),
        "left_out": [name for name in names if having[name] < 2],
        "paired": {"users": int(np.count_nonzero(grid.paired)), "why": pairing.why},
        "differences": found,
        "tests": sum(one["p"] is not None for one in found),
        "activity": by_activity(grid, contenders, against=against, **drawing) if grid.metrics else None,
        "popularity": by_item_popularity(grid, contenders, against=against, k=k, **drawing) if k else None,
        "notes": list(pairing.notes),
    }


def default_of(contenders: Sequence[Contender]) -> int:
    """Which one the others are compared with unless another is named: the first; of one run, the lists it gave out."""
    main = main_line(contenders[0].evidence.metrics)
    return next((n for n, c in enumerate(contenders) if c.line is main), 0)


def best_of(contenders: Sequence[Contender], metric: str | None = None) -> int:
    """Which of these has the best value on a metric, the first that all have unless it is named; the first of equals.

    Raises as `compare`.
    """
    metric = _shown(contenders, metric)
    sign = 1 if higher_is_better(metric) else -1
    values = [(c.line["metrics"][metric] or {}).get("value") for c in contenders]
    return int(np.argmax([-np.inf if value is None else sign * value for value in values]))


def higher_is_better(metric: str) -> bool:
    """Whether a larger value is the better one; of a metric that this version does not know, too."""
    known = METRICS.get(metric.partition("@")[0])
    return known is None or known.higher_is_better


def _shown(contenders: Sequence[Contender], metric: str | None) -> str:
    """The metric that is named, else the first that all have."""
    of_all = [name for name in contenders[0].line["metrics"] if all(name in c.line["metrics"] for c in contenders)]
    if not of_all:
        told = [f"{c.key} has {', '.join(c.line['metrics'])}" for c in contenders]
        raise RunError.of("RP607", "no metric was measured in all of them", help=told)
    if metric is not None and metric not in of_all:
        helps = (f"metrics of all: {', '.join(of_all)}",)
        raise RunError.of("RP607", f"no metric '{metric}' was measured in all of them", help=helps)
    return metric or next((name for name in of_all if all(name in c.users.columns for c in contenders)), of_all[0])


def _line(contender: Contender, grid: Grid, at: int) -> dict[str, Any]:
    return {
        "key": contender.key,
        "name": contender.name,
        "run": str(contender.evidence.run.folder),
        "ranker": contender.label,
        "component": contender.line.get("component"),
        "role": contender.line.get("role"),
        "users": int(np.count_nonzero(grid.judged[:, at])),
    }


def _cells(
    grid: Grid, contenders: Sequence[Contender], names: Sequence[str], drawing: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Each metric of each contender over its own users."""
    found = cells_of(grid.values, against=None, **drawing)
    out: dict[str, dict[str, Any]] = {}
    for name in names:
        out[name] = {}
        for at, contender in enumerate(contenders):
            cell = contender.line["metrics"].get(name)
            if cell is not None and name in grid.metrics:
                cell = found[at][grid.metrics.index(name)]
            elif cell is not None and name in grid.ratings and cell.get("value") is not None:
                cell = interval_json(_rating(grid, name, at, grid.rated[:, at] > 0, drawing)[0])
            out[name][contender.key] = cell
    return out


def _rating(grid: Grid, name: str, at: int, users: BoolArray, drawing: dict[str, Any]) -> tuple[Interval, Values]:
    """A rating metric over these users' test events, and its resampled values."""
    errors, rated = grid.errors[users, at, grid.ratings.index(name)][:, None], grid.rated[users, at][:, None]
    drawn = resampled_ratios(errors, rated, resamples=drawing["resamples"], seed=drawing["seed"])[:, 0]
    samples = root_of(name, drawn)
    value = root_of(name, errors.sum() / rated.sum()) if len(rated) else np.nan
    return Interval(float(value), *percentile_interval(samples, drawing["confidence"]), int(rated.sum())), samples


def _differences(
    grid: Grid, contenders: Sequence[Contender], names: Sequence[str], against: int, drawing: dict[str, Any]
) -> list[dict[str, Any]]:
    """Of each metric and contender, in this order; the p-values corrected together."""
    values = grid.values[grid.paired]
    less = (values - values[:, [against]]).reshape(len(values), len(contenders) * len(grid.metrics))
    drawn = resampled_means(less, resamples=drawing["resamples"], seed=drawing["seed"])
    of_users = paired_differences(less, drawn, confidence=drawing["confidence"])
    chance = randomization_p(less)
    out: list[dict[str, Any]] = []
    p: list[float] = []
    for name in names:
        for at, contender in enumerate(contenders):
            there, here = contenders[against].line["metrics"].get(name), contender.line["metrics"].get(name)
            if at == against or there is None or here is None:
                continue
            if name in grid.metrics:
                column = at * len(grid.metrics) + grid.metrics.index(name)
                difference, level = of_users[column], float(chance[column])
            elif name in grid.ratings:
                difference, level = _rating_difference(grid, name, at, against, drawing)
            else:
                both = [np.nan if one.get("value") is None else one["value"] for one in (here, there)]
                value = both[0] - both[1] if grid.paired.any() else np.nan
                difference, level = Difference(value, np.nan, np.nan, int(grid.paired.sum())), np.nan
            out.append({"metric": name, "key": contender.key, "against": contenders[against].key})
            out[-1] |= {**interval_json(difference), "p": number(level)}
            p.append(level)
    for one, corrected in zip(out, holm(np.array(p)), strict=True):
        one["p_holm"] = number(corrected)
        one["verdict"] = _verdict(one["value"], corrected, drawing["confidence"])
    return out


def _rating_difference(
    grid: Grid, name: str, at: int, against: int, drawing: dict[str, Any]
) -> tuple[Difference, float]:
    """Of a rating metric, over paired users of whom both predicted as many test events.

    Swapping a user's two sums of errors changes the sign of their difference; with it the difference of the means
    changes, and as that of their roots rises with it, both have the same p.
    """
    users = grid.both_rated(at, against)
    (a, of_a), (b, of_b) = (_rating(grid, name, line, users, drawing) for line in (at, against))
    errors = grid.errors[users, :, grid.ratings.index(name)]
    low, high = percentile_interval(of_a - of_b, drawing["confidence"])
    p = randomization_p((errors[:, at] - errors[:, against])[:, None])[0]
    return Difference(a.value - b.value, low, high, a.n), float(p)


def _verdict(value: float | None, p: float, confidence: float) -> str | None:
    if value is None or np.isnan(p):
        return None
    if p >= 1 - confidence:
        return "not told apart"
    return "higher" if value > 0 else "lower"
