"""The recipe with the values that a search chose: the text as it was, comments and all, where that can be done."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from recprofile.components import IsAsset
from recprofile.errors import SET_FILE, RecipeError, RecprofileError, RunError, Span, quoted
from recprofile.plan import Knob, Plan, changed, data_files, make_plan
from recprofile.registry import Registry
from recprofile.source import Entry, Source, dump_yaml, read_source
from recprofile.source.text import read_text
from recprofile.tune.results import Tuned

HEAD = "# Made by `recprofile tune` from "


def written_place(plan: Plan, given: Path | None) -> Path:
    """Where the tuned recipe goes: as told, or beside the recipe, to which the paths in it are relative.

    Raises RunError RP606 for the recipe itself, one that it extends, or another file that no `tune` made.
    """
    recipe = plan.source.path
    place = given or recipe.with_name(f"{recipe.stem}-tuned{recipe.suffix or '.yaml'}")
    if any(_same(place, file) for file in plan.source.files):
        raise RunError.of(
            "RP606", f"{quoted(str(place))} is the recipe itself", help=("name another file with --write",)
        )
    if place.exists() and not (place.is_file() and place.read_bytes().startswith(HEAD.encode())):
        helps = ("name another file with --write",)
        raise RunError.of("RP606", f"{quoted(str(place))} is there, and `tune` did not make it", help=helps)
    return place


def write_recipe(tuned: Tuned, registry: Registry, place: Path) -> None:
    """Write the recipe with the chosen values.

    Beside the recipe that is its own text with values exchanged or added; elsewhere, and where values come from
    another file or the command line, a recipe that `extends` it. Each is read again and held against what it must be.
    """
    plan = tuned.plan
    values = {knob: tuned.chosen.values[knob.path] for knob in tuned.knobs if not _is_own(tuned, knob)}
    entries = {knob.loc: _located(value, plan.source.at(knob.loc)) for knob, value in values.items()}
    wanted = changed(plan.source, entries)
    about = f"{HEAD}{plan.source.path.name}: {tuned.metric} on the validation part"
    forms = [_extending(wanted, plan, place)]
    if _same(place.parent, plan.source.path.parent):
        forms = [*_edited(values, plan), *forms]
    before = place.read_bytes() if place.exists() else None
    try:
        for text in forms:
            _write(place, f"{about}\n{text}")
            if _is_same_work(place, wanted, registry):
                return
    except OSError as error:
        message = f"{quoted(str(place))} cannot be written: {(error.strerror or str(error)).lower()}"
        raise RunError.of("RP606", message, help=("name another file with --write",)) from error
    if before is None:
        place.unlink()
    else:
        place.write_bytes(before)
    raise RunError.of("RP606", "the recipe cannot be written with these values", help=("set them with --set",))


def _is_own(tuned: Tuned, knob: Knob) -> bool:
    return bool(tuned.chosen.own or tuned.chosen.values[knob.path] == knob.own)


def _write(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(f".{place.name}.new")
    new.write_text(text, encoding="utf-8")
    os.replace(new, place)


def _is_same_work(place: Path, wanted: Source, registry: Registry) -> bool:
    """Whether what was written is the recipe that it must be: the same stages, values and files."""
    try:
        made = make_plan(read_source(place, check_env=False), registry)
    except RecipeError:
        return False
    plan = make_plan(wanted, registry)
    same: bool = _essence(made) == _essence(plan)
    return same


def _essence(plan: Plan) -> Any:  # noqa: ANN401 - plain data
    data = plan.filled()
    paths = dict(_paths(plan))
    for loc, path in paths.items():
        at: Any = data
        for part in loc[:-1]:
            at = at[part] if not isinstance(at, str) else {}
        if isinstance(at, dict) and isinstance(at.get(loc[-1]), str):
            at[loc[-1]] = os.path.realpath(plan.source.folder(loc) / path)
    return {key: value for key, value in data.items() if key not in ("name", "out", "publish")}


def _paths(plan: Plan) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Relative paths in a recipe, each with its place."""
    for _, uri, loc in data_files(plan.recipe, plan.source):
        if _is_relative(uri):
            yield (*loc, "path") if loc[-1] in ("interactions", "items", "users") else loc, uri
    for stage in plan.stages:
        for name, _, uri in stage.marked(IsAsset):
            if stage.loc and isinstance(uri, str) and _is_relative(uri):
                yield (*stage.loc, "with", name), uri


def _is_relative(uri: str) -> bool:
    return "://" not in uri and not uri.startswith(("${", "/", "~")) and not os.path.isabs(uri)


def _edited(values: Mapping[Knob, Any], plan: Plan) -> Iterator[str]:
    """The recipe's text with these values; none where they do not stand in it, or it is not plain."""
    file = str(plan.source.path)
    try:
        lines = read_text(file).content.splitlines(keepends=True)
    except RecprofileError:
        return
    edits: list[tuple[Span, int, str]] = []  # where, how many characters go, what comes
    added: dict[int, dict[str, Any]] = {}
    for knob, value in values.items():
        entry, depth = plan.source.reach(knob.loc)
        if depth == len(knob.loc) and not isinstance(entry.value, (dict, list)) and entry.at.file == file:
            edits.append((entry.at, entry.at.length, _scalar(value)))
        elif len(knob.loc) == 4:
            added.setdefault(int(knob.loc[1]), {})[str(knob.loc[3])] = value
        else:
            return
    for index, params in added.items():
        edit = _addition(plan, index, params, file)
        if edit is None:
            return
        edits.append(edit)
    for at, gone, text in sorted(edits, key=lambda edit: (edit[0].line, edit[0].column), reverse=True):
        line = lines[at.line - 1]
        start = at.column - 1
        lines[at.line - 1] = line[:start] + text + line[start + gone :]
    yield "".join(lines)


def _addition(plan: Plan, index: int, params: Mapping[str, Any], file: str) -> tuple[Span, int, str] | None:
    """Parameters put under the 'with' of a stage, which it may not have yet."""
    stage = plan.stages[index]
    pairs = ", ".join(f"{name}: {_scalar(value)}" for name, value in params.items())
    written, depth = plan.source.reach(("stages", index, "with"))
    if depth == 3 and written.at.file == file and isinstance(written.value, dict):
        if written.at.text[written.at.column - 1 :].startswith("{"):
            at = Span(file, written.at.line, written.at.column + 1)
            return at, 0, f"{pairs}, " if written.value else pairs
        indent = " " * (written.at.column - 1)
        return (
            Span(file, written.at.line, written.at.column),
            0,
            "".join(f"{name}: {_scalar(value)}\n{indent}" for name, value in params.items()),
        )
    verb, _ = plan.source.reach(("stages", index, stage.verb))
    if verb.at.file != file or verb.key is None:
        return None
    before = verb.at.text[: verb.key.column - 1]
    if before.strip() not in ("", "-"):  # a mapping in braces
        return Span(file, verb.at.line, verb.at.column + verb.at.length), 0, f", with: {{{pairs}}}"
    return Span(file, verb.at.line, len(verb.at.text) + 1), 0, f"\n{' ' * len(before)}with: {{{pairs}}}"


def _extending(wanted: Source, plan: Plan, place: Path) -> str:
    """A recipe that extends the original: all its stages with the values, and what the command line changed."""
    folder = place.parent
    files = {loc: os.path.relpath(wanted.folder(loc) / path, folder) for loc, path in _paths(plan)}
    own = _from_sets(wanted.root) or {}
    stages = wanted.root.plain()["stages"]
    for loc, path in files.items():
        if loc[0] == "stages":
            stages[loc[1]]["with"][loc[3]] = path
        elif loc[0] in own and plan.source.at(loc).file == SET_FILE:
            _set(own, loc, path)
    data = {"extends": os.path.relpath(plan.source.path, folder), **own, "stages": stages}
    return dump_yaml(data)


def _set(data: dict[str, Any], loc: tuple[str | int, ...], value: str) -> None:
    at: Any = data
    for part in loc[:-1]:
        inner = at.get(part)
        if not isinstance(inner, dict):
            at[part] = value  # a bare path
            return
        at = inner
    at[loc[-1]] = value


def _from_sets(entry: Entry) -> Any:  # noqa: ANN401 - plain data
    """What of a mapping the command line gave; None when nothing."""
    if isinstance(entry.value, dict):
        found = {name: _from_sets(inner) for name, inner in entry.value.items() if name != "stages"}
        some = {name: value for name, value in found.items() if value is not None}
        return some or None
    if isinstance(entry.value, list):
        return entry.plain() if any(_from_sets(one) is not None for one in entry.value) else None
    return entry.value if entry.at.file == SET_FILE else None


def _located(value: Any, at: Span) -> Entry:  # noqa: ANN401 - whatever a parameter is
    return Entry(value, at)


def _scalar(value: Any) -> str:  # noqa: ANN401 - whatever a parameter is
    return dump_yaml({"v": value}).removeprefix("v:").strip()


def _same(a: Path, b: Path) -> bool:
    return os.path.realpath(a) == os.path.realpath(b)
