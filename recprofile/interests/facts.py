"""What is known of a person's interests: what a card is written from, and nothing else may stand on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interest:
    """A tag that a person likes, or avoids, more than others do.

    `column` of the items' table that the tag is from; `weight` its place in the profile, signed; `items` how many of
    their items have it, `share` of all their items, beside `usual`, its share of everybody's events, and `lift`, the
    ratio of the two; `trend` how its share of their later events differs from that of their earlier ones, in
    [-1, 1]; `evidence` labels of items that show it, the strongest first. `edited`: the person said so themselves, and
    there may be no item that shows it.
    """

    tag: str
    column: str
    weight: float
    items: int
    share: float
    usual: float
    lift: float
    trend: float
    evidence: tuple[str, ...]
    edited: bool = False


@dataclass(frozen=True, slots=True)
class CardFacts:
    """The evidence of one card. `likes` and `dislikes` strongest first, `recent` labels of items, the latest first."""

    user: str
    events: int
    likes: tuple[Interest, ...]
    dislikes: tuple[Interest, ...]
    recent: tuple[str, ...]
