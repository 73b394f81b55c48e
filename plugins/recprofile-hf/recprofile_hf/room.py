"""What fits into memory, found out by trying: batches that do not are made smaller, and that is said once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch


@dataclass(slots=True)
class Room:
    """How much of a batch fits: what a parameter asked, or less once that did not."""

    parameter: str
    asked: int
    warn: Callable[[str], None]
    fits: int = field(init=False)

    def __post_init__(self) -> None:
        self.fits = self.asked

    def shrink(self, most: int) -> None:
        """No batch of more, from now on."""
        if self.fits == self.asked:
            self.warn(f"'{self.parameter}: {self.asked}' does not fit into memory; batches were made smaller")
        self.fits = min(self.fits, most)


def is_out_of_memory(error: Exception) -> bool:
    """Whether this says that memory ran out, on a device or on the CPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    said = str(error).casefold()  # the CPU's allocator raises a RuntimeError like any other
    return "can't allocate memory" in said or "out of memory" in said
