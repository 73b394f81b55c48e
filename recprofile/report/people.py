"""What the page shows of the sample users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recprofile.report.plots import bars, zero_of
from recprofile.report.words import View, amount, counted, number, places, plain_value, share, signed

FALLBACKS = {
    "no history": "no training event is known of this user, so the list holds the most popular items",
    "not in model": "the recommender does not know this user, so the list holds the most popular items",
    "nothing to rank": "no item was left to list for this user",
    "not in the profiles": "the profiles know nothing of this user",
}


def people(samples: Sequence[Mapping[str, Any]]) -> list[View]:
    """One view per sample user."""
    return [_person(at, sample) for at, sample in enumerate(samples, start=1)]


def _person(at: int, sample: Mapping[str, Any]) -> View:
    recs = sample["recommendations"]
    reason = sample["reason"]
    return {
        "at": at,
        "user": str(sample["user"]),
        "events": counted(sample["events"], "event"),
        "fallback": sample["fallback"],
        "reason": FALLBACKS.get(reason, reason),
        "attributes": [(name, plain_value(value)) for name, value in sample["attributes"].items()],
        "span": _span(sample),
        "positive": "" if sample["positive"] is None else f"{amount(sample['positive'])} positive",
        "order": sample["order"],
        "history": _history(sample["history"]),
        "more": sample["events"] - len(sample["history"]),
        "blocks": _blocks(sample.get("profile")),
        "known": (sample.get("profile") or {}).get("known", True),
        "profiled": sample.get("profile") is not None,
        "test": _test(sample),
        "recommendations": _recommendations(recs),
        "explained": any(rec["sentence"] for rec in recs),
    }


def _span(sample: Mapping[str, Any]) -> str:
    first, last = sample["first"], sample["last"]
    if first is None:
        return ""
    return str(first) if first == last else f"{first} to {last}"


def _test(sample: Mapping[str, Any]) -> str:
    """What became of the user's held-out items, in a sentence; '' where none was held out."""
    if not sample["relevant"] or not sample["listed"]:
        return ""
    held = counted(sample["relevant"], "relevant item was", "relevant items were")
    return (
        f"{held} held out for the test; {amount(sample['found'])} of them among the {amount(sample['listed'])} listed."
    )


def _history(events: Sequence[Mapping[str, Any]]) -> View:
    weights = [e["weight"] for e in events]
    decimals = 0 if all(w is None or float(w).is_integer() for w in weights) else places(weights)
    return {
        "weighted": any(w is not None for w in weights),
        "dated": any(e["date"] is not None for e in events),
        "judged": any(e["positive"] is not None for e in events),
        "rows": [
            {
                "label": e["label"],
                "item": str(e["item"]),
                "weight": number(e["weight"], decimals),
                "positive": e["positive"],
                "date": e["date"] or "",
            }
            for e in events
        ],
    }


def _blocks(profile: Mapping[str, Any] | None) -> list[View]:
    blocks = (profile or {}).get("blocks") or []
    widths = bars([b["share"] for b in blocks])
    return [
        {
            "name": b["name"],
            "weight": number(b["weight"]),
            "columns": amount(b["columns"]),
            "share": share(b["share"]),
            "bar": bar if b["share"] is not None else None,
        }
        for b, bar in zip(blocks, widths, strict=True)
    ]


def _recommendations(recs: Sequence[Mapping[str, Any]]) -> list[View]:
    scores = places(r["score"] for r in recs)
    kinds = ("history", "block")
    zero = zero_of(
        part["contribution"] / (_largest(recs, kind) or 1.0) for kind in kinds for _, part in _parts(recs, kind)
    )
    history, blocks = (_evidence(recs, kind, zero) for kind in kinds)
    return [
        {
            "rank": r["rank"],
            "label": r["label"],
            "item": str(r["item"]),
            "score": number(r["score"], scores),
            "hit": r["hit"],
            "sentence": r["sentence"],
            "counterfactual": r["counterfactual"],
            "after": r["basis"] == "profile",
            "evidence": history[at] + blocks[at],
        }
        for at, r in enumerate(recs)
    ]


def _parts(recs: Sequence[Mapping[str, Any]], kind: str) -> list[tuple[int, Mapping[str, Any]]]:
    return [(at, part) for at, rec in enumerate(recs) for part in rec["evidence"] if part["kind"] == kind]


def _largest(recs: Sequence[Mapping[str, Any]], kind: str) -> float:
    return max((abs(part["contribution"]) for _, part in _parts(recs, kind)), default=0.0)


def _evidence(recs: Sequence[Mapping[str, Any]], kind: str, zero: float) -> list[list[View]]:
    """Signed bars of one kind for each recommendation, all of a user's on one scale so that they compare."""
    parts = _parts(recs, kind)
    drawn = bars([part["contribution"] for _, part in parts], zero)
    decimals = places([_largest(recs, kind)])
    rows: list[list[View]] = [[] for _ in recs]
    for (at, part), bar in zip(parts, drawn, strict=True):
        rows[at].append(
            {"kind": kind, "label": part["label"], "value": signed(part["contribution"], decimals), "bar": bar}
        )
    return rows
