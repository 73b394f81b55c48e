"""The schema of a recipe: that of its models, with what is installed here in place of names that may be anything."""

from __future__ import annotations

from typing import Any

from recprofile.metrics import METRICS, RatingMetric
from recprofile.recipe import Recipe
from recprofile.registry import Registry
from recprofile.schema.stages import STAGE, baseline_schema, stage_schemas
from recprofile.schema.written import DEFS, PART, Schema, in_part, schema_of

DRAFT = "https://json-schema.org/draft/2020-12/schema"
EXTENDS = "The recipe that this one changes: mappings merge, lists replace. Path, relative to this file."
OVERRIDE = "Changed parameters of stages by id, as {plot: {max_tokens: 64}}; the stages may be those of 'extends'."


def recipe_schema(registry: Registry) -> Schema:
    """JSON Schema (draft 2020-12) of every recipe that these plugins can run; plain JSON values."""
    made, defs = schema_of(Recipe, "")
    defs |= stage_schemas(registry)
    properties = made["properties"]
    properties["engine"] |= {"anyOf": _engines(registry)}
    properties["plugins"] = _plugins(properties["plugins"], registry)
    evaluate = defs["Evaluate"]["properties"]
    evaluate["metrics"]["items"] = {"anyOf": _metrics()}
    evaluate["baselines"] = _listing(evaluate["baselines"], baseline_schema(registry))
    data, stages = properties["data"], properties["stages"]
    properties |= {"data": {}, "stages": {}}  # below: what they may lack depends on other keys
    recipe = properties.pop("recipe")
    return {
        "$schema": DRAFT,
        "title": "recprofile recipe",
        "$comment": "made by `recprofile schema` for " + ", ".join(_installed(registry)),
        "description": made["description"],
        "type": "object",
        "properties": {
            "recipe": recipe,
            "extends": {"type": "string", "minLength": 1, "description": EXTENDS},
            "override": {"type": "object", "additionalProperties": {"type": "object"}, "description": OVERRIDE},
            **properties,
        },
        "additionalProperties": False,
        "allOf": [
            {
                "if": {"required": ["extends"]},
                "then": {"properties": {"data": in_part(data, defs)}},
                "else": {
                    "required": made["required"],
                    "properties": {"recipe": recipe, "data": data, "stages": {"type": "array"}},
                },
            },
            {
                "if": {"required": ["override"]},
                "then": {"properties": {"stages": {**stages, "items": {"$ref": f"{DEFS}{STAGE}{PART}"}}}},
                "else": {"properties": {"stages": stages}},
            },
        ],
        "$defs": {name: defs[name] for name in sorted(defs)},
    }


def _listing(schema: Schema, items: Schema) -> Schema:
    """The same list with other entries, each of them once."""
    return {**schema, "items": items, "uniqueItems": True}


def _metrics() -> list[Schema]:
    """Every metric by name, with the length of the list that it looks at where it has one, from 1 to 10000."""
    ranked = [name for name, metric in METRICS.items() if not isinstance(metric, RatingMetric)]
    names = [f"{name}@10" if name in ranked else name for name in METRICS]
    return [
        {"enum": names, "enumDescriptions": [metric.summary for metric in METRICS.values()]},
        {"type": "string", "pattern": f"^({'|'.join(ranked)})@([1-9][0-9]{{0,3}}|10000)$"},
    ]


def _engines(registry: Registry) -> list[Schema]:
    names = sorted(registry.executors(), key=lambda name: (name != "local", name))
    options: dict[str, Any] = {name: {"type": "object"} for name in names}
    whole = {"type": "object", "properties": options, "additionalProperties": False}
    return [{"enum": names}, {**whole, "minProperties": 1, "maxProperties": 1}]


def _plugins(schema: Schema, registry: Registry) -> Schema:
    """Requirements by namespace: those of the plugins that are installed and load."""
    specifier = schema.pop("additionalProperties")
    named = {
        plugin.namespace: {**specifier, "description": f"{plugin.distribution} {plugin.version} is installed"}
        for plugin in registry.plugins
        if plugin.problem is None
    }
    return {**schema, "properties": named, "additionalProperties": False}


def _installed(registry: Registry) -> list[str]:
    return [f"{plugin.distribution} {plugin.version}" for plugin in registry.plugins if plugin.problem is None]
