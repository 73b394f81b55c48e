"""Predicted ratings held against the test events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recprofile.artifacts import Dataset, FloatArray, IntArray
from recprofile.artifacts.types import expect, expect_finite
from recprofile.components import Ranker
from recprofile.evaluate.evaluation import Entry
from recprofile.metrics import Interval, RatingMetric, Values, percentile_interval, resampled_ratios

PAIRS = 2**16  # predicted at once: a predictor gathers a vector or a neighbourhood for each


@dataclass(frozen=True, eq=False)
class RatingSheet:
    """The rating metrics of one ranker: their intervals and resampled values, (resamples,) each.

    `sums` float64 (n_users, n_metrics): the errors of each user of the events, added up.
    """

    intervals: Mapping[str, Interval]
    samples: Mapping[str, Values]
    sums: Values
    counts: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class TestEvents:
    """The test events whose user and item both have training events, and a weight: the same for every predictor.

    `user`, `item` int32 and `weight` float32 (n,); `row` int64 (n,), which of `users` int32, rising, an event is of,
    and `counts` int64, how many are of each; `left_out`, how many test events are not among them.
    """

    __test__ = False  # for pytest, which takes a class of this name for a test

    user: IntArray
    item: IntArray
    weight: FloatArray
    row: NDArray[np.int64]
    users: IntArray
    counts: NDArray[np.int64]
    left_out: int

    @classmethod
    def of(cls, data: Dataset) -> TestEvents:
        """The events of a data set's test part."""
        test = data.test
        known = ~data.cold_users()[test.user] & ~data.cold_items()[test.item] & np.isfinite(test.weight)
        users, row, counts = np.unique(test.user[known], return_inverse=True, return_counts=True)
        left_out = len(test) - int(np.count_nonzero(known))
        return cls(test.user[known], test.item[known], test.weight[known], row, users, counts, left_out)

    def __len__(self) -> int:
        return len(self.user)

    def measure(
        self, ranker: Ranker, metrics: Sequence[RatingMetric], *, resamples: int, confidence: float, seed: int
    ) -> RatingSheet:
        """The metrics of a predictor over these events, with bootstrap intervals over users.

        Raises ArtifactError when a prediction is missing, not finite or not float32.
        """
        sums = np.zeros((len(self.users), len(metrics)))
        for start in range(0, len(self), PAIRS):
            some = slice(start, start + PAIRS)
            predicted = ranker.predict(self.user[some], self.item[some])
            name = f"{type(ranker).__name__}.predict()"
            expect(predicted, name, dtype=np.float32, shape=(len(self.user[some]),))
            expect_finite(predicted, name)
            for column, metric in enumerate(metrics):
                error = metric.error(predicted, self.weight[some])
                sums[:, column] += np.bincount(self.row[some], weights=error, minlength=len(self.users))
        below = np.repeat(self.counts[:, None].astype(np.float64), len(metrics), axis=1)
        drawn = resampled_ratios(sums, below, resamples=resamples, seed=seed)
        means = sums.sum(axis=0) / len(self)
        intervals, samples = {}, {}
        for metric, mean, column in zip(metrics, means, drawn.T, strict=True):
            samples[metric.name] = np.sqrt(column) if metric.root else column
            value = float(np.sqrt(mean) if metric.root else mean)
            low, high = percentile_interval(samples[metric.name], confidence)
            intervals[metric.name] = Interval(value, low, high, len(self))
        by_default = int(np.count_nonzero(~ranker.known_users()[self.user]))
        counts = {"events": len(self), "by_default": by_default, "left_out": self.left_out}
        return RatingSheet(intervals, samples, sums, counts)


def predicts(entry: Entry) -> bool:
    """Whether an entry's ranker predicts ratings."""
    return entry.ranker is not None and type(entry.ranker).predict is not Ranker.predict
