"""Rows sorted by several keys, or grouped by one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEW = 5_000  # rows that numpy sorts before compiled loops are there


def in_order(*keys: NDArray[np.integer]) -> NDArray[np.int64]:
    """Rows sorted by the first key, then the second, … and at last by row, int64 (n,). Keys are whole numbers.

    By digits of 11 bits, from the last key to the first (a radix sort): 0.5 s for 10 million events by user, time and
    item, against 6 s with lexsort. Digits in which no two rows differ, and keys that are in order, cost a look.
    """
    n = len(keys[0])
    if n < FEW or n > np.iinfo(np.uint32).max:
        return np.lexsort(keys[::-1])
    from recprofile.radix import sort_by_digits  # noqa: PLC0415 - numba costs what `validate` need not pay

    order = np.arange(n, dtype=np.uint32)
    for key in reversed(keys[:2]):
        low = int(key.min())
        order = sort_by_digits(order, key, low, (int(key.max()) - low).bit_length())
    rows = order.astype(np.int64)
    if keys[2:]:
        _settle_ties(rows, keys[:2], keys[2:])
    return rows


def grouped(key: NDArray[np.integer], n: int) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Rows key by key, in order within one, uint32 (len(key),), and where those of each key start, int64 (n + 1,).

    Keys are whole numbers in [0, n).
    """
    if len(key) < FEW:
        return np.argsort(key, kind="stable").astype(np.uint32), np.append(0, np.cumsum(np.bincount(key, minlength=n)))
    from recprofile.radix import group  # noqa: PLC0415 - as above

    found: tuple[NDArray[np.uint32], NDArray[np.int64]] = group(key, n)
    return found


def _settle_ties(
    rows: NDArray[np.int64], by: tuple[NDArray[np.integer], ...], rest: tuple[NDArray[np.integer], ...]
) -> None:
    """Sort rows that are equal `by` their keys by the rest; mostly they are few."""
    same = np.ones(len(rows) - 1, np.bool_)
    for key in by:
        along = key[rows]
        same &= along[1:] == along[:-1]
    if not same.any():
        return
    tied = np.zeros(len(rows), np.bool_)
    tied[1:] = same
    tied[:-1] |= same
    run = np.cumsum(np.append(True, ~same))[tied]
    those = rows[tied]
    rows[tied] = those[in_order(run, *(key[those] for key in rest))]
