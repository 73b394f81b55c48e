"""report.json → report.html: one page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from recprofile.report import checks, facts, people, results
from recprofile.report.words import amount, counted, moment, share

PAGE = "page"  # the folder of the template, the style sheet and the script


def render_report(report: Mapping[str, Any]) -> str:
    """The page, from what `build_report` gave and nothing else: the same report, the same page.

    Everything that comes from data is escaped. The page asks for no other file.
    """
    manifest, metrics = report.get("manifest") or {}, report.get("metrics") or {}
    gates = report.get("checks") or []
    return page(
        "report.html.j2",
        name=str(manifest.get("name") or "run"),
        version=str(manifest.get("recprofile") or ""),
        started=moment(manifest["started"]) if manifest.get("started") else "",
        verdict=checks.verdict(gates),
        headline=results.headline(metrics),
        key_facts=facts.key_facts(manifest),
        warnings=facts.warnings_of(manifest),
        judged={
            "users": metrics.get("users"),
            "cold_users": metrics.get("cold_users"),
            "resamples": metrics.get("resamples"),
            "confidence": share(metrics.get("confidence", 0.95)),
            "notes": [str(note) for note in metrics.get("notes") or []],
        },
        comparison=results.comparison(metrics),
        table=results.table(metrics),
        differences=results.differences(metrics),
        groups=results.by_group(metrics),
        fallbacks=results.fallbacks(metrics),
        ratings=results.ratings(metrics),
        checks=checks.check_views(gates),
        people=people.people(report.get("samples") or []),
        ranked=report.get("ranked", True),
        explained=report.get("explained", True),
        data=facts.data_summary(manifest.get("data") or {}),
        notes=[str(note) for note in manifest.get("notes") or []],
        stages=facts.stage_rows(manifest),
        again=facts.reproduction(manifest),
    )


def page(template: str, **views: Any) -> str:
    """A page from its template, with the style sheet and the script in it."""
    return _environment().get_template(template).render(style=_own("report.css"), script=_own("report.js"), **views)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("recprofile.report", PAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["amount"] = amount
    environment.filters["counted"] = counted
    environment.filters["capitalize_first"] = _capitalised
    return environment


def _capitalised(text: str) -> str:
    """The text with its first letter large, as a sentence of its own, and without a full stop."""
    return text[:1].upper() + text[1:].removesuffix(".")


def _own(name: str) -> Markup:
    """One of the page's own files, which holds nothing that comes from data."""
    return Markup(files("recprofile.report").joinpath(PAGE, name).read_text(encoding="utf-8"))
