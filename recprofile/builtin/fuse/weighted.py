"""`weighted`: a weighted sum of blocks in comparable units; what other fusers start from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from recprofile.builtin.fuse.layout import Placed, laid_out
from recprofile.builtin.fuse.sides import Histories, Part, complete_parts, deviation
from recprofile.builtin.history import HistoryParams
from recprofile.plugin import (
    Context,
    Dataset,
    Encoded,
    Field,
    Fuser,
    NamesInputs,
    Profiles,
    RunError,
    did_you_mean,
)

Weights = Annotated[dict[str, Annotated[float, Field(ge=0)]], NamesInputs()]
CENTRE = "Subtract the mean vector of the training items (or users) from a block of items (or users) alone."


class WeightedParams(HistoryParams):
    weights: Weights = Field(
        default={}, description="Stage id → weight of its block, 0 or more; a stage that is not named weighs 1."
    )
    balance: Literal["spread", "cosine"] = Field(
        "spread",
        description="What a weight multiplies: spread: the block's scores at deviation 1 over all users and items, so "
        "that vectors of a model keep their lengths, which say how sure it is; cosine: the block's cosine.",
    )
    centre: bool = Field(True, description=CENTRE)


class Weighted(Fuser[WeightedParams]):
    """A weighted sum of blocks: a score is Σ_b weight_b · s_b(user, item), each s_b in a unit that can be compared.

    Blocks of items (or users) alone are brought to length 1 on both sides, so that s_b is a cosine. With
    `balance: spread`, blocks of both keep their lengths, and every block is divided by the deviation of its scores;
    with `balance: cosine`, those of both are brought to length 1 too, and no block is divided.

    What is missing is masked: a user's blocks share the weight of those that know nothing of them, in proportion, and
    an item that a block does not know, but another does, has the block's mean vector, with which every user's score is
    their mean in that block. Later events move pooled blocks and those of models (`update: fold-in`).
    """

    name = "weighted"

    def __init__(self, params: WeightedParams) -> None:
        super().__init__(params)
        self.needs_time = params.half_life_days is not None

    def fuse(self, encoded: Mapping[str, Encoded], data: Dataset, ctx: Context) -> Profiles:
        """Profiles of all users and items; raises RunError RP601 for a weight of a stage that is not fused."""
        expect_named(self.params.weights, encoded)
        histories, dim = Histories(data, self.params), sum(one.dim for one in encoded.values())
        parts = balanced_parts(encoded, data, histories, self.params)
        placed = (
            Placed(name, part, self.params.weights.get(name, 1.0), spread_of(part, self.params)) for name, part in parts
        )
        return laid_out(placed, data, ctx=ctx, dim=dim, history=histories.used)


def balanced_parts(
    encoded: Mapping[str, Encoded], data: Dataset, histories: Histories, p: WeightedParams
) -> Iterator[tuple[str, Part]]:
    """The blocks as `weighted` completes them: of length 1, but for those of models that keep theirs."""
    keep = p.balance == "spread"
    return complete_parts(encoded, data, histories, normalise=True, centre=p.centre, keep_models=keep)


def spread_of(part: Part, p: WeightedParams) -> float:
    """What the block's scores are divided by."""
    return deviation(part) if p.balance == "spread" else 1.0


def expect_named(weights: Mapping[str, float], encoded: Mapping[str, Encoded], *, of: str = "weights") -> None:
    """Raises RunError RP601 where a parameter names a stage that is not fused."""
    for name in weights:
        if name not in encoded:
            helps = did_you_mean(name, encoded, label="stages it is given")
            raise RunError.of("RP601", f"'{name}' in '{of}' is not among the stages fused", help=helps)
