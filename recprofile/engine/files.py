"""Every file and model that a Plan names, found or fetched, with what identifies its contents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recprofile.assets import Asset, Progress, Takes, resolve
from recprofile.components import IsAsset
from recprofile.errors import DataError, Problem, RecprofileError, RunError, Span
from recprofile.plan import Plan, data_files, query_of
from recprofile.registry import Registry
from recprofile.source import expand_env, unexpanded

Loc = tuple[str | int, ...]


def resolve_files(
    plan: Plan,
    registry: Registry,
    *,
    cache: Path,
    offline: bool | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Asset], dict[tuple[str, str], Asset]]:
    """The data block's files by key ('interactions', 'items', 'users', 'test', 'valid', and 'candidates'), and the
    stages' assets by stage id and parameter.

    Raises DataError RP501 for a data file that is not there and RP502 to RP504 for a query whose rows are of no use,
    RunError RP605 for a data set or asset that cannot be had.
    """
    schemes = registry.sources()

    def find(uri: str, loc: Loc, *, takes: Takes = "any", query: str | None = None) -> Asset:
        try:
            asset = resolve(
                expand_env(uri),
                base=plan.source.folder(loc),
                cache=cache,
                offline=offline,
                progress=progress,
                schemes=schemes,
                takes=takes,
                query=None if query is None else expand_env(query),
            )
        except RecprofileError as error:
            raise _placed(error, plan.source.at(loc), uri + (query or "")) from error
        return Asset(uri, asset.path, asset.fingerprint)  # as written: an expanded ${env:…} is never kept

    files: dict[str, Asset] = {}
    missing: list[Problem] = []
    for name, uri, loc in data_files(plan.recipe, plan.source):
        try:
            takes: Takes = "file" if name == "candidates" else "table"
            files[name] = find(uri, loc, takes=takes, query=query_of(plan.recipe, name))
        except RecprofileError as error:
            is_path = "://" not in uri or uri.startswith("file://")
            missing += [replace(p, code="RP501") if is_path else p for p in error.problems]
    if missing:
        raise DataError(missing) if any(p.code.startswith("RP5") for p in missing) else RunError(missing)
    assets: dict[tuple[str, str], Asset] = {}
    for stage in (*plan.stages, *plan.baselines):
        for name, _, uri in stage.marked(IsAsset):
            assets[stage.id, name] = find(uri, (*(stage.loc or ()), "with", name))
    return files, assets


def _placed(error: RecprofileError, at: Span, uri: str) -> RecprofileError:
    return type(error)(
        Problem(p.code, unexpanded(p.message, uri), p.at or at, tuple(unexpanded(line, uri) for line in p.help))
        for p in error.problems
    )
