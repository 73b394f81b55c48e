"""Lists made elsewhere, so that evaluation, checks and explanations serve any recommender."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.builtin.tables import column_of, plain_ids, read_table, samples
from recprofile.plugin import (
    Asset,
    BoolArray,
    Context,
    DataError,
    Dataset,
    Field,
    FloatArray,
    Inputs,
    IntArray,
    Pack,
    Params,
    Ranker,
    Recommender,
    did_you_mean,
)

LARGEST = float(np.finfo(np.float32).max)


class FileListsParams(Params):
    path: Asset = Field(description="The lists: CSV, TSV, Parquet or JSON Lines, one row per user and item.")
    user: str = Field("user", description="Column with the user's id.")
    item: str = Field("item", description="Column with the item's id.")
    score: str | None = Field(
        None, description="Column with the score, higher is better; none: 'score' where there is one, else the rank."
    )
    rank: str | None = Field(None, description="Column with the rank, 1 is best, used where there is no score.")


@dataclass(frozen=True, eq=False)
class ListsRanker(Ranker):
    """Scores of listed pairs: `items` int32 and `values` float32, those of user u at `starts[u]:starts[u + 1]`."""

    starts: NDArray[np.int64]
    items: IntArray
    values: FloatArray
    n_items: int

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32; -inf for items that are not on the user's list."""
        out = np.full((len(users), self.n_items), -np.inf, np.float32)
        length = self.starts[users + 1] - self.starts[users]
        row = np.repeat(np.arange(len(users)), length)
        within = np.arange(len(row)) - np.repeat(np.cumsum(length) - length, length)
        at = self.starts[users][row] + within
        out[row, self.items[at]] = self.values[at]
        return out

    def known_users(self) -> BoolArray:
        """Users with a list."""
        return np.diff(self.starts) > 0

    def pack(self) -> Pack:
        """The lists."""
        return Pack({"starts": self.starts, "items": self.items, "values": self.values})


class FileLists(Recommender[FileListsParams]):
    """Take lists from a file: one row per user and item, with a score or a rank.

    Ids are matched by value, whatever their type in the file. Rows of users or items that the data lack are left out
    and counted; of a pair that stands twice the better row counts. Items that are not listed are not ranked. A rank r
    gives the score -r.
    """

    name = "file"
    ranks_new_items = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The lists.

        Raises DataError RP501 (cannot be read), RP502 (no such column), RP503 (a score that is no finite number, with
        its row), RP504 (no rows) or RP506 (no row fits the data).
        """
        path = ctx.asset(self.params.path)
        frame = read_table(path)
        pairs = pl.DataFrame(
            {
                "user": data.users.ids.codes(plain_ids(column_of(frame, self.params.user, path))),
                "item": data.items.ids.codes(plain_ids(column_of(frame, self.params.item, path))),
                "score": self._scores(frame, path),
            }
        )
        found = pairs.filter(pl.col("user") >= 0, pl.col("item") >= 0)
        if found.height == 0:
            helps = (f"users are like {samples(data.users.ids.ids)}", f"items are like {samples(data.items.ids.ids)}")
            raise DataError.of("RP506", f"no row of '{path.name}' has a user and an item of the data", help=helps)
        if found.height < pairs.height:
            lost = pairs.height - found.height
            ctx.warn(f"{lost} of {pairs.height} rows of '{path.name}' have a user or item that the data lack: left out")
        best = found.group_by("user", "item").agg(pl.col("score").max()).sort("user", "item")
        if best.height < found.height:
            ctx.warn(f"{found.height - best.height} rows of '{path.name}' repeat a pair: the better row counts")
        counts = np.bincount(best["user"].to_numpy(), minlength=data.n_users)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return ListsRanker(starts, best["item"].to_numpy(), best["score"].to_numpy(), data.n_items)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        a = pack.arrays
        return ListsRanker(a["starts"], a["items"], a["values"], data.n_items)

    def _scores(self, frame: pl.DataFrame, path: Path) -> pl.Series:
        """Scores as float32, from the score or else the rank column."""
        score, rank = self.params.score, self.params.rank
        if score is None and rank is None:
            score = "score" if "score" in frame.columns else None
            rank = "rank" if "rank" in frame.columns else None
            if score is None and rank is None:
                helps = ("name one with 'score' or 'rank'", *did_you_mean("score", frame.columns, label="columns"))
                raise DataError.of("RP502", f"no column 'score' or 'rank' in '{path.name}'", help=helps)
        name = score if score is not None else str(rank)
        series = column_of(frame, name, path)
        number = series.cast(pl.Float64, strict=False)
        wrong = (number.is_null() | number.is_nan() | (number.abs() > LARGEST)).fill_null(value=True)
        if wrong.any():
            at = int(wrong.arg_true()[0])
            shown = "nothing" if series[at] is None else f"'{series[at]}'"
            message = f"{shown} in column '{name}' is no finite number"
            raise DataError.of("RP503", message, help=(f"at {path.name}, row {at + 1}, column '{name}'",))
        return (number if score is not None else -number).cast(pl.Float32)
