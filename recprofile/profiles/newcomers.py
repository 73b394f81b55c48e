"""Items that the published run did not know: their vectors from their attributes, by the recipe's own encoders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from recprofile.artifacts import BoolArray, Dataset, Encoded, FloatArray
from recprofile.errors import DataError
from recprofile.interests import item_names
from recprofile.profiles.again import items_again, of_facts
from recprofile.profiles.base import LABEL, Base
from recprofile.profiles.people import small_data
from recprofile.profiles.rebuild import encoders_again, follows, rebuild
from recprofile.profiles.revised import as_they_come
from recprofile.profiles.stages import Stages

CLOSE = 1e-3  # how far an encoder's vectors of known items may be from those published, as devices differ


def unknown_items(base: Base, new: tuple[pl.Series, pl.DataFrame] | None) -> tuple[pl.Series, pl.DataFrame] | None:
    """Those that the base does not know, by ids as text and attributes; None where there are none."""
    if new is None:
        return None
    ids, frame = new
    there = pl.Series(base.ids.codes(ids) < 0)
    return (ids.filter(there), frame.filter(there) if frame.width else frame) if there.any() else None


def encoded_items(base: Base, stages: Stages, ids: pl.Series, frame: pl.DataFrame) -> Base:
    """New items alone: their vectors as the recipe's encoders give them for these attributes, and in the fused space.

    Preprocess stages that learnt something in the run are done to the attributes, with what they learnt; what others
    would have changed counts as missing (told). Encoders learn from the items that were in training when the profiles
    were published. One that works on behaviour
    knows nothing of a new item, whose part is then zero; so is that of one that gives known items other vectors than
    it did (told).
    """
    n = len(ids)
    frame = as_they_come(base.facts["revised"], frame, stages.warn)
    known = {name: dtype for name, dtype in base.catalogue.schema.items() if name != LABEL}
    frame = items_again(of_facts(base.facts["preprocess"], stages.registry), ids, frame, known)
    nothing = {name: (np.zeros((n, v.shape[1]), np.float32), np.ones(n, np.bool_)) for name, (v, _) in base.raw.items()}
    more = replace(
        base,
        names=ids,
        catalogue=as_catalogue(base, frame),
        vectors=np.zeros((n, base.dim), np.float32),
        raw=nothing,
        trained=np.zeros(n, np.bool_),
        positives=np.zeros(n, np.int64),
        added=0,
    )
    whole = base.grown(more)
    nobody = pl.Series("user", [], pl.String)
    log = pl.DataFrame(
        schema={
            "event_id": pl.String,
            "user": pl.String,
            "item": pl.String,
            "weight": pl.Float32,
            "time": pl.Int64,
            "positive": pl.Boolean,
        }
    )
    data, _ = small_data(whole, nobody, log)
    raw = {name: _encoded(name, base, stages, data, nothing[name]) for name in base.raw}
    labels = item_names(data).cast(pl.String)[-n:].rename(LABEL)
    more = replace(more, raw=raw, catalogue=more.catalogue.with_columns(labels))
    if stages.fuse is None:
        return more
    again = encoders_again(base, stages.registry)
    fused = rebuild(base.grown(more), stages.fuser, data, stages.context(stages.fuse), again=again)
    vectors = fused.item_vectors[-n:].copy()
    for block in base.facts["blocks"]:
        if not follows(base, block) and not base.facts["sides"][block["name"]][1]:
            vectors[:, block["start"] : block["stop"]] = 0  # made of users who are not at hand
    return replace(more, vectors=vectors)


def _encoded(
    name: str, base: Base, stages: Stages, data: Dataset, nothing: tuple[FloatArray, BoolArray]
) -> tuple[FloatArray, BoolArray]:
    """An encoder's vectors of the items after the base's, and which are missing."""
    _, of_items, of_users = base.facts["sides"][name]
    if not of_items or (of_users and name not in base.facts["again"]):
        return nothing
    encoder, ctx = stages.encoder(name)
    lesson = base.lessons.get(name)
    found = Encoded.of(encoder.more_items(lesson, data, ctx) if lesson else encoder.encode(data, ctx)).items
    old, _ = base.raw[name]
    n = len(old)
    if found is None or found.dim != old.shape[1] or float(np.abs(found.vectors[:n] - old).max(initial=0)) > CLOSE:
        stages.warn(f"{name}: gives known items other vectors than when the profiles were published: left out")
        return nothing
    return found.vectors[n:], found.missing[n:]


def as_catalogue(base: Base, frame: pl.DataFrame) -> pl.DataFrame:
    """Attributes in the columns and types of the catalogue; raises DataError RP503 for a value of another type."""
    columns = []
    for name, dtype in base.catalogue.schema.items():
        given = frame[name] if name in frame.columns else pl.Series(name, [None] * frame.height, dtype=dtype)
        cast = given.cast(dtype, strict=False)
        if cast.null_count() > given.null_count():
            value = given.filter(cast.is_null() & given.is_not_null())[0]
            message = f"'{value}' in column '{name}' of the new items is no {dtype}, as the known ones are"
            raise DataError.of("RP503", message)
        columns.append(cast)
    return pl.DataFrame(columns)
