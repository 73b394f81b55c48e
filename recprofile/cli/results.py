"""`profile show`, `recommend` and `report`: what a finished run says."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from recprofile.cli import edit, profile, store, store_words
from recprofile.cli.complete import runs_and_recipes
from recprofile.cli.store import NameOption, StoreOption
from recprofile.cli.terminal import console, json_out

if TYPE_CHECKING:
    from recprofile.runs import Run

RunOption = Annotated[
    Path | None,
    typer.Option(
        "--run",
        autocompletion=runs_and_recipes,
        help="Run folder, or the recipe that made it. [default: the newest in ./runs]",
        show_default=False,
    ),
]
User = Annotated[str, typer.Argument(help="User, by the id that the data have.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="User profiles: of a run, and in a profile store.")
    group.command("show")(show)
    store.add_to_profile(group)
    group.command()(edit.edit)
    app.add_typer(group, name="profile")
    app.command()(recommend)
    app.command()(report)


def show(
    user: User,
    run: RunOption = None,
    store_: StoreOption = None,
    recipe: NameOption = None,
    json: Json = False,
) -> None:
    """Show a person's profile: interests, blocks with their weights, the history they rest on, where it came from.

    Examples:

        recprofile profile show 42 --run recipes/quickstart.yaml
        recprofile profile show 42 --store recipes/quickstart.yaml
    """
    from recprofile.runs import find_run

    stored = store_ is not None
    card = store.card_from(store_, recipe, user) if stored else profile.card_of(find_run(run), user)
    if json:
        json_out(card)
    else:
        profile.print_card(card)


def recommend(
    user: Annotated[
        str | None, typer.Argument(help="User of a run, by the id that the data have.", show_default=False)
    ] = None,
    of_store: Annotated[
        str | None, typer.Option("--user", metavar="USER", help="User of a profile store.", show_default=False)
    ] = None,
    history: Annotated[
        str | None,
        typer.Option(
            metavar="ITEMS", help="In place of a user: items that somebody liked, with commas.", show_default=False
        ),
    ] = None,
    run: RunOption = None,
    store_: StoreOption = None,
    recipe: NameOption = None,
    k: Annotated[int | None, typer.Option("-k", min=1, help="How many; at most the recipe's list length.")] = None,
    json: Json = False,
) -> None:
    """Print recommendations: of a run, with the reason for each where the recipe explains, or from a profile store.

    A store answers for users as they are after the last update, and for a history that you name.

    Examples:

        recprofile recommend 42 --run recipes/quickstart.yaml -k 5
        recprofile recommend --user 42 --store recipes/quickstart.yaml
        recprofile recommend --history 50,181 --store recipes/quickstart.yaml
    """
    from recprofile.runs import find_run

    if [user, of_store, history].count(None) != 2:
        raise typer.BadParameter("name one: USER, --user or --history")
    if user is None or store_ is not None:
        items = [item.strip() for item in (history or "").split(",") if item.strip()]
        told = store.answer_from(store_, run, recipe, user=of_store or user, items=items, k=k)
        if json:
            json_out(told)
        else:
            store_words.print_answer(told)
        return
    opened = find_run(run)
    rows = _recommendations(opened, user, k)
    if json:
        json_out(rows)
    else:
        _print_recommendations(opened, user, rows)


def report(
    run: Annotated[
        Path | None,
        typer.Argument(
            autocompletion=runs_and_recipes,
            help="Run folder, or the recipe that made it. [default: the newest in ./runs]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a run's HTML report again from its report.json, and say where it is.

    Example:

        recprofile report recipes/quickstart.yaml
    """
    from recprofile.report import render_report
    from recprofile.runs import find_run

    opened = find_run(run)
    page = opened.replace("report.html", render_report(opened.json("report.json")))
    console().print(f"report: {escape(str(page))}")
    console().print(f"open it in a browser: {escape(page.resolve().as_uri())}")


def _recommendations(run: Run, user: str, k: int | None) -> list[dict[str, Any]]:
    """A user's list with names and reasons; raises RP607 for a user without one."""
    import polars as pl

    from recprofile.runs import unknown_user

    name = "recommendations.parquet"
    mine = run.table(name, user=user).sort("rank")
    if mine.is_empty():
        raise unknown_user(user, run.table(name, columns=["user"])["user"].unique().sort(), run)
    said: Mapping[str, Any] = {}
    if (run.folder / "explanations.parquet").is_file():
        why = run.table("explanations.parquet", user=user).drop_nulls("sentence")
        why = why.unique("item", keep="first", maintain_order=True).with_columns(pl.col("item").cast(pl.String))
        said = {row["item"]: row for row in why.iter_rows(named=True)}
    labels = run.item_names()
    nothing: Mapping[str, Any] = {}
    return [
        {
            **row,
            "label": labels.get(str(row["item"])),
            "because": said.get(str(row["item"]), nothing).get("sentence"),
            "counterfactual": said.get(str(row["item"]), nothing).get("counterfactual"),
            "basis": said.get(str(row["item"]), nothing).get("basis"),
        }
        for row in mine.head(k or mine.height).iter_rows(named=True)
    ]


def _print_recommendations(run: Run, user: str, rows: Sequence[Mapping[str, Any]]) -> None:
    from recprofile.report.people import FALLBACKS
    from recprofile.report.words import number, places

    out = console()
    out.print(f"[bold]user {escape(user)}[/bold]  from {escape(str(run.folder))}")
    if (reason := rows[0]["reason"]) != "ranked":
        out.print(f"[yellow]fall-back[/yellow]: {escape(FALLBACKS.get(reason, reason))}", soft_wrap=not out.is_terminal)
    decimals = places(row["score"] for row in rows)
    scores = [number(row["score"], decimals) for row in rows]
    ranks = max(len(str(row["rank"])) for row in rows)
    indent, wide = " " * (ranks + 2), max(map(len, scores))
    room = max(16, out.width - len(indent) - wide - 2)
    for row, score in zip(rows, scores, strict=True):
        first, *more = textwrap.wrap(_named(row), room, break_on_hyphens=False) or [""]
        out.print(f"{row['rank']:>{ranks}}  {first:<{room}}  {score:>{wide}}".rstrip(), markup=False, style="bold")
        for line in more:
            out.print(f"{indent}{line}", markup=False, style="bold")
        for text in (row["because"], row["counterfactual"]):
            if text and row["basis"] != "fallback":
                _print_reason(text, indent)
    if any(row["basis"] == "profile" for row in rows):
        told = "told after the fact: similarity in the profile, not the recommender's own score"
        out.print(f"[dim]{told}[/dim]", soft_wrap=not out.is_terminal)


def _named(row: Mapping[str, Any]) -> str:
    return f"{row['label']} ({row['item']})" if row["label"] else str(row["item"])


def _print_reason(text: str, indent: str) -> None:
    lines = textwrap.wrap(
        text,
        max(20, console().width),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    console().print("\n".join(lines), markup=False)
