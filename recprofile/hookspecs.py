"""Every hook; nothing else.

Registration hooks return classes or functions, and are called once, when the registry is made. Observer hooks return
None, are called while a run goes on, and cannot change an artifact. An implementation may name fewer arguments than
the hook has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from recprofile.components import (
        Check,
        Encoder,
        Explainer,
        Fuser,
        Preprocessor,
        Recommender,
        Reranker,
        Updater,
    )

hookspec = pluggy.HookspecMarker("recprofile")
hookimpl = pluggy.HookimplMarker("recprofile")


# Registration: components, one hook per verb


@hookspec
def recprofile_preprocessors() -> Sequence[type[Preprocessor[Any]]]:  # type: ignore[empty-body]  # a spec has no body
    """Preprocessor classes this plugin offers."""


@hookspec
def recprofile_encoders() -> Sequence[type[Encoder[Any]]]:  # type: ignore[empty-body]  # a spec has no body
    """Encoder classes this plugin offers."""


@hookspec
def recprofile_fusers() -> Sequence[type[Fuser[Any]]]:  # type: ignore[empty-body]  # a spec has no body
    """Fuser classes this plugin offers."""


@hookspec
def recprofile_recommenders() -> Sequence[type[Recommender[Any]]]:  # type: ignore[empty-body]  # a spec has no body
    """Recommender classes this plugin offers."""


@hookspec
def recprofile_rerankers() -> Sequence[type[Reranker[Any]]]:  # type: ignore[empty-body]  # a spec has no body
    """Reranker classes this plugin offers."""


@hookspec
def recprofile_checks() -> Sequence[type[Check[Any]]]:  # type: ignore[empty-body]  # a spec has no body
    """Check classes this plugin offers."""


@hookspec
def recprofile_explainers() -> Sequence[type[Explainer[Any]]]:  # type: ignore[empty-body]  # a spec has no body
    """Explainer classes this plugin offers."""


@hookspec
def recprofile_updaters() -> Sequence[type[Updater[Any]]]:  # type: ignore[empty-body]  # a spec has no body
    """Updater classes this plugin offers."""


# Registration: the rest


@hookspec
def recprofile_sources() -> Mapping[str, Callable[..., Path]]:  # type: ignore[empty-body]  # a spec has no body
    """Further URI schemes for data and assets: scheme → function from a URI to a local path.

    The engine calls the function when a recipe names such a URI, with the URI and those of these facts that its
    parameters name: `cache`, the folder to fetch below (`recprofile.plugin.Copies` keeps files there); `offline`,
    whether the network is not to be used; `base`, the folder of the recipe; `progress`, a function that is told what is
    done, how much of it, and of how much (None: not known); and `query`, that of the recipe. A function without a
    parameter `query` takes none, and one whose `query` has no default needs it. It raises RunError RP605 when the asset
    cannot be had. Built-in schemes cannot be replaced.
    """


@hookspec
def recprofile_executors() -> Mapping[str, Callable[[Mapping[str, Any]], Any]]:  # type: ignore[empty-body]  # a spec has no body
    """Further values of the recipe's `engine:`: name → function from its options to an Executor.

    Called when a recipe names an engine other than 'local'; see `recprofile.executor` for what an Executor does.
    """


@hookspec
def recprofile_commands() -> Sequence[tuple[str, Callable[..., None]]]:  # type: ignore[empty-body]  # a spec has no body
    """Further commands of the command line: (name, function), the function as typer takes it."""


# Observers of a run


@hookspec
def recprofile_run_started(run: Mapping[str, Any]) -> None:
    """Called once before the first stage. `run`: name, out, seed, device, stages (ids in order)."""


@hookspec
def recprofile_stage_started(stage: Mapping[str, Any]) -> None:
    """Called before a stage runs; not for one taken from the cache. `stage`: id, verb, component, at, of."""


@hookspec
def recprofile_progress(stage: str, done: int, total: int, unit: str) -> None:
    """Called while a stage runs: `done` of `total` units. May come many times a second."""


@hookspec
def recprofile_stage_finished(stage: Mapping[str, Any]) -> None:
    """Called after a stage's artifact is checked and stored.

    `stage`: as for `recprofile_stage_started`, and seconds, peak_mib, cached (True: taken from the cache).
    """


@hookspec
def recprofile_stage_failed(stage: Mapping[str, Any], error: BaseException) -> None:
    """Called when a stage raised, Ctrl-C included; the error goes on to the caller whatever this does."""


@hookspec
def recprofile_metrics(metrics: Mapping[str, Any]) -> None:
    """Called once after evaluation with the contents of metrics.json."""


@hookspec
def recprofile_run_finished(run: Mapping[str, Any]) -> None:
    """Called once after the run folder is written. `run`: as for `recprofile_run_started`, and seconds, passed."""
