"""Fits the final recommender of a Plan on a fold and judges it; what a trial did not change is made once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import replace
from threading import Lock
from typing import Any

from recprofile.artifacts import Dataset
from recprofile.cache import Record, StageCache, key_of
from recprofile.components import Context, Inputs, IsAsset, Ranker
from recprofile.device import seed_everything, stage_seed
from recprofile.engine.blame import within
from recprofile.engine.demands import check_demands
from recprofile.engine.files import resolve_files
from recprofile.engine.nodes import Graph, Node, build_graph
from recprofile.engine.refits import Refits
from recprofile.engine.settings import Settings
from recprofile.engine.work import Work
from recprofile.errors import DataError, Problem
from recprofile.evaluate import UserScores, judge
from recprofile.plan import Knob, Plan
from recprofile.plan.tuning import line_of
from recprofile.registry import BUILTIN, Registry
from recprofile.tune.folds import Fold, blind, folds_of

KEPT = 8  # results of changed stages that stay in memory: values that come again, as one of three, find them


class Bench:
    """The data of a Plan and all that its trials share."""

    def __init__(
        self, plan: Plan, registry: Registry, settings: Settings, knobs: Collection[Knob], warn: Callable[[str], None]
    ) -> None:
        self.plan, self.registry, self.settings, self.warn = plan, registry, settings, warn
        self.device = settings.device_of(plan)
        self.cache = StageCache(settings.root, warn)
        self.files, self.assets = self._resolved(plan)
        self.executor = registry.executors()[plan.recipe.engine_name](plan.recipe.engine_options)
        self.graph = self.graph_of(plan)
        self.moves_assets = any(
            name == knob.loc[3] for knob in knobs for stage in plan.stages if stage.id == knob.stage
            for name, _, _ in stage.marked(IsAsset)
        )  # fmt: skip
        self.knobs = tuple(knobs)
        self.line = line_of(plan.stages)
        self.changed = _downstream(plan, {knob.stage for knob in knobs})
        self.fixed: dict[str, Any] = {}
        self.recent: OrderedDict[str, Any] = OrderedDict()
        self.lock = Lock()
        self.data = self._data()
        check_demands(plan, self.data)
        self.tables = [self.files[axis].fingerprint for axis in ("users", "items") if axis in self.files]

    def folds(self, count: int | None) -> tuple[Fold, ...]:
        """The validation parts of the data; see `folds_of`. Errors point at the recipe's split."""
        recipe = self.plan.recipe
        listed = None
        if "candidates" in self.files:
            listed = self._work(self.plan, self.graph, lambda _: self.data).candidates(self.data)
        try:
            return folds_of(
                self.data,
                recipe.data.split,
                count=count,
                seed=recipe.seed,
                spec=recipe.lists.candidates,
                listed=listed,
            )
        except DataError as error:
            at = self.plan.source.at(("data", "split"))
            raise DataError(Problem(p.code, p.message, p.at or at, p.help) for p in error.problems) from None

    def score(self, plan: Plan, fold: Fold, metric: str) -> UserScores:
        """What the final recommender of this Plan, fitted on the fold, comes to for each user there."""
        assert plan.final is not None
        ranker: Ranker = _Fitting(self, plan, fold).get(plan.final.id)
        return judge(
            ranker, fold.data, metric=metric, candidates=fold.candidates, exclude_seen=plan.recipe.lists.exclude_seen
        )

    def graph_of(self, plan: Plan) -> Graph:
        """The work of a Plan with its keys."""
        assets = self.assets if plan is self.plan or not self.moves_assets else self._resolved(plan)[1]
        return build_graph(plan, device=self.device, files=self.files, assets=assets)

    def _resolved(self, plan: Plan) -> tuple[Any, Any]:
        return resolve_files(plan, self.registry, cache=self.settings.root, offline=self.settings.offline)

    def _work(self, plan: Plan, graph: Graph, get: Callable[[str], Any]) -> Work:
        return Work(plan, graph, self.files, self.executor, get)

    def context(self, node: Node, plan: Plan, refit: Callable[[Dataset], Inputs]) -> Context:
        """What a stage is lent; it reports to nobody, for a trial is one of many."""
        own = {asset.uri: asset.path for (id, _), asset in self.assets.items() if id == node.id}
        return Context(
            stage=node.id,
            device=self.device,
            seed=stage_seed(plan.recipe.seed, node.id),
            warn=lambda text: self.warn(f"{node.id}: {text}"),
            asset=lambda uri: own[uri],
            store=self.settings.root / "inputs",
            refit=refit,
        )

    def _data(self) -> Dataset:
        """The data as the preprocess stages leave them, as a run makes them, less their test part."""
        assert self.plan.final is not None
        made: dict[str, Dataset] = {}
        work = self._work(self.plan, self.graph, made.__getitem__)
        last = self.graph.nodes[self.plan.final.id].data
        for node in self.graph.nodes.values():
            found = self.cache.load(node.key)
            if found is not None:
                made[node.id] = Dataset.unpack(found[0])
            else:
                told: list[str] = []
                ctx = replace(self.context(node, self.plan, lambda _: Inputs()), warn=told.append)
                seed(node, self.plan)
                made[node.id] = within(node, self.plan, lambda node=node, ctx=ctx: work.compute(node, ctx))  # type: ignore[misc]
                self.cache.put(node.key, work.pack(made[node.id]), Record(tuple(told)))
            if node.id == last:
                break
        return blind(made[last])


class _Fitting:
    """The stages of one trial on one fold."""

    def __init__(self, bench: Bench, plan: Plan, fold: Fold) -> None:
        self.bench, self.plan, self.fold = bench, plan, fold
        self.graph = bench.graph_of(plan)
        self.work = bench._work(plan, self.graph, self.get)
        self.refits = Refits(bench.cache, self._lend, self.get)

    def get(self, id: str) -> Any:  # noqa: ANN401 - artifacts of every kind
        node = self.graph.nodes[id]
        if node.kind in ("data", "preprocess"):
            return self.fold.data
        key = key_of({"tune": node.key, "fold": self.fold.digest})
        bench = self.bench
        changes = id in bench.changed
        with bench.lock:
            if key in bench.fixed or key in bench.recent:
                return bench.fixed.get(key, bench.recent.get(key))
        ctx = self._context(node)
        stored = None if changes else bench.cache.load(key)
        if stored is not None:
            artifact = within(node, self.plan, lambda: self.work.unpack(node, stored[0], ctx))
        else:
            for earlier in (one for ids in (node.reads or {}).values() for one in ids):
                self.get(earlier)  # before this one's seed is set
            seed(node, self.plan)
            artifact = within(node, self.plan, lambda: self.work.compute(node, ctx))
            if not changes:
                # `profile forget` goes by 'of'.
                bench.cache.put(key, self.work.pack(artifact), Record(facts={"of": node.key}))
        with bench.lock:
            if not changes:
                bench.fixed[key] = artifact
            elif self.plan.final is not None and id != self.plan.final.id:
                bench.recent[key] = artifact
                while len(bench.recent) > KEPT:
                    bench.recent.popitem(last=False)
        return artifact

    def _context(self, node: Node) -> Context:
        return self.bench.context(node, self.plan, lambda data: self.refits.inputs(node, data))

    def _lend(self, node: Node, get: Callable[[str], Any]) -> tuple[Work, Context]:
        return self.bench._work(self.plan, self.graph, get), self._context(node)


def seed(node: Node, plan: Plan) -> None:
    """Seed the global generators as a run does."""
    foreign = node.stage is not None and node.stage.offer.namespace != BUILTIN
    seed_everything(stage_seed(plan.recipe.seed, node.id), torch=foreign)


def _downstream(plan: Plan, stages: Collection[str]) -> frozenset[str]:
    """These stages and all that take what they give."""
    found = set(stages)
    for stage in plan.stages:
        if found & set(stage.taken):
            found.add(stage.id)
    return frozenset(found)
