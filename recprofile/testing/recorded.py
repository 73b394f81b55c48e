"""Rankers for tests: one that ranks by profiles, and one that plays back what another said."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from recprofile.artifacts import BoolArray, Dataset, FloatArray, IntArray, Pack, Profiles
from recprofile.artifacts.pack import join_packs, pack_csr, unpack_csr
from recprofile.components import Ranker

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class ProfileRanker(Ranker):
    """Ranks by the inner product in profiles."""

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles

    def scores(self, users: IntArray) -> FloatArray:
        """Inner products, (len(users), n_items)."""
        return self._profiles.user_vectors[users] @ self._profiles.item_vectors.T

    def known_users(self) -> BoolArray:
        """Users of whom the profiles know something."""
        return self._profiles.known

    def evidence(self, users: IntArray, items: IntArray) -> csr_array:
        """What each history item gives to a pair's score."""
        return self._profiles.history_scores(users, items)

    def pack(self) -> Pack:
        """Nothing of its own."""
        return Pack()


@dataclass(frozen=True)
class Recorded(Ranker):
    """What a ranker said of every pair of a small data set, played back: so a ranker goes to another process."""

    all_scores: FloatArray
    known: BoolArray
    adds_up: bool
    ratings: FloatArray | None = None
    parts: csr_array | None = None
    blocks: Mapping[str, FloatArray] = field(default_factory=dict)

    @classmethod
    def of(cls, ranker: Ranker, data: Dataset) -> Recorded:
        """All that a ranker says of all users and items of these data."""
        if isinstance(ranker, Recorded):
            return ranker
        every = np.arange(data.n_users, dtype=np.int32)
        users = np.repeat(every, data.n_items)
        items = np.tile(np.arange(data.n_items, dtype=np.int32), data.n_users)
        ratings = None
        with suppress(NotImplementedError):
            ratings = ranker.predict(users, items)
        return cls(
            ranker.scores(every),
            ranker.known_users(),
            ranker.additive(),
            ratings,
            ranker.evidence(users, items),
            dict(ranker.block_evidence(users, items) or {}),
        )

    def _pairs(self, users: IntArray, items: IntArray) -> IntArray:
        pairs: IntArray = (users.astype(np.int64) * self.all_scores.shape[1] + items).astype(np.int32)
        return pairs

    def scores(self, users: IntArray) -> FloatArray:
        """The scores that were given."""
        return self.all_scores[users]

    def known_users(self) -> BoolArray:
        """The users who were known."""
        return self.known

    def predict(self, users: IntArray, items: IntArray) -> FloatArray:
        """The ratings that were predicted; NotImplementedError where none were."""
        return super().predict(users, items) if self.ratings is None else self.ratings[self._pairs(users, items)]

    def evidence(self, users: IntArray, items: IntArray) -> csr_array | None:
        """The evidence that was given."""
        return None if self.parts is None else self.parts[self._pairs(users, items)]

    def block_evidence(self, users: IntArray, items: IntArray) -> Mapping[str, FloatArray] | None:
        """The evidence by block that was given."""
        return {name: part[self._pairs(users, items)] for name, part in self.blocks.items()} or None

    def additive(self) -> bool:
        """Whether its evidence added up."""
        return self.adds_up

    def pack(self) -> Pack:
        """All that was recorded."""
        arrays = {"scores": self.all_scores, "known": self.known}
        if self.ratings is not None:
            arrays["ratings"] = self.ratings
        arrays |= {f"block/{name}": part for name, part in self.blocks.items()}
        own = Pack(arrays, values={"adds_up": self.adds_up})
        return join_packs(own=own, parts=None if self.parts is None else pack_csr(self.parts))

    @classmethod
    def unpack(cls, pack: Pack) -> Recorded:
        """The inverse of `pack`."""
        own = pack.part("own")
        return cls(
            own.arrays["scores"],
            own.arrays["known"],
            own.values["adds_up"],
            own.arrays.get("ratings"),
            unpack_csr(pack.part("parts")) if pack.has("parts") else None,
            {name.removeprefix("block/"): a for name, a in own.arrays.items() if name.startswith("block/")},
        )
