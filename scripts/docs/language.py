"""The recipe language, from its pydantic models."""

from __future__ import annotations

import inspect
from typing import get_args

from recprofile.cli.look import GIVES
from recprofile.components import KINDS
from recprofile.recipe import (
    DataBlock,
    Evaluate,
    InteractionsSource,
    ListBlock,
    Range,
    Recipe,
    Split,
    Stage,
    TableSource,
    Tune,
)
from scripts.docs.marked import escaped, parameters, prose, table

SPLITS = get_args(get_args(Split)[0])
# The model, under the key that it is written at.
SECTIONS = {
    "data": DataBlock,
    "interactions": InteractionsSource,
    "items-and-users": TableSource,
    "stages": Stage,
    "list": ListBlock,
    "evaluate": Evaluate,
    "tune": Tune,
    "ranges": Range,
}
ANCHORS = {model.__name__: key for key, model in SECTIONS.items()} | {split.__name__: "split" for split in SPLITS}


def whole() -> str:
    """The keys at the top of a recipe."""
    return parameters(Recipe, anchors=ANCHORS)


def block(key: str) -> str:
    """One block of a recipe."""
    model = SECTIONS[key]
    return f"{prose(model.__doc__)}\n\n{parameters(model, anchors=ANCHORS)}"


def splits() -> str:
    """The ways to hold data out."""
    parts = []
    for split in SPLITS:
        name = get_args(split.model_fields["by"].annotation)[0]
        keys = parameters(split)
        parts.append(f"#### `by: {name}`\n\n{prose(split.__doc__)}\n\n{keys}")
    return "\n\n".join(parts)


def stage() -> str:
    """The keys that a stage may have beside its verb."""
    lines = parameters(Stage).splitlines()
    return "\n".join(line for line in lines if not line.startswith(("| `verb`", "| `use`")))


def verbs() -> str:
    """The verbs, in the order in which data flow."""
    rows = []
    for verb, kind in KINDS.items():
        takes, gives = GIVES[verb]
        rows.append((f"`{verb}`", escaped((inspect.getdoc(kind) or "").split("\n\n")[0]), f"{takes} → {gives}"))
    return table(("verb", "what it does", "in → out"), rows)
