"""What stages and evaluation ask of the tables and of time: columns that are named, times that are needed.

Asked of a file's header when validating, and of the data themselves before the first stage runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from recprofile.artifacts import Table, Template
from recprofile.components import ColumnsOf
from recprofile.errors import DataError, Problem, Span
from recprofile.plan.stages import PlannedStage
from recprofile.source import Source

Tables = Mapping[str, Table | None]  # 'items' and 'users'; None where a table is not known


def named_columns(stage: PlannedStage, source: Source) -> Iterator[tuple[str, str, Span]]:
    """Each column that a stage's marked parameters name: the table ('items', 'users' or 'any'), the name, where."""
    for name, mark, value in stage.marked(ColumnsOf):
        assert isinstance(mark, ColumnsOf)
        table = f"{stage.component.params.axis}s" if mark.table == "axis" else mark.table
        loc = (*(stage.loc or ()), "with", name)
        if mark.within:
            for column in Template.of(value).columns:
                yield table, column, source.at(loc)
        elif isinstance(value, str):
            yield table, value, source.at(loc)
        elif isinstance(value, Mapping):
            for column in value:
                yield table, column, source.at((*loc, column), key=True)
        else:
            for n, column in enumerate(value):
                yield table, column, source.at((*loc, n))


def column_problems(stage: PlannedStage, source: Source, tables: Tables) -> list[Problem]:
    """RP502 for each column of the items or users that a stage names and the table lacks."""
    problems: list[Problem] = []
    for named, column, at in named_columns(stage, source):
        table = tables.get(named)
        if table is None:
            continue
        try:
            table.column(column)
        except DataError as error:
            problems += [Problem(p.code, p.message, at, p.help) for p in error.problems]
    return problems


def group_problems(groups: Sequence[str], source: Source, tables: Tables, *, has_users: bool) -> list[Problem]:
    """RP406, RP502 or RP503 for each column of 'groups' that cannot part the users."""
    problems: list[Problem] = []
    for n, column in enumerate(groups):
        at = source.at(("evaluate", "groups", n))
        if not has_users:
            helps = ("add 'users: <file>' to the data block",)
            problems.append(Problem("RP406", "'groups' needs a table of users", at, helps))
            continue
        table = tables.get("users")
        try:
            if table is not None:
                table.text(column)
        except DataError as error:
            problems += [Problem(p.code, p.message, at, p.help) for p in error.problems]
    return problems


def time_problems(stage: PlannedStage) -> list[Problem]:
    """RP406 when a stage needs times; to be asked where the events have none."""
    if not stage.component.needs_time:
        return []
    helps = ("name the time column: interactions: {path: …, time: <column>}",)
    return [Problem("RP406", f"'{stage.offer.name}' needs the time of events", stage.at, helps)]
