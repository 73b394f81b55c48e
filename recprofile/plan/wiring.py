"""Which earlier stages each stage takes: by type, or as `from` says. Small named checks, all problems at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recprofile.components import Component
from recprofile.errors import Problem, Span, closest, did_you_mean, quoted
from recprofile.recipe import Stage

# What each verb may name in `from`.
TAKES = {
    "preprocess": (),
    "encode": (),
    "fuse": ("encode",),
    "recommend": ("encode", "fuse", "recommend"),
    "rerank": ("encode", "fuse"),
    "check": ("encode", "fuse"),
    "explain": ("encode", "fuse"),
    "update": ("fuse",),
}
AFTER_LISTS = ("rerank", "check", "explain")
Inputs = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Draft:
    """A stage before its inputs are known.

    A stage that is wrong by itself is kept, for others may name it: what is said of those must be true once it is
    mended, so that one mistake is told once.
    """

    index: int
    id: str
    verb: str | None  # None: the stage names no verb, so what it gives is not known
    use: str
    at: Span
    stage: Stage | None = None  # None: it has not the shape of a stage
    component: Component[Any] | None = None  # None: no such one, or its parameters are wrong: its needs are not known
    from_at: tuple[Span, ...] = ()  # where each name of `from` stands
    may_be: tuple[str, ...] = ()  # where its id is not certain: what others may mean it by, or something like that


def wire(draft: Draft, earlier: Sequence[Draft]) -> tuple[Inputs, list[Problem]]:
    """A stage's inputs by verb, and what is wrong with them."""
    if draft.stage is None or draft.verb is None:
        return {}, []
    if draft.stage.from_:
        return _as_named(draft, draft.verb, draft.stage.from_, earlier)
    return _by_type(draft, draft.verb, earlier)


def _as_named(draft: Draft, verb: str, names: Sequence[str], earlier: Sequence[Draft]) -> tuple[Inputs, list[Problem]]:
    known = {d.id: d.verb for d in earlier}
    takes = [v for v in TAKES[verb] if v != "recommend" or _may(draft, "takes_rankers")]
    inputs: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    for name, at in zip(names, draft.from_at, strict=True):
        gives = known.get(name)
        if name not in known:
            if any(closest(name, d.may_be) for d in earlier):
                continue
            fit = [id for id, v in known.items() if v in takes]
            helps = did_you_mean(name, fit, label="stages that fit")
            problems.append(Problem("RP401", f"no earlier stage {quoted(name)}", at, helps))
        elif gives is None:
            continue
        elif gives not in takes:
            what = f"{_a(verb)} stage" if gives not in TAKES[verb] else quoted(draft.use)
            message = f"{what} cannot take '{name}', which is {_a(gives)} stage"
            helps = (f"it takes {_either(takes)}",) if takes else ("it takes nothing by name: leave 'from' out",)
            problems.append(Problem("RP402", message, at, helps))
        elif name in inputs.get(gives, ()):
            problems.append(Problem("RP205", f"'{name}' stands twice in 'from'", at))
        else:
            if gives == "fuse" and "fuse" in inputs:
                message = f"{_a(verb)} stage takes one fuse stage, and '{inputs['fuse'][0]}' is one already"
                problems.append(Problem("RP402", message, at))
            inputs[gives] = (*inputs.get(gives, ()), name)
    if not problems and draft.component is not None and len(names) == sum(map(len, inputs.values())):
        problems += _lacking(draft, inputs, earlier)
    return inputs, problems


def _by_type(draft: Draft, verb: str, earlier: Sequence[Draft]) -> tuple[Inputs, list[Problem]]:
    encodes = [d.id for d in earlier if d.verb == "encode"]
    fuses = [d.id for d in earlier if d.verb == "fuse"]
    if verb == "fuse":
        if len(encodes) > 1:
            return {}, [_ambiguous(draft, encodes, several=True)]
        inputs: Inputs = {"encode": tuple(encodes)} if encodes else {}
        return inputs, _lacking(draft, inputs, earlier)
    if verb in ("recommend", "rerank", "check", "explain", "update"):
        needs = _needs_profiles(draft)
        if len(fuses) > 1 and needs:
            return {}, [_ambiguous(draft, fuses, several=False)]
        wants = needs or (verb in ("check", "explain", "update") and len(fuses) == 1)
        inputs = {"fuse": (fuses[0],)} if fuses and wants else {}
        return inputs, _lacking(draft, inputs, earlier)
    return {}, []


def _lacking(draft: Draft, inputs: Inputs, earlier: Sequence[Draft]) -> list[Problem]:
    verb, use = draft.verb, quoted(draft.use)
    fuses = [d.id for d in earlier if d.verb == "fuse"]
    problems = []
    if verb == "fuse" and not inputs.get("encode") and not _unsure(earlier):
        problems.append(Problem("RP404", f"{use} has nothing to fuse", draft.at, ("put an encode stage before it",)))
    either = verb == "rerank" and inputs.get("encode")  # item vectors of one encode stage serve as well
    if _needs_profiles(draft) and not inputs.get("fuse") and not either and not _unsure(earlier):
        helps = f"name the fuse stage in 'from': {', '.join(fuses)}" if fuses else "put a fuse stage before it"
        problems.append(Problem("RP404", f"{use} needs profiles", draft.at, (helps,)))
    if _flag(draft, "takes_rankers") and not inputs.get("recommend") and not _unsure(earlier):
        problems.append(Problem("RP404", f"{use} needs earlier recommend stages", draft.at, ("name them in 'from'",)))
    return problems


def place(draft: Draft, earlier: Sequence[Draft]) -> list[Problem]:
    """What is wrong with where a stage stands."""
    verb = draft.verb
    before = {d.verb for d in earlier if d.verb is not None}
    if verb is None:
        return []
    if verb == "preprocess" and before - {"preprocess"}:
        first = next(d for d in earlier if d.verb not in ("preprocess", None))
        told = f"move it before '{first.id}' (line {first.at.line}), whose result was made from the data as they were"
        return [Problem("RP407", "a preprocess stage must come before all others", draft.at, (told,))]
    if verb in AFTER_LISTS and "recommend" not in before and not _unsure(earlier):
        message = f"{_a(verb)} stage needs recommendations"
        return [Problem("RP404", message, draft.at, ("put a recommend stage before it",))]
    if verb == "recommend" and before & set(AFTER_LISTS):
        first = next(d for d in earlier if d.verb in AFTER_LISTS)
        told = f"move it before '{first.id}' (line {first.at.line})"
        return [
            Problem("RP407", "a recommend stage must come before every rerank, check and explain", draft.at, (told,))
        ]
    if verb == "rerank" and before & {"check", "explain"}:
        first = next(d for d in earlier if d.verb in ("check", "explain"))
        told = f"move it before '{first.id}' (line {first.at.line}), which would see other lists than are given out"
        return [Problem("RP407", "a rerank stage must come before every check and explain", draft.at, (told,))]
    return []


def _ambiguous(draft: Draft, fit: Sequence[str], *, several: bool) -> Problem:
    listed = ", ".join(fit)
    helps = f"say which: 'from: [{listed}]' for all of them" if several else f"say which: 'from: {fit[0]}'"
    return Problem("RP403", f"{quoted(draft.use)} could take {_either(fit)}", draft.at, (helps,))


def _needs_profiles(draft: Draft) -> bool:
    return _flag(draft, "needs_profiles") or (draft.verb == "update" and draft.component is None)


def _flag(draft: Draft, name: str) -> bool:
    return draft.component is not None and bool(getattr(draft.component, name, False))


def _may(draft: Draft, name: str) -> bool:
    """As `_flag`, and true where the component is not known."""
    return draft.component is None or _flag(draft, name)


def _unsure(earlier: Sequence[Draft]) -> bool:
    """Whether there is an earlier stage that may give anything."""
    return any(d.verb is None for d in earlier)


def _either(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _a(verb: str) -> str:
    return f"an {verb}" if verb[0] in "aeiou" else f"a {verb}"
