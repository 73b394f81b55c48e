"""What preprocess stages did to the data of a run that an update cannot do to later events and new items.

Stages that look at one user at a time (`per_user`) are done again. Others learnt from data that are not at hand, so
that an update says what it leaves out where that matters: a weight, or an attribute of an item, that would come out
changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import polars as pl

from recprofile.artifacts import Dataset

How = Literal["changed", "filled", "added"]


def revised(stage: str, before: Dataset, after: Dataset) -> dict[str, Any]:
    """As plain values: the stage, how it revised the weights of training events, and which columns of items how."""
    weight = _how(pl.Series(before.train.weight).fill_nan(None), pl.Series(after.train.weight).fill_nan(None))
    items: dict[str, How] = {}
    for name in after.items.columns:
        old = before.items.frame[name] if name in before.items.columns else None
        how: How | None = "added" if old is None else _how(old, after.items.frame[name])
        if how is not None:
            items[name] = how
    return {"stage": stage, "weight": weight, "items": items}


def warn_of_weights(said: Iterable[Mapping[str, Any]], warn: Callable[[str], None]) -> None:
    """Say that later events weigh what their file says, where those of the run do not."""
    for one in said:
        if one["weight"] == "changed":
            warn(f"{one['stage']}: is not done to later events, which weigh what their file says")


def as_they_come(said: Iterable[Mapping[str, Any]], frame: pl.DataFrame, warn: Callable[[str], None]) -> pl.DataFrame:
    """Attributes of new items, without values that a stage would have changed (told): as missing, they mislead less."""
    for one in said:
        for name, how in one["items"].items():
            there = name in frame.columns
            if how == "changed" and there:
                frame = frame.with_columns(pl.lit(None, frame[name].dtype).alias(name))
            elif how == "changed" or (there and frame[name].null_count() == 0):
                continue
            warn(f"{one['stage']}: is not done to new items, whose '{name}' counts as missing until the next run")
    return frame


def _how(before: pl.Series, after: pl.Series) -> How | None:
    """How values were revised; rows may have gone, so that values count which nothing had before."""
    if before.dtype.is_nested() or after.dtype.is_nested():
        return None if before.dtype == after.dtype else "changed"
    if before.len() == after.len():
        same = (
            before.eq_missing(after) if before.dtype == after.dtype else before.cast(pl.String) == after.cast(pl.String)
        )
        if same.fill_null(value=False).all():
            return None
        if (same | before.is_null()).all():
            return "filled"
    new = after.drop_nulls().unique()
    old = before.drop_nulls().unique()
    if new.dtype != old.dtype:
        return "changed"
    return None if new.is_in(old.implode()).all() else "changed"
