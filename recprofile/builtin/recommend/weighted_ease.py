"""EASE over weighted profiles: graded events, their order, and what items are about, in one closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from recprofile.builtin.recommend.content import ContentParams
from recprofile.builtin.recommend.graded import GradedParams
from recprofile.builtin.recommend.linear import LinearRanker, weights_in
from recprofile.plugin import Context, Dataset, Field, Inputs, Pack, Ranker, Recommender

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class WeightedEaseParams(GradedParams, ContentParams):
    order: Literal["auto", "no", "near", "sequence"] = Field(
        "auto",
        description="Whether the order of a user's events counts: no; near: items belong together the more, the fewer "
        "events lie between them; sequence: that, what came after what, and recency. auto: chosen on the validation "
        "part, and no where events have no time.",
    )
    l2: float | None = Field(
        None,
        gt=0,
        le=1e9,
        description="Weight of the squared norm of B, in events; null: chosen on the validation part.",
    )
    l2_growth: float = Field(
        0.25, ge=0, le=1, description="How l2 grows with an item's events: l2·((G_ii + 1) / mean)^l2_growth."
    )
    prior: float | None = Field(
        None,
        ge=0,
        le=1e9,
        description="Weight of the squared distance of B from what content alone says, in events; null: chosen on the "
        "validation part. Counts only with encode stages in `from`.",
    )
    popularity: float | None = Field(
        None,
        ge=0,
        le=1,
        description="How much popular items are held back: scores times (positive events + 1)^-popularity; null: "
        "chosen on the validation part.",
    )
    activity: float = Field(
        0.2,
        ge=0,
        le=1,
        description="How much active users are held back in G: events times (n_u / mean n)^(-activity/2).",
    )
    recency: float = Field(
        10.0, gt=0, le=1e6, description="In a sequence: later events of the user after which an event's decay is 1/e."
    )
    recency_floor: float = Field(0.2, ge=0, le=1, description="In a sequence: what an event decays to.")
    reach: float = Field(30.0, gt=0, le=1e6, description="With order: events apart at which a pair's decay is 1/e.")
    reach_floor: float = Field(0.4, ge=0, le=1, description="With order: what a pair decays to.")
    backward: float = Field(
        0.5,
        ge=0,
        le=1,
        description="In a sequence: what item i says of j where j came before i, against 1 where after.",
    )


@dataclass(frozen=True, eq=False)
class WeightedRanker(LinearRanker):
    """A LinearRanker over a weighted history; `chosen` are the settings that were left open."""

    chosen: Mapping[str, Any] = field(default_factory=dict)

    def pack(self) -> Pack:
        """The weights and the settings; history comes from the data."""
        return Pack({**super().pack().arrays, "ranks": self.ranks}, values={"chosen": dict(self.chosen)})


class WeightedEase(Recommender[WeightedEaseParams]):
    """Reconstruct each user's graded history by one closed-form linear model, drawn towards what items are about.

    With x_ui = 1 + grade·q for a positive event and low for another, an active user's held back, and T how often what
    came after what, a pair counting k(d) = reach_floor + (1 − reach_floor)·exp(−d / reach) where d events lie between:

        G = T + Tᵀ + diag Σ_u x_ui²
        C = (2 T + 2·backward Tᵀ) / (1 + backward) + diag Σ_u x_ui²
        A = G + diag l2·((G_ii + 1) / mean)^l2_growth + prior·I        P = A⁻¹
        B = P (C + prior·S),  then  B_ij −= P_ij B_jj / P_jj, so that diag B = 0
        score = (h_u B)_i · (positives_i + 1)^-popularity

    S = EASE(K, 1) over the content kernel K of the encode stages in `from` (see `content_kernel`); without any,
    prior = 0. h = x without activity, in a sequence times recency_floor + (1 − recency_floor)·exp(−later events /
    recency). Without a sequence C = G; without order k = 1. Settings left open are chosen on the validation part, one
    after the other, each change by the one-standard-error rule (Breiman et al. 1984); without a validation part they
    are order no, l2 200, prior 150, popularity 0.15. Items with neither positive events nor a vector are not
    ranked. Takes n_items² · 4 bytes six times over while fitting; refuses with RunError RP604 where that is not free.

    Source: Steck 2019, "Embarrassingly shallow autoencoders for sparse data"; the prior as in Moon et al. 2023,
    "It's enough: relaxing diagonal constraints in linear autoencoders", and L3AE (2025); order and grades are ours.
    """

    name = "weighted-ease"
    ranks_new_users = True
    ranks_new_items = True
    gives_evidence = True

    def __init__(self, params: WeightedEaseParams) -> None:
        super().__init__(params)
        self.needs_time = params.order in ("near", "sequence")

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The weights B, and the settings that were left open."""
        from recprofile.builtin.recommend.weighted_fit import fit_weighted

        weights, ranks, chosen = fit_weighted(data, inputs, self.params, ctx)
        return WeightedRanker(data, weights, ranks, self._history(chosen), chosen)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        chosen = pack.values["chosen"]
        return WeightedRanker(data, weights_in(pack, data.n_items), pack.arrays["ranks"], self._history(chosen), chosen)

    def _history(self, chosen: Mapping[str, Any]) -> partial[csr_array]:
        from recprofile.builtin.recommend.weighted_fit import weighted_history

        return partial(weighted_history, p=self.params, order=str(chosen["order"]))
