"""A plugin of recprofile: profiles that are the sum of what a user liked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recprofile.plugin import Block, Context, Dataset, Encoded, Field, Fuser, Params, Profiles, RunError, hookimpl


class LikesParams(Params):
    weight: float = Field(1.0, gt=0, le=1000, description="Factor of every user's vector.")


class Likes(Fuser[LikesParams]):
    """Users as the sum of the vectors of their positive items: one block per encode stage, side by side.

    A stage that has no item vectors cannot be pooled. Raises RunError RP404 when none is left.
    """

    name = "likes"

    def fuse(self, encoded: Mapping[str, Encoded], data: Dataset, ctx: Context) -> Profiles:
        """Profiles whose blocks are pooled from history, so that evidence by history item is exact."""
        parts = {id: one.items.vectors for id, one in encoded.items() if one.items is not None}
        if not parts:
            raise RunError.of("RP404", "no stage of 'from' has item vectors")
        history = data.positives()
        items = np.concatenate(list(parts.values()), axis=1)
        users = np.asarray(history @ items, np.float32) * np.float32(self.params.weight)
        pool = np.full(data.n_users, self.params.weight, np.float32)
        ends = np.cumsum([vectors.shape[1] for vectors in parts.values()])
        starts = np.concatenate([[0], ends[:-1]])
        blocks = tuple(
            Block(id, int(start), int(end), 1.0, pool) for id, start, end in zip(parts, starts, ends, strict=True)
        )
        known = np.diff(history.indptr) > 0
        return Profiles(data.users.ids, data.items.ids, users, items, blocks, known, history)


@hookimpl
def recprofile_fusers() -> list[type[Fuser[LikesParams]]]:
    return [Likes]
