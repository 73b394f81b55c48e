"""pydantic's errors as located problems: one for each mistake, with its code, in our words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import core_schema

from recprofile.errors import CODES, SET_FILE, Problem, Span, closest, in_file_order, listed, quoted
from recprofile.shape.model import Model
from recprofile.shape.places import Loc, Place, models_at, place
from recprofile.shape.words import Finding, finding, together
from recprofile.source.tree import Source

_RAISED = ("value_error", "assertion_error")
_PYDANTIC = frozenset((*get_args(core_schema.ErrorType), "path_type"))


def problems_of(
    error: ValidationError, source: Source, prefix: Sequence[str | int], model: type[BaseModel]
) -> list[Problem]:
    """What is wrong with the value at `prefix`, which `model` refused, in file order.

    A misspelt key is one problem, though pydantic also reports the key as missing; a value that fits no branch of a
    union is one, though pydantic reports each branch.
    """
    start = tuple(prefix)
    mistakes = [
        _Mistake(
            one["type"],
            one["input"],
            one.get("ctx", {}),
            one["msg"],
            place(model, one["loc"], source, start),
            one["loc"],
        )
        for one in error.errors(include_url=False)
    ]
    # pydantic counts the entries that it took: a list is not too short because one of its entries is wrong.
    mistakes = [
        one for one in mistakes if one.kind != "too_short" or not any(_is_below(other, one) for other in mistakes)
    ]
    return sort_problems(_Teller(source, start, model).tell(mistakes, 0), source)


def sort_problems(problems: Iterable[Problem], source: Source | None = None) -> list[Problem]:
    """Problems in file order, each once: those of the recipe's own file first, then of its bases, then of --set."""
    return in_file_order(problems, source.files if source else ())


@dataclass(frozen=True)
class _Mistake:
    """One error of pydantic."""

    kind: str
    value: object
    about: Mapping[str, Any]
    said: str  # pydantic's words, or those of a plugin's own validator: only the latter may be shown
    place: Place
    loc: Loc


class _Teller:
    def __init__(self, source: Source, prefix: Loc, model: type[BaseModel]) -> None:
        self.source = source
        self.prefix = prefix
        self.model = model

    def tell(self, mistakes: Sequence[_Mistake], level: int) -> list[Problem]:
        """The problems of mistakes that are `level` unions deep in the same branches."""
        single = [one for one in mistakes if len(one.place.branches) <= level]
        unions: dict[Loc, list[_Mistake]] = {}
        for one in mistakes:
            if len(one.place.branches) > level:
                unions.setdefault(one.place.branches[level][0], []).append(one)
        problems = self._singly(single)
        for group in unions.values():
            problems += self._union(group, level)
        return problems

    def _singly(self, mistakes: Sequence[_Mistake]) -> list[Problem]:
        unknown = [one for one in mistakes if one.kind == "extra_forbidden"]
        missing = {one.place.path: one for one in mistakes if one.kind == "missing"}
        problems: list[Problem] = []
        for one in unknown:
            *above, key = one.place.path
            absent = [str(path[-1]) for path in missing if list(path[:-1]) == above]
            near = closest(str(key), absent)
            if near:
                del missing[(*above, near)]
            problems.append(self._unknown(one, near))
        rest = [one for one in mistakes if one.kind != "extra_forbidden"]
        problems += [self._problem(one) for one in rest if one.kind != "missing" or one.place.path in missing]
        return problems

    def _union(self, mistakes: Sequence[_Mistake], level: int) -> list[Problem]:
        """A value that no branch took: by the branch that it is meant for when that shows, else all as one demand."""
        path = mistakes[0].place.branches[level][0]
        branches: dict[str, list[_Mistake]] = {}
        for one in mistakes:
            branches.setdefault(one.place.branches[level][1], []).append(one)
        meant = [group for group in branches.values() if any(_is_inside(one, path) for one in group)]
        if meant:
            return self.tell(min(meant, key=len), level + 1)
        flat = [one for one in mistakes if len(one.place.branches) == level + 1]
        worded = [one for one in flat if _has_own_words(one)]
        if worded:
            return [self._problem(worded[0])]
        if len(flat) < len(mistakes):  # a union in a branch of this one
            flat = list(mistakes)
        found = together([self._finding(one) for one in flat])
        return [self._found(found, Place(path, (), (), (), None, False))]

    def _problem(self, one: _Mistake) -> Problem:
        if one.kind == "missing":
            return self._missing(one)
        if _has_own_words(one):
            return self._own_words(one)
        if one.kind in ("union_tag_not_found", "union_tag_invalid"):
            return self._tag(one)
        return self._found(self._finding(one), one.place)

    def _finding(self, one: _Mistake) -> Finding:
        node = next(iter(one.place.nodes), {})
        field = one.place.field
        inside = len(one.place.path) > len(self.prefix) and isinstance(one.place.path[-1], int)
        examples = field.examples if field and field.examples and not inside else ()
        found = finding(one.kind, one.value, one.about, node, examples)
        if one.kind == "string_pattern_mismatch" and field and field.description:
            found = replace(found, help=(*found.help, f"{one.place.path[-1]}: {field.description}"))
        models = [form["cls"] for form in one.place.nodes if form["type"] == "model"]
        if found.must == "be a mapping" and any(issubclass(m, Model) and m.shorthand for m in models):
            return replace(found, must="be text or a mapping")
        return found

    def _found(self, found: Finding, where: Place) -> Problem:
        label = self.label(where.path)
        if where.of_key:
            label = f"the key {label}"
        return Problem(
            found.code,
            f"{label} {found.state}, and must {found.must}",
            self.source.at(where.path, key=where.of_key),
            found.help,
        )

    def _missing(self, one: _Mistake) -> Problem:
        *above, key = one.place.path
        parent = f" from {self.label(tuple(above), written=False)}" if above else ""
        name = quoted(key) if isinstance(key, str) else f"entry {key + 1}"
        field = one.place.field
        help_lines = (f"{key}: {field.description}",) if field and field.description else ()
        return Problem("RP202", f"{name} is missing{parent}", self._head(above), help_lines)

    def _head(self, path: Sequence[str | int]) -> Span:
        """Where a mapping that lacks something begins: its key, or else its first line."""
        return self.source.at(path, key=not isinstance(self.source.reach(path)[0].value, str))

    def _unknown(self, one: _Mistake, near: str | None) -> Problem:
        *above, key = one.place.path
        models = models_at(self.model, one.loc[:-1], self.source, self.prefix)
        known = list(dict.fromkeys(name for model in models for name in _known_keys(model)))
        entry, depth = self.source.reach(above)
        written = entry.value if depth == len(above) and isinstance(entry.value, dict) else {}
        at = self.source.at(one.place.path, key=True)
        # With --set a key may well be one that the recipe has already.
        fresh = known if at.file == SET_FILE else [name for name in known if name not in written]
        near = near or closest(str(key), fresh)
        hints = [model.unknown_hint for model in models if issubclass(model, Model) and model.unknown_hint]
        help_lines = [f"did you mean '{near}'?"] if near else hints[:1]
        if known:
            help_lines.append(f"known: {listed(known, most=20)}")
        return Problem("RP201", f"unknown key {quoted(str(key))}", at, tuple(help_lines))

    def _tag(self, one: _Mistake) -> Problem:
        """A mapping whose kind is told by one key: that key is missing, misspelt or has a value that is no choice."""
        key = str(one.about.get("discriminator", "")).strip("'")
        path = (*one.place.path, key)
        value = one.value.get(key) if isinstance(one.value, Mapping) else None
        node = next((form for form in one.place.nodes if form["type"] == "tagged-union"), {})
        found = finding("union_tag_invalid", value, one.about, node, ())
        if one.kind == "union_tag_invalid" or (isinstance(one.value, Mapping) and key in one.value):
            return self._found(found, Place(path, (), (), (), None, False))
        names = [name for name in one.value if closest(str(name), [key])] if isinstance(one.value, Mapping) else []
        if names:
            at = self.source.at((*one.place.path, names[0]), key=True)
            return Problem("RP201", f"unknown key {quoted(names[0])}", at, (f"did you mean '{key}'?",))
        parent = f" from {self.label(one.place.path)}" if one.place.path else ""
        help_lines = (f"{key}: {found.must.removeprefix('be ')}",)
        return Problem("RP202", f"'{key}' is missing{parent}", self._head(one.place.path), help_lines)

    def _own_words(self, one: _Mistake) -> Problem:
        """An error whose words a validator gave: `refusal`, or a ValueError."""
        path = one.place.path
        path = path[: self.source.reach(path)[1]]  # a field that a validator made stands for the mapping it is made of
        key, inner = one.about.get("key"), one.about.get("key") or one.about.get("value")
        at = self.source.at((*path, inner), key=bool(key)) if inner else self.source.at(path)
        if one.kind in CODES:
            return Problem(one.kind, str(one.about.get("message", "")), at, tuple(one.about.get("help", ())))
        words = str(one.about.get("error", "")) if one.kind in _RAISED else one.said
        return Problem("RP204", words or f"{self.label(path)} cannot be used", at)

    def label(self, path: Loc, *, written: bool = True) -> str:
        """What to call a value: its key in quotes, or its place in a list; a value not written goes by what is."""
        if written:
            path = path[: max(self.source.reach(path)[1], len(self.prefix))]
        if not path:
            return "the recipe"
        *above, last = path
        if isinstance(last, str):
            return quoted(last)
        return f"entry {last + 1} of {self.label(tuple(above), written=False)}"


def _known_keys(model: type[BaseModel]) -> tuple[str, ...]:
    return model.known_keys() if issubclass(model, Model) else tuple(model.model_fields)


def _has_own_words(one: _Mistake) -> bool:
    return one.kind in CODES or one.kind in _RAISED or one.kind not in _PYDANTIC


def _is_below(one: _Mistake, other: _Mistake) -> bool:
    depth = len(other.loc)
    return len(one.loc) > depth and one.loc[:depth] == other.loc


def _is_inside(one: _Mistake, path: Loc) -> bool:
    return len(one.place.path) > len(path) or one.kind in ("union_tag_invalid", "union_tag_not_found")
