"""The ranker of models that end in an inner product of user and item vectors."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from recprofile.builtin.inner import InnerProducts
from recprofile.plugin import BoolArray, Dataset, FloatArray, IntArray, Ranker

USERS = 2048  # whose vectors are made at once


@dataclass(frozen=True, eq=False)
class VectorRanker(Ranker):
    """Scores by user · item + bias; a subclass says how a user's vector is made.

    `items` (n_items, d) and `bias` (n_items,) float32; `ranks` bool (n_items,), False for items that it cannot rank
    (-inf). `epochs` are those that it was learnt in.
    """

    data: Dataset
    items: FloatArray
    bias: FloatArray
    ranks: BoolArray
    device: str
    epochs: int | None = field(default=None, kw_only=True)

    @abstractmethod
    def vectors(self, people: Dataset, users: IntArray) -> FloatArray:
        """Vectors of these users of data with the same items, (len(users), d) float32."""

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32; -inf for items that it cannot rank."""
        return self._scored(self.data, users)

    def scores_of(self, people: Dataset) -> FloatArray:
        """The same for people who are not in the data, (people.n_users, n_items) float32."""
        return self._scored(people, np.arange(people.n_users, dtype=np.int32))

    def _scored(self, people: Dataset, users: IntArray) -> FloatArray:
        out = np.empty((len(users), len(self.items)), np.float32)
        for a in range(0, len(users), USERS):
            out[a : a + USERS] = self._products.of(self.vectors(people, users[a : a + USERS]))
        out += self.bias
        out[:, ~self.ranks] = -np.inf
        return out

    @cached_property
    def _products(self) -> InnerProducts:
        return InnerProducts(self.items, users=self.data.n_users, device=self.device)
