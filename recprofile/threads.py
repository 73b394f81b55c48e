"""Rows of work for compiled loops, which leave Python's lock: dealt into shares that threads take one after the other.

Each row is done by one thread from its first addition to its last, so that results do not hang on how many there are.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
T = TypeVar("T")
SHARES = 64
NAME = "recprofile-rows"
FEWEST = 16  # rows that are worth a share


def dealt(load: NDArray[np.integer]) -> list[Rows]:
    """Rows with a load, the heaviest first, dealt in turn so that shares take about as long."""
    if len(load) == 1:  # one person, who waits
        return [np.zeros(1, np.int64)] if load[0] > 0 else []
    heaviest = np.argsort(-load, kind="stable")
    heaviest = heaviest[: np.count_nonzero(load > 0)]
    count = min(SHARES, -(-len(heaviest) // FEWEST))
    return [heaviest[at::count] for at in range(count)]


def spans(n: int) -> list[tuple[int, int]]:
    """Rows 0 to n, which all take about as long, in stretches: first, and one past the last."""
    count = min(4 * threads(), -(-n // FEWEST))
    edges = [n * at // count for at in range(count + 1)] if count else [0]
    return list(pairwise(edges))


def each(work: Callable[[T], int], shares: Sequence[T], done: Callable[[int], None] = lambda _: None) -> list[int]:
    """What `work` gives for each share, on as many threads as this process may use; `done` is told it as it comes."""
    inside = threading.current_thread().name.startswith(NAME)  # whoever waits here for a thread may wait for itself
    found = []
    for one in map(work, shares) if len(shares) < 2 or inside else _pool(os.getpid(), threads()).map(work, shares):
        found.append(one)
        done(one)
    return found


@cache
def _pool(process: int, size: int) -> ThreadPoolExecutor:
    """Kept, for to start one takes 1 ms; of this process, for a fork has none of its parent's threads."""
    return ThreadPoolExecutor(size, thread_name_prefix=f"{NAME}-{process}")


def threads() -> int:
    """As many as this process may use, where the system says that."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
