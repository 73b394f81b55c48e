"""What the stages and the evaluation ask of the data, checked before the first of them runs."""

from __future__ import annotations

from recprofile.artifacts import Dataset
from recprofile.components import ColumnsOf
from recprofile.errors import DataError, Problem, RecipeError
from recprofile.plan import Plan, PlannedStage


def check_demands(plan: Plan, data: Dataset) -> None:
    """Check, on the data as the preprocess stages left them, all columns that a stage or the evaluation names, and the
    time that a component needs.

    Raises DataError RP502 or RP503 with every problem, or RecipeError RP406 when it is only of needs.
    """
    problems = _group_problems(plan, data)
    for stage in plan.stages:
        if stage.verb == "preprocess":
            continue
        problems += _column_problems(plan, stage, data)
        if stage.component.needs_time and not data.has_time:
            helps = ("name the time column: interactions: {path: …, time: <column>}",)
            problems.append(Problem("RP406", f"'{stage.offer.name}' needs the time of events", stage.at, helps))
    if problems:
        raise RecipeError(problems) if {p.code for p in problems} == {"RP406"} else DataError(problems)


def _group_problems(plan: Plan, data: Dataset) -> list[Problem]:
    problems = []
    for n, column in enumerate(plan.recipe.evaluate.groups):
        at = plan.source.at(("evaluate", "groups", n))
        if plan.recipe.data.users is None:
            helps = ("add 'users: <file>' to the data block",)
            problems.append(Problem("RP406", "'groups' needs a table of users", at, helps))
            continue
        try:
            data.users.text(column)
        except DataError as error:
            problems += [Problem(p.code, p.message, at, p.help) for p in error.problems]
    return problems


def _column_problems(plan: Plan, stage: PlannedStage, data: Dataset) -> list[Problem]:
    problems = []
    for name, mark, value in stage.marked(ColumnsOf):
        assert isinstance(mark, ColumnsOf)
        named = f"{stage.component.params.axis}s" if mark.table == "axis" else mark.table
        table = data.users if named == "users" else data.items
        for n, column in enumerate([value] if isinstance(value, str) else value):
            try:
                table.column(column)
            except DataError as error:
                loc = (*(stage.loc or ()), "with", name, *(() if isinstance(value, str) else (n,)))
                problems += [Problem(p.code, p.message, plan.source.at(loc), p.help) for p in error.problems]
    return problems
