"""Items without events: what users did, carried over to them by content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np

from recprofile.builtin.recommend.content import BlockParams
from recprofile.builtin.recommend.graded import GradedParams, graded_history
from recprofile.builtin.recommend.linear import LinearRanker, weights_in
from recprofile.plugin import (
    BoolArray,
    Context,
    Dataset,
    Field,
    FloatArray,
    FoldIn,
    Inputs,
    IntArray,
    NamesInputs,
    Pack,
    Ranker,
    Recommender,
    RunError,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class ContentRidgeParams(GradedParams, BlockParams):
    blocks: Annotated[dict[str, Annotated[float, Field(gt=0)]], NamesInputs()] = Field(
        default={},
        description="Encode stage id → weight of its vectors in the content kernel; of one not named: chosen on folds.",
    )
    sharpness: float | None = Field(
        None,
        gt=0,
        le=100,
        description="How fast likeness falls with distance: exp(-sharpness·D / median D), D the squared distance; "
        "null: chosen on folds.",
    )
    ridge: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="Ridge on the kernel, of an item with 30 events: how far content is trusted; null: chosen on "
        "folds.",
    )
    ridge_growth: float = Field(
        0.15, ge=0, le=1, description="How the ridge grows with an item's events n: ridge·((n + 1) / 30)^ridge_growth."
    )
    linear: float | None = Field(
        None,
        ge=0,
        le=1e3,
        description="Weight of what EASE makes of a history in the scores that are carried over; null: chosen on "
        "folds.",
    )
    l2: float = Field(150.0, gt=0, le=1e9, description="Weight of the squared norm in that EASE, in events.")
    factors: float | None = Field(
        None,
        ge=0,
        le=1e3,
        description="Weight of what iALS makes of a history in the scores that are carried over; null: chosen on "
        "folds.",
    )
    dim: int = Field(64, ge=1, le=1024, description="Dimensions of that iALS.")
    folds: int = Field(
        5, ge=2, le=50, description="Folds of items whose events are taken away, to choose by what is left open."
    )


@dataclass(frozen=True, eq=False)
class ContentRanker(Ranker):
    """The sum of a linear part, history · W, and of a part by factors, x_u · z_i, with x_u folded in from the history.

    `items_by` (n_items, d) are the vectors that users are folded in against, `carried` (n_items, d) those that they are
    scored with; None: no such part. `chosen` are the settings.
    """

    linear: LinearRanker
    p: ContentRidgeParams
    chosen: Mapping[str, Any]
    items_by: FloatArray | None = None
    carried: FloatArray | None = None
    users_by: FloatArray | None = None

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32; -inf for items without a vector."""
        scores = self.linear.scores(users)
        if self.users_by is not None and self.carried is not None:
            scores += self.users_by[users] @ self.carried.T
        return scores

    def scores_of(self, people: Dataset) -> FloatArray:
        """The same for the users of other data with the same items, (people.n_users, n_items) float32."""
        scores = self.linear.scores_of(people)
        if self.items_by is not None and self.carried is not None:
            scores += folded(people, self.p).solve(self.items_by) @ self.carried.T
        return scores

    def known_users(self) -> BoolArray:
        """Users with a training event that counts."""
        return self.linear.known_users()

    def evidence(self, users: IntArray, items: IntArray) -> csr_array:
        """Each history item's part, (n_pairs, n_items) float32 CSR; a row sums to the score."""
        parts = self.linear.evidence(users, items)
        if self.items_by is None or self.carried is None:
            return parts
        return parts + folded(self.linear.data, self.p).parts(self.items_by, users, items, targets=self.carried)

    def additive(self) -> bool:
        """Not with factors: without one item they would weigh the others anew."""
        return self.carried is None

    def pack(self) -> Pack:
        """Weights and factors; history comes from the data."""
        arrays = {**self.linear.pack().arrays, "ranks": self.linear.ranks}
        for name in ("items_by", "carried", "users_by"):
            if (array := getattr(self, name)) is not None:
                arrays[name] = array
        return Pack(arrays, values={"chosen": dict(self.chosen)})


class ContentRidge(Recommender[ContentRidgeParams]):
    """Give items without events the scores that events would have given them, by kernel ridge from content.

    With h_u the graded history, Y = h + linear·h B + factors·x Vᵀ are the scores of the training items w: B = EASE(l2)
    and x Vᵀ = iALS, both on h, smooth what single users happened to take. They are carried over by content:

        score = Y_w A,  A = (K_ww + diag ridge·((n + 1) / 30)^ridge_growth)⁻¹ K_w·

    with K the content kernel of the encode stages in `from` (see `content_kernel`) and n an item's events. All items
    with a vector are ranked, those with events too, by what others of their kind get. What is left open is chosen on
    folds of items whose events are taken away, one setting after the other, a change only where its mean gain over the
    folds is above two standard errors: one validation cut misleads by up to .10 of NDCG@10. Takes n_items² · 4 bytes
    six times over while fitting; refuses with RunError RP604 where that is not free, and with RP404 without an encode
    stage.

    Source: kernel ridge regression (Saunders et al. 1998); smoothing targets by a collaborative model first, as in
    Gantner et al. 2010, "Learning attribute-to-feature mappings for cold-start recommendations".
    """

    name = "content-ridge"
    needs_items = True
    ranks_new_users = True
    ranks_new_items = True
    gives_evidence = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The carried-over weights and factors."""
        from recprofile.builtin.recommend.content_fit import fit_content

        if not inputs.encoded:
            helps = ("name encode stages in 'from'",)
            raise RunError.of("RP404", "'content-ridge' needs what items are about", help=helps)
        made = fit_content(data, inputs, self.params, ctx)
        linear = linear_part(data, made.weights, made.ranks, self.params)
        assert made.setting is not None
        chosen = made.setting.noted()
        return ContentRanker(linear, self.params, chosen, made.items_by, made.carried, made.users_by)

    def settled(self, result: Ranker) -> Self:
        """With the settings that were left open as the ranker has them."""
        assert isinstance(result, ContentRanker)
        return type(self)(self.params.model_copy(update=dict(result.chosen)))

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        a = pack.arrays
        linear = linear_part(data, weights_in(pack, data.n_items), a["ranks"], self.params)
        return ContentRanker(
            linear, self.params, pack.values["chosen"], a.get("items_by"), a.get("carried"), a.get("users_by")
        )


def linear_part(data: Dataset, weights: FloatArray | csr_array, ranks: BoolArray, p: GradedParams) -> LinearRanker:
    """The part that is linear in the history."""
    return LinearRanker(data, weights, ranks, partial(graded_history, p=p))


def folded(data: Dataset, p: ContentRidgeParams) -> FoldIn:
    """The equations of the users' factors, on the data's history: those of `als` by its defaults."""
    from recprofile.builtin.encode.als import AlsParams
    from recprofile.builtin.encode.als_ridge import L2

    als = AlsParams(dim=p.dim, l2=L2, weighted=True)
    history = graded_history(data, p=p)
    history.data = 1 + np.float32(als.alpha) * history.data
    return FoldIn(history, als.alpha, L2, als.nu)
