"""The compiled loops of `order`."""

from __future__ import annotations

import numpy as np
from numba import njit

BITS = 11  # of a digit: 2,048 places to write to, which a processor's cache holds


# Numba gives types to what is called, so functions under `njit` carry none.
@njit(cache=True, nogil=True)
def sort_by_digits(order, key, low, bits):  # type: ignore[no-untyped-def]
    """`order`, uint32 rows, sorted by key[row] − low, a number of so many bits; equal ones stay as they are."""
    n = len(order)
    rising = True
    for at in range(1, n):
        if key[order[at - 1]] > key[order[at]]:
            rising = False
            break
    if rising:
        return order
    value = np.empty(n, np.uint64)
    for at in range(n):
        value[at] = np.uint64(np.int64(key[order[at]]) - low)
    other_order, other_value = np.empty_like(order), np.empty_like(value)
    for shift in range(0, bits, BITS):
        start = np.zeros((1 << BITS) + 1, np.int64)
        for at in range(n):
            start[((value[at] >> np.uint64(shift)) & np.uint64((1 << BITS) - 1)) + np.uint64(1)] += 1
        if start.max() == n:  # the same digit everywhere
            continue
        start = np.cumsum(start)
        for at in range(n):
            digit = (value[at] >> np.uint64(shift)) & np.uint64((1 << BITS) - 1)
            to = start[digit]
            start[digit] += 1
            other_order[to] = order[at]
            other_value[to] = value[at]
        order, other_order = other_order, order
        value, other_value = other_value, value
    return order


@njit(cache=True, nogil=True)
def group(key, n):  # type: ignore[no-untyped-def]
    """As `order.grouped`: 0.03 s for 10 million rows of 100,000 keys."""
    starts = np.zeros(n + 1, np.int64)
    for k in key:
        starts[k + 1] += 1
    for k in range(n):
        starts[k + 1] += starts[k]
    free = starts[:-1].copy()
    rows = np.empty(len(key), np.uint32)
    for row in range(len(key)):
        rows[free[key[row]]] = row
        free[key[row]] += 1
    return rows, starts
