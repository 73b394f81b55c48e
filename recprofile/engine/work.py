"""How each kind of work is done, and how its result goes to the cache and comes back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

import numpy as np
import polars as pl

from recprofile.artifacts import (
    BoolArray,
    CheckResult,
    Dataset,
    Embeddings,
    Encoded,
    Explanations,
    FloatArray,
    Pack,
    Profiles,
    Recommendations,
)
from recprofile.assets import Asset
from recprofile.components import (
    Check,
    Context,
    Encoder,
    Explainer,
    Fuser,
    Inputs,
    LearningPreprocessor,
    Preprocessor,
    Ranker,
    Recommender,
    Reranker,
)
from recprofile.dataset import load_dataset, read_ids
from recprofile.engine.nodes import Graph, Node, fills_of
from recprofile.errors import ArtifactError, DataError
from recprofile.evaluate import Entry, Evaluation, evaluate
from recprofile.executor import Executor
from recprofile.interests import gathered_cards
from recprofile.plan import Plan
from recprofile.ranking import candidate_mask, rank

T = TypeVar("T")
Artifact: TypeAlias = Any  # of whichever kind; checked by `_expect` where it is used
Get = Callable[[str], Artifact]  # the result of a node


class Work:
    """What the pieces of work of one run share: the Plan, its graph and data files, and the results so far."""

    def __init__(self, plan: Plan, graph: Graph, files: Mapping[str, Asset], executor: Executor, get: Get) -> None:
        self.plan, self.graph, self.files, self.executor, self._get = plan, graph, files, executor, get

    def compute(self, node: Node, ctx: Context) -> Artifact:
        """The artifact of a node, checked for its type."""
        if node.kind == "data":
            return self._load(ctx)
        return getattr(self, f"_{node.kind}")(node, ctx)

    def pack(self, artifact: Artifact) -> Pack:
        """The artifact as the cache keeps it."""
        packed: Pack = artifact.pack()
        return packed

    def unpack(self, node: Node, pack: Pack, ctx: Context) -> Artifact:
        """The artifact that `pack` packed."""
        if node.kind == "recommend":
            component = _component(node, Recommender)
            return component.restore(pack, self._data(node), self.inputs(node), ctx)
        kinds: Mapping[str, Any] = {
            "data": Dataset,
            "preprocess": Dataset,
            "encode": Encoded,
            "fuse": Profiles,
            "update": Profiles,
            "lists": Recommendations,
            "rerank": Recommendations,
            "evaluation": Evaluation,
            "check": CheckResult,
            "explain": Explanations,
        }
        return kinds[node.kind].unpack(pack)

    def _data(self, node: Node) -> Dataset:
        data: Dataset = self._get(node.data)
        return data

    def _read(self, node: Node, role: str, kind: type[T]) -> dict[str, T]:
        return {id: _expect(self._get(id), kind, node) for id in (node.reads or {}).get(role, ())}

    def inputs(self, node: Node) -> Inputs:
        """What earlier stages gave a stage."""
        profiles = self._read(node, "fuse", Profiles)
        # What the engine calls 'ranker' is not an input of the stage but what it works on.
        return Inputs(
            next(iter(profiles.values()), None),
            self._read(node, "encode", Encoded),
            self._read(node, "recommend", Ranker),
        )

    def candidates(self, data: Dataset, ctx: Context | None = None) -> BoolArray | None:
        """Items that may be recommended; None for all. Raises DataError at the recipe's key when there are none."""
        spec, at = self.plan.recipe.lists.candidates, self.plan.source.at(("list", "candidates"))
        file = self.files.get("candidates")
        ids: pl.Series | None = None if file is None else read_ids(file.path, spec, at=at)
        try:
            mask, note = candidate_mask(spec, data, ids=ids)
        except DataError as error:
            raise DataError(replace(problem, at=at) for problem in error.problems) from None
        if note is not None and ctx is not None:
            ctx.warn(note)
        return mask

    def _load(self, ctx: Context) -> Dataset:
        recipe, source = self.plan.recipe, self.plan.source
        return load_dataset(
            recipe.data,
            files={name: asset.path for name, asset in self.files.items()},
            span=lambda loc, key=False: source.at(("data", *loc), key=key),
            seed=recipe.seed,
            fills=fills_of(self.plan),
            warn=ctx.warn,
        )

    def _preprocess(self, node: Node, ctx: Context) -> Dataset:
        component, data = _component(node, Preprocessor), self._data(node)
        if not isinstance(component, LearningPreprocessor):
            return _expect(component.preprocess(data, ctx), Dataset, node)
        try:  # what is applied is what the run folder and stores keep, to the last digit
            learnt = json.loads(json.dumps(component.learn(data, ctx), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ArtifactError(f"{node.component} learnt what is no plain value: {error}") from None
        made = _expect(component.apply(learnt, data, ctx), Dataset, node)
        return replace(made, learnt={**data.learnt, node.id: learnt})

    def _encode(self, node: Node, ctx: Context) -> Encoded:
        data = self._data(node)
        given = _component(node, Encoder).encode(data, ctx)
        encoded = Encoded.of(given if isinstance(given, Embeddings) else _expect(given, Encoded, node))
        for side, ids in ((encoded.items, data.items.ids), (encoded.users, data.users.ids)):
            if side is not None and side.ids != ids:
                raise ArtifactError(f"an encoder gave {side.axis} vectors for other ids than the data have")
        return encoded

    def _fuse(self, node: Node, ctx: Context) -> Profiles:
        data, encoded = self._data(node), self._read(node, "encode", Encoded)
        profiles = _expect(_component(node, Fuser).fuse(encoded, data, ctx), Profiles, node)
        if profiles.users != data.users.ids or profiles.items != data.items.ids:
            raise ArtifactError("a fuser gave profiles for other ids than the data have")
        return profiles if profiles.cards.width else replace(profiles, cards=gathered_cards(profiles.users, encoded))

    def _recommend(self, node: Node, ctx: Context) -> Ranker:
        fitted = _component(node, Recommender).fit(self._data(node), self.inputs(node), ctx)
        return _expect(fitted, Ranker, node)

    def _lists(self, node: Node, ctx: Context) -> Recommendations:
        data = self._data(node)
        (ranker,) = self._read(node, "ranker", Ranker).values()
        progress = ctx.progress(data.n_users, "users")
        rules = self.plan.recipe.lists
        return rank(
            ranker,
            data,
            k=min(node.depth, data.n_items),
            exclude_seen=rules.exclude_seen,
            candidates=self.candidates(data, ctx),
            progress=progress.add,
            executor=self.executor,
        )

    def _rerank(self, node: Node, ctx: Context) -> Recommendations:
        (lists,) = self._read(node, "lists", Recommendations).values()
        given = _component(node, Reranker).rerank(lists, self.inputs(node), self._data(node), ctx)
        return _expect(given, Recommendations, node)

    def lists_given_out(self, node_id: str) -> Recommendations:
        """The final lists, cut to the length that the recipe asks for."""
        lists: Recommendations = self._get(node_id)
        return lists.cut(self.plan.recipe.lists.k)

    def _evaluation(self, node: Node, ctx: Context) -> Evaluation:
        data = self._data(node)
        recipe, settings = self.plan.recipe, self.plan.recipe.evaluate
        rankers = self._read(node, "ranker", Ranker)
        entries = [
            Entry(
                id=judged.ranker,
                component=self.graph.nodes[judged.ranker].component,
                role=judged.role,
                recs=self._get(judged.lists),
                ranker=rankers[judged.ranker] if judged.after is None else None,
                after=judged.after,
            )
            for judged in self.graph.judged
        ]
        return evaluate(
            entries,
            data,
            metrics=settings.metrics,
            candidates=self.candidates(data, ctx),
            exclude_seen=recipe.lists.exclude_seen,
            groups=settings.groups,
            resamples=settings.bootstrap,
            confidence=settings.confidence,
            seed=ctx.seed,
            item_vectors=self._item_vectors(node),
        )

    def _item_vectors(self, node: Node) -> FloatArray | None:
        """Vectors that intra-list diversity is measured with: those of the profiles, else of the first encoder."""
        for found in map(self._get, (node.reads or {}).get("vectors", ())):
            if isinstance(found, Profiles):
                return found.item_vectors
            if isinstance(found, Encoded) and found.items is not None:
                return found.items.vectors
        return None

    def _check(self, node: Node, ctx: Context) -> CheckResult:
        (lists,) = (node.reads or {})["lists"]
        given = _component(node, Check).check(self.lists_given_out(lists), self.inputs(node), self._data(node), ctx)
        return _expect(given, CheckResult, node)

    def _explain(self, node: Node, ctx: Context) -> Explanations:
        (lists,) = (node.reads or {})["lists"]
        (ranker,) = self._read(node, "ranker", Ranker).values()
        given = _component(node, Explainer).explain(
            self.lists_given_out(lists), ranker, self.inputs(node), self._data(node), ctx
        )
        return _expect(given, Explanations, node)

    def _update(self, node: Node, ctx: Context) -> Profiles:
        """A run has no later events: profiles stay as they are, and the stage waits for some."""
        if not (node.reads or {}).get("fuse"):
            return empty_profiles(self._data(node))
        (profiles,) = self._read(node, "fuse", Profiles).values()
        return profiles


def empty_profiles(data: Dataset) -> Profiles:
    """Profiles that are nothing but the users' history, for recommenders that need no other."""
    users, items = np.zeros((data.n_users, 0), np.float32), np.zeros((data.n_items, 0), np.float32)
    return Profiles(data.users.ids, data.items.ids, users, items, (), ~data.cold_users())


def _component(node: Node, kind: type[T]) -> T:
    assert node.stage is not None
    component = node.stage.component
    assert isinstance(component, kind)
    return component


def _expect(artifact: object, kind: type[T], node: Node) -> T:
    """The artifact, or ArtifactError when a component returned something else."""
    if not isinstance(artifact, kind):
        raise ArtifactError(f"{node.component} returned {type(artifact).__name__}, and must return {kind.__name__}")
    return artifact
