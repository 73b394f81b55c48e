"""Markdown from docstrings, models and values."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from recprofile.cli.look import _type as type_in_words
from recprofile.cli.look import _value as value_in_words

_CODE = re.compile(r"(`[^`\n]+`)")


def escaped(text: str) -> str:
    """Prose with nothing that Markdown takes for more, outside of `code`."""
    parts = _CODE.split(text)
    # Python-Markdown knows no escape of '<'.
    return "".join(p if n % 2 else re.sub(r"([*_\\])", r"\\\1", p).replace("<", "&lt;") for n, p in enumerate(parts))


def prose(docstring: str | None) -> str:
    """A docstring as Markdown: paragraphs flow, indented ones become blocks of text."""
    parts: list[str] = []
    for part in inspect.cleandoc(docstring or "").split("\n\n"):
        if part.startswith(" "):
            inside = "\n".join(line[4:] if line.startswith("    ") else line.lstrip() for line in part.splitlines())
            parts.append(f"```text\n{inside}\n```")
        else:
            parts.append(escaped(part))
    return "\n\n".join(parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown already."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, rows)])


def parameters(model: type[BaseModel], *, anchors: Mapping[str, str] | None = None) -> str:
    """A model's fields as a table: key, what it takes, default, what it is; `anchors` link models to their sections."""
    schema = model.model_json_schema()
    rows = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        rows.append(
            (
                f"`{key}`",
                _takes(schema["properties"][key], schema, anchors or {}),
                _default(field),
                escaped(field.description or ""),
            )
        )
    return table(("key", "takes", "default", "what it is"), rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "–"
    if isinstance(value, BaseModel):
        return "as below"
    return f"`{value_in_words(value)}`"


def _takes(schema: Mapping[str, Any], whole: Mapping[str, Any], anchors: Mapping[str, str]) -> str:
    """A JSON Schema in a few words, with links where a model has a section of its own."""
    models = _models(schema)
    linked = [f"[{anchors[model]}](#{anchors[model]})" for model in models if model in anchors]
    if linked:
        return " or ".join(dict.fromkeys(linked))
    return escaped(type_in_words(schema, whole.get("$defs", {})))


def _models(schema: object) -> list[str]:
    """Names of the models that a schema refers to."""
    if isinstance(schema, dict):
        own = [schema["$ref"].rpartition("/")[2]] if "$ref" in schema else []
        return own + [name for key, inner in schema.items() if key != "discriminator" for name in _models(inner)]
    if isinstance(schema, list):
        return [name for inner in schema for name in _models(inner)]
    return []
