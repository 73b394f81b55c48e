"""Events: Interactions (columns of one part) and Dataset (tables, train, validation and test parts)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.artifacts.pack import Pack, join_packs
from recprofile.artifacts.tables import Table
from recprofile.artifacts.types import BoolArray, FloatArray, IntArray, expect, expect_codes
from recprofile.errors import ArtifactError, DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Part = Literal["train", "valid", "test"]
T = TypeVar("T")
NO_COLUMNS = pl.DataFrame()  # one for all: to make it takes as long as a person's vector


@dataclass(frozen=True)
class PositiveRule:
    """Which events are positive, by their weight as it stands in the file: `>= 4`."""

    op: str
    threshold: float

    def mask(self, weight: FloatArray) -> BoolArray:
        """True where an event is positive, bool (n,); a missing weight (NaN) is not."""
        w, t = weight, np.float32(self.threshold)
        masks = {">=": w >= t, ">": w > t, "==": w == t, "!=": (w != t) & ~np.isnan(w), "<=": w <= t, "<": w < t}
        mask: BoolArray = masks[self.op]
        return mask


@dataclass(frozen=True, eq=False)
class Interactions:
    """Events of users with items, as columns of equal length n.

    `user`, `item` int32 dense codes; `weight` float32 (1 where the log has none; NaN only until an `impute` has
    run); `time` int64 seconds since 1970 UTC, or None; `positive` bool, what implicit models learn from and what
    counts as relevant; `context` further columns of the log.
    """

    user: IntArray
    item: IntArray
    weight: FloatArray
    time: NDArray[np.int64] | None
    positive: BoolArray
    context: pl.DataFrame = field(default_factory=lambda: NO_COLUMNS)

    def __post_init__(self) -> None:
        n = len(self.user)
        expect(self.user, "Interactions.user", dtype=np.int32, shape=(n,))
        expect(self.item, "Interactions.item", dtype=np.int32, shape=(n,))
        expect(self.weight, "Interactions.weight", dtype=np.float32, shape=(n,))
        expect(self.positive, "Interactions.positive", dtype=np.bool_, shape=(n,))
        if self.time is not None:
            expect(self.time, "Interactions.time", dtype=np.int64, shape=(n,))
        if self.context.width and self.context.height != n:
            raise ArtifactError(f"Interactions.context has {self.context.height} rows for {n} events")

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: NDArray[Any]) -> Interactions:
        """The events at these rows, or where this mask holds, in that order."""
        context = self.context
        if context.width:
            index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
            context = context[index.astype(np.uint32)]
        time = None if self.time is None else self.time[rows]
        return Interactions(self.user[rows], self.item[rows], self.weight[rows], time, self.positive[rows], context)

    @classmethod
    def empty(cls, *, time: bool = False) -> Interactions:
        """No events."""
        zero = np.zeros(0, np.int32)
        return cls(zero, zero, np.zeros(0, np.float32), np.zeros(0, np.int64) if time else None, np.zeros(0, np.bool_))

    def pack(self) -> Pack:
        """See `Pack`."""
        arrays: dict[str, NDArray[Any]] = {
            "user": self.user, "item": self.item, "weight": self.weight, "positive": self.positive
        }  # fmt: skip
        if self.time is not None:
            arrays["time"] = self.time
        return Pack(arrays, {"context": self.context} if self.context.width else {})

    @classmethod
    def unpack(cls, pack: Pack) -> Interactions:
        """The inverse of `pack`."""
        a = pack.arrays
        context = pack.tables.get("context", pl.DataFrame())
        return cls(a["user"], a["item"], a["weight"], a.get("time"), a["positive"], context)


@dataclass(frozen=True, eq=False, slots=True)
class Pairs:
    """Pairs of user and item, user by user and by rising item: the arrays of a CSR, and its shape.

    `indptr` int32 (n_users + 1,) says where a user's begin, `indices` int32 (n,) are the items, `data` float32 (n,).
    """

    indptr: IntArray
    indices: IntArray
    data: FloatArray
    shape: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Tables and events, split; what every stage reads.

    `train` is all that may be learnt from. `valid` is what the split's own rule holds out of the training data for
    tuning, and `held` (bool, one per train event) marks the train events that belong to it: a component that tunes
    itself works on `for_tuning()`, whose `train` lacks them and whose `test` is `valid`. `test` is for evaluation
    only. `notes` are counts that the report must show (dropped rows, unknown ids); `learnt` is what preprocess stages
    learnt, by their ids, as plain values.
    """

    users: Table
    items: Table
    train: Interactions
    valid: Interactions
    test: Interactions
    held: BoolArray
    positive: PositiveRule | None = None
    notes: tuple[str, ...] = ()
    learnt: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    _memo: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        expect(self.held, "Dataset.held", dtype=np.bool_, shape=(len(self.train),))
        n_users, n_items = self.n_users, self.n_items
        for name, part in (("train", self.train), ("valid", self.valid), ("test", self.test)):
            expect_codes(part.user, f"Dataset.{name}.user", below=n_users)
            expect_codes(part.item, f"Dataset.{name}.item", below=n_items)

    @property
    def n_users(self) -> int:
        """How many users there are, those without events included."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """How many items there are, those without events included."""
        return len(self.items)

    @property
    def has_time(self) -> bool:
        """Whether events carry a time."""
        return self.train.time is not None

    def matrix(self, part: Part = "train", *, positive_only: bool = False, binary: bool = False) -> csr_array:
        """Events as a sparse matrix, (n_users, n_items) float32 CSR with sorted indices, memoised.

        Weights of events with the same user and item are summed; `binary` gives 1 for each pair instead. Do not
        write to it: the memo is shared.
        """

        def make() -> csr_array:
            from scipy.sparse import csr_array  # noqa: PLC0415 - costs 90 ms that `validate` need not pay

            if positive_only and getattr(self, part).positive.all():
                return self.matrix(part, binary=binary)
            pairs = self.pairs(part, positive_only=positive_only, binary=binary)
            matrix = csr_array((pairs.data, pairs.indices, pairs.indptr), shape=pairs.shape)
            matrix.has_canonical_format = True
            return matrix

        return self.memo(f"matrix/{part}/{positive_only}/{binary}", make)

    def pairs(self, part: Part = "train", *, positive_only: bool = False, binary: bool = False) -> Pairs:
        """What `matrix` holds, as arrays; made anew each time.

        Where events are in the order of user and item, each pair once, as those of one person asking mostly are, this
        takes a quarter of the time.
        """
        events: Interactions = getattr(self, part)
        shape = (self.n_users, self.n_items)
        user, item, weight = events.user, events.item, events.weight
        if positive_only and not events.positive.all():
            rows = events.positive
            user, item, weight = user[rows], item[rows], weight[rows]
        value = np.ones(len(user), np.float32) if binary else weight
        if shape[0] == 1 and (item[1:] > item[:-1]).all():  # one person
            return Pairs(np.array([0, len(item)], np.int32), item, value, shape)
        if _rise(user, item):
            starts = np.zeros(shape[0] + 1, np.int32)
            np.cumsum(np.bincount(user, minlength=shape[0]), out=starts[1:])
            return Pairs(starts, item, value, shape)
        matrix = summed_pairs(user, item, value, shape)
        if binary:
            matrix.data[:] = 1
        return Pairs(matrix.indptr, matrix.indices, matrix.data, shape)

    def memo(self, key: str, make: Callable[[], T]) -> T:
        """What `make` gives, made once for these events: `key` must name all that it depends on beside them.

        For what several stages or many trials of a search need alike, such as a Gram matrix. Do not write to it.
        """
        if key not in self._memo:
            self._memo[key] = make()
        found: T = self._memo[key]
        return found

    def positives(self, part: Part = "train") -> csr_array:
        """Positive pairs, 1 where there is one: (n_users, n_items) float32 CSR."""
        return self.matrix(part, positive_only=True, binary=True)

    def seen(self) -> csr_array:
        """Pairs with any training event, positive or not: (n_users, n_items) float32 CSR of ones."""
        return self.matrix("train", binary=True)

    def item_counts(self) -> NDArray[np.int64]:
        """Positive training events of each item, int64 (n_items,)."""
        return np.bincount(self.train.item[self.train.positive], minlength=self.n_items)

    def cold_items(self) -> BoolArray:
        """True for items without any training event, bool (n_items,)."""
        return np.asarray(np.bincount(self.train.item, minlength=self.n_items) == 0)

    def cold_users(self) -> BoolArray:
        """True for users without any training event, bool (n_users,)."""
        return np.asarray(np.bincount(self.train.user, minlength=self.n_users) == 0)

    def for_tuning(self) -> Dataset:
        """The same data with the validation part as `test` and out of `train`.

        Raises DataError RP507 when the split left no validation events.
        """
        if len(self.valid) == 0:
            raise DataError.of("RP507", "the split left no validation events to tune on")
        fit = self.train.take(~self.held)
        nothing = Interactions.empty(time=self.has_time)
        held = np.zeros(len(fit), np.bool_)
        return replace(self, train=fit, valid=nothing, test=self.valid, held=held, _memo={})

    def keep(self, *, users: BoolArray | None = None, items: BoolArray | None = None) -> Dataset:
        """The data of these users and items only: all else is gone from tables and every part; codes close up."""
        if users is None:
            users = np.ones(self.n_users, np.bool_)
        if items is None:
            items = np.ones(self.n_items, np.bool_)
        new_user = np.cumsum(users, dtype=np.int32) - np.int32(1)
        new_item = np.cumsum(items, dtype=np.int32) - np.int32(1)

        def recode(part: Interactions) -> tuple[Interactions, BoolArray]:
            stays = users[part.user] & items[part.item]
            left = part.take(stays)
            return replace(left, user=new_user[left.user], item=new_item[left.item]), stays

        train, stays = recode(self.train)
        return replace(
            self,
            users=self.users.keep(users),
            items=self.items.keep(items),
            train=train,
            valid=recode(self.valid)[0],
            test=recode(self.test)[0],
            held=self.held[stays],
            _memo={},
        )

    def revise(self, **changes: Any) -> Dataset:
        """A copy with fields replaced and the memo emptied."""
        return replace(self, **changes, _memo={})

    def note(self, *notes: str) -> Dataset:
        """A copy with notes added; the memo is kept, for the events are the same."""
        return replace(self, notes=(*self.notes, *notes))

    def pack(self) -> Pack:
        """See `Pack`."""
        rule = None if self.positive is None else [self.positive.op, self.positive.threshold]
        return join_packs(
            users=self.users.pack(),
            items=self.items.pack(),
            train=self.train.pack(),
            valid=self.valid.pack(),
            test=self.test.pack(),
            own=Pack(
                {"held": self.held}, values={"positive": rule, "notes": list(self.notes), "learnt": dict(self.learnt)}
            ),
        )

    @classmethod
    def unpack(cls, pack: Pack) -> Dataset:
        """The inverse of `pack`."""
        own = pack.part("own")
        rule = own.values["positive"]
        return cls(
            Table.unpack(pack.part("users")),
            Table.unpack(pack.part("items")),
            Interactions.unpack(pack.part("train")),
            Interactions.unpack(pack.part("valid")),
            Interactions.unpack(pack.part("test")),
            own.arrays["held"],
            PositiveRule(*rule) if rule else None,
            tuple(own.values["notes"]),
            own.values["learnt"],
        )


def _rise(user: IntArray, item: IntArray) -> bool:
    """Whether events are in the order of user and item, and no two are of one pair."""
    later = user[1:] > user[:-1]
    return bool((later | ((user[1:] == user[:-1]) & (item[1:] > item[:-1]))).all())


def summed_pairs(user: IntArray, item: IntArray, value: FloatArray, shape: tuple[int, int]) -> csr_array:
    """Values summed by pairs of codes: float32 CSR of this shape with sorted indices, in half the time of scipy's."""
    from scipy.sparse import coo_array  # noqa: PLC0415 - costs 90 ms that `validate` need not pay

    pairs = coo_array((value, (user, item)), shape=shape)
    pairs.has_canonical_format = True  # which keeps scipy from a sort: by way of columns rows come out sorted
    matrix = pairs.tocsc().tocsr()
    matrix.has_sorted_indices = True
    matrix.sum_duplicates()
    return matrix
