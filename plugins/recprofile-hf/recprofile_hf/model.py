"""Texts through a tokenizer and a network, in batches of similar length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
import torch

from recprofile.plugin import FloatArray, Rows, RunError
from recprofile_hf.encoding import Encodings
from recprofile_hf.loading import Loaded
from recprofile_hf.networks import Network
from recprofile_hf.room import Room, is_out_of_memory
from recprofile_hf.tokens import Reader, Tokens


@dataclass(frozen=True, eq=False)
class TextModel:
    """A tokenizer and networks that all compute the same, each doing one batch at a time."""

    reader: Reader
    padding: int
    networks: Sequence[Network]

    @classmethod
    def of(cls, loaded: Loaded, networks: Sequence[Network]) -> TextModel:
        """That of a loaded model, with its layers in these networks."""
        return cls(Reader.of(loaded), loaded.padding, networks)

    def encode(
        self, texts: Sequence[str], *, batch_tokens: int, warn: Callable[[str], None]
    ) -> Iterator[tuple[Rows, Encodings]]:
        """Rows of `texts` and their encodings, longest first, in batches of at most `batch_tokens` with padding.

        A batch that does not fit into memory is halved, and so are those to come. Raises RunError RP604 when a single
        text does not fit, and RP601 when a vector is not finite. Texts without a token are left out.
        """
        found = self.tokenized(texts)
        room = Room("batch_tokens", batch_tokens, warn)
        batches = list(_batches(found, batch_tokens))
        with _one_thread_each():
            for rows, vectors in zip(batches, self._each(found, batches, room), strict=True):
                if not np.isfinite(vectors).all():
                    help = ("its weights may be damaged, or 'precision' too low for it",)
                    name = self.reader.name
                    raise RunError.of("RP601", f"the model '{name}' gave a vector that is not finite", help=help)
                yield rows, Encodings(vectors, found.tokens[rows], found.used[found.first[rows]])

    def _each(self, found: Tokens, batches: Sequence[Rows], room: Room) -> Iterator[FloatArray]:
        """The vectors of each batch, in the order of batches, each from the network that is free next."""
        if len(self.networks) == 1:
            yield from (self._joined(self.networks[0], found, rows, room) for rows in batches)
            return
        free: SimpleQueue[Network] = SimpleQueue()
        for network in self.networks:
            free.put(network)

        def work(rows: Rows) -> FloatArray:
            network = free.get()
            try:
                return self._joined(network, found, rows, room)
            finally:
                free.put(network)

        with ThreadPoolExecutor(len(self.networks), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(work, batches)  # closed early, it does not begin those that wait

    def _joined(self, network: Network, found: Tokens, texts: Rows, room: Room) -> FloatArray:
        """One vector per text, (len(texts), d) float32."""
        return found.joined(self._vectors(network, found, found.chunks_of(texts), room), texts)

    def _vectors(self, network: Network, found: Tokens, rows: Rows, room: Room) -> FloatArray:
        """One vector per chunk, (len(rows), d) float32."""
        longest = int(found.used[rows].max())
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

    def tokenized(self, texts: Sequence[str]) -> Tokens:
        """Tokens of all texts, tokenised at once; those that are too long are cut, or in chunks."""
        return self.reader.read(texts)


def _batches(found: Tokens, budget: int) -> Iterator[Rows]:
    """Texts with tokens, the longest first, as what does not fit shows at once; at most `budget` tokens, or one."""
    sizes = found.sizes
    order = np.argsort(-sizes, kind="stable")
    order = order[: np.count_nonzero(sizes)]
    ends = np.cumsum(found.chunks[order])
    at = before = 0
    while at < len(order):
        most = budget // int(found.used[found.first[order[at]]])  # chunks
        stop = max(at + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield order[at:stop]
        at, before = stop, int(ends[stop - 1])


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """What torch computes in this time it computes on the thread that asks: networks work beside each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
