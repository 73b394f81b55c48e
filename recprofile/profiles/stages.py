"""What a store needs of a Plan: the stages that made its profiles and that move them, and what a publication keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recprofile.assets import cache_root, resolve
from recprofile.components import Component, Context, Encoder, Fuser, IsAsset, Recommender, Updater
from recprofile.device import resolve_device, stage_seed
from recprofile.errors import RecipeError, RunError
from recprofile.interests import TagsParams
from recprofile.plan import Plan, PlannedStage
from recprofile.registry import Registry
from recprofile.source import expand_env


@dataclass(frozen=True)
class Stages:
    """The stages of a Plan, as a store names them; `fuse` is None for recommenders that need only a history."""

    plan: Plan
    registry: Registry
    warn: Callable[[str], None]
    fuse: PlannedStage | None

    @classmethod
    def of(cls, plan: Plan, registry: Registry, warn: Callable[[str], None]) -> Stages:
        """The stages: profiles are those that the final recommender stands on, else the last."""
        used = {id for stage in _chain(plan) for id in stage.inputs.get("fuse", ())}
        fuses = plan.of("fuse")
        fuse = next((stage for stage in fuses if stage.id in used), fuses[-1] if fuses else None)
        return cls(plan, registry, warn, fuse)

    @property
    def fuser(self) -> Fuser[Any] | None:
        """The component that fuses."""
        if self.fuse is None:
            return None
        assert isinstance(self.fuse.component, Fuser)
        return self.fuse.component

    @property
    def encoders(self) -> dict[str, PlannedStage]:
        """The encode stages whose vectors the profiles are made of, by id."""
        taken = self.fuse.inputs.get("encode", ()) if self.fuse else ()
        return {stage.id: stage for stage in self.plan.of("encode") if stage.id in taken}

    @property
    def update(self) -> PlannedStage | None:
        """The stage that moves the profiles: the last."""
        stages = self.plan.of("update")
        return stages[-1] if stages else None

    @property
    def updater(self) -> Updater[Any]:
        """The component that moves the profiles; raises RecipeError RP404 where the recipe has none."""
        if self.update is None:
            helps = ("add a stage: '- update: fold-in', or '- update: history' where nothing is fused",)
            at = self.plan.source.at(("stages",), key=True)
            raise RecipeError.of("RP404", "the recipe has no update stage", at=at, help=helps)
        assert isinstance(self.update.component, Updater)
        return self.update.component

    @property
    def rankers(self) -> list[PlannedStage]:
        """The final recommender and the rankers that it takes, they first, where they can rank from what a store holds.

        That is profiles, or a history; empty where they cannot.
        """
        chain = _chain(self.plan)
        mine = {self.fuse.id} if self.fuse else set()
        able = all(
            isinstance(one.component, Recommender) and (one.component.needs_profiles or one.component.ranks_new_users)
            for one in chain
        )
        return chain if able and all(set(stage.inputs.get("fuse", ())) <= mine for stage in chain) else []

    def same_as(self, facts: Mapping[str, Any]) -> None:
        """Raise RunError RP608 when the publication was made by other stages than the recipe has now."""
        mine = self.facts()
        for name in ("fuse", "encoders"):
            if mine[name] != facts[name]:
                what = "fuse stage" if name == "fuse" else "encode stages"
                message = f"the recipe's {what} changed since its profiles were published"
                raise RunError.of("RP608", message, help=("publish it again: recprofile publish RECIPE",))

    def facts(self) -> dict[str, Any]:
        """What a publication keeps of the plan."""
        final, lists, rule = self.plan.final, self.plan.recipe.lists, self.plan.positive
        return {
            "fuse": _said(self.fuse),
            "encoders": {id: _said(stage) for id, stage in self.encoders.items()},
            "again": [id for id, stage in self.encoders.items() if _makes_again(stage)],
            "update": _said(self.update),
            "final": _said(final),
            "rankers": [{**_all_said(stage), "from": dict(stage.inputs)} for stage in self.rankers],
            "reranks": [stage.id for stage in self.plan.of("rerank")],
            "list": {"k": lists.k, "exclude_seen": lists.exclude_seen, "candidates": lists.candidates},
            "rule": [rule.op, rule.threshold] if rule else None,
            "interests": self._interests(),
        }

    def _interests(self) -> dict[str, Any] | None:
        """The columns whose values a card names as interests: those of the first stage that encodes categories."""
        for stage in self.encoders.values():
            params = stage.params()
            of_values = "weighting" in params or isinstance(stage.component.params, TagsParams)
            if params.get("columns") and of_values and params.get("axis", "item") == "item":
                return {"columns": list(params["columns"]), "separator": params.get("separator")}
        return None

    def context(self, stage: PlannedStage, paths: Mapping[str, Path] | None = None) -> Context:
        """The Context of a stage that runs for a store.

        On the CPU, unless the recipe names another device or the stage encodes: a few users are done there sooner than
        a device is looked for.
        """
        seed = stage_seed(self.plan.recipe.seed, stage.id)
        named = self.plan.recipe.device
        at_once = named == "auto" and stage.verb != "encode"
        device = "cpu" if at_once else resolve_device(named, self.plan.source.at(("device",)))
        found = paths or {}
        return Context(stage.id, device, seed, self.warn, asset=lambda uri: found[uri], store=cache_root() / "inputs")

    def encoder(self, id: str) -> tuple[Encoder[Any], Context]:
        """An encode stage's component, and its Context with its models found or fetched."""
        stage = self.encoders[id]
        schemes = self.registry.sources()
        paths = {}
        for name, _, uri in stage.marked(IsAsset):
            base = self.plan.source.folder((*(stage.loc or ()), "with", name))
            paths[uri] = resolve(expand_env(uri), base=base, cache=cache_root(), schemes=schemes).path
        assert isinstance(stage.component, Encoder)
        return stage.component, self.context(stage, paths)


def component_of(said: Mapping[str, Any], verb: str, registry: Registry) -> Component[Any]:
    """The component that a publication kept, by its pinned name and parameters; raises RecipeError RP301 to RP305."""
    offer = registry.find(said["use"], verb, None)
    return offer.component(offer.component.params_type.model_validate(said["params"]))


def _said(stage: PlannedStage | None) -> dict[str, Any] | None:
    return None if stage is None else _all_said(stage)


def _makes_again(stage: PlannedStage) -> bool:
    assert isinstance(stage.component, Encoder)
    return stage.component.makes_again()


def _all_said(stage: PlannedStage) -> dict[str, Any]:
    return {"id": stage.id, "use": stage.offer.pinned, "params": stage.params()}


def _chain(plan: Plan) -> list[PlannedStage]:
    """The final recommend stage and those that it rests on, in the order of the recipe."""
    if plan.final is None:
        return []
    needed = {plan.final.id}
    for stage in reversed(plan.of("recommend")):
        if stage.id in needed:
            needed |= set(stage.inputs.get("recommend", ()))
    return [stage for stage in plan.of("recommend") if stage.id in needed]
