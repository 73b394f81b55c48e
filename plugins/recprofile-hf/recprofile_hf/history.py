"""`hf/history`: what people did, as a text, as vectors of a pretrained language model."""

from __future__ import annotations

import numpy as np
import polars as pl

from recprofile.plugin import Context, DataError, Dataset, Embeddings, Encoded, Encoder, Field, in_order
from recprofile_hf.params import EncoderParams
from recprofile_hf.texts import item_texts, named, prefixed, say_what_is_missing, shape_of, vectors_of


class HistoryParams(EncoderParams):
    events: int = Field(default=20, ge=1, le=10_000, description="Most items of a user's text, the latest, 1 to 10000.")
    separator: str = Field(default="; ", max_length=1000, description="What stands between two items of that text.")
    positive_only: bool = Field(default=True, description="Read positive events only.")
    newest_first: bool = Field(
        default=True, description="Begin with the latest item, so that a text that is too long loses the oldest."
    )
    user_prefix: str = Field(
        default="",
        max_length=10_000,
        description="What stands before each user's text, as 'query: ' or 'Films that somebody liked: '.",
        examples=["query: "],
    )


class History(Encoder[HistoryParams]):
    """Each user's latest items as one text, and each item's text, as vectors of one language model: float32 (n, d).

    A user's text is `user_prefix` and the texts of the latest `events` items that they had training events with, each
    item once, by its last event; an item's own vector is that of its text with `prefix`, as in `hf/text`, whose model,
    pooling, chunks and kept vectors these are. Items are centred, whitened and reduced as there. Users are turned by
    the same directions, but about the mean of the users: what all such texts share says nothing of any user. So both
    sides lie in one space, whose dot products rank. Users without events of this kind, or whose items have no text, are
    missing, and so are items without text.

    A language model reads one text a user, and again when the user does something new: hours for a million users. The
    same items' vectors of `hf/text`, pooled by a fuse stage, are a sparse product, seconds for as many, forget no
    event beyond `events`, follow later events in a profile store, and usually rank better. This encoder is for models
    that were tuned to read histories or to follow instructions, and for short histories in which order matters.
    A store keeps its users as they were published: update them by running the recipe again.

    Raises DataError RP406 when events have no time, RP505 when no item has text, or no user an event with an item that
    has one, and whatever `hf/text` raises.

    Source: behaviour as text after Geng et al. 2022, "Recommendation as Language Processing", and Li et al. 2023,
    "Text Is All You Need: Learning Language Representations for Sequential Recommendation".
    """

    name = "history"
    needs_items = True
    needs_time = True

    def encode(self, data: Dataset, ctx: Context) -> Encoded:
        p = self.params
        texts = item_texts(data, p)
        users = prefixed(self._user_texts(texts, data), p.user_prefix)
        if data.n_users and not (users != "").any():
            raise DataError.of("RP505", f"no user has an event with an item that has text in {named(p)}")
        vectors, there = vectors_of(pl.concat([prefixed(texts, p.prefix), users]), p, ctx)
        of_items, of_users = (vectors[: len(texts)], there[: len(texts)]), (vectors[len(texts) :], there[len(texts) :])
        say_what_is_missing(~of_items[1], p, ctx)
        shape = shape_of(*of_items, data, p, ctx)
        middle = shape.mean
        if p.centre and of_users[1].any():
            middle = of_users[0][of_users[1]].mean(axis=0, dtype=np.float64).astype(np.float32)
        known = int(of_users[1].sum())
        ctx.note("users read", {"users": known, "of": data.n_users})
        return Encoded(
            Embeddings("item", data.items.ids, shape.of(*of_items, normalise=p.normalise), ~of_items[1]),
            Embeddings("user", data.users.ids, shape.of(*of_users, normalise=p.normalise, mean=middle), ~of_users[1]),
        )

    def _user_texts(self, texts: pl.Series, data: Dataset) -> pl.Series:
        """The items of each user as one text, String (n_users,), '' where there is none."""
        p, events = self.params, data.train
        if events.time is None:
            raise DataError.of("RP406", "'hf/history' needs events with a time, and these have none")
        has_text = (texts != "").to_numpy()[events.item]
        events = events.take(np.flatnonzero(has_text & events.positive if p.positive_only else has_text))
        assert events.time is not None
        order = in_order(events.user, events.time)
        said = (
            pl.DataFrame({"user": events.user[order], "item": events.item[order]})
            .unique(["user", "item"], keep="last", maintain_order=True)
            .group_by("user", maintain_order=True)
            .tail(p.events)
        )
        if p.newest_first:
            said = said.reverse()
        joined = (
            said.with_columns(texts.gather(said["item"].cast(pl.UInt32)).alias("text"))
            .group_by("user", maintain_order=True)
            .agg(pl.col("text").str.join(p.separator))
        )
        everybody = pl.DataFrame({"user": np.arange(data.n_users, dtype=np.int32)})
        return everybody.join(joined, on="user", how="left", maintain_order="left")["text"].fill_null("").alias("text")
