"""Every call of a hook on standard error, where the environment says RECPROFILE_TRACE=1.

    trace: hf recprofile_encoders() → [Text] in 0.0 ms
    trace: terminal recprofile_stage_started(stage={'id': 'plot', …}) → None in 0.1 ms

One line per plugin and call: the plugin's namespace, the hook with the arguments that the plugin takes, what it gave or
raised, and how long it took. Values are cut to `MOST` characters.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from reprlib import Repr
from time import perf_counter
from typing import Any

import pluggy

from recprofile.errors import printable

VARIABLE = "RECPROFILE_TRACE"
MOST = 120


def make_manager(project: str) -> pluggy.PluginManager:
    """A plugin manager, which tells each call of a hook where the environment asks for it."""
    asked = os.environ.get(VARIABLE, "") not in ("", "0")
    return TracingManager(project) if asked else pluggy.PluginManager(project)


class TracingManager(pluggy.PluginManager):
    """A plugin manager that tells each call of a hook, plugin by plugin."""

    # pluggy's own monitoring tells a call as a whole; which plugin gave what, and how long it took, it cannot say.
    def register(self, plugin: Any, name: str | None = None) -> str | None:  # noqa: ANN401 - anything can be a plugin
        """Register a plugin whose hooks are told from then on."""
        given = super().register(plugin, name)
        for caller in self.get_hookcallers(plugin) or ():
            for implementation in caller.get_hookimpls():
                if implementation.plugin is plugin:
                    told = f"{implementation.plugin_name} {caller.name}"
                    traced = _told(told, implementation.function, implementation.argnames)
                    implementation.function = traced  # type: ignore[misc]  # final for plugins, not for their manager
        return given


def _told(what: str, function: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    @wraps(function)
    def traced(*arguments: object) -> object:
        takes = ", ".join(f"{name}={short(value)}" for name, value in zip(names, arguments, strict=False))
        started = perf_counter()
        try:
            given = function(*arguments)
        except BaseException as error:
            _tell(f"{what}({takes}) raised {type(error).__name__}: {_cut(str(error))}", started)
            raise
        _tell(f"{what}({takes}) → {short(given)}", started)
        return given

    return traced


def _tell(line: str, started: float) -> None:
    milliseconds = (perf_counter() - started) * 1000
    sys.stderr.write(f"trace: {printable(line)} in {milliseconds:.1f} ms\n")


class _Short(Repr):
    """Few entries of anything, classes by their name, and nothing of a value that might be large."""

    def __init__(self) -> None:
        super().__init__()
        self.maxdict = self.maxlist = self.maxtuple = 4
        self.maxstring = self.maxother = 60

    def repr_type(self, one: type, _level: int) -> str:
        return one.__qualname__

    repr_ABCMeta = repr_type  # noqa: N815 - reprlib looks a method up by the name of the value's type

    def repr_function(self, one: Callable[..., Any], _level: int) -> str:
        return getattr(one, "__qualname__", "function")


_SHORT = _Short()


def short(value: object) -> str:
    """A value in at most `MOST` characters."""
    return _cut(_SHORT.repr(value))


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MOST else line[: MOST - 1] + "…"
