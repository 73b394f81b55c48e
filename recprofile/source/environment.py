"""`${env:NAME}`: secrets and places that a recipe names and does not hold.

A reference stays unexpanded in the tree, so that no manifest, report or log can echo its value; what opens a file or
a database expands it with `expand_env` at that moment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from recprofile.errors import Problem, RecipeError, quoted
from recprofile.source.tree import Entry

BLOCKS = ("data", "publish", "track")  # the keys of a recipe in which a reference may stand
_REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
_OPENING = re.compile(r"\$\{env:[^}]*\}?")


def expand_env(text: str) -> str:
    """The text with every `${env:NAME}` replaced by the variable's value. Raises RecipeError (RP107) for one not set.

    For use at the moment of use only: the result must not be stored or shown.
    """
    unset = [Problem("RP107", _not_set(name)) for name in _REFERENCE.findall(text) if name not in os.environ]
    if unset:
        raise RecipeError(unset)
    return _REFERENCE.sub(lambda found: os.environ[found[1]], text)


def unexpanded(said: str, text: str) -> str:
    """Words about an expanded text, with the values of its references written as references again."""
    for found in _REFERENCE.finditer(text):
        if value := os.environ.get(found[1]):
            said = said.replace(value, found[0])
    return said


def environment_problems(root: Entry, *, check_set: bool) -> Iterator[Problem]:
    """References in the wrong place, badly written or, with `check_set`, naming a variable that is not set."""
    if isinstance(root.value, dict):
        for name, entry in root.value.items():
            yield from _below(entry, allowed=name in BLOCKS, check_set=check_set)


def _below(entry: Entry, *, allowed: bool, check_set: bool) -> Iterator[Problem]:
    if isinstance(entry.value, dict):
        for name, inner in entry.value.items():
            for found in _OPENING.findall(name):
                yield Problem("RP107", f"{quoted(found)} cannot stand in a key", inner.key or inner.at)
            yield from _below(inner, allowed=allowed, check_set=check_set)
    elif isinstance(entry.value, list):
        for inner in entry.value:
            yield from _below(inner, allowed=allowed, check_set=check_set)
    elif isinstance(entry.value, str):
        for found in _OPENING.findall(entry.value):
            reference = _REFERENCE.fullmatch(found)
            if not allowed:
                yield misplaced(found, entry)
            elif not reference:
                help_line = "a reference is written ${env:NAME}, with letters, digits and '_' in the name"
                yield Problem("RP107", f"{quoted(found)} names no environment variable", entry.at, (help_line,))
            elif check_set and reference[1] not in os.environ:
                yield Problem("RP107", _not_set(reference[1]), entry.at)


def misplaced(found: str, entry: Entry) -> Problem:
    """The problem of a reference where none may stand."""
    return Problem("RP107", f"{quoted(found)} may stand only under 'data', 'publish' and 'track'", entry.at)


def first_reference(text: str) -> str | None:
    """The first thing in a text that begins like a reference."""
    found = _OPENING.search(text)
    return found.group() if found else None


def _not_set(name: str) -> str:
    return f"the environment variable {quoted(name)} is not set"
