"""Fusers: encoded vectors, side by side in one space, with users pooled from their history where they have no vector.

What one encoder knows is a block. Items alone: a user's part is the weighted mean of their history's items. Users
alone: an item's part is the weighted mean of its audience. Both: as they are. Where an item or user has no vector, it
is left out of means, and its part is zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from recprofile.builtin.history import HistoryParams, history_weights
from recprofile.builtin.lengths import row_lengths, to_unit, unit_rows
from recprofile.plugin import (
    Block,
    BoolArray,
    Context,
    DataError,
    Dataset,
    Embeddings,
    Encoded,
    Field,
    FloatArray,
    FoldIn,
    Fuser,
    IdMap,
    NamesInputs,
    Profiles,
    RunError,
    did_you_mean,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class ConcatParams(HistoryParams):
    normalise: bool = Field(False, description="Bring each block's part to length 1, on both sides.")


class Concat(Fuser[ConcatParams]):
    """Blocks side by side as their encoders made them; a score is the sum of their inner products."""

    name = "concat"

    def __init__(self, params: ConcatParams) -> None:
        super().__init__(params)
        self.needs_time = params.half_life_days is not None

    def fuse(self, encoded: Mapping[str, Encoded], data: Dataset, ctx: Context) -> Profiles:
        """Profiles of all users and items; see the module for how sides are completed."""
        return _fused(encoded, data, self.params, normalise=self.params.normalise, centre=False)


class MeanHistoryParams(HistoryParams):
    normalise: bool = Field(True, description="Bring each block's part to length 1, on both sides.")
    centre: bool = Field(
        True,
        description="Subtract the mean vector of the training items (or users) from a block of items (or users) alone.",
    )


class MeanHistory(Fuser[MeanHistoryParams]):
    """A user is the mean of the items in their history: one block per encoder, all of equal weight.

    With `normalise`, a block's part of a score is the cosine of user and item; with `centre`, what all items have in
    common is taken out first, without which most text vectors point one way.
    """

    name = "mean-history"

    def __init__(self, params: MeanHistoryParams) -> None:
        super().__init__(params)
        self.needs_time = params.half_life_days is not None

    def fuse(self, encoded: Mapping[str, Encoded], data: Dataset, ctx: Context) -> Profiles:
        """Profiles of all users and items; see the module for how sides are completed."""
        return _fused(encoded, data, self.params, normalise=self.params.normalise, centre=self.params.centre)


class WeightedParams(HistoryParams):
    weights: Annotated[dict[str, Annotated[float, Field(ge=0)]], NamesInputs()] = Field(
        default={}, description="Stage id → weight of its block, 0 or more; a stage that is not named weighs 1."
    )
    balance: Literal["spread", "cosine"] = Field(
        "spread",
        description="What a weight multiplies: spread: the block's scores at deviation 1 over all users and items, so "
        "that vectors of a model keep their lengths, which say how sure it is; cosine: the block's cosine.",
    )
    centre: bool = Field(
        True,
        description="Subtract the mean vector of the training items (or users) from a block of items (or users) alone.",
    )


class Weighted(Fuser[WeightedParams]):
    """A weighted sum of blocks: a score is Σ_b weight_b · s_b(user, item), each s_b in a unit that can be compared.

    Blocks of items (or users) alone are brought to length 1 on both sides, so that s_b is a cosine. With
    `balance: spread`, blocks of both keep their lengths, and every block is divided by the deviation of its scores;
    with `balance: cosine`, those of both are brought to length 1 too, and no block is divided.
    """

    name = "weighted"

    def __init__(self, params: WeightedParams) -> None:
        super().__init__(params)
        self.needs_time = params.half_life_days is not None

    def fuse(self, encoded: Mapping[str, Encoded], data: Dataset, ctx: Context) -> Profiles:
        """Profiles of all users and items; see the module for how sides are completed.

        Raises RunError RP601 for a weight of a stage that is not among those fused.
        """
        weights = self.params.weights
        for name in weights:
            if name not in encoded:
                helps = did_you_mean(name, encoded, label="stages it is given")
                raise RunError.of("RP601", f"'{name}' in 'weights' is not among the stages fused", help=helps)
        spread = self.params.balance == "spread"
        return _fused(
            encoded, data, self.params, normalise=True, centre=self.params.centre, weights=weights, spread=spread
        )


@dataclass(frozen=True)
class _Part:
    """A block, complete: users (n_users, d), items (n_items, d), and how users follow from history, if they do."""

    users: FloatArray
    items: FloatArray
    pool: FloatArray | None = None
    fold_in: FoldIn | None = None
    unit: bool = False


def _deviation(part: _Part) -> float:
    """Standard deviation of a block's scores over all users and items; 1 where they are all the same.

    From second moments, (d, d) each, so that the scores are never made: E[s²] = tr(UᵀU · VᵀV) / (n m).
    """
    if part.users.size == 0 or part.items.size == 0:
        return 1.0
    users, items = part.users.astype(np.float64), part.items.astype(np.float64)
    square = float(np.sum((users.T @ users) * (items.T @ items))) / (len(users) * len(items))
    mean = float(users.mean(axis=0) @ items.mean(axis=0))
    variance = square - mean * mean
    return float(np.sqrt(variance)) if variance > 1e-12 * max(square, 1e-30) else 1.0


class _Histories:
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


def _fused(
    encoded: Mapping[str, Encoded],
    data: Dataset,
    p: HistoryParams,
    *,
    normalise: bool,
    centre: bool,
    weights: Mapping[str, float] | None = None,
    spread: bool = False,
) -> Profiles:
    """Profiles with a block per encoder, in the order given."""
    histories = _Histories(data, p)
    dim = sum(one.dim for one in encoded.values())
    # Filled block by block, so that no more than one block is held twice.
    users, items = np.zeros((data.n_users, dim), np.float32), np.zeros((data.n_items, dim), np.float32)
    blocks, at = [], 0
    for name, one in encoded.items():
        _expect_ids(name, one, data)
        one_sided = one.items is None or one.users is None
        part = _complete(one, data, histories, normalise=normalise and (one_sided or not spread), centre=centre)
        weight = (weights or {}).get(name, 1.0)
        stop = at + one.dim
        scale = np.float32(np.sqrt(weight / (_deviation(part) if spread else 1)))
        np.multiply(part.users, scale, out=users[:, at:stop])
        np.multiply(part.items, scale, out=items[:, at:stop])
        fold_in = part.fold_in if scale > 0 else None
        blocks.append(Block(name, at, stop, weight, part.pool, fold_in, float(scale), part.unit))
        at = stop
    known = np.asarray(users.any(axis=1))
    time = data.train.time
    asof = int(time.max()) if time is not None and len(time) else None
    history = histories.used()
    return Profiles(data.users.ids, data.items.ids, users, items, tuple(blocks), known, history, asof=asof)


def _complete(one: Encoded, data: Dataset, histories: _Histories, *, normalise: bool, centre: bool) -> _Part:
    """Both sides of a block, before its weight."""
    if one.items is not None and one.users is not None:
        users, items = _present(one.users), _present(one.items)
        if normalise:  # each row by a factor of its own: the model's equations hold no longer
            return _Part(unit_rows(users), unit_rows(items))
        return _Part(users, items, fold_in=one.fold_in)
    if one.items is not None:
        items = _side(one.items, ~data.cold_items(), normalise=normalise, centre=centre)
        users, pool = _means(histories.of_users(), items, ~one.items.missing, normalise=normalise)
        return _Part(users, items, pool, unit=normalise)
    assert one.users is not None
    users = _side(one.users, ~data.cold_users(), normalise=normalise, centre=centre)
    items, _ = _means(histories.of_items(), users, ~one.users.missing, normalise=normalise)
    return _Part(users, items)


def _side(vectors: Embeddings, training: BoolArray, *, normalise: bool, centre: bool) -> FloatArray:
    """The side that an encoder gave, centred on its training rows and of length 1 where that is wanted."""
    rows = _present(vectors)
    learnt = training & ~vectors.missing
    if centre and learnt.any():
        mean = rows[learnt].mean(axis=0, dtype=np.float64).astype(np.float32)
        rows = np.where(vectors.missing[:, None], np.float32(0), rows - mean)
    return unit_rows(rows) if normalise else rows


def _means(
    weights: csr_array, vectors: FloatArray, there: BoolArray, *, normalise: bool
) -> tuple[FloatArray, FloatArray]:
    """Weighted means of the vectors that are there, and the factor from the weighted sum to each: (rows, d), (rows,).

    A row without any is 0, and so is its factor.
    """
    sums = np.asarray(weights @ vectors, np.float32)
    total = np.asarray(weights @ there.astype(np.float32), np.float32)
    factor = np.divide(1, total, out=np.zeros_like(total), where=total > 0)
    if normalise:
        factor *= to_unit(row_lengths(sums) * factor)
    sums *= factor[:, None]
    return sums, factor


def _present(vectors: Embeddings) -> FloatArray:
    """The vectors, zero where they are missing."""
    if vectors.missing.any() and vectors.vectors[vectors.missing].any():
        return np.where(vectors.missing[:, None], np.float32(0), vectors.vectors)
    return vectors.vectors


def _rows_to_one(matrix: csr_array) -> csr_array:
    total = np.asarray(matrix.sum(axis=1), np.float32)
    matrix.data /= np.repeat(total, np.diff(matrix.indptr))
    return matrix


def _expect_ids(name: str, one: Encoded, data: Dataset) -> None:
    sides: tuple[tuple[Embeddings | None, IdMap, str], ...] = (
        (one.items, data.items.ids, "items"),
        (one.users, data.users.ids, "users"),
    )
    for vectors, ids, what in sides:
        if vectors is not None and vectors.ids != ids:
            message = f"the vectors of '{name}' are of {len(vectors.ids)} other {what} than the {len(ids)} of the data"
            raise DataError.of("RP506", message, help=("put preprocess stages before encode stages",))
