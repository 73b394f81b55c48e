"""Texts through a tokenizer and a network, in batches of similar length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recprofile.plugin import FloatArray, IntArray, Rows, RunError
from recprofile_hf.encoding import Encodings
from recprofile_hf.loading import Loaded, quiet, unusable
from recprofile_hf.networks import Network
from recprofile_hf.room import Room, is_out_of_memory


@dataclass(frozen=True, eq=False)
class TextModel:
    """A tokenizer and networks that all compute the same, each doing one batch at a time."""

    name: str
    tokenizer: Any
    limit: int
    vocabulary: int
    padding: int
    networks: Sequence[Network]

    @classmethod
    def of(cls, loaded: Loaded, networks: Sequence[Network]) -> TextModel:
        """That of a loaded model, with its layers in these networks."""
        return cls(loaded.name, loaded.tokenizer, loaded.limit, loaded.vocabulary, loaded.padding, networks)

    def encode(
        self, texts: Sequence[str], *, batch_tokens: int, warn: Callable[[str], None]
    ) -> Iterator[tuple[Rows, Encodings]]:
        """Rows of `texts` and their encodings, longest first, in batches of at most `batch_tokens` with padding.

        A batch that does not fit into memory is halved, and so are those to come. Raises RunError RP604 when a single
        text does not fit, and RP601 when a vector is not finite. Texts without a token are left out.
        """
        found = self.tokenized(texts)
        room = Room("batch_tokens", batch_tokens, warn)
        batches = list(_batches(found.used, batch_tokens))
        with _one_thread_each():
            for rows, vectors in zip(batches, self._each(found, batches, room), strict=True):
                if not np.isfinite(vectors).all():
                    help = ("its weights may be damaged, or 'precision' too low for it",)
                    raise RunError.of("RP601", f"the model '{self.name}' gave a vector that is not finite", help=help)
                yield rows, Encodings(vectors, found.tokens[rows], found.used[rows])

    def _each(self, found: _Tokens, batches: Sequence[Rows], room: Room) -> Iterator[FloatArray]:
        """The vectors of each batch, in the order of batches, each from the network that is free next."""
        if len(self.networks) == 1:
            yield from (self._vectors(self.networks[0], found, rows, room) for rows in batches)
            return
        free: SimpleQueue[Network] = SimpleQueue()
        for network in self.networks:
            free.put(network)

        def work(rows: Rows) -> FloatArray:
            network = free.get()
            try:
                return self._vectors(network, found, rows, room)
            finally:
                free.put(network)

        with ThreadPoolExecutor(len(self.networks), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(work, batches)  # closed early, it does not begin those that wait

    def _vectors(self, network: Network, found: _Tokens, rows: Rows, room: Room) -> FloatArray:
        """One vector per text, (len(rows), d) float32; the first is the longest."""
        longest = int(found.used[rows[0]])
        fit = max(1, room.fits // longest)
        if fit < len(rows):
            parts = [rows[at : at + fit] for at in range(0, len(rows), fit)]
            return np.concatenate([self._vectors(network, found, part, room) for part in parts])
        try:
            return network(*found.padded(rows, self.padding))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if len(rows) == 1:
                help = ("try a smaller 'max_tokens', or another device",)
                raise RunError.of("RP604", f"a text of {longest} tokens does not fit into memory", help=help) from error
        room.shrink(len(rows) // 2 * longest)
        return self._vectors(network, found, rows, room)

    def tokenized(self, texts: Sequence[str]) -> _Tokens:
        """Tokens of all texts, tokenised at once; each text is cut where the model ends."""
        ask = {"padding": False, "return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
        with quiet():
            found: list[list[int]] = self.tokenizer(list(texts), truncation=False, **ask)["input_ids"]
            tokens = np.fromiter(map(len, found), np.int32, len(found))
            long = np.flatnonzero(tokens > self.limit).tolist()
            if long:
                # Cut by the tokenizer, which knows that the special token at the end must stay.
                again = [texts[row] for row in long]
                cut = self.tokenizer(again, truncation=True, max_length=self.limit, **ask)["input_ids"]
                for row, ids in zip(long, cut, strict=True):
                    found[row] = ids
        used = np.fromiter(map(len, found), np.int32, len(found))
        ids = np.fromiter(chain.from_iterable(found), np.int32, int(used.sum()))
        if ids.max(initial=0) >= self.vocabulary:
            raise unusable(
                self.name,
                f"its tokenizer has the token {ids.max()}, and its weights are for {self.vocabulary} tokens",
            )
        return _Tokens(ids, np.cumsum(used, dtype=np.int64) - used, used, tokens)


@dataclass(frozen=True, eq=False, slots=True)
class _Tokens:
    """All tokens in one array, where each text's begin, how many of them are used, and how many there were."""

    ids: NDArray[np.int32]
    start: Rows
    used: IntArray
    tokens: IntArray

    def padded(self, rows: Rows, padding: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Tokens of some texts, filled up on the right to the longest, and which of them are not padding: (b, t)."""
        used = self.used[rows, None]
        place = np.arange(int(used.max()))
        inside = place < used
        found = np.where(inside, self.ids[np.where(inside, self.start[rows, None] + place, 0)], padding)
        return found.astype(np.int64), inside


def _batches(used: IntArray, budget: int) -> Iterator[Rows]:
    """Rows with tokens, the longest first, for what does not fit shows at once; at most `budget` tokens, or one row."""
    order = np.argsort(-used, kind="stable")
    order = order[: np.count_nonzero(used > 0)]
    at = 0
    while at < len(order):
        rows = order[at : at + max(1, budget // int(used[order[at]]))]
        yield rows
        at += len(rows)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """What torch computes in this time it computes on the thread that asks: networks work beside each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
