"""Which users were judged alike in all that is compared, so that differences can be taken user by user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from recprofile.errors import listed
from recprofile.evaluate.compare.contenders import Contender, Evidence
from recprofile.recipe import load_recipe
from recprofile.source import read_source

CANDIDATES = "list.candidates"
SHOWN = (CANDIDATES, "data.split", "data.positive", "data.interactions", "seed")  # the rest are files
DRAWN = ("random", "item-cold", "user-cold", "leave-one-out")  # splits that the seed decides, the last without a time


@dataclass(frozen=True, eq=False)
class Pairing:
    """The users (text) who can be paired; empty, and `why`, where none can. `notes` say who was left out."""

    users: pl.Series
    why: str | None = None
    notes: tuple[str, ...] = ()


def pair(contenders: Sequence[Contender]) -> Pairing:
    """The users to whom the same items were relevant in all runs, where it is the same test part.

    It is the same where all that was relevant is the same, however that came about; else where data, split and
    candidates are, so that a preprocess stage made what differs.
    """
    first, *others = {id(c.evidence): c.evidence for c in contenders}.values()
    users, notes = _judged(first)["user"], []
    names = {id(c.evidence): c.key for c in reversed(contenders)}
    for other in others:
        alike, same = _alike(first.relevant, other.relevant)
        differing = _differing(first, other)
        if differing and not (same and not differing[0].startswith(CANDIDATES)):
            told = listed(differing, most=4)
            why = f"{names[id(first)]} and {names[id(other)]} were judged on different test parts: {told}"
            return Pairing(users.clear(), why)
        users = users.filter(users.is_in(alike.implode()))
        if (a := first.metrics.get("candidates")) != (b := other.metrics.get("candidates")):
            text = f"{names[id(first)]} lists from {a:,} items and {names[id(other)]} from {b:,}"
            notes.append(f"{text}: what a preprocess stage drops cannot be listed")
    if len(users) == 0:
        return Pairing(users, "no user was judged alike in all of them")
    if left := max(_judged(one).height for one in (first, *others)) - len(users):
        notes.append(f"not paired: {left:,} of the users, whom not all runs judged, or not on the same items")
    return Pairing(users, None, tuple(notes))


def _judged(evidence: Evidence) -> pl.DataFrame:
    """The users to whom anything was relevant, in their order."""
    return evidence.relevant.select("user").unique(maintain_order=True)


def _alike(a: pl.DataFrame, b: pl.DataFrame) -> tuple[pl.Series, bool]:
    """Users of a whose relevant items are those of b, and whether that is so of all users of both."""
    both = a.join(b, on=["user", "item"], how="inner").group_by("user").agg(both=pl.len())
    counted = [of.group_by("user").agg(pl.len().alias(name)) for of, name in ((a, "a"), (b, "b"))]
    users = both.join(counted[0], on="user").join(counted[1], on="user")
    alike = users.filter(pl.col("both") == pl.col("a"), pl.col("both") == pl.col("b"))["user"]
    return alike, len(alike) == counted[0].height == counted[1].height


def _differing(a: Evidence, b: Evidence) -> list[str]:
    """What decides the test part and differs."""
    mine, theirs = _task(a), _task(b)
    both = [key for key in mine if key in theirs and mine[key] != theirs[key]]
    return [f"{key} is {mine[key]} and {theirs[key]}" if key in SHOWN else f"the {key} files differ" for key in both]


def _task(evidence: Evidence) -> Mapping[str, Any]:
    """All that decides which events are the test part, what of them is relevant, and what may be listed."""
    run = evidence.run
    recipe = load_recipe(read_source(run.folder / "recipe.yaml", check_env=False))
    block = recipe.data.to_data()
    files = {name: file["fingerprint"] for name, file in run.manifest.get("files", {}).items()}
    split = {n: v for n, v in (block.get("split") or {}).items() if n not in ("test", "valid")}
    columns = {n: block["interactions"].get(n) for n in ("user", "item", "weight", "time")}
    may = recipe.lists.candidates
    task = {
        CANDIDATES: may if may in ("all", "cold") else f"a file of {files.get('candidates', '')[:8]}",
        "data.split": _flow(split),
        "data.positive": block.get("positive") or "every event",
        "data.interactions": _flow(columns),
    }
    if split.get("by") in DRAWN and not (split["by"] == "leave-one-out" and columns["time"]):
        task["seed"] = recipe.seed
    return task | {name: files[name] for name in ("interactions", "test") if name in files}


def _flow(block: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {value}" for name, value in block.items() if value is not None) + "}"
