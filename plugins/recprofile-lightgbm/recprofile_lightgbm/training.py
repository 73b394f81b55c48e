"""Models of a stack, each learnt on some users and held against others, and whether they are worth it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from recprofile.plugin import BoolArray, Context, FloatArray, IntArray, Pack, Ranker, UserScores, judge, threads
from recprofile_lightgbm.features import Features, Table
from recprofile_lightgbm.ranking import Model, behind, predicted

if TYPE_CHECKING:
    import lightgbm

FOLDS = 5  # of users: three to learn from, one to stop by, one to judge on
LEAST_USERS = 50  # with a relevant candidate; with fewer, no fold says anything
PATIENCE = 30  # trees without improvement after which a model is as good as it gets
PAIRS_PER_THREAD = 500_000  # with fewer, threads wait for one another longer than they work


@dataclass(frozen=True)
class Settings:
    """How a model is grown."""

    leaves: int
    learning_rate: float
    rounds: int
    min_leaf: int
    l2: float
    seed: int

    def to_lightgbm(self, k: int, directions: Sequence[int], pairs: int) -> dict[str, Any]:
        """LightGBM's own words, for lists of k; sums are made in one order, whatever the number of threads."""
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
            "monotone_constraints": list(directions),
            "num_threads": threads_for(pairs),
            "seed": self.seed % 2**31,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }


@dataclass(frozen=True, eq=False)
class Learnt:
    """A model for all, how many trees it has and what share of the gain is each feature's; None where it does not pay.

    `stack` has the metric of `users` users, by models that were not learnt on them, and `plain` that of the plain
    blend; both None where the users with a relevant candidate are too few to learn from.
    """

    users: int
    stack: UserScores | None = None
    plain: UserScores | None = None
    model: Model | None = None
    trees: int = 0
    gains: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ElsewhereRanker(Ranker):
    """Plays back what models gave to candidates of users that they were not learnt on; it has no others."""

    features: Features
    table: Table
    given: FloatArray

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32."""
        row = np.full(self.features.data.n_users, -1, np.int64)
        row[users] = np.arange(len(users))
        at = row[self.table.user]
        mine = at >= 0
        nothing = np.full((len(users), self.features.data.n_items), -np.inf, np.float32)
        return behind(nothing, at[mine], self.table.item[mine], self.given[mine])

    def known_users(self) -> BoolArray:
        """Users whom any ranker knows."""
        return self.features.known_users()

    def pack(self) -> Pack:
        """Nothing: it lives while a stack is judged."""
        return Pack()


def learn(features: Features, plain: Ranker, settings: Settings, *, metric: str, limit: int, ctx: Context) -> Learnt:
    """A model that beats the plain ranker by more than a standard error, on users that models were not learnt on.

    Learns what is positive in `features.data.test`, for at most `limit` users, drawn. Users are dealt into five folds:
    of each, the candidates are scored by a model that is learnt on three others and stopped where it is best on the
    fourth. The model for all is learnt on all, with the mean number of trees of those.
    """
    rng = ctx.rng()
    data = features.data
    relevant = np.unique(data.test.user[data.test.positive]).astype(np.int32)
    users = relevant if len(relevant) <= limit else np.sort(rng.choice(relevant, limit, replace=False))
    table = features.table(users)
    taught = len(np.unique(table.user[table.relevant]))
    if taught < LEAST_USERS:
        return Learnt(taught)
    k = int(metric.partition("@")[2])
    fold = np.zeros(data.n_users, np.int64)
    fold[users] = rng.permutation(len(users)) % FOLDS
    fold_of = fold[table.user]
    given, rounds = np.zeros(len(table.user), np.float32), []
    progress = ctx.progress(FOLDS + 1, "models")
    for n in range(FOLDS):
        stop = (n + 1) % FOLDS
        learnt_on = (fold_of != n) & (fold_of != stop)
        booster = grown(table, learnt_on, settings, k=k, directions=features.directions, stop=fold_of == stop)
        rounds.append(booster.current_iteration())
        mine = fold_of == n
        given[mine] = table.mean[mine] + predicted(booster, table.values[mine])
        progress.add()
    part = data.revise(test=data.test.take(np.isin(data.test.user, users)))
    stack = judge(ElsewhereRanker(features, table, given), part, metric=metric)
    before = judge(plain, part, metric=metric)
    found = Learnt(len(stack.users), stack, before)
    if not stack.beats(before):
        return found
    trees = max(1, round(float(np.mean(rounds))))
    everyone = np.ones(len(table.user), np.bool_)
    booster = grown(table, everyone, settings, k=k, directions=features.directions, rounds=trees)
    progress.add()
    gains = booster.feature_importance("gain")
    shares = dict(zip(features.names, (float(gain) for gain in gains / max(gains.sum(), 1e-12)), strict=True))
    model = np.frombuffer(booster.model_to_string().encode(), np.uint8)
    return replace(found, model=model, trees=trees, gains=shares)


def grown(
    table: Table,
    on: BoolArray,
    settings: Settings,
    *,
    k: int,
    directions: Sequence[int],
    stop: BoolArray | None = None,
    rounds: int | None = None,
) -> lightgbm.Booster:
    """A lambdarank model learnt on some pairs, of so many trees, or cut where it is best on the pairs of `stop`.

    It begins at the rankers' mean score and learns what to add to that.
    """
    import lightgbm

    params = settings.to_lightgbm(k, directions, int(on.sum()))
    train = pairs_of(table, on)
    if stop is None or not table.relevant[stop].any():
        return lightgbm.train(params, train, num_boost_round=rounds or settings.rounds)
    patience = lightgbm.early_stopping(PATIENCE, verbose=False)
    held = pairs_of(table, stop, like=train)
    found = lightgbm.train(params, train, num_boost_round=settings.rounds, valid_sets=[held], callbacks=[patience])
    return lightgbm.Booster(model_str=found.model_to_string(num_iteration=found.best_iteration))


def pairs_of(table: Table, on: BoolArray, *, like: lightgbm.Dataset | None = None) -> lightgbm.Dataset:
    """Pairs as LightGBM takes them, of users with a relevant candidate: the others teach nothing."""
    import lightgbm

    every, row = np.unique(table.user, return_inverse=True)
    taught = np.bincount(row, weights=table.relevant, minlength=len(every)) > 0
    rows = np.flatnonzero(on & taught[row])
    group = np.bincount(row[rows], minlength=len(every))
    return lightgbm.Dataset(
        table.values[rows],
        label=table.relevant[rows].astype(np.float32),
        group=group[group > 0],
        init_score=table.mean[rows].astype(np.float64),
        reference=like,
    )


def threads_for(pairs: int) -> int:
    """As many threads as there is work for, at most OMP_NUM_THREADS or the cores that this process may use."""
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    allowed = int(given) if given.isdecimal() and int(given) > 0 else threads()
    return max(1, min(allowed, pairs // PAIRS_PER_THREAD + 1))
