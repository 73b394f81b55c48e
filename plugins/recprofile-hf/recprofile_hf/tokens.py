"""Texts as tokens: each whole, cut where the model ends, or in chunks that overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import BoolArray, FloatArray, IntArray, Rows
from recprofile_hf.loading import Loaded, quiet, unusable


@dataclass(frozen=True, eq=False, slots=True)
class Tokens:
    """All tokens of all chunks in one array, where each chunk's begin and how many they are.

    A text's chunks follow each other: `first` is its first one, `chunks` how many it has, one unless it was long;
    `tokens` how many tokens it had before anything was cut. A text of which no token is left has a chunk of none.
    """

    ids: NDArray[np.int32]
    start: Rows
    used: IntArray
    first: Rows
    chunks: Rows
    tokens: IntArray

    @property
    def sizes(self) -> Rows:
        """How many tokens of each text are read, those of all its chunks: int64 (n_texts,)."""
        return np.add.reduceat(self.used, self.first, dtype=np.int64) if len(self.first) else self.first

    def chunks_of(self, texts: Rows) -> Rows:
        """The chunks of some texts, one text after the other."""
        count = self.chunks[texts]
        skipped = self.first[texts] - (np.cumsum(count) - count)
        return np.repeat(skipped, count) + np.arange(int(count.sum()))

    def padded(self, chunks: Rows, padding: int) -> tuple[NDArray[np.int64], BoolArray]:
        """Tokens of some chunks, filled up on the right to the longest, and which of them are not padding: (b, t)."""
        used = self.used[chunks, None]
        place = np.arange(int(used.max()))
        inside = place < used
        found = np.where(inside, self.ids[np.where(inside, self.start[chunks, None] + place, 0)], padding)
        return found.astype(np.int64), inside

    def joined(self, vectors: FloatArray, texts: Rows) -> FloatArray:
        """Vectors of these texts from those of their chunks, in their order: the mean, weighted by tokens."""
        if len(vectors) == len(texts):
            return vectors
        count = self.chunks[texts]
        weight = self.used[self.chunks_of(texts)].astype(np.float64)
        begin = np.cumsum(count) - count
        total = np.add.reduceat(weight, begin)
        mean = np.add.reduceat(vectors * weight[:, None], begin) / total[:, None]
        return mean.astype(np.float32)


@dataclass(frozen=True, eq=False, slots=True)
class Reader:
    """A fast tokenizer, the most tokens that it may give at once, and what it does with more; see `Loaded`."""

    name: str
    tokenizer: Any
    limit: int
    vocabulary: int
    overlap: int | None
    end: int | None

    @classmethod
    def of(cls, loaded: Loaded) -> Reader:
        """That of a loaded model."""
        return cls(loaded.name, loaded.tokenizer, loaded.limit, loaded.vocabulary, loaded.overlap, loaded.end)

    def read(self, texts: Sequence[str]) -> Tokens:
        """Tokens of all texts, tokenised at once."""
        with quiet():
            found = [self._ended(ids) for ids in self._asked(texts, truncation=False)["input_ids"]]
            tokens = np.fromiter(map(len, found), np.int32, len(found))
            chunks = np.ones(len(found), np.int64)
            long = np.flatnonzero(tokens > self.limit).tolist()
            parts = [[ids] for ids in found] if long else []
            for row, read in zip(long, self._windows([texts[row] for row in long]), strict=True):
                parts[row], chunks[row] = read, len(read)
        found = list(chain.from_iterable(parts)) if parts else found
        used = np.fromiter(map(len, found), np.int32, len(found))
        ids = np.fromiter(chain.from_iterable(found), np.int32, int(used.sum()))
        if ids.max(initial=0) >= self.vocabulary:
            told = f"its tokenizer has the token {ids.max()}, and its weights are for {self.vocabulary} tokens"
            raise unusable(self.name, told)
        start = np.cumsum(used, dtype=np.int64) - used
        return Tokens(ids, start, used, np.cumsum(chunks) - chunks, chunks, tokens)

    def _windows(self, texts: Sequence[str]) -> list[list[list[int]]]:
        """Texts that are too long as what is read of each: its beginning alone, or windows over all of it.

        Cut by the tokenizer, which knows which special tokens stand at both ends and which end it cuts.
        """
        if not texts:
            return []
        limit = self.limit - (self.end is not None)
        if self.overlap is None:
            cut = self._asked(texts, truncation=True, max_length=limit)["input_ids"]
            return [[self._ended(ids)] for ids in cut]
        most = (limit - self.tokenizer.num_special_tokens_to_add()) // 2
        more = {"stride": max(0, min(self.overlap, most)), "return_overflowing_tokens": True}
        read = self._asked(texts, truncation=True, max_length=limit, **more)
        found: list[list[list[int]]] = [[] for _ in texts]
        for ids, row in zip(read["input_ids"], read["overflow_to_sample_mapping"], strict=True):
            found[row].append(self._ended(ids))
        return found

    def _asked(self, texts: Sequence[str], **how: object) -> Any:  # noqa: ANN401 - transformers' own
        ask = {"padding": False, "return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
        return self.tokenizer(list(texts), **ask, **how)

    def _ended(self, ids: list[int]) -> list[int]:
        return [*ids, self.end] if self.end is not None and ids and ids[-1] != self.end else ids
