"""The profiles' own recommender: the inner product of user and item in the fused space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recprofile.builtin.inner import InnerProducts
from recprofile.plugin import (
    BoolArray,
    Context,
    Dataset,
    FloatArray,
    Inputs,
    IntArray,
    Pack,
    Params,
    Profiles,
    Ranker,
    Recommender,
    RunError,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class DotParams(Params):
    pass


@dataclass(frozen=True, eq=False)
class DotRanker(Ranker):
    """Scores by user_vectors · item_vectors; an item whose vector is zero is not ranked (-inf)."""

    profiles: Profiles
    device: str = "cpu"

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32."""
        scores = self._products.of(self.profiles.user_vectors[users])
        scores[:, self._blank] = -np.inf
        return scores

    @cached_property
    def _blank(self) -> BoolArray:
        return np.logical_not(self.profiles.item_vectors.any(axis=1))

    @cached_property
    def _products(self) -> InnerProducts:
        return InnerProducts(self.profiles.item_vectors, users=len(self.profiles.user_vectors), device=self.device)

    def known_users(self) -> BoolArray:
        """Users of whom the profile knows something."""
        return self.profiles.known

    def evidence(self, users: IntArray, items: IntArray) -> csr_array | None:
        """Each history item's part in the blocks that follow from history, (n_pairs, n_items) CSR; None if none does.

        A row sums to the score less the other blocks; those are in `block_evidence`.
        """
        return self.profiles.history_scores(users, items) if self.profiles.tells_history else None

    def additive(self) -> bool:
        """Not where a model was folded in: without one item it would weigh the others anew."""
        return all(block.fold_in is None for block in self.profiles.blocks)

    def block_evidence(self, users: IntArray, items: IntArray) -> Mapping[str, FloatArray] | None:
        """Each block's part of the score, (n_pairs,) by block name; they sum to the score."""
        parts = self.profiles.block_scores(users, items)
        return {block.name: parts[:, at] for at, block in enumerate(self.profiles.blocks)} or None

    def pack(self) -> Pack:
        """Nothing: the profiles come from the stage's inputs."""
        return Pack()


class Dot(Recommender[DotParams]):
    """Rank items by the inner product of user and item vectors in the profiles' fused space.

    Nothing is learnt; an item needs a vector and no events.
    """

    name = "dot"
    needs_profiles = True
    ranks_new_items = True
    gives_evidence = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker over the profiles; raises RunError RP404 when no stage gave any."""
        if inputs.profiles is None:
            raise RunError.of("RP404", "'dot' needs profiles", help=("add a 'fuse' stage before it",))
        return DotRanker(inputs.profiles, ctx.device)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The same as `fit`."""
        return self.fit(data, inputs, ctx)
