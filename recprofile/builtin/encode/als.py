"""Behaviour as vectors: `als`, implicit matrix factorisation. The arithmetic is in `als_sweep`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

import numpy as np

from recprofile.plugin import (
    Context,
    DataError,
    Dataset,
    Embeddings,
    Encoded,
    Encoder,
    Field,
    FoldIn,
    Pairs,
    Params,
    Tunable,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class AlsParams(Params):
    dim: Annotated[int, Tunable(16, 256, log=True)] = Field(64, ge=1, le=1024, description="Dimensions of the vectors.")
    epochs: int = Field(15, ge=1, le=1000, description="Sweeps over users and items, at most.")
    tolerance: float = Field(
        0.001,
        ge=0,
        lt=1,
        description="Stop after a sweep that lowers the loss by less than this share of it; 0: never before `epochs`.",
    )
    alpha: Annotated[float, Tunable(0.5, 50, log=True)] = Field(
        4.0, gt=0, description="How much more an event counts than a pair without one: confidence is 1 + alpha·weight."
    )
    l2: Annotated[float | None, Tunable(0.001, 1, log=True)] = Field(
        None,
        gt=0,
        description="Regularisation, before it is scaled by frequency; null: 0.02, halved down to 0.0003 as long as "
        "that ranks the validation part better.",
    )
    nu: float = Field(
        1.0,
        ge=0,
        le=1,
        description="How regularisation grows with a row's total confidence: l2·total^nu; 0: the same for every row.",
    )
    positive_only: bool = Field(True, description="Learn from positive events only.")
    weighted: bool = Field(False, description="Weight events by their weight (summed per pair) instead of 1 per pair.")


class Als(Encoder[AlsParams]):
    """Users and items in one space, from who took to what: implicit alternating least squares.

    Both (n, dim) float32; a user's and an item's inner product approaches 1 where there is an event and 0 elsewhere:
    it minimises Σ_ui c_ui (p_ui − x_u·y_i)² + Σ_u λ_u |x_u|² + Σ_i λ_i |y_i|², with p_ui = 1 where there is an event,
    c_ui = 1 + alpha·weight, and λ = l2·(total confidence of the row)^nu. The last half-sweep is that of the users, so
    that their vectors are the exact solution for the item vectors. Users and items without an event that counts are
    zero and missing.

    What `l2` should be differs: many ratings of few items bear .02, few of many a fourth of it, and with .02 no more
    than popularity is left of them. Where it is left open, it is halved as long as that ranks validation events of
    20,000 users better by more than one standard error (Breiman et al. 1984).

    Raises DataError RP503 for a weight that is negative or missing.
    Source: Hu, Koren & Volinsky 2008; scaling by frequency: Rendle, Krichene, Zhang & Koren 2022. Items start from a
    normal of mean 0 and deviation 0.1, which reaches the loss of a start in [0, 0.01) in a fourth of the sweeps.
    """

    name = "als"

    def encode(self, data: Dataset, ctx: Context) -> Encoded:
        """Vectors of all users and items."""
        from recprofile.builtin.encode.als_choice import with_l2
        from recprofile.builtin.encode.als_sweep import factors

        p = with_l2(self.params, data, ctx, counted)
        matrix = counted(data, p)
        if matrix.nnz == 0:
            ctx.warn("als: no training event to learn from, so every vector is missing")
        users, items = factors(matrix, p, ctx)
        return Encoded(
            Embeddings("item", data.items.ids, items, np.bincount(matrix.indices, minlength=data.n_items) == 0),
            Embeddings("user", data.users.ids, users, np.diff(matrix.indptr) == 0),
            fold_in(matrix, p),
        )

    def settled(self, result: Encoded) -> Self:
        """With the regularisation that it chose."""
        assert result.fold_in is not None
        return type(self)(self.params.model_copy(update={"l2": result.fold_in.l2}))


def counted(data: Dataset, p: AlsParams) -> csr_array:
    """The training events that count, by weight or 1 for each pair: (n_users, n_items) float32 CSR without zeros.

    Raises DataError RP503 for a weight that is negative or missing.
    """
    matrix = data.matrix("train", positive_only=p.positive_only, binary=not p.weighted)
    return _checked(matrix) if p.weighted else matrix


def counted_pairs(data: Dataset, p: AlsParams) -> Pairs:
    """The same as arrays, without what scipy costs where they are one person's."""
    if p.weighted:
        matrix = counted(data, p)
        return Pairs(matrix.indptr, matrix.indices, matrix.data, matrix.shape)
    return data.pairs("train", positive_only=p.positive_only, binary=True)


def fold_in(matrix: csr_array, p: AlsParams) -> FoldIn:
    """How user vectors follow from what counts, the item vectors being fixed; `p.l2` is given."""
    assert p.l2 is not None
    from scipy.sparse import csr_array

    confidence = csr_array((1 + np.float32(p.alpha) * matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)
    return FoldIn(confidence, p.alpha, p.l2, p.nu, p.positive_only, p.weighted)


def _checked(matrix: csr_array) -> csr_array:
    """The matrix without explicit zeros, once its weights are found to be of use."""
    if np.isnan(matrix.data).any():
        raise DataError.of("RP503", "an event has no weight", help=("a stage 'preprocess: impute' fills it",))
    if (matrix.data < 0).any():
        message = f"'als' with 'weighted' needs weights of 0 or more, and one is {matrix.data.min():g}"
        raise DataError.of("RP503", message)
    left = matrix.copy()
    left.eliminate_zeros()
    return left
