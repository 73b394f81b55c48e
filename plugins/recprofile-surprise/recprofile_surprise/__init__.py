"""Components over scikit-surprise, in the namespace `surprise`.

They predict ratings. A list ranked by predicted ratings is a baseline, and a poor one (Cremonesi et al. 2010,
"Performance of recommender algorithms on top-N recommendation tasks"): use them where a rating is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from recprofile.plugin import (
    Context,
    Dataset,
    Field,
    Inputs,
    Pack,
    Params,
    Recommender,
    hookimpl,
    model_validator,
    refusal,
)
from recprofile_surprise.factors import FactorRanker
from recprofile_surprise.neighbours import NeighbourRanker

__all__ = ["Knn", "KnnParams", "Svd", "SvdParams"]


class KnnParams(Params):
    algorithm: Literal["basic", "means", "zscore", "baseline"] = Field(
        default="baseline",
        description="What ratings are taken relative to: nothing (KNNBasic), the mean (KNNWithMeans), mean and"
        " deviation (KNNWithZScore), or the baseline of user and item (KNNBaseline).",
    )
    similarity: Literal["cosine", "msd", "pearson", "pearson_baseline"] = Field(
        default="pearson_baseline", description="Similarity of two items (or users) over the users (items) they share."
    )
    item_based: bool = Field(
        default=True,
        description="Neighbours are items, which takes n_items² × 56 bytes at most; false: users, n_users² × 56 bytes.",
    )
    k: int = Field(default=40, ge=1, le=100_000, description="Most neighbours a rating is predicted from, 1 to 100000.")
    min_k: int = Field(
        default=1,
        ge=1,
        le=100_000,
        description="Fewest neighbours of positive similarity; with less, mean or baseline stand alone. 1 to 'k'.",
    )

    @model_validator(mode="after")
    def _min_k_within_k(self) -> KnnParams:
        if self.min_k > self.k:
            message = f"'min_k' is {self.min_k} and 'k' is {self.k}: there are never enough neighbours"
            raise refusal("RP205", message, value="min_k")
        return self


class Knn(Recommender[KnnParams]):
    """Ratings from the ratings of the k most similar items (or users).

    Learns from all training events, positive or not, with their weights as ratings; several events of one pair count as
    one rating, their mean. A prediction equals Surprise's own for the same pair, clipped to the lowest and highest
    rating seen; lists are ranked by the same number before clipping, since clipping makes ties at the top. A pair whose
    user or item has no training event gets the mean rating, with `baseline` moved by the baseline of the side that is
    known.

    Raises DataError RP505 when there are no training events, RP503 for a weight that is not finite, and RunError RP604
    when the similarities do not fit into memory.

    Source: KNNBasic, KNNWithMeans, KNNWithZScore and KNNBaseline of Surprise (Hug 2020, "Surprise: a Python library for
    recommender systems"); the baseline form is equation 3 of Koren 2010, "Factor in the neighbors".
    """

    name = "knn"
    predicts_ratings = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> NeighbourRanker:
        from recprofile_surprise.fitting import fit_knn

        p = self.params
        return fit_knn(
            data,
            algorithm=p.algorithm,
            similarity=p.similarity,
            item_based=p.item_based,
            k=p.k,
            min_k=p.min_k,
            ctx=ctx,
        )

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> NeighbourRanker:
        return NeighbourRanker.unpack(pack)


class SvdParams(Params):
    dim: int = Field(default=100, ge=1, le=4096, description="Factors of each user and item, 1 to 4096.")
    epochs: int = Field(default=20, ge=1, le=10_000, description="Passes over all ratings, 1 to 10000.")
    learning_rate: float = Field(
        default=0.005, gt=0, le=1, description="Step of the gradient descent, for biases and factors, above 0 to 1."
    )
    l2: float = Field(
        default=0.02, ge=0, le=100, description="Weight of the squared norm of biases and factors, 0 to 100."
    )
    biased: bool = Field(
        default=True, description="Mean and biases of user and item are part of a prediction; false: the factors alone."
    )


class Svd(Recommender[SvdParams]):
    """Ratings from factors of users and items, learnt by stochastic gradient descent.

    Learns from all training events, positive or not, with their weights as ratings; several events of one pair count as
    one rating, their mean. A prediction is mean + b_u + b_i + q_i·p_u, clipped to the lowest and highest rating seen;
    lists are ranked by the same number before clipping. What belongs to a user or item without training events counts
    as 0; without biases such a pair gets the mean rating.

    Raises DataError RP505 when there are no training events, RP503 for a weight that is not finite, and RunError RP601
    when the descent diverges.

    Source: SVD of Surprise (Hug 2020); Koren, Bell & Volinsky 2009, "Matrix factorization techniques for recommender
    systems".
    """

    name = "svd"
    predicts_ratings = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> FactorRanker:
        from recprofile_surprise.fitting import fit_svd

        p = self.params
        return fit_svd(
            data,
            dim=p.dim,
            epochs=p.epochs,
            learning_rate=p.learning_rate,
            l2=p.l2,
            biased=p.biased,
            ctx=ctx,
        )

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> FactorRanker:
        return FactorRanker.unpack(pack)


@hookimpl
def recprofile_recommenders() -> Sequence[type[Recommender[Any]]]:
    return [Knn, Svd]
