"""Whether weights of all items by all items fit into memory, asked before they are made."""

from __future__ import annotations

import os
from pathlib import Path

from recprofile.plugin import RunError


def refuse_unless_it_fits(name: str, n_items: int, free: int | None, *, squares: float = 2.5) -> None:
    """Raise RunError RP604 when `squares` times n_items² float32 numbers exceed `free` bytes.

    `name` is the component's; `free` as `free_memory` gives it.
    """
    needed = int(n_items**2 * 4 * squares)
    if free is not None and needed > free:
        message = (
            f"'{name}' on {n_items:,} items needs {needed / 2**30:.1f} GiB of memory, "
            f"and {free / 2**30:.1f} GiB are free"
        )
        helps = ("a 'k-core' stage with a larger 'min_item' leaves fewer items", "'item-knn' needs far less memory")
        raise RunError.of("RP604", message, help=helps)


def free_memory() -> int | None:
    """Bytes that this process may still take: of the machine, or of its control group; None where nothing tells."""
    known: list[int] = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        known += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:  # all there is, where /proc is not
            known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = ((group / name).read_text(encoding="ascii").strip() for name in ("memory.max", "memory.current"))
        stat = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
    except OSError:
        pass
    else:
        if limit != "max":  # pages of files that were read count as used, and are given back at need
            known.append(max(0, int(limit) - int(used) + int(stat.get("inactive_file", 0))))
    return min(known) if known else None
