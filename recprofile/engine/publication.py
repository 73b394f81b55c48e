"""A finished run handed to a profile store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recprofile.artifacts import Dataset
from recprofile.components import Ranker
from recprofile.dataset import read_ids
from recprofile.engine.nodes import Graph
from recprofile.engine.outputs import last_data
from recprofile.engine.work import empty_profiles
from recprofile.plan import Plan
from recprofile.profiles.address import store_of
from recprofile.profiles.again import Split, split
from recprofile.profiles.publish import Publication, Published, as_published, publish
from recprofile.profiles.revised import revised
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
    out: Path,
    store: str | None,
    warn: Callable[[str, str], None],
    candidates: Path | None,
) -> Published:
    """Put the run in a folder into its store, where that lacks it; `get` gives the result of a node.

    `candidates` is the recipe's file of candidates.
    """
    target = Store(store or store_of(plan, None, out))
    manifest = Run.open(out).manifest
    keys: Mapping[str, str] = manifest["keys"]
    if (there := as_published(target, plan.name, keys)) is not None:
        return there
    stages = Stages.of(plan, registry, lambda text: warn("publish", text))
    data: Dataset = get(last_data(graph))
    done_again = split(plan.of("preprocess"))
    rankers: dict[str, Ranker] = {stage.id: get(stage.id) for stage in stages.rankers}
    made = Publication(
        data,
        get(stages.fuse.id) if stages.fuse else empty_profiles(data),
        {id: get(id) for id in stages.encoders},
        {id: ranker.pack() for id, ranker in rankers.items()},
        keys,
        _provenance(manifest, out),
        _log(graph, done_again, data, get),
        tuple(
            revised(node.id, get(node.data), get(node.id))
            for node in graph.nodes.values()
            if node.kind == "preprocess" and node.stage not in done_again.again
        ),
        None if candidates is None else read_ids(candidates, plan.recipe.lists.candidates),
    )
    return publish(target, stages, made)


def _log(graph: Graph, again: Split, data: Dataset, get: Callable[[str], Any]) -> Dataset:
    """The data as they were before the stages that a store does to events whenever it makes a profile."""
    if again.start is None:
        return data
    kept: Dataset = get(graph.nodes[again.start.id].data)
    users, items = (
        old.ids.is_in(new.ids.implode()).to_numpy()
        for old, new in ((kept.users.ids, data.users.ids), (kept.items.ids, data.items.ids))
    )
    return kept if users.all() and items.all() else kept.keep(users=users, items=items)


def _provenance(manifest: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Where profiles came from: what the run's manifest says, less what is measured."""
    stages = [{name: stage[name] for name in ("id", "kind", "component")} for stage in manifest["stages"]]
    kept = {name: manifest[name] for name in KEPT if name in manifest}
    return {**kept, "stages": stages, "keys": dict(manifest["keys"]), "run": str(out.resolve())}
