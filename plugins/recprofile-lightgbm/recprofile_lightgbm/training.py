"""Models of a stack, each learnt on some users and held against others, and whether they are worth it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import BoolArray, Context, FloatArray, IntArray, Pack, Ranker, UserScores, judge
from recprofile_lightgbm.features import Features, Table
from recprofile_lightgbm.ranking import behind, predicted

if TYPE_CHECKING:
    import lightgbm

Model: TypeAlias = NDArray[np.uint8]

FOLDS = 5  # of users: three to learn from, one to stop by, one to judge on
LEAST_USERS = 50  # with a relevant candidate; with fewer, no fold says anything


@dataclass(frozen=True)
class Settings:
    """How a model is grown."""

    leaves: int
    learning_rate: float
    rounds: int
    patience: int
    min_leaf: int
    l2: float
    seed: int

    def to_lightgbm(self, k: int) -> dict[str, Any]:
        """LightGBM's own words; lists of k are what counts."""
        return {
            "objective": "lambdarank",
            "metric": "ndcg",
            "eval_at": [k],
            "lambdarank_truncation_level": k + 10,
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_leaf,
            "lambda_l2": self.l2,
            "feature_fraction": 0.8,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "seed": self.seed % 2**31,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }


@dataclass(frozen=True, eq=False)
class Learnt:
    """A model for all, or None, and why: the metric of the stack, on users that it was not learnt on, and of the best.

    `users` were judged; `rounds` is how many trees the model has; `gains` by feature, summing to 1.
    """

    model: Model | None
    best: str
    users: int
    stack: float
    single: float
    gain: float
    error: float
    rounds: int = 0
    gains: Mapping[str, float] | None = None


@dataclass(frozen=True, eq=False)
class ElsewhereRanker(Ranker):
    """Plays back what models gave to candidates of users that they were not learnt on."""

    features: Features
    table: Table
    given: FloatArray

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32."""
        row = np.full(self.features.data.n_users, -1, np.int64)
        row[users] = np.arange(len(users))
        at = row[self.table.user]
        mine = at >= 0
        tail = self.features.views(users).best()
        return behind(tail, at[mine], self.table.item[mine], self.given[mine])

    def known_users(self) -> BoolArray:
        """Users whom any ranker knows."""
        return np.asarray(np.any(list(self.features.known.values()), axis=0))

    def pack(self) -> Pack:
        """Nothing: it lives while a stack is judged."""
        return Pack()


def learn(features: Features, settings: Settings, *, metric: str, limit: int, ctx: Context) -> Learnt:
    """The best single ranker, or the model that beats it by more than a standard error on users not learnt on.

    Learns what is positive in `features.data.test`, for at most `limit` users, drawn. Users are dealt into five folds:
    of each, the candidates are scored by a model that is learnt on three others and stopped where it is best on the
    fourth. The model for all is learnt on all, with the mean number of trees of those.
    """
    rng = ctx.rng()
    data = features.data
    relevant = np.unique(data.test.user[data.test.positive]).astype(np.int32)
    users = relevant if len(relevant) <= limit else np.sort(rng.choice(relevant, limit, replace=False))
    part = data.revise(test=data.test.take(np.isin(data.test.user, users)))
    singles = {id: judge(ranker, part, metric=metric) for id, ranker in features.rankers.items()}
    best = max(singles, key=lambda id: singles[id].mean)  # of equals the first
    single = singles[best]
    table = features.table(users)
    taught = np.unique(table.user[table.relevant])
    if len(taught) < LEAST_USERS:
        return Learnt(None, best, len(taught), 0.0, single.mean, 0.0, 0.0)
    k = int(metric.partition("@")[2])
    fold = np.zeros(data.n_users, np.int64)
    fold[users] = rng.permutation(len(users)) % FOLDS
    fold_of = fold[table.user]
    given, rounds = np.zeros(len(table.user), np.float32), []
    progress = ctx.progress(FOLDS + 1, "models")
    for n in range(FOLDS):
        stop = (n + 1) % FOLDS
        learnt_on = (fold_of != n) & (fold_of != stop)
        booster = grown(table, learnt_on, fold_of == stop, settings, k=k)
        rounds.append(booster.current_iteration())
        given[fold_of == n] = predicted(booster, table.values[fold_of == n])
        progress.add()
    elsewhere: UserScores = judge(ElsewhereRanker(features, table, given), part, metric=metric)
    gain = elsewhere.minus(single)
    if gain.mean <= gain.error:
        return Learnt(None, best, len(single.users), elsewhere.mean, single.mean, gain.mean, gain.error)
    trees = max(1, round(float(np.mean(rounds))))
    booster = grown(table, np.ones(len(table.user), np.bool_), None, settings, k=k, rounds=trees)
    progress.add()
    gains = booster.feature_importance("gain")
    shares = dict(zip(features.names(), gains / max(gains.sum(), 1e-12), strict=True))
    model = np.frombuffer(booster.model_to_string().encode(), np.uint8)
    return Learnt(model, best, len(single.users), elsewhere.mean, single.mean, gain.mean, gain.error, trees, shares)


def grown(
    table: Table,
    on: BoolArray,
    stop: BoolArray | None,
    settings: Settings,
    *,
    k: int,
    rounds: int | None = None,
) -> lightgbm.Booster:
    """A lambdarank model learnt on some pairs, and cut where it is best on others.

    Source: Burges 2010, "From RankNet to LambdaRank to LambdaMART: an overview"; Ke et al. 2017, "LightGBM".
    """
    import lightgbm

    params = settings.to_lightgbm(k)
    train = _set(table, on)
    if stop is None:
        return lightgbm.train(params, train, num_boost_round=rounds or settings.rounds)
    patience = lightgbm.early_stopping(settings.patience, verbose=False)
    held = _set(table, stop, train)
    found = lightgbm.train(params, train, num_boost_round=settings.rounds, valid_sets=[held], callbacks=[patience])
    text = found.model_to_string(num_iteration=found.best_iteration)
    return lightgbm.Booster(model_str=text)


def _set(table: Table, on: BoolArray, like: lightgbm.Dataset | None = None) -> lightgbm.Dataset:
    """Pairs as LightGBM takes them, without users who teach nothing: no candidate is relevant, or all are."""
    import lightgbm

    every, row = np.unique(table.user, return_inverse=True)
    hits = np.bincount(row, weights=table.relevant, minlength=len(every))
    size = np.bincount(row, minlength=len(every))
    rows = np.flatnonzero(on & ((hits > 0) & (hits < size))[row])
    group = np.bincount(row[rows], minlength=len(every))
    return lightgbm.Dataset(
        table.values[rows],
        label=table.relevant[rows].astype(np.float32),
        group=group[group > 0],
        reference=like,
        free_raw_data=True,
    )
