"""A few users in full: who they are, what they did, what their profile says, what they were given and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.artifacts import Dataset, Explanations, IntArray, Profiles, Recommendations

HISTORY = 8  # events shown of a user
LISTED = 10  # recommendations shown of a user
ATTRIBUTES = 12  # columns shown of a user
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Shown:
    """What the samples are taken from; `labels` names each item, String (n_items,)."""

    data: Dataset
    recs: Recommendations | None
    explanations: Explanations | None
    profiles: Profiles | None
    labels: pl.Series


def sample_users(shown: Shown, samples: int) -> list[dict[str, Any]]:
    """The chosen users as plain values, those with a fall-back list last; [] where no stage was about users."""
    codes = chosen_users(shown, samples)
    history = _history(shown, codes)
    return [_user(shown, int(code), history.filter(pl.col("user") == int(code))) for code in codes]


def chosen_users(shown: Shown, samples: int) -> IntArray:
    """Codes of the users to show, int32: by a fixed rule, nothing is drawn.

    Users are ordered by the length of their history and taken at even steps, so that short, middling and long ones are
    there, and only explained ones where any is. One user whose list is a fall-back (or of whom the profiles know
    nothing) comes last, one without any history where there is one.
    """
    length = np.bincount(shown.data.train.user, minlength=shown.data.n_users)
    if shown.recs is not None:
        users, reason = shown.recs.users, shown.recs.reasons
    elif shown.profiles is not None:
        users, reason = np.arange(shown.data.n_users, dtype=np.int32), (~shown.profiles.known).astype(np.int8)
    else:
        return np.zeros(0, np.int32)
    regular = _explained(shown, users[reason == 0])
    first = np.lexsort((users, reason))[np.count_nonzero(reason == 0) :][:1]
    other = users[first] if samples > 1 or len(regular) == 0 else users[:0]
    most = max(0, samples - len(other))
    order = regular[np.lexsort((regular, length[regular]))]
    n = min(most, len(order))
    steps = ((np.arange(n) + 0.5) * len(order) / max(n, 1)).astype(np.int64)
    return np.concatenate([order[steps], other[:samples]]).astype(np.int32)


def _explained(shown: Shown, users: IntArray) -> IntArray:
    if shown.explanations is None:
        return users
    told = np.isin(users, shown.explanations.sentences["user"].unique().to_numpy())
    return users[told] if told.any() else users


def _history(shown: Shown, codes: IntArray) -> pl.DataFrame:
    """Training events of these users, the latest first, or the strongest where events have no time."""
    train = shown.data.train
    rows = np.flatnonzero(np.isin(train.user, codes))
    columns = {
        "user": train.user[rows],
        "item": train.item[rows],
        "weight": train.weight[rows],
        "positive": train.positive[rows],
    }
    if train.time is not None:
        columns["time"] = train.time[rows]
    first = ["time", "weight"] if train.time is not None else ["weight"]
    frame = pl.DataFrame(columns).with_columns(pl.col("weight").fill_nan(None))
    return frame.sort(*first, "item", descending=[True] * len(first) + [False], nulls_last=True, maintain_order=True)


def _user(shown: Shown, code: int, history: pl.DataFrame) -> dict[str, Any]:
    data, profiles = shown.data, shown.profiles
    row = None if shown.recs is None else next(iter(np.flatnonzero(shown.recs.users == code)), None)
    listed = np.zeros(0, np.int32)
    reason = "ranked"
    if shown.recs is not None and row is not None:
        listed = shown.recs.items[row][shown.recs.items[row] >= 0]
        reason = shown.recs.REASONS[int(shown.recs.reasons[row])]
    elif profiles is not None and not profiles.known[code]:
        reason = "not in the profiles"
    wanted = np.unique(data.test.item[(data.test.user == code) & data.test.positive])
    timed = data.has_time and history.height > 0
    return {
        "user": data.users.ids.ids[code],
        "reason": reason,
        "fallback": reason != "ranked",
        "attributes": _attributes(data, code),
        "events": history.height,
        "positive": int(history["positive"].sum()) if data.positive is not None else None,
        "first": _date(history["time"].min()) if timed else None,
        "last": _date(history["time"].max()) if timed else None,
        "order": "latest" if data.has_time else "strongest",
        "history": _events(shown, history.head(HISTORY)),
        "relevant": len(wanted),
        "found": int(np.isin(wanted, listed).sum()),
        "listed": len(listed),
        "profile": None if profiles is None else _profile(profiles, code, listed[:LISTED]),
        "recommendations": [] if row is None else _recommendations(shown, int(row), wanted),
    }


def _attributes(data: Dataset, code: int) -> dict[str, Any]:
    if not data.users.columns:
        return {}
    row = data.users.frame.row(code, named=True)
    return {name: value for name, value in list(row.items())[:ATTRIBUTES] if value is not None}


def _events(shown: Shown, events: pl.DataFrame) -> list[dict[str, Any]]:
    weighted = bool((shown.data.train.weight != 1).any())
    ids = shown.data.items.ids.ids
    return [
        {
            "item": ids[event["item"]],
            "label": shown.labels[event["item"]],
            "weight": _short(event["weight"]) if weighted else None,
            "positive": event["positive"] if shown.data.positive is not None else None,
            "date": _date(event.get("time")),
        }
        for event in events.iter_rows(named=True)
    ]


def _profile(profiles: Profiles, code: int, listed: IntArray) -> dict[str, Any]:
    """Blocks with their weight and their share of the scores of what is shown: sizes of the parts, all blocks' 1."""
    parts = np.abs(profiles.block_scores(np.full(len(listed), code, np.int32), listed).astype(np.float64)).sum(axis=0)
    whole = float(parts.sum())
    return {
        "known": bool(profiles.known[code]),
        "blocks": [
            {
                "name": block.name,
                "columns": block.stop - block.start,
                "weight": _short(weight),
                "pooled": block.pool is not None,
                "share": _short(part / whole) if whole > 0 else None,
            }
            for block, part, weight in zip(profiles.blocks, parts, profiles.weights_of(code), strict=True)
        ],
    }


def _recommendations(shown: Shown, row: int, wanted: NDArray[np.int32]) -> list[dict[str, Any]]:
    recs = shown.recs
    assert recs is not None
    user, items = int(recs.users[row]), recs.items[row][:LISTED]
    why = _why(shown, user)
    return [
        {
            "rank": at + 1,
            "item": recs.item_ids.ids[int(item)],
            "label": shown.labels[int(item)],
            "score": _short(float(recs.scores[row, at])),
            "hit": bool(np.isin(item, wanted)),
            **(why.get(int(item)) or {"sentence": None, "counterfactual": None, "basis": None, "evidence": []}),
        }
        for at, item in enumerate(items)
        if item >= 0
    ]


def _why(shown: Shown, user: int) -> dict[int, dict[str, Any]]:
    """Sentence, counterfactual, basis and evidence by item code, for one user."""
    if shown.explanations is None:
        return {}
    evidence = shown.explanations.evidence.filter(pl.col("user") == user)
    # An explainer without a label column names history items by id; here they have their names.
    names = pl.DataFrame({"source": shown.data.items.ids.ids.cast(pl.String), "named": shown.labels})
    evidence = evidence.join(names, on="source", how="left", maintain_order="left").with_columns(
        pl.when(pl.col("kind") == "history", pl.col("label") == pl.col("source"), pl.col("named").is_not_null())
        .then(pl.col("named"))
        .otherwise(pl.col("label"))
        .alias("label")
    )
    parts: dict[int, list[dict[str, Any]]] = {}
    for part in evidence.sort(
        "item", "kind", "contribution", "source", descending=[False, True, True, False]
    ).iter_rows(named=True):
        parts.setdefault(part["item"], []).append(
            {name: part[name] for name in ("kind", "source", "label")} | {"contribution": _short(part["contribution"])}
        )
    told = shown.explanations.sentences.filter(pl.col("user") == user)
    return {
        row["item"]: {
            **{name: row[name] for name in ("sentence", "counterfactual", "basis")},
            "evidence": parts.get(row["item"], []),
        }
        for row in told.iter_rows(named=True)
    }


def _date(seconds: Any) -> str | None:  # noqa: ANN401 - what polars gives for the smallest of a column
    if seconds is None:
        return None
    try:
        return (EPOCH + timedelta(seconds=int(seconds))).date().isoformat()
    except OverflowError:
        return None


def _short(value: float | None) -> float | None:
    """Six significant digits: all that float32 holds."""
    return None if value is None or not np.isfinite(value) else float(f"{value:.6g}")
