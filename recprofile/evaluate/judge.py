"""One ranker, one metric, user by user: what a component tunes itself by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recprofile.artifacts import BoolArray, Dataset, IntArray
from recprofile.components import Ranker
from recprofile.evaluate.evaluation import Entry
from recprofile.evaluate.relevance import Relevance
from recprofile.metrics import METRICS, PerUserMetric, Values
from recprofile.ranking import rank
from recprofile.recipe import parse_metric


@dataclass(frozen=True, eq=False)
class UserScores:
    """A metric of each judged user: `users` int32 codes, rising, and `values` float64, of the same length."""

    users: IntArray
    values: Values

    @property
    def mean(self) -> float:
        """The mean over users; 0 without any."""
        return float(self.values.mean()) if len(self.values) else 0.0

    @property
    def error(self) -> float:
        """The standard error of the mean; 0 with fewer than two users."""
        n = len(self.values)
        return float(self.values.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0

    def minus(self, other: UserScores) -> UserScores:
        """User by user, over the users judged in both: its `mean` over its `error` is the paired t statistic."""
        users, mine, theirs = np.intersect1d(self.users, other.users, assume_unique=True, return_indices=True)
        return UserScores(users, self.values[mine] - other.values[theirs])

    def beats(self, other: UserScores) -> bool:
        """The one-standard-error rule: whether the mean paired difference is above its standard error.

        Source: Breiman et al. 1984, "Classification and regression trees", section 3.4.3, for paired differences.
        """
        gain = self.minus(other)
        return gain.mean > gain.error


def judge(
    ranker: Ranker,
    data: Dataset,
    *,
    metric: str = "ndcg@10",
    candidates: BoolArray | None = None,
    exclude_seen: bool = True,
) -> UserScores:
    """A ranker's lists held against `data.test`, over the full catalogue, for every user with a relevant test item.

    For `data = full.for_tuning()` that is the validation part. `candidates` bool (n_items,): the items that may be
    listed; `metric` is one that is defined per user, such as 'recall@20'. Users for whom it is undefined are left out.

    Raises ValueError for another metric.
    """
    name, k = parse_metric(metric)
    found = METRICS.get(name)
    if not isinstance(found, PerUserMetric) or k is None:
        raise ValueError(f"{metric!r} is not defined for each user")
    weighed = found.needs_propensities
    relevance = Relevance.of(data, candidates=candidates, exclude_seen=exclude_seen, weighed=weighed)
    lists = rank(
        ranker,
        data,
        k=max(1, min(k, data.n_items)),
        exclude_seen=exclude_seen,
        candidates=candidates,
        users=relevance.users,
    )
    judged = relevance.judge(Entry("ranker", "", "main", lists), k=k, vectors=None)
    values = np.asarray(found.compute(judged, k), np.float64)
    defined = ~np.isnan(values)
    return UserScores(relevance.users[defined], values[defined])
