"""Behaviour as vectors: `svd`, the leading singular vectors of who took to what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np

from recprofile.builtin.encode.als import AlsParams, counted
from recprofile.builtin.encode.singular import right_vectors
from recprofile.plugin import Context, Dataset, Embeddings, Encoded, Encoder, Field, FoldIn, Params, Tunable

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class SvdParams(Params):
    # On a random split of MovieLens-100K: NDCG@10 .349, .353, .339 with 16, 32, 64 dimensions and a scaling of .4; 1,
    # the paper's: .355, .320, .259.
    dim: Annotated[int, Tunable(8, 256, log=True)] = Field(32, ge=1, le=1024, description="Dimensions, at most.")
    scaling: Annotated[float, Tunable(0, 1)] = Field(
        0.5,
        ge=0,
        le=1,
        description="How much more often taken items shape the vectors: an item's events are first multiplied by "
        "(their length)^(scaling − 1); 1: as they are, 0: all items alike.",
    )
    positive_only: bool = Field(True, description="Learn from positive events only.")
    weighted: bool = Field(False, description="Weight events by their weight (summed per pair) instead of 1 per pair.")


class Svd(Encoder[SvdParams]):
    """Users and items in one space, from who took to what: truncated singular value decomposition.

    (n, at most dim) float32. With R the training events (1 for each pair, or its weight) and V the `dim` leading right
    singular vectors of R·D, D_ii = |R_i|^(scaling − 1): items are V and users R·V, so that a user's and an item's inner
    product is R·V·Vᵀ; with `scaling: 1` that is the best approximation of R of that rank, missing pairs counting as 0.
    A user's vector is the least squares fit of the user's own events, so that it moves with later ones
    (`update: fold-in`), unless they are weighted. Where the matrix has a lower rank, there are fewer dimensions (told).
    Users and items without an event that counts are zero and missing.

    Computed on the CPU, in float64. Raises DataError RP503 for a weight that is negative or missing.
    Source: Cremonesi, Koren & Turrin 2010 (PureSVD); scaling: Nikolakopoulos et al. 2019 (EigenRec).
    """

    name = "svd"

    def encode(self, data: Dataset, ctx: Context) -> Encoded:
        """Vectors of all users and items."""
        from scipy.sparse import csr_array

        p = self.params
        matrix = counted(data, AlsParams(positive_only=p.positive_only, weighted=p.weighted))
        if matrix.nnz == 0:
            ctx.warn("svd: no training event to learn from, so every vector is missing")
        length = np.sqrt(np.bincount(matrix.indices, matrix.data.astype(np.float64) ** 2, data.n_items))
        scale = np.power(length, p.scaling - 1, out=np.zeros_like(length), where=length > 0)
        scaled = csr_array((matrix.data * scale[matrix.indices], matrix.indices, matrix.indptr), shape=matrix.shape)
        items = right_vectors(scaled, p.dim, ctx.rng())
        if 0 < items.shape[1] < p.dim:
            ctx.warn(f"svd: the events span {items.shape[1]} dimensions, fewer than the dim of {p.dim}")
        users = np.asarray(matrix @ items, np.float32)
        no_event, nobody = np.diff(matrix.indptr) == 0, length == 0
        items[nobody] = 0  # what rounding left there
        return Encoded(
            Embeddings("item", data.items.ids, items, nobody),
            Embeddings("user", data.users.ids, users, no_event),
            None if p.weighted else _fold_in(matrix, p),
        )


def _fold_in(matrix: csr_array, p: SvdParams) -> FoldIn:
    """Every pair weighs the same in the fit of a user's events, and nothing is regularised: VᵀV = I is all there is."""
    from scipy.sparse import csr_array

    sure = csr_array((np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)
    return FoldIn(sure, alpha=0.0, l2=0.0, nu=0.0, positive_only=p.positive_only)
