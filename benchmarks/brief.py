"""The case that the benchmarks run: a shop made by chance, at any scale, always the same for the same seed.

    python benchmarks/brief.py [FOLDER] [--users 100000] [--items 10000] [--events 100] [--seed 7] [--format parquet]

Events have a user, an item, a time in seconds and an amount. Items are of 64 kinds (16 categories in 4 styles); a user
buys 3 kinds of them, and what is popular. Popularity follows a power law. Of a hundred events 2 repeat another, 10
lack their amount; ages and prices have gaps, too. Each item has a text of about 30 tokens, which tells its kind.
Three files: events, items, users.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

KINDS, TASTES = 64, (0.5, 0.3, 0.2)  # kinds of items, and how much of a user's buying goes to each of their three
POPULAR = 0.3  # share of events that go by popularity alone
STEEPNESS, FLATTENED = 0.8, 20  # popularity of the item at a rank: (rank + FLATTENED)^-STEEPNESS
TWICE, NO_AMOUNT, NO_AGE, NO_PRICE = 0.02, 0.10, 0.15, 0.05
FIRST, SPAN = 1_700_000_000, 365 * 86_400
BLOCK = 1_000_000  # events that are drawn together; part of what a seed means

CATEGORIES = {
    "kitchen": ("saucepan kettle skillet ladle colander teapot whisk grater mug apron", "cooking baking brewing"),
    "garden": ("spade trellis planter hose trowel sprinkler rake compost seedling pruner", "planting digging watering"),
    "running": ("shoe sock jersey shorts headband tracker vest bottle gaiter insole", "racing jogging training"),
    "camping": ("tent stove lantern tarp hammock sleeping-bag compass cooler axe rope", "hiking trekking sheltering"),
    "office": ("desk chair stapler notebook lamp organiser printer pen planner shredder", "writing filing printing"),
    "music": ("guitar amplifier violin drum keyboard tuner microphone flute pedal stand", "playing recording singing"),
    "baby": ("crib stroller bib rattle blanket pacifier carrier monitor romper highchair", "napping feeding crawling"),
    "pets": ("leash kennel aquarium collar scratcher bowl toy brush harness litter", "grooming walking feeding"),
    "books": ("novel atlas memoir cookbook anthology thriller biography comic dictionary guide", "reading learning"),
    "games": ("puzzle console controller chessboard dice card-deck headset joystick figure quiz", "playing solving"),
    "beauty": ("lipstick serum mascara shampoo perfume lotion brush mirror conditioner balm", "cleansing styling"),
    "cars": ("tyre wiper jack battery polish mat charger bulb filter roof-rack", "driving repairing washing"),
    "bikes": ("helmet saddle pedal chain lock pump derailleur handlebar pannier light", "cycling commuting touring"),
    "photo": ("camera tripod lens flash filter album backdrop drone gimbal printer", "shooting filming editing"),
    "sewing": ("needle fabric thimble yarn button zipper thread pattern mannequin loom", "stitching knitting mending"),
    "tools": ("hammer drill saw wrench clamp chisel level sander plane vice", "building fixing measuring"),
}
STYLES = {
    "classic": ("timeless wooden handmade vintage leather brass", "made as it was in our grandparents' day"),
    "modern": ("sleek wireless minimal smart slim matte", "designed for a tidy and connected home"),
    "rugged": ("waterproof heavy-duty reinforced thermal sturdy foldable", "built to last in rain, mud and snow"),
    "cheerful": ("colourful floral playful tiny soft sparkling", "a bright present for friends and family"),
}
COLOURS = ["black", "white", "red", "green", "blue", "yellow", "grey", "brown", "purple", "orange"]
COUNTRIES = ["DE", "FR", "ES", "IT", "NL", "PL", "SE", "US", "GB", "JP"]


@dataclass(frozen=True)
class Shop:
    """How large the case is: `events` for each user, repeated ones included."""

    users: int = 100_000
    items: int = 10_000
    events: int = 100
    seed: int = 7

    def write(self, folder: Path, form: str = "parquet") -> None:
        """The three files, in this form (parquet or csv)."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in (("items", self.item_table()), ("users", self.user_table()), ("events", self.log())):
            file = folder / f"{name}.{form}"
            if form == "csv":
                table.lazy().sink_csv(file)
            else:
                table.lazy().sink_parquet(file)

    def log(self) -> pl.DataFrame:
        """Events in the order of time: user_id, item_id, time, amount."""
        user, item = self._pairs()
        rng = self._rng("log")
        n = len(user)
        at = FIRST + (rng.random(n) * SPAN).astype(np.int64)
        amount = np.round(rng.lognormal(np.log(self._price()[item]), 0.3), 2).astype(np.float32)
        gaps = rng.random(n) < NO_AMOUNT
        rows = np.arange(n)
        rows[1:] -= rng.random(n - 1) < TWICE  # written as the one before it
        rows = rows[np.argsort(at[rows], kind="stable")]
        return pl.DataFrame({
            "user_id": _ids("user", self.users)[user[rows]],
            "item_id": _ids("item", self.items)[item[rows]],
            "time": at[rows],
            "amount": pl.Series(amount).set(pl.Series(gaps), None)[rows],
        })  # fmt: skip

    def item_table(self) -> pl.DataFrame:
        """Items: item_id, title, text, category, price."""
        rng = self._rng("items")
        texts = [_words(kind, rng) for kind in self._kind()]
        price = pl.Series(np.round(self._price(), 2))
        return pl.DataFrame({
            "item_id": _ids("item", self.items),
            "title": [title for title, _ in texts],
            "text": [text for _, text in texts],
            "category": np.array(list(CATEGORIES))[self._kind() % len(CATEGORIES)],
            "price": price.set(pl.Series(rng.random(self.items) < NO_PRICE), None),
        })  # fmt: skip

    def user_table(self) -> pl.DataFrame:
        """Users: user_id, age, country, member."""
        rng = self._rng("users")
        age = pl.Series(np.clip(rng.normal(40, 14, self.users), 16, 95).astype(np.int64))
        return pl.DataFrame({
            "user_id": _ids("user", self.users),
            "age": age.set(pl.Series(rng.random(self.users) < NO_AGE), None),
            "country": np.array(COUNTRIES)[rng.integers(0, len(COUNTRIES), self.users)],
            "member": rng.random(self.users) < 0.4,
        })  # fmt: skip

    def _pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """User and item of each event, by user.

        An item is found where a number drawn from [0, 1) falls among the shares of the items of its kind, one after
        the other: the shares of kind t end at t + 1.
        """
        rng = self._rng("tastes")
        likes = np.argsort(rng.random((self.users, KINDS)), axis=1)[:, : len(TASTES)]
        popularity = (rng.permutation(self.items) + FLATTENED) ** -STEEPNESS
        kind = self._kind()
        by_kind = np.argsort(kind, kind="stable")
        size = np.bincount(kind, weights=popularity, minlength=KINDS)
        ends = np.cumsum(popularity[by_kind] / size[kind[by_kind]])
        overall = np.cumsum(popularity) / popularity.sum()
        users = max(1, BLOCK // self.events)
        parts = []
        for block, first in enumerate(range(0, self.users, users)):
            rng = self._rng("pairs", block)
            user = np.repeat(np.arange(first, min(first + users, self.users)), self.events)
            taste = rng.choice(len(TASTES), len(user), p=TASTES)
            filled = np.flatnonzero(size)  # a small shop does not have all kinds
            wanted = np.searchsorted(filled, likes[user, taste]) % len(filled)
            draw = rng.random(len(user))
            item = by_kind[np.minimum(np.searchsorted(ends, wanted + draw), self.items - 1)]
            popular = np.flatnonzero(rng.random(len(user)) < POPULAR)
            item[popular] = np.minimum(np.searchsorted(overall, draw[popular]), self.items - 1)
            parts.append((user, item))
        return np.concatenate([user for user, _ in parts]), np.concatenate([item for _, item in parts])

    def _kind(self) -> NDArray[np.int64]:
        return self._rng("kinds").integers(0, KINDS, self.items)

    def _price(self) -> NDArray[np.float64]:
        return self._rng("prices").lognormal(3, 0.8, self.items)

    def _rng(self, what: str, block: int = 0) -> np.random.Generator:
        return np.random.default_rng([self.seed, block, *what.encode()])


def _words(kind: int, rng: np.random.Generator) -> tuple[str, str]:
    """A title, and a text of about 30 tokens, of an item of this kind."""
    category = list(CATEGORIES)[kind % len(CATEGORIES)]
    nouns, uses = (words.split() for words in CATEGORIES[category])
    words, claim = STYLES[list(STYLES)[kind // len(CATEGORIES)]]
    adjectives = words.split()
    noun, other = rng.choice(nouns, 2, replace=False)
    adjective, further = rng.choice(adjectives, 2, replace=False)
    colour, use, size = rng.choice(COLOURS), rng.choice(uses), rng.integers(1, 100)
    title = f"{adjective.capitalize()} {noun}, {colour}, no. {size}"
    return title, f"{title}. A {further} {noun} for {use}, to go with your {other}, {claim}."


def _ids(what: str, n: int) -> pl.Series:
    width = len(str(max(1, n - 1)))
    return pl.Series([f"{what}-{i:0{width}d}" for i in range(n)])


def main() -> None:
    """Write a shop of the size that the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent / "data" / "brief")
    parser.add_argument("--users", type=int, default=Shop.users)
    parser.add_argument("--items", type=int, default=Shop.items)
    parser.add_argument("--events", type=int, default=Shop.events, help="of each user")
    parser.add_argument("--seed", type=int, default=Shop.seed)
    parser.add_argument("--format", choices=("parquet", "csv"), default="parquet")
    args = parser.parse_args()
    if min(args.users, args.items, args.events) < 1:
        parser.error("a shop has a user, an item and an event at least")
    begun = time.perf_counter()
    Shop(args.users, args.items, args.events, args.seed).write(args.folder, args.format)
    print(f"{args.users * args.events:,} events in {args.folder}, {time.perf_counter() - begun:.1f} s")


if __name__ == "__main__":
    main()
