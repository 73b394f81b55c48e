"""Later events, and attributes of new items, from files in the recipe's own columns: JSONL, CSV, Parquet."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.artifacts import FloatArray, PositiveRule
from recprofile.dataset.events import names_in, read_events
from recprofile.dataset.source import DataFile, open_file
from recprofile.dataset.tables import read_table, table_problems
from recprofile.errors import DataError, Span
from recprofile.plan import Plan

EVENT_ID = "event_id"
DERIVED = "~"  # begins the ids that are made from what an event says


def incoming_events(
    path: Path, plan: Plan, *, has_time: bool, warn: Callable[[str], None], fills: frozenset[str] = frozenset()
) -> pl.DataFrame:
    """The events of a file: columns event_id, user, item (text), weight, time, positive, in order of the file.

    `fills` are columns whose gaps a preprocess stage fills whenever the store makes a profile. '-' is standard input. A
    file without rows holds no events. Raises DataError RP501 to RP503 as the recipe's own data do, and RP502 where the
    store's events have a time, or a rule for positives, and these have none to go by.
    """
    with tempfile.TemporaryDirectory() as folder:
        shown = "standard input" if str(path) == "-" else str(path)
        local = _standard_input(Path(folder)) if str(path) == "-" else path
        if local.is_file() and local.stat().st_size == 0:
            return _nothing()
        try:
            file = open_file(local, shown, at=None)
        except DataError as error:
            if error.problems[0].code != "RP504":
                raise
            return _nothing()
        return _read(file, plan, has_time=has_time, warn=warn, fills=fills)


def new_items(path: Path, plan: Plan, *, warn: Callable[[str], None]) -> tuple[pl.Series, pl.DataFrame]:
    """Ids as text, and attributes, of the items in a file in the form of the recipe's table of items.

    Raises DataError RP406 where the recipe has no such table, and RP501 to RP506 as that table does.
    """
    block = plan.recipe.data.items
    if block is None:
        raise DataError.of("RP406", "the recipe has no table of items, so it reads nothing from their attributes")
    file = open_file(path, str(path), at=None).having([block.id])
    if problems := table_problems(file, block, "items", _nowhere):
        raise DataError(problems)
    read = read_table(file, block, "items", _nowhere, warn=warn)
    return read.ids.cast(pl.String).rename("id"), read.frame


def event_ids(frame: pl.DataFrame) -> pl.Series:
    """An id for each event from what it says: equal events of one table get different ids, the same in every table.

    The hash of user, item, weight, time, and the count of equal events before it. One call a row: 1.5 s a million.
    """
    bits = pl.Series("weight", frame["weight"].to_numpy().astype(np.float32).view(np.uint32))
    same = frame.select("user", "item", bits, "time").with_columns(
        pl.int_range(pl.len()).over("user", "item", "weight", "time").alias("n")
    )
    said = same.select(pl.concat_str(pl.all().cast(pl.String).fill_null(""), separator="\x1f").alias("said"))["said"]
    made = [DERIVED + blake2b(text.encode(), digest_size=16).hexdigest() for text in said]
    return pl.Series(EVENT_ID, made, pl.String)


def _read(
    file: DataFile, plan: Plan, *, has_time: bool, warn: Callable[[str], None], fills: frozenset[str]
) -> pl.DataFrame:
    # Context columns go: no profile rests on them.
    block = plan.recipe.data.interactions.model_copy(update={"columns": (), "format": "auto", "separator": None})
    file = file.having([EVENT_ID]) if file.kind == "jsonl" else file
    file, names, problems = names_in(file, block, _nowhere)
    if problems or names is None:
        raise DataError(problems)
    rule = plan.positive
    for lacks, column, why in (
        (has_time and names.time is None, "time", "the events in the store have a time"),
        (rule is not None and names.weight is None, "weight", "which events are positive goes by the weight"),
    ):
        if lacks:
            helps = (why, f"columns: {', '.join(file.columns[:12])}")
            raise DataError.of("RP502", f"no column '{column}' in '{file.shown}'", help=helps)
    given = EVENT_ID in file.columns and EVENT_ID not in names.read()
    if given:
        names = replace(names, context=(EVENT_ID,))
    found = read_events(file, names, _nowhere, fills=fills, warn=warn)
    for note in found.notes:
        warn(note)
    ids = found.context[EVENT_ID].cast(pl.String) if given else None
    return _table(found.user, found.item, found.weight, time=found.time if has_time else None, rule=rule, ids=ids)


def _table(
    user: pl.Series,
    item: pl.Series,
    weight: FloatArray,
    *,
    time: NDArray[np.int64] | None,
    rule: PositiveRule | None,
    ids: pl.Series | None,
) -> pl.DataFrame:
    """Events as a table; ids that are not given are derived."""
    n = len(user)
    positive = np.ones(n, np.bool_) if rule is None else rule.mask(weight)
    frame = pl.DataFrame(
        {
            "user": user.cast(pl.String),
            "item": item.cast(pl.String),
            "weight": pl.Series(weight, dtype=pl.Float32),
            "time": pl.Series([None] * n, dtype=pl.Int64) if time is None else pl.Series(time, dtype=pl.Int64),
            "positive": pl.Series(positive, dtype=pl.Boolean),
        }
    )
    derived = event_ids(frame)
    return frame.with_columns((derived if ids is None else ids.fill_null(derived)).alias(EVENT_ID))


def _nothing() -> pl.DataFrame:
    none = pl.Series([], dtype=pl.String)
    return _table(none, none, np.zeros(0, np.float32), time=None, rule=None, ids=None)


def _standard_input(folder: Path) -> Path:
    """Standard input as a file whose ending says what it holds."""
    data = sys.stdin.buffer.read()
    start = data.lstrip()[:4]
    ending = "parquet" if start == b"PAR1" else "jsonl" if start[:1] == b"{" else "csv"
    path = folder / f"events.{ending}"
    path.write_bytes(data)
    return path


def _nowhere(loc: tuple[str | int, ...], *, key: bool = False) -> Span | None:
    return None
