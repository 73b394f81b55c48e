"""Profiles: what a fuser gives, users and items in one space of named blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.artifacts.fold_in import FoldIn
from recprofile.artifacts.pack import Pack, join_packs, pack_csr, unpack_csr
from recprofile.artifacts.tables import IdMap
from recprofile.artifacts.types import BoolArray, FloatArray, IntArray, expect, expect_finite
from recprofile.errors import ArtifactError

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class Block:
    """One named part of every profile: what one source says of users and items, as columns of the fused space.

    `start:stop` are its columns in `Profiles.user_vectors` and `item_vectors`, so that a score (an inner product in
    the fused space) is the sum of the blocks' inner products. `weight` is the share that the recipe or training gave
    it. Where `pool` is present, float32 (n_users,), the user's part is pooled from history and
    user_part[u] = pool[u] · Σ_j history[u, j] · item_part[j], which is what evidence by history item rests on. Where
    `fold_in` is present, the user's part is that of a model, and `scale` is what its vectors were multiplied with on
    both sides, the user's times what `Profiles.factors` says. `unit`: a user's pooled part was brought to length 1
    before that. Where `filled` is present, bool (n_items,), it marks items of which the block knows nothing and whose
    part is what is expected of them; a history counts them as zero (`Profiles.told`).
    """

    name: str
    start: int
    stop: int
    weight: float = 1.0
    pool: FloatArray | None = None
    fold_in: FoldIn | None = None
    scale: float = 1.0
    unit: bool = False
    filled: BoolArray | None = None


@dataclass(frozen=True, eq=False)
class Profiles:
    """User profiles: named blocks in one fused space, with the items in the same space.

    `user_vectors` (n_users, d) and `item_vectors` (n_items, d) float32, finite; `blocks` cover the d columns in
    order; `history` (n_users, n_items) float32 CSR, the weight of each history item in the pooled blocks, or None;
    `known` bool (n_users,), False where nothing is known of a user (the row is zero); `cards` an optional table (user,
    text, and tags where there are any) for people; `asof` seconds since 1970 UTC of the last event taken in, or None;
    `state` what an updater keeps of each user, float64 (n_users,) by name; `block_weights` float32 (n_users, n_blocks),
    what each block weighs for each user, 0 where it knows nothing of them, or None where all weigh what the block says;
    `learnt` what the fuse stage learnt, arrays by name, which it needs to make profiles of other people
    (`Fuser.again`).
    """

    users: IdMap
    items: IdMap
    user_vectors: FloatArray
    item_vectors: FloatArray
    blocks: tuple[Block, ...]
    known: BoolArray
    history: csr_array | None = None
    cards: pl.DataFrame = field(default_factory=pl.DataFrame)
    asof: int | None = None
    state: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    block_weights: FloatArray | None = None
    learnt: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, m = len(self.users), len(self.items)
        for name, values in self.state.items():
            expect(values, f"Profiles.state '{name}'", dtype=np.float64, shape=(n,))
        expect(self.user_vectors, "Profiles.user_vectors", dtype=np.float32, shape=(n, None))
        expect(self.item_vectors, "Profiles.item_vectors", dtype=np.float32, shape=(m, self.dim))
        expect(self.known, "Profiles.known", dtype=np.bool_, shape=(n,))
        expect_finite(self.user_vectors, "Profiles.user_vectors")
        expect_finite(self.item_vectors, "Profiles.item_vectors")
        if self.history is not None and self.history.shape != (n, m):
            raise ArtifactError(f"Profiles.history has shape {self.history.shape}, and must have ({n}, {m})")
        at = 0
        for block in self.blocks:
            if block.start != at or block.stop < block.start:
                raise ArtifactError(f"block '{block.name}' starts at column {block.start}, and must start at {at}")
            if block.pool is not None:
                expect(block.pool, f"block '{block.name}' pool", dtype=np.float32, shape=(n,))
            if block.filled is not None:
                expect(block.filled, f"block '{block.name}' filled", dtype=np.bool_, shape=(m,))
            at = block.stop
        if at != self.dim:
            raise ArtifactError(f"the blocks cover {at} of {self.dim} columns")
        if len({block.name for block in self.blocks}) != len(self.blocks):
            raise ArtifactError("two blocks have one name")
        if self.block_weights is not None:
            expect(self.block_weights, "Profiles.block_weights", dtype=np.float32, shape=(n, len(self.blocks)))
            expect_finite(self.block_weights, "Profiles.block_weights")

    @property
    def dim(self) -> int:
        """Columns of the fused space."""
        return int(self.user_vectors.shape[1])

    def told(self, block: Block) -> FloatArray:
        """A block's item vectors as a history counts them: filled ones as zero, (n_items, width of the block)."""
        items = self.item_vectors[:, block.start : block.stop]
        return items if block.filled is None else np.where(block.filled[:, None], np.float32(0), items)

    def factors(self) -> FloatArray:
        """What each block weighs for each user, as multiples of its `weight`: (n_users, n_blocks) float32."""
        if self.block_weights is None:
            return np.ones((len(self.users), len(self.blocks)), np.float32)
        weights = np.array([block.weight for block in self.blocks], np.float32)
        return np.divide(self.block_weights, weights, out=np.zeros_like(self.block_weights), where=weights > 0)

    def weights_of(self, user: int) -> list[float]:
        """What each block weighs for a user, by code."""
        if self.block_weights is None:
            return [block.weight for block in self.blocks]
        return [float(weight) for weight in self.block_weights[user]]

    @property
    def tells_history(self) -> bool:
        """Whether any block says what each history item gives: see `history_scores`."""
        return any(block.fold_in is not None or block.pool is not None for block in self.blocks)

    def rests_on(self) -> csr_array | None:
        """The weight of each history item, (n_users, n_items): in the pooled blocks, else a model; None: neither."""
        fold_ins = (block.fold_in.confidence for block in self.blocks if block.fold_in is not None)
        return self.history if self.history is not None else next(fold_ins, None)

    def block_scores(self, users: IntArray, items: IntArray) -> FloatArray:
        """Each block's part of the inner product of user and item, pair by pair: (n_pairs, n_blocks) float32."""
        product = self.user_vectors[users] * self.item_vectors[items]
        parts = [product[:, b.start : b.stop].sum(axis=1) for b in self.blocks]
        return np.stack(parts, axis=1).astype(np.float32) if parts else np.zeros((len(users), 0), np.float32)

    def history_scores(self, users: IntArray, items: IntArray) -> csr_array:
        """Each history item's part of a pair's score, pair by pair: (n_pairs, n_items) float32 CSR.

        A row sums to what the pooled and the folded-in blocks give that pair; other blocks are in `block_scores` only.
        """
        from scipy.sparse import csr_array  # noqa: PLC0415 - costs 90 ms that `validate` need not pay

        total = csr_array((len(users), len(self.items)), dtype=np.float32)
        factors = self.factors()[users]
        for at, block in enumerate(self.blocks):
            if block.fold_in is not None:
                scale = np.float32(block.scale)
                targets = None if block.filled is None else self.item_vectors[:, block.start : block.stop] / scale
                parts = block.fold_in.parts(self.told(block) / scale, users, items, targets=targets)
                parts.data *= np.repeat(scale**2 * factors[:, at], np.diff(parts.indptr))
                total = total + parts
        return total if self.history is None else total + self._pooled_scores(self.history, users, items)

    def _pooled_scores(self, history: csr_array, users: IntArray, items: IntArray) -> csr_array:
        from scipy.sparse import csr_array  # noqa: PLC0415 - as above

        rows = history[users].tocsr()
        pair = np.repeat(np.arange(len(users)), np.diff(rows.indptr))
        value = np.zeros(len(pair), np.float32)
        for block in self.blocks:
            if block.pool is not None:
                side = self.item_vectors[:, block.start : block.stop]
                close = np.einsum("pd,pd->p", self.told(block)[rows.indices], side[items[pair]])
                value += block.pool[users[pair]] * rows.data * close
        return csr_array((value, rows.indices, rows.indptr), shape=rows.shape)

    def pack(self) -> Pack:
        """See `Pack`."""
        arrays: dict[str, NDArray[Any]] = {
            "user_vectors": self.user_vectors, "item_vectors": self.item_vectors, "known": self.known
        }  # fmt: skip
        arrays |= {f"pool/{b.name}": b.pool for b in self.blocks if b.pool is not None}
        arrays |= {f"filled/{b.name}": b.filled for b in self.blocks if b.filled is not None}
        arrays |= {f"state/{name}": values for name, values in self.state.items()}
        arrays |= {f"learnt/{name}": values for name, values in self.learnt.items()}
        if self.block_weights is not None:
            arrays["block_weights"] = self.block_weights
        blocks = [[b.name, b.start, b.stop, b.weight, b.scale, b.unit] for b in self.blocks]
        folds = {f"fold_in_{n}": b.fold_in.pack() for n, b in enumerate(self.blocks) if b.fold_in is not None}
        tables = {"cards": self.cards} if self.cards.width else {}
        return join_packs(
            users=self.users.pack(),
            items=self.items.pack(),
            own=Pack(arrays, tables, {"blocks": blocks, "asof": self.asof}),
            history=None if self.history is None else pack_csr(self.history),
            **folds,
        )

    @classmethod
    def unpack(cls, pack: Pack) -> Profiles:
        """The inverse of `pack`."""
        own = pack.part("own")
        arrays: Mapping[str, Any] = own.arrays
        folds = [f"fold_in_{n}" for n in range(len(own.values["blocks"]))]
        fold_ins = [FoldIn.unpack(pack.part(name)) if pack.has(name) else None for name in folds]
        return cls(
            IdMap.unpack(pack.part("users")),
            IdMap.unpack(pack.part("items")),
            own.arrays["user_vectors"],
            own.arrays["item_vectors"],
            tuple(
                Block(
                    name,
                    start,
                    stop,
                    weight,
                    arrays.get(f"pool/{name}"),
                    fold_in,
                    scale,
                    unit,
                    arrays.get(f"filled/{name}"),
                )
                for (name, start, stop, weight, scale, unit), fold_in in zip(
                    own.values["blocks"], fold_ins, strict=True
                )
            ),
            own.arrays["known"],
            unpack_csr(pack.part("history")) if pack.has("history") else None,
            own.tables.get("cards", pl.DataFrame()),
            own.values["asof"],
            {name.removeprefix("state/"): a for name, a in arrays.items() if name.startswith("state/")},
            arrays.get("block_weights"),
            {name.removeprefix("learnt/"): a for name, a in arrays.items() if name.startswith("learnt/")},
        )
