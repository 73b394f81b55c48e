"""Puts a Plan together, collecting every problem of shape, names, parameters and wiring on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet
from pydantic import ValidationError

from recprofile.artifacts import PositiveRule
from recprofile.components import Component, Params
from recprofile.errors import Problem, RecipeError, did_you_mean
from recprofile.metrics import metric_problem
from recprofile.plan.stages import Plan, PlannedStage
from recprofile.plan.wiring import Draft, Inputs, place, wire
from recprofile.recipe import Recipe, Stage, recipe_problems, well_formed_stages
from recprofile.registry import FIRST_PARTY, Offer, Registry
from recprofile.shape import problems_of, sort_problems
from recprofile.source import Source

Loc = tuple[str | int, ...]


def make_plan(source: Source, registry: Registry) -> Plan:
    """The Plan of a recipe.

    Raises RecipeError with all that is wrong with it, in file order: shape (RP2xx), names and plugins (RP3xx),
    wiring (RP4xx).
    """
    recipe, problems = recipe_problems(source)
    problems = [*source.problems, *problems]
    drafts, offers, found = _drafts(source, registry)
    problems += found
    stages: list[PlannedStage] = []
    for n, draft in enumerate(drafts):
        earlier = drafts[:n]
        inputs, wrong = wire(draft, earlier)
        problems += wrong + place(draft, earlier)
        if recipe is not None:
            problems += _needs(draft, recipe)
        if draft.component is not None and not wrong:
            stages.append(_planned(draft, offers[draft.index], draft.component, inputs))
    baselines: list[PlannedStage] = []
    if recipe is not None:
        baselines, wrong = _baselines(recipe, source, registry, {d.id for d in drafts})
        problems += wrong + _surroundings(recipe, source, registry)
    if problems or recipe is None:
        raise RecipeError(sort_problems(problems, source))
    name = recipe.name or source.path.stem
    rule = recipe.data.positive
    same = {b.id: next((s.id for s in stages if _same_work(s, b)), None) for b in baselines}
    plan = Plan(
        recipe,
        source,
        name,
        recipe.out or f"runs/{name}",
        tuple(stages),
        tuple(b for b in baselines if same[b.id] is None),
        tuple(b.offer.pinned for b in baselines),
        positive=PositiveRule(rule.op, rule.threshold) if rule else None,
    )
    final = plan.final.id if plan.final else None
    compared = [one for b in baselines if (one := same[b.id] or b.id) != final]
    return replace(plan, compared=tuple(dict.fromkeys(compared)))


def _same_work(stage: PlannedStage, baseline: PlannedStage) -> bool:
    """Whether a stage of the recipe is what a baseline would be, so that it is fitted once."""
    return (stage.verb, stage.offer, stage.component.params, stage.taken) == (
        baseline.verb,
        baseline.offer,
        baseline.component.params,
        baseline.taken,
    )


def _drafts(source: Source, registry: Registry) -> tuple[list[Draft], dict[int, Offer], list[Problem]]:
    """Stages with their components: those that have the shape of a stage and name a component that there is."""
    problems: list[Problem] = []
    drafts: list[Draft] = []
    offers: dict[int, Offer] = {}
    formed = well_formed_stages(source)
    ids = {stage.id for _, stage in formed if stage.id}
    used: dict[str, int] = {}
    for index, stage in formed:
        loc: Loc = ("stages", index)
        at = source.at((*loc, stage.verb))
        if stage.id and stage.id in used:
            first = source.at(("stages", used[stage.id])).line
            where, told = source.at((*loc, "id")), (f"the first is on line {first}",)
            problems.append(Problem("RP405", f"a second stage with the id '{stage.id}'", where, told))
        own = stage.id or _free_id(stage.use, ids)
        ids.add(own)
        used.setdefault(own, index)
        component: Component[Params] | None = None
        try:
            offers[index] = registry.find(stage.use, stage.verb, at)
        except RecipeError as error:
            problems += error.problems
        else:
            component, wrong = _component(offers[index], stage, source, loc)
            problems += wrong
        drafts.append(Draft(index, own, stage, component, at, source.at((*loc, "from")) if stage.from_ else at))
    return drafts, offers, problems


def _component(offer: Offer, stage: Stage, source: Source, loc: Loc) -> tuple[Component[Params] | None, list[Problem]]:
    model = offer.component.params_type
    try:
        return offer.component(model.model_validate(stage.with_)), []
    except ValidationError as error:
        # 'with' left out: its missing parameters are shown at the component's name
        prefix = (*loc, "with") if stage.with_ or source.at((*loc, "with")) != source.at(loc) else (*loc, stage.verb)
        return None, problems_of(error, source, prefix, model)


def _free_id(use: str, taken: set[str]) -> str:
    """An id for a stage that gives none: its component's own name, with a number where that is taken."""
    base = use.partition("@")[0].rpartition("/")[2]
    if base not in taken:
        return base
    n = 2
    while f"{base}-{n}" in taken:
        n += 1
    return f"{base}-{n}"


def _planned(draft: Draft, offer: Offer, component: Component[Params], inputs: Inputs) -> PlannedStage:  # fmt: skip
    stage = draft.stage
    return PlannedStage(draft.id, stage.verb, offer, component, inputs, stage.fail, ("stages", draft.index), draft.at)


def _needs(draft: Draft, recipe: Recipe) -> list[Problem]:
    """What a component needs of the data block that can be seen without reading a file."""
    component, use, data = draft.component, draft.stage.use, recipe.data
    if component is None:
        return []
    problems = []
    for needs, has, key in ((component.needs_items, data.items, "items"), (component.needs_users, data.users, "users")):
        if needs and has is None:
            helps = (f"add '{key}: <file>' to the data block",)
            problems.append(Problem("RP406", f"'{use}' needs a table of {key}", draft.at, helps))
    return problems


def _baselines(
    recipe: Recipe, source: Source, registry: Registry, taken: set[str]
) -> tuple[list[PlannedStage], list[Problem]]:
    named = recipe.evaluate.baselines
    uses = registry.baselines() if named is None else named
    planned: list[PlannedStage] = []
    problems: list[Problem] = []
    for n, use in enumerate(uses):
        at = source.at(("evaluate", "baselines", n)) if named is not None else None
        try:
            offer = registry.find(use, "recommend", at)
            component = offer.component(offer.component.params_type())
        except RecipeError as error:
            problems += error.problems
            continue
        except ValidationError:
            problems.append(Problem("RP404", f"'{use}' has parameters without a default, so it can be no baseline", at))
            continue
        if component.needs_profiles or getattr(component, "takes_rankers", False):
            message = f"'{use}' takes other stages, so it can be no baseline"
            problems.append(Problem("RP404", message, at, ("add it as a recommend stage: every one is evaluated",)))
            continue
        id = f"baseline-{offer.component.name}"
        if id in taken:
            problems.append(Problem("RP405", f"the id '{id}' is taken by a baseline", at))
        planned.append(PlannedStage(id, "recommend", offer, component, {}, at=at))
    return planned, problems


def _surroundings(recipe: Recipe, source: Source, registry: Registry) -> list[Problem]:
    """Problems outside the stages: metrics, plugin requirements, engine, what this version cannot do yet."""
    problems: list[Problem] = []
    for n, metric in enumerate(recipe.evaluate.metrics):
        wrong = metric_problem(metric)
        if wrong is not None:
            at = source.at(("evaluate", "metrics", n))
            problems.append(Problem("RP204", wrong.message, at, wrong.help))
    problems += _requirements(recipe, source, registry)
    if recipe.engine_name != "local":
        message = f"no engine '{recipe.engine_name}' is installed"
        problems.append(Problem("RP304", message, source.at(("engine",)), ("installed: local",)))
    for n, tracker in enumerate(recipe.track):
        at = source.at(("track", n))
        problems.append(Problem("RP304", f"no tracker '{tracker}' is installed", at, ("leave 'track' out",)))
    if recipe.publish is not None:
        helps = ("the profiles of a run are in its folder, under profiles/",)
        problems.append(Problem("RP205", "there is no profile store to publish to yet", source.at(("publish",)), helps))
    return problems


def _requirements(recipe: Recipe, source: Source, registry: Registry) -> list[Problem]:
    problems = []
    plugins = {plugin.namespace: plugin for plugin in registry.plugins}
    for namespace, wanted in recipe.plugins.items():
        at = source.at(("plugins", namespace), key=True)
        plugin = plugins.get(namespace)
        if plugin is None:
            known: Sequence[str] = [*FIRST_PARTY, *plugins]
            helps = (
                (f"install {FIRST_PARTY[namespace]}",) if namespace in FIRST_PARTY else did_you_mean(namespace, known)
            )
            problems.append(Problem("RP304", f"the namespace '{namespace}' is not installed", at, helps))
        elif not SpecifierSet(wanted).contains(plugin.version, prereleases=True):
            message = f"{plugin.distribution} {plugin.version} does not meet '{wanted}'"
            helps = (f"install '{plugin.distribution}{wanted}'",)
            problems.append(Problem("RP306", message, source.at(("plugins", namespace)), helps))
    return problems


def own_version() -> str:
    """The version of recprofile that is installed; '0' where it runs from a bare folder."""
    try:
        return version("recprofile")
    except PackageNotFoundError:
        return "0"
