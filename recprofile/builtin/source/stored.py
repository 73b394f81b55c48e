"""Object stores and hf://: a file, or the Parquet files of a pattern, as polars reads them, kept in the cache.

Keys and endpoints are those of the usual environment variables: AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL and their like.
"""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from recprofile.builtin.source.endings import ending_of
from recprofile.plugin import Copies, FetchProgress, RunError

STORES = ("s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss", "hf")
PARQUET = (".parquet", ".pq")
LINES = (".jsonl", ".ndjson")
TEXT = (".csv", ".tsv", ".tab", ".txt", *LINES)
_STALE = re.compile(r" \(path: [^)]*\)$")  # the path that the connection was first made for
_FEW = {"max_retries": 3}  # polars tries for minutes otherwise


def fetch_object(uri: str, *, cache: Path, offline: bool, progress: FetchProgress | None = None) -> Path:
    """The file at an address, read anew each time; the parts of a pattern as one Parquet or JSON Lines file.

    Raises RunError RP605 for another form of file, and where the store does not give it.
    """
    copies = Copies.of(cache, uri)
    if offline:
        kept = copies.newest()
        if kept is None:
            message = f"'{uri}' was not fetched yet, and there is no network (offline)"
            raise RunError.of("RP605", message, help=("run once with a network",))
        return kept
    ending = ending_of(uri)
    plain = ending.removesuffix(".gz").removesuffix(".zst")
    if plain not in (*PARQUET, *TEXT):
        helps = (f"endings: {', '.join((*PARQUET, *TEXT))}, text with .gz or .zst after it",)
        raise RunError.of("RP605", f"the ending of '{uri}' does not tell its format", help=helps)
    if plain in TEXT and plain not in LINES and any(sign in uri for sign in "*?["):
        raise RunError.of("RP605", f"'{uri}' is a pattern, which only Parquet and JSON Lines may be there")
    if progress:
        progress(uri, 0, None)
    with copies.building() as place:
        built = place / f"file{plain}"
        try:
            if plain in PARQUET:
                pl.scan_parquet(uri, storage_options=_options(uri)).sink_parquet(built)
            else:
                lines = pl.scan_lines(uri, storage_options=_options(uri))
                lines.sink_csv(built, include_header=False, quote_style="never")
        except (PolarsError, OSError) as error:
            if built.parent.is_dir() and getattr(error, "errno", None) in (28, 122):  # no room here
                raise
            said = _STALE.sub("", " ".join(str(error).split()))
            raise RunError.of("RP605", f"'{uri}' cannot be had", help=(said[:300],)) from None
        return copies.keep(built)


def _options(uri: str) -> dict[str, int] | None:
    return None if uri.startswith("hf:") else _FEW
