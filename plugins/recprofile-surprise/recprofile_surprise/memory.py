"""How much memory there is, so that what cannot fit is refused before it is begun."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from recprofile.plugin import RunError


def available_bytes() -> int | None:
    """Memory that can be had now, within the limit of a container; None where this cannot be told."""
    found = [n for n in (_of_the_machine(), _of_the_container()) if n is not None]
    return min(found) if found else None


def _of_the_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # AttributeError: Windows
        return None


def _of_the_container() -> int | None:
    # The limit itself and not what is left of it: what a container has used counts files it may drop at any time.
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            return int((Path("/sys/fs/cgroup") / limit).read_text(encoding="ascii"))
        except (OSError, ValueError):  # no such group, or 'max'
            continue
    return None


def refuse_what_does_not_fit(needed: int, what: str, *, help: Sequence[str]) -> None:
    """Raise RunError RP604 when this many bytes cannot be had."""
    there = available_bytes()
    if there is not None and needed > there:
        raise RunError.of(
            "RP604", f"{what} need {needed / 2**30:.1f} GiB of memory, and {there / 2**30:.1f} GiB are free", help=help
        )
