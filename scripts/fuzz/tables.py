"""Small data files of odd values: CSV and Parquet, few rows, columns of any type."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable
from typing import Any

import polars as pl
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]
RECIPE = """\
recipe: 1
device: cpu
data:
  interactions: {{path: log.{form}, format: {form}}}
  items: {{path: items.{form}, format: {form}}}
  split: {split}
{positive}stages:
{stages}
list: {{k: 3}}
evaluate: {{metrics: [ndcg@3, coverage@3], baselines: {baselines}, bootstrap: 10}}
"""
STAGES = (
    "  - encode: tfidf\n    with: {columns: [title]}\n  - fuse: mean-history\n  - recommend: dot",
    "  - encode: category\n    with: {columns: [kind]}\n  - fuse: mean-history\n  - recommend: dot\n"
    "  - explain: evidence\n    with: {label: title}",
    "  - encode: numbers\n    with: {columns: [size]}\n  - fuse: concat\n  - recommend: dot\n  - rerank: mmr",
    "  - preprocess: impute\n    with: {columns: {size: median, kind: most-frequent}}\n  - recommend: ease",
    "  - preprocess: dedupe\n  - preprocess: k-core\n    with: {min_user: 2, min_item: 1}\n  - recommend: item-knn",
    "  - encode: als\n    with: {dim: 2}\n  - fuse: mean-history\n  - recommend: dot\n  - explain: evidence",
    "  - recommend: popular",
)
SPLITS = (
    "{by: random, holdout: 0.3}", "{by: user-time, holdout: 1}", "{by: leave-one-out}", "{by: time, holdout: 0.4}",
    "{by: item-cold, holdout: 0.3}", "{by: user-cold, holdout: 0.3}",
)  # fmt: skip
ODD = (
    "", " ", "a", "b", "c", "1", "2", "3", "1.0", "01", "-1", "1e3", "NaN", "nan", "inf", "-inf", "null", "None", "é",
    "\u0000", "a,b", 'say "so"', "=1+1", "9" * 30, "x" * 500, "\n", "\t", "true", "2024-01-31", "99999999999999",
    "\U0001f600",
)  # fmt: skip
ids = st.one_of(st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 5), st.sampled_from(ODD))
texts = st.one_of(st.sampled_from(["red moon", "blue sea", "war", "drama sea"]), st.sampled_from(ODD), st.none())
odd_numbers = st.one_of(
    st.integers(0, 5), st.floats(width=32), st.none(), st.sampled_from([0, -1, 1e38, 2**62, 0.1, -0.0])
)
times = st.one_of(st.integers(0, 2_000_000_000), st.sampled_from([0, 1, -1, 2**62, 1e300, None]), st.sampled_from(ODD))


@st.composite
def files(draw: Draw) -> dict[str, bytes]:
    """Events, items and a recipe over them."""
    form = draw(st.sampled_from(["csv", "parquet"]))
    nice = draw(st.integers(0, 2)) > 0  # what is odd about the events mostly stops a run at once
    users = st.sampled_from("abcd") if nice else ids
    items = st.integers(1, 6) if nice else ids
    few = not nice or draw(st.integers(0, 5)) == 0
    n, m = draw(st.integers(0 if few else 10, 24)), draw(st.integers(0 if few else 5, 8))
    log = {
        "user": draw(st.lists(users, min_size=n, max_size=n)),
        "item": draw(st.lists(items, min_size=n, max_size=n)),
        "weight": draw(st.lists(st.integers(1, 5) if nice else odd_numbers, min_size=n, max_size=n)),
        "time": draw(st.lists(st.integers(0, 10**9) if nice else times, min_size=n, max_size=n)),
    }
    catalogue = {
        "id": list(range(1, m + 1)) if nice else draw(st.lists(ids, min_size=m, max_size=m)),
        "title": draw(st.lists(texts, min_size=m, max_size=m)),
        "kind": draw(st.lists(texts, min_size=m, max_size=m)),
        "size": draw(st.lists(odd_numbers, min_size=m, max_size=m)),
    }
    for table, optional in ((log, ["weight", "time"]), (catalogue, ["title", "kind", "size"])):
        for name in optional:
            if draw(st.integers(0, 5)) == 0:
                del table[name]
    recipe = RECIPE.format(
        form=form,
        split=draw(st.sampled_from(SPLITS)),
        positive=draw(st.sampled_from(["", '  positive: ">= 3"\n', '  positive: "== 0"\n'])),
        stages=draw(st.sampled_from(STAGES)),
        baselines=draw(st.sampled_from(["[]", "[popular]", "[ease, item-knn]"])),
    )
    return {
        "r.yaml": recipe.encode(),
        f"log.{form}": _written(draw, log, form, nice=nice),
        f"items.{form}": _written(draw, catalogue, form, nice=draw(st.booleans())),
    }


def _written(draw: Draw, table: dict[str, list[Any]], form: str, *, nice: bool) -> bytes:
    out = io.BytesIO()
    if form == "csv":
        frame = pl.DataFrame({name: [_text(value) for value in column] for name, column in table.items()}, strict=False)
        frame.cast(pl.String).write_csv(out)
        return out.getvalue()
    made = [_plain(name, column) if nice else _column(draw, name, column) for name, column in table.items()]
    pl.DataFrame(made).write_parquet(out)
    return out.getvalue()


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _plain(name: str, column: list[Any]) -> pl.Series:
    """A column of the type that its values have; of the mixed, text."""
    if all(isinstance(value, int | float | None) for value in column):
        return pl.Series(name, column, dtype=pl.Float64 if any(isinstance(v, float) for v in column) else pl.Int64)
    return pl.Series(name, [_text(value) for value in column], dtype=pl.String)


def _column(draw: Draw, name: str, column: list[Any]) -> pl.Series:
    """A column of a type that Parquet has; values that do not fit it become missing."""
    kinds = [pl.String, pl.String, pl.Float32, pl.Float64, pl.Int64, pl.Int8, pl.UInt64, pl.Boolean, pl.Binary, pl.Date]
    kind = draw(
        st.sampled_from([*kinds, pl.Datetime("us"), pl.Categorical, pl.List(pl.String), pl.Decimal(20, 3), pl.Null])
    )
    if kind == pl.List(pl.String):
        return pl.Series(name, [[str(value), "x"] for value in column], dtype=kind)
    if kind in (pl.Date, pl.Datetime("us")):
        days = [datetime.date(2024, 1, 1 + n % 28) for n in range(len(column))]
        return pl.Series(name, days, dtype=pl.Date).cast(kind)
    if kind == pl.Binary:
        return pl.Series(name, [str(value).encode() for value in column], dtype=kind)
    text = pl.Series(name, [_text(value) for value in column], dtype=pl.String)
    return (
        text.cast(kind, strict=False)
        if kind not in (pl.Boolean, pl.Null)
        else pl.Series(name, [None] * len(column), dtype=kind)
    )
