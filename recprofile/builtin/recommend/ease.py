"""EASE: one closed-form linear model of items from items."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from recprofile.builtin.recommend.gram import gram_matrix
from recprofile.builtin.recommend.inverse import ridge_inverse
from recprofile.builtin.recommend.linear import LinearRanker
from recprofile.builtin.recommend.memory import free_memory, refuse_unless_it_fits
from recprofile.plugin import Context, Dataset, Field, Inputs, Pack, Params, Ranker, Recommender, Tunable


class EaseParams(Params):
    # On MovieLens-100K 400 is the best of 50 … 1000 on the validation part of a random split (NDCG@10 .244), and within
    # .001 of the best on one by time.
    l2: Annotated[float, Tunable(10, 10_000, log=True)] = Field(
        400.0, gt=0, le=1e9, description="Weight of the squared norm of B, in positive events."
    )


class Ease(Recommender[EaseParams]):
    """Reconstruct each user's positive items from their others by one closed-form linear model.

    B minimises |X - X B|² + l2 |B|² with diag B = 0: B = I - P diag(1 / diag P), P = (XᵀX + l2 I)⁻¹, X the positive
    pairs. Rows and columns of items without positive events are zero. Takes n_items² · 4 bytes, and as much for XᵀX,
    which stays with the data; refuses with RunError RP604 where 2.5 times n_items² · 4 bytes are more than the free
    memory.

    Source: Steck 2019, "Embarrassingly shallow autoencoders for sparse data".
    """

    name = "ease"
    ranks_new_users = True
    gives_evidence = True
    is_baseline = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The weights B; float32 Cholesky, on the device where it is a CUDA one."""
        refuse_unless_it_fits(self.name, data.n_items, free_memory())
        weights = ridge_inverse(gram_matrix(data, ctx), self.params.l2, ctx)
        weights /= -weights.diagonal().copy()
        np.fill_diagonal(weights, 0)
        return LinearRanker.of(weights, data)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        return LinearRanker.unpack(pack, data)
