"""Weights by age and profiles pooled by them: a user is the mean of their items' vectors, of length 1.

An event counts half after 90 days, against its user's last event. Vectors have 384 dimensions and are centred.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.speed.case import Case
from benchmarks.speed.measure import Bound, Contest, Side, Timed
from benchmarks.speed.same import same_arrays
from recprofile.artifacts import Embeddings, Encoded, FloatArray
from recprofile.plugin import Context

HALF_LIFE = 90
DAY = 86_400
FEW = 1_000  # users whom the loop pools


def contests(case: Case) -> Iterator[Contest]:
    """One row."""
    n_users, dim, events = case.data.n_users, 384, len(case.data.train)
    few = min(FEW, n_users)
    yield Contest(
        "weights and pooled profiles",
        Side("recprofile", lambda: ours(case)),
        [
            Side("torch embedding_bag", lambda: embedding_bag(case)),
            Side("scipy", lambda: scipy(case)),
            Side("loop over users", lambda: loop(case, few), rounds=1, share=few / n_users),
        ],
        lambda mine, theirs: same_arrays(mine, theirs, rtol=1e-3, atol=1e-5),
        lambda: Bound(flops=2.0 * events * dim, bytes=events * (4 + 4 + 8) + 4.0 * n_users * dim),
        rounds=5,
    )


def ours(case: Case) -> Timed:
    """The fuser `mean-history` on a block of items."""
    from recprofile.builtin.fuse.pooling import MeanHistory, MeanHistoryParams

    data, vectors = case.data, case.text_vectors()
    fuser = MeanHistory(MeanHistoryParams(half_life_days=HALF_LIFE))
    encoded = {"words": Encoded(items=Embeddings("item", data.items.ids, vectors, np.zeros(data.n_items, np.bool_)))}
    return lambda: fuser.fuse(encoded, data, Context()).user_vectors


def embedding_bag(case: Case) -> Timed:
    """Weights in numpy; bags of users in torch."""
    import torch

    n_users = case.data.n_users
    vectors = _centred(case)

    def run() -> FloatArray:
        events = case.data.train
        weight = _weights(case)
        order = np.argsort(events.user, kind="stable")
        starts = np.zeros(n_users, np.int64)
        np.cumsum(np.bincount(events.user, minlength=n_users)[:-1], out=starts[1:])
        bags = torch.nn.functional.embedding_bag(
            torch.from_numpy(events.item[order]).long(),
            torch.from_numpy(vectors),
            torch.from_numpy(starts),
            mode="sum",
            per_sample_weights=torch.from_numpy(weight[order]),
        )
        return torch.nn.functional.normalize(bags).numpy()

    return run


def scipy(case: Case) -> Timed:
    """A sparse matrix of weights times the vectors."""
    from scipy.sparse import coo_array

    data, vectors = case.data, _centred(case)

    def run() -> FloatArray:
        pairs = (_weights(case), (data.train.user, data.train.item))
        sums = coo_array(pairs, shape=(data.n_users, data.n_items)).tocsr() @ vectors
        return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)

    return run


def loop(case: Case, few: int) -> Timed:
    """As tutorials have it: one user after the other."""
    events, vectors = case.data.train, _centred(case)
    assert events.time is not None
    chosen = np.flatnonzero(events.user < few)
    user, item, time = events.user[chosen], events.item[chosen], events.time[chosen]
    history: list[list[tuple[int, int]]] = [[] for _ in range(few)]
    for u, i, t in zip(user.tolist(), item.tolist(), time.tolist(), strict=True):
        history[u].append((i, t))

    def run() -> FloatArray:
        profiles = np.zeros((few, vectors.shape[1]), np.float32)
        for u, mine in enumerate(history):
            last = max((t for _, t in mine), default=0)
            for i, t in mine:
                profiles[u] += 2 ** (-(last - t) / (DAY * HALF_LIFE)) * vectors[i]
            profiles[u] /= max(np.linalg.norm(profiles[u]), 1e-12)
        return profiles

    return run


def _centred(case: Case) -> FloatArray:
    """The vectors less the mean of the items in training, of length 1: what `mean-history` pools."""
    vectors = case.text_vectors()
    vectors -= vectors[~case.data.cold_items()].mean(axis=0, dtype=np.float64).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _weights(case: Case) -> FloatArray:
    events = case.data.train
    assert events.time is not None
    last = np.full(case.data.n_users, np.iinfo(np.int64).min)
    np.maximum.at(last, events.user, events.time)
    weight: FloatArray = np.exp2((events.time - last[events.user]) / (DAY * HALF_LIFE)).astype(np.float32)
    return weight
