"""Vectors: Embeddings (of one axis) and Encoded (what an encoder gives)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.artifacts.fold_in import FoldIn
from recprofile.artifacts.pack import Pack, join_packs
from recprofile.artifacts.tables import IdMap
from recprofile.artifacts.types import BoolArray, FloatArray, expect, expect_finite
from recprofile.errors import ArtifactError

Axis = Literal["item", "user"]


@dataclass(frozen=True, eq=False)
class Embeddings:
    """One vector per item or per user.

    `vectors` (n, d) float32, finite, rows in the order of `ids`; `missing` bool (n,), True where there was nothing
    to encode (that row is zero, and fusers leave it out rather than average a zero in); `annotations` an optional
    table of n rows (tags, text).
    """

    axis: Axis
    ids: IdMap
    vectors: FloatArray
    missing: BoolArray = field(default_factory=lambda: np.zeros(0, np.bool_))
    annotations: pl.DataFrame = field(default_factory=pl.DataFrame)

    def __post_init__(self) -> None:
        n = len(self.ids)
        if self.axis not in ("item", "user"):
            raise ArtifactError(f"Embeddings.axis is '{self.axis}', and must be 'item' or 'user'")
        expect(self.vectors, "Embeddings.vectors", dtype=np.float32, shape=(n, None))
        expect_finite(self.vectors, "Embeddings.vectors")
        if len(self.missing) == 0 and n:
            object.__setattr__(self, "missing", np.zeros(n, np.bool_))
        expect(self.missing, "Embeddings.missing", dtype=np.bool_, shape=(n,))
        if self.annotations.width and self.annotations.height != n:
            raise ArtifactError(f"Embeddings.annotations has {self.annotations.height} rows for {n} vectors")

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])

    def pack(self) -> Pack:
        """See `Pack`."""
        own = Pack(
            {"vectors": self.vectors, "missing": self.missing},
            {"annotations": self.annotations} if self.annotations.width else {},
            {"axis": self.axis},
        )
        return join_packs(ids=self.ids.pack(), own=own)

    @classmethod
    def unpack(cls, pack: Pack) -> Embeddings:
        """The inverse of `pack`."""
        own = pack.part("own")
        return cls(
            own.values["axis"],
            IdMap.unpack(pack.part("ids")),
            own.arrays["vectors"],
            own.arrays["missing"],
            own.tables.get("annotations", pl.DataFrame()),
        )


@dataclass(frozen=True, eq=False)
class Encoded:
    """What an encode stage gives: vectors of items, of users, or of both in one space.

    `fold_in` says how the user vectors follow from behaviour, where the model can say it. `learnt` is what the encode
    stage learnt, arrays by name, which it needs to encode items that come later (`Encoder.more_items`); `chosen` what
    it chose by itself, plain values by the names of parameters, for its `settled`.
    """

    items: Embeddings | None = None
    users: Embeddings | None = None
    fold_in: FoldIn | None = None
    learnt: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    chosen: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.items is None and self.users is None:
            raise ArtifactError("an encoder gave vectors of neither items nor users")
        for side, axis in ((self.items, "item"), (self.users, "user")):
            if side is not None and side.axis != axis:
                raise ArtifactError(f"an encoder gave {side.axis} vectors as {axis}s")
        if self.items is not None and self.users is not None and self.items.dim != self.users.dim:
            raise ArtifactError(f"item vectors have {self.items.dim} dimensions and user vectors {self.users.dim}")

    @classmethod
    def of(cls, result: Embeddings | Encoded) -> Encoded:
        """An encoder's result, single or both, as Encoded."""
        if isinstance(result, Encoded):
            return result
        return cls(items=result) if result.axis == "item" else cls(users=result)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        side = self.items if self.items is not None else self.users
        assert side is not None
        return side.dim

    def pack(self) -> Pack:
        """See `Pack`."""
        return join_packs(
            items=self.items.pack() if self.items is not None else None,
            users=self.users.pack() if self.users is not None else None,
            fold_in=self.fold_in.pack() if self.fold_in is not None else None,
            learnt=Pack(self.learnt) if self.learnt else None,
            own=Pack(values={"chosen": dict(self.chosen)}) if self.chosen else None,
        )

    @classmethod
    def unpack(cls, pack: Pack) -> Encoded:
        """The inverse of `pack`."""
        items = Embeddings.unpack(pack.part("items")) if pack.has("items") else None
        users = Embeddings.unpack(pack.part("users")) if pack.has("users") else None
        fold_in = FoldIn.unpack(pack.part("fold_in")) if pack.has("fold_in") else None
        learnt = pack.part("learnt").arrays
        return cls(items, users, fold_in, learnt, pack.part("own").values["chosen"] if pack.has("own") else {})
