"""What `plan` tells: which pieces of work a run would find in the cache."""

from __future__ import annotations

from dataclasses import dataclass

from recprofile.cache import StageCache
from recprofile.engine.files import resolve_files
from recprofile.engine.nodes import DATA, build_graph
from recprofile.engine.settings import Settings
from recprofile.errors import RecprofileError
from recprofile.plan import Plan
from recprofile.registry import Registry


@dataclass(frozen=True)
class Status:
    """What `plan` tells of a stage: whether its result is in the cache; None when an asset must be fetched to know."""

    id: str
    kind: str
    component: str
    reads: tuple[str, ...]
    cached: bool | None


def plan_status(plan: Plan, registry: Registry, settings: Settings) -> list[Status]:
    """Which pieces of work of a Plan are in the cache already. Fetches nothing and runs nothing."""
    cache = StageCache(settings.root, lambda _: None)
    try:
        device = settings.device_of(plan)
        files, assets = resolve_files(plan, registry, cache=settings.root, offline=True)
        known = True
    except RecprofileError:
        device, files, assets, known = "cpu", {}, {}, False
    graph = build_graph(plan, device=device, files=files, assets=assets)
    return [
        Status(
            node.id,
            node.kind,
            node.component,
            tuple(id for ids in (node.reads or {}).values() for id in ids) or ((node.data,) if node.id != DATA else ()),
            cache.has(node.key) if known else None,
        )
        for node in graph.nodes.values()
    ]
