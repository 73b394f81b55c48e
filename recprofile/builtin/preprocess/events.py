"""Which events stay: `dedupe` (one per user and item) and `k-core` (enough per user and per item)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import (
    BoolArray,
    Context,
    DataError,
    Dataset,
    Field,
    Interactions,
    Params,
    PositiveRule,
    Preprocessor,
)

Keep = Literal["last", "first", "max", "sum"]


class DedupeParams(Params):
    keep: Keep = Field(
        "last",
        description="Which of a pair's events stays: the last or the first (by time, then by order in the file), the "
        "one of the greatest weight, or the last with the sum of the weights.",
    )


class Dedupe(Preprocessor[DedupeParams]):
    """One event per user and item, in train, validation and test each.

    `last` and `first` go by time, then by order in the file; among equal weights `max` takes the last. A sum leaves
    missing weights out, and a summed pair is positive when the sum is. A pair is held for tuning when the event that
    stays is. Put it before `scale`: the rule for positives speaks of weights as they stand in the file.
    """

    name = "dedupe"
    per_user = True

    def preprocess(self, data: Dataset, ctx: Context) -> Dataset:
        """The data without repeats; how many events went is noted."""
        keep, n_items, rule = self.params.keep, data.n_items, data.positive
        train, rows = _one_per_pair(data.train, keep=keep, n_items=n_items, rule=rule)
        valid, _ = _one_per_pair(data.valid, keep=keep, n_items=n_items, rule=rule)
        test, _ = _one_per_pair(data.test, keep=keep, n_items=n_items, rule=rule)
        parts = (("train", data.train, train), ("valid", data.valid, valid), ("test", data.test, test))
        gone = [f"{len(old) - len(new)} in {name}" for name, old, new in parts if len(new) < len(old)]
        if not gone:
            return data
        revised = data.revise(train=train, valid=valid, test=test, held=data.held[rows])
        return revised.note(f"dedupe: repeated events of one user with one item merged ('{keep}'): {', '.join(gone)}")


def _one_per_pair(
    events: Interactions, *, keep: Keep, n_items: int, rule: PositiveRule | None
) -> tuple[Interactions, NDArray[np.int64]]:
    """Events with one row per user and item, in the order of the file, and the rows that stayed."""
    from recprofile.builtin.preprocess import repeats

    rules = {"last": repeats.LAST, "first": repeats.FIRST, "max": repeats.MAX, "sum": repeats.LAST}
    stays = repeats.survivors(events, rules[keep], n_items=n_items)
    n = len(events)
    kept = np.flatnonzero(stays == np.arange(n))
    if len(kept) == n:
        return events, kept
    left = events.take(kept)
    if keep == "sum":
        there = ~np.isnan(events.weight)
        known = np.bincount(stays, weights=there, minlength=n)[kept]
        total = np.bincount(stays, weights=np.where(there, events.weight, 0), minlength=n)[kept]
        # Where nothing is summed, a weight stays what it is, and so does what it says.
        merged = np.flatnonzero(np.bincount(stays, minlength=n)[kept] > 1)
        weight, positive = left.weight.copy(), left.positive.copy()
        weight[merged] = np.where(known > 0, total, np.nan)[merged]
        if rule is not None:
            positive[merged] = rule.mask(weight[merged])
        left = replace(left, weight=weight, positive=positive)
    return left, kept


class KCoreParams(Params):
    min_user: int = Field(5, ge=0, description="Fewest training events of a user who stays.")
    min_item: int = Field(5, ge=0, description="Fewest training events of an item that stays.")
    positive_only: bool = Field(False, description="Count positive events only.")
    keep_cold: bool = Field(
        False,
        description="Keep users and items that have no training event at all, as the splits 'item-cold' and "
        "'user-cold' need.",
    )


class KCore(Preprocessor[KCoreParams]):
    """Only users with at least `min_user` and items with at least `min_item` training events.

    Dropping one side thins the other, so both are dropped in turn until nothing changes; what goes, goes from the
    tables and from every part. Repeated events count each: put `dedupe` first where that is not meant.
    Source: the k-core of a graph, Seidman 1983.
    """

    name = "k-core"
    only_drops = True

    def preprocess(self, data: Dataset, ctx: Context) -> Dataset:
        """The core; raises DataError RP505 when nothing is left."""
        p = self.params
        users, items, rounds = _core(data, p)
        if not users.any() or not items.any():
            _refuse_empty(data, p)
        if users.all() and items.all():
            return data
        core = data.keep(users=users, items=items)
        if len(core.train) == 0 < len(data.train):
            _refuse_empty(data, p)
        if len(core.test) == 0 < len(data.test):
            ctx.warn(
                "k-core leaves no test event; with a split by item-cold or user-cold, set 'keep_cold: true' to keep "
                "what has no training event"
            )
        return core.note(
            f"k-core: {data.n_users - core.n_users} users, {data.n_items - core.n_items} items, "
            f"{len(data.train) - len(core.train)} training and {len(data.test) - len(core.test)} test events dropped "
            f"in {rounds} rounds (min_user {p.min_user}, min_item {p.min_item})"
        )


def _core(data: Dataset, p: KCoreParams) -> tuple[BoolArray, BoolArray, int]:
    """Users and items that stay, and the rounds it took; each round costs one pass over the events left."""
    counted = data.train.positive if p.positive_only else slice(None)
    user, item = data.train.user[counted], data.train.item[counted]
    cold_users, cold_items = data.cold_users(), data.cold_items()
    rounds = 0
    while True:
        rounds += 1
        users = np.bincount(user, minlength=data.n_users) >= p.min_user
        items = np.bincount(item, minlength=data.n_items) >= p.min_item
        stays = users[user] & items[item]
        if stays.all():
            break
        user, item = user[stays], item[stays]
    if p.keep_cold:
        users, items = users | cold_users, items | cold_items
    return users, items, rounds


def _refuse_empty(data: Dataset, p: KCoreParams) -> NoReturn:
    kind = "positive training events" if p.positive_only else "training events"
    raise DataError.of(
        "RP505",
        f"nothing is left after 'k-core' with min_user {p.min_user} and min_item {p.min_item}",
        help=(
            f"the data have {data.n_users} users and {data.n_items} items with {len(data.train)} training events; "
            f"bounds count {kind}",
            "lower the bounds",
        ),
    )
