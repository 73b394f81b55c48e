"""A table in a file (Parquet, CSV, TSV, JSON Lines), and the ids that its columns hold."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from recprofile.plugin import DataError, did_you_mean

FORMATS = (".csv", ".jsonl", ".ndjson", ".parquet", ".tsv")


def read_table(path: Path) -> pl.DataFrame:
    """The table; columns of CSV and TSV as text. Raises DataError RP501 or RP504."""
    suffix = path.suffix.lower()
    if path.is_dir():
        raise DataError.of("RP501", f"'{path.name}' is a folder, and must be a file")
    if suffix not in FORMATS:
        raise DataError.of("RP501", f"'{path.name}' is of no known format", help=(f"known: {', '.join(FORMATS)}",))
    if not path.is_file():
        raise DataError.of("RP501", f"no file '{path.name}'")
    try:
        if path.stat().st_size == 0:
            frame = pl.DataFrame()
        elif suffix == ".parquet":
            frame = pl.read_parquet(path)
        elif suffix in (".jsonl", ".ndjson"):
            frame = pl.read_ndjson(path, infer_schema_length=None)
        else:
            frame = pl.read_csv(path, separator="\t" if suffix == ".tsv" else ",", infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError.of("RP501", f"'{path.name}' cannot be read", help=(reason,)) from error
    if frame.height == 0:
        raise DataError.of("RP504", f"'{path.name}' has no rows")
    return frame


def column_of(frame: pl.DataFrame, name: str, path: Path) -> pl.Series:
    """A column of the table in this file; raises DataError RP502 with the closest names where there is none."""
    if name not in frame.columns:
        helps = did_you_mean(name, frame.columns, label="columns")
        raise DataError.of("RP502", f"no column '{name}' in '{path.name}'", help=helps)
    return frame[name]


def plain_ids(column: pl.Series) -> pl.Series:
    """Ids as whole numbers or text: 1.0 is 1, and 1.5 is the text '1.5', not 1."""
    if column.dtype.is_float():
        whole = (column.is_null() | (column == column.floor())).fill_null(value=True).all()
        return column.cast(pl.Int64, strict=False) if whole else column.cast(pl.String)
    return column if column.dtype.is_integer() else column.cast(pl.String, strict=False)


def samples(ids: pl.Series) -> str:
    """A few ids, for a message."""
    return ", ".join(f"'{value}'" for value in ids.head(3)) or "(there are none)"
