"""Events with profiles that were made without them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recprofile.plugin import Block, BoolArray, Context, Dataset, FloatArray, IntArray, Profiles


@dataclass(frozen=True, eq=False)
class Fold:
    """Positive events, `user` and `item` of equal length, and the vectors of profiles made of the other events."""

    user: IntArray
    item: IntArray
    user_vectors: FloatArray
    item_vectors: FloatArray


def folds(data: Dataset, whole: Profiles, ctx: Context, *, count: int) -> Iterator[Fold]:
    """The positive training events in `count` parts by chance, each with profiles of the rest, turned to `whole`.

    Each profile is made by the stages before this one (`Context.refit`), once a part.
    """
    part = ctx.rng().integers(count, size=len(data.train))
    for n in range(count):
        hidden = (part == n) & data.train.positive
        if hidden.any():
            profiles = ctx.refit(without(data, hidden)).profiles
            assert profiles is not None  # the same stages gave `whole`
            events = data.train.take(hidden)
            yield Fold(events.user, events.item, *turned(profiles, whole))


def without(data: Dataset, hidden: BoolArray) -> Dataset:
    """The data less these training events, bool one per event; what is held for validation stays held."""
    train, held = data.train.take(~hidden), data.held[~hidden]
    return data.revise(train=train, held=held, valid=train.take(held))


def turned(profiles: Profiles, whole: Profiles) -> tuple[FloatArray, FloatArray]:
    """User and item vectors of `profiles` in the space of `whole`, (n_users, d) and (n_items, d).

    Block by block, by the rotation R that makes |items R - whole's items| least; inner products stay as they are where
    a block has no more dimensions than in `whole`. A block that `profiles` lack is 0.
    """
    users = np.zeros((len(profiles.users), whole.dim), np.float32)
    items = np.zeros((len(profiles.items), whole.dim), np.float32)
    theirs = {block.name: block for block in profiles.blocks}
    for block in whole.blocks:
        if block.name in theirs:
            mine, to = columns(theirs[block.name]), columns(block)
            left, _, right = np.linalg.svd(
                profiles.item_vectors[:, mine].T.astype(np.float64) @ whole.item_vectors[:, to], full_matrices=False
            )
            rotation = (left @ right).astype(np.float32)
            users[:, to] = profiles.user_vectors[:, mine] @ rotation
            items[:, to] = profiles.item_vectors[:, mine] @ rotation
    return users, items


def columns(block: Block) -> slice:
    """A block's columns of the fused space."""
    return slice(block.start, block.stop)
