"""The rules that a plugin must keep: hooks that there are, and component classes that can be used."""

from __future__ import annotations

import inspect
import re

from recprofile import hookspecs
from recprofile.components import KINDS, Params
from recprofile.errors import Problem, did_you_mean
from recprofile.registry.known import Offer
from recprofile.registry.places import hook_at

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")  # of namespaces, components and commands


def known_hooks() -> list[str]:
    """Names of all hooks."""
    return [name for name in vars(hookspecs) if name.startswith("recprofile_")]


def misspelt(hook: str) -> Problem:
    """What to say of a hook that there is not."""
    return Problem(
        "RP307", f"there is no hook '{hook}'", help=did_you_mean(hook, known_hooks(), label="hooks", most=20)
    )


def unmarked(module: object, hooks: tuple[str, ...]) -> Problem | None:
    """A function that has a hook's name and would never be called, or a plugin without any hook."""
    names = [name for name in known_hooks() if inspect.isfunction(getattr(module, name, None))]
    lost = next((name for name in names if name not in hooks), None)
    if lost is not None:
        message, helps = f"'{lost}' is not marked with @hookimpl", ("from recprofile.plugin import hookimpl",)
        return Problem("RP307", message, hook_at(module, lost), helps)
    if not hooks:
        return Problem("RP307", "it has no hook", help=did_you_mean("", known_hooks(), label="hooks", most=20))
    return None


def component_problem(component: object, verb: str, hook: str, earlier: list[Offer]) -> Problem | None:
    """What a class breaks of the registry's rules, or None."""
    shown = getattr(component, "__qualname__", repr(component))
    if not (isinstance(component, type) and issubclass(component, KINDS[verb])):
        return Problem("RP307", f"{shown} of {hook} is no {KINDS[verb].__name__}")
    # Nothing has looked at these yet: a stranger's class may hold anything.
    name: object = component.name
    version: object = component.version
    model: object = component.params_type
    wrong = None
    if component.verb != verb:
        wrong = f"has the verb {component.verb!r}"
    elif lacking := getattr(component, "__abstractmethods__", None):
        wrong = f"lacks {', '.join(sorted(lacking))}"
    elif not name:
        wrong = "has no name"
    elif not (isinstance(name, str) and NAME.fullmatch(name)):
        wrong = f"has the name {name!r}: small letters, digits and dashes only"
    elif type(version) is not int or version < 1:
        wrong = f"has the version {version!r}, and it must be a whole number from 1"
    elif not (isinstance(model, type) and issubclass(model, Params)):
        wrong = "names no Params model as its type argument"
    elif any((o.verb, o.component.name, o.component.version) == (verb, name, version) for o in earlier):
        wrong = f"offers '{name}@{version}' a second time"
    return Problem("RP307", f"{shown} of {hook} {wrong}") if wrong else None
