"""Puts a Plan together, collecting every problem of shape, names, parameters and wiring on the way."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version

from pydantic import ValidationError

from recprofile.artifacts import PositiveRule
from recprofile.components import Component, Params
from recprofile.errors import Problem, RecipeError, Span, quoted
from recprofile.plan.marks import file_problems, stage_problems
from recprofile.plan.stages import Plan, PlannedStage
from recprofile.plan.surroundings import surroundings, written_texts
from recprofile.plan.tuning import tuning_problems
from recprofile.plan.wiring import Draft, Inputs, place, wire
from recprofile.recipe import VERBS, DataBlock, Stage, recipe_problems, well_formed_stages
from recprofile.registry import BUILTIN, Offer, Registry
from recprofile.shape import problems_of, sort_problems
from recprofile.source import Source

Loc = tuple[str | int, ...]
# Ids that a run gives to its own work.
RESERVED = {"data": "the data as they were read", "evaluation": "what is measured"}
MAX_ID = 36  # of the 40 characters that an id may have, so that a number fits


@dataclass(frozen=True)
class Judgement:
    """What can be said of a recipe without its data: the Plan, or None and what is wrong, in file order.

    `stages` are those whose component and parameters are right, whatever the rest is like.
    """

    plan: Plan | None
    problems: tuple[Problem, ...]
    stages: tuple[PlannedStage, ...]


def make_plan(source: Source, registry: Registry) -> Plan:
    """The Plan of a recipe.

    Raises RecipeError with all that is wrong with it, in file order: shape (RP2xx), names and plugins (RP3xx),
    wiring (RP4xx).
    """
    made = judge(source, registry)
    if made.plan is None:
        raise RecipeError(made.problems)
    return made.plan


def judge(source: Source, registry: Registry) -> Judgement:
    """The Plan of a recipe, or all that is wrong with it; see `make_plan`."""
    recipe, problems = recipe_problems(source)
    problems = [*source.problems, *problems]
    drafts, offers, found = _drafts(source, registry)
    problems += found
    tables = _tables(source)
    stages: list[PlannedStage] = []
    for n, draft in enumerate(drafts):
        earlier = drafts[:n]
        inputs, wrong = wire(draft, earlier)
        problems += wrong + place(draft, earlier)
        if draft.component is not None:
            problems += _needs(draft.component, draft.use, tables, draft.at)
            stage = _planned(draft, offers[draft.index], draft.component, inputs)
            stages.append(stage)
            if not wrong:
                named = draft.stage.from_ if draft.stage else ()
                problems += stage_problems(stage, source, registry, named=named)
    baselines, wrong = _baselines(source, registry, drafts, tables)
    problems += wrong + surroundings(source, registry)
    if recipe is not None:
        problems += file_problems(recipe, source, registry)
    ids = {draft.id: draft.index for draft in drafts}
    problems += tuning_problems(source, stages, ids, whole=recipe is not None and not problems)
    if problems or recipe is None:
        return Judgement(None, tuple(sort_problems(problems, source)), tuple(stages))
    name = recipe.name or source.path.stem
    rule = recipe.data.positive
    same = {b.id: next((s.id for s in stages if _same_work(s, b)), None) for b in baselines}
    ranks = any(stage.verb == "recommend" for stage in stages)  # else there is nothing to compare
    plan = Plan(
        recipe,
        source,
        name,
        recipe.out or f"runs/{name}",
        tuple(stages),
        tuple(b for b in baselines if ranks and same[b.id] is None),
        tuple(b.offer.pinned for b in baselines),
        positive=PositiveRule(rule.op, rule.threshold) if rule else None,
        build=next((p.build for p in registry.plugins if p.namespace == BUILTIN), ""),
    )
    final = plan.final.id if plan.final else None
    compared = [one for b in baselines if ranks and (one := same[b.id] or b.id) != final]
    return Judgement(replace(plan, compared=tuple(dict.fromkeys(compared))), (), plan.stages)


def _same_work(stage: PlannedStage, baseline: PlannedStage) -> bool:
    """Whether a stage of the recipe is what a baseline would be, so that it is fitted once."""
    return (stage.verb, stage.offer, stage.component.params, stage.taken) == (
        baseline.verb,
        baseline.offer,
        baseline.component.params,
        baseline.taken,
    )


def _drafts(source: Source, registry: Registry) -> tuple[list[Draft], dict[int, Offer], list[Problem]]:
    """Every stage, with its component where it has the shape of a stage and names a component that there is."""
    problems: list[Problem] = []
    drafts: list[Draft] = []
    offers: dict[int, Offer] = {}
    formed = dict(well_formed_stages(source))
    written = source.plain().get("stages")
    raw = written if isinstance(written, list) else []
    ids = {*RESERVED, *(one["id"] for one in raw if isinstance(one, dict) and isinstance(one.get("id"), str))}
    used: dict[str, int] = {}
    for index, one in enumerate(raw):
        loc: Loc = ("stages", index)
        stage = formed.get(index)
        verb, use, given = (stage.verb, stage.use, stage.id) if stage else _meant(one)
        at = source.at((*loc, verb)) if verb else source.at(loc)
        if given is not None and (wrong := _id_problem(given, index, used, source)):
            problems.append(wrong)
        own = given if given is not None else _free_id(verb or "stage", use, ids)
        ids.add(own)
        used.setdefault(own, index)
        component: Component[Params] | None = None
        if verb is not None and use:
            try:
                offers[index] = registry.find(use, verb, at)
            except RecipeError as error:
                problems += error.problems
            else:
                made, found = _component(offers[index], verb, one.get("with", {}), source, loc)
                # A misspelt 'with' has been said; what it would have held is not missing as well.
                problems += found if stage or "with" in one else []
                component = made if stage else None
        from_at = tuple(source.at((*loc, "from", n)) for n in range(len(stage.from_) if stage else 0))
        may_be: tuple[str, ...] = ()
        if given is None and (stage is None or index not in offers):
            texts = one.values() if isinstance(one, dict) else ()
            may_be = (own, *(text for text in texts if isinstance(text, str)))
        drafts.append(Draft(index, own, verb, use, at, stage, component, from_at, may_be))
    return drafts, offers, problems


def _meant(stage: object) -> tuple[str | None, str, str | None]:
    """Verb, component and id of a stage that has not the shape of one, as far as they can be told."""
    if not isinstance(stage, dict):
        return None, "", None
    verbs = [verb for verb in VERBS if verb in stage]
    verb = verbs[0] if len(verbs) == 1 else None
    use = stage.get(verb) if verb else None
    id = stage.get("id")
    try:
        named = Stage.model_validate({"encode": "any", "id": id}).id
    except ValidationError:
        named = None
    return verb, use if isinstance(use, str) else "", named


def _id_problem(id: str, index: int, used: Mapping[str, int], source: Source) -> Problem | None:
    at = source.at(("stages", index, "id"))
    if id in used:
        told = (f"the first is on line {source.at(('stages', used[id])).line}",)
        return Problem("RP405", f"a second stage with the id {quoted(id)}", at, told)
    if id in RESERVED:
        return Problem("RP405", f"the id '{id}' is taken: it stands for {RESERVED[id]}", at)
    return None


def _component(
    offer: Offer, verb: str, params: object, source: Source, loc: Loc
) -> tuple[Component[Params] | None, list[Problem]]:
    """The component of a stage with its parameters, or None and what is wrong with those."""
    model = offer.component.params_type
    if not isinstance(params, dict):  # recipe_problems says so
        return None, []
    try:
        return offer.component(model.model_validate(params)), []
    except ValidationError as error:
        # 'with' left out: its missing parameters are shown at the component's name
        has_with = source.reach((*loc, "with"))[1] == len(loc) + 1
        return None, problems_of(error, source, (*loc, "with" if has_with else verb), model)


def _free_id(verb: str, use: str, taken: Collection[str]) -> str:
    """An id for a stage that gives none: its component's own name, with a number where that is taken."""
    base = use.partition("@")[0].rpartition("/")[2]
    if not base[:1].isalpha():  # an id begins with a letter, a component's name need not
        base = f"{verb}-{base}".rstrip("-")
    base = base[:MAX_ID]
    if base not in taken:
        return base
    n = 2
    while f"{base}-{n}" in taken:
        n += 1
    return f"{base}-{n}"


def _planned(draft: Draft, offer: Offer, component: Component[Params], inputs: Inputs) -> PlannedStage:
    assert draft.stage is not None  # a stage with a component has the shape of one
    loc = ("stages", draft.index)
    return PlannedStage(draft.id, draft.stage.verb, offer, component, inputs, draft.stage.fail, loc, draft.at)


def _tables(source: Source) -> frozenset[str]:
    """Which tables the data block names; all when it is wrong, for then that has been said."""
    data = source.plain().get("data")
    try:
        block = DataBlock.model_validate(data)
    except ValidationError:
        return frozenset(("items", "users"))
    return frozenset(key for key in ("items", "users") if getattr(block, key) is not None)


def _needs(component: Component[Params], use: str, tables: Collection[str], at: Span | None) -> list[Problem]:
    """What a component needs of the data block that can be seen without reading a file."""
    problems = []
    for needs, key in ((component.needs_items, "items"), (component.needs_users, "users")):
        if needs and key not in tables:
            helps = (f"add '{key}: <file>' to the data block",)
            problems.append(Problem("RP406", f"{quoted(use)} needs a table of {key}", at, helps))
    return problems


def _baselines(
    source: Source, registry: Registry, drafts: Sequence[Draft], tables: Collection[str]
) -> tuple[list[PlannedStage], list[Problem]]:
    named = written_texts(source, ("evaluate", "baselines"))
    uses = [(use, None) for use in registry.baselines()] if named is None else named
    planned: list[PlannedStage] = []
    problems: list[Problem] = []
    for use, at in uses:
        try:
            offer = registry.find(use, "recommend", at)
            component = offer.component(offer.component.params_type())
        except RecipeError as error:
            problems += error.problems
            continue
        except ValidationError:
            message = f"{quoted(use)} has parameters without a default, so it can be no baseline"
            problems.append(Problem("RP404", message, at, ("add it as a recommend stage: every one is evaluated",)))
            continue
        if component.needs_profiles or getattr(component, "takes_rankers", False):
            message = f"{quoted(use)} takes other stages, so it can be no baseline"
            problems.append(Problem("RP404", message, at, ("add it as a recommend stage: every one is evaluated",)))
            continue
        problems += _needs(component, use, tables, at)
        id = f"baseline-{offer.name.replace('/', '-')}"
        if id in (one.id for one in planned):
            problems.append(Problem("RP205", f"{quoted(use)} stands twice in 'baselines'", at))
            continue
        for draft in drafts:
            if draft.id == id:
                where = source.at(("stages", draft.index, "id"))
                problems.append(Problem("RP405", f"the id '{id}' is taken: it stands for the baseline '{use}'", where))
        planned.append(PlannedStage(id, "recommend", offer, component, {}, at=at))
    return planned, problems


def own_version() -> str:
    """The version of recprofile that is installed; '0' where it runs from a bare folder."""
    try:
        return version("recprofile")
    except PackageNotFoundError:
        return "0"
