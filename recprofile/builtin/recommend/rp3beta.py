"""Random walks from a user's items to a user and on to an item, with popular items held down."""

from __future__ import annotations

import numpy as np

from recprofile.builtin.recommend.linear import LinearRanker
from recprofile.builtin.recommend.nearest import nearest
from recprofile.plugin import Context, Dataset, Field, FloatArray, Inputs, Pack, Params, Ranker, Recommender


class Rp3BetaParams(Params):
    # On the validation parts of MovieLens-100K, random and by time, alpha .2 … 1.2, beta 0 … .8 and 20 … 1682
    # neighbours: NDCG@10 .236 and .153 with these. The best of each alone: .238 (.6, .4, 200), .161 (.2, .7, 300).
    alpha: float = Field(
        0.4, ge=0, le=5, description="Power of each step's probability, 1 / (items of the user or users of the item)."
    )
    beta: float = Field(
        0.5, ge=0, le=5, description="Power of the popularity by which an item's score is divided; 0: none."
    )
    neighbours: int = Field(200, ge=1, le=100_000, description="Neighbours kept of each item.")


class Rp3Beta(Recommender[Rp3BetaParams]):
    """Score an item by the chance that a random walk of three steps ends there, over its popularity to the power beta.

    W[j, i] = Σ_u (1/n_j)^alpha (1/n_u)^alpha / n_i^beta over the users u who like both, for the `neighbours` items j
    with the largest W[j, i] of item i, else 0; n: positive users of an item, positive items of a user. The first step,
    from the user to an item of theirs, is the same for all of these, and left out.

    Source: Paudel, Christoffel, Newell & Bernstein 2017, "Updatable, accurate, diverse, and scalable recommendations
    for interactive applications"; neighbours as in Ferrari Dacrema et al. 2019, but of the item that is scored.
    """

    name = "rp3beta"
    ranks_new_users = True
    gives_evidence = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The weights, found in blocks of items: at most 64 MiB of them at once."""
        from scipy.sparse import diags_array

        p = self.params
        x = data.positives()
        of_user = np.maximum(np.diff(x.indptr), 1) ** -p.alpha
        audience = np.maximum(np.bincount(x.indices, minlength=data.n_items), 1)
        walks = (diags_array(of_user) @ x @ diags_array(audience**-p.alpha)).tocsr().astype(np.float32)
        held_down = (audience**-p.beta).astype(np.float32)

        def revise(close: FloatArray, rows: slice) -> None:
            close *= held_down[rows, None]
            close[np.arange(len(close)), np.arange(rows.start, rows.stop)] = 0

        progress = ctx.progress(data.n_items, "items")
        near = nearest(x.T.tocsr(), walks, p.neighbours, revise, progress.add)
        weights = near.T.tocsr()
        weights.sort_indices()
        return LinearRanker.of(weights, data)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        return LinearRanker.unpack(pack, data)
