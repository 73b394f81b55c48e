"""`profile edit`: a person corrects what their card says of them."""

from __future__ import annotations

from typing import Annotated

import typer

from recprofile.cli import store_words
from recprofile.cli.store import Json, NameOption, StoreOption, User, warn
from recprofile.cli.terminal import json_out


def edit(
    user: User,
    like: Annotated[
        list[str] | None,
        typer.Option(
            "--like", metavar="TAG[=WEIGHT]", help="A tag that they like; repeat it for more.", show_default=False
        ),
    ] = None,
    dislike: Annotated[
        list[str] | None,
        typer.Option("--dislike", metavar="TAG", help="A tag that they do not like.", show_default=False),
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option("--remove", metavar="TAG", help="A tag that says nothing of them.", show_default=False),
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="The card in their own words.", show_default=False)] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the last edit back.")] = False,
    by: Annotated[
        str | None, typer.Option("--by", help="Who says so. [default: your name here]", show_default=False)
    ] = None,
    store: StoreOption = None,
    recipe: NameOption = None,
    json: Json = False,
) -> None:
    """Let a person correct their card: tags that they like, do not like, or that are not theirs, and its text.

    Tags act on the profile, and so on what is recommended from now on. An edit outlives updates and further runs of
    the recipe until it is undone. Without a weight a tag counts as much as their strongest.

    Examples:

        recprofile profile edit 42 --store recipes/quickstart.yaml --like Mystery --dislike Horror
        recprofile profile edit 42 --undo
    """
    from recprofile.profiles.address import find_store
    from recprofile.profiles.edit import Asked
    from recprofile.profiles.edit import edit as take_in
    from recprofile.profiles.store import Store
    from recprofile.registry import make_registry

    liked = tuple(_weighed(one) for one in like or ())
    asked = Asked(liked, tuple(dislike or ()), tuple(remove or ()), text, undo)
    if undo == (asked != Asked(undo=undo)):
        message = "--undo stands alone" if undo else "say what to edit: --like, --dislike, --remove, --text or --undo"
        raise typer.BadParameter(message)
    url, named = find_store(store, None)
    who = by or _my_name()
    done = take_in(Store(url), make_registry(), user, asked, by=who, recipe=recipe or named, warn=warn)
    if json:
        json_out(done.to_json())
    else:
        store_words.print_edited(done)


def _weighed(text: str) -> tuple[str, float | None]:
    """A tag and its weight, from 'TAG=WEIGHT'."""
    tag, equals, weight = text.rpartition("=")
    if not equals:
        return text, None
    try:
        value = float(weight)
    except ValueError:
        return text, None  # a tag may hold '='
    if not 0 < value < float("inf"):
        raise typer.BadParameter(f"the weight of '{tag}' is {weight}, and must be above 0")
    return tag, value


def _my_name() -> str:
    from getpass import getuser

    try:
        return getuser()
    except (OSError, KeyError):
        return "unknown"
