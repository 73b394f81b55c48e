"""All the pieces of work of a Plan, in order, each with its cache key.

data → preprocess… → encode…, fuse…, recommend…, baselines → lists of each → rerank… → evaluation → check…, explain…
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recprofile.assets import Asset
from recprofile.cache import key_of
from recprofile.components import Preprocessor, Reranker
from recprofile.device import stage_seed
from recprofile.plan import Plan, PlannedStage

DATA = "data"
EVALUATION = "evaluation"
# Raised when the framework's own work (loading, ranking, evaluating) gives other numbers than before.
FORMS = {"data": 1, "lists": 1, "evaluation": 2}


@dataclass(frozen=True)
class Node:
    """One piece of work: what it is called, what kind of work it is, its key, and ids of the nodes it reads."""

    id: str
    kind: str
    key: str
    data: str = DATA
    stage: PlannedStage | None = None
    reads: Mapping[str, tuple[str, ...]] | None = None
    depth: int = 0  # lists: how long; evaluation: how long the lists that were given out are

    @property
    def component(self) -> str:
        """The pinned component, or what the framework itself does."""
        return self.stage.offer.pinned if self.stage and self.kind != "lists" else self.kind


@dataclass(frozen=True)
class Judged:
    """One line of the evaluation: whose lists, in which role, after which rerank stage if any."""

    ranker: str
    lists: str
    role: str
    after: str | None = None


@dataclass(frozen=True)
class Graph:
    """The nodes by id, in the order of execution."""

    nodes: Mapping[str, Node]
    judged: tuple[Judged, ...]
    final: str | None  # the node whose Recommendations are given out
    profiles: str | None  # the fuse stage whose profiles are stored

    @property
    def keys(self) -> dict[str, str]:
        """Cache key by node."""
        return {node.id: node.key for node in self.nodes.values()}


class _Builder:
    def __init__(self, plan: Plan, device: str, assets: Mapping[tuple[str, str], Asset]) -> None:
        self.plan, self.device, self.assets = plan, device, assets
        self.nodes: dict[str, Node] = {}
        self.data = DATA

    def add(self, id: str, kind: str, parts: Mapping[str, Any], **more: Any) -> str:
        reads: Mapping[str, tuple[str, ...]] = more.get("reads") or {}
        inputs = {role: [(one, self.nodes[one].key) for one in ids] for role, ids in reads.items()}
        if id != DATA:
            inputs["data"] = [(self.data, self.nodes[self.data].key)]
        key = key_of({"kind": kind, "inputs": inputs, **parts})
        self.nodes[id] = Node(id, kind, key, self.data, **more)
        return id

    def stage(self, stage: PlannedStage, **reads: tuple[str, ...]) -> str:
        parts = {
            "component": f"{stage.offer.namespace}/{stage.offer.component.name}@{stage.offer.component.version}",
            "plugin": f"{stage.offer.plugin.distribution} {stage.offer.plugin.build}",
            "params": stage.params(),
            "assets": {name: asset.fingerprint for (id, name), asset in self.assets.items() if id == stage.id},
            "seed": stage_seed(self.plan.recipe.seed, stage.id),
            "device": self.device.partition(":")[0],
        }
        given = {role: ids for role, ids in {**stage.inputs, **reads}.items() if ids}
        return self.add(stage.id, stage.verb, parts, stage=stage, reads=given)


def build_graph(
    plan: Plan, *, device: str, files: Mapping[str, Asset], assets: Mapping[tuple[str, str], Asset]
) -> Graph:
    """The nodes of a Plan.

    `files` are the data files by their key in the data block (and 'candidates'); `assets` the stages' own, by stage id
    and parameter.
    """
    b = _Builder(plan, device, assets)
    recipe = plan.recipe
    fills = sorted(fills_of(plan))
    b.add(
        DATA,
        "data",
        {
            "form": FORMS["data"],
            "version": b.plan.build,
            "block": _without_paths(recipe.data.to_data()),
            "files": {n: [a.fingerprint, Path(a.uri).suffix] for n, a in files.items() if n != "candidates"},
            "fills": fills,
            "seed": recipe.seed,
        },
    )
    for stage in plan.of("preprocess"):
        b.data = b.stage(stage)
    for stage in plan.of("encode", "fuse", "recommend"):
        b.stage(stage)
    for stage in plan.baselines:
        b.stage(stage)
    judged, final = _lists(b, files)
    profiles = _stored_profiles(plan)
    if judged:
        _evaluation(b, judged, files)
    if final is not None and plan.final is not None:
        for stage in plan.of("check"):
            b.stage(stage, lists=(final,))
        for stage in plan.of("explain"):
            b.stage(stage, lists=(final,), ranker=(plan.final.id,))
    for stage in plan.of("update"):
        b.stage(stage)
    return Graph(b.nodes, tuple(judged), final, profiles)


def _without_paths(block: dict[str, Any]) -> dict[str, Any]:
    """The data block less where its files lie: their contents count, and their endings, which say the format."""
    return {
        name: {n: v for n, v in part.items() if n not in ("path", "query", "test", "valid")}
        if isinstance(part, dict)
        else part
        for name, part in block.items()
    }


def fills_of(plan: Plan) -> frozenset[str]:
    """Columns whose missing values a preprocess stage fills, so that the loader lets them through."""
    stages = [s.component for s in plan.of("preprocess") if isinstance(s.component, Preprocessor)]
    return frozenset(column for component in stages for column in component.fills())


def _lists(b: _Builder, files: Mapping[str, Asset]) -> tuple[list[Judged], str | None]:
    """Lists of every ranker, and after each rerank; the last of the final ranker's are given out."""
    plan, rules = b.plan, b.plan.recipe.lists
    if plan.final is None:
        return [], None
    k = max([rules.k, *(c or 0 for c in plan.cutoffs)])
    reranks = plan.of("rerank")
    deepest = k
    for stage in reversed(reranks):
        assert isinstance(stage.component, Reranker)
        deepest = max(deepest, stage.component.depth(k))
    judged = []
    final = ""
    for stage in (*plan.of("recommend"), *plan.baselines):
        is_final = stage.id == plan.final.id
        depth = deepest if is_final else k
        parts = {
            "form": FORMS["lists"],
            "version": b.plan.build,
            "rules": [depth, rules.exclude_seen, rules.candidates],
            "candidates": files["candidates"].fingerprint if "candidates" in files else None,
        }
        lists = b.add(f"{stage.id}/lists", "lists", parts, stage=stage, reads={"ranker": (stage.id,)}, depth=depth)
        role = "main" if is_final else "baseline" if stage.id in plan.compared else "stage"
        judged.append(Judged(stage.id, lists, role))
        final = lists if is_final else final
    at = 1 + next(n for n, j in enumerate(judged) if j.role == "main")
    for n, stage in enumerate(reranks):
        final = b.stage(stage, lists=(final,))
        judged.insert(at + n, Judged(plan.final.id, final, "main", stage.id))
    return judged, final


def _stored_profiles(plan: Plan) -> str | None:
    """The fuse stage that the final ranker stands on, else the last there is."""
    used = plan.final.inputs.get("fuse", ()) if plan.final else ()
    fuses = plan.of("fuse")
    return used[0] if used else fuses[-1].id if fuses else None


def _evaluation(b: _Builder, judged: list[Judged], files: Mapping[str, Asset]) -> None:
    plan = b.plan
    encodes = [s.id for s in plan.of("encode")]
    vectors = _stored_profiles(plan) or (encodes[0] if encodes else None)
    b.add(
        EVALUATION,
        "evaluation",
        {
            "form": FORMS["evaluation"],
            "version": b.plan.build,
            "settings": {n: v for n, v in plan.recipe.evaluate.to_data().items() if n != "baselines"},
            "rules": [plan.recipe.lists.k, plan.recipe.lists.exclude_seen, plan.recipe.lists.candidates],
            "candidates": files["candidates"].fingerprint if "candidates" in files else None,
            "judged": [[j.ranker, j.lists, j.role, j.after] for j in judged],
            "seed": stage_seed(plan.recipe.seed, EVALUATION),
        },
        reads={
            "lists": tuple(j.lists for j in judged),
            "ranker": tuple(dict.fromkeys(j.ranker for j in judged)),
            "vectors": (vectors,) if vectors else (),
        },
        depth=plan.recipe.lists.k,
    )
