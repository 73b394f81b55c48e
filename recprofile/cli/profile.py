"""The card of a user: what a stored profile holds of them, what it rests on, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from recprofile.cli import store_words
from recprofile.cli.terminal import console, print_indented, table

if TYPE_CHECKING:
    from recprofile.artifacts import Block, Profiles
    from recprofile.runs import Run

HISTORY = 15  # history items shown
LISTED = 10  # recommendations that a block's share is measured on, as in the report
TOP = 5  # recommendations shown


def card_of(run: Run, user: str) -> dict[str, Any]:
    """The card as plain values; raises RunError RP607 when the run has no profiles, or none of this user."""
    from recprofile.interests import tags_of
    from recprofile.runs import unknown_user

    profiles = run.profiles()
    code = int(profiles.users.codes([user])[0])
    if code < 0:
        raise unknown_user(user, profiles.users.ids, run)
    labels = run.item_names()
    listed = _listed(run, user)
    history, in_all, even = _history(profiles, code, labels)
    text = profiles.cards
    mine = text.filter(text["user"].cast(str) == user)["text"].to_list() if text.width else []
    return {
        "user": user,
        "known": bool(profiles.known[code]),
        "as_of": _moment(profiles.asof),
        "dimensions": profiles.dim,
        "text": mine[0] if mine else None,
        "tags": tags_of(profiles, code),
        "blocks": _blocks(profiles, code, [row["item"] for row in listed], run),
        "history": history,
        "history_items": in_all,
        "history_even": even,
        "recommended": [{"item": row["item"], "label": labels.get(str(row["item"]))} for row in listed[:TOP]],
        "fallback": listed[0]["reason"] if listed and listed[0]["reason"] != "ranked" else None,
        "run": str(run.folder),
        "recipe": run.manifest.get("recipe_file"),
        "made": run.manifest.get("started"),
        "recprofile": run.manifest.get("recprofile"),
        "fused_by": [s["component"] for s in run.manifest.get("stages", []) if s["kind"] == "fuse"],
    }


def print_card(card: Mapping[str, Any]) -> None:
    """The card for people."""
    from recprofile.report.people import FALLBACKS
    from recprofile.report.words import counted, moment, number, share

    out = console()
    out.print(f"[bold]user {escape(card['user'])}[/bold]")
    blocks = card["blocks"]
    if card["known"]:
        size = f"{card['dimensions']} dimensions in {counted(len(blocks), 'block')}"
    else:
        size = "[yellow]nothing is known of this user: the profile is empty[/yellow]"
    facts = [
        ("profile", size),
        ("as of", f"{moment(card['as_of'])}, the last event taken in" if card["as_of"] else ""),
        ("fused by", ", ".join(card["fused_by"])),
        ("made", f"{moment(card['made'])} by recprofile {card['recprofile']}"),
        ("recipe", escape(str(card["recipe"]))),
        ("run", escape(str(card["run"]))),
        ("store", _stored(card)),
    ]
    for name, value in facts:
        if value:
            out.print(f"  [dim]{name:<8}[/dim]  {value}")
    if card["text"]:
        out.print()
        print_indented(card["text"])
    store_words.print_tags(card)
    if "interests" in card:
        store_words.print_interests(card)
    if card["known"] and blocks:
        out.print()
        own = any(b["weight"] != b["overall"] for b in blocks)  # else they weigh for everyone what they weigh here
        rows = [
            (
                f"  {b['name']}",
                str(b["dimensions"]),
                number(b["weight"]),
                *((number(b["overall"]),) if own else ()),
                share(b["share"]),
                b["rests_on"],
                b["component"] or "",
            )
            for b in blocks
        ]
        heads = ("  block", "dim", "weight", *(("overall",) if own else ()), "share", "rests on", "made by")
        out.print(table(heads, rows, right=(1, 2, 3, 4) if own else (1, 2, 3)))
        for block in blocks:
            for asset in block["assets"]:
                out.print(f"  [dim]{escape(block['name'])}: {escape(asset)}[/dim]")
        if any(b["share"] is not None for b in blocks):
            out.print("  [dim]share: of the scores of what heads their list[/dim]")
    if card["history"]:
        _print_history(card)
    if card["recommended"]:
        out.print("\nfirst on their list" + (": [yellow]a fall-back[/yellow]" if card["fallback"] else ""))
        if card["fallback"]:
            print_indented(FALLBACKS.get(card["fallback"], card["fallback"]))
        first = [(f"  {n}", r["label"] or "", str(r["item"])) for n, r in enumerate(card["recommended"], start=1)]
        out.print(table(("", "", ""), first))
    if "versions" in card:
        store_words.print_card_versions(card)


def _stored(card: Mapping[str, Any]) -> str:
    """Where a stored profile lies, and which version it is."""
    if "store" not in card:
        return ""
    number = f", version {card['version']['number']}" if card["version"] else ""
    return escape(card["store"]) + number


def _print_history(card: Mapping[str, Any]) -> None:
    from recprofile.report.words import counted, number, places

    history, more = card["history"], card["history_items"] - len(card["history"])
    weights = [h["weight"] for h in history]
    decimals = places(weights)
    rows = [(f"  {h['label'] or h['item']}", str(h["item"]), number(h["weight"], decimals)) for h in history]
    if card["history_even"]:
        console().print(f"\nhistory: {counted(card['history_items'], 'item')}, of one weight")
        console().print(table(("  item", "id"), [row[:2] for row in rows]))
    else:
        console().print("\nhistory that weighs most")
        console().print(table(("  item", "id", "weight"), rows, right=(2,)))
    if more > 0:
        console().print(f"  [dim]and {counted(more, 'further item')}[/dim]")


def _blocks(profiles: Profiles, code: int, listed: list[Any], run: Run) -> list[dict[str, Any]]:
    import numpy as np

    items = profiles.items.codes(listed) if listed else np.zeros(0, np.int32)
    items = items[items >= 0]
    parts = np.abs(profiles.block_scores(np.full(len(items), code, np.int32), items).astype(np.float64)).sum(axis=0)
    whole = float(parts.sum())
    vector = profiles.user_vectors[code]
    made_by = {stage["id"]: stage["component"] for stage in run.manifest.get("stages", [])}
    assets: Mapping[str, Any] = run.manifest.get("assets", {})
    return [
        {
            "name": block.name,
            "dimensions": block.stop - block.start,
            "weight": weight,
            "overall": block.weight,
            "share": float(part / whole) if whole > 0 else None,
            "norm": float(np.linalg.norm(vector[block.start : block.stop])),
            "rests_on": _rests_on(block),
            "component": made_by.get(block.name),
            "assets": [a["uri"] for name, a in assets.items() if name.rpartition(".")[0] == block.name],
        }
        for block, part, weight in zip(profiles.blocks, parts, profiles.weights_of(code), strict=True)
    ]


def _rests_on(block: Block) -> str:
    """What a user's part of a block follows from."""
    if block.fold_in is not None:
        return "history, by model"
    return "history" if block.pool is not None else "vectors of users"


def _history(profiles: Profiles, code: int, labels: Mapping[str, str]) -> tuple[list[dict[str, Any]], int, bool]:
    """The items that weigh most in the profile, how many there are in all, and whether they weigh the same."""
    import numpy as np

    history = profiles.rests_on()
    if history is None:
        return [], 0, True
    row = history[[code]].tocsr()
    order = np.argsort(-np.abs(row.data), kind="stable")[:HISTORY]
    items = profiles.items.outside(row.indices[order].astype(np.int32))
    weights = row.data[order].tolist()
    found = [{"item": i, "label": labels.get(str(i)), "weight": w} for i, w in zip(items, weights, strict=True)]
    return found, int(row.nnz), bool(np.ptp(row.data) <= 1e-6 * np.abs(row.data).max()) if row.nnz else True


def _listed(run: Run, user: str) -> list[dict[str, Any]]:
    """What heads the user's list, where the run made any."""
    name = "recommendations.parquet"
    if not (run.folder / name).is_file():
        return []
    return run.table(name, user=user).sort("rank").head(LISTED).to_dicts()


def _moment(seconds: int | None) -> str | None:
    from datetime import UTC, datetime

    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
