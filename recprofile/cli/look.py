"""`plugins` and `describe`: what is installed."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from recprofile.cli.terminal import console, json_out, table
from recprofile.components import Params

GIVES = {
    "preprocess": "Dataset → Dataset",
    "encode": "Dataset → Embeddings",
    "fuse": "Embeddings…, Dataset → Profiles",
    "recommend": "Dataset, Profiles → Ranker",
    "rerank": "Recommendations → Recommendations",
    "check": "Recommendations, Profiles, Dataset → CheckResult",
    "explain": "Recommendations, Profiles → Explanations",
    "update": "Profiles, Interactions → Profiles",
}


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command()(plugins)
    app.command()(describe)


def plugins(json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False) -> None:
    """List the installed plugins, their components, and what is wrong with those that did not load.

    Example:

        recprofile plugins
    """
    from recprofile.registry import make_registry

    registry = make_registry()
    mine: dict[str, list[Any]] = {p.namespace: [] for p in registry.plugins}
    for offer in registry.offers:
        mine[offer.namespace].append(offer)
    if json:
        json_out(
            [
                {
                    "namespace": p.namespace,
                    "distribution": p.distribution,
                    "version": p.version,
                    "module": p.module,
                    "hooks": list(p.hooks),
                    "components": [{"verb": o.verb, "name": o.pinned} for o in mine[p.namespace]],
                    "problem": p.problem.message if p.problem else None,
                }
                for p in registry.plugins
            ]
        )
        return
    out = console()
    widths = [max((len(cell) for cell in cells), default=0) for cells in zip(*_NAMES(registry), strict=True)]
    for n, plugin in enumerate(registry.plugins):
        if n:
            out.print()
        out.print(f"[bold]{escape(plugin.namespace)}[/bold]  {plugin.distribution} {plugin.version}", end="")
        out.print(f"  [dim]{escape(plugin.module)}[/dim]")
        if plugin.problem:
            out.print(f"  [red]not usable[/red]: {plugin.problem.code} {escape(plugin.problem.message)}")
            for line in plugin.problem.help:
                out.print(f"     = {escape(line)}")
        further = [hook for hook in plugin.hooks if hook not in HOOK_OF.values()]
        if further:
            out.print(f"  further hooks: {', '.join(further)}")
        rows = [(f"  {o.verb}", o.pinned, _summary(o.component)) for o in mine[plugin.namespace]]
        if rows:
            out.print(table(("", "", ""), rows, widths=widths))


def describe(
    component: Annotated[str, typer.Argument(help="Component as a recipe names it: tfidf, hf/text, ease@1.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Show a component: what it does, what goes in and out, and its parameters.

    Examples:

        recprofile describe ease
        recprofile describe hf/text
    """
    from recprofile.errors import RecipeError, did_you_mean
    from recprofile.registry import make_registry

    registry = make_registry()
    name = component.removeprefix("builtin/")
    found = [o for o in registry.offers if name in (o.name, o.pinned)]
    if not found:
        namespace = name.rpartition("/")[0]
        if namespace and namespace not in {p.namespace for p in registry.plugins if not p.problem}:
            registry.find(name, "encode")  # says what is wrong with the namespace
        helps = did_you_mean(name, [o.name for o in registry.offers], label="installed", most=40)
        raise RecipeError.of("RP301", f"no component '{name}'", help=helps)
    for offer in found:
        fields = _parameters(offer.component.params_type)
        if json:
            json_out(
                {
                    "name": offer.pinned,
                    "verb": offer.verb,
                    "distribution": f"{offer.plugin.distribution} {offer.plugin.version}",
                    "description": inspect.getdoc(offer.component),
                    "parameters": offer.component.params_type.model_json_schema(),
                }
            )
            continue
        out = console()
        out.print(f"[bold]{offer.pinned}[/bold]  {offer.verb}: {GIVES[offer.verb]}")
        out.print(f"from {offer.plugin.distribution} {offer.plugin.version}")
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
            out.print(f"[bold]{name}[/bold]  {escape(takes)}; {escape(default)}")
            print_indented(what)


def _summary(component: type) -> str:
    return (inspect.getdoc(component) or "").split("\n")[0]


def _parameters(model: type[Params]) -> list[tuple[str, str, str, str]]:
    properties = model.model_json_schema().get("properties", {})
    rows = []
    for name, field in model.model_fields.items():
        written = field.alias or name
        schema = properties.get(written, {})
        default = "required" if field.is_required() else _value(field.get_default(call_default_factory=True))
        rows.append(
            (written, _type(schema, model.model_json_schema().get("$defs", {})), default, field.description or "")
        )
    return rows


def _value(value: object) -> str:
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return (
        {None: "none", True: "true", False: "false"}.get(value, str(value))
        if not isinstance(value, dict)
        else str(value)
    )


def _type(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """A JSON Schema in a few words: type and range."""
    if "$ref" in schema:
        return _type(defs.get(schema["$ref"].rpartition("/")[2], {}), defs)
    if "enum" in schema or "const" in schema:
        return " | ".join(str(v) for v in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(s, defs) for s in schema["anyOf"] if s.get("type") != "null"))
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true | false", "null": "none"}
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}), defs)}"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"mapping to {_type(inner, defs)}" if isinstance(inner, dict) else "mapping"
    bounds = [
        f"{sign} {schema[key]}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in schema
    ]
    return " ".join([words.get(kind, str(kind)), ", ".join(bounds)]).strip()
