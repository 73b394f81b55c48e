"""Whose error it is: what a stage raises gets the stage's place in the recipe, or a note that names it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from recprofile.engine.nodes import Node
from recprofile.errors import Problem, RecprofileError, RunError, Span
from recprofile.plan import Plan
from recprofile.source import Entry

T = TypeVar("T")


def within(node: Node, plan: Plan, do: Callable[[], T]) -> T:
    """Do it; what it raises is ours with a position, or the component's own with a note.

    Raises RunError RP604 in place of MemoryError.
    """
    at = node.stage.at if node.stage else plan.source.at(("data",))
    try:
        return do()
    except RecprofileError as error:
        error.problems = tuple(
            p if p.at else Problem(p.code, p.message, _pointed(p, node, plan) or at, (*p.help, *_of_stage(node)))
            for p in error.problems
        )
        raise
    except MemoryError as error:
        helps = ("use a machine with more memory, or fewer items and users (k-core)", *_of_stage(node))
        raise RunError.of("RP604", f"'{node.id}' ran out of memory", at=at, help=helps) from error
    except Exception as error:
        error.add_note(f"in {node.kind} stage '{node.id}' ({_who(node)}), {at}")
        raise


def _pointed(problem: Problem, node: Node, plan: Plan) -> Span | None:
    """Where a stage's parameters write what a problem is about: a column, a file, or else the first name quoted."""
    if node.stage is None or node.stage.loc is None:
        return None
    entry, depth = plan.source.reach((*node.stage.loc, "with"))
    if depth <= len(node.stage.loc):
        return None
    said = " ".join((problem.message, *problem.help))
    names = [*re.findall("column '(.+?)'", said), *re.findall("'(.+?)'", problem.message)]
    names += re.findall("(?<=at )[^,']+(?=, row)", said)
    return next((at for name in names if (at := _written_at(entry, name))), None)


def _written_at(entry: Entry, text: str) -> Span | None:
    """Where a key or value of a tree reads so, or a path ends so, the first in file order; None where none does."""
    if isinstance(entry.value, dict):
        for name, inner in entry.value.items():
            if text in (name, name.rpartition(".")[2]) and inner.key:
                return inner.key
            if found := _written_at(inner, text):
                return found
    elif isinstance(entry.value, list):
        return next((found for inner in entry.value if (found := _written_at(inner, text))), None)
    is_it = isinstance(entry.value, str) and text in (entry.value, entry.value.rpartition("/")[2])
    return entry.at if is_it else None


def _who(node: Node) -> str:
    if node.stage is None:
        return "recprofile"
    plugin = node.stage.offer.plugin
    return f"{node.stage.offer.pinned}, {plugin.distribution} {plugin.version}"


def _of_stage(node: Node) -> tuple[str, ...]:
    return (f"in {node.kind} stage '{node.id}' ({_who(node)})",) if node.stage else ()
