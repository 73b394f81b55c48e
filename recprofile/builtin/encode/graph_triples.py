"""The statements of a knowledge graph as codes, and which of them are held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.builtin.tables import column_of, plain_ids, read_table
from recprofile.plugin import Context, DataError

if TYPE_CHECKING:
    from recprofile.builtin.encode.graph import GraphParams

HELD = 2000  # pairs of entities, at most: the error of their mean rank is then a 45th of its spread
Int64Array = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Triples:
    """Statements, each once: `head`, `relation`, `tail` int64 codes of `relations` and `entities`, which are sorted."""

    head: Int64Array
    relation: Int64Array
    tail: Int64Array
    entities: pl.Series
    relations: pl.Series

    def __len__(self) -> int:
        return len(self.head)

    @classmethod
    def read(cls, p: GraphParams, ctx: Context) -> Triples:
        """Those of the file; what is left out is said. Raises DataError RP501, RP502 or RP504."""
        path = ctx.asset(p.triples)
        frame = read_table(path)
        names = {"head": p.head, "relation": p.relation, "tail": p.tail}
        given = pl.DataFrame(
            [plain_ids(column_of(frame, name, path)).cast(pl.String).alias(role) for role, name in names.items()]
        )
        whole = given.filter(~pl.any_horizontal(pl.all().is_null() | (pl.all() == "")))
        triples = whole.unique().sort("head", "relation", "tail")
        gaps, repeats = given.height - whole.height, whole.height - triples.height
        if gaps or repeats:
            ctx.warn(f"graph: of {given.height} triples {gaps} have a gap and {repeats} are repeated: left out")
        if triples.height == 0:
            raise DataError.of("RP504", f"'{path.name}' has no triple without a gap")
        return cls.of(triples)

    @classmethod
    def of(cls, triples: pl.DataFrame) -> Triples:
        """Those of a table of text with the columns head, relation and tail."""
        entities = pl.concat([triples["head"], triples["tail"]]).unique().sort()
        relations = triples["relation"].unique().sort()
        code = pl.Series(np.arange(max(len(entities), len(relations))))

        def codes(role: str, names: pl.Series) -> Int64Array:
            found = triples[role].replace_strict(names, code.head(len(names)), return_dtype=pl.Int64)
            return found.to_numpy().astype(np.int64, copy=False)

        return cls(codes("head", entities), codes("relation", relations), codes("tail", entities), entities, relations)

    def take(self, rows: NDArray[np.bool_]) -> Triples:
        """Those where the mask holds, of the same entities and relations."""
        return Triples(self.head[rows], self.relation[rows], self.tail[rows], self.entities, self.relations)

    def held(self, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which triples are held out: all of so many pairs of entities, whichever is the head, bool (n,).

        Only those whose entities and relation stand in others: of the rest nothing could be known.
        """
        n = len(self.entities)
        key = np.minimum(self.head, self.tail) * n + np.maximum(self.head, self.tail)
        pairs, pair = np.unique(key, return_inverse=True)
        drawn = np.zeros(len(pairs), np.bool_)
        drawn[rng.permutation(len(pairs))[: min(round(share * len(pairs)), HELD)]] = True
        held: NDArray[np.bool_] = drawn[pair]
        entity, relation = np.zeros(n, np.bool_), np.zeros(len(self.relations), np.bool_)
        entity[self.head[~held]] = entity[self.tail[~held]] = relation[self.relation[~held]] = True
        known = entity[self.head] & entity[self.tail] & relation[self.relation]
        all_known = np.ones(len(pairs), np.bool_)
        np.logical_and.at(all_known, pair, known)
        return held & all_known[pair]
