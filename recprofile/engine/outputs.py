"""What a run leaves in its folder."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import polars as pl

from recprofile.artifacts import CheckResult, Dataset, Explanations, Profiles, save_pack, save_table
from recprofile.assets import Asset
from recprofile.cache import Record
from recprofile.components import IsAsset, Ranker
from recprofile.dataset import describe
from recprofile.engine.nodes import EVALUATION, Graph
from recprofile.evaluate import Evaluation
from recprofile.interests import item_names
from recprofile.plan import Plan
from recprofile.plan.make import own_version
from recprofile.registry import Plugin
from recprofile.report import build_report, render_report
from recprofile.runs import write_json, write_run
from recprofile.source import dump_yaml

LIBRARIES = (
    "numpy",
    "polars",
    "scipy",
    "torch",
    "transformers",
    "scikit-surprise",
    "fairlearn",
    "lightgbm",
    "pydantic",
)


@dataclass(frozen=True)
class Finished:
    """A run whose stages are done, as `write_outputs` reads it.

    `get` gives the result of a node by its id; `copy` puts the files of one into a folder, and is False where the
    cache has none.
    """

    plan: Plan
    graph: Graph
    keys: Mapping[str, str]
    device: str
    files: Mapping[str, Asset]
    assets: Mapping[tuple[str, str], Asset]
    plugins: tuple[Plugin, ...]
    computed: tuple[str, ...]
    records: Mapping[str, Record]
    warnings: Sequence[Mapping[str, str]]
    command: str
    get: Callable[[str], Any]
    copy: Callable[[str, Path], bool]


@dataclass(frozen=True)
class Written:
    """What the caller wants to know of what was written."""

    metrics: Mapping[str, Any]
    checks: tuple[Mapping[str, Any], ...]
    passed: bool


def write_outputs(run: Finished, out: Path, seconds: float) -> Written:
    """Write the run folder of a finished run, whole or not at all."""
    plan, graph = run.plan, run.graph
    data: Dataset = run.get(last_data(run.graph))
    recs = run.get(graph.final).cut(plan.recipe.lists.k) if graph.final else None
    profiles: Profiles | None = run.get(graph.profiles) if graph.profiles else None
    judged: Evaluation | None = run.get(EVALUATION) if EVALUATION in graph.nodes else None
    metrics: dict[str, Any] = judged.to_json() if judged else {}
    checks = [_check_json(stage.id, stage.offer.pinned, stage.fail, run.get(stage.id)) for stage in plan.of("check")]
    explained: list[Explanations] = [run.get(stage.id) for stage in plan.of("explain")]
    passed = all(c["passed"] is not False or c["fail"] == "warn" for c in checks)
    recipe = dump_yaml(_rehomed(run, out))
    manifest = _manifest(run, data, recipe, seconds, passed=passed)

    def fill(folder: Path) -> None:
        head = f"# {plan.source.path.name}, filled and pinned; paths are relative to this file\n"
        (folder / "recipe.yaml").write_text(head + recipe, encoding="utf-8")
        write_json(folder / "metrics.json", metrics)
        write_json(folder / "checks.json", checks)
        if data.learnt:
            write_json(folder / "preprocess.json", _learnt_json(plan, data))
        items = {"item": data.items.ids.ids, "name": item_names(data), "positive_events": data.item_counts()}
        save_table(pl.DataFrame(items), folder / "items.parquet")
        if judged is not None:
            save_table(judged.per_user, folder / "per_user.parquet")
            save_table(judged.relevant, folder / "relevant.parquet")
            save_table(judged.hits, folder / "hits.parquet")
        if recs is not None:
            save_table(recs.frame(), folder / "recommendations.parquet")
        if profiles is not None and graph.profiles is not None:
            (folder / "profiles").mkdir()
            if not run.copy(graph.profiles, folder / "profiles"):
                save_pack(profiles.pack(), folder / "profiles")
        if plan.final is not None:
            ranker: Ranker = run.get(plan.final.id)
            (folder / "model").mkdir()
            save_pack(ranker.pack(), folder / "model")
            made_by = {"component": plan.final.offer.pinned, "params": plan.final.params()}
            write_json(folder / "model" / "component.json", made_by)
        if explained:
            save_table(pl.concat([e.frame() for e in explained]), folder / "explanations.parquet")
        report = build_report(
            manifest=manifest,
            metrics=metrics,
            checks=checks,
            data=data,
            recs=recs,
            explanations=explained[0] if explained else None,
            profiles=profiles,
        )
        write_json(folder / "report.json", report)
        (folder / "report.html").write_text(render_report(report), encoding="utf-8")

    write_run(out, manifest, fill)
    return Written(metrics, tuple(checks), passed)


def read_at_the_end(plan: Plan, graph: Graph) -> set[str]:
    """The nodes whose results `write_outputs` reads."""
    told = [stage.id for verb in ("check", "explain") for stage in plan.of(verb)]
    ranker = [plan.final.id] if plan.final is not None else []
    return {last_data(graph), EVALUATION, *filter(None, (graph.final, graph.profiles)), *told, *ranker}


def last_data(graph: Graph) -> str:
    """The node of the data as the last preprocess stage left them."""
    return next(reversed([node.data for node in graph.nodes.values() if node.kind not in ("data", "preprocess")]))


def _check_json(id: str, component: str, fail: str, result: CheckResult) -> dict[str, Any]:
    return {
        "id": id,
        "component": component,
        "fail": fail,
        "passed": result.passed,
        "summary": result.summary,
        "measures": [asdict(measure) for measure in result.measures],
        "groups": result.groups.to_dicts(),
        "tables": {title: table.to_dicts() for title, table in result.tables.items()},
    }


def _learnt_json(plan: Plan, data: Dataset) -> list[dict[str, Any]]:
    """What preprocess stages learnt of the training part and applied, in the order of the recipe."""
    stages = [stage for stage in plan.of("preprocess") if stage.id in data.learnt]
    return [
        {"id": one.id, "component": one.offer.pinned, "params": one.params(), "learnt": data.learnt[one.id]}
        for one in stages
    ]


def _manifest(run: Finished, data: Dataset, recipe: str, seconds: float, *, passed: bool) -> dict[str, Any]:
    plan = run.plan
    started = datetime.now(UTC) - timedelta(seconds=seconds)
    return {
        "recprofile": own_version(),
        "name": plan.name,
        "command": run.command or f"recprofile run {plan.source.path}",
        "recipe_file": str(plan.source.path),
        "recipe": recipe,
        "seed": plan.recipe.seed,
        "device": run.device,
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "plugins": [
            {"namespace": p.namespace, "distribution": p.distribution, "version": p.version}
            for p in run.plugins
            if p.problem is None
        ],
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
        "data": describe(data),
        "files": {name: {"uri": a.uri, "fingerprint": a.fingerprint} for name, a in run.files.items()},
        "assets": {
            f"{id}.{name}": {"uri": a.uri, "fingerprint": a.fingerprint} for (id, name), a in run.assets.items()
        },
        "stages": [
            {
                "id": node.id,
                "kind": node.kind,
                "component": node.component,
                "key": node.key,
                "cached": node.id not in run.computed,
                "seconds": record.seconds,
                "peak_mib": record.peak_mib,
                "warnings": list(record.warnings),
                "facts": dict(record.facts),
            }
            for node in run.graph.nodes.values()
            if (record := run.records.get(node.id)) is not None
        ],
        "warnings": run.warnings,
        "notes": list(data.notes),
        "keys": run.keys,
        "passed": passed,
    }


def _rehomed(run: Finished, out: Path) -> dict[str, Any]:
    """The filled recipe with plain paths made relative to the run folder, so that it runs from there."""
    plan = run.plan
    data = plan.filled()
    data["out"] = "."

    def moved(uri: str, loc: tuple[str | int, ...]) -> str:
        if "://" in uri or "${" in uri or Path(uri).is_absolute():
            return uri
        return Path(os.path.relpath(plan.source.folder(loc) / uri, out)).as_posix()

    for name in ("interactions", "items", "users"):
        if data["data"].get(name):
            data["data"][name]["path"] = moved(data["data"][name]["path"], ("data", name))
    split = data["data"].get("split") or {}
    for name in ("test", "valid"):
        if split.get(name):
            split[name] = moved(split[name], ("data", "split", name))
    if data["list"]["candidates"] not in ("all", "cold"):
        data["list"]["candidates"] = moved(data["list"]["candidates"], ("list", "candidates"))
    publish = data.get("publish") or ""
    if publish.startswith("sqlite:///"):
        data["publish"] = f"sqlite:///{moved(publish.removeprefix('sqlite:///'), ('publish',))}"
    for stage, written in zip(plan.stages, data["stages"], strict=True):
        for name, _, uri in stage.marked(IsAsset):
            written["with"][name] = moved(uri, (*(stage.loc or ()), "with", name))
    return data


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
