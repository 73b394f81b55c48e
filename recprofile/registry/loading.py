"""Plugins from the entry points of this environment: found, imported, checked; one that breaks leaves the others."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pluggy

from recprofile import hookspecs
from recprofile.errors import Problem, RecipeError, quoted
from recprofile.registry.known import BUILTIN, HOOK_OF, Command, Offer, Plugin, Registry
from recprofile.registry.places import hook_at, mismatch_at, raised_at
from recprofile.registry.rules import NAME, component_problem, misspelt, unmarked
from recprofile.registry.trace import make_manager

GROUP = "recprofile"


def make_registry(found: Iterable[EntryPoint] | None = None) -> Registry:
    """Load every plugin of this environment, or the entry points given.

    A plugin that cannot be loaded is kept with its problem, and the others load. Raises RecipeError RP303 when two
    distributions claim one namespace.
    """
    # The same distribution can be seen twice, as an installed one and as a folder on sys.path.
    unique = {
        (e.name, e.value, _distribution(e)[0]): e for e in (entry_points(group=GROUP) if found is None else found)
    }
    _refuse_clashes(unique)
    manager = make_manager(GROUP)
    manager.add_hookspecs(hookspecs)
    plugins: list[Plugin] = []
    offers: list[Offer] = []
    commands: list[Command] = []
    for entry in sorted(unique.values(), key=lambda e: (e.name != BUILTIN, e.name)):
        plugin, offered, further = _load(manager, entry)
        plugins.append(plugin)
        offers += offered
        commands += further
    by_name: dict[tuple[str, str], dict[int, Offer]] = {}
    for offer in offers:
        by_name.setdefault((offer.verb, offer.name), {})[offer.component.version] = offer
    return Registry(manager, tuple(plugins), tuple(offers), tuple(commands), by_name)


def _distribution(entry: EntryPoint) -> tuple[str, str]:
    """Name, in its one canonical spelling, and version of who offers an entry point."""
    if entry.dist is None:
        return "unknown", "0"
    return re.sub(r"[-_.]+", "-", entry.dist.name or "unknown").lower(), entry.dist.version or "0"


def _refuse_clashes(unique: Mapping[tuple[str, str, str], EntryPoint]) -> None:
    # pluggy keeps one of two entry points of the same name and says nothing, so they are counted before loading.
    claims: dict[str, list[EntryPoint]] = {}
    for entry in unique.values():
        claims.setdefault(entry.name, []).append(entry)
    problems = []
    for namespace, entries in sorted(claims.items()):
        if len(entries) > 1:
            named = sorted(f"{_distribution(e)[0]} {_distribution(e)[1]} ({e.value})" for e in entries)
            message = f"the namespace {quoted(namespace)} is claimed by {' and '.join(named)}"
            helps = ("uninstall the others",) if namespace == BUILTIN else ("uninstall one of them",)
            problems.append(Problem("RP303", message, help=helps))
    if problems:
        raise RecipeError(problems)


def _load(manager: pluggy.PluginManager, entry: EntryPoint) -> tuple[Plugin, list[Offer], list[Command]]:
    distribution, version = _distribution(entry)

    def plugin(problem: Problem | None = None, hooks: tuple[str, ...] = ()) -> Plugin:
        build = "" if problem else f"{version}{_edited(entry)}"
        return Plugin(entry.name, distribution, version, entry.value, hooks, problem, build)

    if not NAME.fullmatch(entry.name):
        message = f"{quoted(entry.name)} is no namespace: small letters, digits and dashes only"
        return plugin(Problem("RP307", message)), [], []
    try:
        module = entry.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - named edge: a plugin's import may raise anything, and must not stop the rest
        return plugin(_raised(f"importing {entry.value}", error)), [], []
    twin = manager.get_name(module)
    if twin is not None:
        return plugin(Problem("RP307", f"{entry.value} is the plugin of the namespace '{twin}' already")), [], []
    try:
        manager.register(module, name=entry.name)
    except pluggy.PluginValidationError as error:
        if manager.get_name(module) is not None:  # before 1.7, pluggy keeps the hooks that came before the wrong one
            manager.unregister(module)
        said = " ".join(str(error).split()).partition("hookimpl definition: ")[2] or str(error)
        message = f"a hook does not take what its specification gives: {said}"
        return plugin(Problem("RP307", message, mismatch_at(module, error))), [], []
    callers = manager.get_hookcallers(module) or []
    hooks = tuple(sorted(caller.name for caller in callers))
    wrong = next((c.name for c in callers if not c.has_spec()), None)
    problem = unmarked(module, hooks) if wrong is None else replace(misspelt(wrong), at=hook_at(module, wrong))
    if problem is None:
        me = plugin(hooks=hooks)
        problem, offers = _components(manager, module, me)
        if problem is None:
            problem, commands = _commands(manager, module, me)
        if problem is None:
            return me, offers, commands
    manager.unregister(module)
    return plugin(problem, hooks), [], []


def _raised(what: str, error: BaseException) -> Problem:
    said = " ".join(str(error).split())
    return Problem("RP302", f"{what} raised {type(error).__name__}{': ' if said else ''}{said}", raised_at(error))


def _components(manager: pluggy.PluginManager, module: object, me: Plugin) -> tuple[Problem | None, list[Offer]]:
    offers: list[Offer] = []
    for verb, hook in HOOK_OF.items():
        problem, classes = _given(manager, module, hook)
        for component in classes:
            problem = problem or component_problem(component, verb, hook, offers)
            if problem is None:
                offers.append(Offer(me.namespace, component, me))
        if problem is not None:
            return replace(problem, at=problem.at or hook_at(module, hook)), []
    return None, offers


def _commands(manager: pluggy.PluginManager, module: object, me: Plugin) -> tuple[Problem | None, list[Command]]:
    problem, given = _given(manager, module, "recprofile_commands")
    commands: list[Command] = []
    for one in given:
        match one:
            case (str(name), function) if NAME.fullmatch(name) and callable(function):
                commands.append(Command(name, function, me))
            case _:
                message = f"{one!r} of recprofile_commands is no pair of a name and a function"
                return Problem("RP307", message, hook_at(module, "recprofile_commands")), []
    return problem, commands


def _given(manager: pluggy.PluginManager, module: object, hook: str) -> tuple[Problem | None, list[Any]]:
    """All that one plugin gives to a hook that gives lists."""
    for impl in getattr(manager.hook, hook).get_hookimpls():
        if impl.plugin is module:
            try:
                return None, list(impl.function())
            except (Exception, SystemExit) as error:  # noqa: BLE001 - named edge: as for the import above
                return _raised(hook, error), []
    return None, []


def _edited(entry: EntryPoint) -> str:
    """A digest of the sources of an editable distribution, as '+edit.<digest>'; '' for any other."""
    url = entry.dist.read_text("direct_url.json") if entry.dist else None
    module = sys.modules.get(entry.module.partition(".")[0])
    if not url or not json.loads(url).get("dir_info", {}).get("editable") or not getattr(module, "__file__", None):
        return ""
    own = Path(str(module.__file__))  # type: ignore[union-attr]  # a module that has a file is one
    total = hashlib.sha256()
    # A single module may lie beside anything, a virtual environment included: then it is the one file.
    for file in sorted(own.parent.rglob("*.py")) if hasattr(module, "__path__") else [own]:
        total.update(file.read_bytes())
    return f"+edit.{total.hexdigest()[:12]}"
