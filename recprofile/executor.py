"""Where blocks of work run: in this process, or where a plugin's executor sends them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Block = TypeVar("Block")
Result = TypeVar("Result")


class Executor(Protocol):
    """Runs one function over blocks of users or items.

    A block's result depends on the block alone, so every executor gives the same results: `map_blocks` yields them in
    the order of the blocks, and raises what the function raised. The function may be a closure; it is called once a
    block, anywhere, and must not rely on what an earlier call left behind.
    """

    def map_blocks(self, function: Callable[[Block], Result], blocks: Iterable[Block]) -> Iterator[Result]: ...


class LocalExecutor:
    """One block after another in this process; the libraries below use its cores."""

    def map_blocks(self, function: Callable[[Block], Result], blocks: Iterable[Block]) -> Iterator[Result]:
        """Results of the function, block by block."""
        return map(function, blocks)
