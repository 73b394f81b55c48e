"""Does the work of a Plan in order, taking from the cache what is there, and writes the run folder."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recprofile.assets import cache_root
from recprofile.cache import Record, StageCache
from recprofile.components import ColumnsOf, Context
from recprofile.device import resolve_device, seed_everything, stage_seed
from recprofile.engine.files import resolve_files
from recprofile.engine.memory import peak_mib, reset_peak
from recprofile.engine.nodes import DATA, Graph, Node, build_graph
from recprofile.engine.outputs import write_outputs
from recprofile.engine.work import Work
from recprofile.errors import DataError, Problem, RecipeError, RecprofileError, RunError, Span
from recprofile.plan import Plan, PlannedStage
from recprofile.registry import BUILTIN, Registry
from recprofile.runs import MANIFEST, Run, expect_place
from recprofile.source import Entry


@dataclass(frozen=True)
class Settings:
    """What the command line adds to a recipe: None leaves it as the recipe or environment has it.

    `fresh` computes every stage again and replaces what the cache has.
    """

    device: str | None = None
    out: Path | None = None
    cache: Path | None = None
    offline: bool | None = None
    fresh: bool = False
    command: str = ""


@dataclass(frozen=True)
class RunResult:
    """What a run came to: its folder, which stages were computed and which taken from the cache, the gates' verdict."""

    out: Path
    computed: tuple[str, ...]
    cached: tuple[str, ...]
    passed: bool
    seconds: float
    warnings: tuple[str, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Mapping[str, Any], ...] = ()

    @property
    def unchanged(self) -> bool:
        """Whether the run folder already held all this."""
        return not self.computed and not self.cached


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
    root = settings.cache or cache_root()
    cache = StageCache(root, lambda _: None)
    try:
        device = _device(plan, settings)
        files, assets = resolve_files(plan, registry, cache=root, offline=True)
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


def run_plan(plan: Plan, registry: Registry, settings: Settings) -> RunResult:
    """Run a Plan: compute what is not in the cache, write the run folder, say whether every gate held.

    Raises RecipeError, DataError or RunError, or what a component raised, with a note of the stage; results of the
    stages before it stay in the cache, and the earlier run folder stays as it was.
    """
    return _Engine(plan, registry, settings).run()


class _Engine:
    def __init__(self, plan: Plan, registry: Registry, settings: Settings) -> None:
        self.plan, self.registry, self.settings = plan, registry, settings
        self.hook = registry.manager.hook
        self.root = settings.cache or cache_root()
        self.warnings: list[dict[str, str]] = []
        self.cache = StageCache(self.root, lambda text: self.warn("cache", text))
        self.results: dict[str, Any] = {}
        self.records: dict[str, Record] = {}
        self.computed: list[str] = []
        self.checked_data = False

    def warn(self, stage: str, text: str) -> None:
        """Note a warning once; it goes to the terminal, the manifest and the report."""
        if {"stage": stage, "text": text} not in self.warnings:
            self.warnings.append({"stage": stage, "text": text})

    def run(self) -> RunResult:
        begun = time.perf_counter()
        plan, settings = self.plan, self.settings
        self.device = _device(plan, settings)
        self.files, self.assets = resolve_files(
            plan, self.registry, cache=self.root, offline=settings.offline, progress=self._fetching
        )
        self.graph = build_graph(plan, device=self.device, files=self.files, assets=self.assets)
        self.keys = self.graph.keys  # all of the Plan's: a baseline that is left out later still counts
        out = settings.out or plan.source.folder(("out",)) / plan.out
        if not settings.fresh and (earlier := self._unchanged(out, begun)):
            return earlier
        expect_place(out, plan.source.at(("out",)) if settings.out is None and plan.recipe.out else None)
        recipe = plan.recipe
        executor = self.registry.executors()[recipe.engine_name](recipe.engine_options)
        self.work = Work(plan, self.graph, self.files, executor, self.get)
        facts = {
            "name": plan.name,
            "out": str(out),
            "seed": plan.recipe.seed,
            "device": self.device,
            "stages": list(self.graph.nodes),
        }
        self.hook.recprofile_run_started(run=facts)
        cached = []
        for node in list(self.graph.nodes.values()):
            if node.id not in self.graph.nodes:
                continue  # a baseline that could not be had took its lists with it
            record = None if settings.fresh else self.cache.record(node.key)
            if record is not None:
                cached.append(node.id)
                self._keep_record(node, record)
                self.hook.recprofile_stage_finished(stage={**self._facts(node), "seconds": 0.0, "cached": True})
            else:
                self._compute(node)
        written = write_outputs(self, out, time.perf_counter() - begun)
        self.hook.recprofile_metrics(metrics=written.metrics)
        seconds = time.perf_counter() - begun
        self.hook.recprofile_run_finished(run={**facts, "seconds": seconds, "passed": written.passed})
        told = tuple(f"{w['stage']}: {w['text']}" for w in self.warnings)
        # A damaged cache entry is found when it is read, after it was counted as cached.
        cached = [id for id in cached if id not in self.computed]
        return RunResult(
            out, tuple(self.computed), tuple(cached), written.passed, seconds, told, written.metrics, written.checks
        )

    def get(self, id: str) -> Any:  # noqa: ANN401 - artifacts of every kind
        """The result of a node: in memory, from the cache, or computed when the cache's is damaged."""
        if id not in self.results:
            node = self.graph.nodes[id]
            found = self.cache.load(node.key)
            if found is None:
                self._compute(node)
            else:
                self.results[id] = self._within(node, lambda: self.work.unpack(node, found[0], self._context(node)))
        return self.results[id]

    def _unchanged(self, out: Path, begun: float) -> RunResult | None:
        """What the run folder says when it holds all this already; None when it does not, or is damaged (told)."""
        try:
            if not (out / MANIFEST).is_file():
                return None
            run = Run.open(out)
            if not run.holds(self.keys):
                return None
            wrong = run.damage()
            if wrong is None:
                return self._as_before(run, begun)
        except OSError:  # `expect_place` says why
            return None
        except (RunError, KeyError, TypeError, AttributeError):  # the manifest is not as it was written
            wrong = MANIFEST
        self.warn("run", f"'{wrong}' in '{out}' is not as it was written; the run folder is written again")
        return None

    def _as_before(self, run: Run, begun: float) -> RunResult:
        told = tuple(f"{w['stage']}: {w['text']}" for w in run.manifest["warnings"])
        passed = bool(run.manifest["passed"])
        seconds = time.perf_counter() - begun
        checks = tuple(run.json("checks.json"))
        return RunResult(run.folder, (), (), passed, seconds, told, run.json("metrics.json"), checks)

    def _compute(self, node: Node) -> None:
        if node.id != DATA:
            self.get(node.data)
            self._check_data(node)
        facts = self._facts(node)
        told: list[str] = []
        self.hook.recprofile_stage_started(stage=facts)
        # Builtin components draw from their own seed; what a plugin wraps may draw from anything.
        foreign = node.stage is not None and node.stage.offer.namespace != BUILTIN
        seed_everything(stage_seed(self.plan.recipe.seed, node.id), torch=foreign)
        reset_peak()
        begun = time.perf_counter()
        try:
            artifact = self._within(node, lambda: self.work.compute(node, self._context(node, told)))
        except RunError as error:
            if node.stage in self.plan.baselines and error.problems[0].code == "RP604":
                self._leave_out(node, error)
                return
            self.hook.recprofile_stage_failed(stage=facts, error=error)
            raise
        except BaseException as error:
            self.hook.recprofile_stage_failed(stage=facts, error=error)
            raise
        seconds = time.perf_counter() - begun
        record = Record(tuple(told), round(seconds, 4), round(peak_mib(), 1))
        self.cache.put(node.key, self.work.pack(artifact), record)
        self.results[node.id] = artifact
        self.computed.append(node.id)
        self._keep_record(node, record)
        self.hook.recprofile_stage_finished(
            stage={**facts, "seconds": seconds, "peak_mib": record.peak_mib, "cached": False}
        )
        gc.collect()

    def _keep_record(self, node: Node, record: Record) -> None:
        self.records[node.id] = record
        for text in record.warnings:
            self.warn(node.id, text)

    def _leave_out(self, node: Node, error: RunError) -> None:
        """A baseline that memory does not allow is left out of the comparison, and said so."""
        self.warn(node.id, f"left out of the comparison: {error.problems[0].message}")
        gone = {node.id, f"{node.id}/lists"}
        nodes = {id: n for id, n in self.graph.nodes.items() if id not in gone}
        self.graph = Graph(
            nodes,
            tuple(j for j in self.graph.judged if j.ranker != node.id),
            self.graph.final,
            self.graph.profiles,
        )
        self.work.graph = self.graph

    def _within(self, node: Node, do: Any) -> Any:  # noqa: ANN401 - artifacts of every kind
        """Do it; what it raises is ours with a position, or the component's own with a note."""
        at = node.stage.at if node.stage else self.plan.source.at(("data",))
        try:
            return do()
        except RecprofileError as error:
            error.problems = tuple(
                p if p.at else Problem(p.code, p.message, self._pointed(p, node) or at, (*p.help, *_of_stage(node)))
                for p in error.problems
            )
            raise
        except MemoryError as error:
            helps = ("use a machine with more memory, or fewer items and users (k-core)", *_of_stage(node))
            raise RunError.of("RP604", f"'{node.id}' ran out of memory", at=at, help=helps) from error
        except Exception as error:
            error.add_note(f"in {node.kind} stage '{node.id}' ({_who(node)}), {at}")
            raise

    def _pointed(self, problem: Problem, node: Node) -> Span | None:
        """Where a stage's parameters write what a problem is about: a column, a file, or else the first name quoted."""
        if node.stage is None or node.stage.loc is None:
            return None
        entry, depth = self.plan.source.reach((*node.stage.loc, "with"))
        if depth <= len(node.stage.loc):
            return None
        said = " ".join((problem.message, *problem.help))
        names = [*re.findall("column '(.+?)'", said), *re.findall("'(.+?)'", problem.message)]
        names += re.findall("(?<=at )[^,']+(?=, row)", said)
        return next((at for name in names if (at := written_at(entry, name))), None)

    def _context(self, node: Node, told: list[str] | None = None) -> Context:
        last = 0.0

        def report(done: int, total: int, unit: str) -> None:
            nonlocal last
            now = time.perf_counter()
            if now - last > 0.1 or done in (0, total):  # seconds; a bar need not move more often
                last = now
                self.hook.recprofile_progress(stage=node.id, done=done, total=total, unit=unit)

        own = {uri: asset.path for (id, _), asset in self.assets.items() if id == node.id for uri in (asset.uri,)}
        return Context(
            stage=node.id,
            device=self.device,
            seed=stage_seed(self.plan.recipe.seed, node.id),
            warn=(told.append if told is not None else lambda _: None),
            report=report,
            asset=lambda uri: own[uri],
            store=self.root / "inputs",
        )

    def _facts(self, node: Node) -> dict[str, Any]:
        order = list(self.graph.nodes)
        at = order.index(node.id) + 1
        return {"id": node.id, "verb": node.kind, "component": node.component, "at": at, "of": len(order)}

    def _check_data(self, node: Node) -> None:
        """Before the first stage after the data runs: what the rest of the recipe asks of the data.

        The columns that any stage or the evaluation names, the needs of all, and the candidates.
        """
        if self.checked_data or node.kind == "preprocess":
            return
        self.checked_data = True
        data = self.get(node.data)
        problems = self._group_problems(data)
        for stage in self.plan.stages:
            if stage.verb == "preprocess":
                continue
            problems += self._column_problems(stage, data)
            if stage.component.needs_time and not data.has_time:
                helps = ("name the time column: interactions: {path: …, time: <column>}",)
                problems.append(Problem("RP406", f"'{stage.offer.name}' needs the time of events", stage.at, helps))
        if problems:
            codes = {p.code for p in problems}
            raise RecipeError(problems) if codes == {"RP406"} else DataError(problems)
        if self.graph.final is not None:
            self.work.candidates(data)

    def _group_problems(self, data: Any) -> list[Problem]:  # noqa: ANN401 - a Dataset
        problems = []
        for n, column in enumerate(self.plan.recipe.evaluate.groups):
            at = self.plan.source.at(("evaluate", "groups", n))
            if self.plan.recipe.data.users is None:
                helps = ("add 'users: <file>' to the data block",)
                problems.append(Problem("RP406", "'groups' needs a table of users", at, helps))
                continue
            try:
                data.users.text(column)
            except DataError as error:
                problems += [Problem(p.code, p.message, at, p.help) for p in error.problems]
        return problems

    def _column_problems(self, stage: PlannedStage, data: Any) -> list[Problem]:  # noqa: ANN401 - a Dataset
        problems = []
        for name, mark, value in stage.marked(ColumnsOf):
            assert isinstance(mark, ColumnsOf)
            named = f"{stage.component.params.axis}s" if mark.table == "axis" else mark.table
            table = data.users if named == "users" else data.items
            for n, column in enumerate([value] if isinstance(value, str) else value):
                try:
                    table.column(column)
                except DataError as error:
                    loc = (*(stage.loc or ()), "with", name, *(() if isinstance(value, str) else (n,)))
                    (problem,) = error.problems
                    problems.append(Problem(problem.code, problem.message, self.plan.source.at(loc), problem.help))
        return problems

    def _fetching(self, what: str, done: int, total: int | None) -> None:
        self.hook.recprofile_progress(stage=what, done=done, total=total or 0, unit="bytes" if total else "")


def written_at(entry: Entry, text: str) -> Span | None:
    """Where a key or value of a tree reads so, or a path ends so, the first in file order; None where none does."""
    if isinstance(entry.value, dict):
        for name, inner in entry.value.items():
            if text in (name, name.rpartition(".")[2]) and inner.key:
                return inner.key
            if found := written_at(inner, text):
                return found
    elif isinstance(entry.value, list):
        return next((found for inner in entry.value if (found := written_at(inner, text))), None)
    is_it = isinstance(entry.value, str) and text in (entry.value, entry.value.rpartition("/")[2])
    return entry.at if is_it else None


def _device(plan: Plan, settings: Settings) -> str:
    """The device that the caller names, else the recipe's; raises RunError RP603 when it is not there."""
    if settings.device is not None:
        return resolve_device(settings.device)
    return resolve_device(plan.recipe.device, plan.source.at(("device",)))


def _who(node: Node) -> str:
    if node.stage is None:
        return "recprofile"
    plugin = node.stage.offer.plugin
    return f"{node.stage.offer.pinned}, {plugin.distribution} {plugin.version}"


def _of_stage(node: Node) -> tuple[str, ...]:
    return (f"in {node.kind} stage '{node.id}' ({_who(node)})",) if node.stage else ()
