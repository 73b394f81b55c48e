"""What differs between two plans or runs, and what that means for results, as plain values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recprofile.engine.nodes import Graph
    from recprofile.plan import Plan
    from recprofile.registry import Registry
    from recprofile.runs import Run

HOMES = ("out", "name", "recipe")  # where and under which name results lie: no difference in what is computed
RECIPES = (".yaml", ".yml")


@dataclass(frozen=True)
class Side:
    """One of the two: its plan, and, where it is a run, what the run noted of itself."""

    name: str
    plan: Plan
    graph: Graph
    run: Run | None
    keys: Mapping[str, str] | None  # None: an asset or file is not here, so they cannot be known
    why: str = ""
    files: Mapping[str, str] = field(default_factory=dict)  # fingerprint by name


def comparison(a: Side, b: Side, registry: Registry) -> dict[str, Any]:
    """All differences, as plain values; each is {a: …, b: …}, and null stands for what a side has not."""
    stages = _stages(a, b)
    settings = _differences(_flat(_settings(a)), _flat(_settings(b)))
    contents = [name for name in a.files.keys() & b.files.keys() if a.files[name] != b.files[name]]
    found = {
        "a": a.name,
        "b": b.name,
        "stages": stages,
        "settings": settings,
        "contents": sorted(contents),
        "versions": _differences(_versions(a, b, registry), _versions(b, a, registry)),
        "results": _results(a, b, stages, elsewhere=bool(settings or contents)),
    }
    alike = not (settings or contents or found["versions"] or any(stages.values()))
    return {**found, "alike": alike}


def side_of(given: Path, registry: Registry) -> Side:
    """A recipe or a run by its path. Raises RecipeError, or RunError RP607 where there is no run."""
    from recprofile.engine import Settings
    from recprofile.engine.files import resolve_files
    from recprofile.engine.nodes import build_graph
    from recprofile.errors import RecprofileError
    from recprofile.plan import make_plan
    from recprofile.runs import Run
    from recprofile.source import read_source

    run = None if given.suffix in RECIPES else Run.open(given)
    plan = make_plan(
        read_source(given if run is None else given / "recipe.yaml", check_env=False, go_on=True), registry
    )
    settings = Settings()
    if run is not None:
        graph = build_graph(plan, device="cpu", files={}, assets={})  # for what reads what; the keys are the run's own
        files = {name: file["fingerprint"] for name, file in run.manifest.get("files", {}).items()}
        return Side(str(given), plan, graph, run, run.manifest.get("keys"), files=files)
    try:
        device = settings.device_of(plan)
        files_here, assets = resolve_files(plan, registry, cache=settings.root, offline=True)
    except RecprofileError as error:
        graph = build_graph(plan, device="cpu", files={}, assets={})
        return Side(str(given), plan, graph, None, None, why=error.problems[0].message)
    graph = build_graph(plan, device=device, files=files_here, assets=assets)
    fingerprints = {name: file.fingerprint for name, file in files_here.items()}
    return Side(str(given), plan, graph, None, graph.keys, files=fingerprints)


def _placed(plan: Plan, uri: str, loc: tuple[str | int, ...]) -> str:
    """A path as seen from here, so that two recipes in different folders name the same file alike."""
    if "://" in uri or "${" in uri:
        return uri
    return Path(os.path.relpath(plan.source.folder(loc) / uri)).as_posix()


def _settings(side: Side) -> dict[str, Any]:
    """The filled recipe less its stages."""
    from recprofile.plan import data_files

    data = {key: value for key, value in side.plan.filled().items() if key not in (*HOMES, "stages")}
    for name, uri, loc in data_files(side.plan.recipe, side.plan.source):
        placed = _placed(side.plan, uri, loc)
        if name in ("test", "valid"):
            data["data"]["split"][name] = placed
        elif name == "candidates":
            data["list"]["candidates"] = placed
        else:
            data["data"][name]["path"] = placed
    return data


def _stages(a: Side, b: Side) -> dict[str, Any]:
    """Stages that only one side has, and what differs in those of one id."""
    mine, theirs = _by_id(a.plan), _by_id(b.plan)
    both = [id for id in mine if id in theirs]
    changed = {}
    for id in both:
        one, other = dict(mine[id]), dict(theirs[id])
        if one["component"].partition("@")[0] != other["component"].partition("@")[0]:
            one.pop("with", None)  # the parameters of one component say nothing beside those of another
            other.pop("with", None)
        if differs := _differences(_flat(one), _flat(other)):
            changed[id] = differs
    orders = [[id for id in side if id in both] for side in (mine, theirs)]
    return {
        "removed": {id: mine[id] for id in mine if id not in theirs},
        "added": {id: theirs[id] for id in theirs if id not in mine},
        "changed": changed,
        "order": {"a": orders[0], "b": orders[1]} if orders[0] != orders[1] else None,
    }


def _by_id(plan: Plan) -> dict[str, dict[str, Any]]:
    from recprofile.components import IsAsset

    found = {}
    for stage in plan.stages:
        params = stage.params()
        for name, _, uri in stage.marked(IsAsset):
            params[name] = _placed(plan, uri, (*(stage.loc or ()), "with", name))
        fail = {"fail": stage.fail} if stage.verb == "check" else {}
        taken = list(stage.taken)
        found[stage.id] = {"verb": stage.verb, "component": stage.offer.pinned, "from": taken, "with": params, **fail}
    return found


def _flat(data: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    """Every value by its dotted path; lists are values."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{start}{key}.") if isinstance(value, Mapping) and value else {f"{start}{key}": value}
    return flat


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {key: {"a": a.get(key), "b": b.get(key)} for key in dict.fromkeys((*a, *b)) if a.get(key) != b.get(key)}


def _versions(side: Side, other: Side, registry: Registry) -> dict[str, str]:
    """Versions of recprofile and its plugins, and of libraries where a run noted them: a run's own, else those here."""
    if side.run is not None:
        manifest = side.run.manifest
        plugins = {p["distribution"]: p["version"] for p in manifest.get("plugins", [])}
        return {"python": manifest.get("python", ""), **plugins, **manifest.get("libraries", {})}
    here = {p.distribution: p.version for p in registry.plugins if p.problem is None}
    if other.run is None:
        return here
    import platform

    libraries = {name: found for name in other.run.manifest.get("libraries", {}) if (found := _version(name))}
    return {"python": platform.python_version(), **here, **libraries}


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _results(a: Side, b: Side, stages: Mapping[str, Any], *, elsewhere: bool) -> dict[str, Any]:
    """Which results of b are those of a, and which of the others are in the cache or would be computed, and why."""
    from recprofile.cache import StageCache
    from recprofile.engine import Settings
    from recprofile.engine.nodes import DATA
    from recprofile.errors import listed

    unknown = next((side for side in (a, b) if side.keys is None), None)
    if unknown is not None or a.keys is None or b.keys is None:
        assert unknown is not None
        return {"known": False, "why": f"{unknown.name}: {unknown.why}", "shared": [], "other": {}}
    cache = StageCache(Settings().root, lambda _: None)
    same = set(a.keys.values())
    shared = [id for id, key in b.keys.items() if key in same]
    other = {}
    for id, key in b.keys.items():
        if key in same:
            continue
        node = b.graph.nodes.get(id)
        reads = [one for ids in (node.reads or {}).values() for one in ids] if node else []
        after = [one for one in dict.fromkeys((*reads, *([node.data] if node else []))) if one not in (*shared, id)]
        if id in stages["added"]:
            why = "added"
        elif id in stages["changed"]:
            why = "changed"
        elif after:
            why = f"reads {listed([one for one in after if one != DATA] or after, most=3)}"
        else:
            why = "other settings or data" if elsewhere else "another build of the code, or another device"
        other[id] = {"why": why, "cached": cache.has(key)}
    return {"known": True, "why": "", "shared": shared, "other": other}
