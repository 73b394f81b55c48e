"""What the marks of parameters promise, as far as it can be seen without a file: addresses, and names of inputs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from recprofile.assets import QUERY_HELP, SCHEMES, check_address, scheme_of, source_of, takes_query
from recprofile.assets import Source as Offered
from recprofile.components import IsAsset, NamesInputs
from recprofile.errors import Problem, RunError, Span, did_you_mean, quoted
from recprofile.plan.stages import PlannedStage, data_files, query_of
from recprofile.recipe import Recipe
from recprofile.registry import Registry
from recprofile.source import Source

_REFERENCE = re.compile(r"\$\{[^}]*\}")
_PASSWORD = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[^/?#@:]*:(?P<user>[^/?#@]+)@|[^?]*\?(?:.*&)?\w*(?:password|pwd|secret)=(?P<option>[^&]+))",
    re.IGNORECASE,
)


def stage_problems(stage: PlannedStage, source: Source, registry: Registry, *, named: Collection[str]) -> list[Problem]:
    """Assets of a stage that no address can be, and ids of stages that it does not take.

    `named` are the ids in its `from`: one that no stage has yet may be of a stage that is wrong itself, which is said.
    """
    problems: list[Problem] = []
    loc = (*(stage.loc or ()), "with")
    for name, _, uri in stage.marked(IsAsset):
        problems += address_problems(uri, source.at((*loc, name)), registry.sources())
    for name, _, value in stage.marked(NamesInputs):
        for id in value:
            if id not in (*stage.taken, *named):
                at = source.at((*loc, name, id), key=True)
                helps = did_you_mean(id, stage.taken, label="it takes")
                problems.append(
                    Problem("RP401", f"'{name}' names {quoted(id)}, which this stage does not take", at, helps)
                )
    return problems


def file_problems(recipe: Recipe, source: Source, registry: Registry) -> Iterator[Problem]:
    """Data files that no address can be; queries where none can be asked, or none where one must be."""
    schemes = registry.sources()
    for name, uri, loc in data_files(recipe, source):
        at = source.at(loc)
        wrong = address_problems(uri, at, schemes)
        yield from wrong
        if not wrong and not uri.startswith("${"):
            yield from _query_problems(name, uri, query_of(recipe, name), source, at=at, schemes=schemes)


def address_problems(uri: str, at: Span, schemes: Mapping[str, Offered]) -> list[Problem]:
    """What is wrong with an address as text; nothing where an environment variable is still to be filled in."""
    if found := _PASSWORD.match(_REFERENCE.sub("", uri)):
        secret = found["user"] or found["option"]
        at = replace(at, text=at.text.replace(secret, "*" * len(secret)))
        helps = ("a recipe is shared and kept with its runs: write ${env:NAME} in its place",)
        return [Problem("RP204", "a password stands in the address", at, helps)]
    if "${" in uri:
        return []
    try:
        check_address(uri, schemes)
    except RunError as error:
        return [Problem("RP204", p.message, at, p.help) for p in error.problems]
    return []


def _query_problems(
    name: str, uri: str, query: str | None, source: Source, *, at: Span, schemes: Mapping[str, Offered]
) -> Iterator[Problem]:
    scheme = scheme_of(uri)
    found = source_of(scheme, schemes) if scheme not in SCHEMES else None
    takes, needs = takes_query(found) if found is not None else (False, False)
    if query is None and needs:
        helps = (QUERY_HELP,) if name in ("interactions", "items", "users") else ("write the rows to a file",)
        yield Problem("RP202", f"missing key 'query': '{scheme}' is a database", at, helps)
    elif query is not None and not takes:
        message = "'path' is no database, so there is nothing to ask"
        yield Problem("RP205", message, source.at(("data", name, "query"), key=True), ("leave 'query' out",))
