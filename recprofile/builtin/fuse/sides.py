"""Both sides of a block: users pooled from their history, or items from their audience, where an encoder gave one side.

Items alone: a user's part is the weighted mean of their history's items. Users alone: an item's part is the weighted
mean of its audience. Both: as they are. Where an item or user has no vector, it is left out of means, and its part is
zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recprofile.builtin.history import HistoryParams, history_weights
from recprofile.builtin.lengths import row_lengths, to_unit, unit_rows
from recprofile.plugin import BoolArray, DataError, Dataset, Embeddings, Encoded, FloatArray, FoldIn, IdMap

if TYPE_CHECKING:
    from scipy.sparse import csr_array


ROWS = 8192  # held in float64 at once


@dataclass(frozen=True, eq=False)
class Part:
    """A block, complete: users (n_users, d), items (n_items, d), and how users follow from history, if they do.

    `here` bool (n_users,) and `there` bool (n_items,): of whom and of what the block knows anything. `lengths` float32
    (n_users,): a user's vector before it was brought to length 1, which says how much of one mind their history is.
    """

    users: FloatArray
    items: FloatArray
    here: BoolArray
    there: BoolArray
    lengths: FloatArray
    pool: FloatArray | None = None
    fold_in: FoldIn | None = None
    unit: bool = False

    @property
    def dim(self) -> int:
        """Columns."""
        return int(self.items.shape[1])

    @property
    def follows_history(self) -> bool:
        """Whether a user's part can be made of their history alone."""
        return self.pool is not None or self.fold_in is not None


class Histories:
    """The history weights, made when the first block asks for them."""

    def __init__(self, data: Dataset, p: HistoryParams) -> None:
        self._data, self._p = data, p
        self._of_users: csr_array | None = None
        self._of_items: csr_array | None = None

    def of_users(self) -> csr_array:
        """(n_users, n_items), rows summing to 1."""
        if self._of_users is None:
            self._of_users = _rows_to_one(history_weights(self._data, self._p, since="user"))
        return self._of_users

    def of_items(self) -> csr_array:
        """(n_items, n_users), rows summing to 1."""
        if self._of_items is None:
            self._of_items = _rows_to_one(history_weights(self._data, self._p, since="item").T.tocsr())
        return self._of_items

    def used(self) -> csr_array | None:
        """The users' histories if any block was pooled from them."""
        return self._of_users


def complete_parts(
    encoded: Mapping[str, Encoded],
    data: Dataset,
    histories: Histories,
    *,
    normalise: bool,
    centre: bool,
    keep_models: bool,
) -> Iterator[tuple[str, Part]]:
    """Each block by its stage's id, one at a time. `keep_models`: one of both sides keeps its lengths all the same."""
    for name, one in encoded.items():
        expect_ids(name, one, data)
        one_sided = one.items is None or one.users is None
        yield (
            name,
            _complete(one, data, histories, normalise=normalise and (one_sided or not keep_models), centre=centre),
        )


def _complete(one: Encoded, data: Dataset, histories: Histories, *, normalise: bool, centre: bool) -> Part:
    if one.items is not None and one.users is not None:
        users, items = _present(one.users), _present(one.items)
        here, there, lengths = ~one.users.missing, ~one.items.missing, row_lengths(users)
        if normalise:  # each row by a factor of its own: the model's equations hold no longer
            return Part(unit_rows(users), unit_rows(items), here, there, lengths)
        return Part(users, items, here, there, lengths, fold_in=one.fold_in)
    if one.items is not None:
        items = _side(one.items, ~data.cold_items(), normalise=normalise, centre=centre)
        return pooled(items, ~one.items.missing, histories.of_users(), normalise=normalise)
    assert one.users is not None
    users = _side(one.users, ~data.cold_users(), normalise=normalise, centre=centre)
    items, factor, _ = means(histories.of_items(), users, ~one.users.missing, normalise=normalise)
    return Part(users, items, ~one.users.missing, factor > 0, row_lengths(users))


def pooled(items: FloatArray, there: BoolArray, weights: csr_array, *, normalise: bool) -> Part:
    """The block whose users are means of these items, which are 0 where not `there`."""
    users, pool, lengths = means(weights, items, there, normalise=normalise)
    return Part(users, items, pool > 0, there, lengths, pool, unit=normalise)


def means(
    weights: csr_array, vectors: FloatArray, there: BoolArray, *, normalise: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weighted means of the vectors that are there, the factor from the weighted sum to each, and the means' lengths.

    (rows, d), (rows,), (rows,); a row without any is 0, and so is its factor. `normalise`: means of length 1.
    """
    from recprofile.builtin.products import dense_product

    sums = dense_product(weights, vectors)
    total = np.asarray(weights @ there.astype(np.float32), np.float32)
    factor = np.divide(1, total, out=np.zeros_like(total), where=total > 0)
    lengths = row_lengths(sums) * factor
    if normalise:
        factor *= to_unit(lengths)
    sums *= factor[:, None]
    return sums, factor, lengths


def deviation(part: Part) -> float:
    """Standard deviation of a block's scores over all users and items; 1 where they are all the same.

    From second moments, (d, d) each, so that the scores are never made: E[s²] = tr(UᵀU · VᵀV) / (n m).
    """
    if part.users.size == 0 or part.items.size == 0:
        return 1.0
    square = float(np.sum(_moments(part.users) * _moments(part.items)))
    mean = float(part.users.mean(axis=0, dtype=np.float64) @ part.items.mean(axis=0, dtype=np.float64))
    variance = square - mean * mean
    return float(np.sqrt(variance)) if variance > 1e-12 * max(square, 1e-30) else 1.0


def _moments(vectors: FloatArray) -> NDArray[np.float64]:
    """VᵀV / n, (d, d), in blocks of rows, of which alone there is a copy."""
    total = np.zeros((vectors.shape[1],) * 2)
    for a in range(0, len(vectors), ROWS):
        rows = vectors[a : a + ROWS].astype(np.float64)
        total += rows.T @ rows
    return total / len(vectors)


def _side(vectors: Embeddings, training: BoolArray, *, normalise: bool, centre: bool) -> FloatArray:
    """The side that an encoder gave, centred on its training rows and of length 1 where that is wanted."""
    rows = _present(vectors)
    learnt = training & ~vectors.missing
    if centre and learnt.any():
        mean = rows[learnt].mean(axis=0, dtype=np.float64).astype(np.float32)
        rows = np.where(vectors.missing[:, None], np.float32(0), rows - mean)
    return unit_rows(rows) if normalise else rows


def _present(vectors: Embeddings) -> FloatArray:
    """The vectors, zero where they are missing."""
    if vectors.missing.any() and vectors.vectors[vectors.missing].any():
        return np.where(vectors.missing[:, None], np.float32(0), vectors.vectors)
    return vectors.vectors


def _rows_to_one(matrix: csr_array) -> csr_array:
    total = np.asarray(matrix.sum(axis=1), np.float32)
    matrix.data /= np.repeat(total, np.diff(matrix.indptr))
    return matrix


def expect_ids(name: str, one: Encoded, data: Dataset) -> None:
    """Raises DataError RP506 where the vectors are of other users or items than the data."""
    sides: tuple[tuple[Embeddings | None, IdMap, str], ...] = (
        (one.items, data.items.ids, "items"),
        (one.users, data.users.ids, "users"),
    )
    for vectors, ids, what in sides:
        if vectors is not None and vectors.ids != ids:
            message = f"the vectors of '{name}' are of {len(vectors.ids)} other {what} than the {len(ids)} of the data"
            raise DataError.of("RP506", message, help=("put preprocess stages before encode stages",))
