"""What a fuser learns from: held-out events that the blocks have not seen, and who would have to rank them first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import BoolArray, Context, Dataset, Encoded, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FEWEST = 10  # users below which nothing is learnt
STEADY = 0.2  # of a block's length, how far its vectors may move without its axes meaning something else


@dataclass(frozen=True, eq=False)
class Lesson:
    """`data.for_tuning()` with its validation events as `test`, and the blocks that earlier stages make of its `train`.

    `users` int32, rising: whom weights are learnt from, with `half` bool of the same length; `targets` (n_users,
    n_items) CSR, their held-out positives that are new to them; `candidates` bool (n_items,), the items that compete;
    `steady` the blocks of items alone whose axes mean the same in both, for an encoder made anew may have other ones.
    """

    data: Dataset
    encoded: Mapping[str, Encoded]
    users: IntArray
    half: BoolArray
    steady: frozenset[str]
    targets: csr_array
    candidates: BoolArray


def lesson_of(data: Dataset, whole: Mapping[str, Encoded], ctx: Context, *, most: int) -> Lesson | None:
    """The validation part as a lesson, of at most so many users; None, and a warning, where it teaches nothing.

    Where most held-out positives are of items without training events, as when whole items are held out, those items
    compete with one another only, as they will be listed; else all items do.
    """
    if len(data.valid) == 0:
        ctx.warn(f"{ctx.stage}: no validation events to learn from, so weights stay as they are given")
        return None
    fit = data.for_tuning()
    encoded = ctx.refit(fit).encoded
    cold = fit.cold_items()
    positive = fit.test.take(fit.test.positive)
    wholly_new = len(positive) > 0 and bool(cold[positive.item].mean() > 0.5)
    candidates = cold if wholly_new else np.ones(fit.n_items, np.bool_)
    targets = fit.positives("test") - fit.positives("test").multiply(fit.seen())
    targets = (targets @ _diagonal(candidates)).tocsr()
    targets.eliminate_zeros()
    has_history = np.bincount(fit.train.user[fit.train.positive], minlength=fit.n_users) > 0
    users = np.flatnonzero((np.diff(targets.indptr) > 0) & has_history).astype(np.int32)
    if len(users) < FEWEST or not set(whole) <= set(encoded):
        ctx.warn(f"{ctx.stage}: {len(users)} users to learn from are too few, so weights stay as they are given")
        return None
    rng = ctx.rng()
    users = np.sort(rng.permutation(users)[:most])
    half = np.zeros(len(users), np.bool_)
    half[rng.permutation(len(users))[: len(users) // 2]] = True
    judged = fit.revise(test=fit.test.take(np.isin(fit.test.user, users)))
    steady = frozenset(name for name, one in whole.items() if _same_axes(one, encoded[name]))
    return Lesson(judged, {name: encoded[name] for name in whole}, users, half, steady, targets, candidates)


def same_dimensions(learnt: Mapping[str, NDArray[Any]], encoded: Mapping[str, Encoded]) -> bool:
    """Whether the axes that were learnt on are as long as these vectors: of other events, words may be others."""
    return all(
        encoded[block].dim == axes.shape[0]
        for place, axes in learnt.items()
        for kind, _, block in [place.removeprefix("state/").partition("/")]
        if kind in ("keys", "axes")
    )


def _same_axes(one: Encoded, other: Encoded) -> bool:
    """Whether both give items alone, by nearly the same vectors."""
    if one.items is None or other.items is None or one.users is not None or one.dim != other.dim:
        return False
    apart = np.linalg.norm(one.items.vectors - other.items.vectors)
    return bool(apart <= STEADY * np.linalg.norm(one.items.vectors))


def _diagonal(mask: BoolArray) -> csr_array:
    from scipy.sparse import diags_array

    return diags_array(mask.astype(np.float32)).tocsr()
