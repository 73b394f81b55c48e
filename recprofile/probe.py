"""What `validate` can say of a recipe together with its data, without training and without reading whole files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import ValidationError

from recprofile.artifacts import Table
from recprofile.assets import check_there, find_here
from recprofile.components import IsAsset, Preprocessor
from recprofile.dataset import DataProbe, FileFacts, check_ids, probe_data
from recprofile.errors import Problem, RecipeError, RecprofileError, RunError, Span, did_you_mean, quoted
from recprofile.plan import (
    Judgement,
    PlannedStage,
    column_problems,
    data_files,
    group_problems,
    named_columns,
    query_of,
    time_problems,
)
from recprofile.recipe import DataBlock, ListBlock, Recipe
from recprofile.shape import sort_problems
from recprofile.source import Source, expand_env, unexpanded

ASIDE = ("positive", "split", "items", "users")  # keys of the data block without which the rest can be looked at


@dataclass(frozen=True)
class Probe:
    """Everything that is wrong with a recipe and its data, in file order; what may be wrong; and what was found.

    `notes` say what could not be looked at.
    """

    problems: tuple[Problem, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    files: tuple[FileFacts, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or 2 when the recipe is wrong, else 3 when the data are, else 4."""
        kinds = {problem.code[2] for problem in self.problems}
        if not kinds:
            return 0
        return 2 if kinds & set("1234") else 3 if "5" in kinds else 4


def probe(source: Source, judged: Judgement, *, cache: Path | None = None) -> Probe:
    """Look at the data and assets that a recipe names, as far as it is right, and put all problems in one list.

    What is not on this disk is left out and noted; nothing is fetched.
    """
    block, is_whole = _data_block(source)
    problems: list[Problem] = list(judged.problems)
    notes: list[str] = []
    found = None
    if block is not None:
        paths = _here(block, source, cache, problems, notes)
        fills = frozenset(name for stage in _preprocess(judged.stages) for name in stage.fills())
        found = probe_data(block, paths, lambda loc, *, key=False: source.at(("data", *loc), key=key), fills=fills)
        problems += found.problems
        problems += _demand_problems(source, judged, block, found, is_whole=is_whole)
    problems += _asset_problems(source, judged.stages, cache, notes)
    return Probe(
        tuple(sort_problems(problems, source)),
        found.warnings if found else (),
        tuple(dict.fromkeys(notes)),
        found.files if found else (),
    )


def _data_block(source: Source) -> tuple[DataBlock | None, bool]:
    """The data block, without those of its keys that are wrong, and whether it is whole; None where too little is."""
    written = source.plain().get("data")
    try:
        return DataBlock.model_validate(written), True
    except ValidationError as error:
        if not isinstance(written, dict):
            return None, False
        wrong = {one["loc"][0] for one in error.errors() if one["loc"]}
        if not wrong <= {*ASIDE, *(set(written) - set(DataBlock.known_keys()))}:
            return None, False
        left = {key: value for key, value in written.items() if key not in wrong}
    try:
        return DataBlock.model_validate(left), False
    except ValidationError:
        return None, False


def _here(
    block: DataBlock, source: Source, cache: Path | None, problems: list[Problem], notes: list[str]
) -> dict[str, Path]:
    """The data files that are on this disk, by key; a file of candidates is looked at here."""
    lists = source.plain().get("list")
    given = lists.get("candidates") if isinstance(lists, dict) else None
    candidates = given if isinstance(given, str) and given else "all"
    # `data_files` looks at the data and the candidates of a recipe alone.
    whole = Recipe.model_construct(recipe=1, stages=(), data=block, lists=ListBlock(candidates=candidates))
    paths: dict[str, Path] = {}
    for role, uri, loc in data_files(whole, source):
        try:
            path = find_here(expand_env(uri), base=source.folder(loc), cache=cache)
        except RecprofileError:  # an address that leads nowhere, or a variable that is not set: both are told
            continue
        if path is None:
            asked = query_of(whole, role) is not None
            notes.append(f"{uri} was not asked, so its rows were not looked at" if asked else _not_here(uri))
        elif role == "candidates":
            try:
                check_ids(path, uri, at=source.at(loc))
            except RecprofileError as error:
                problems += error.problems
        else:
            paths[role] = path
    return paths


def _demand_problems(
    source: Source, judged: Judgement, block: DataBlock, found: DataProbe, *, is_whole: bool
) -> list[Problem]:
    """Columns and times that stages, groups and the split ask for and the files do not have."""
    added = frozenset(name for stage in _preprocess(judged.stages) for name in stage.adds())
    tables = {name: _with(table, added) for name, table in found.tables.items()}
    if not is_whole:  # what is named in a key that is wrong is not known
        written = source.plain().get("data", {})
        tables = {name: table if name in written and getattr(block, name) else None for name, table in tables.items()}
    problems: list[Problem] = []
    for stage in judged.stages:
        needs_told = {
            name
            for name in ("items", "users")
            if getattr(stage.component, f"needs_{name}") and not getattr(block, name)
        }
        problems += column_problems(stage, source, {n: None if n in needs_told else t for n, t in tables.items()})
        problems += _any_problems(stage, source, tables, found.context, weight=block.interactions.weight)
        problems += time_problems(stage) if found.has_time is False else []
    evaluate = source.plain().get("evaluate")
    groups = evaluate.get("groups") if isinstance(evaluate, dict) else None
    if isinstance(groups, list) and all(isinstance(one, str) and one for one in groups):
        has_users = block.users is not None or not is_whole
        problems += group_problems(groups, source, tables, has_users=has_users)
    return problems


def _with(table: Table | None, added: Iterable[str]) -> Table | None:
    if table is None:
        return None
    return table.with_columns(*(pl.Series(n, [], pl.String) for n in sorted(added) if n not in table.columns))


def _any_problems(
    stage: PlannedStage,
    source: Source,
    tables: dict[str, Table | None],
    context: Sequence[str] | None,
    *,
    weight: str | None,
) -> list[Problem]:
    """RP502 for columns that a preprocess stage names and no table has."""
    items, users = tables["items"], tables["users"]
    if items is None or users is None or context is None:
        return []
    held = {"items": items.columns, "users": users.columns, "interactions": ["weight", *context]}
    known = {name for columns in held.values() for name in columns}
    qualified = {f"{table}.{name}" for table, columns in held.items() for name in columns}
    problems: list[Problem] = []
    for table, name, at in named_columns(stage, source):
        if table == "any" and name not in known | qualified:
            helps = did_you_mean(name, qualified if "." in name else known, label="columns")
            if name.removeprefix("interactions.") == weight:
                helps = (f"{quoted(weight)} is the events' weight, which stages call 'weight'",)
            message = f"no column {quoted(name)} in items, users or interactions"
            problems.append(Problem("RP502", message, at, helps))
    return problems


def _asset_problems(
    source: Source, stages: Sequence[PlannedStage], cache: Path | None, notes: list[str]
) -> list[Problem]:
    """RP605 for a path of this disk at which nothing lies; what would have to be fetched is noted."""
    problems: list[Problem] = []
    for stage in stages:
        for name, _, uri in stage.marked(IsAsset):
            loc = (*(stage.loc or ()), "with", name)
            try:
                path = find_here(expand_env(uri), base=source.folder(loc), cache=cache)
            except (RunError, RecipeError):  # told as an address that leads nowhere
                continue
            if path is None:
                notes.append(_not_here(uri))
                continue
            try:
                check_there(path)
            except RunError as error:
                problems += [_said(p, source.at(loc), uri) for p in error.problems]
    return problems


def _said(problem: Problem, at: Span, uri: str) -> Problem:
    helps = tuple(unexpanded(line, uri) for line in problem.help)
    return Problem(problem.code, unexpanded(problem.message, uri), at, helps)


def _not_here(uri: str) -> str:
    """That an address is not on this disk, and the command that fetches it."""
    scheme, _, rest = uri.partition("://")
    if scheme == "dataset":
        name = rest.partition("/")[0]
        return f"dataset://{name} is not here yet, so it was not looked at: recprofile data fetch {name}"
    return f"{uri} is not here yet: recprofile data fetch '{uri}'"


def _preprocess(stages: Iterable[PlannedStage]) -> list[Preprocessor]:  # type: ignore[type-arg]  # of any parameters
    return [stage.component for stage in stages if isinstance(stage.component, Preprocessor)]
