"""Which of a user's events with one item stays, in compiled loops: one look at each event, user by user."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recprofile.builtin.prefetch import AHEAD, prefetch
from recprofile.plugin import Interactions, each, grouped, spans

LAST, FIRST, MAX = 0, 1, 2


def survivors(events: Interactions, rule: int, *, n_items: int) -> NDArray[np.int64]:
    """The row that stays of each row's user and item, int64 (n,): the row itself, where it is the one.

    LAST and FIRST go by time, then by row; MAX by weight, a missing one below all, then as LAST.
    """
    n = len(events)
    rows, starts = grouped(events.user, int(events.user.max(initial=-1)) + 1)
    time = events.time if events.time is not None else np.zeros(0, np.int64)
    weight = events.weight if rule == MAX else np.zeros(0, np.float32)
    stays = np.empty(n, np.int64)

    def work(span: tuple[int, int]) -> int:
        _choose(*span, rows, starts, events.item, time, weight, rule, n_items, stays)
        return 0

    each(work, spans(len(starts) - 1))
    return stays


# Numba gives types to what is called, so functions under `njit` carry none.
@njit(cache=True, nogil=True)
def _choose(first, last, rows, starts, item, time, weight, rule, n_items, stays):  # type: ignore[no-untyped-def]  # noqa: PLR0913, PLR0917
    chosen = np.full(n_items, -1, np.int64)
    end = starts[last]
    for user in range(first, last):
        for at in range(starts[user], starts[user + 1]):
            if at + AHEAD < end:
                soon = np.uint64(rows[at + AHEAD])
                prefetch(item, soon)
                prefetch(time, soon)
            row = rows[at]
            there = chosen[item[row]]
            if there < 0 or _takes_over(row, there, time, weight, rule):
                chosen[item[row]] = row
        for at in range(starts[user], starts[user + 1]):
            stays[rows[at]] = chosen[item[rows[at]]]
        for at in range(starts[user], starts[user + 1]):
            chosen[item[rows[at]]] = -1


@njit(cache=True, nogil=True, inline="always")
def _takes_over(row, there, time, weight, rule):  # type: ignore[no-untyped-def]
    """Whether the row, a later one in the file, stays instead of the one that is there."""
    if rule == MAX:
        mine = -np.inf if np.isnan(weight[row]) else weight[row]
        theirs = -np.inf if np.isnan(weight[there]) else weight[there]
        if mine != theirs:
            return mine > theirs
    if len(time) and time[row] != time[there]:
        return (time[row] < time[there]) == (rule == FIRST)
    return rule != FIRST
