"""What a Plan is made of: stages with their component, parameters and inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from recprofile.artifacts import PositiveRule
from recprofile.components import ColumnsOf, Component, IsAsset, NamesInputs, Tunable
from recprofile.errors import Span
from recprofile.recipe import Evaluate, FileSplit, Recipe, parse_metric
from recprofile.registry import Offer
from recprofile.source import Source

Loc = tuple[str | int, ...]


@dataclass(frozen=True)
class PlannedStage:
    """One stage: what runs, with which parameters, on the results of which earlier stages.

    `inputs` are ids of earlier stages by what they give: 'encode', 'fuse', 'recommend'. `loc` is its place in the
    recipe, None for a baseline, which stands in no recipe.
    """

    id: str
    verb: str
    offer: Offer
    component: Component[Any]
    inputs: Mapping[str, tuple[str, ...]]
    fail: str = "error"
    loc: tuple[str | int, ...] | None = None
    at: Span | None = None

    @property
    def taken(self) -> tuple[str, ...]:
        """Ids of all the stages whose results this one takes."""
        return tuple(id for ids in self.inputs.values() for id in ids)

    def params(self) -> dict[str, Any]:
        """All parameters as plain data, defaults filled in."""
        filled: dict[str, Any] = self.component.params.to_data()
        return filled

    def marked(
        self, kind: type[IsAsset] | type[ColumnsOf] | type[NamesInputs] | type[Tunable]
    ) -> Iterator[tuple[str, Any, Any]]:
        """Parameters with a mark of this kind: name, mark, value; those that are None are left out."""
        for name, info in type(self.component.params).model_fields.items():
            value = getattr(self.component.params, name)
            marks = [*info.metadata, *_inner_marks(info.annotation)]
            mark = next((m for m in marks if isinstance(m, kind)), None)
            if mark is not None and value is not None:
                yield name, mark, value


def _inner_marks(annotation: object) -> tuple[object, ...]:
    """Marks inside a union, as in `Asset | None`."""
    return tuple(m for arm in getattr(annotation, "__args__", ()) for m in getattr(arm, "__metadata__", ()))


@dataclass(frozen=True)
class Plan:
    """A recipe ready to run: every name pinned, every parameter filled, every input wired."""

    recipe: Recipe
    source: Source
    name: str
    out: str
    stages: tuple[PlannedStage, ...]
    baselines: tuple[PlannedStage, ...] = ()
    baseline_uses: tuple[str, ...] = ()  # pinned names, those included that a stage of the recipe already is
    compared: tuple[str, ...] = ()  # stages and baselines that the final ranker is compared with
    positive: PositiveRule | None = None
    build: str = ""  # of recprofile itself, see registry.Plugin

    def of(self, *verbs: str) -> tuple[PlannedStage, ...]:
        """The recipe's stages of these verbs, in order."""
        return tuple(stage for stage in self.stages if stage.verb in verbs)

    @property
    def final(self) -> PlannedStage | None:
        """The last recommend stage that no other one takes: it makes the Recommendations."""
        taken = {id for stage in self.of("recommend") for id in stage.inputs.get("recommend", ())}
        return next((s for s in reversed(self.of("recommend")) if s.id not in taken), None)

    @property
    def cutoffs(self) -> tuple[int, ...]:
        """The k of every metric that has one."""
        return tuple(k for _, k in map(parse_metric, self.recipe.evaluate.metrics) if k is not None)

    def filled(self) -> dict[str, Any]:
        """The recipe as plain data that says everything: pinned names, ids, parameters, inputs; itself a recipe."""
        data = self.recipe.to_data()
        data |= {"name": self.recipe.name or _as_name(self.name), "out": self.out}
        data["stages"] = [_stage_data(stage) for stage in self.stages]
        evaluate = {**data["evaluate"], "baselines": list(self.baseline_uses)}
        data["evaluate"] = {key: evaluate[key] for key in Evaluate.known_keys() if key in evaluate}
        return {key: data[key] for key in Recipe.known_keys() if key in data}


def _as_name(file: str) -> str:
    """A name that a recipe may have, from that of its file."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", file).strip("._-")[:100] or "recipe"


def _stage_data(stage: PlannedStage) -> dict[str, Any]:
    data: dict[str, Any] = {stage.verb: stage.offer.pinned, "id": stage.id}
    if params := stage.params():
        data["with"] = params
    if stage.taken:
        data["from"] = list(stage.taken)
    if stage.verb == "check":
        data["fail"] = stage.fail
    return data


def data_files(recipe: Recipe, source: Source) -> Iterator[tuple[str, str, Loc]]:
    """Files that a recipe itself names: key, address as written, and where it is written.

    'interactions', 'items', 'users', 'test', 'valid', and 'candidates'.
    """
    data, split = recipe.data, recipe.data.split
    for name, block in (("interactions", data.interactions), ("items", data.items), ("users", data.users)):
        if block is not None:
            written, _ = source.reach(("data", name))
            loc: Loc = ("data", name)
            yield name, block.path, (*loc, "path") if isinstance(written.value, dict) else loc
    if isinstance(split, FileSplit):
        yield "test", split.test, ("data", "split", "test")
        if split.valid is not None:
            yield "valid", split.valid, ("data", "split", "valid")
    if recipe.lists.candidates not in ("all", "cold"):
        yield "candidates", recipe.lists.candidates, ("list", "candidates")


def query_of(recipe: Recipe, name: str) -> str | None:
    """The query of one of the `data_files`, where it has one."""
    return getattr(getattr(recipe.data, name, None), "query", None)
