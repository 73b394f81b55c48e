"""Metrics by the names that a recipe gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from recprofile.artifacts import FloatArray
from recprofile.errors import Problem, did_you_mean
from recprofile.metrics.bias import popularity, popularity_lift, snips_dcg, snips_recall
from recprofile.metrics.formulas import (
    Judged,
    Values,
    absolute_error,
    average_precision,
    coverage,
    diversity,
    gini,
    hit_rate,
    ndcg,
    novelty,
    precision,
    recall,
    reciprocal_rank,
    squared_error,
)
from recprofile.recipe import parse_metric


@dataclass(frozen=True)
class Metric:
    """What is said of a metric: its name in a recipe, one line for people, which way is better, what it needs."""

    name: str
    summary: str
    higher_is_better: bool = True
    needs_vectors: bool = False
    needs_propensities: bool = False


@dataclass(frozen=True)
class PerUserMetric(Metric):
    """One value per user, whose mean is reported with an interval."""

    compute: Callable[[Judged, int], Values] = ndcg


@dataclass(frozen=True)
class SystemMetric(Metric):
    """One value for all lists together."""

    compute: Callable[[Judged, int], float] = coverage


@dataclass(frozen=True)
class RatingMetric(Metric):
    """A mean over test events of a rating predictor's `error`, and its square root when `root`."""

    error: Callable[[FloatArray, FloatArray], Values] = squared_error
    root: bool = False


def _registry(*metrics: Metric) -> Mapping[str, Metric]:
    return {metric.name: metric for metric in metrics}


METRICS: Mapping[str, Metric] = _registry(
    PerUserMetric("ndcg", "relevant items, counted more the higher they stand", compute=ndcg),
    PerUserMetric("recall", "share of the relevant items that are listed", compute=recall),
    PerUserMetric("precision", "share of the list that is relevant", compute=precision),
    PerUserMetric("map", "mean of the precision at each hit", compute=average_precision),
    PerUserMetric("mrr", "one over the rank of the first hit", compute=reciprocal_rank),
    PerUserMetric("hit-rate", "share of users with a hit", compute=hit_rate),
    PerUserMetric("snips-dcg", "gain of a relevant item, observed or not", needs_propensities=True, compute=snips_dcg),
    PerUserMetric("snips-recall", "recall of all, observed or not", needs_propensities=True, compute=snips_recall),
    PerUserMetric("popularity", "share of users who know the items", higher_is_better=False, compute=popularity),
    PerUserMetric("popularity-lift", "more popular than usual", higher_is_better=False, compute=popularity_lift),
    PerUserMetric("novelty", "how few users know the listed items, in bits", compute=novelty),
    PerUserMetric("diversity", "cosine distance within a list", needs_vectors=True, compute=diversity),
    SystemMetric("coverage", "share of the candidates that appear in any list", compute=coverage),
    SystemMetric("gini", "how unequally often candidates are listed", higher_is_better=False, compute=gini),
    RatingMetric("rmse", "root mean squared error of ratings", higher_is_better=False, error=squared_error, root=True),
    RatingMetric("mae", "mean absolute error of ratings", higher_is_better=False, error=absolute_error),
)


def metric_problem(text: str) -> Problem | None:
    """What is wrong with a metric as a recipe writes it, 'ndcg@10' or 'rmse'; None when it can be measured."""
    try:
        name, k = parse_metric(text)
    except ValueError as error:
        return Problem("RP204", str(error), help=("for example ndcg@10 or rmse",))
    if name not in METRICS:
        return Problem("RP204", f"no metric '{name}'", help=did_you_mean(name, METRICS, label="metrics"))
    if k is not None and isinstance(METRICS[name], RatingMetric):
        helps = (f"it is measured on predicted ratings: write '{name}'",)
        return Problem("RP204", f"'{text}' has a list length, and '{name}' looks at no list", help=helps)
    if k is None and not isinstance(METRICS[name], RatingMetric):
        helps = (f"for the first ten write '{name}@10'",)
        return Problem("RP204", f"'{text}' does not say how much of a list it looks at", help=helps)
    return None
