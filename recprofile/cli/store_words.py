"""What the commands of the profile store say to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from recprofile.cli.terminal import console, print_flowing, print_indented, table

if TYPE_CHECKING:
    from recprofile.profiles.edit import Edited
    from recprofile.profiles.forget import Forgotten, Traces
    from recprofile.profiles.publish import Published
    from recprofile.profiles.update import Updated

TAGS = 8  # tags of a card that are shown, liked ones and others each
EVENTS = 15  # events of a difference that are shown


def print_published(done: Published) -> None:
    """What a publication came to."""
    from recprofile.report.words import counted

    out = console()
    if not done.is_new:
        out.print(f"profiles: version {done.version} in {escape(done.store)} is this run already; nothing changed")
        return
    out.print(
        f"profiles: version {done.version} in {escape(done.store)}: "
        f"{counted(done.users, 'user')}, {counted(done.events, 'event')}"
    )
    if done.parity is not None:
        out.print(f"  made anew from the store they differ by at most {_tiny(done.parity['largest'])}")
    if done.carried_items:
        out.print(f"  {counted(done.carried_items, 'item')} of earlier updates, which the run lacks, encoded again")
    if done.carried:
        out.print(f"  {counted(done.carried, 'event')} of earlier updates, which the run lacks, taken in again")


def print_updated(done: Updated) -> None:
    """What an update did."""
    from recprofile.report.words import counted

    out = console()
    again = f", {counted(done.duplicates, 'event')} known already" if done.duplicates else ""
    if not done.is_new:
        print_flowing(f"nothing new{again}: version {done.version} in {escape(done.store)} stays as it is")
        return
    out.print(f"[bold]version {done.version}[/bold] in {escape(done.store)}")
    users = counted(done.users, "user")
    rows = [
        ("events", f"{counted(done.events, 'event')} taken in{again}"),
        ("users", f"{users} moved" + (f", {done.new_users} of them new" if done.new_users else "")),
    ]
    if done.new_items:
        rows.append(("items", f"{counted(done.new_items, 'new item')}, encoded from their attributes"))
    if done.waiting:
        what = counted(done.waiting, "event")
        rows.append(("waiting", f"{what} with items of which nothing is known: kept until --items tells of them"))
    if done.parity is not None:
        apart = _tiny(done.parity["largest"])
        rows.append(("parity", f"{apart} at most from profiles made anew of the whole history"))
    for name, value in rows:
        out.print(f"  [dim]{name:<8}[/dim] {value}")


def print_versions(user: str, recipe: str, told: Sequence[Mapping[str, Any]]) -> None:
    """The versions of a person's profile."""
    from recprofile.report.words import moment, number

    out = console()
    out.print(f"[bold]user {escape(user)}[/bold]  profiles of {escape(recipe)}")
    rows = [
        (f"  {v['version']}", v["kind"], moment(v["created"]), str(v["events"]), number(v["moved"]), _tiny(v["parity"]))
        for v in told
    ]
    out.print(table(("  version", "by", "made", "events", "moved", "parity"), rows, right=(3, 4, 5)))


def print_diff(told: Mapping[str, Any]) -> None:
    """What changed between two versions."""
    from recprofile.report.words import counted, moment, number, share

    out = console()
    a, b = told["from"], told["to"]
    out.print(f"[bold]user {escape(told['user'])}[/bold]  version {a['version']} → {b['version']}")
    out.print(f"  [dim]{b['kind']} of {moment(b['created'])}[/dim]")
    if not told["same_space"]:
        out.print("  [dim]another run made version "
                  f"{b['version']}: its vectors lie in another space, and are not compared[/dim]")  # fmt: skip
    if told["events"]:
        out.print(f"\n{counted(len(told['events']), 'event')} taken in")
        for event in told["events"][:EVENTS]:
            sign = "+" if event["positive"] else "·"
            again = "" if event["new_item"] else "  [dim]again[/dim]"
            out.print(f"  {sign} {escape(_named(event))}  [dim]{number(event['weight'])}[/dim]{again}")
        if len(told["events"]) > EVENTS:
            out.print(f"  [dim]and {len(told['events']) - EVENTS} more[/dim]")
    if told["blocks"]:
        rows = [
            (f"  {block['name']}", number(block["norm_before"]), number(block["norm_after"]), number(block["cosine"]))
            for block in told["blocks"]
        ]
        out.print()
        out.print(table(("  block", "length", "now", "cosine"), rows, right=(1, 2, 3)))
    if told["interests"]:
        out.print("\ninterests: share of their items")
        shares = [(f"  {i['value']}", share(i["before"]), share(i["after"])) for i in told["interests"][:EVENTS]]
        out.print(table(("", "was", "now"), shares, right=(1, 2)))
    if told["recommended"]:
        out.print("\nhead of the list")
        places = [(_place(row), _named(row), _was(row)) for row in told["recommended"]]
        out.print(table(("", "", ""), places))


def about_to_forget(store: str, found: Traces) -> str:
    """What a forgetting will remove."""
    from recprofile.report.words import counted

    parts = [
        f"{counted(len(found.recipes), 'recipe')} of {store}",
        counted(len(found.entries), "result in the cache", "results in the cache"),
        counted(len(found.runs), "run folder"),
        *([counted(len(found.litter), "folder of killed runs", "folders of killed runs")] if found.litter else []),
    ]
    return f"user '{found.user}' is in {', '.join(parts)}"


def print_forgotten(store: str, done: Forgotten) -> None:
    """What a forgetting removed."""
    from recprofile.report.words import counted

    out = console()
    out.print(f"[bold]user {escape(done.user)} is forgotten[/bold]")
    versions, events = counted(done.versions, "version"), counted(done.events, "event")
    out.print(f"  [dim]store [/dim] {escape(store)}: {versions} of the profile, {events}")
    if done.models:
        print_indented(
            "the recommender held something of each user, and went: publish again without them before you ask", 9
        )
    out.print(f"  [dim]cache [/dim] {counted(done.entries, 'result', 'results')} of stages")
    for run in done.runs:
        out.print(f"  [dim]run   [/dim] {escape(run)}")
    if done.litter:
        out.print(f"  [dim]litter[/dim] {counted(done.litter, 'temporary folder')} of runs that were killed")
    if done.beyond:
        print_indented(f"beyond reach: {done.beyond}")
    if done.sources:
        print_indented(f"take them out of the data, too, or the next run brings them back: {', '.join(done.sources)}")


def print_answer(told: Mapping[str, Any]) -> None:
    """A list from a store, with what of the history speaks for each item."""
    from recprofile.report.people import FALLBACKS
    from recprofile.report.words import number, places

    out = console()
    whose = f"user {escape(told['user'])}" if told["user"] is not None else "this history"
    version = f" version {told['version']}" if told["version"] else ""
    out.print(f"[bold]{whose}[/bold]  from {escape(told['store'])}{version}")
    rows = told["recommendations"]
    if rows and rows[0]["reason"] != "ranked":
        reason = rows[0]["reason"]
        out.print(f"[yellow]fall-back[/yellow]: {escape(FALLBACKS.get(reason, reason))}")
    decimals = places(row["score"] for row in rows)
    for row in rows:
        out.print(f"{row['rank']:>3}  [bold]{escape(_named(row))}[/bold]  {number(row['score'], decimals)}")
        if row["because"]:
            print_indented("for " + ", ".join(_named(one) for one in row["because"]), 5)
    if told["before_rerank"]:
        out.print(f"[dim]as ranked, before {', '.join(told['before_rerank'])}[/dim]")


def print_tags(card: Mapping[str, Any]) -> None:
    """What a person said of themselves, and their tags, those that they avoid last, with the items that show each."""
    from recprofile.report.words import number, share, signed

    _print_edits(card.get("edits", ()))
    if not card["tags"]:
        return
    likes = [tag for tag in card["tags"] if tag["weight"] > 0]
    dislikes = [tag for tag in card["tags"] if tag["weight"] < 0]
    rows = [
        (
            f"  {escape(tag['tag'])}",
            number(tag["weight"]),
            share(tag["share"]),
            share(tag["usual"]),
            signed(100 * tag["trend"], 0) if tag["trend"] else "",
            escape("their own words" if tag["edited"] and not tag["evidence"] else ", ".join(tag["evidence"])),
        )
        for tag in (*likes[:TAGS], *dislikes[:TAGS])
    ]
    console().print()
    console().print(table(("  tag", "weight", "theirs", "usual", "trend", "as in"), rows, right=(1, 2, 3, 4)))
    more = max(len(likes) - TAGS, 0) + max(len(dislikes) - TAGS, 0)
    if more:
        console().print(f"  [dim]and {more} more[/dim]")


def _print_edits(edits: Sequence[Mapping[str, Any]]) -> None:
    """What a person said of themselves, as far as it counts."""
    from recprofile.report.words import moment

    for one in edits:
        if one["undone"] is None:
            what = _said(one["tags"], one["text"])
            print_indented(f"edited {moment(one['created'])} by {one['by']}: {what} (version {one['version']})")


def print_edited(done: Edited) -> None:
    """What an edit did."""
    console().print(f"[bold]version {done.version}[/bold] in {escape(done.store)}: user {escape(done.user)}")
    if done.undone is not None:
        console().print(f"  version {done.undone} is undone")
    else:
        print_indented(_said(done.tags, done.text))
    for text in done.told:
        print_indented(text)


def _said(tags: Sequence[Mapping[str, Any]], text: str | None) -> str:
    """An edit in words."""
    from recprofile.report.words import number

    parts = [
        f"{'likes' if tag['weight'] > 0 else 'dislikes'} {tag['tag']} ({number(tag['weight'])})"
        if tag["weight"]
        else f"without {tag['tag']}"
        for tag in tags
    ]
    return ", ".join([*parts, *(["the card in their own words"] if text is not None else [])])


def print_interests(card: Mapping[str, Any]) -> None:
    """What a person has more of than others, with the items that show it; and how active they are."""
    from recprofile.report.words import counted, moment, share

    out = console()
    if card["interests"] and not card["tags"]:
        out.print("\ninterests")
        rows = [
            (f"  {i['value']}", share(i["share"]), share(i["of_all"]), ", ".join(i["evidence"]))
            for i in card["interests"]
        ]
        out.print(table(("  what", "theirs", "all", "as in"), rows, right=(1, 2)))
    activity = card["activity"]
    span = f" from {moment(activity['first'])} to {moment(activity['last'])}" if activity["first"] else ""
    said = f"{counted(activity['events'], 'event')}, {activity['positive']} positive,"
    out.print(f"\nactivity: {said} with {counted(activity['items'], 'item')}{span}")
    if activity["waiting"]:
        out.print(f"  [dim]{counted(activity['waiting'], 'event')} with items of which nothing is known yet[/dim]")


def print_card_versions(card: Mapping[str, Any]) -> None:
    """The versions of a card."""
    from recprofile.report.words import moment

    every = card["versions"]
    console().print(f"\nversions: {len(every)}")
    rows = [(f"  {v['number']}", v["kind"], moment(v["created"])) for v in every[-5:]]
    console().print(table(("", "", ""), rows))


def _tiny(value: float | None) -> str:
    return "–" if value is None else "0" if value == 0 else f"{value:.1e}"


def _named(row: Mapping[str, Any]) -> str:
    return f"{row['label']} ({row['item']})" if row["label"] else str(row["item"])


def _place(row: Mapping[str, Any]) -> str:
    return f"  {row['after']}" if row["after"] else "  –"


def _was(row: Mapping[str, Any]) -> str:
    before, after = row["before"], row["after"]
    if before is None:
        return "new"
    if after is None:
        return f"was {before}"
    return "" if before == after else f"{'up' if after < before else 'down'} from {before}"
