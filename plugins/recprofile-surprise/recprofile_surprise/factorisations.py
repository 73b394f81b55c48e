"""`surprise/svd`, `surprise/svdpp` and `surprise/nmf`: ratings from factors of users and items."""

from __future__ import annotations

from recprofile.plugin import Context, Dataset, Field, Inputs, Pack, Params, Recommender, model_validator, refusal
from recprofile_surprise.factors import FactorRanker


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
    initial_mean: float = Field(default=0, ge=-100, le=100, description="Mean of the factors at first, -100 to 100.")
    initial_deviation: float = Field(
        default=0.1, ge=0, le=100, description="Standard deviation of the factors at first, 0 to 100."
    )


class Svd(Recommender[SvdParams]):
    """Ratings from factors of users and items, learnt by stochastic gradient descent.

    Learns from all training events, positive or not, with their weights as ratings; several events of one pair count as
    one rating, their mean. A prediction is mean + b_u + b_i + q_i·p_u and equals Surprise's own for the same pair and
    seed, clipped to the lowest and highest rating seen; lists are ranked by the same number before clipping. What
    belongs to a user or item without training events counts as 0; without biases such a pair gets the mean rating.

    Raises DataError RP505 when there are no training events, RP503 for a weight that is not finite, and RunError RP601
    when the descent diverges, RP604 when ratings and factors do not fit into memory.

    Source: SVD of Surprise (Hug 2020, "Surprise: a Python library for recommender systems"); Koren, Bell & Volinsky
    2009, "Matrix factorization techniques for recommender systems".
    """

    name = "svd"
    predicts_ratings = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> FactorRanker:
        """The factors, learnt by Surprise."""
        from recprofile_surprise.fit_factors import fit_svd

        return fit_svd(data, self.params, ctx)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> FactorRanker:
        """The Ranker that was packed."""
        return FactorRanker.unpack(pack)


class SvdppParams(Params):
    dim: int = Field(default=20, ge=1, le=4096, description="Factors of each user and item, 1 to 4096.")
    epochs: int = Field(default=20, ge=1, le=10_000, description="Passes over all ratings, 1 to 10000.")
    learning_rate: float = Field(
        default=0.007, gt=0, le=0.5, description="Step of the gradient descent, for biases and factors, above 0 to 0.5."
    )
    l2: float = Field(
        default=0.02, ge=0, le=100, description="Weight of the squared norm of biases and factors, 0 to 100."
    )
    initial_mean: float = Field(default=0, ge=-100, le=100, description="Mean of the factors at first, -100 to 100.")
    initial_deviation: float = Field(
        default=0.1, ge=0, le=100, description="Standard deviation of the factors at first, 0 to 100."
    )


class Svdpp(Recommender[SvdppParams]):
    """Ratings from factors, a user's being moved by those of every item that the user has rated.

    Learns from all training events, positive or not, with their weights as ratings; several events of one pair count as
    one rating, their mean. A prediction is mean + b_u + b_i + q_i·(p_u + Σ y_j / √n_u) over the n_u items j that the
    user has rated, and equals Surprise's own for the same pair and seed, clipped to the lowest and highest rating seen;
    lists are ranked by the same number before clipping. What belongs to a user or item without training events counts
    as 0. An epoch takes about as long as one of `svd`: a step moves the y_j of all of a user's items by the same, and
    so they are moved once a user instead of once a rating.

    Raises DataError RP505 when there are no training events, RP503 for a weight that is not finite, and RunError RP601
    when the descent diverges, RP604 when ratings and factors do not fit into memory.

    Source: SVDpp of Surprise (Hug 2020, "Surprise: a Python library for recommender systems"); Koren 2008,
    "Factorization meets the neighborhood".
    """

    name = "svdpp"
    predicts_ratings = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> FactorRanker:
        """The factors, learnt in the loops of Surprise."""
        from recprofile_surprise.fit_implicit import fit_svdpp

        return fit_svdpp(data, self.params, ctx)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> FactorRanker:
        """The Ranker that was packed."""
        return FactorRanker.unpack(pack)


class NmfParams(Params):
    dim: int = Field(default=15, ge=1, le=4096, description="Factors of each user and item, 1 to 4096.")
    epochs: int = Field(default=50, ge=1, le=10_000, description="Passes over all ratings, 1 to 10000.")
    biased: bool = Field(
        default=False,
        description="Mean and biases of user and item are part of a prediction; false: the factors alone.",
    )
    l2_users: float = Field(default=0.06, ge=0, le=100, description="Weight of the users' squared factors, 0 to 100.")
    l2_items: float = Field(default=0.06, ge=0, le=100, description="Weight of the items' squared factors, 0 to 100.")
    l2_biases: float = Field(default=0.02, ge=0, le=100, description="Weight of the squared biases, 0 to 100.")
    learning_rate: float = Field(
        default=0.005, gt=0, le=1, description="Step of the gradient descent of the biases, above 0 to 1."
    )
    initial_low: float = Field(default=0, ge=0, le=100, description="Least value of a factor at first, 0 to 100.")
    initial_high: float = Field(
        default=1, gt=0, le=100, description="Greatest value of a factor at first, above 0 to 100."
    )

    @model_validator(mode="after")
    def _low_below_high(self) -> NmfParams:
        if self.initial_low >= self.initial_high:
            message = f"'initial_low' is {self.initial_low} and 'initial_high' is {self.initial_high}: it must be less"
            raise refusal("RP205", message, value="initial_low")
        return self


class Nmf(Recommender[NmfParams]):
    """Ratings from factors of users and items that are never negative.

    A prediction is q_i·p_u, and equals Surprise's own for the same pair and seed, clipped to the lowest and highest
    rating seen; `biased` adds mean + b_u + b_i. Each epoch multiplies all factors by the ratio that lowers the error.
    Learns from all training events, positive or not, with their weights as ratings; several events of one pair count as
    one rating, their mean. Lists are ranked by predictions before clipping. A pair whose user or item has no training
    event gets the mean rating, with `biased` moved by the bias of the side that is known.

    Raises DataError RP505 when there are no training events, RP503 for a weight that is negative or not finite, and
    RunError RP601 when the biases diverge, RP604 when ratings and factors do not fit into memory.

    Source: NMF of Surprise (Hug 2020, "Surprise: a Python library for recommender systems"); Luo et al. 2014, "An
    efficient non-negative matrix-factorization-based approach to collaborative filtering for recommender systems".
    """

    name = "nmf"
    predicts_ratings = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> FactorRanker:
        """The factors, learnt by Surprise."""
        from recprofile_surprise.fit_factors import fit_nmf

        return fit_nmf(data, self.params, ctx)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> FactorRanker:
        """The Ranker that was packed."""
        return FactorRanker.unpack(pack)
