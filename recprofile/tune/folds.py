"""Validation parts that a trial is judged on, made of the training events alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from recprofile.artifacts import BoolArray, Dataset, Interactions
from recprofile.dataset import cut_events
from recprofile.dataset.split import default_split
from recprofile.device import stage_seed
from recprofile.engine.refits import digest_of
from recprofile.errors import DataError
from recprofile.recipe import FileSplit, ItemColdSplit, LeaveOneOutSplit, RandomSplit, Split, UserColdSplit

WHOLE_FOLDS = 3  # where items or users are held out as wholes: few of them decide, so that one part says little


@dataclass(frozen=True)
class Fold:
    """Data whose `test` is a validation part and whose `train` lacks it, and the items that may be listed.

    `data.valid` is what the split's rule holds out once more, for components that tune themselves. `digest` stands for
    all that is learnt from, `judged` for what it is judged by.
    """

    data: Dataset
    candidates: BoolArray | None
    digest: str
    judged: str


def folds_of(
    data: Dataset, split: Split | None, *, count: int | None, seed: int, spec: str, listed: BoolArray | None
) -> tuple[Fold, ...]:
    """The folds of data, whose test part is not looked at.

    The first is the split's own validation part. Where it consists of whole items (or users), the others are further
    ones, disjoint as long as there are enough. Otherwise the split's rule makes them: applied to what the fold before
    left for training where it goes by time, with another seed where it is random. `spec` and `listed` are the recipe's
    `list.candidates` and, where it names a file, the items in it: of whole items, those that are held out may be
    listed, unless all may.

    Raises DataError RP507 when there is no validation part, or not as many as asked for.
    """
    first = data.for_tuning()
    whole = _whole(split, first)
    rule = _rule(split, data, first, whole)
    wanted = count or (WHOLE_FOLDS if whole else 1)
    parts = [first]
    while len(parts) < wanted:
        n, train = len(parts), data.train
        if whole is not None:
            held = _units(data, first, whole, n, seed)
        elif isinstance(rule, RandomSplit) or (isinstance(rule, LeaveOneOutSplit) and not data.has_time):
            held = _cut(rule, train, stage_seed(seed, f"fold/{n}"))
        else:
            train = parts[-1].train
            held = _cut(rule, train, seed)
        if not held.any() or held.all():
            raise DataError.of("RP507", f"the training data allow {n} of {wanted} folds", help=("ask for fewer folds",))
        fit = train.take(~held)
        parts.append(first.revise(train=fit, test=train.take(held), held=np.zeros(len(fit), np.bool_)))
    listed = None if whole == "item" else listed
    only_new = spec == "cold" or (whole == "item" and spec != "all")
    return tuple(_fold(part, rule, seed, listed, only_new=only_new) for part in parts)


def _fold(data: Dataset, rule: Split, seed: int, listed: BoolArray | None, *, only_new: bool) -> Fold:
    held = _cut(rule, data.train, stage_seed(seed, "inner fold"))
    held &= not held.all()
    inner = data.revise(held=held, valid=data.train.take(held))
    candidates = _new_items(data) if only_new else listed
    if candidates is not None and not candidates.any():
        helps = ("'candidates: cold' goes with 'split: {by: item-cold}'",)
        raise DataError.of("RP505", "no item of the validation part may be listed", help=helps)
    digest = sha256(digest_of(inner).encode() + np.packbits(held).tobytes()).hexdigest()
    may = b"" if candidates is None else np.packbits(candidates).tobytes()
    judged = sha256(digest_of(data.revise(train=data.test, held=np.zeros(len(data.test), np.bool_))).encode() + may)
    return Fold(inner, candidates, digest, judged.hexdigest())


def _new_items(data: Dataset) -> BoolArray:
    """Items of the part that is judged by, without training events."""
    mask = np.zeros(data.n_items, np.bool_)
    mask[data.test.item] = True
    return mask & data.cold_items()


def _whole(split: Split | None, data: Dataset) -> str | None:
    """'item' or 'user' where the split holds those out as wholes; of files, where most they validate by are new."""
    if not isinstance(split, FileSplit):
        return "item" if isinstance(split, ItemColdSplit) else "user" if isinstance(split, UserColdSplit) else None
    if data.cold_items()[data.test.item].mean() > 0.5:
        return "item"
    return "user" if data.cold_users()[data.test.user].mean() > 0.5 else None


def _rule(split: Split | None, data: Dataset, first: Dataset, whole: str | None) -> Split:
    """The rule of further parts: the split's own, or that which files look as if they were made by."""
    if split is not None and not isinstance(split, FileSplit):
        return split
    if whole is None:
        return default_split(has_time=data.has_time)
    codes = {part: getattr(events, whole) for part, events in (("held", first.test), ("train", first.train))}
    held, left = (len(np.unique(codes[part])) for part in ("held", "train"))
    holdout = min(0.9, held / (held + left))
    if whole == "item":
        return ItemColdSplit(by="item-cold", holdout=holdout)
    return UserColdSplit(by="user-cold", holdout=holdout)


def _cut(rule: Split, events: Interactions, seed: int) -> BoolArray:
    if len(events) == 0:
        return np.zeros(0, np.bool_)
    return cut_events(rule, events.user, events.item, events.time, seed=seed).test


def _units(data: Dataset, first: Dataset, whole: str, n: int, seed: int) -> BoolArray:
    """The training events of the n-th lot of items or users beside those of the validation part, n from 1."""
    code: NDArray[np.int32] = getattr(data.train, whole)
    held = np.unique(getattr(first.test, whole))
    rest = np.setdiff1d(np.unique(code), held)
    if len(rest) < 2:
        return np.zeros(len(code), np.bool_)
    size = min(max(1, len(held)), len(rest) - 1)
    order = np.random.default_rng(stage_seed(seed, "folds")).permutation(rest)
    chosen = order[(np.arange(size) + (n - 1) * size) % len(order)]
    return np.isin(code, chosen)


def blind(data: Dataset) -> Dataset:
    """The same data without the test part, so that nothing after this can look at it."""
    return replace(data, test=Interactions.empty(time=data.has_time))
