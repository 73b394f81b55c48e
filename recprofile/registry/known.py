"""What is installed, by name: plugins, their components and commands; and what to say of a name that is not there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pluggy

from recprofile.components import Component, Recommender
from recprofile.errors import Problem, RecipeError, Span, closest, did_you_mean, listed, quoted
from recprofile.executor import Executor, LocalExecutor

BUILTIN = "builtin"
FIRST_PARTY = {
    "hf": "recprofile-hf",
    "lightgbm": "recprofile-lightgbm",
    "surprise": "recprofile-surprise",
    "fairlearn": "recprofile-fairlearn",
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
class Command:
    """A further command of the command line, and who offers it."""

    name: str
    function: Callable[..., None]
    plugin: Plugin


@dataclass(frozen=True)
class Registry:
    """All plugins and components of this environment; made by `make_registry` and passed down."""

    manager: pluggy.PluginManager
    plugins: tuple[Plugin, ...]
    offers: tuple[Offer, ...]
    commands: tuple[Command, ...] = ()
    _by_name: Mapping[tuple[str, str], Mapping[int, Offer]] = field(default_factory=dict)

    def names(self, verb: str | None = None) -> list[str]:
        """Pinned names of the components of a verb, or of all, sorted."""
        return sorted({offer.pinned for offer in self.offers if verb in (offer.verb, None)})

    def executors(self) -> dict[str, Callable[[Mapping[str, Any]], Executor]]:
        """What the recipe's `engine` may name: name → function from its options to an Executor."""
        offered: dict[str, Callable[[Mapping[str, Any]], Executor]] = {}
        for one in self.manager.hook.recprofile_executors():
            offered |= one
        return {**offered, "local": lambda _: LocalExecutor()}

    def sources(self) -> dict[str, Callable[..., Path]]:
        """The URI schemes that plugins open; those of builtin cannot be replaced."""
        offered: dict[str, Callable[..., Path]] = {}
        for one in self.manager.hook.recprofile_sources():  # builtin, registered first, comes last
            offered |= one
        return offered

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
            where = () if broken.problem.at is None else (f"at {broken.problem.at}",)
            told = (f"{broken.distribution} {broken.version}: {broken.problem.message}", *where, *broken.problem.help)
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
