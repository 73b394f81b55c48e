"""What the marks of parameters promise, as far as it can be seen without a file: addresses, and names of inputs."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from recprofile.assets import check_address
from recprofile.components import IsAsset, NamesInputs
from recprofile.errors import Problem, RunError, Span, did_you_mean, quoted
from recprofile.plan.stages import PlannedStage, data_files
from recprofile.recipe import Recipe
from recprofile.registry import Registry
from recprofile.source import Source


def stage_problems(stage: PlannedStage, source: Source, registry: Registry, *, named: Collection[str]) -> list[Problem]:
    """Assets of a stage that no address can be, and ids of stages that it does not take.

    `named` are the ids in its `from`: one that no stage has yet may be of a stage that is wrong itself, which is said.
    """
    problems: list[Problem] = []
    loc = (*(stage.loc or ()), "with")
    for name, _, uri in stage.marked(IsAsset):
        problems += address_problems(uri, source.at((*loc, name)), _schemes(registry))
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
    """Data files that no address can be."""
    for _, uri, loc in data_files(recipe, source):
        yield from address_problems(uri, source.at(loc), _schemes(registry))


def address_problems(uri: str, at: Span, schemes: Collection[str]) -> list[Problem]:
    """What is wrong with an address as text; nothing where an environment variable is still to be filled in."""
    if "${" in uri:
        return []
    try:
        check_address(uri, schemes)
    except RunError as error:
        return [Problem("RP204", p.message, at, p.help) for p in error.problems]
    return []


def _schemes(registry: Registry) -> set[str]:
    return {scheme for offered in registry.manager.hook.recprofile_sources() for scheme in offered}
