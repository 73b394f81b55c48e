"""A finished run handed to a profile store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recprofile.artifacts import Dataset
from recprofile.components import Ranker
from recprofile.engine.nodes import Graph
from recprofile.engine.outputs import last_data
from recprofile.engine.work import empty_profiles
from recprofile.plan import Plan
from recprofile.profiles.address import store_of
from recprofile.profiles.publish import Publication, Published, as_published, publish
from recprofile.profiles.stages import Stages
from recprofile.profiles.store import Store
from recprofile.registry import Registry
from recprofile.runs import Run

KEPT = ("recprofile", "command", "recipe_file", "recipe", "seed", "device", "python", "started", "plugins",
        "libraries", "files", "assets")  # fmt: skip


def publish_run(
    plan: Plan,
    registry: Registry,
    graph: Graph,
    get: Callable[[str], Any],
    *,
    keys: Mapping[str, str],
    out: Path,
    store: str | None,
    warn: Callable[[str, str], None],
) -> Published:
    """Put the run in a folder into its store, where that lacks it; `get` gives the result of a node."""
    target = Store(store or store_of(plan, None, out))
    if (there := as_published(target, plan.name, keys)) is not None:
        return there
    stages = Stages.of(plan, registry, lambda text: warn("publish", text))
    data: Dataset = get(last_data(graph))
    ranker: Ranker | None = get(plan.final.id) if plan.final and stages.recommender else None
    made = Publication(
        data,
        get(stages.fuse.id) if stages.fuse else empty_profiles(data),
        {id: get(id) for id in stages.encoders},
        ranker.pack() if ranker is not None else None,
        keys,
        _provenance(out, keys),
    )
    return publish(target, stages, made)


def _provenance(out: Path, keys: Mapping[str, str]) -> dict[str, Any]:
    """Where profiles came from: what the run's manifest says, less what is measured."""
    manifest = Run.open(out).manifest
    stages = [{name: stage[name] for name in ("id", "kind", "component")} for stage in manifest["stages"]]
    kept = {name: manifest[name] for name in KEPT if name in manifest}
    return {**kept, "stages": stages, "keys": dict(keys), "run": str(out.resolve())}
