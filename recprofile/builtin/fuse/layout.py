"""Blocks side by side in one space, with what each weighs for all and for each user.

What a block does not know is masked, never a zero among scores. A block that is missing for a user leaves its weight to
the others of that user, in proportion, so that scores of users with fewer blocks are as large. An item that a block
does not know gets the block's mean item vector, with which a user's score is the mean of their scores in that block: it
is neither below nor above what is known. An item that no block knows stays zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recprofile.builtin.fuse.sides import Part
from recprofile.plugin import Block, BoolArray, Context, Dataset, FloatArray, Profiles

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class Placed:
    """A part with its `weight`; `spread` is what its scores are divided by; `by_user` (n_users,) weights instead."""

    name: str
    part: Part
    weight: float = 1.0
    spread: float = 1.0
    by_user: FloatArray | None = None


def laid_out(
    placed: Iterable[Placed],
    data: Dataset,
    *,
    ctx: Context,
    dim: int,
    history: Callable[[], csr_array | None],
    learnt: Mapping[str, NDArray[Any]] | None = None,
    expected: Mapping[str, Part] | None = None,
) -> Profiles:
    """Profiles with these blocks, in their order, `dim` columns in all; what is missing is masked, and noted.

    Item vectors are multiplied by √(weight / spread), user vectors by the same and by what the block weighs for the
    user as a multiple of `weight`. `history` gives the weights of history items, once all parts are made. `expected`
    holds, by block, item vectors to take instead of the mean where the block does not know an item.
    """
    # Filled block by block, so that no more than one block is held twice.
    users, items = np.zeros((data.n_users, dim), np.float32), np.zeros((data.n_items, dim), np.float32)
    blocks: list[Block] = []
    here: list[BoolArray] = []
    there: list[BoolArray] = []
    weights: list[FloatArray] = []
    own, at = False, 0
    for one in placed:
        part, stop = one.part, at + one.part.dim
        scale = np.float32(np.sqrt(one.weight / one.spread))
        np.multiply(part.users, scale, out=users[:, at:stop])
        np.multiply(part.items, scale, out=items[:, at:stop])
        fold_in = part.fold_in if scale > 0 else None
        blocks.append(Block(one.name, at, stop, one.weight, part.pool, fold_in, float(scale), part.unit))
        here.append(part.here)
        there.append(part.there)
        weights.append(np.full(data.n_users, one.weight, np.float32) if one.by_user is None else one.by_user)
        own = own or one.by_user is not None
        at = stop
    by_user: FloatArray | None = None
    shares = _columns(weights, data.n_users)
    of_users, of_items = _masks(here, data.n_users), _masks(there, data.n_items)
    shares = masked(shares, of_users)
    blocks = _filled(items, blocks, of_items, expected or {})
    _note(ctx, blocks, of_users, of_items)
    shared = np.array([block.weight for block in blocks], np.float32)
    if own or bool((shares != shared)[shares.any(axis=1)].any()):
        by_user = shares
        factors = np.divide(by_user, shared, out=np.zeros_like(by_user), where=shared > 0)
        for column, block in enumerate(blocks):
            users[:, block.start : block.stop] *= factors[:, [column]]
            if block.pool is not None:
                blocks[column] = replace(block, pool=block.pool * factors[:, column])
    known = np.asarray(users.any(axis=1))
    time = data.train.time
    asof = int(time.max()) if time is not None and len(time) else None
    return Profiles(
        data.users.ids,
        data.items.ids,
        users,
        items,
        tuple(blocks),
        known,
        history(),
        asof=asof,
        block_weights=by_user,
        learnt=dict(learnt or {}),
    )


def masked(weights: FloatArray, here: BoolArray) -> FloatArray:
    """Weights (n_users, n_blocks), 0 where a block is not `here`, the rest raised in proportion to the same sum."""
    left = np.where(here, weights, np.float32(0))
    whole, rest = weights.sum(axis=1), left.sum(axis=1)
    factor = np.divide(whole, rest, out=np.zeros_like(rest), where=rest > 0)
    # Where nothing is missing, a weight stays what it is to the last digit.
    whole_rows = np.asarray(here.all(axis=1), np.bool_)
    return np.where(whole_rows[:, None], weights, left * factor[:, None])


def _filled(items: FloatArray, blocks: list[Block], there: BoolArray, expected: Mapping[str, Part]) -> list[Block]:
    """Gives items that a block does not know, and another does, what is expected of them; marks them in the block."""
    weighs = np.array([block.scale > 0 for block in blocks], np.bool_)
    anywhere = np.asarray((there & weighs).any(axis=1), np.bool_)
    out: list[Block] = []
    for column, block in enumerate(blocks):
        known = there[:, column]
        gaps = np.logical_and(anywhere, ~known)
        if block.scale > 0 and known.any() and gaps.any():
            part = items[:, block.start : block.stop]
            part[gaps] = part[known].mean(axis=0, dtype=np.float64)
            if (foreseen := expected.get(block.name)) is not None:
                told = gaps & foreseen.there
                part[told] = foreseen.items[told] * np.float32(block.scale)
            out.append(replace(block, filled=gaps))
        else:
            out.append(block)
    return out


def _note(ctx: Context, blocks: list[Block], here: BoolArray, there: BoolArray) -> None:
    """Says of how many users and items each block knows nothing, of those of whom another knows something."""
    told = {}
    for column, block in enumerate(blocks):
        users = int((here.any(axis=1) & ~here[:, column]).sum())
        items = int((there.any(axis=1) & ~there[:, column]).sum())
        if users or items:
            told[block.name] = f"{users} users, {items} items"
    if told:
        ctx.note("masked", told)


def _masks(columns: list[BoolArray], rows: int) -> BoolArray:
    return np.stack(columns, axis=1) if columns else np.zeros((rows, 0), np.bool_)


def _columns(columns: list[FloatArray], rows: int) -> FloatArray:
    return np.stack(columns, axis=1) if columns else np.zeros((rows, 0), np.float32)
