"""EDLAE: EASE, regularised by the dropout that a denoising autoencoder trains with, in closed form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recprofile.builtin.recommend.gram import gram_matrix
from recprofile.builtin.recommend.inverse import ridge_inverse
from recprofile.builtin.recommend.linear import LinearRanker
from recprofile.builtin.recommend.memory import free_memory, refuse_unless_it_fits
from recprofile.plugin import Context, Dataset, Field, Inputs, Pack, Params, Ranker, Recommender


class EdlaeParams(Params):
    # On the validation parts of MovieLens-100K, random and by time, dropout .1 … .8, l2 10 … 400 and kept 0 … 1:
    # NDCG@10 .245 and .156 with these. Without emphasis (kept 1) at dropout .5 and l2 50 it is .232 and .159.
    dropout: float = Field(
        0.7,
        gt=0,
        lt=1,
        description="Share of each user's items that is hidden at random: the more, the more popular items are "
        "regularised.",
    )
    l2: float = Field(200.0, gt=0, le=1e9, description="Weight of the squared norm of B, in positive events.")
    kept: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Weight of the errors at items that were not hidden, against 1 at those that were; 0: full "
        "emphasis on what is to be guessed, 1: none.",
    )


class Edlae(Recommender[EdlaeParams]):
    """Guess each user's hidden items from those left, over all ways of hiding them, by one closed-form linear model.

    With x_u the positives of user u, δ hiding each with probability p = `dropout`, q = 1 - p, w_j = 1 where item j is
    hidden and `kept` where it is not, B minimises Σ_uj E[w_j (x_uj - Σ_i δ_i x_ui B_ij / q)²] + (p + q kept) l2 Σ_i≠j
    B_ij². With P = (XᵀX + Λ)⁻¹, Λ = p/q diag XᵀX + l2: B_ij = -s_j P_ij / P_jj off the diagonal. s_j is 1 where kept is
    0, else s_j = (p + q kept r_j) / (p + q kept), r_j = h_j p / (p + q kept (1 - h_j)), h_j = (G_jj + Λ_jj - 1 / P_jj)
    / G_jj, G = XᵀX: the better the other items tell an item, the larger. The diagonal, what an item says of itself, is
    left out of the scores. Takes memory as `ease` does, and refuses with RunError RP604 alike.

    Source: Steck 2020, "Autoencoders that don't overfit towards the identity", with s_j derived for any `kept`.
    """

    name = "edlae"
    ranks_new_users = True
    gives_evidence = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The weights B; float32 Cholesky, on the device where it is a CUDA one."""
        p = self.params
        refuse_unless_it_fits(self.name, data.n_items, free_memory())
        gram = gram_matrix(data, ctx)
        counts = gram.diagonal().astype(np.float64)
        ridge = p.dropout / (1 - p.dropout) * counts + p.l2
        weights = ridge_inverse(gram, ridge.astype(np.float32), ctx)
        spread = weights.diagonal().astype(np.float64)
        weights *= (-_told(counts, ridge, spread, p) / spread).astype(np.float32)
        np.fill_diagonal(weights, 0)
        return LinearRanker.of(weights, data)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        return LinearRanker.unpack(pack, data)


def _told(
    counts: NDArray[np.float64], ridge: NDArray[np.float64], spread: NDArray[np.float64], p: EdlaeParams
) -> NDArray[np.float64]:
    """s_j of each item, (n_items,); `spread` is the diagonal of the inverse."""
    hidden, kept = p.dropout, (1 - p.dropout) * p.kept
    told = np.divide(counts + ridge - 1 / spread, counts, out=np.zeros_like(counts), where=counts > 0).clip(0, 1)
    own = told * hidden / (hidden + kept * (1 - told))
    return np.asarray((hidden + kept * own) / (hidden + kept))
