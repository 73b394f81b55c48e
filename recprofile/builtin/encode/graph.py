"""What a knowledge graph says of items, as vectors: `graph`. How they are learnt is in `graph_training`."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import polars as pl

from recprofile.builtin.tables import column_of, plain_ids, read_table, samples
from recprofile.plugin import (
    Asset,
    Context,
    DataError,
    Dataset,
    Embeddings,
    Encoder,
    Field,
    IntArray,
    ItemColumn,
    Params,
    model_validator,
    refusal,
)


class GraphParams(Params):
    triples: Asset = Field(description="The graph, a statement a row: a Parquet, CSV, TSV or JSON Lines file.")
    head: str = Field("head", description="Column of the triples with the entity that a statement is about.")
    relation: str = Field("relation", description="Column of the triples with what the statement says.")
    tail: str = Field("tail", description="Column of the triples with the entity that it names.")
    links: Asset | None = Field(
        None, description="Which entity an item is: a file with an item and an entity a row, as many as there are."
    )
    link_item: str = Field("item", description="Column of the links with the item's id.")
    link_entity: str = Field("entity", description="Column of the links with the entity.")
    entity: ItemColumn | None = Field(
        None, description="Item column that holds the entity, instead of 'links'; null for both: the item's id is it."
    )
    model: Literal["transe", "distmult", "complex", "rotate"] = Field(
        "transe", description="How a relation leads from head to tail: see the formulas above."
    )
    dim: int = Field(64, ge=2, le=1024, description="Dimensions of entity vectors; even for complex and rotate.")
    negatives: int = Field(128, ge=1, le=100_000, description="Entities that a batch is held against, drawn anew.")
    adversarial: float = Field(
        2.0,
        ge=0,
        le=100,
        description="How much more a drawn entity counts that scores higher: weights are a softmax of the scores times "
        "this; 0: all count alike.",
    )
    margin: float = Field(
        3.0, ge=0, le=1000, description="γ, the distance at which a statement is as likely as not; of 'transe' and "
        "'rotate'."
    )  # fmt: skip
    l2: float = Field(
        0.0, ge=0, le=1000, description="Weight in the loss of the squared lengths of a statement's vectors."
    )
    learning_rate: float = Field(0.2, gt=0, le=10, description="Step size of Adagrad.")
    batch: int = Field(1024, ge=1, le=10_000_000, description="Triples of one step.")
    max_epochs: int = Field(100, ge=1, le=10_000, description="Passes over the triples, at most.")
    patience: int = Field(
        10, ge=1, le=1000, description="Training ends after so many passes without a better rank of held-out triples."
    )
    hold: float = Field(
        0.05,
        ge=0,
        lt=0.5,
        description="Share of the pairs of entities whose triples are held out to see when to stop, at most 2,000 "
        "pairs; 0: none, and 'max_epochs' are made.",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.dim % 2 and self.model in ("complex", "rotate"):
            raise refusal("RP205", f"'dim' is {self.dim}, and must be even for '{self.model}'", value="dim")
        if self.links is not None and self.entity is not None:
            raise refusal("RP205", "'links' and 'entity' both say which entity an item is", key="entity")
        return self


class Graph(Encoder[GraphParams]):
    """Items as vectors of a knowledge graph's entities, so placed that its statements follow from them.

    (n_items, dim) float32. A statement (h, r, t) scores, with vectors h, t of entities and r of the relation:
    transe −|h + r − t|; rotate −|h ∘ r − t|, complex vectors and |r_k| = 1; distmult Σ_k h_k r_k t_k; complex
    Re Σ_k h_k r_k conj(t_k). Loss, for s the score and s_j those with a drawn entity instead of t, and likewise of h:
    −ln σ(γ + s) − Σ_j p_j ln σ(−γ − s_j), p = softmax(adversarial · s_j), γ = 0 for inner products. All entities are
    learnt, those of no item too: two films by one director meet in that person.

    Triples of some pairs of entities are held out whole, so that a relation's inverse does not give them away, and
    training keeps the vectors that rank them best (filtered mean reciprocal rank among all entities). The report tells
    that rank, and beside it that of a guess by how often an entity stands at that end of the relation. Vectors are
    kept between runs by the triples and parameters, as events have no part in them.

    An item that is no entity of the graph is zero and missing, and counted; one that is several has their mean.
    Repeated triples count once, those with a gap not at all, and both are counted.

    Raises DataError RP501 for a file that cannot be read, RP502 for a column that is not there, RP504 for no triples,
    RP506 where no item is in the graph, and RunError RP601 when the loss is no number.
    Source: Bordes et al. 2013 (transe); Yang et al. 2015 (distmult); Trouillon et al. 2016 (complex); Sun et al. 2019
    (rotate, and the weights of drawn entities); all with squared lengths' roots as distance.
    """

    name = "graph"

    def __init__(self, params: GraphParams) -> None:
        super().__init__(params)
        self.needs_items = params.entity is not None

    def encode(self, data: Dataset, ctx: Context) -> Embeddings:
        """One vector per item."""
        from recprofile.builtin.encode.graph_training import entity_vectors
        from recprofile.builtin.encode.graph_triples import Triples

        triples = Triples.read(self.params, ctx)
        item, entity = self._linked(data, triples.entities, ctx)
        vectors = entity_vectors(triples, self.params, ctx)
        out = np.zeros((data.n_items, vectors.shape[1]), np.float32)
        many = np.bincount(item, minlength=data.n_items)
        np.add.at(out, item, vectors[entity])
        out /= np.maximum(many, 1)[:, None].astype(np.float32)
        missing = many == 0
        if missing.any():
            ctx.warn(f"graph: {missing.sum()} of {len(missing)} items are no entity of the graph, and have no vector")
        return Embeddings("item", data.items.ids, out, missing)

    def _linked(self, data: Dataset, entities: pl.Series, ctx: Context) -> tuple[IntArray, IntArray]:
        """Pairs of item and entity, as codes, each once; raises DataError RP506 where there is none."""
        p = self.params
        if p.links is not None:
            path = ctx.asset(p.links)
            frame = read_table(path)
            item = data.items.ids.codes(plain_ids(column_of(frame, p.link_item, path)))
            named = plain_ids(column_of(frame, p.link_entity, path)).cast(pl.String)
        else:
            item = np.arange(data.n_items, dtype=np.int32)
            named = data.items.ids.ids if p.entity is None else plain_ids(data.items.column(p.entity))
            named = named.cast(pl.String)
        code = pl.Series(np.arange(len(entities), dtype=np.int32))
        entity = named.replace_strict(entities, code, default=-1, return_dtype=pl.Int32).fill_null(-1)
        pairs = pl.DataFrame({"item": item, "entity": entity}).filter(pl.col("item") >= 0, pl.col("entity") >= 0)
        pairs = pairs.unique().sort("item", "entity")
        if pairs.height == 0 < data.n_items:
            helps = (f"they are said to be {samples(named.drop_nulls())}", f"entities are {samples(entities)}")
            raise DataError.of("RP506", "no item is an entity of the graph", help=helps)
        return pairs["item"].to_numpy(), pairs["entity"].to_numpy()
