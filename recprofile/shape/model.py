"""The base of every model that a recipe fills: strict, frozen, and without unknown keys."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

# YAML has one kind of list, and names and paths are text: these take them where strict mode wants the Python type.
_LENIENT = frozenset({"tuple", "set", "frozenset", "enum", "lax-or-strict"})
_NO_SCHEMA_BELOW = frozenset({"default", "metadata", "config", "expected", "serialization", "cls"})


def _relax(node: object, handler: GetCoreSchemaHandler) -> None:
    """Make a model's schema take what YAML can write, and nothing that only compares equal, in place."""
    if isinstance(node, (list, tuple)):
        for inner in node:
            _relax(inner, handler)
    if not isinstance(node, dict):
        return
    kind = node.get("type")
    if kind in _LENIENT:
        node.setdefault("strict", False)
    if kind == "definition-ref":
        target = handler.resolve_ref_schema(core_schema.definition_reference_schema(node["schema_ref"]))
        if target["type"] == "enum":
            _relax(target, handler)
    if kind == "literal" and not all(isinstance(choice, str) for choice in node["expected"]):
        literal = dict(node)
        node.clear()
        node.update(core_schema.no_info_before_validator_function(_same_type(literal["expected"]), literal))
        return
    for name, inner in node.items():
        if name not in _NO_SCHEMA_BELOW:
            _relax(inner, handler)


def _same_type(choices: Sequence[object]) -> Callable[[object], object]:
    """A check before a Literal: pydantic takes `true` and 1.0 for Literal[1], because they are equal."""
    types = {type(choice) for choice in choices}

    def check(value: object) -> object:
        if type(value) not in types:
            raise PydanticKnownError("literal_error", {"expected": " or ".join(map(repr, choices))})
        return value

    return check


class Model(BaseModel):
    """A mapping of the recipe language, or the parameters of a component.

    Unknown keys are refused; `true` is no number, a number is no text, text is no number; a whole number is taken where
    a number is asked for, and a list for a tuple or set. `nan` and infinities are refused unless a field allows them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())

    shorthand: ClassVar[str | None] = None
    """The key that bare text in place of the mapping stands for."""
    unknown_hint: ClassVar[str | None] = None
    """A help line for a key that resembles no known one."""

    @model_validator(mode="before")
    @classmethod
    def _from_shorthand(cls, data: object) -> object:
        return {cls.shorthand: data} if cls.shorthand and isinstance(data, str) else data

    @classmethod
    def known_keys(cls) -> tuple[str, ...]:
        """The keys a recipe may write here, in order."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())

    @classmethod
    def written_as(cls, key: str, keys: Collection[str]) -> str:
        """Which of the `keys` that a recipe has here gave the field `key`; the field's own name unless overridden."""
        return key

    def to_data(self) -> dict[str, Any]:
        """Plain data in the recipe's own form, which gives an equal model when validated again.

        Defaults are written out, but for those that are null.
        """
        data: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value is not None or field.is_required() or field.default is not None:
                data[field.alias or name] = plain(value)
        return data

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _relax(schema, handler)
        return schema


def plain(value: object) -> object:
    """A field's value as a recipe writes it."""
    if isinstance(value, Model):
        return value.to_data()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((plain(inner) for inner in value), key=repr)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(inner) for inner in value]
    return value if isinstance(value, (str, int, float, type(None))) else _text(value)


def refusal(
    code: str, message: str, *, help: Sequence[str] = (), key: str | None = None, value: str | None = None
) -> PydanticCustomError:
    """What a validator raises to refuse with a code and words of its own.

    Shown at the value that is validated, or in it at the key `key`, or at the value of the key `value`.
    """
    about = {"message": message, "help": tuple(help), "key": key, "value": value}
    return PydanticCustomError(code, "{message}", about)


def _text(value: object) -> str:
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
