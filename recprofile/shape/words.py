"""Values and demands in the user's words: text, a whole number, a number, true or false, a list, a mapping, nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any

from recprofile.errors import closest, listed, quoted
from recprofile.source.compose import core_scalar

Node = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """A code, what a value is ('is 0'), what it must be ('be at least 1'), and what helps."""

    code: str
    state: str
    must: str
    help: tuple[str, ...] = ()


# pydantic's type errors
_TYPES: dict[str, str] = {
    "string_type": "text",
    "string_sub_type": "text",
    "string_unicode": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "named_tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "deque_type": "a list",
    "iterable_type": "a list",
    "dict_type": "a mapping",
    "frozen_dict_type": "a mapping",
    "ordered_dict_type": "a mapping",
    "counter_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "dataclass_exact_type": "a mapping",
    "none_required": "nothing",
    "path_type": "a path",
    "bytes_type": "text",
    "url_type": "a URL",
    "uuid_type": "a UUID",
    "decimal_type": "a number",
    "fraction_type": "a number",
    "complex_type": "a number",
    "date_type": "a date",
    "time_type": "a time of day",
    "datetime_type": "a date and time",
    "time_delta_type": "a length of time",
}
_LISTS = ("list_type", "tuple_type", "set_type", "frozen_set_type")
_RANGES = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
_FORMS = {
    "url": "a URL",
    "uuid": "a UUID",
    "decimal": "a number",
    "fraction": "a number",
    "complex": "a number",
    "date": "a date",
    "datetime": "a date and time",
    "time": "a time of day",
    "timezone": "a date and time",
}
_YES_NO = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def shown(value: object) -> str:
    """A value as an error shows it: text in quotes, numbers as written, containers by kind."""
    if isinstance(value, str):
        return quoted(value) if value else "empty"
    return _plain_kind(value)


def kind_of(value: object) -> str:
    """What a value is where its kind is wrong: text is not shown, the caret points at it."""
    return "text" if isinstance(value, str) else _plain_kind(value)


def _plain_kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinity" if value > 0 else "minus infinity"
    if isinstance(value, (int, float)):
        return quoted(repr(value))[1:-1]
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, Iterable) else "something else"


def finding(kind: str, value: object, about: Mapping[str, Any], node: Node, examples: Sequence[object]) -> Finding:
    """What pydantic's error `kind` means for a value, given its context, the node of the schema, and the examples."""
    if kind in _TYPES:
        return Finding("RP203", f"is {kind_of(value)}", f"be {_TYPES[kind]}", _type_help(kind, value))
    if kind in _RANGES:
        return Finding("RP204", f"is {shown(value)}", f"be {bounds({**node, **about})}")
    if kind in _SPECIAL:
        return _SPECIAL[kind](value, about, node, examples)
    form = next((words for name, words in _FORMS.items() if kind.startswith(f"{name}_")), None)
    return Finding("RP204", f"is {shown(value)}", f"be {form}" if form else "be another value")


def bounds(node: Node) -> str:
    """The range of a number: 'from 1 to 10', 'at least 1', 'more than 0 and less than 1'."""
    if "ge" in node and "le" in node:
        return f"from {_number(node['ge'])} to {_number(node['le'])}"
    words = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
    return " and ".join(f"{word} {_number(node[name])}" for name, word in words.items() if node.get(name) is not None)


def _number(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)


def together(findings: Sequence[Finding]) -> Finding:
    """The branches of a union as one demand: 'be a whole number or 'auto''."""
    fitting = [one for one in findings if one.must.startswith("have ")]  # the right kind of value, of the wrong length
    if fitting:
        return fitting[0]
    musts = list(dict.fromkeys(one.must.removeprefix("be ") for one in findings))
    if "a number" in musts and "a whole number" in musts:
        musts.remove("a whole number")
    choices = [one for one in musts if one.startswith("one of ")]
    musts = [one for one in musts if one not in choices] + choices  # a list of choices reads best at the end
    best = next((one for one in findings if one.code != "RP203"), findings[0])
    helps = tuple(dict.fromkeys(line for one in findings for line in one.help))
    code = "RP203" if all(one.code == "RP203" for one in findings) else best.code
    return Finding(code, best.state, f"be {' or '.join(musts)}", helps)


def _type_help(kind: str, value: object) -> tuple[str, ...]:
    wanted = _TYPES[kind]
    if isinstance(value, str):
        if kind in _LISTS and value:
            return (f"a list of one is written [{quoted(value)[1:-1]}]",)
        if wanted == "true or false" and value.lower() in _YES_NO:
            return (f"{quoted(value)} is text; write {_YES_NO[value.lower()]}",)
        if wanted in ("a whole number", "a number", "true or false") and _reads_as(value, wanted):
            return (f"write it without quotes: {value}",)
    elif wanted == "text" and isinstance(value, (bool, int, float)):
        return (f"write it in quotes: '{_plain_kind(value)}'",) if math.isfinite(value) else ()
    return ()


def _reads_as(text: str, wanted: str) -> bool:
    try:
        value = core_scalar(text)
    except ValueError:
        return False
    if isinstance(value, bool):
        return wanted == "true or false"
    return isinstance(value, int) or (isinstance(value, float) and wanted == "a number")


def _choices(value: object, choices: Sequence[object]) -> Finding:
    names = [choice if isinstance(choice, str) else shown(choice) for choice in choices]
    must = (
        f"be one of {listed(names)}" if len(names) > 1 else f"be {shown(choices[0])}" if names else "be another value"
    )
    near = closest(value, names) if isinstance(value, str) else None
    return Finding("RP204", f"is {shown(value)}", must, (f"did you mean '{near}'?",) if near else ())


def _literal(value: object, about: Node, node: Node, _: Sequence[object]) -> Finding:
    return _choices(value, node.get("expected") or _quoted_in(about.get("expected")))


def _enum(value: object, about: Node, node: Node, _: Sequence[object]) -> Finding:
    members = [member.value for member in node.get("members", ())]
    return _choices(value, members or _quoted_in(about.get("expected")))


def _tag(value: object, about: Node, node: Node, _: Sequence[object]) -> Finding:
    return _choices(value, tuple(node.get("choices", ())) or _quoted_in(about.get("expected_tags")))


def _quoted_in(text: object) -> list[str]:
    """The choices in pydantic's own list, "'a', 'b' or 'c'"."""
    return [part.strip().strip("'") for part in str(text or "").replace(" or ", ", ").split(",") if part.strip()]


def _pattern(value: object, about: Node, node: Node, examples: Sequence[object]) -> Finding:
    if not examples:
        pattern = about.get("pattern") or node.get("pattern", "")
        return Finding("RP204", f"is {shown(value)}", f"fit the pattern {pattern}")
    names = [str(example) for example in examples]
    near = closest(value, names) if isinstance(value, str) else None
    help_lines = (f"did you mean '{near}'?",) if near else ()
    *some, last = [f"'{name}'" for name in names]
    looks = f"{', '.join(some)} or {last}" if some else last
    return Finding("RP204", f"is {shown(value)}", f"look like {looks}", help_lines)


def _length(noun: str, plural: str) -> Callable[[object, Node, Node, Sequence[object]], Finding]:
    def say(value: object, about: Node, node: Node, _: Sequence[object]) -> Finding:
        fewest, most = about.get("min_length"), about.get("max_length")
        limit = fewest if fewest is not None else most
        count = about.get("actual_length")
        if count is None and isinstance(value, Sized):
            count = len(value)
        must = f"have {'at least' if fewest is not None else 'at most'} {limit} {noun if limit == 1 else plural}"
        state = "is empty" if count == 0 else f"has {count} {noun if count == 1 else plural}"
        return Finding("RP204", state, must)

    return say


def _finite(value: object, *_: object) -> Finding:
    return Finding("RP204", f"is {shown(value)}", "be a finite number")


def _multiple(value: object, about: Node, *_: object) -> Finding:
    return Finding("RP204", f"is {shown(value)}", f"be a multiple of {about.get('multiple_of')}")


def _ascii(value: object, *_: object) -> Finding:
    return Finding("RP204", f"is {shown(value)}", "have ASCII characters only")


_SPECIAL: dict[str, Callable[[object, Node, Node, Sequence[object]], Finding]] = {
    "literal_error": _literal,
    "enum": _enum,
    "union_tag_invalid": _tag,
    "string_pattern_mismatch": _pattern,
    "string_too_short": _length("character", "characters"),
    "string_too_long": _length("character", "characters"),
    "bytes_too_short": _length("character", "characters"),
    "bytes_too_long": _length("character", "characters"),
    "too_short": _length("entry", "entries"),
    "too_long": _length("entry", "entries"),
    "finite_number": _finite,
    "multiple_of": _multiple,
    "string_not_ascii": _ascii,
}
