"""What an evaluation found user by user, as tables with outside ids: what runs are compared by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.artifacts import BoolArray
from recprofile.evaluate.lines import Asked, Line
from recprofile.evaluate.ratings import TestEvents
from recprofile.evaluate.relevance import Relevance
from recprofile.metrics import PerUserMetric, RatingMetric

LINE = {"ranker": pl.String, "after": pl.String}


def per_user_frame(
    lines: Sequence[Line], asked: Sequence[Asked], relevance: Relevance, events: TestEvents | None
) -> pl.DataFrame:
    """One row per line and user who was judged by lists or, with `events`, by predicted ratings; see `Evaluation`."""
    data = relevance.data
    ids, trained = data.users.ids, np.bincount(data.train.user, minlength=data.n_users)
    lists = [a.text for a in asked if isinstance(a.metric, PerUserMetric)]
    rated = [a for a in asked if isinstance(a.metric, RatingMetric)] if events is not None else []
    schema: dict[str, Any] = {**LINE, "user": ids.ids.dtype, "train_events": pl.Int64, "relevant": pl.Int64}
    schema |= {"rated": pl.Int64} if rated else {}
    schema |= {a.text: pl.Float64 for a in asked if a in rated or a.text in lists}
    frames = []
    for line in lines:
        users = relevance.users
        columns: dict[str, NDArray[Any]] = dict(zip(lists, line.values.T, strict=True))
        counts: dict[str, NDArray[Any]] = {"relevant": relevance.counts}
        if rated and line.ratings is not None and events is not None:
            users = np.union1d(relevance.users, events.users)
            judged, held = np.isin(users, relevance.users), np.isin(users, events.users)
            columns = {name: _spread(values, judged) for name, values in columns.items()}
            counts = {"relevant": _spread(relevance.counts, judged, 0), "rated": _spread(events.counts, held, 0)}
            for at, a in enumerate(rated):
                assert isinstance(a.metric, RatingMetric)
                means = line.ratings.sums[:, at] / events.counts
                columns[a.text] = _spread(np.sqrt(means) if a.metric.root else means, held)
        told = {"user": ids.outside(users), "train_events": trained[users], **counts}
        frame = pl.DataFrame(told | columns).fill_nan(None)
        frames.append(_of_line(frame, line, schema))
    return pl.concat([pl.DataFrame(schema=schema), *frames])


def relevant_frame(relevance: Relevance) -> pl.DataFrame:
    """The relevant pairs: user, item."""
    data, wide = relevance.data, max(1, relevance.data.n_items)
    user, item = np.divmod(relevance.pairs, wide)
    outside = (data.users.ids.outside(user).alias("user"), data.items.ids.outside(item).alias("item"))
    return pl.DataFrame(outside)


def hits_frame(lines: Sequence[Line], relevance: Relevance) -> pl.DataFrame:
    """The relevant pairs that were listed, of every line: ranker, after, user, item, rank (1 = best)."""
    users, items = relevance.data.users.ids, relevance.data.items.ids
    schema: dict[str, Any] = {**LINE, "user": users.ids.dtype, "item": items.ids.dtype, "rank": pl.Int32}
    frames = []
    for line in lines:
        row, item, rank = line.hits
        told = {"user": users.outside(relevance.users[row]), "item": items.outside(item), "rank": rank}
        frames.append(_of_line(pl.DataFrame(told), line, schema))
    return pl.concat([pl.DataFrame(schema=schema), *frames])


def _of_line(frame: pl.DataFrame, line: Line, schema: dict[str, Any]) -> pl.DataFrame:
    named = frame.with_columns(ranker=pl.lit(line.entry.id), after=pl.lit(line.entry.after, pl.String))
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in named.columns]
    return named.with_columns(absent).select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _spread(values: NDArray[Any], where: BoolArray, elsewhere: float = np.nan) -> NDArray[Any]:
    """Values at the places that the mask says, in order."""
    out = np.full(len(where), elsewhere, dtype=values.dtype)
    out[where] = values
    return out
