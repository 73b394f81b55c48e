"""`attention`: which items of a history speak for a user, and which blocks, learnt on a ranking loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from recprofile.builtin.fuse.attended import Blocks, State, attend, feature_names, feature_state, features, places
from recprofile.builtin.fuse.choice import choose
from recprofile.builtin.fuse.layout import Placed, laid_out
from recprofile.builtin.fuse.lesson import Lesson, lesson_of, same_dimensions
from recprofile.builtin.fuse.sides import Histories, Part, pooled
from recprofile.builtin.fuse.weighted import WeightedParams, balanced_parts, expect_named, spread_of
from recprofile.plugin import Context, Dataset, Encoded, Field, FloatArray, FoldIn, Fuser, Profiles

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LEVELS = {
    "weights of blocks": ("log_weights", "temperature"),
    "weights of blocks and history": ("log_weights", "temperature", "theta"),
}


class AttentionParams(WeightedParams):
    keys: int = Field(
        4, ge=0, le=64, description="Principal components of each block of items alone that the shared query looks at."
    )
    epochs: int = Field(40, ge=1, le=1000, description="Most passes over the users that weights are learnt from.")
    learning_rate: float = Field(0.05, gt=0, le=1, description="Step size of Adam.")
    sample: int = Field(5000, ge=10, le=1_000_000, description="Most users that weights are learnt from.")


class Attention(Fuser[AttentionParams]):
    """Profiles whose history items and blocks weigh what ranks held-out events best: attention by a learnt query.

    A user's part of a pooled block is Σ_j a_uj y_j, brought to length 1, with a_uj = softmax_j(log h_uj + θ·φ_uj): h
    are the plain history weights (`grade`, `half_life_days`), and φ says how many items came after j, where its rating
    stands among the user's, how often it is liked, its cosine with the user's mean vector in each block (the user's own
    query), and its first `keys` principal components in each block of items alone (the keys of a query that all
    share). In a block of a model that says how its users follow from history (`als`), a_uj multiplies the confidence:
    c_uj = 1 + (c_uj − 1)·n_u·a_uj, n_u being the items of the history. A score is Σ_b w_b s_b(u, i), as in `weighted`,
    whose parameters are where learning starts.

    θ and w are learnt on the validation part, the blocks being those of the data without it (`Context.refit`): they
    minimise each user's mean of −log softmax of held-out positives among all items new to the user (4096 drawn ones in
    a larger catalogue). Halves of the users judge one another: the epochs are those at which the loss of the other half
    is least, and first w, then θ too, is taken only where NDCG@10 of the other half gains more than its standard error;
    else weights stay as they are given, which is noted. Without validation events nothing is learnt (a warning).

    Where history is attended to, a model's users are solved anew, 0.2 ms each for 64 dimensions and 100 items. On
    MovieLens-100K it learns in 25 s and ranks better than `weighted` where the split is by time or by items; on random
    splits it finds nothing to gain.

    The weights of history items are the profile's `history`; those of blocks are noted, and stand in profiles, where a
    block that is missing for a user leaves its weight to the others. Later events move profiles (`update: fold-in`,
    exactly, what was learnt held fixed; `pooled` cannot attend). The query does not see the candidate, so that a
    profile is a vector that can be stored; `product` weighs history by the candidate in closed form.

    Sources: attention as a pooling of history: Yang et al. 2016, "Hierarchical attention networks" (a learnt query),
    He et al. 2018, "NAIS"; position as a learnt bias: Raffel et al. 2020.
    """

    name = "attention"

    def __init__(self, params: AttentionParams) -> None:
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
        blocks = _blocks(encoded, data, p)
        spreads = np.array([spread_of(part, p) for part in blocks.parts.values()])
        given = np.array([p.weights.get(name, 1.0) for name in encoded], np.float32)
        learnt: dict[str, NDArray[Any]] = {"spread": spreads, "weight": given}
        lesson = lesson_of(data, encoded, ctx, most=p.sample) if given.any() and data.n_users else None
        state: State = {}
        if lesson is not None:
            state = feature_state(blocks.parts, data, steady=lesson.steady, keys=p.keys)
            learnt |= self._lessons(lesson, state, given, ctx)
        if "theta" in learnt:
            names = feature_names(encoded, state)
            told = zip(names, learnt["theta"].tolist(), strict=True)
            ctx.note("history", {name: round(value, 2) for name, value in told})
            learnt |= {f"state/{name}": np.asarray(values) for name, values in state.items()}
        return self._fused(learnt, data, blocks, ctx)

    def again(
        self, learnt: Mapping[str, NDArray[Any]], encoded: Mapping[str, Encoded], data: Dataset, ctx: Context
    ) -> Profiles:
        """With the same θ and w."""
        return self._fused(learnt, data, _blocks(encoded, data, self.params), ctx)

    def _lessons(
        self, lesson: Lesson, state: Mapping[str, NDArray[Any]], given: FloatArray, ctx: Context
    ) -> dict[str, NDArray[Any]]:
        from recprofile.builtin.fuse.attention_learner import AttentionLearner
        from recprofile.builtin.fuse.descent import Course

        p, fit = self.params, lesson.data
        blocks = _blocks(lesson.encoded, fit, p)
        phi = features(blocks, fit, p, state)
        spreads = {name: spread_of(part, p) for name, part in blocks.parts.items()}
        learner = AttentionLearner(blocks, spreads, given, phi=phi, device=ctx.device)
        taken, values = choose(learner, lesson, LEVELS, Course(p.epochs, p.learning_rate, ctx.seed), ctx)
        share = np.exp(values["log_weights"].astype(np.float64))
        weight = (share / share.sum() * float(given.sum())).astype(np.float32)
        ctx.note("weights", {name: round(float(w), 4) for name, w in zip(blocks.parts, weight, strict=True)})
        found = {"weight": weight}
        return found | {"theta": values["theta"]} if "history" in taken else found

    def _fused(self, learnt: Mapping[str, NDArray[Any]], data: Dataset, blocks: Blocks, ctx: Context) -> Profiles:
        history, parts = blocks.history, blocks.parts
        if "theta" in learnt:
            state = {
                name.removeprefix("state/"): values for name, values in learnt.items() if name.startswith("state/")
            }
            phi = features(blocks, data, self.params, state)
            history = attend(history, phi, learnt["theta"])
            parts = {name: _attended(part, blocks.history, history) for name, part in parts.items()}
        placed = [
            Placed(name, part, float(weight), float(spread))
            for (name, part), weight, spread in zip(parts.items(), learnt["weight"], learnt["spread"], strict=True)
        ]
        dim = sum(part.dim for part in parts.values())
        used = any(part.pool is not None for part in parts.values())
        return laid_out(placed, data, ctx=ctx, dim=dim, history=lambda: history if used else None, learnt=learnt)


def _blocks(encoded: Mapping[str, Encoded], data: Dataset, p: WeightedParams) -> Blocks:
    histories = Histories(data, p)
    return Blocks(encoded, dict(balanced_parts(encoded, data, histories, p)), histories.of_users())


def _attended(part: Part, plain: csr_array, history: csr_array) -> Part:
    """A block whose users follow from history by these weights instead of the plain ones."""
    if part.pool is not None:
        return pooled(part.items, part.there, history, normalise=part.unit)
    if part.fold_in is None:
        return part
    fold_in = _sharpened(part.fold_in, history)
    return replace(part, users=fold_in.solve(part.items), fold_in=fold_in)


def _sharpened(model: FoldIn, history: csr_array) -> FoldIn:
    """The model with each confidence above 1 multiplied by n·a; what is not attended to keeps its own."""
    confidence = model.confidence.copy()
    row = np.repeat(np.arange(confidence.shape[0]), np.diff(confidence.indptr))
    place, attended = places(history, row, confidence.indices)
    many = np.diff(history.indptr)[row]
    times = np.where(attended, history.data[place] * many, 1) if history.nnz else np.ones(len(row))
    confidence.data = (1 + (confidence.data - 1) * times).astype(np.float32)
    return replace(model, confidence=confidence)
