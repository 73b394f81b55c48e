"""What a run's profiles and events say of whose labels would help most, and who could give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.artifacts import FloatArray, IntArray, Profiles
from recprofile.errors import RunError
from recprofile.labels.choose import choose
from recprofile.ranking import top_k
from recprofile.runs import Run

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Side = Literal["items", "users"]
SCORES = 1 << 23  # held at once: 32 MiB


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An item or user whose labels would help, by outside id, and why.

    `label` is what a person reads for it, None for a user; `events` are those so far; `uncertainty` from 0, all is
    known, to 1, nothing is; `helps` the share of the whole uncertainty that its labels would remove; `nearest` the one
    suggested before that is most alike, and `near` their cosine, None where there is none; `ask` the ids of users most
    likely to know the item, or of items that the user most likely knows.
    """

    id: int | str
    label: str | None
    events: int
    uncertainty: float
    helps: float
    nearest: int | str | None
    near: float
    ask: tuple[int | str, ...]


def suggest(run: Run, side: Side, n: int, *, ask: int) -> list[Suggestion]:
    """The n items or users of a run whose labels would help most, best first, each asked of `ask` users or items.

    An item's events are its positive ones in training, a user's those that the profile rests on. Whoever has an item in
    their history is not asked about it. Raises RunError RP607 when the run keeps no profiles, or no history of users.
    """
    profiles = run.profiles()
    history = profiles.rests_on()
    popular = _popular(run, profiles)
    if history is None and side == "users":
        helps = ("a fuse stage that pools history, or an encoder such as als, keeps it",)
        raise RunError.of("RP607", f"the profiles of '{run.folder}' keep no history of users", help=helps)
    active = np.zeros(len(profiles.users), np.int64) if history is None else np.diff(history.indptr).astype(np.int64)
    if side == "items":
        ids, others, events, of_others = profiles.items, profiles.users, popular, active
        asked_of, them = profiles.item_vectors, profiles.user_vectors
    else:
        ids, others, events, of_others = profiles.users, profiles.items, active, popular
        asked_of, them = profiles.user_vectors, profiles.item_vectors
    choices = choose(unit_blocks(profiles, side), events, n, labels=ask)
    codes = np.array([one.item for one in choices], np.int32)
    known = None if history is None else _known(history, codes, side)
    asked = _likeliest(asked_of[codes], them, of_others, known, k=min(ask, len(others)))
    labels = run.item_names() if side == "items" else {}
    outside = ids.outside(codes).to_list()
    by_code = dict(zip(codes.tolist(), outside, strict=True))
    return [
        Suggestion(
            id,
            labels.get(str(id)),
            int(events[one.item]),
            one.variance,
            one.share,
            None if one.nearest is None else by_code[one.nearest],
            one.near,
            tuple(others.outside(row[row >= 0]).to_list()),
        )
        for id, one, row in zip(outside, choices, asked, strict=True)
    ]


def unit_blocks(profiles: Profiles, side: Side) -> FloatArray:
    """Vectors of items or users in which each block that tells something counts the same, (n, d) float32.

    A row of a block has length 1, and 0 where the block knows nothing; with all blocks a row has length 1.
    """
    rows = profiles.item_vectors if side == "items" else profiles.user_vectors
    parts: list[FloatArray] = []
    for block in profiles.blocks:
        part = profiles.told(block) if side == "items" else rows[:, block.start : block.stop]
        if part.any():
            length = np.linalg.norm(part, axis=1, keepdims=True)
            parts.append(np.divide(part, length, out=np.zeros_like(part), where=length > 0))
    if not parts:
        return np.zeros((len(rows), 0), np.float32)
    made: FloatArray = np.concatenate(parts, axis=1) / np.float32(np.sqrt(len(parts)))
    return made


def _popular(run: Run, profiles: Profiles) -> NDArray[np.int64]:
    """Positive training events of each item of the profiles."""
    table = run.table("items.parquet", columns=("item", "positive_events"))
    codes = profiles.items.codes(table["item"])
    counts = np.zeros(len(profiles.items), np.int64)
    counts[codes[codes >= 0]] = table["positive_events"].cast(pl.Int64).to_numpy()[codes >= 0]
    return counts


def _known(history: csr_array, codes: IntArray, side: Side) -> csr_array:
    """Which of the others stand in a history with each of these, (len(codes), n_others)."""
    rows = history[codes] if side == "users" else history.tocsc()[:, codes].T
    return rows.tocsr()


def _likeliest(
    rows: FloatArray, them: FloatArray, counts: NDArray[np.int64], known: csr_array | None, *, k: int
) -> IntArray:
    """The k others with the highest score for each row, those that are known left out: int32 (len(rows), k).

    For a row of which nothing is known, those with most events.
    """
    asked = np.zeros((len(rows), k), np.int32)
    silent = ~them.any(axis=1)  # of whom nothing is known nobody can say what they know
    step = max(1, SCORES // max(1, len(them)))
    for at in range(0, len(rows), step):
        part = rows[at : at + step]
        scores = part @ them.T
        nothing = ~part.any(axis=1)
        scores[np.ix_(~nothing, silent)] = -np.inf
        scores[nothing] = counts.astype(np.float32)
        if known is not None:
            mine = known[at : at + step]
            scores[np.repeat(np.arange(len(part)), np.diff(mine.indptr)), mine.indices] = -np.inf
        asked[at : at + step] = top_k(scores, k)[0]
    return asked
