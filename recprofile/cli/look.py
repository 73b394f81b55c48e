"""`describe`: one component, with its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.markup import escape

from recprofile.cli.complete import components
from recprofile.cli.terminal import console, json_out, print_indented
from recprofile.components import Component, Params

GIVES = {
    "preprocess": ("Dataset", "Dataset"),
    "encode": ("Dataset", "Embeddings"),
    "fuse": ("Embeddings…, Dataset", "Profiles"),
    "recommend": ("Dataset", "Ranker"),
    "rerank": ("Recommendations, Dataset", "Recommendations"),
    "check": ("Recommendations, Dataset", "CheckResult"),
    "explain": ("Recommendations, Ranker, Dataset", "Explanations"),
    "update": ("Profiles, Interactions, Dataset", "Profiles"),
}
NEEDS = {"needs_items": "a table of items", "needs_users": "a table of users", "needs_time": "times"}


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command()(describe)


def describe(
    component: Annotated[
        str, typer.Argument(autocompletion=components, help="Component as a recipe names it: tfidf, hf/text, ease@1.")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Show a component: what it does, what goes in and out, and its parameters.

    Examples:

        recprofile describe ease
        recprofile describe hf/text
    """
    from recprofile.registry import make_registry

    found = make_registry().find_all(component)
    if json:
        json_out(
            [
                {
                    "name": offer.pinned,
                    "verb": offer.verb,
                    "distribution": f"{offer.plugin.distribution} {offer.plugin.version}",
                    "description": inspect.getdoc(offer.component),
                    "parameters": offer.component.params_type.model_json_schema(),
                }
                for offer in found
            ]
        )
        return
    for n, offer in enumerate(found):
        fields = _parameters(offer.component.params_type)
        out = console()
        if n:
            out.print()
        out.print(f"[bold]{offer.pinned}[/bold]  {offer.verb}: {_in_and_out(offer.component)}")
        out.print(f"from {offer.plugin.distribution} {offer.plugin.version}")
        if needs := [what for flag, what in NEEDS.items() if getattr(offer.component, flag)]:
            out.print(f"needs {' and '.join(needs)}")
        for part in (inspect.getdoc(offer.component) or "").split("\n\n"):
            out.print()
            if part.startswith(" "):  # lines that are meant as such
                out.print(part, markup=False)
            else:
                print_indented(part, 0)
        out.print()
        if not fields:
            out.print("It has no parameters.")
        for name, takes, default, what in fields:
            out.print(f"[bold]{name}[/bold]  {escape(takes)}; {escape(default)}", soft_wrap=False)
            print_indented(what)


def _in_and_out(component: type[Component[Any]]) -> str:
    """The artifacts that go in and out, as 'Dataset, Profiles → Ranker'."""
    takes, gives = GIVES[component.verb]
    profiles = ", Profiles" if component.needs_profiles and "Profiles" not in takes else ""
    rankers = ", Ranker…" if getattr(component, "takes_rankers", False) else ""
    return f"{takes}{profiles}{rankers} → {gives}"


def _parameters(model: type[Params]) -> list[tuple[str, str, str, str]]:
    """Name, what it takes, its default, and what it is, of every parameter."""
    schema = model.model_json_schema()
    rows = []
    for name, field in model.model_fields.items():
        written = field.alias or name
        takes = _type(schema.get("properties", {}).get(written, {}), schema.get("$defs", {}))
        default = "required"
        if not field.is_required():
            default = f"default {_value(field.get_default(call_default_factory=True))}"
        rows.append((written, takes, default, field.description or ""))
    return rows


def _value(value: object) -> str:
    """A value as a recipe may write it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, tuple | list | set | frozenset):
        return "[" + ", ".join(map(_value, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return _number(value)
    text = str(value)
    return text if text.strip() == text != "" else f'"{text}"'


def _number(value: float) -> str:
    """A number as short as it can be said: 400, 0.05, 1e9."""
    if isinstance(value, int) or value.is_integer():
        digits = str(int(value))
        zeros = len(digits) - len(digits.rstrip("0"))
        return digits if zeros < 7 else f"{digits[:-zeros]}e{zeros}"
    return f"{value:g}".replace("e-0", "e-")


def _type(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """A JSON Schema in a few words: type and range."""
    if "$ref" in schema:
        return _type(defs.get(schema["$ref"].rpartition("/")[2], {}), defs)
    if "enum" in schema or "const" in schema:
        return " | ".join(_value(v) for v in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(s, defs) for s in schema["anyOf"] if s.get("type") != "null"))
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true | false", "null": "none"}
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}), defs)}"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"mapping to {_type(inner, defs)}" if isinstance(inner, dict) else "mapping"
    return " ".join(filter(None, (words.get(kind, str(kind)), _range(schema))))


def _range(schema: Mapping[str, Any]) -> str:
    bounds = [
        (sign, _number(schema[key]))
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in schema
    ]
    if [sign for sign, _ in bounds] == ["≥", "≤"]:
        return f"from {bounds[0][1]} to {bounds[1][1]}"
    return ", ".join(f"{sign} {number}" for sign, number in bounds)
