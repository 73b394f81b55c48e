"""The data sets and splits that benchmarks/accuracy.py ranks on: tables for prepare.py, and `data` for recipes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from recprofile.assets import resolve

ROOT = Path(__file__).resolve().parent.parent
ITEMS = ("id", "title", "year", "genres", "text")  # columns that recipes read


@dataclass(frozen=True)
class Data:
    """A data set: what counts as liked, the fewest events of items and users, the splits, what recipes read.

    `columns` makes ITEMS of its items where they are called otherwise. `groups` are columns of its users that
    recipes compare; `ratings` whether events say how well, which predictors of ratings need. `recipes` are those that
    can be run on it.
    """

    name: str
    liked: float
    splits: tuple[str, ...]
    fewest: tuple[int, int] = (0, 0)
    columns: Mapping[str, pl.Expr] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    ratings: bool = False
    recipes: tuple[str, ...] = ("movies", "sequence", "attention")


@dataclass(frozen=True)
class Case:
    """One split of a data set, and the folder of all that is made of it."""

    data: Data
    split: str
    work: Path

    @property
    def folder(self) -> Path:
        """Where prepare.py puts the split."""
        return (self.work / self.data.name / "splits" / self.split).resolve()

    @property
    def out(self) -> Path:
        """Where runs and lists of other libraries go."""
        return self.work / self.data.name / self.split

    @property
    def cold(self) -> bool:
        """Whether only items without events are listed."""
        return self.split == "item-cold"

    def __str__(self) -> str:
        return f"{self.data.name}, {self.split}"

    def blocks(self) -> dict[str, Any]:
        """The `data` and `list` blocks that put a recipe on this split."""
        data, folder = self.data, self.folder
        users = {"users": f"dataset://{data.name}/users"} if data.groups else {}
        columns = {"user": "user_id", "item": "item_id", "weight": "rating", "time": "timestamp"}
        return {
            "data": {
                "interactions": {"path": f"{folder}/train.tsv", **columns},
                "items": f"{self.work.resolve()}/{data.name}/items.parquet",
                **users,
                "positive": f">= {data.liked:g}",
                "split": {"by": "file", "test": f"{folder}/test.tsv", "valid": f"{folder}/valid.tsv"},
            },
            "list": {"k": 20, "candidates": f"{folder}/candidates.tsv" if self.cold else "all"},
        }


def words(*columns: str) -> pl.Expr:
    """Each column's value as one word: what they say, joined by underlines."""
    each = [pl.col(column).str.replace_all(r"\s+", "_") for column in columns]
    return pl.concat_str(*each, separator=" ", ignore_nulls=True)


# Recipes were made on MovieLens-100K; on the others nothing was chosen.
FILMS = ("random", "temporal-user", "item-cold")
KNOWN = {
    data.name: data
    for data in (
        Data(
            "movielens-100k",
            4,
            FILMS,
            groups=("gender",),
            ratings=True,
            recipes=("movies", "sequence", "two-tower", "attention"),
        ),
        Data("movielens-1m", 4, ("temporal-user", "item-cold"), groups=("gender",)),
        Data(
            "book-crossing",
            7,
            ("random", "item-cold"),
            fewest=(8, 5),
            columns={"genres": words("author")},
            recipes=("movies", "attention"),
        ),
        Data(
            "complete-journey",
            1,
            ("temporal", "item-cold"),
            fewest=(50, 5),
            columns={"genres": words("department", "category", "brand"), "year": pl.lit(None, pl.Int64)},
        ),
    )
}


def _events(name: str) -> pl.DataFrame:
    """Events as prepare.py reads them: user_id, item_id, rating, timestamp; one for a user and an item."""
    found = pl.read_parquet(resolve(f"dataset://{name}/interactions", base=ROOT).path)
    if name == "book-crossing":  # of these 0 is no rating, and editions must be described
        books = pl.read_parquet(resolve(f"dataset://{name}/items", base=ROOT).path)
        found = found.filter(pl.col("rating") > 0).join(books.select(item="id"), on="item", how="semi")
        found = found.with_columns(time=pl.lit(0))
    if name == "complete-journey":  # the first time that a household buys a product; how often is not told
        found = found.sort("time", "user", "item").unique(["user", "item"], keep="first", maintain_order=True)
        found = found.with_columns(rating=pl.lit(1))
    return found.select(
        pl.col("user").alias("user_id"),
        pl.col("item").alias("item_id"),
        pl.col("rating").cast(pl.Int64),
        pl.col("time").alias("timestamp"),
    )


def make_splits(data: Data, work: Path, tools: Path) -> None:
    """Run prepare.py on a data set that recprofile fetches; nothing where it was run."""
    folder = work / data.name
    if all((folder / "splits" / name / "meta.json").is_file() for name in data.splits):
        return
    (folder / "data").mkdir(parents=True, exist_ok=True)
    _events(data.name).write_csv(folder / "data" / "interactions.tsv", separator="\t")
    least_item, least_user = data.fewest
    fewest = ["--min-item", str(least_item), "--min-user", str(least_user)]
    ask = [folder / "data", folder / "splits", "--threshold", f"{data.liked:g}", "--splits", ",".join(data.splits)]
    subprocess.run([sys.executable, tools / "prepare.py", *ask, *fewest], check=True, stdout=2)
    # Only items with events: prepare.py lists no others.
    parts = [folder / "splits" / data.splits[0] / f"{part}.tsv" for part in ("train", "test")]
    kept = pl.concat([pl.read_csv(part, separator="\t", columns=["item_id"], infer_schema=False) for part in parts])
    items = pl.read_parquet(resolve(f"dataset://{data.name}/items", base=ROOT).path).with_columns(**data.columns)
    listed = items.filter(pl.col("id").cast(pl.String).is_in(kept["item_id"].unique().implode()))
    listed.select(ITEMS).write_parquet(folder / "items.parquet")
