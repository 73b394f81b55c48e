"""Which earlier stages each stage takes: by type, or as `from` says. Small named checks, all problems at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recprofile.components import Component
from recprofile.errors import Problem, Span, did_you_mean
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
    """A stage whose component is known, before its inputs are."""

    index: int
    id: str
    stage: Stage
    component: Component[Any] | None  # None: its parameters are wrong, so what it needs is not known
    at: Span
    from_at: Span


def wire(draft: Draft, earlier: Sequence[Draft]) -> tuple[Inputs, list[Problem]]:
    """A stage's inputs by verb, and what is wrong with them."""
    if draft.stage.from_:
        return _as_named(draft, earlier)
    return _by_type(draft, earlier)


def _as_named(draft: Draft, earlier: Sequence[Draft]) -> tuple[Inputs, list[Problem]]:
    verb = draft.stage.verb
    known = {d.id: d.stage.verb for d in earlier}
    inputs: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    for name in draft.stage.from_:
        gives = known.get(name)
        if gives is None:
            fit = [id for id, v in known.items() if v in TAKES[verb]]
            problems.append(
                Problem(
                    "RP401",
                    f"no earlier stage '{name}'",
                    draft.from_at,
                    did_you_mean(name, fit, label="stages that fit"),
                )
            )
        elif gives not in TAKES[verb] or (gives == "recommend" and not _flag(draft, "takes_rankers")):
            what = f"a {verb} stage" if gives not in TAKES[verb] else f"'{draft.stage.use}'"
            takes = ", ".join(v for v in TAKES[verb] if v != "recommend" or _flag(draft, "takes_rankers")) or "nothing"
            problems.append(
                Problem(
                    "RP402",
                    f"{what} cannot take '{name}', which is {_a(gives)} stage",
                    draft.from_at,
                    (f"it takes {takes}",),
                )
            )
        elif name in inputs.get(gives, ()):
            problems.append(Problem("RP205", f"'{name}' stands twice in 'from'", draft.from_at))
        else:
            inputs[gives] = (*inputs.get(gives, ()), name)
    if len(inputs.get("fuse", ())) > 1:
        both = ", ".join(inputs["fuse"])
        problems.append(Problem("RP402", f"a {verb} stage takes one fuse stage, not several ({both})", draft.from_at))
    if not problems and draft.component is not None:
        problems += _lacking(draft, inputs, earlier)
    return inputs, problems


def _by_type(draft: Draft, earlier: Sequence[Draft]) -> tuple[Inputs, list[Problem]]:
    verb = draft.stage.verb
    encodes = [d.id for d in earlier if d.stage.verb == "encode"]
    fuses = [d.id for d in earlier if d.stage.verb == "fuse"]
    if verb == "fuse":
        if len(encodes) > 1:
            return {}, [_ambiguous(draft, encodes, several=True)]
        inputs: Inputs = {"encode": tuple(encodes)} if encodes else {}
        return inputs, _lacking(draft, inputs, earlier)
    if verb in ("recommend", "rerank", "check", "explain", "update"):
        if len(fuses) > 1 and _flag(draft, "needs_profiles"):
            return {}, [_ambiguous(draft, fuses, several=False)]
        wants = _flag(draft, "needs_profiles") or (verb in ("check", "explain") and len(fuses) == 1)
        inputs = {"fuse": (fuses[0],)} if fuses and wants else {}
        return inputs, _lacking(draft, inputs, earlier)
    return {}, []


def _lacking(draft: Draft, inputs: Inputs, earlier: Sequence[Draft]) -> list[Problem]:
    verb, use = draft.stage.verb, draft.stage.use
    problems = []
    if verb == "fuse" and not inputs.get("encode"):
        problems.append(Problem("RP404", f"'{use}' has nothing to fuse", draft.at, ("put an encode stage before it",)))
    needs_profiles = _flag(draft, "needs_profiles") or verb == "update"
    either = verb == "rerank" and inputs.get("encode")  # item vectors of one encode stage serve as well
    if needs_profiles and not inputs.get("fuse") and not either:
        helps = ("put a fuse stage before it",) if not any(d.stage.verb == "fuse" for d in earlier) else (
            f"name the fuse stage in 'from': {', '.join(d.id for d in earlier if d.stage.verb == 'fuse')}",
        )  # fmt: skip
        problems.append(Problem("RP404", f"'{use}' needs profiles", draft.at, helps))
    if _flag(draft, "takes_rankers") and not inputs.get("recommend"):
        problems.append(Problem("RP404", f"'{use}' needs earlier recommend stages", draft.at, ("name them in 'from'",)))
    return problems


def place(draft: Draft, earlier: Sequence[Draft]) -> list[Problem]:
    """What is wrong with where a stage stands."""
    verb = draft.stage.verb
    before = {d.stage.verb for d in earlier}
    if verb == "preprocess" and before - {"preprocess"}:
        first = next(d for d in earlier if d.stage.verb != "preprocess")
        told = f"move it before '{first.id}' (line {first.at.line}), whose result was made from the data as they were"
        return [Problem("RP407", "a preprocess stage must come before all others", draft.at, (told,))]
    if verb in AFTER_LISTS and "recommend" not in before:
        message = f"{_a(verb)} stage needs recommendations"
        return [Problem("RP404", message, draft.at, ("put a recommend stage before it",))]
    if verb == "recommend" and before & set(AFTER_LISTS):
        first = next(d for d in earlier if d.stage.verb in AFTER_LISTS)
        told = f"move it before '{first.id}' (line {first.at.line})"
        return [
            Problem("RP407", "a recommend stage must come before every rerank, check and explain", draft.at, (told,))
        ]
    if verb == "rerank" and before & {"check", "explain"}:
        first = next(d for d in earlier if d.stage.verb in ("check", "explain"))
        told = f"move it before '{first.id}' (line {first.at.line}), which would see other lists than are given out"
        return [Problem("RP407", "a rerank stage must come before every check and explain", draft.at, (told,))]
    return []


def _ambiguous(draft: Draft, fit: Sequence[str], *, several: bool) -> Problem:
    listed = ", ".join(fit)
    helps = f"say which: 'from: [{listed}]' for all of them" if several else f"say which: 'from: {fit[0]}'"
    return Problem("RP403", f"'{draft.stage.use}' could take {' or '.join(fit)}", draft.at, (helps,))


def _flag(draft: Draft, name: str) -> bool:
    return draft.component is not None and bool(getattr(draft.component, name, False))


def _a(verb: str) -> str:
    return f"an {verb}" if verb[0] in "aeiou" else f"a {verb}"
