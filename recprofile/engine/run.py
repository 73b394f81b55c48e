"""Does the work of a Plan in order, taking from the cache what is there, and writes the run folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recprofile.artifacts import Dataset
from recprofile.cache import Record, StageCache
from recprofile.components import Context
from recprofile.device import seed_everything, stage_seed
from recprofile.engine.blame import within
from recprofile.engine.demands import check_demands
from recprofile.engine.files import resolve_files
from recprofile.engine.memory import give_back, peak_mib, reset_peak
from recprofile.engine.nodes import DATA, Graph, Node, build_graph
from recprofile.engine.outputs import Finished, read_at_the_end, write_outputs
from recprofile.engine.refits import Refits
from recprofile.engine.settings import Settings
from recprofile.engine.work import Work
from recprofile.errors import RunError
from recprofile.plan import Plan
from recprofile.registry import BUILTIN, Registry
from recprofile.runs import MANIFEST, Run, expect_place

if TYPE_CHECKING:
    from recprofile.profiles.publish import Published


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
    published: Published | None = None
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # what stages noted, by id

    @property
    def unchanged(self) -> bool:
        """Whether the run folder already held all this."""
        return not self.computed and not self.cached


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
        self.root = settings.root
        self.warnings: list[dict[str, str]] = []
        self.cache = StageCache(self.root, lambda text: self.warn("cache", text))
        self.results: dict[str, Any] = {}
        self.records: dict[str, Record] = {}
        self.computed: list[str] = []
        self.data_checked = False
        self.refits = Refits(self.cache, self._refitting, self.get)

    def warn(self, stage: str, text: str) -> None:
        """Note a warning once; it goes to the terminal, the manifest and the report."""
        if {"stage": stage, "text": text} not in self.warnings:
            self.warnings.append({"stage": stage, "text": text})

    def run(self) -> RunResult:
        begun = time.perf_counter()
        plan, settings = self.plan, self.settings
        self.device = settings.device_of(plan)
        self.files, self.assets = resolve_files(
            plan, self.registry, cache=self.root, offline=settings.offline, progress=self._fetching
        )
        self.graph = build_graph(plan, device=self.device, files=self.files, assets=self.assets)
        self.keys = self.graph.keys  # all of the Plan's: a baseline that is left out later still counts
        out = settings.out or plan.source.folder(("out",)) / plan.out
        executor = self.registry.executors()[plan.recipe.engine_name](plan.recipe.engine_options)
        self.work = Work(plan, self.graph, self.files, executor, self.get)
        if not settings.fresh and (earlier := self._unchanged(out, begun)):
            published = self._publish(out)
            also = [f"{w['stage']}: {w['text']}" for w in self.warnings]
            return replace(earlier, published=published, warnings=tuple(dict.fromkeys((*earlier.warnings, *also))))
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
            self._let_go(node)
        finished = Finished(
            plan,
            self.graph,
            self.keys,
            self.device,
            self.files,
            self.assets,
            tuple(self.registry.plugins),
            tuple(self.computed),
            self.records,
            self.warnings,
            settings.command,
            self.get,
            lambda id, to: self.cache.copy(self.graph.nodes[id].key, to),
        )
        written = write_outputs(finished, out, time.perf_counter() - begun)
        self.hook.recprofile_metrics(metrics=written.metrics)
        published = self._publish(out)
        seconds = time.perf_counter() - begun
        self.hook.recprofile_run_finished(run={**facts, "seconds": seconds, "passed": written.passed})
        told = tuple(f"{w['stage']}: {w['text']}" for w in self.warnings)
        # A damaged cache entry is found when it is read, after it was counted as cached.
        cached = [id for id in cached if id not in self.computed]
        return RunResult(
            out,
            tuple(self.computed),
            tuple(cached),
            written.passed,
            seconds,
            told,
            written.metrics,
            written.checks,
            published,
            {id: record.facts for id, record in self.records.items() if record.facts},
        )

    def _publish(self, out: Path) -> Published | None:
        """Put the profiles into the store that the recipe or the caller names; the run folder is written by now."""
        plan = self.plan
        if self.settings.store is None and plan.recipe.publish is None:
            return None
        from recprofile.engine.publication import publish_run  # noqa: PLC0415 - imports sqlalchemy: 0.2 s

        return publish_run(
            plan,
            self.registry,
            self.graph,
            self.get,
            out=out,
            store=self.settings.store,
            warn=self.warn,
            candidates=self.files["candidates"].path if "candidates" in self.files else None,
        )

    def get(self, id: str) -> Any:  # noqa: ANN401 - artifacts of every kind
        """The result of a node: in memory, from the cache, or computed when the cache's is damaged."""
        if id not in self.results:
            node = self.graph.nodes[id]
            found = self.cache.load(node.key)
            if found is None:
                self._compute(node)
            else:
                self.results[id] = within(
                    node, self.plan, lambda: self.work.unpack(node, found[0], self._context(node))
                )
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
        facts = {stage["id"]: stage["facts"] for stage in run.manifest["stages"] if stage.get("facts")}
        return RunResult(run.folder, (), (), passed, seconds, told, run.json("metrics.json"), checks, facts=facts)

    def _compute(self, node: Node) -> None:
        if node.id != DATA:
            self.get(node.data)
            if node.kind != "preprocess" and not self.data_checked:
                self._check_data(node)
        facts = self._facts(node)
        told: list[str] = []
        noted: dict[str, object] = {}
        self.hook.recprofile_stage_started(stage=facts)
        # Builtin components draw from their own seed; what a plugin wraps may draw from anything.
        foreign = node.stage is not None and node.stage.offer.namespace != BUILTIN
        seed_everything(stage_seed(self.plan.recipe.seed, node.id), torch=foreign)
        reset_peak()
        begun = time.perf_counter()
        try:
            artifact = within(node, self.plan, lambda: self.work.compute(node, self._context(node, told, noted)))
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
        record = Record(tuple(told), round(seconds, 4), round(peak_mib(), 1), noted)
        self._keep(node, artifact, record)
        self.results[node.id] = artifact
        self.computed.append(node.id)
        self._keep_record(node, record)
        self.hook.recprofile_stage_finished(
            stage={**facts, "seconds": seconds, "peak_mib": record.peak_mib, "cached": False}
        )

    def _keep(self, node: Node, artifact: Any, record: Record) -> None:  # noqa: ANN401
        """Put a result into the cache; one that another stage gave before, as an update without events, is linked."""
        for id, result in self.results.items():
            if result is artifact and self.cache.put_again(node.key, self.graph.nodes[id].key, record):
                return
        self.cache.put(node.key, self.work.pack(artifact), record)

    def _let_go(self, done: Node) -> None:
        """Forget results that nothing to come reads: they lie in the cache, and ten million events are 200 MiB."""
        nodes = list(self.graph.nodes.values())
        later = nodes[1 + [node.id for node in nodes].index(done.id) :] if done.id in self.graph.nodes else nodes
        wanted = {node.data for node in later} | {
            id for node in later for ids in (node.reads or {}).values() for id in ids
        }
        wanted |= read_at_the_end(self.plan, self.graph)
        self.results = {id: result for id, result in self.results.items() if id in wanted}
        give_back()

    def _keep_record(self, node: Node, record: Record) -> None:
        self.records[node.id] = record
        for text in record.warnings:
            self.warn(node.id, text)

    def _leave_out(self, node: Node, error: RunError) -> None:
        """A baseline that memory does not allow is left out of the comparison, and said so."""
        self.hook.recprofile_stage_failed(stage=self._facts(node), error=error)
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

    def _context(self, node: Node, told: list[str] | None = None, noted: dict[str, object] | None = None) -> Context:
        last = 0.0

        def report(done: int, total: int, unit: str) -> None:
            nonlocal last
            now = time.perf_counter()
            if now - last > 0.1 or done in (0, total):  # seconds; a bar need not move more often
                last = now
                self.hook.recprofile_progress(stage=node.id, done=done, total=total, unit=unit)

        own = {uri: asset.path for (id, _), asset in self.assets.items() if id == node.id for uri in (asset.uri,)}
        return Context(
            refit=lambda data: self.refits.inputs(node, data),
            stage=node.id,
            device=self.device,
            seed=stage_seed(self.plan.recipe.seed, node.id),
            warn=(told.append if told is not None else lambda _: None),
            note=(noted.__setitem__ if noted is not None else lambda *_: None),
            report=report,
            asset=lambda uri: own[uri],
            store=self.root / "inputs",
        )

    def _refitting(self, node: Node, get: Callable[[str], Any]) -> tuple[Work, Context]:
        """What a stage works with when it is done again on other events: what it says then was said before."""
        work = Work(self.plan, self.graph, self.files, self.work.executor, get)
        return work, replace(self._context(node), report=lambda *_: None)

    def _facts(self, node: Node) -> dict[str, Any]:
        order = list(self.graph.nodes)
        at = order.index(node.id) + 1
        return {"id": node.id, "verb": node.kind, "component": node.component, "at": at, "of": len(order)}

    def _check_data(self, node: Node) -> None:
        """Before the first stage after the data runs: what the rest of the recipe asks of the data."""
        self.data_checked = True
        data: Dataset = self.get(node.data)
        check_demands(self.plan, data)
        if self.graph.final is not None:
            self.work.candidates(data)

    def _fetching(self, what: str, done: int, total: int | None) -> None:
        self.hook.recprofile_progress(stage=what, done=done, total=total or 0, unit="bytes" if total else "")
