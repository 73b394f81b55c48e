"""What is compared, and the clock: sides that do the same work in turn, in one process, with equal results."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Timed = Callable[[], Any]


class UnequalError(Exception):
    """Two sides did not do the same work; the text says in what they differ."""


@dataclass(frozen=True)
class Bound:
    """What the work takes at the very least: arithmetic at the rate of a matrix product, bytes at that of reading.

    `seconds` is a part that was measured by itself, such as decoding a file.
    """

    flops: float = 0.0
    bytes: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Side:
    """One way to do the work. `ready` is called before every round, off the clock, and gives what is timed.

    `rounds` is how often at most, for what is slow; `share` how much of the work is done, where the rest is
    extrapolated; `one_blas_thread` for libraries that have threads of their own and ask for that.
    """

    name: str
    ready: Callable[[], Timed]
    rounds: int | None = None
    share: float = 1.0
    one_blas_thread: bool = False


@dataclass(frozen=True)
class Contest:
    """A row of the table. `same(ours, theirs)` raises UnequalError, or says what was compared.

    `per` is how many equal pieces of work a run does, of which one is told.
    """

    name: str
    ours: Side
    peers: Sequence[Side]
    same: Callable[[Any, Any], str]
    bound: Callable[[], Bound] = Bound
    rounds: int = 3
    per: int = 1


@dataclass(frozen=True)
class Finished:
    """The result of a process of its own, and the most memory that it had."""

    folder: Path
    peak_mib: float


def measured(contest: Contest, *, rounds: int | None = None, ours_only: bool = False) -> dict[str, Any]:
    """Seconds, memory and agreement of every side, as plain values. The first round also compares the results.

    A side that lacks its library, or fails, is told and left out; ours must not fail.
    """
    sides = [contest.ours, *(() if ours_only else contest.peers)]
    found: dict[str, dict[str, Any]] = {side.name: {"seconds": [], "mib": 0.0, "share": side.share} for side in sides}
    ours: Any = None
    wanted = rounds or contest.rounds
    for at in range(wanted):
        # Ours first, then last, and so on: what one leaves in caches and clocks helps the other as often.
        for side in sides if at % 2 == 0 else reversed(sides):
            told = found[side.name]
            if "left out" in told or at >= min(wanted, side.rounds or wanted):
                continue
            try:
                result, seconds, mib = _once(side)
            except Exception as error:
                if side is contest.ours:
                    raise
                told["left out"] = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"
                continue
            told["seconds"].append(seconds / side.share / contest.per)
            told["mib"] = max(told["mib"], mib)
            if at == 0:
                if side is contest.ours:
                    ours = result
                else:
                    told |= _agreement(contest, ours, result)
            del result
    bound = {name: value / contest.per for name, value in asdict(contest.bound()).items()}
    return {"name": contest.name, "ours": contest.ours.name, "sides": found, "bound": bound}


def warm(contests: Iterator[Contest], *, ours_only: bool) -> None:
    """Run every side once, on a small case: libraries are loaded, loops compiled and threads started."""
    for contest in contests:
        for side in (contest.ours, *(() if ours_only else contest.peers)):
            with nullcontext() if side is contest.ours else suppress(Exception):
                side.ready()()


def _agreement(contest: Contest, ours: Any, theirs: Any) -> Mapping[str, str]:  # noqa: ANN401 - what the stage makes
    try:
        return {"same": contest.same(ours, theirs)}
    except UnequalError as error:
        return {"unequal": str(error)}


def _once(side: Side) -> tuple[Any, float, float]:
    """The result, the seconds, and the memory in MiB beyond what was there before."""
    from recprofile.engine.memory import peak_mib, reset_peak

    run = side.ready()
    with _blas(1 if side.one_blas_thread else None):
        _settle()
        reset_peak()
        before = peak_mib()
        begun = time.perf_counter()
        result = run()
        seconds = time.perf_counter() - begun
        mib = result.peak_mib if isinstance(result, Finished) else peak_mib() - before
    return result, seconds, mib


def _settle() -> None:
    """Give freed memory back to the system, so that nobody works in what another side has left."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


@contextmanager
def _blas(threads: int | None) -> Iterator[None]:
    if threads is None:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads, user_api="blas"):
        yield
