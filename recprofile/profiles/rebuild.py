"""Profiles of a few users made anew from their whole history by the recipe's own fuse stage, item vectors held fixed.

This is what an exact updater must give, so its distance from what was stored is the parity that a version reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from recprofile.artifacts import (
    Block,
    BoolArray,
    Dataset,
    Embeddings,
    Encoded,
    FloatArray,
    Profiles,
)
from recprofile.components import Context, Encoder, Fuser
from recprofile.interests import NO_EDITS, gathered_cards
from recprofile.profiles.base import Base, item_side
from recprofile.profiles.stages import component_of
from recprofile.registry import Registry

EXACT = 1e-5  # the parity that an exact updater must reach


@dataclass(frozen=True)
class Parity:
    """The largest absolute difference between vectors and those made anew: over all blocks, and by block."""

    users: int
    largest: float
    blocks: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"users": self.users, "largest": self.largest, "blocks": dict(self.blocks)}


def encoders_again(base: Base, registry: Registry) -> dict[str, Encoder[Any]]:
    """The encode stages that make users anew from their events, by id."""
    found = {}
    for id in base.facts["again"]:
        component = component_of(base.facts["encoders"][id], "encode", registry)
        assert isinstance(component, Encoder)
        found[id] = component
    return found


def rebuild(
    base: Base,
    fuser: Fuser[Any] | None,
    data: Dataset,
    ctx: Context,
    *,
    again: Mapping[str, Encoder[Any]],
    stored: FloatArray | None = None,
    edits: pl.DataFrame = NO_EDITS,
) -> Profiles:
    """Profiles of the users of `data`, the last one (who stands for the others) left out.

    A block that follows from no history is zero: its users' vectors came from elsewhere, and `stored`, the users'
    vectors as they are, says who has any. `again` are the encoders that make users anew from their events, and from
    `edits`, what they say themselves. `item_vectors` are those that the fuse stage gives now, at the scale of the
    publication; they equal the base's, and hold those of new items.
    """
    if fuser is None:
        return history_only(data)
    here = np.ones(data.n_users, np.bool_)
    here[-1] = False
    alone = _without_rest(data)
    encoded = {}
    for name in base.facts["sides"]:
        mine = again[name].again(alone, Context(name, seed=ctx.seed), edits) if name in again else None
        encoded[name] = (
            _encoded(base, name, data, alone, stored)
            if mine is None
            else Encoded(item_side(base, name, data.items.ids) if base.facts["sides"][name][1] else None, mine)
        )
    fused = fuser.again(base.learnt, encoded, data, ctx) if base.learnt else fuser.fuse(encoded, data, ctx)
    users, items = fused.user_vectors.copy(), fused.item_vectors.copy()
    blocks: list[Block] = []
    history = None if fused.history is None else fused.history[: data.n_users - 1].tocsr()
    for old, new in zip(base.facts["blocks"], fused.blocks, strict=True):
        factor = np.float32(old["scale"] / new.scale if new.scale else 0)
        columns = slice(new.start, new.stop)
        users[:, columns] *= factor
        items[:, columns] *= factor
        if not follows(base, old):
            users[:, columns] = 0
        pool = None if new.pool is None else new.pool[here]
        model = new.fold_in
        if model is not None:
            model = replace(model, confidence=model.confidence[: data.n_users - 1].tocsr())
        as_before = {key: old[key] for key in ("name", "weight", "scale", "unit")}
        blocks.append(replace(new, pool=pool, fold_in=model, **as_before))
    time = alone.train.time
    return Profiles(
        data.users.ids.keep(here),
        fused.items,
        users[here],
        items,
        tuple(blocks),
        np.asarray(users[here].any(axis=1)),
        history,
        cards=gathered_cards(data.users.ids, encoded)[: data.n_users - 1],
        asof=int(time.max()) if time is not None and len(time) else None,
        block_weights=None if fused.block_weights is None else fused.block_weights[here],
    )


def follows(base: Base, block: Mapping[str, Any]) -> bool:
    """Whether a block of the base's facts follows from history."""
    return bool(block["pooled"] or block["fold_in"] is not None or block["name"] in base.facts["again"])


def history_only(data: Dataset) -> Profiles:
    """Profiles that are nothing but a history, for recommenders that need no other."""
    ids = data.users.ids.keep(np.arange(data.n_users) < data.n_users - 1)
    n = len(ids)
    known = ~data.cold_users()[:n]
    nothing = np.zeros((n, 0), np.float32)
    return Profiles(ids, data.items.ids, nothing, np.zeros((data.n_items, 0), np.float32), (), known)


def stored_as(rebuilt: Profiles, base: Base, vectors: FloatArray, known: BoolArray, **more: Any) -> Profiles:
    """Stored vectors with the history, pools and models that the rebuilt profiles have."""
    return replace(rebuilt, user_vectors=vectors, item_vectors=base.vectors, known=known, **more)


def parity(base: Base, stored: FloatArray, rebuilt: Profiles) -> Parity:
    """How far stored vectors are from those made anew; blocks that follow from no history are left out."""
    blocks = {}
    for block in base.facts["blocks"]:
        if follows(base, block):
            columns = slice(block["start"], block["stop"])
            apart = np.abs(stored[:, columns].astype(np.float64) - rebuilt.user_vectors[:, columns])
            blocks[block["name"]] = float(apart.max(initial=0))
    return Parity(len(stored), max(blocks.values(), default=0.0), blocks)


def _without_rest(data: Dataset) -> Dataset:
    return data.revise(
        train=data.train.take(data.train.user < data.n_users - 1),
        held=np.zeros(int((data.train.user < data.n_users - 1).sum()), np.bool_),
    )


def _encoded(base: Base, name: str, data: Dataset, alone: Dataset, stored: FloatArray | None) -> Encoded:
    """What an encode stage gave: items as they were, users as their model has them for the history in `alone`."""
    dim, of_items, of_users = base.facts["sides"][name]
    items = item_side(base, name, data.items.ids) if of_items else None
    if not of_users:
        return Encoded(items)
    block = next((block for block in base.facts["blocks"] if block["name"] == name), None)
    model = base.model(name) if block is not None else None
    n = data.n_users
    if model is None or items is None:
        vectors, missing = np.zeros((n, dim), np.float32), np.ones(n, np.bool_)
        if block is not None and stored is not None:
            missing[: len(stored)] = ~stored[:, block["start"] : block["stop"]].any(axis=1)
        return Encoded(items, Embeddings("user", data.users.ids, vectors, missing))
    model = model.of(alone)
    missing = np.diff(model.confidence.indptr) == 0
    return Encoded(items, Embeddings("user", data.users.ids, model.solve(items.vectors), missing), model)
