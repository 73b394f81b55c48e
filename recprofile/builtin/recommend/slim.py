"""SLIM: sparse, non-negative weights of items for items."""

from __future__ import annotations

import numpy as np

from recprofile.builtin.recommend.gram import gram_matrix
from recprofile.builtin.recommend.linear import LinearRanker
from recprofile.builtin.recommend.memory import free_memory, refuse_unless_it_fits
from recprofile.plugin import Context, Dataset, Field, FloatArray, Inputs, IntArray, Pack, Params, Ranker, Recommender


class SlimParams(Params):
    # On the validation parts of MovieLens-100K, random and by time, l1 .1 … 4 and l2 30 … 800: NDCG@10 .244 and .154
    # with these; a smaller l1 gains .001 with three times the weights. All items as neighbours change it by less than
    # .001, 200 lose .003.
    l1: float = Field(
        1.0, ge=0, le=1e9, description="Weight of the sum of W, in positive events: the larger, the fewer weights."
    )
    l2: float = Field(100.0, gt=0, le=1e9, description="Weight of the squared norm of W, in positive events.")
    neighbours: int = Field(
        500, ge=1, le=100_000, description="Items that may have a weight for an item: those with the largest cosine."
    )


class Slim(Recommender[SlimParams]):
    """Reconstruct each user's positive items from their others by few weights, none below 0.

    W minimises ½ |X - X W|² + ½ l2 |W|² + l1 Σ W with W ≥ 0 and diag W = 0, X the positive pairs; (n_items, n_items)
    sparse. Column i has weights only for the `neighbours` items with the largest cosine to item i; of a catalogue no
    larger, for all. Coordinate descent on XᵀX, until no weight would move by more than 1e-4: on one core 1 s for 1,682
    items, 50 s for 10,000 items with 8.4 million pairs, XᵀX not counted. Takes n_items² · 4 bytes for XᵀX, which stays
    with the data; refuses with RunError RP604 where 1.5 times that is more than the free memory. Warns where an item's
    weights do not settle.

    Source: Ning & Karypis 2011, "SLIM: sparse linear methods for top-n recommender systems", neighbours as in its
    fsSLIM; coordinate descent: Friedman, Hastie & Tibshirani 2010.
    """

    name = "slim"
    ranks_new_users = True
    gives_evidence = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The weights W."""
        from scipy.sparse import csr_array

        from recprofile.builtin.recommend.slim_descent import Elastic

        refuse_unless_it_fits(self.name, data.n_items, free_memory(), squares=1.5)
        p = self.params
        problem = Elastic(gram_matrix(data, ctx), l1=p.l1, l2=p.l2, neighbours=p.neighbours)
        progress = ctx.progress(int(np.count_nonzero(problem.own)), "items")
        parts: list[tuple[IntArray, IntArray, FloatArray]] = [
            (np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32)),
            *problem.weights(progress.add),
        ]
        if not problem.settled:
            ctx.warn("slim: some weights have not settled: a larger 'l2' helps")
        source, item, value = (np.concatenate(part) for part in zip(*parts, strict=True))
        weights = csr_array((value, (source, item)), shape=(data.n_items, data.n_items), dtype=np.float32)
        weights.sort_indices()
        return LinearRanker.of(weights, data)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        return LinearRanker.unpack(pack, data)
