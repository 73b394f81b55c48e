"""The JSON Schema of what a recipe may write for a model, short forms included."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaWarningKind
from pydantic_core import PydanticOmit, core_schema

from recprofile.shape import Model

Schema = dict[str, Any]
DEFS = "#/$defs/"
PART = ".part"


def schema_of(model: type[Model], name: str) -> tuple[Schema, dict[str, Schema]]:
    """The schema of a model, and the definitions that it refers to, whose names begin with `name`."""
    made = model.model_json_schema(schema_generator=_Written, ref_template=f"{DEFS}{name}{{model}}")
    return made, {f"{name}{inner}": schema for inner, schema in made.pop("$defs", {}).items()}


class _Written(GenerateJsonSchema):
    """pydantic's JSON Schema of what is validated, in a form that tells a person what to write.

    No titles, which only repeat names; no default that is null; a union told apart by one key as `if` and `then`, so
    that a mistake in one branch is told of that branch. What JSON Schema cannot say may be anything.
    """

    def generate(self, schema: core_schema.CoreSchema, mode: JsonSchemaMode = "validation") -> Schema:
        made = super().generate(schema, mode)
        made.pop("$schema", None)
        return made

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401 - pydantic has no public name for it
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> Schema:
        made = super().model_schema(schema)
        made.pop("title", None)
        short = getattr(schema["cls"], "shorthand", None)
        if short is None:
            return made
        about = made.pop("description", "")
        return {"description": about, "anyOf": [made["properties"][short], made]}

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Schema:
        made = super().default_schema(schema)
        return {key: value for key, value in made.items() if key != "default" or value is not None}

    def nullable_schema(self, schema: core_schema.NullableSchema) -> Schema:
        made = super().nullable_schema(schema)
        inner = next((arm for arm in made.get("anyOf", ()) if arm != {"type": "null"}), None)
        if inner is None or not isinstance(inner.get("type"), str):
            return made
        both = {**inner, "type": [inner["type"], "null"]}
        if "const" in both:
            both["enum"] = [both.pop("const")]
        return {**both, "enum": [*both["enum"], None]} if "enum" in both else both

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> Schema:
        made = super().tagged_union_schema(schema)
        told = made.get("discriminator")
        if told is None:
            return made
        key, choices = told["propertyName"], told["mapping"]
        return {
            "type": "object",
            "properties": {key: {"enum": list(choices)}},
            "required": [key],
            "allOf": [when(key, [label], {"$ref": ref}) for label, ref in choices.items()],
        }

    def set_schema(self, schema: core_schema.SetSchema) -> Schema:
        return _may_repeat(super().set_schema(schema))

    def frozenset_schema(self, schema: core_schema.FrozenSetSchema) -> Schema:
        return _may_repeat(super().frozenset_schema(schema))

    def handle_invalid_for_json_schema(self, schema: core_schema.CoreSchema, error_info: str) -> Schema:
        return {}

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        """Nothing: what warns here is a default that JSON cannot write, and it is left out."""

    def generate_inner(self, schema: Any) -> Schema:  # noqa: ANN401 - pydantic has no public name for it
        try:
            return super().generate_inner(schema)
        except PydanticOmit:
            return {}


def _may_repeat(made: Schema) -> Schema:
    made.pop("uniqueItems", None)
    return made


def when(key: str, values: list[str], then: Schema) -> Schema:
    """What holds of a mapping whose `key` has one of these values."""
    one = {"const": values[0]} if len(values) == 1 else one_of(values)
    return {"if": {"type": "object", "properties": {key: one}, "required": [key]}, "then": then}


def one_of(names: list[str]) -> Schema:
    """One of these names, which an editor does not list: as a pattern."""
    return {"type": "string", "pattern": f"^({'|'.join(names)})$"}


def in_part(schema: Schema, defs: dict[str, Schema]) -> Schema:
    """The same schema with no key required, for where `extends` or `override` may provide what is missing.

    What it refers to is copied likewise, into `defs`, under names that end in '.part'.
    """
    made = {key: value for key, value in schema.items() if key != "required"}
    if ref := made.get("$ref"):
        name = f"{ref.removeprefix(DEFS)}{PART}"
        made["$ref"] = f"{DEFS}{name}"
        if name not in defs:
            defs[name] = {}  # a model may hold itself
            defs[name] = in_part(defs[name.removesuffix(PART)], defs)
    if "properties" in made:
        made["properties"] = {name: in_part(inner, defs) for name, inner in made["properties"].items()}
    if "anyOf" in made:
        made["anyOf"] = [in_part(arm, defs) for arm in made["anyOf"]]
    if "allOf" in made:
        made["allOf"] = [{**one, "then": in_part(one["then"], defs)} for one in made["allOf"]]
    return made
