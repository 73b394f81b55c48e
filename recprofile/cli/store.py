"""`publish`, `update`, and `profile history|diff|export|forget`: profiles after the run."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from recprofile.cli import store_words
from recprofile.cli.complete import recipes, runs_and_recipes
from recprofile.cli.terminal import console, errors_console, json_out

if TYPE_CHECKING:
    import sqlalchemy as sa

    from recprofile.profiles.store import Store

Recipe = Annotated[Path, typer.Argument(autocompletion=recipes, help="The recipe file.", show_default=False)]
Target = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="STORE",
        help="Profile store: a file, or a URL. [default: the recipe's 'publish', else profiles.db beside its run]",
        show_default=False,
    ),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="STORE",
        autocompletion=runs_and_recipes,
        help="Profile store: a file, a URL, or the recipe that is published there. [default: runs/profiles.db]",
        show_default=False,
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        "--recipe", metavar="NAME", help="Name of the recipe, where the store holds several.", show_default=False
    ),
]
User = Annotated[str, typer.Argument(help="User, by the id that the data have.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command()(publish)
    app.command()(update)


def add_to_profile(group: typer.Typer) -> None:
    """Add the commands about one person."""
    for command in (history, diff, export, forget):
        group.command()(command)


def publish(
    recipe: Recipe,
    store: Target = None,
    offline: Annotated[bool, typer.Option("--offline", help="Fetch nothing; use what is in the cache.")] = False,
    json: Json = False,
) -> None:
    """Put the profiles of a recipe into a store, from where they live on; runs what of the recipe is not done yet.

    A run that is published already adds nothing.

    Example:

        recprofile publish recipes/minimal.yaml --store profiles.db
    """
    from recprofile.api import planned
    from recprofile.cli.progress import TerminalObserver
    from recprofile.engine import Settings, run_plan
    from recprofile.profiles.address import store_of

    plan, registry = planned(recipe)
    observer = TerminalObserver(quiet=json)
    registry.manager.register(observer, name="terminal")
    command = shlex.join(["recprofile", *sys.argv[1:]])
    settings = Settings(offline=offline or None, command=command, store=store_of(plan, store))
    try:
        observer.watch("looking at the files")
        result = run_plan(plan, registry, settings)
    finally:
        observer.close()
    assert result.published is not None
    for text in result.warnings:
        if text.startswith("publish: "):
            warn(text.removeprefix("publish: "))
    if json:
        json_out(dict(vars(result.published)))
    else:
        store_words.print_published(result.published)


def update(
    recipe: Recipe,
    events: Annotated[
        Path,
        typer.Option(
            "--events",
            metavar="FILE",
            help="Later events, with the recipe's columns and, if they have one, "
            "an 'event_id': JSON Lines, CSV, TSV or Parquet; '-': standard input.",
            show_default=False,
        ),
    ],
    items: Annotated[
        Path | None,
        typer.Option(
            "--items",
            metavar="FILE",
            help="Attributes of new items, with the columns of the recipe's items.",
            show_default=False,
        ),
    ] = None,
    store: Target = None,
    json: Json = False,
) -> None:
    """Take later events into stored profiles: once each, in one transaction, for the users concerned alone.

    An event is known by its 'event_id', else by what it says, so that the same file a second time changes nothing.
    Every update measures how far its profiles are from ones made anew from the whole history.

    Examples:

        recprofile update recipes/quickstart.yaml --events new.jsonl
        recprofile update shop.yaml --events - --items new.csv < log.jsonl
    """
    from recprofile.api import planned
    from recprofile.profiles.address import store_of
    from recprofile.profiles.incoming import incoming_events, new_items
    from recprofile.profiles.stages import Stages
    from recprofile.profiles.store import Store
    from recprofile.profiles.update import takes, update

    plan, registry = planned(recipe)
    stages = Stages.of(plan, registry, warn)
    _ = stages.updater
    opened = Store(store_of(plan, store))
    taken = takes(opened, plan.name)
    log = incoming_events(events, plan, has_time=taken.has_time, fills=taken.fills, warn=warn)
    done = update(opened, stages, log, new_items(items, plan, warn=warn) if items is not None else None)
    if json:
        json_out(done.to_json())
    else:
        store_words.print_updated(done)


def history(user: User, store: StoreOption = None, recipe: NameOption = None, json: Json = False) -> None:
    """List the versions of a person's profile: when each was made, by what, and how far it moved.

    Example:

        recprofile profile history 42 --store recipes/quickstart.yaml
    """
    from recprofile.profiles.read import versions_told

    with reading(store, recipe) as (opened, connection, name):
        told = versions_told(connection, opened, name, user)
    if json:
        json_out(told)
    else:
        store_words.print_versions(user, name, told)


def diff(
    user: User,
    first: Annotated[
        int | None, typer.Argument(metavar="V1", help="Version to compare from.", show_default=False)
    ] = None,
    second: Annotated[
        int | None,
        typer.Argument(metavar="V2", help="Version to compare with. [default: the newest]", show_default=False),
    ] = None,
    store: StoreOption = None,
    recipe: NameOption = None,
    json: Json = False,
) -> None:
    """Show what changed in a person's profile: by the last update, or between two versions.

    Examples:

        recprofile profile diff 42 --store recipes/quickstart.yaml
        recprofile profile diff 42 1 3
    """
    from recprofile.profiles.diff import diff as difference
    from recprofile.profiles.versions import newest
    from recprofile.registry import make_registry

    with reading(store, recipe) as (opened, connection, name):
        between = None
        if first is not None:
            last = newest(connection, name)
            assert last is not None
            between = first, second if second is not None else last.number
        told = difference(connection, opened, make_registry(), name, user, between=between)
    if json:
        json_out(told)
    else:
        store_words.print_diff(told)


def export(user: User, store: StoreOption = None) -> None:
    """Print everything that a store holds of a person, as JSON: events, every version of the profile, the card.

    Example:

        recprofile profile export 42 --store profiles.db > 42.json
    """
    from recprofile.profiles.read import export as everything
    from recprofile.registry import make_registry

    with reading(store, None) as (opened, connection, _):
        json_out(everything(connection, opened, make_registry(), user))


def forget(
    user: User,
    store: StoreOption = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", help="A further run folder that holds them.", autocompletion=runs_and_recipes, show_default=False
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Remove a person from the store in every version, from the cache and from the run folders.

    What is in the cache of the runs they are in goes as a whole, and is computed again when it is needed. The data
    files are yours: take the person out of those, too, or the next run brings them back.

    Example:

        recprofile profile forget 42 --store recipes/quickstart.yaml --yes
    """
    from recprofile.assets import cache_root
    from recprofile.profiles.address import find_store
    from recprofile.profiles.forget import forget as remove
    from recprofile.profiles.forget import traces
    from recprofile.profiles.store import Store

    opened = Store(find_store(store, None)[0])
    found = traces(opened, cache_root(), user, run)
    if not yes:
        errors_console().print(escape(store_words.about_to_forget(opened.shown, found)))
        typer.confirm("forget them for good?", abort=True, err=True)
    done = remove(opened, found)
    if json:
        json_out(done.to_json())
    else:
        store_words.print_forgotten(opened.shown, done)


@contextmanager
def reading(
    store: str | None, recipe: str | None, run: Path | None = None
) -> Iterator[tuple[Store, sa.Connection, str]]:
    """The store that a person means, a transaction that reads it, and the recipe in question."""
    from recprofile.profiles.address import find_store
    from recprofile.profiles.person import recipe_in
    from recprofile.profiles.store import Store

    url, named = find_store(store, run)
    opened = Store(url)
    with opened.read() as connection:
        yield opened, connection, recipe_in(connection, opened, recipe or named)


def card_from(store: str | None, recipe: str | None, user: str) -> dict[str, Any]:
    """A person's card from a store."""
    from recprofile.profiles.read import card
    from recprofile.registry import make_registry

    with reading(store, recipe) as (opened, connection, name):
        return card(connection, opened, make_registry(), name, user)


def answer_from(
    store: str | None, run: Path | None, recipe: str | None, *, user: str | None, items: list[str], k: int | None
) -> dict[str, Any]:
    """A list from a store, for a user or for a history of items."""
    from recprofile.profiles.answer import answer
    from recprofile.profiles.person import person, somebody
    from recprofile.registry import make_registry

    registry = make_registry()
    with reading(store, recipe, run) as (opened, connection, name):
        if user is not None:
            who = person(connection, opened, registry, name, user)
        else:
            who = somebody(connection, opened, registry, name, items)
        rows = answer(connection, registry, who, k)
        reranks = who.base.facts["reranks"]
        version = who.written.number if who.written else None
    return {
        "user": user,
        "store": opened.shown,
        "recipe": name,
        "version": version,
        "before_rerank": reranks,
        "recommendations": rows,
    }


def warn(text: str) -> None:
    """Tell of what did not keep a command from doing its work."""
    errors_console().print(f"[yellow]warning[/yellow] {escape(text)}")


__all__ = ["add_to", "add_to_profile", "answer_from", "card_from", "console", "reading", "warn"]
