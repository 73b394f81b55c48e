"""What the page shows of the data, the stages, and how to run it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recprofile.report.plots import bars
from recprofile.report.words import View, amount, duration, memory, moment, plain_value


def key_facts(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The few facts of the head: size of the data, device, seed, time."""
    data = manifest.get("data") or {}
    found = [(name, summary_value(data[name])) for name in ("users", "items") if data.get(name) is not None]
    events = data.get("events")
    if isinstance(events, Mapping):  # the validation part lies within the training part
        events = events.get("train", 0) + events.get("test", 0)
    if events is not None:
        found.append(("events", summary_value(events)))
    run = [
        ("device", manifest.get("device")),
        ("seed", manifest.get("seed")),
        ("took", None if manifest.get("seconds") is None else duration(manifest["seconds"])),
    ]
    return found + [(name, str(value)) for name, value in run if value is not None]


def summary_value(value: object) -> str:
    """A value of the data summary: counts with their thousands apart, times to the minute."""
    if value is None:
        return "none"
    if isinstance(value, int) and not isinstance(value, bool):
        return amount(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {summary_value(one)}" for name, one in value.items())
    if isinstance(value, str) and "T" in value:
        return moment(value)
    return plain_value(value)


def data_summary(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every entry of the data summary, whatever it holds, but its notes; a mapping within it is flattened once."""
    rows: list[tuple[str, str]] = []
    for name, value in data.items():
        if name == "notes":
            continue  # they have a list of their own
        title = str(name).replace("_", " ")
        if isinstance(value, Mapping):
            inside = [(str(inner).replace("_", " "), one) for inner, one in value.items() if one != []]
            rows += [(f"{title}: {inner}", summary_value(one)) for inner, one in inside]
        elif value != []:
            rows.append((title, summary_value(value)))
    return rows


def stage_rows(manifest: Mapping[str, Any]) -> View:
    """The stages with a bar for their time; that of a cached stage is what it took when it was computed."""
    stages = manifest.get("stages") or []
    drawn = bars([s.get("seconds") for s in stages])
    cached = sum(bool(s.get("cached")) for s in stages)
    spent = sum(s.get("seconds") or 0.0 for s in stages if not s.get("cached"))
    return {
        "cached": cached,
        "computed": len(stages) - cached,
        "spent": duration(spent),
        "whole": duration(manifest.get("seconds")),
        "rows": [
            {
                "id": s["id"],
                "kind": s.get("kind"),
                "component": s.get("component") if s.get("component") != s.get("kind") else "",
                "seconds": duration(s.get("seconds")),
                "sort": s.get("seconds"),
                "memory": memory(s.get("peak_mib")),
                "sort_memory": s.get("peak_mib"),
                "cached": bool(s.get("cached")),
                "bar": bar,
                "facts": ", ".join(f"{name} {plain_value(v)}" for name, v in (s.get("facts") or {}).items()),
            }
            for s, bar in zip(stages, drawn, strict=True)
        ],
    }


def warnings_of(manifest: Mapping[str, Any]) -> list[View]:
    """Every warning with its stage, each once: those of the run, then any that only a stage holds."""
    found = [(str(w.get("stage", "")), str(w.get("text", ""))) for w in manifest.get("warnings") or []]
    found += [(str(s["id"]), str(text)) for s in manifest.get("stages") or [] for text in s.get("warnings") or []]
    return [{"stage": stage, "text": text} for stage, text in dict.fromkeys(found)]


def reproduction(manifest: Mapping[str, Any]) -> View:
    """The command, and everything that has to be the same for it to give the same numbers."""
    versions = [("recprofile", manifest.get("recprofile")), ("Python", manifest.get("python"))]
    versions += [
        (f"{p.get('distribution')} (plugin ‘{p.get('namespace')}’)", p.get("version"))
        for p in manifest.get("plugins") or []
        if p.get("distribution") != "recprofile"
    ]
    versions += list((manifest.get("libraries") or {}).items())
    facts = [
        ("recipe", manifest.get("recipe_file")),
        ("seed", manifest.get("seed")),
        ("device", manifest.get("device")),
        ("platform", manifest.get("platform")),
        ("started", moment(manifest["started"]) if manifest.get("started") else None),
    ]
    files = {**(manifest.get("files") or {}), **(manifest.get("assets") or {})}
    return {
        "command": manifest.get("command"),
        "facts": [(name, str(value)) for name, value in facts if value is not None],
        "versions": [(name, str(value)) for name, value in versions if value is not None],
        "files": [
            {"name": name, "uri": str(file.get("uri", "")), "fingerprint": str(file.get("fingerprint", ""))}
            for name, file in files.items()
        ],
        "recipe": manifest.get("recipe"),
        "cache_keys": [(str(name), str(key)) for name, key in (manifest.get("keys") or {}).items()],
    }
