"""What a run came to, in a screenful; the report has the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from recprofile.cli.terminal import console, duration, errors_console, print_flowing, table

if TYPE_CHECKING:
    from recprofile.engine import RunResult

COLOURS = {"good": "green", "bad": "red", "warn": "yellow", "unclear": "yellow"}
MOST_METRICS = 4  # the report has all
LONGEST_NAME = 30  # columns; a longer name is folded
STAGES_NAMED = 2  # of the stages that say the same


def print_summary(result: RunResult, *, quiet: bool) -> None:
    """Warnings, the metrics beside the baselines', the checks' verdicts, what stages noted, where the report is.

    Words and digits are those of the report.
    """
    print_warnings(result.warnings)
    if not quiet:
        _print_metrics(result.metrics)
        _print_checks(result.checks)
        _print_facts(result.facts)
        console().print(_effort(result))
    console().print(f"report: {escape(str(result.out / 'report.html'))}")


def print_warnings(warnings: Iterable[str]) -> None:
    """Each warning once, on standard error, with the stages it came from."""
    stages: dict[str, list[str]] = {}
    for told in warnings:
        stage, _, text = told.partition(": ")
        stages.setdefault(text, []).append(stage)
    out = errors_console()
    for text, found in stages.items():
        names = list(dict.fromkeys(found))
        more = f" and {len(names) - STAGES_NAMED} more" if len(names) > STAGES_NAMED else ""
        who = escape(", ".join(names[:STAGES_NAMED]) + more)
        out.print(f"[yellow]warning[/yellow] {who}: {escape(text)}", soft_wrap=not out.is_terminal)


def _effort(result: RunResult) -> str:
    from recprofile.report.words import counted

    if result.unchanged:
        return "nothing to compute: the run folder is up to date"
    whole = counted(len(result.computed) + len(result.cached), "stage")
    return f"{whole}: {len(result.computed)} computed, {len(result.cached)} from the cache; {duration(result.seconds)}"


def _print_checks(checks: Sequence[Mapping[str, Any]]) -> None:
    from recprofile.report.checks import check_views

    for check in check_views(checks):
        word = f"[{COLOURS[check['kind']]}]{check['word'].lower()}[/]"
        print_flowing(f"check {escape(check['id'])}: {word}; {escape(str(check['summary']))}")


def _print_facts(facts: Mapping[str, Mapping[str, Any]]) -> None:
    from recprofile.report.words import plain_value

    for stage, noted in facts.items():
        told = "; ".join(f"{name} {plain_value(value)}" for name, value in noted.items())
        print_flowing(f"{escape(stage)}: {escape(told)}")


def _print_metrics(metrics: Mapping[str, Any]) -> None:
    from recprofile.report.results import fallbacks, headline
    from recprofile.report.words import amount, counted, share

    rankers: Sequence[Mapping[str, Any]] = metrics.get("rankers") or []
    if not rankers:
        return
    if shown := _metric_table(metrics, console().width):
        console().print(shown)
    judged = [f"{counted(metrics['users'], 'user')} judged"]
    if metrics.get("cold_users"):
        judged.append(f", {amount(metrics['cold_users'])} of them without training events")
    if shown and metrics.get("resamples"):
        judged.append(f"; ± is half of the {share(metrics['confidence'])} interval over users")
    print_flowing("".join(judged))
    if (head := headline(metrics)) and (versus := head["versus"]):
        print_flowing(_against(head, versus))
    for names, text in fallbacks(metrics):
        who = ", ".join(name.removeprefix("baseline-") for name in names.split(", "))
        print_flowing(f"[yellow]fall-back lists[/yellow] among those judged: {escape(who)}: {escape(text)}")


def _against(head: Mapping[str, Any], versus: Mapping[str, Any]) -> str:
    """The paired difference to the best baseline as a sentence: markup."""
    name = escape(versus["name"].removeprefix("baseline-"))
    found = versus["verdict"] or {"word": "no interval", "kind": "unclear"}
    between = f" ({versus['interval']})" if versus.get("interval") else ""
    return (
        f"[bold]{escape(head['ranker'])}[/bold] is [bold]{versus['difference']}[/bold]{between} on {head['metric']} "
        f"against {name}, the best baseline: [{COLOURS[found['kind']]}]{found['word']}[/]"
    )


def _metric_table(metrics: Mapping[str, Any], width: int) -> Any:  # noqa: ANN401 - a table, or None without numbers
    """The metrics of each recommender that fit into a width; that of the lists given out stands out."""
    from recprofile.report.results import ROLES, main_of, name_of
    from recprofile.report.words import places

    rankers = metrics["rankers"]
    main = main_of(metrics)
    lines = [(name_of(r).removeprefix("baseline-"), ROLES.get(r["role"], r["role"])) for r in rankers]
    left = width - sum(min(LONGEST_NAME, max(len(line[n]) for line in lines)) for n in (0, 1)) - 2
    heads: list[str] = []
    columns: list[list[str]] = []
    for name in _per_user(main or rankers[0]):
        cells = [r["metrics"].get(name) or {} for r in rankers]
        decimals = places(cell.get("value") for cell in cells)
        column = [_interval(cell, decimals) for cell in cells]
        left -= 2 + max(len(text) for text in (name, *column))
        if (left < 0 and heads) or len(heads) == MOST_METRICS:
            break
        heads.append(name)
        columns.append(column)
    if not heads:
        return None
    rows = [(*line, *cells) for line, *cells in zip(lines, *columns, strict=True)]
    bold = [n for n, ranker in enumerate(rankers) if ranker is main]
    return table(("recommender", "", *heads), rows, right=range(2, 2 + len(heads)), bold=bold)


def _per_user(ranker: Mapping[str, Any]) -> list[str]:
    """Metrics with a value for each user, which have intervals: coverage and its like are for the report."""
    from recprofile.metrics import METRICS, SystemMetric

    return [
        name
        for name, cell in ranker["metrics"].items()
        if cell.get("value") is not None and not isinstance(METRICS.get(name.partition("@")[0]), SystemMetric)
    ]


def _interval(cell: Mapping[str, Any], decimals: int) -> str:
    from recprofile.report.words import number

    value = number(cell.get("value"), decimals)
    if cell.get("value") is None or cell.get("low") is None or cell.get("high") is None:
        return value
    return f"{value} ±{number((cell['high'] - cell['low']) / 2, decimals)}"
