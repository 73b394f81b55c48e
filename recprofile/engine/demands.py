"""What the stages and the evaluation ask of the data, checked before the first of them runs."""

from __future__ import annotations

from recprofile.artifacts import Dataset
from recprofile.errors import DataError, RecipeError
from recprofile.plan import Plan, column_problems, group_problems, time_problems


def check_demands(plan: Plan, data: Dataset) -> None:
    """Check, on the data as the preprocess stages left them, all columns that a stage or the evaluation names, and the
    time that a component needs.

    Raises DataError RP502 or RP503 with every problem, or RecipeError RP406 when it is only of needs.
    """
    tables = {"items": data.items, "users": data.users}
    has_users = plan.recipe.data.users is not None
    problems = group_problems(plan.recipe.evaluate.groups, plan.source, tables, has_users=has_users)
    for stage in plan.stages:
        if stage.verb == "preprocess":
            continue
        problems += column_problems(stage, plan.source, tables)
        problems += time_problems(stage) if not data.has_time else []
    if problems:
        raise RecipeError(problems) if {p.code for p in problems} == {"RP406"} else DataError(problems)
