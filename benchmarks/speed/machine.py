"""What this machine can do at most: the rates that bounds are reckoned by."""

from __future__ import annotations

import datetime
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recprofile.threads import threads


@dataclass(frozen=True)
class Machine:
    """Measured: float32 matrix products in GFLOP/s, and reading from memory in GB/s, on all cores that may be used."""

    processor: str
    cores: int
    memory_gib: float
    python: str
    system: str
    date: str
    gemm_gflops: float
    read_gbs: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def least(self, bound: dict[str, float]) -> float:
        """The seconds that work takes at least."""
        arithmetic, reading = bound["flops"] / (self.gemm_gflops * 1e9), bound["bytes"] / (self.read_gbs * 1e9)
        return max(arithmetic, reading) + bound["seconds"]


def this_machine(size: int = 4096, gib: float = 1.0) -> Machine:
    """The best of seven, for a bound is what the machine can do when nothing else is done."""
    import torch

    a, b = torch.rand(size, size), torch.rand(size, size)
    x = torch.rand(int(gib * 2**28))
    gemm = 2 * size**3 / _best(lambda: a @ b) / 1e9
    read = x.numel() * 4 / _best(x.sum) / 1e9
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    system = f"{platform.system()} {platform.machine()}"
    return Machine(_processor(), threads(), memory, platform.python_version(), system, today, gemm, read)


def _best(run: Callable[[], object], times: int = 7) -> float:
    run()
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def _processor() -> str:
    """As the system calls it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
