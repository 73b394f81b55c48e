"""Parts of scores: where they come from, which are shown, and what would be without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.builtin.explain.pairs import Pairs
from recprofile.plugin import FloatArray, IntArray, Profiles, Ranker, RunError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Basis = Literal["model", "profile"]


@dataclass(frozen=True, eq=False)
class Source:
    """Where evidence comes from: the ranker itself, or the profiles."""

    ranker: Ranker
    profiles: Profiles | None
    basis: Basis

    def history(self, user: IntArray, item: IntArray) -> csr_array | None:
        """Signed part of each history item, (n_pairs, n_items) CSR, or None."""
        if self.basis == "model" or self.profiles is None:
            return self.ranker.evidence(user, item)
        return self.profiles.history_scores(user, item)

    def blocks(self, pairs: Pairs) -> Mapping[str, FloatArray]:
        """Signed part of each block, (n_pairs,) by name; empty where there are none."""
        if self.basis == "model" or self.profiles is None:
            return self.ranker.block_evidence(pairs.user, pairs.item) or {}
        parts = self.profiles.block_scores(pairs.user, pairs.item)
        return {block.name: parts[:, at] for at, block in enumerate(self.profiles.blocks)}

    def shown(self, pairs: Pairs, items: int) -> pl.DataFrame:
        """The history items shown, by pair, from most for to most against: pair, source (codes), contribution, drops.

        `drops` is True from the first place at which the items so far, taken away, put the pair's item behind the
        list's lowest-scored one.
        """
        parts = self.history(pairs.user, pairs.item)
        if parts is None:
            return pl.DataFrame(
                schema={"pair": pl.Int64, "source": pl.Int32, "contribution": pl.Float32, "drops": pl.Boolean}
            )
        pair, source, value = strongest(parts, items)
        frame = pl.DataFrame({"pair": pair, "source": source.astype(np.int32), "contribution": value})
        return frame.with_columns(pl.Series("drops", self._drops(pairs, parts, pair, source, value), dtype=pl.Boolean))

    def _drops(
        self, pairs: Pairs, parts: csr_array, pair: NDArray[np.int64], source: IntArray, value: FloatArray
    ) -> NDArray[np.bool_]:
        told_by_model = self.basis == "model" and self.ranker.additive()
        of_last = self.history(pairs.user, pairs.last) if told_by_model and len(pair) else None
        # Without an item each block of a profile may be scaled anew: with several, what is lost is not the parts' sum.
        if of_last is None or len(self.blocks(pairs)) > 1:
            return np.zeros(len(pair), np.bool_)
        told, size = (np.asarray(m.sum(axis=1)).ravel() for m in (parts - of_last, abs(parts) + abs(of_last)))
        with np.errstate(invalid="ignore"):  # the gap is NaN or infinite where the ranker gave no score
            exact = np.abs(told - pairs.gap) <= 1e-4 * size
        lost = np.where(value > 0, value - at_entries(of_last, pair, source), 0)
        so_far = np.cumsum(lost, dtype=np.float64)
        first = np.searchsorted(pair, pair)
        so_far -= so_far[first] - lost[first]
        # Two scores that are equal but for rounding are not one behind the other.
        falls = (
            (so_far - pairs.gap[pair] > 1e-5 * size[pair])
            & (value > 0)
            & exact[pair]
            & (pairs.item != pairs.last)[pair]
        )
        count = np.cumsum(falls)
        drops: NDArray[np.bool_] = count - count[first] + falls[first] > 0
        return drops


def evidence_source(ranker: Ranker, profiles: Profiles | None, pairs: Pairs) -> Source:
    """The ranker where it gives evidence of any kind, else the profiles; raises RunError RP404 when neither can."""
    none = pairs.take(slice(0, 0))
    if ranker.evidence(none.user, none.item) is not None or ranker.block_evidence(none.user, none.item) is not None:
        return Source(ranker, profiles, "model")
    if profiles is not None:
        return Source(ranker, profiles, "profile")
    helps = ("add a 'fuse' stage: evidence is then similarity in the profile", "or recommend with 'ease' or 'item-knn'")
    raise RunError.of(
        "RP404", "the recommender gives no evidence, and there are no profiles to take it from", help=helps
    )


def strongest(parts: csr_array, items: int) -> tuple[NDArray[np.int64], IntArray, FloatArray]:
    """Pair, item and value of the entries shown, by pair and from the most for to the most against.

    The largest `items` positive ones; the most negative one joins them where fewer stand, or takes the place of the
    smallest (never of the only one) where it is larger in size.
    """
    entry_pair = np.repeat(np.arange(parts.shape[0]), np.diff(parts.indptr))
    order = np.lexsort((parts.indices, -parts.data, entry_pair))
    pair, item, value = entry_pair[order], parts.indices[order], parts.data[order]
    start = parts.indptr[:-1][pair]
    place = np.arange(len(pair)) - start
    is_last = np.arange(len(pair)) == parts.indptr[1:][pair] - 1
    against = is_last & (value < 0)
    favour = (value > 0) & (place < items)
    smallest = np.zeros(parts.shape[0], np.float32)
    full = favour & (place == items - 1)
    smallest[pair[full]] = value[full]
    worst = np.zeros(parts.shape[0], np.float32)
    worst[pair[against]] = -value[against]
    displaced = (worst > smallest) & (items > 1)
    speaks_against = against & ((smallest[pair] == 0) | displaced[pair])
    keep = (favour & ~(full & displaced[pair])) | speaks_against
    return pair[keep], item[keep], value[keep]


def at_entries(matrix: csr_array, row: NDArray[np.int64], column: IntArray) -> FloatArray:
    """The entries of a CSR matrix at these places, 0 where none is stored: float32 (n,)."""
    width = matrix.shape[1]
    matrix = matrix.sorted_indices()
    stored = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)) * width + matrix.indices
    wanted = row * width + column
    at = np.searchsorted(stored, wanted)
    found = at < len(stored)
    found[found] = stored[at[found]] == wanted[found]
    out = np.zeros(len(wanted), np.float32)
    out[found] = matrix.data[at[found]]
    return out
