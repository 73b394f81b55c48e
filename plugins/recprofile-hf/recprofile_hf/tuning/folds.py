"""Items that stand for new ones: how well a model's vectors rank them, tuned and as it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recprofile.plugin import BoolArray, Dataset, FloatArray, IntArray, KeptRanker, Rows, UserScores, judge

USERS = 2_000  # most users that a fold is judged by
ITEMS = 5_000  # most items in all folds together
ERRORS = 2.0  # by how many standard errors tuning must gain


@dataclass(frozen=True, eq=False)
class Fold:
    """Some items' events taken away (`data.test`): `new` marks the items, bool (n_items,)."""

    data: Dataset
    new: BoolArray

    def judged(self, vectors: FloatArray, there: BoolArray) -> UserScores:
        """NDCG@10 of each user over the new items, by the mean of what they like, for vectors (n_items, d)."""
        old = there & ~self.new
        rows = vectors - vectors[old].mean(axis=0)
        rows[~there] = 0
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
        users: IntArray = np.unique(self.data.test.user[self.data.test.positive])
        likes = self.data.positives()[users]
        scores = ((likes @ rows) @ rows.T).astype(np.float32)
        row = np.full(self.data.n_users, -1, np.int64)
        row[users] = np.arange(len(users))
        return judge(KeptRanker(scores.__getitem__, row, row >= 0), self.data, candidates=self.new & there)


def folds_of(data: Dataset, item: Rows, count: int, rng: np.random.Generator) -> list[Fold]:
    """`count` folds of those of `item` with events, at most ITEMS of them, dealt at random; none where they are few."""
    likes = data.item_counts()
    there = rng.permutation(item[likes[item] > 0])[:ITEMS]
    found = []
    for k in range(count if len(there) >= 4 * count else 0):
        new = np.zeros(data.n_items, np.bool_)
        new[there[k::count]] = True
        gone = new[data.train.item]
        users = np.unique(data.train.user[gone & data.train.positive])
        if len(users) > USERS:
            users = np.sort(rng.choice(users, USERS, replace=False))
        judged = gone & np.isin(data.train.user, users)
        nobody = data.valid.take(np.zeros(len(data.valid), np.bool_))
        fold = data.revise(
            train=data.train.take(~gone),
            test=data.train.take(judged),
            valid=nobody,
            held=np.zeros(int((~gone).sum()), np.bool_),
        )
        if fold.test.positive.any() and fold.train.positive.any():
            found.append(Fold(fold, new))
    return found


@dataclass(frozen=True)
class Gain:
    """What tuning gains in NDCG@10 over the model as it was: `mean` of the folds' means, and two standard errors.

    `items` is that over folds, for items that are held out together move all users at once; `users` that over users.
    """

    frozen: float
    tuned: float
    mean: float
    items: float
    users: float
    better: int
    folds: int

    @classmethod
    def of(cls, tuned: list[UserScores], frozen: list[UserScores]) -> Gain:
        """Of folds, one by one."""
        each = [one.minus(other) for one, other in zip(tuned, frozen, strict=True)]
        means = np.array([one.mean for one in each])
        values = np.concatenate([one.values for one in each])
        n = len(means)
        return cls(
            float(np.mean([one.mean for one in frozen])),
            float(np.mean([one.mean for one in tuned])),
            float(means.mean()),
            float(means.std(ddof=1) / np.sqrt(n)) if n > 1 else float("inf"),
            float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("inf"),
            int((means > 0).sum()),
            n,
        )

    @property
    def clear(self) -> bool:
        """Whether it is more than two standard errors of either kind."""
        return self.mean > ERRORS * max(self.items, self.users)

    def told(self) -> dict[str, object]:
        """For the report."""
        return {
            "frozen": round(self.frozen, 4),
            "tuned": round(self.tuned, 4),
            "gain": round(self.mean, 4),
            "error over folds of items": round(self.items, 4),
            "error over users": round(self.users, 4),
            "folds better": f"{self.better} of {self.folds}",
        }
