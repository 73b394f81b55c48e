"""What attention sees of each item of a history, and the weights that follow: how far back, how graded, how like whom.

A history item's weight is a_uj = h_uj e^(θ·φ_uj) / Σ_k h_uk e^(θ·φ_uk), h the plain history weights and φ:

- how many of the user's items came after it, as hats over log2(1 + n), where events have time;
- where its rating stands among the user's, in (-1, 1];
- for each block that has item vectors, the cosine of its vector with the mean of the user's: the user's own query;
- how many took to it, log(1 + n), standardised;
- for each block of items alone, its first principal components, standardised: keys of a query that all users share.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recprofile.builtin.fuse.sides import Part
from recprofile.builtin.history import HistoryParams, rating_rank
from recprofile.builtin.lengths import unit_rows
from recprofile.plugin import BoolArray, Dataset, Encoded, FloatArray, Interactions

if TYPE_CHECKING:
    from scipy.sparse import csr_array

KNOTS = np.log2(1 + np.array([0, 1, 2, 4, 8, 16, 32, 64, 128], np.float64))
ROWS = 1 << 18  # history items whose vectors are looked at together: 400 MB at 384 dimensions
State = Mapping[str, NDArray[Any]]


def feature_state(parts: Mapping[str, Part], data: Dataset, *, steady: Collection[str], keys: int) -> State:
    """What the features need beside a person's own events: the scale of popularity, and bases and scales of the keys.

    Blocks that are not `steady` have no keys: their axes are others after each training, and mean nothing to a query.
    """
    counts = np.log1p(data.item_counts()[~data.cold_items()].astype(np.float64))
    spread = float(counts.std()) if len(counts) else 0.0
    state: dict[str, NDArray[Any]] = {
        "popularity": np.array([counts.mean() if len(counts) else 0.0, spread or 1.0]),
        "timed": np.array([data.has_time]),
    }
    for name, part in parts.items():
        if name not in steady or keys == 0:
            continue
        rows = unit_rows(part.items[part.there]).astype(np.float64)
        mean = rows.mean(axis=0) if len(rows) else np.zeros(part.dim)
        values, axes = np.linalg.eigh((rows - mean).T @ (rows - mean) / max(1, len(rows)))
        first = np.argsort(-values)[:keys]
        first = first[values[first] > 1e-9]
        basis = axes[:, first] * np.sign(axes[np.abs(axes[:, first]).argmax(axis=0), first])
        state[f"keys/{name}"] = basis / np.sqrt(values[first])
        state[f"mean/{name}"] = mean
    return state


def feature_names(encoded: Mapping[str, Encoded], state: State) -> list[str]:
    """What each column of `features` is, for people."""
    back = [f"{round(2**knot - 1)} back" for knot in KNOTS] if state["timed"][0] else []
    cosines = [f"like the user's {name}" for name, one in encoded.items() if one.items is not None]
    keys = [f"{n[5:]} axis {k + 1}" for n in state if n.startswith("keys/") for k in range(state[n].shape[1])]
    return [*back, "rating", *cosines, "popularity", *keys]


@dataclass(frozen=True, eq=False)
class Blocks:
    """What encoders gave, completed as `weighted` does, and the plain weights of history items."""

    encoded: Mapping[str, Encoded]
    parts: Mapping[str, Part]
    history: csr_array


def features(blocks: Blocks, data: Dataset, p: HistoryParams, state: State) -> FloatArray:
    """φ of each stored entry of the history, in its order: (nnz, n_features) float32."""
    parts, history = blocks.parts, blocks.history
    events = data.train.take(data.train.positive) if p.positive_only else data.train
    row, item = np.repeat(np.arange(history.shape[0]), np.diff(history.indptr)), history.indices
    at, _ = places(history, events.user, events.item)
    columns: list[NDArray[Any]] = [_hats(_back(events, history, at))] if state["timed"][0] else []
    count = np.bincount(at, minlength=history.nnz)
    rank = np.bincount(at, rating_rank(events.user, events.weight), history.nnz) / np.maximum(count, 1)
    columns.append(rank[:, None])
    for name, part in parts.items():
        if blocks.encoded[name].items is not None:
            vectors = unit_rows(part.items)
            query = unit_rows(np.asarray(history @ vectors, np.float32))
            columns.append(_inner(query, vectors, row, item)[:, None])
    mean, spread = state["popularity"]
    columns.append(((np.log1p(data.item_counts()) - mean) / spread)[item][:, None])
    for name in (n for n in state if n.startswith("keys/")):
        part = parts[name.removeprefix("keys/")]
        key = (unit_rows(part.items) - state[f"mean/{name.removeprefix('keys/')}"]) @ state[name]
        columns.append(np.where(part.there[:, None], key, 0)[item])
    return np.concatenate(columns, axis=1).astype(np.float32)


def attend(history: csr_array, phi: FloatArray, theta: FloatArray) -> csr_array:
    """The weights a, in the places of `history`; rows sum to 1."""
    weighed = history.copy()
    lengths = np.diff(history.indptr)
    rows = np.flatnonzero(lengths)
    if len(rows) == 0:
        return weighed
    start = history.indptr[rows]
    logit = np.log(history.data.astype(np.float64)) + phi.astype(np.float64) @ theta.astype(np.float64)
    logit -= np.repeat(np.maximum.reduceat(logit, start), lengths[rows])
    value = np.exp(logit)
    weighed.data = (value / np.repeat(np.add.reduceat(value, start), lengths[rows])).astype(np.float32)
    return weighed


def places(matrix: csr_array, row: NDArray[Any], item: NDArray[Any]) -> tuple[NDArray[np.int64], BoolArray]:
    """Where in a CSR matrix with sorted indices these entries are stored, 0 where not; and whether they are."""
    width = matrix.shape[1]
    stored = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)) * width + matrix.indices
    wanted = row.astype(np.int64) * width + item
    place = np.searchsorted(stored, wanted)
    inside = place < len(stored)
    found = np.zeros(wanted.shape, np.bool_)
    found[inside] = stored[place[inside]] == wanted[inside]
    return np.where(found, place, 0), found


def _back(events: Interactions, history: csr_array, at: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of the user's items came after each entry, by its last event; at one time, those of a later code."""
    assert events.time is not None
    last = np.full(history.nnz, np.iinfo(np.int64).min)
    np.maximum.at(last, at, events.time)
    row = np.repeat(np.arange(history.shape[0]), np.diff(history.indptr))
    order = np.lexsort((history.indices, last, row))
    back = np.empty(history.nnz, np.int64)
    back[order] = np.repeat(history.indptr[1:], np.diff(history.indptr)) - 1 - np.arange(history.nnz)
    return back


def _hats(back: NDArray[np.int64]) -> NDArray[np.float64]:
    """Linear interpolation between KNOTS in log2(1 + n), (n, knots), rows summing to 1; the last is for all beyond."""
    x = np.minimum(np.log2(1.0 + back), KNOTS[-1])
    upper = np.clip(np.searchsorted(KNOTS, x, side="right"), 1, len(KNOTS) - 1)
    share = (x - KNOTS[upper - 1]) / (KNOTS[upper] - KNOTS[upper - 1])
    hats = np.zeros((len(back), len(KNOTS)))
    rows = np.arange(len(back))
    hats[rows, upper - 1], hats[rows, upper] = 1 - share, share
    return hats


def _inner(query: FloatArray, vectors: FloatArray, row: NDArray[Any], item: NDArray[Any]) -> FloatArray:
    found = np.empty(len(row), np.float32)
    for at in range(0, len(row), ROWS):
        some = slice(at, at + ROWS)
        found[some] = np.einsum("pd,pd->p", query[row[some]], vectors[item[some]])
    return found
