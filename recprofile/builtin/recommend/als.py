"""Implicit matrix factorisation as a recommender: the same model as the encoder `als`, users folded in from events."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from recprofile.builtin.encode.als import AlsParams, counted, counted_pairs, fold_in
from recprofile.builtin.inner import InnerProducts
from recprofile.plugin import (
    BoolArray,
    Context,
    Dataset,
    Field,
    FloatArray,
    FoldIn,
    Inputs,
    IntArray,
    Pack,
    Ranker,
    Recommender,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from recprofile.builtin.encode.als_sweep import Fixed


class ImplicitAlsParams(AlsParams):
    # On the validation parts of MovieLens-100K, random and by time, 64 and 128 dimensions, alpha 2 … 12, l2 .005 … .03
    # and 5 … 30 epochs: NDCG@10 .249 and .157 with these, .243 and .154 with 64 dimensions.
    dim: int = Field(128, ge=1, le=1024, description="Dimensions of the vectors.")
    alpha: float = Field(
        6.0, gt=0, description="How much more an event counts than a pair without one: confidence is 1 + alpha·weight."
    )


@dataclass(frozen=True, eq=False)
class ImplicitAlsRanker(Ranker):
    """Scores by the inner product of item vectors `items_by` (n_items, dim) float32 and the vectors of users.

    A user's vector is the solution for their events and these item vectors, whether they were in training or not. An
    item without an event that counts has no vector, and is not ranked (-inf).
    """

    data: Dataset
    items_by: FloatArray
    params: AlsParams
    device: str = "cpu"

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32."""
        return self._scored(self._users_by[users])

    def scores_of(self, people: Dataset) -> FloatArray:
        """The same for the users of other data with the same items: (people.n_users, n_items) float32."""
        return self._scored(self._solved(people))

    def known_users(self) -> BoolArray:
        """Users with an event that counts."""
        known: BoolArray = np.diff(self._counted.indptr) > 0
        return known

    def evidence(self, users: IntArray, items: IntArray) -> csr_array:
        """Each history item's part of x_u · y_i, (n_pairs, n_items) float32 CSR; a row sums to the score."""
        return self._fold_in.parts(self.items_by, users, items)

    def additive(self) -> bool:
        """No: without one item the model would weigh the others anew."""
        return False

    def pack(self) -> Pack:
        """The item vectors, and how they were regularised; users follow from the data."""
        return Pack({"items_by": self.items_by}, values={"l2": self.params.l2})

    def _scored(self, users_by: FloatArray) -> FloatArray:
        scores = self._products.of(users_by)
        scores[:, self._blank] = -np.inf
        return scores

    def _solved(self, people: Dataset) -> FloatArray:
        if self.device != "cpu":
            from recprofile.builtin.encode.als_device import user_vectors_on

            return user_vectors_on(counted(people, self.params), self.items_by, self.params, self.device)
        from recprofile.builtin.encode.als_sweep import user_vectors

        return user_vectors(counted_pairs(people, self.params), self._fixed, self.params)

    @cached_property
    def _fixed(self) -> Fixed:
        from recprofile.builtin.encode.als_sweep import Fixed

        return Fixed.of(self.items_by)

    @cached_property
    def _users_by(self) -> FloatArray:
        return self._solved(self.data)

    @cached_property
    def _products(self) -> InnerProducts:
        return InnerProducts(self.items_by, users=self.data.n_users, device=self.device)

    @cached_property
    def _blank(self) -> BoolArray:
        return np.logical_not(self.items_by.any(axis=1))

    @cached_property
    def _counted(self) -> csr_array:
        return counted(self.data, self.params)

    @cached_property
    def _fold_in(self) -> FoldIn:
        return fold_in(self._counted, self.params)


class ImplicitAls(Recommender[ImplicitAlsParams]):
    """Rank items by x_u · y_i, the user and item vectors of implicit alternating least squares.

    The model is that of the encoder `als`, which see for the loss: Σ_ui c_ui (p_ui - x_u·y_i)² with each row
    regularised by l2·(its total confidence)^nu. A user's vector is the exact least squares solution for their events,
    in training and for people who came later alike, which makes a score the sum of what each history item gives.

    Raises DataError RP503 for a weight that is negative or missing, with `weighted`.
    Source: Hu, Koren & Volinsky 2008; regularisation by frequency, and how to choose it: Rendle, Krichene, Zhang &
    Koren 2022, "Revisiting the performance of iALS on item recommendation benchmarks".
    """

    name = "als"
    ranks_new_users = True
    gives_evidence = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The item vectors, on `ctx.device`."""
        from recprofile.builtin.encode.als_choice import with_l2
        from recprofile.builtin.encode.als_sweep import factors

        p = with_l2(self.params, data, ctx, counted)
        matrix = counted(data, p)
        if matrix.nnz == 0:
            ctx.warn("als: no training event to learn from, so nothing can be ranked")
        _, items_by = factors(matrix, p, ctx)
        return ImplicitAlsRanker(data, items_by, p, ctx.device)

    def settled(self, result: Ranker) -> Self:
        """With the regularisation that it chose."""
        assert isinstance(result, ImplicitAlsRanker)
        return type(self)(self.params.model_copy(update={"l2": result.params.l2}))

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        p = self.params.model_copy(update={"l2": pack.values["l2"]})
        return ImplicitAlsRanker(data, pack.arrays["items_by"], p, ctx.device)
