"""`gated`: each user's own weights of blocks, by a gate that looks at their profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recprofile.builtin.fuse.choice import choose
from recprofile.builtin.fuse.gate import State, gate_inputs, gate_state, gate_weights, scale_of, standardised
from recprofile.builtin.fuse.layout import Placed, laid_out
from recprofile.builtin.fuse.lesson import Lesson, lesson_of, same_dimensions
from recprofile.builtin.fuse.sides import Histories, Part
from recprofile.builtin.fuse.weighted import WeightedParams, balanced_parts, expect_named, spread_of
from recprofile.plugin import Context, Dataset, Encoded, Field, FloatArray, Fuser, Profiles

LEVELS = {
    "weights of blocks": ("log_weights", "temperature"),
    "weights of blocks by user": ("log_weights", "temperature", "inner", "bias", "outer"),
}


class GatedParams(WeightedParams):
    hidden: int = Field(16, ge=1, le=1024, description="Units of the gate's one hidden layer.")
    components: int = Field(
        4, ge=0, le=64, description="Principal axes of each block along which the gate sees a user's vector."
    )
    epochs: int = Field(40, ge=1, le=1000, description="Most passes over the users that the gate is learnt from.")
    learning_rate: float = Field(0.02, gt=0, le=1, description="Step size of Adam.")
    sample: int = Field(5000, ge=10, le=1_000_000, description="Most users that the gate is learnt from.")


class Gated(Fuser[GatedParams]):
    """Blocks that weigh by user what a gate says of that user: a mixture of experts, each block being one.

    A score is Σ_b w_ub s_b(u, i), s_b as in `weighted`, with w_u = W·softmax_b(log w_b + g_b(z_u)) over the blocks that
    know anything of the user, and W = Σ_b w_b. z_u holds log(1 + events), and for each block that follows from history
    how long the user's vector is before it is brought to length 1 (how much of one mind the history is, or how sure the
    model), and for each block of items alone where it points along the block's first `components` principal axes, all
    standardised; g is a net with one hidden layer of
    `hidden` tanh units.

    w and g are learnt on the validation part, the blocks being those of the data without it (`Context.refit`): they
    minimise each user's mean of −log softmax of held-out positives among all items new to the user (4096 drawn ones in
    a larger catalogue). Halves of the users judge one another: the epochs are those at which the loss of the other half
    is least, and first w for all alike, then g too, is taken only where NDCG@10 of the other half gains more than its
    standard error; else weights stay as they are given, which is noted. Without validation events nothing is learnt (a
    warning).

    Weights by user stand in profiles, and a block's overall weight is their mean over the users that are known. Later
    events move profiles and their weights (`update: fold-in`, exactly, the gate held fixed); a block that follows from
    no history keeps its vectors.

    Sources: Hou et al. 2022, "UniSRec" (a gated mixture of experts over text); Xi et al. 2023, "KAR" (experts gated per
    user).
    """

    name = "gated"

    def __init__(self, params: GatedParams) -> None:
        super().__init__(params)
        self.needs_time = params.half_life_days is not None
        self.earlier: Mapping[str, NDArray[Any]] | None = None  # what the same stage learnt on all the data

    def settled(self, result: Profiles) -> Self:
        """With what was learnt."""
        made = type(self)(self.params)
        made.earlier = result.learnt
        return made

    def fuse(self, encoded: Mapping[str, Encoded], data: Dataset, ctx: Context) -> Profiles:
        """Profiles of all users and items; raises RunError RP601 for a weight of a stage that is not fused."""
        p = self.params
        expect_named(p.weights, encoded)
        if self.earlier is not None and same_dimensions(self.earlier, encoded):
            return self.again(self.earlier, encoded, data, ctx)
        histories = Histories(data, p)
        parts = dict(balanced_parts(encoded, data, histories, p))
        given = np.array([p.weights.get(name, 1.0) for name in encoded], np.float32)
        learnt: dict[str, NDArray[Any]] = {
            "spread": np.array([spread_of(part, p) for part in parts.values()]),
            "weight": given,
        }
        lesson = lesson_of(data, encoded, ctx, most=p.sample) if given.any() and data.n_users else None
        state: State = {}
        if lesson is not None:
            state = gate_state(parts, steady=lesson.steady, components=p.components)
            learnt |= self._lessons(lesson, state, given, ctx)
        if "outer" in learnt:
            inputs = gate_inputs(parts, data, state)
            learnt |= dict(zip(("mean", "deviation"), scale_of(inputs), strict=True))
            learnt |= {f"state/{name}": values for name, values in state.items()}
            weights = _by_user(learnt, parts, data)
            known = weights.any(axis=1)
            learnt["weight"] = weights[known].mean(axis=0, dtype=np.float64).astype(np.float32)
            ctx.note("deviation of weights by user", _rounded(parts, weights[known].std(axis=0)))
        if lesson is not None:
            ctx.note("weights", _rounded(parts, learnt["weight"]))
        return _fused(learnt, parts, data, histories, ctx)

    def again(
        self, learnt: Mapping[str, NDArray[Any]], encoded: Mapping[str, Encoded], data: Dataset, ctx: Context
    ) -> Profiles:
        """With the same gate."""
        histories = Histories(data, self.params)
        return _fused(learnt, dict(balanced_parts(encoded, data, histories, self.params)), data, histories, ctx)

    def _lessons(
        self, lesson: Lesson, state: Mapping[str, NDArray[Any]], given: FloatArray, ctx: Context
    ) -> dict[str, NDArray[Any]]:
        from recprofile.builtin.fuse.descent import Course
        from recprofile.builtin.fuse.gate_learner import GateLearner

        p, fit = self.params, lesson.data
        parts = dict(balanced_parts(lesson.encoded, fit, Histories(fit, p), p))
        inputs = gate_inputs(parts, fit, state)
        spreads = {name: spread_of(part, p) for name, part in parts.items()}
        seen = standardised(inputs, *scale_of(inputs))
        learner = GateLearner(parts, spreads, given, seen, hidden=p.hidden, device=ctx.device, seed=ctx.seed)
        taken, values = choose(learner, lesson, LEVELS, Course(p.epochs, p.learning_rate, ctx.seed), ctx)
        if "by user" in taken:
            return {**values, "total": np.array([given.sum()])}
        share = np.exp(values["log_weights"].astype(np.float64))
        return {"weight": (share / share.sum() * float(given.sum())).astype(np.float32)}


def _by_user(learnt: Mapping[str, NDArray[Any]], parts: Mapping[str, Part], data: Dataset) -> FloatArray:
    """(n_users, n_blocks)."""
    state = {name.removeprefix("state/"): v for name, v in learnt.items() if name.startswith("state/")}
    inputs = standardised(gate_inputs(parts, data, state), learnt["mean"], learnt["deviation"])
    return gate_weights(learnt, inputs, parts, float(learnt["total"][0]))


def _fused(
    learnt: Mapping[str, NDArray[Any]], parts: Mapping[str, Part], data: Dataset, histories: Histories, ctx: Context
) -> Profiles:
    by_user = _by_user(learnt, parts, data) if "outer" in learnt else None
    placed = [
        Placed(
            name, part, float(learnt["weight"][at]), float(learnt["spread"][at]),
            None if by_user is None else by_user[:, at],
        )
        for at, (name, part) in enumerate(parts.items())
    ]  # fmt: skip
    dim = sum(part.dim for part in parts.values())
    return laid_out(placed, data, ctx=ctx, dim=dim, history=histories.used, learnt=learnt)


def _rounded(parts: Mapping[str, Part], values: FloatArray) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in zip(parts, values, strict=True)}
