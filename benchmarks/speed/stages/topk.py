"""The ten best unseen items of every user by inner product: vectors of 64 and of 384 dimensions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.speed.case import Case
from benchmarks.speed.measure import Bound, Contest, Side, Timed
from benchmarks.speed.same import Lists, same_lists
from benchmarks.speed.stages.als import ALPHA, DIM, Fitted
from recprofile.artifacts import Block, Embeddings, Encoded, Profiles
from recprofile.plugin import Context, Inputs

K = 10
BLOCK = 1_024  # users whom torch scores at once: 40 MB of scores of 10,000 items
FEW = 500  # users of the loop


def contests(case: Case) -> Iterator[Contest]:
    """Vectors of `als`, whose lengths vary much, and pooled ones."""
    for dim, vectors in ((DIM, of_als(case)), (384, pooled(case))):
        yield contest(case, dim, vectors)


def contest(case: Case, dim: int, vectors: Fitted) -> Contest:
    """One row."""
    n_users, n_items = case.positives.shape
    few = min(FEW, n_users)
    return Contest(
        f"top {K} of {dim} dimensions",
        Side("recprofile", lambda: ours(case, vectors)),
        [
            Side("torch", lambda: torch_topk(case, vectors)),
            Side("implicit", lambda: implicit(case, vectors), rounds=1, one_blas_thread=True),
            Side("loop over users", lambda: loop(case, vectors, few), rounds=1, share=few / n_users),
        ],
        same_lists,
        lambda: Bound(flops=2.0 * n_users * n_items * dim, bytes=4.0 * dim * (n_users + n_items)),
        rounds=3 if dim == DIM else 2,
    )


def of_als(case: Case) -> Fitted:
    """Vectors of the encoder `als`, as brief.yaml has it, two sweeps of it."""
    from recprofile.builtin.encode.als import AlsParams
    from recprofile.builtin.encode.als_sweep import factors

    p = AlsParams(dim=DIM, alpha=ALPHA, l2=0.005, epochs=2)
    return Fitted(*factors(case.positives, p, Context()))


def pooled(case: Case) -> Fitted:
    """Vectors of 384 dimensions, users being the means of their items."""
    from recprofile.builtin.fuse.pooling import MeanHistory, MeanHistoryParams

    data = case.data
    side = Embeddings("item", data.items.ids, case.text_vectors(), np.zeros(data.n_items, np.bool_))
    found = MeanHistory(MeanHistoryParams()).fuse({"words": Encoded(items=side)}, data, Context())
    return Fitted(found.user_vectors, found.item_vectors)


def ours(case: Case, vectors: Fitted) -> Timed:
    """The recommender `dot` and the lists of a run."""
    from recprofile.builtin.recommend.dot import Dot, DotParams
    from recprofile.ranking import rank

    data = case.data
    known = np.asarray(vectors.users.any(axis=1))
    blocks = (Block("all", 0, vectors.users.shape[1]),)
    profiles = Profiles(data.users.ids, data.items.ids, vectors.users, vectors.items, blocks, known)
    ranker = Dot(DotParams()).fit(data, Inputs(profiles), Context())
    _ = data.seen()

    def run() -> Lists:
        lists = rank(ranker, data, k=K)
        # Who has no vector gets what is popular; peers do not know that.
        return np.where(known[:, None], lists.items, -1), np.where(known[:, None], lists.scores, np.nan)

    return run


def torch_topk(case: Case, vectors: Fitted) -> Timed:
    """Blocks of users: a product, what is seen masked, `topk`."""
    import torch

    users, items = torch.from_numpy(vectors.users), torch.from_numpy(vectors.items)
    seen, blank = case.data.seen(), torch.from_numpy(~vectors.items.any(axis=1))
    k = min(K, len(items))

    def run() -> Lists:
        best, found = np.empty((len(users), k), np.float32), np.empty((len(users), k), np.int64)
        for at in range(0, len(users), BLOCK):
            scores = users[at : at + BLOCK] @ items.T
            part = slice(seen.indptr[at], seen.indptr[at + len(scores)])
            rows = np.repeat(np.arange(len(scores)), np.diff(seen.indptr[at : at + len(scores) + 1]))
            scores[torch.from_numpy(rows), torch.from_numpy(seen.indices[part]).long()] = -torch.inf
            scores[:, blank] = -torch.inf
            top = scores.topk(k)
            best[at : at + BLOCK], found[at : at + BLOCK] = top.values.numpy(), top.indices.numpy()
        return _listed(found, best, vectors)

    return run


def implicit(case: Case, vectors: Fitted) -> Timed:
    """The function that its models recommend with."""
    from implicit.cpu.topk import topk
    from scipy.sparse import csr_matrix

    seen, blank = csr_matrix(case.data.seen()), np.flatnonzero(~vectors.items.any(axis=1)).astype(np.int32)
    k = min(K, len(vectors.items))

    def run() -> Lists:
        found, best = topk(vectors.items, vectors.users, k, filter_query_items=seen, filter_items=blank)
        return _listed(found, best, vectors)

    return run


def loop(case: Case, vectors: Fitted, few: int) -> Timed:
    """As tutorials have it: one user after the other."""
    seen, blank = case.data.seen(), ~vectors.items.any(axis=1)
    k = min(K, len(vectors.items))

    def run() -> Lists:
        items, scores = np.empty((few, k), np.int64), np.empty((few, k), np.float32)
        for user in range(few):
            own = vectors.items @ vectors.users[user]
            own[seen.indices[seen.indptr[user] : seen.indptr[user + 1]]] = -np.inf
            own[blank] = -np.inf
            items[user] = np.argsort(-own)[:k]
            scores[user] = own[items[user]]
        return _listed(items, scores, Fitted(vectors.users[:few], vectors.items))

    return run


def _listed(items: np.ndarray, scores: np.ndarray, vectors: Fitted) -> Lists:
    """Without what was masked, and nothing for users without a vector."""
    nobody = np.asarray(~vectors.users.any(axis=1))
    gone = ~np.isfinite(scores) | (scores < -1e30) | nobody[:, None]
    return np.where(gone, -1, items), np.where(gone, np.nan, scores)
