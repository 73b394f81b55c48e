"""A person's tags: weighted interests by count and lift, with trend and evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from recprofile.artifacts import Dataset, IntArray
from recprofile.interests.edits import NO_EDITS, coded
from recprofile.interests.facts import CardFacts, Interest
from recprofile.interests.labels import item_names
from recprofile.interests.params import TagsParams
from recprofile.interests.vocabulary import vocabulary
from recprofile.order import in_order
from recprofile.threads import each, spans

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class Tagged:
    """Tags of items and of users.

    `names` one row a tag, by column of the parameters and then by tag: `column`, `tag`, `items` (training items that
    have it), `usual` (its share of everybody's positive events). `items` (n_items, n_tags) float32 CSR, 1 where an item
    has the tag; `users` (n_users, n_tags) float32 CSR, the signed weights. `rows` one row a user and tag, by `user`
    (code) and then the strongest first: `code` of the tag, and `tag`, `column`, `weight`, `items`, `share`, `usual`,
    `lift`, `trend`, `evidence`, `edited` as in `Interest`. `people` one row a user: `user` (outside id as text),
    `events`, `recent` as in `CardFacts`.
    """

    names: pl.DataFrame
    items: csr_array
    users: csr_array
    rows: pl.DataFrame
    people: pl.DataFrame


def tagged(data: Dataset, params: TagsParams, edits: pl.DataFrame = NO_EDITS) -> Tagged:
    """The tags of the users of `data` by `data.train`, and of its items.

    With n of a user's N liked items having a tag, p the usual share of the tag and a the `prior`: q = (n + a·p) / (N +
    a), and the tag weighs q·ln(q / p) where q > p, its part of the Kullback-Leibler divergence of what the user likes
    from what everybody does; n must exceed N·p by `least` standard errors. An item is liked with a positive event, and
    disliked with others only; what disliked items give by the same formula is taken off, so that a tag that a user
    likes and dislikes alike weighs nothing, and a negative weight is a dislike. The `most` of the greatest size are
    kept. A trend is the tag's share in the later half
    of the liked (or disliked) items, by the last event with each, less that in the earlier half: 0 without times, and
    for fewer than two items.

    `edits` (see `EDITS`) are set in place of what behaviour gives; those of tags that no item has are left out.
    Source: Carpineto, de Mori, Romano & Bigi 2001; the prior: Zhai & Lafferty 2001.
    """
    found = vocabulary(data, params)
    survey = _survey(data, params, found.items, found.names["usual"].to_numpy())
    labels = item_names(data)
    rows = _rows(survey, found.names, labels, timed=data.has_time)
    mine = coded(edits, data.users.ids, found.names)
    if len(mine):
        rows = _edited(rows, mine, data, found.items, found.names)
    events = np.bincount(data.train.user, minlength=data.n_users)
    people = pl.DataFrame(
        {
            "user": data.users.ids.ids.cast(pl.String),
            "events": pl.Series(events, dtype=pl.Int64),
            "recent": _lists(survey.recent, labels, "recent")
            if data.has_time
            else pl.Series([[]] * data.n_users, dtype=pl.List(pl.String)),
        }
    )
    return Tagged(found.names, found.items, _weights(rows, data.n_users, len(found.names)), rows, people)


def facts_of(tagged: Tagged, data: Dataset, users: IntArray) -> Iterator[CardFacts]:
    """What the cards of these users, by code, are written from, in their order."""
    wanted = pl.DataFrame({"user": users}, schema={"user": pl.Int32})
    kept = tagged.rows.join(wanted.unique(), on="user", how="semi", maintain_order="left")
    by_user = kept.drop("code").partition_by("user", maintain_order=True, as_dict=True, include_key=False)
    for user in users.tolist():  # those who ask for their facts, one by one as they are written
        person = tagged.people.row(user, named=True)
        of = by_user.get((user,))
        interests = (
            [Interest(**{**row, "evidence": tuple(row["evidence"])}) for row in of.to_dicts()] if of is not None else []
        )
        yield CardFacts(
            person["user"],
            person["events"],
            tuple(one for one in interests if one.weight > 0),
            tuple(one for one in interests if one.weight < 0),
            tuple(person["recent"]),
        )


@dataclass(frozen=True, eq=False)
class _Survey:
    tag: IntArray
    weight: np.ndarray
    items: IntArray
    later: IntArray
    evidence: IntArray
    totals: IntArray
    recent: IntArray


def _survey(data: Dataset, p: TagsParams, items: csr_array, usual: np.ndarray) -> _Survey:
    from recprofile.interests.survey import EVIDENCE, RECENT, survey  # noqa: PLC0415 - numba, which `validate` spares

    train, n = data.train, data.n_users
    order = in_order(train.user) if train.time is None else in_order(train.user, train.time)
    starts = np.append(0, np.cumsum(np.bincount(train.user, minlength=n)))
    most = min(p.most, max(len(usual), 1))
    made = _Survey(
        np.full((n, most), -1, np.int32),
        np.zeros((n, most), np.float64),
        np.zeros((n, most), np.int32),
        np.zeros((n, most), np.int32),
        np.full((n, most, EVIDENCE), -1, np.int32),
        np.zeros((n, 2), np.int32),
        np.full((n, RECENT), -1, np.int32),
    )
    events = train.item[order], train.weight[order], train.positive[order]
    tags = items.indices.astype(np.int32), items.indptr.astype(np.int64)

    def work(span: tuple[int, int]) -> int:
        found = made.tag, made.weight, made.items, made.later, made.evidence
        survey(*span, starts, *events, *tags, usual, p.prior, p.least, found, (made.totals, made.recent))
        return 0

    each(work, spans(n))
    return made


def _rows(s: _Survey, names: pl.DataFrame, labels: pl.Series, *, timed: bool) -> pl.DataFrame:
    user, at = np.nonzero(s.tag >= 0)
    tag, weight, items = s.tag[user, at], s.weight[user, at], s.items[user, at]
    side = (weight < 0).astype(np.int64)
    total = s.totals[user, side].astype(np.float64)
    share = items / total
    usual = names["usual"].to_numpy()[tag]
    early = total // 2
    late = total - early
    later = s.later[user, at]
    trend = later / late - (items - later) / np.maximum(early, 1)
    return pl.DataFrame(
        {
            "user": user.astype(np.int32),
            "code": tag,
            "tag": names["tag"].gather(tag),
            "column": names["column"].gather(tag),
            "weight": weight.astype(np.float32),
            "items": items,
            "share": share,
            "usual": usual,
            "lift": share / usual,
            "trend": np.where((early > 0) & timed, trend, 0.0),
            "evidence": _lists(s.evidence[user, at], labels, "evidence"),
            "edited": pl.repeat(value=False, n=len(user), dtype=pl.Boolean, eager=True),
        }
    )


def _lists(codes: IntArray, labels: pl.Series, name: str) -> pl.Series:
    """Labels of items by row of codes; -1 is none."""
    columns = [labels.gather(pl.Series(column).replace(-1, None)).alias(str(n)) for n, column in enumerate(codes.T)]
    return pl.DataFrame(columns).select(pl.concat_list(pl.all()).list.drop_nulls().alias(name)).to_series()


def _edited(
    rows: pl.DataFrame, edits: pl.DataFrame, data: Dataset, items: csr_array, names: pl.DataFrame
) -> pl.DataFrame:
    """The rows with edits in place of what behaviour gives; a weight of 0 leaves none."""
    user, code = edits["user"].to_numpy(), edits["code"].to_numpy()
    liked, any_ = data.positives(), data.seen()
    one = items.T.tocsr()[code]
    counts = [np.asarray(side[user].multiply(one).sum(axis=1), np.float64).ravel() for side in (liked, any_)]
    totals = [np.diff(side.indptr)[user].astype(np.float64) for side in (liked, any_)]
    likes = edits["weight"].to_numpy() > 0
    n = np.where(likes, counts[0], counts[1] - counts[0])
    share = n / np.maximum(np.where(likes, totals[0], totals[1] - totals[0]), 1)
    usual = names["usual"].to_numpy()[code]
    told = pl.DataFrame(
        {
            "user": edits["user"],
            "code": edits["code"],
            "tag": names["tag"].gather(code),
            "column": names["column"].gather(code),
            "weight": edits["weight"],
            "items": n.astype(np.int32),
            "share": share,
            "usual": usual,
            "lift": share / usual,
        }
    )
    shown = rows.select("user", "code", pl.col("weight").alias("was"), "trend", "evidence")
    same = pl.col("was") * pl.col("weight") > 0  # what shows a like shows no dislike
    told = told.join(shown, on=["user", "code"], how="left").with_columns(
        pl.when(same).then("trend").otherwise(0.0).alias("trend"),
        pl.when(same).then("evidence").otherwise(pl.lit([], pl.List(pl.String))).alias("evidence"),
        pl.lit(value=True).alias("edited"),
    )
    kept = rows.join(edits, on=["user", "code"], how="anti")
    whole = pl.concat([kept, told.filter(pl.col("weight") != 0).select(rows.columns)])
    return whole.sort("user", pl.col("weight").abs(), "code", descending=[False, True, False])


def _weights(rows: pl.DataFrame, n_users: int, n_tags: int) -> csr_array:
    from scipy.sparse import csr_array  # noqa: PLC0415 - costs 90 ms that `validate` need not pay

    at = rows["user"].to_numpy(), rows["code"].to_numpy()
    return csr_array((rows["weight"].to_numpy(), at), shape=(n_users, n_tags))
