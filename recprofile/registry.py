"""Finds plugins and names their components.

A distribution offers components through one entry point of the group `recprofile`. The entry point's name is the
namespace: `text` of the entry point `hf` is `hf/text`, and a bare name always means `builtin/…`, so that installing
a plugin never changes what an existing recipe means.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pluggy

from recprofile import hookspecs
from recprofile.components import KINDS, Component, Params, Recommender
from recprofile.errors import Problem, RecipeError, Span, closest, did_you_mean, listed, quoted

GROUP = "recprofile"
BUILTIN = "builtin"
FIRST_PARTY = {
    "hf": "recprofile-hf",
    "surprise": "recprofile-surprise",
    "fairlearn": "recprofile-fairlearn",
    "ray": "recprofile-ray",
    "serve": "recprofile-serve",
    "tracking": "recprofile-tracking",
}
HOOK_OF = {
    "preprocess": "recprofile_preprocessors",
    "encode": "recprofile_encoders",
    "fuse": "recprofile_fusers",
    "recommend": "recprofile_recommenders",
    "rerank": "recprofile_rerankers",
    "check": "recprofile_checks",
    "explain": "recprofile_explainers",
    "update": "recprofile_updaters",
}
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
VERSION = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class Plugin:
    """One entry point: who offers it, what it hooks into, and why it is not usable, if it is not.

    `build` is the version and, for a distribution installed in editable mode, a digest of its sources: what counts in
    cache keys, so that a result made by code that has been edited since is never taken for the edited code's.
    """

    namespace: str
    distribution: str
    version: str
    module: str
    hooks: tuple[str, ...] = ()
    problem: Problem | None = None
    build: str = ""


@dataclass(frozen=True)
class Offer:
    """A component as the registry knows it."""

    namespace: str
    component: type[Component[Any]]
    plugin: Plugin

    @property
    def name(self) -> str:
        """The name a recipe uses: bare for builtin, else namespace/name."""
        own = self.component.name
        return own if self.namespace == BUILTIN else f"{self.namespace}/{own}"

    @property
    def pinned(self) -> str:
        """The name with its version."""
        return f"{self.name}@{self.component.version}"

    @property
    def verb(self) -> str:
        """The verb it serves."""
        return self.component.verb


@dataclass(frozen=True)
class Registry:
    """All plugins and components of this environment; made by `make_registry` and passed down."""

    manager: pluggy.PluginManager
    plugins: tuple[Plugin, ...]
    offers: tuple[Offer, ...]
    _by_name: Mapping[tuple[str, str], Mapping[int, Offer]] = field(default_factory=dict)

    def names(self, verb: str | None = None) -> list[str]:
        """Pinned names of the components of a verb, or of all, sorted."""
        return sorted({offer.pinned for offer in self.offers if verb in (offer.verb, None)})

    def baselines(self) -> list[str]:
        """Names of the builtin recommenders that every recipe is compared with, unless it names others."""
        known = (versions[max(versions)] for (verb, _), versions in self._by_name.items() if verb == "recommend")
        own = (o for o in known if o.namespace == BUILTIN and issubclass(o.component, Recommender))
        return [o.pinned for o in own if getattr(o.component, "is_baseline", False)]

    def find(self, use: str, verb: str, at: Span | None = None) -> Offer:
        """The component that a recipe's `use` names for a verb; the newest version unless one is given.

        Raises RecipeError: RP301 no such component (with the verb that has it, if another has), RP302 its plugin did
        not load, RP304 its namespace is not installed, RP305 no such version.
        """
        name, has_version, version = use.partition("@")
        name = name.removeprefix(f"{BUILTIN}/")
        versions = self._by_name.get((verb, name))
        if versions is None:
            raise RecipeError(self._unknown(name, verb, at))
        if not has_version:
            return versions[max(versions)]
        if not VERSION.fullmatch(version) or int(version) not in versions:
            have = ", ".join(f"{name}@{v}" for v in sorted(versions))
            message = f"no version {quoted(version)} of {quoted(name)}"
            raise RecipeError.of("RP305", message, at=at, help=[f"installed: {have}"])
        return versions[int(version)]

    def find_all(self, use: str) -> list[Offer]:
        """The components that a name means, one for each verb that has it; raises RecipeError as `find` does."""
        name = use.partition("@")[0].removeprefix(f"{BUILTIN}/")
        verbs = [verb for verb in HOOK_OF if (verb, name) in self._by_name]
        if not verbs:
            raise RecipeError(self._unknown(name, None, None))
        found: list[Offer] = []
        problems: list[Problem] = []
        for verb in verbs:
            try:
                found.append(self.find(use, verb))
            except RecipeError as error:
                problems += error.problems
        if not found:
            raise RecipeError(problems[:1])
        return found

    def _unknown(self, name: str, verb: str | None, at: Span | None) -> Problem:
        """What to say of a name that no component has, for one verb or for any."""
        namespace = name.rpartition("/")[0] if "/" in name else BUILTIN
        broken = next((p for p in self.plugins if p.namespace == namespace and p.problem), None)
        if broken is not None and broken.problem is not None:
            told = (f"{broken.distribution} {broken.version}: {broken.problem.message}", *broken.problem.help)
            return Problem("RP302", f"the plugin of {quoted(name)} did not load", at, told)
        if namespace and namespace not in {p.namespace for p in self.plugins}:
            return self._not_installed(name, namespace, at)
        helps: list[str] = []
        elsewhere = sorted(v for v, n in self._by_name if n == name)
        if elsewhere:
            helps.append(f"{quoted(name)} can {' and '.join(elsewhere)}")
        known = [n for v, n in self._by_name if verb in (v, None)]
        near = closest(name, known)
        if near and not elsewhere:
            helps.append(f"did you mean '{near}'?")
        helps.append(f"installed: {listed(self.names(verb), most=40) or 'none'}")
        message = f"no component {quoted(name)}"
        return Problem("RP301", f"{message} can {verb}" if verb else message, at, tuple(helps))

    def _not_installed(self, name: str, namespace: str, at: Span | None) -> Problem:
        if namespace in FIRST_PARTY:
            helps: tuple[str, ...] = (f"install {FIRST_PARTY[namespace]}",)
        else:
            helps = did_you_mean(namespace, [*FIRST_PARTY, *(p.namespace for p in self.plugins)], label="namespaces")
        return Problem("RP304", f"the namespace {quoted(namespace)} of {quoted(name)} is not installed", at, helps)


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
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    plugins: list[Plugin] = []
    offers: list[Offer] = []
    for entry in sorted(unique.values(), key=lambda e: (e.name != BUILTIN, e.name)):
        plugin, offered = _load(manager, entry)
        plugins.append(plugin)
        offers += offered
    by_name: dict[tuple[str, str], dict[int, Offer]] = {}
    for offer in offers:
        by_name.setdefault((offer.verb, offer.name), {})[offer.component.version] = offer
    return Registry(manager, tuple(plugins), tuple(offers), by_name)


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


def _load(manager: pluggy.PluginManager, entry: EntryPoint) -> tuple[Plugin, list[Offer]]:
    distribution, version = _distribution(entry)

    def plugin(problem: Problem | None = None, hooks: tuple[str, ...] = ()) -> Plugin:
        build = "" if problem else f"{version}{_edited(entry)}"
        return Plugin(entry.name, distribution, version, entry.value, hooks, problem, build)

    if not NAME.fullmatch(entry.name):
        message = f"{quoted(entry.name)} is no namespace: small letters, digits and dashes only"
        return plugin(Problem("RP307", message)), []
    try:
        module = entry.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - named edge: a plugin's import may raise anything, and must not stop the rest
        return plugin(_raised(f"importing {entry.value}", error)), []
    twin = manager.get_name(module)
    if twin is not None:
        return plugin(Problem("RP307", f"{entry.value} is the plugin of the namespace '{twin}' already")), []
    try:
        manager.register(module, name=entry.name)
    except pluggy.PluginValidationError as error:
        if manager.get_name(module) is not None:  # before 1.7, pluggy keeps the hooks that came before the wrong one
            manager.unregister(module)
        said = " ".join(str(error).split()).partition("hookimpl definition: ")[2] or str(error)
        return plugin(Problem("RP307", f"a hook does not take what its specification gives: {said}")), []
    callers = manager.get_hookcallers(module) or []
    hooks = tuple(sorted(caller.name for caller in callers))
    problem = next((_misspelt(c.name) for c in callers if not c.has_spec()), None) or _unmarked(module, hooks)
    if problem is None:
        me = plugin(hooks=hooks)
        problem, offers = _collect(manager, module, me)
        if problem is None:
            return me, offers
    manager.unregister(module)
    return plugin(problem, hooks), []


def _raised(what: str, error: BaseException) -> Problem:
    said = " ".join(str(error).split())
    return Problem("RP302", f"{what} raised {type(error).__name__}{': ' if said else ''}{said}")


def _known_hooks() -> list[str]:
    return [name for name in vars(hookspecs) if name.startswith("recprofile_")]


def _edited(entry: EntryPoint) -> str:
    """A digest of the sources of an editable distribution, as '+edit.<digest>'; '' for any other."""
    url = entry.dist.read_text("direct_url.json") if entry.dist else None
    module = sys.modules.get(entry.module.partition(".")[0])
    if not url or not json.loads(url).get("dir_info", {}).get("editable") or not getattr(module, "__file__", None):
        return ""
    folder = Path(str(module.__file__)).parent  # type: ignore[union-attr]  # a module that has a file is one
    total = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        total.update(file.read_bytes())
    return f"+edit.{total.hexdigest()[:12]}"


def _misspelt(hook: str) -> Problem:
    return Problem(
        "RP307", f"there is no hook '{hook}'", help=did_you_mean(hook, _known_hooks(), label="hooks", most=20)
    )


def _unmarked(module: object, hooks: tuple[str, ...]) -> Problem | None:
    """A function that has a hook's name and would never be called, or a plugin without any hook."""
    names = [name for name in _known_hooks() if inspect.isfunction(getattr(module, name, None))]
    lost = next((name for name in names if name not in hooks), None)
    if lost is not None:
        return Problem(
            "RP307", f"'{lost}' is not marked with @hookimpl", help=("from recprofile.plugin import hookimpl",)
        )
    if not hooks:
        return Problem("RP307", "it has no hook", help=did_you_mean("", _known_hooks(), label="hooks", most=20))
    return None


def _collect(manager: pluggy.PluginManager, module: object, me: Plugin) -> tuple[Problem | None, list[Offer]]:
    offers: list[Offer] = []
    for verb, hook in HOOK_OF.items():
        for impl in getattr(manager.hook, hook).get_hookimpls():
            if impl.plugin is not module:
                continue
            try:
                classes = list(impl.function())
            except (Exception, SystemExit) as error:  # noqa: BLE001 - named edge: as for the import above
                return _raised(hook, error), []
            for component in classes:
                problem = _rules(component, verb, hook, offers)
                if problem is not None:
                    return problem, []
                offers.append(Offer(me.namespace, component, me))
    return None, offers


def _rules(component: object, verb: str, hook: str, earlier: list[Offer]) -> Problem | None:
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
