"""What an update needs of the run that was published, and how the store keeps it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.artifacts import (
    Block,
    BoolArray,
    Embeddings,
    Encoded,
    FloatArray,
    FoldIn,
    IdMap,
    Pack,
    PositiveRule,
    Profiles,
)

LABEL = "\0label"  # no file can have a column of that name
# A whole number as one writes it: '007' is text, for it would come back as another id.
WHOLE = re.compile(r"^(?:0|-?[1-9][0-9]{0,17})$")


@dataclass(frozen=True, eq=False)
class Base:
    """A publication less its people: items with their vectors, blocks, encoders and rules.

    `names` are the outside ids of the items as text, those that came later at the end; `catalogue` their attributes
    with a column LABEL, what a person reads; `vectors` (n_items, d) float32 in the fused space; `raw` the encoders'
    item vectors by stage, and which are missing; `trained` bool and `positives` int64 (n_items,): whether an item had a
    training event, and how many positive ones; `facts` plain values: see `published_base` and `Stages.facts`;
    `listed` the ids, as text, that the recipe's file of candidates names, known or not, and None without one; `learnt`
    what the fuse stage learnt (`Profiles.learnt`), `lessons` what each encode stage did (`Encoded.learnt`).
    """

    names: pl.Series
    catalogue: pl.DataFrame
    vectors: FloatArray
    raw: Mapping[str, tuple[FloatArray, BoolArray]]
    trained: BoolArray
    positives: NDArray[np.int64]
    facts: Mapping[str, Any]
    listed: pl.Series | None = None
    learnt: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    lessons: Mapping[str, Mapping[str, NDArray[Any]]] = field(default_factory=dict)
    added: int = 0
    version: int = 0

    @property
    def ids(self) -> IdMap:
        """The items, in this order."""
        return IdMap(self.names)

    @property
    def candidates(self) -> BoolArray | None:
        """Items that a list may hold, bool (n_items,); None for all. What came later is cold until the next run."""
        if self.listed is not None:
            return self.names.is_in(self.listed.implode()).to_numpy()
        return ~self.trained if self.facts["list"]["candidates"] == "cold" else None

    @property
    def dim(self) -> int:
        """Columns of the fused space."""
        return int(self.vectors.shape[1])

    @property
    def rule(self) -> PositiveRule | None:
        """Which events are positive."""
        rule = self.facts["rule"]
        return PositiveRule(*rule) if rule else None

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks, without users: where they stand, weight, scale."""
        return tuple(
            Block(b["name"], b["start"], b["stop"], b["weight"], None, None, b["scale"], b["unit"])
            for b in self.facts["blocks"]
        )

    def model(self, name: str) -> FoldIn | None:
        """The equations of a block that a model made, with an empty history; None for another block."""
        from scipy.sparse import csr_array  # noqa: PLC0415 - costs 90 ms that `profile history` need not pay

        equations = next(b["fold_in"] for b in self.facts["blocks"] if b["name"] == name)
        return FoldIn(csr_array((0, len(self.names)), dtype=np.float32), **equations) if equations else None

    def label(self, item: str) -> str | None:
        """What a person reads for an item, where that is more than its id."""
        return self.labels.get(item)

    @property
    def labels(self) -> dict[str, str]:
        """Labels by id as text, where they are more than the id."""
        pairs = zip(self.names, self.catalogue[LABEL], strict=True)
        return {name: label for name, label in pairs if label is not None and label != name}

    def whole(self, item: str) -> int | str:
        """An item's outside id in its own type."""
        return int(item) if self.facts["items_whole"] and WHOLE.match(item) else item

    def pack(self) -> Pack:
        """As the store keeps it, in one Pack."""
        arrays: dict[str, NDArray[Any]] = {
            "vectors": self.vectors, "trained": self.trained, "positives": self.positives
        }  # fmt: skip
        for name, (vectors, missing) in self.raw.items():
            arrays |= {f"raw/{name}": vectors, f"missing/{name}": missing}
        arrays |= {f"learnt/{name}": values for name, values in self.learnt.items()}
        for stage, lesson in self.lessons.items():
            arrays |= {f"lesson/{stage}/{name}": values for name, values in lesson.items()}
        tables = {"catalogue": self.catalogue.with_columns(self.names.alias("\0id"))}
        if self.listed is not None:
            tables["candidates"] = self.listed.rename("id").to_frame()
        return Pack(arrays, tables, dict(self.facts))

    @classmethod
    def unpack(cls, pack: Pack, version: int) -> Base:
        """The inverse of `pack`."""
        a = pack.arrays
        raw = {n.removeprefix("raw/"): (v, a[f"missing/{n[4:]}"]) for n, v in a.items() if n.startswith("raw/")}
        lessons: dict[str, dict[str, NDArray[Any]]] = {}
        for name, values in a.items():
            if name.startswith("lesson/"):
                _, stage, what = name.split("/", 2)
                lessons.setdefault(stage, {})[what] = values
        table = pack.tables["catalogue"]
        return cls(
            table["\0id"].rename("id"),
            table.drop("\0id"),
            a["vectors"],
            raw,
            a["trained"],
            a["positives"],
            pack.values,
            pack.tables["candidates"]["id"] if "candidates" in pack.tables else None,
            {n.removeprefix("learnt/"): v for n, v in a.items() if n.startswith("learnt/")},
            lessons,
            version=version,
        )

    def original(self) -> Base:
        """Without the items that came since the publication."""
        n = len(self.names) - self.added
        raw = {name: (vectors[:n], missing[:n]) for name, (vectors, missing) in self.raw.items()}
        return replace(
            self,
            names=self.names[:n],
            catalogue=self.catalogue[:n],
            vectors=self.vectors[:n],
            raw=raw,
            trained=self.trained[:n],
            positives=self.positives[:n],
            added=0,
        )

    def grown(self, new: Base) -> Base:
        """With further items after these."""
        raw = {
            name: (np.concatenate([v, new.raw[name][0]]), np.concatenate([m, new.raw[name][1]]))
            for name, (v, m) in self.raw.items()
        }
        return replace(
            self,
            names=pl.concat([self.names, new.names]),
            catalogue=pl.concat([self.catalogue, new.catalogue], how="diagonal_relaxed"),
            vectors=np.concatenate([self.vectors, new.vectors]),
            raw=raw,
            trained=np.concatenate([self.trained, new.trained]),
            positives=np.concatenate([self.positives, new.positives]),
            added=self.added + len(new.names),
        )


@dataclass(frozen=True, eq=False)
class Recommends:
    """The recommender that made the lists, as the store keeps it: its component, parameters and Pack."""

    component: str
    params: Mapping[str, Any]
    pack: Pack = field(default_factory=Pack)


def published_base(
    profiles: Profiles,
    encoded: Mapping[str, Encoded],
    catalogue: pl.DataFrame,
    *,
    trained: BoolArray,
    positives: NDArray[np.int64],
    facts: Mapping[str, Any],
    listed: pl.Series | None,
) -> Base:
    """The base of a publication. `facts` hold what the plan says: stages, rules, lists."""
    whole = profiles.items.ids.dtype == pl.Int64
    blocks = [
        {
            "name": b.name,
            "start": b.start,
            "stop": b.stop,
            "weight": b.weight,
            "scale": b.scale,
            "unit": b.unit,
            "pooled": b.pool is not None,
            "fold_in": {**b.fold_in.equations(), "n_items": b.fold_in.n_items or len(profiles.items)}
            if b.fold_in is not None
            else None,
        }
        for b in profiles.blocks
    ]
    sides = {name: [one.dim, one.items is not None, one.users is not None] for name, one in encoded.items()}
    raw = {name: (one.items.vectors, one.items.missing) for name, one in encoded.items() if one.items is not None}
    return Base(
        profiles.items.ids.cast(pl.String).rename("id"),
        catalogue,
        profiles.item_vectors,
        raw,
        trained,
        positives,
        {
            **facts,
            "blocks": blocks,
            "sides": sides,
            "items_whole": whole,
            "users_whole": profiles.users.ids.dtype == pl.Int64,
        },
        listed,
        profiles.learnt,
        {name: one.learnt for name, one in encoded.items() if one.learnt},
    )


def item_side(base: Base, name: str, ids: IdMap) -> Embeddings:
    """An encoder's item vectors as it gave them."""
    vectors, missing = base.raw[name]
    return Embeddings("item", ids, vectors, missing)
