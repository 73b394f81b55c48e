"""Gradient descent, epoch by epoch: for how long, and what is said when it fails. Knows no model and no torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np

from recprofile.builtin.descent.settings import TrainingParams
from recprofile.plugin import BoolArray, Context, Dataset, Inputs, Ranker, RunError, UserScores, judge


class Learner(Protocol):
    """A model in training."""

    def epoch(self) -> float:
        """One pass over the training events; the mean loss of it."""

    def ranker(self) -> Ranker:
        """What it has learnt so far."""


L = TypeVar("L", bound=Learner)
Make = Callable[[Dataset, Inputs], L]  # a learner at its start, for these training events


def trained(
    make: Make[L],
    data: Dataset,
    inputs: Inputs,
    ctx: Context,
    p: TrainingParams,
    *,
    default: int,
    start_ranks: bool = False,
) -> tuple[L, int]:
    """The learner after its epochs over all of `data.train`, and how many: `p.epochs`, or as validation chooses.

    `start_ranks` says that it ranks before the first epoch, too. Raises RunError RP601 when the loss is not finite.
    """
    epochs = p.epochs
    if epochs is None:
        epochs = chosen_epochs(make, data, ctx, p, default=default, start_ranks=start_ranks)
        ctx.note("epochs", epochs)
    learner = make(data, inputs)
    progress = ctx.progress(epochs, "epochs")
    for n in range(1, epochs + 1):
        pass_over(learner, n, ctx)
        progress.add()
    return learner, epochs


def chosen_epochs(
    make: Make[L], data: Dataset, ctx: Context, p: TrainingParams, *, default: int, start_ranks: bool
) -> int:
    """After how many epochs a learner that is not shown the validation part ranks it best, by NDCG@10.

    0 where it ranks at the start and no number of epochs is better by one standard error. `default`, with a warning,
    where there is no validation part, or no user to judge by.
    """
    if len(data.valid) == 0:
        ctx.warn(
            f"{ctx.stage}: the split left no validation part to choose the number of epochs by: {default} are made"
        )
        return default
    fit = data.for_tuning()
    learner = make(fit, ctx.refit(fit))
    listed = new_items(fit)
    at_start = judge(learner.ranker(), fit, candidates=listed) if start_ranks else None
    progress = ctx.progress(p.max_epochs, "epochs tried")
    best: UserScores | None = None
    chosen = default
    for n in range(1, p.max_epochs + 1):
        pass_over(learner, n, ctx)
        progress.add()
        if not (is_judged(n) or n == p.max_epochs):
            continue
        found = judge(learner.ranker(), fit, candidates=listed)
        if len(found.users) == 0:
            ctx.warn(
                f"{ctx.stage}: no validation event can be judged to choose the number of epochs: {default} are made"
            )
            return default
        if best is None or found.mean > best.mean:
            best, chosen = found, n
        if n - chosen >= p.patience + chosen // 2:  # losses stand still at popularity before they fall
            break
    assert best is not None
    return 0 if at_start is not None and not best.beats(at_start) else chosen


def new_items(fit: Dataset) -> BoolArray | None:
    """The items to judge by, where validation is of items without training events; else None, for all items.

    bool (n_items,): the held-out items without training events, where most held-out events are of such. A split by
    items lists those alone, and what tunes itself for it must too.
    """
    new = np.bincount(fit.train.item, minlength=fit.n_items) == 0
    there = np.bincount(fit.test.item, minlength=fit.n_items)
    return (there > 0) & new if 2 * there[new].sum() > there.sum() else None


def is_judged(epoch: int) -> bool:
    """Whether a learner is judged after this epoch: 1 to 10, then a tenth more each time: 11, 13, 15, 17, 19, 21 …"""
    at = 1
    while at < epoch:
        at += max(1, math.ceil(at / 10))
    return at == epoch


def pass_over(learner: Learner, epoch: int, ctx: Context) -> None:
    """One epoch; raises RunError RP601 when its loss is no finite number."""
    loss = learner.epoch()
    if not math.isfinite(loss):
        helps = (
            "a smaller 'learning_rate' helps",
            "so does bringing very large numbers that it reads to a common scale",
        )
        raise RunError.of("RP601", f"the loss of '{ctx.stage}' is {loss} after epoch {epoch}", help=helps)
