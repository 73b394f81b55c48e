"""Cards by a template: plain sentences, and nothing in them that is not in the facts."""

from __future__ import annotations

from dataclasses import asdict

import polars as pl

from recprofile.interests.facts import CardFacts, Interest

TOP = 5  # interests named
AVOIDED = 3  # dislikes named
CHANGED = 2  # tags named as growing, and as fading
MOVED = 0.1  # least trend that is named
ROWS: dict[str, pl.DataType | type[pl.DataType]] = {
    "user": pl.Int32, "tag": pl.String, "weight": pl.Float32, "items": pl.Int32, "share": pl.Float64,
    "usual": pl.Float64, "trend": pl.Float64, "evidence": pl.List(pl.String), "edited": pl.Boolean,
}  # fmt: skip
PEOPLE: dict[str, pl.DataType | type[pl.DataType]] = {"events": pl.Int64, "recent": pl.List(pl.String)}


def write_card(facts: CardFacts) -> str:
    """The card of one person, by the template: what they like, what shows it, what they avoid, what changes."""
    rows = [_row(one) for one in (*facts.likes, *facts.dislikes)]
    people = pl.DataFrame([{"events": facts.events, "recent": list(facts.recent)}], schema=PEOPLE)
    text: str = cards(people, pl.DataFrame(rows, schema=ROWS))[0]
    return text


def _row(one: Interest) -> dict[str, object]:
    whole = asdict(one)
    return {
        "user": 0,
        **{name: whole[name] for name in ROWS if name not in ("user", "evidence")},
        "evidence": list(one.evidence),
    }


def cards(people: pl.DataFrame, rows: pl.DataFrame) -> pl.Series:
    """The text of each person; `rows` are as in `Tagged.rows`, those of one sign the strongest first."""
    base = people.select("events", "recent").with_row_index("user").with_columns(pl.col("user").cast(pl.Int32))
    likes, dislikes = rows.filter(pl.col("weight") > 0), rows.filter(pl.col("weight") < 0)
    seen = likes.filter(~pl.col("edited"))
    moving = seen.filter(pl.col("trend").abs() >= MOVED)
    parts = {
        "top": _listed(likes, "tag", TOP),
        "shown": _sentences(seen.group_by("user", maintain_order=True).head(TOP), "of what they liked"),
        "said": _listed(likes.filter(pl.col("edited")), "tag", TOP),
        "avoided": _listed(dislikes, "tag", AVOIDED),
        "disliked": _sentences(
            dislikes.filter(~pl.col("edited")).group_by("user", maintain_order=True).head(AVOIDED),
            "of what they did not like",
        ),
        "refused": _listed(dislikes.filter(pl.col("edited")), "tag", AVOIDED),
        "more": _listed(
            moving.filter(pl.col("trend") > 0).sort("trend", descending=True, maintain_order=True), "tag", CHANGED
        ),
        "less": _listed(moving.filter(pl.col("trend") < 0).sort("trend", maintain_order=True), "tag", CHANGED),
    }
    for name, part in parts.items():
        base = base.join(part.rename({"text": name}), on="user", how="left", maintain_order="left")
    many = pl.when(pl.col("events") == 1).then(pl.lit("1 event")).otherwise(pl.format("{} events", "events"))
    summary = (
        pl.when(pl.col("top").is_not_null())
        .then(pl.format("Likes {}, by {}.", "top", many))
        .when(pl.col("events") == 0)
        .then(pl.lit("Nothing is known of them yet."))
        .otherwise(pl.format("Likes nothing more than others do, by {}.", many))
    )
    change = (
        pl.when(pl.col("more").is_not_null() & pl.col("less").is_not_null())
        .then(pl.format("Lately more {} and less {}.", "more", "less"))
        .when(pl.col("more").is_not_null())
        .then(pl.format("Lately more {}.", "more"))
        .when(pl.col("less").is_not_null())
        .then(pl.format("Lately less {}.", "less"))
    )
    recent = _spoken(pl.col("recent"))
    sentences = [
        summary,
        pl.col("shown"),
        _where("said", "They say so of {}."),
        _where("avoided", "Avoids {}."),
        pl.col("disliked"),
        _where("refused", "They say so of {}."),
        change,
        pl.when(pl.col("recent").list.len() > 0).then(pl.format("Last liked: {}.", recent)),
    ]
    return base.select(pl.concat_str(sentences, separator=" ", ignore_nulls=True).alias("card")).to_series()


def _where(column: str, words: str) -> pl.Expr:
    return pl.when(pl.col(column).is_not_null()).then(pl.format(words, column))


def _spoken(names: pl.Expr) -> pl.Expr:
    """A list as it is spoken: A, B and C."""
    ahead = names.list.head(names.list.len() - 1).list.join(", ")
    return (
        pl.when(names.list.len() > 1)
        .then(pl.format("{} and {}", ahead, names.list.last()))
        .otherwise(names.list.first())
    )


def _listed(rows: pl.DataFrame, column: str, most: int) -> pl.DataFrame:
    """The first entries of each user, spoken: (user, text)."""
    lists = rows.group_by("user", maintain_order=True).agg(pl.col(column).head(most).alias("names"))
    return lists.select("user", _spoken(pl.col("names")).alias("text"))


def _sentences(rows: pl.DataFrame, of: str) -> pl.DataFrame:
    """A sentence a tag, those of a user in their order in one text: (user, text)."""
    percent = (pl.col("share") * 100).round().cast(pl.Int64), (pl.col("usual") * 100).round().cast(pl.Int64)
    usual = pl.when(percent[1] < 1).then(pl.lit("less than 1")).otherwise(percent[1].cast(pl.String))
    shown = (
        pl.when(pl.col("evidence").list.len() > 0)
        .then(pl.format(", as {}", _spoken(pl.col("evidence"))))
        .otherwise(pl.lit(""))
    )
    text = pl.format(f"{{}} is in {{}} % {of}, where {{}} % is usual{{}}.", "tag", percent[0], usual, shown)
    return rows.with_columns(text.alias("text")).group_by("user", maintain_order=True).agg(pl.col("text").str.join(" "))
