"""What people say of their own tags: weights that stand in place of what their behaviour gives."""

from __future__ import annotations

import polars as pl

from recprofile.artifacts import IdMap

# `user` is the outside id as text; `weight` that of the tag in the profile: below 0 a dislike, 0 the tag is left out.
EDITS = {"user": pl.String, "column": pl.String, "tag": pl.String, "weight": pl.Float32}
NO_EDITS = pl.DataFrame(schema=EDITS)


def coded(edits: pl.DataFrame, users: IdMap, names: pl.DataFrame) -> pl.DataFrame:
    """Edits by codes: user, code (of the tag), weight; of several with one tag the last. What is not there goes."""
    tags = names.with_row_index("code").select("column", "tag", pl.col("code").cast(pl.Int32))
    known = edits.with_columns(pl.Series("user", users.codes(edits["user"]), pl.Int32)).filter(pl.col("user") >= 0)
    found = known.join(tags, on=["column", "tag"], maintain_order="left")
    return found.unique(["user", "code"], keep="last", maintain_order=True).select("user", "code", "weight")
