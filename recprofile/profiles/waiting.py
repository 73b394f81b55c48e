"""What both databases of a store share: what a transaction does, how long it waits, and why one cannot go on."""

from __future__ import annotations

from typing import Literal

# 'forget' is a change after which nothing is left of what it deleted.
Does = Literal["read", "change", "forget"]
WAIT = 120  # seconds that a change waits for those before it


class Unusable(Exception):
    """Why a store cannot be used, and what helps; `Store` makes RunError RP608 of it."""

    def __init__(self, why: str, *helps: str) -> None:
        super().__init__(why)
        self.why, self.helps = why, helps
