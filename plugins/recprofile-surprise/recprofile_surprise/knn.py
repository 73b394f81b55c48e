"""`surprise/knn`: ratings from those of similar items or users."""

from __future__ import annotations

from typing import Literal

from recprofile.plugin import (
    Context,
    Dataset,
    Field,
    Inputs,
    Pack,
    Params,
    Recommender,
    model_validator,
    refusal,
)
from recprofile_surprise.baseline import BaselineParams
from recprofile_surprise.neighbours import NeighbourRanker


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
    min_support: int = Field(
        default=1,
        ge=1,
        le=100_000,
        description="Users (items) that two must share, 1 to 100000; with less their similarity is 0.",
    )
    shrinkage: float = Field(
        default=100,
        ge=0,
        le=100_000,
        description="pearson_baseline: similarity is multiplied by (n - 1) / (n - 1 + shrinkage) for n shared, 0 to"
        " 100000.",
    )
    baseline: BaselineParams = Field(
        default_factory=BaselineParams,
        description="How the baseline is learnt that 'baseline' and 'pearson_baseline' take ratings relative to.",
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

    Where neighbours are items, people who are not in the data get what they would have got as users (but not relative
    to a baseline learnt by sgd), and evidence is each neighbour's part in what the neighbours say; what the item itself
    is worth, its mean or baseline, is nobody's part. Without an item in the history others come in, so that its
    evidence is not what the score would lose.

    Raises DataError RP505 when there are no training events, RP503 for a weight that is not finite, and RunError RP604
    when the similarities do not fit into memory, RP601 when the baseline diverges.

    Source: KNNBasic, KNNWithMeans, KNNWithZScore and KNNBaseline of Surprise (Hug 2020, "Surprise: a Python library for
    recommender systems"); the baseline form is equation 3 of Koren 2010, "Factor in the neighbors".
    """

    name = "knn"
    predicts_ratings = True
    ranks_new_users = True
    gives_evidence = True

    def __init__(self, params: KnnParams) -> None:
        super().__init__(params)
        self.gives_evidence = params.item_based
        self.ranks_new_users = params.item_based and (params.algorithm != "baseline" or params.baseline.method == "als")

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> NeighbourRanker:
        """The similarities, computed by Surprise."""
        from recprofile_surprise.fit_neighbours import fit_knn

        return fit_knn(data, self.params)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> NeighbourRanker:
        """The Ranker that was packed."""
        return NeighbourRanker.unpack(pack)
