"""What a pydantic error speaks of: the path in the recipe, and the part of the model that was to take it.

A pydantic location holds keys and indices, but also labels of union branches, and fields that a validator made from
other keys. Both are told apart by following the location through the model's core schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from recprofile.shape.model import Model
from recprofile.source.tree import Source

Loc = tuple[str | int, ...]
Node = Mapping[str, Any]  # a pydantic core schema


@dataclass(frozen=True)
class Place:
    """Where an error is, in the words of the recipe."""

    path: Loc
    branches: tuple[tuple[Loc, str], ...]  # unions on the way: the path of each, and the branch's label
    nodes: tuple[Node, ...]  # what the model has at the end; several where a branch is not certain
    owners: tuple[type[BaseModel], ...]  # the models that have, or refuse, the last key
    field: FieldInfo | None
    of_key: bool  # the error is about a key, not about its value


def place(model: type[BaseModel], loc: Sequence[str | int], source: Source, prefix: Loc) -> Place:
    """Follow a pydantic location, below `prefix` in the source, through a model."""
    walk = _Walk(model)
    nodes: list[Node] = [walk.schema]
    path = prefix
    branches: list[tuple[Loc, str]] = []
    owners: tuple[type[BaseModel], ...] = ()
    field: FieldInfo | None = None
    for part in loc:
        forms = [form for node in nodes for form in walk.forms(node)]
        if part == "[key]":
            return Place(path, tuple(branches), (), owners, field, True)
        nodes = [inner for form in forms for inner in walk.below(form, part)]
        labelled = not nodes and [form for form in forms if form["type"] in ("union", "tagged-union")]
        if labelled:
            nodes = [inner for form in labelled for inner in walk.branch(form, str(part))]
            if any(form["type"] == "union" for form in labelled):
                branches.append((path, str(part)))
            continue
        found = [form["cls"] for form in forms if form["type"] == "model"]
        if found:
            owners, field = tuple(found), _field(found, part)
        entry, depth = source.reach(path)
        keys = tuple(entry.value) if depth == len(path) and isinstance(entry.value, dict) else ()
        path = (*path, _written(part, found, keys))
    return Place(path, tuple(branches), tuple(f for n in nodes for f in walk.forms(n)), owners, field, False)


def models_at(model: type[BaseModel], loc: Sequence[str | int], source: Source, prefix: Loc) -> list[type[BaseModel]]:
    """The models that a mapping at `loc` is validated by."""
    return [node["cls"] for node in place(model, loc, source, prefix).nodes if node["type"] == "model"]


def _written(part: str | int, models: Sequence[type[BaseModel]], keys: Sequence[str]) -> str | int:
    for model in models:
        if isinstance(part, str) and issubclass(model, Model):
            return model.written_as(part, keys)
    return part


def _field(models: Sequence[type[BaseModel]], part: str | int) -> FieldInfo | None:
    for model in models:
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                return field
    return None


class _Walk:
    def __init__(self, model: type[BaseModel]) -> None:
        self.schema: Node = model.__pydantic_core_schema__
        self.definitions: dict[str, Node] = {}

    def forms(self, node: Node) -> Iterator[Node]:
        """The nodes that say what a value is, without those that only wrap them."""
        kind = node["type"]
        if kind == "definitions":
            self.definitions |= {one["ref"]: one for one in node["definitions"]}
            yield from self.forms(node["schema"])
        elif kind == "definition-ref":
            yield from self.forms(self.definitions[node["schema_ref"]])
        elif kind == "lax-or-strict":
            yield from self.forms(node["lax_schema"])
        elif kind == "json-or-python":
            yield from self.forms(node["python_schema"])
        elif kind == "chain":
            for step in node["steps"]:
                yield from self.forms(step)
        elif kind != "model" and isinstance(node.get("schema"), Mapping):
            yield from self.forms(node["schema"])
        else:
            yield node

    def below(self, form: Node, part: str | int) -> Iterator[Node]:
        """What a form has under a key or index."""
        kind = form["type"]
        if kind == "model":
            for inner in self.forms(form["schema"]):
                if inner["type"] == "model-fields":
                    for name, field in inner["fields"].items():
                        if part in (name, field.get("validation_alias")):
                            yield field["schema"]
        elif kind == "dict":
            if "values_schema" in form:
                yield form["values_schema"]
        elif kind == "tuple" and isinstance(part, int):
            items, rest = form["items_schema"], form.get("variadic_item_index")
            yield items[min(part, len(items) - 1 if rest is None else rest)]
        elif isinstance(part, int) and "items_schema" in form:
            yield form["items_schema"]

    def branch(self, union: Node, label: str) -> list[Node]:
        """The branches of a union that a label may mean."""
        if union["type"] == "tagged-union":
            return [union["choices"][label]] if label in union["choices"] else []
        choices = [choice[0] if isinstance(choice, tuple) else choice for choice in union["choices"]]
        fitting = [choice for choice in choices if any(_name(form) in label for form in self.forms(choice))]
        return fitting or choices


def _name(form: Node) -> str:
    name: str = form["cls"].__name__ if "cls" in form else form["type"]
    return name
