"""Which parameters of a Plan are searched: the recipe's `tune.ranges`, or what components mark as Tunable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from recprofile.components import Tunable
from recprofile.errors import Problem, Span, did_you_mean, quoted
from recprofile.metrics import METRICS, PerUserMetric, metric_problem
from recprofile.plan.stages import Plan, PlannedStage
from recprofile.recipe import Range
from recprofile.shape import problems_of
from recprofile.source import Entry, Source
from recprofile.source.tree import child, replaced

Loc = tuple[str | int, ...]
FITTED = ("encode", "fuse", "recommend")


@dataclass(frozen=True)
class Knob:
    """A parameter that is searched: its path, its stage and place in the recipe, what it may be, and what it is.

    Whole numbers only where `whole`; `values` in place of bounds where there are some.
    """

    path: str
    stage: str
    loc: Loc
    own: Any
    low: float = 0
    high: float = 0
    log: bool = False
    whole: bool = False
    values: tuple[Any, ...] = ()
    at: Span | None = None

    @property
    def short(self) -> str:
        """Its name in a table: 'ease.l2'."""
        return ".".join((self.stage, *map(str, self.loc[3:])))

    def says(self) -> dict[str, Any]:
        """What it may be, as plain data."""
        bounds = {"low": self.low, "high": self.high, "log": self.log, "whole": self.whole}
        return {"values": list(self.values)} if self.values else bounds


def knobs_of(plan: Plan) -> tuple[Knob, ...]:
    """What is searched: the recipe's ranges, or else the marked parameters of what the final recommender stands on."""
    ranges = plan.recipe.tune.ranges if plan.recipe.tune else {}
    stages = {stage.id: stage for stage in plan.stages}
    if ranges:
        ids = {stage.id: int(stage.loc[1]) for stage in plan.stages if stage.loc}
        at_index = {index: id for id, index in ids.items()}
        knobs = []
        for path, span in ranges.items():
            index, rest = _place(path, ids, len(stages)) or (0, ())
            at = plan.source.at(("tune", "ranges", path), key=True)
            knobs.append(_knob(path, stages[at_index[index]], rest, span, at))
        return tuple(knobs)
    found = []
    line = line_of(plan.stages)
    for stage in plan.stages:
        for name, mark, _ in stage.marked(Tunable) if stage.id in line else ():
            span = Range(low=mark.low, high=mark.high, log=mark.log, values=mark.values or None)
            found.append(_knob(f"stages.{stage.id}.with.{name}", stage, (name,), span, stage.at))
    return tuple(found)


def line_of(stages: Sequence[PlannedStage]) -> tuple[str, ...]:
    """Ids of the final recommender and of all stages that it stands on; none without a recommender."""
    taken = {id for stage in stages if stage.verb == "recommend" for id in stage.inputs.get("recommend", ())}
    final = next((s for s in reversed(stages) if s.verb == "recommend" and s.id not in taken), None)
    by_id = {stage.id: stage for stage in stages}
    line: list[str] = []
    waiting = [final.id] if final else []
    while waiting:
        id = waiting.pop()
        if id in by_id and id not in line:
            line.append(id)
            waiting += by_id[id].taken
    return tuple(line)


def changed(source: Source, values: Mapping[Loc, Entry]) -> Source:
    """The recipe with other values at these places."""
    root = source.root
    for loc, entry in values.items():
        root = _put(root, loc, entry)
    return replace(source, root=root)


def tuning_problems(
    source: Source, stages: Sequence[PlannedStage], ids: Mapping[str, int], *, whole: bool
) -> list[Problem]:
    """What is wrong with the block `tune`, but for its shape: its metric, and ranges that no parameter can take.

    `stages` are those that are right by themselves, `ids` the places of all; `whole`: the rest of the recipe is right,
    so that it is known which stage is the final recommender.
    """
    tune = source.plain().get("tune")
    if not isinstance(tune, dict):
        return []
    problems = list(_metric_problems(tune.get("metric"), source))
    ranges = tune.get("ranges")
    used: dict[Loc, str] = {}
    for path, written in (ranges if isinstance(ranges, dict) else {}).items():
        at = source.at(("tune", "ranges", path), key=True)
        found = _place(path, ids, len(ids))
        if found is None:
            problems.append(_unknown(path, ids, at))
            continue
        index, rest = found
        stage = next((one for one in stages if one.loc == ("stages", index)), None)
        if stage is None:  # wrong itself, which is said
            continue
        loc: Loc = (index, *rest)
        wrong = _misplaced(stage, stages, at, whole=whole)
        if loc in used:
            wrong = [Problem("RP205", f"{quoted(path)} and {quoted(used[loc])} are one parameter", at)]
        used.setdefault(loc, path)
        problems += wrong or _misfits(path, written, stage, rest, source)
    return problems


def _metric_problems(metric: object, source: Source) -> Iterator[Problem]:
    at = source.at(("tune", "metric"))
    if not isinstance(metric, str):
        return
    if (wrong := metric_problem(metric)) is not None:
        yield Problem(wrong.code, wrong.message, at, wrong.help)
        return
    per_user = [n for n, one in METRICS.items() if isinstance(one, PerUserMetric) and not one.needs_vectors]
    if "@" in metric and metric.partition("@")[0] not in per_user:
        known = [f"{name}@10" for name in per_user]
        message = f"{quoted(metric)} is not defined for each user, so that trials cannot be compared by it"
        yield Problem("RP204", message, at, (f"metrics that are: {', '.join(known)}",))


def _place(path: str, ids: Mapping[str, int], count: int) -> tuple[int, tuple[str, ...]] | None:
    """The stage that a path names by id or place, and the keys below its 'with'; None when it names none."""
    first, _, after = path.partition(".")
    name, _, below = after.partition(".")
    with_, _, rest = below.partition(".")
    keys = tuple(rest.split("."))
    if first != "stages" or with_ != "with" or not all(keys):
        return None
    if name in ids:
        return ids[name], keys
    if name.isascii() and name.isdigit() and len(name) < 7 and int(name) < count:
        return int(name), keys
    return None


def _unknown(path: str, ids: Mapping[str, int], at: Span) -> Problem:
    parts = path.split(".")
    if len(parts) > 3 and parts[0] == "stages" and parts[2] == "with":
        return Problem("RP201", f"no stage has the id or place {quoted(parts[1])}", at, did_you_mean(parts[1], ids))
    example = f"write stages.{next(iter(ids), 'ease')}.with.<parameter>"
    return Problem("RP201", f"{quoted(path)} is no parameter of a stage", at, (example,))


def _misplaced(stage: PlannedStage, stages: Sequence[PlannedStage], at: Span, *, whole: bool) -> list[Problem]:
    """RP205 for a stage that has no part in what is judged."""
    if stage.verb not in FITTED:
        message = f"a {stage.verb} stage is not searched: what is judged is the final recommender, on the same data"
        return [Problem("RP205", message, at, (f"verbs of stages that are: {', '.join(FITTED)}",))]
    line = line_of(stages)
    if whole and stage.id not in line:
        final = f"'{line[0]}' does not stand on '{stage.id}'" if line else "there is no recommend stage"
        return [Problem("RP205", f"{final}, so that nothing would change", at)]
    return []


def _misfits(path: str, written: object, stage: PlannedStage, rest: Sequence[str], source: Source) -> list[Problem]:
    """What the component says to the ends of a range, or to each of its values, where they are written."""
    try:
        Range.model_validate(written)
    except ValidationError:  # its shape is wrong, and has been said
        return []
    entry, _ = source.reach(("tune", "ranges", path))
    values = child(entry, "values")
    bounds = [child(entry, name) for name in ("low", "high")]
    tried = list(values.value) if values is not None and isinstance(values.value, list) else bounds
    problems: list[Problem] = []
    model = type(stage.component.params)
    loc = (*(stage.loc or ()), "with")
    for one in tried:
        if one is None:
            continue
        again = changed(source, {(*loc, *rest): Entry(one.value, one.at, entry.key)})
        try:
            model.model_validate(again.reach(loc)[0].plain())
        except ValidationError as error:
            # What does not go with other parameters may go with what those are in another trial.
            if any(found["loc"][:1] == (rest[0],) for found in error.errors()):
                problems += problems_of(error, again, loc, model)
    return problems


def _knob(path: str, stage: PlannedStage, rest: Sequence[str], span: Range, at: Span | None) -> Knob:
    loc = (*(stage.loc or ()), "with", *rest)
    knob = Knob(path, stage.id, loc, _own(stage.params(), rest), values=span.values or (), at=at)
    if span.low is None or span.high is None:
        return knob
    is_whole = float(span.low).is_integer() and float(span.high).is_integer() and not _takes_parts(stage, rest, span)
    low, high = (int(span.low), int(span.high)) if is_whole else (float(span.low), float(span.high))
    return replace(knob, low=low, high=high, log=span.log, whole=is_whole)


def _own(params: object, rest: Sequence[str]) -> object:
    for key in rest:
        if isinstance(params, list) and key.isdigit() and int(key) < len(params):
            params = params[int(key)]
        else:
            params = params.get(key) if isinstance(params, dict) else None
    return params


def _takes_parts(stage: PlannedStage, rest: Sequence[str], span: Range) -> bool:
    """Whether a parameter takes a number between whole ones."""
    nowhere = Span("", 0, 0)
    params = Entry({name: _entry(value, nowhere) for name, value in stage.params().items()}, nowhere)
    between = float(span.low or 0) + 0.5
    try:
        type(stage.component.params).model_validate(_put(params, tuple(rest), Entry(between, nowhere)).plain())
    except ValidationError as error:
        return not any(found["loc"][:1] == (rest[0],) for found in error.errors())
    return True


def _entry(value: object, at: Span) -> Entry:
    if isinstance(value, dict):
        return Entry({key: _entry(inner, at) for key, inner in value.items()}, at)
    return Entry([_entry(inner, at) for inner in value] if isinstance(value, list) else value, at)  # type: ignore[arg-type]


def _put(entry: Entry, loc: Sequence[str | int], value: Entry) -> Entry:
    part, *rest = loc
    if isinstance(entry.value, list) and isinstance(part, str) and part.isdigit() and int(part) < len(entry.value):
        part = int(part)
    elif not isinstance(entry.value, (dict, list)) or (isinstance(entry.value, list) and isinstance(part, str)):
        entry = Entry({}, value.at, entry.key)
    if not rest:
        return replaced(entry, part, value)
    inner = child(entry, part) or Entry({}, value.at, value.key)
    return replaced(entry, part, _put(inner, rest, value))
