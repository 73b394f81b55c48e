"""Equal values → equal codes by the order in which they are first seen, in compiled loops."""

from __future__ import annotations

import numpy as np
from numba import njit

SMALLEST = 4096  # places of a table, a power of 2; at most half of them are taken


# Numba gives types to what is called, so functions under `njit` carry none.
@njit(cache=True, nogil=True)
def first_seen(keys, known, seen, codes):  # type: ignore[no-untyped-def]
    """Fill `codes` int32 (n,) for `keys` uint64 (n,), which are well spread.

    `known` int32, a power of 2 long, holds codes by the lowest bits of their keys, or as soon after that as there was
    room, else -1; `seen` uint64 is the key of each code, and -1 and none at first. Gives both as they are then, and the
    rows int64 of the keys that were new.
    """
    before = count = len(seen)
    room = np.empty(max(SMALLEST // 2, 2 * count), np.uint64)
    room[:count] = seen
    new = np.empty(len(room), np.int64)
    mask = np.uint64(len(known) - 1)
    for row in range(len(keys)):
        key = keys[row]
        at = key & mask
        while known[at] >= 0 and room[known[at]] != key:
            at = (at + np.uint64(1)) & mask
        if known[at] < 0:
            if count == len(room):
                room = np.concatenate((room, np.empty_like(room)))
                new = np.concatenate((new, np.empty_like(new)))
            room[count] = key
            new[count - before] = row
            known[at] = count
            count += 1
            codes[row] = count - 1
            if 2 * count > len(known):
                known = _wider(known, room[:count])
                mask = np.uint64(len(known) - 1)
        else:
            codes[row] = known[at]
    return known, room[:count].copy(), new[: count - before].copy()


@njit(cache=True, nogil=True)
def _wider(known, seen):  # type: ignore[no-untyped-def]
    """A table four times as large with the same codes."""
    wide = np.full(4 * len(known), -1, np.int32)
    mask = np.uint64(len(wide) - 1)
    for code in range(len(seen)):
        at = seen[code] & mask
        while wide[at] >= 0:
            at = (at + np.uint64(1)) & mask
        wide[at] = code
    return wide
