"""`doctor`: what is here, what is broken, and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape

from recprofile.cli import health
from recprofile.cli.terminal import console, json_out

BROKEN = 4


def add_to(app: typer.Typer) -> None:
    """Add this command to the application."""
    app.command()(doctor)


def doctor(
    deep: Annotated[bool, typer.Option("--deep", help="Read all that is kept and compare its checksums.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Look at this environment: versions, devices, cache, plugins, runs; say what is broken and what mends it.

    Examples:

        recprofile doctor
        recprofile doctor --deep

    Exit code 4 when anything is broken.
    """
    registry, troubles = health.plugins()
    found: dict[str, Any] = dict(health.where())
    for name, (facts, wrong) in {
        "versions": health.versions(registry),
        "devices": health.devices(),
        "cache": health.cache(deep=deep),
        "runs": health.runs(deep=deep),
    }.items():
        found[name] = facts
        troubles += wrong
    found["assets"] = health.assets()
    found["plugins"] = {
        "loaded": [p.namespace for p in registry.plugins if p.problem is None] if registry else [],
        "not_installed": dict(health.not_installed(registry)),
    }
    found |= health.offline()
    if json:
        json_out({"well": not troubles, **found, "troubles": [asdict(one) for one in troubles]})
    else:
        _print(found)
        _print_troubles(troubles)
    if troubles:
        raise typer.Exit(BROKEN)


def _print(found: Mapping[str, Any]) -> None:
    cache, plugins, runs = found["cache"], found["plugins"], found["runs"]
    _section("versions", (f"{name} {version}" for name, version in found["versions"].items()))
    _line(f"{found['executable']} on {found['platform']}")
    _section("devices", _devices(found["devices"]))
    loaded = ", ".join(plugins["loaded"]) or "none"
    lacking = (f"not installed: {name} (pip install {dist})" for name, dist in plugins["not_installed"].items())
    _section("plugins", [loaded])
    for line in lacking:
        _line(line)
    kinds = (f"{k['entries']:,} {what} ({_size(k['bytes'])})" for what, k in cache["kinds"].items() if k["entries"])
    _section("cache", kinds)
    free = f", {_size(cache['free'])} free" if cache["free"] is not None else ""
    _line(f"{cache['folder']}{free}{'; checksums compared' if cache['deep'] else ''}")
    for what, names in found["assets"].items():
        if names:
            _line(f"{what}: {', '.join(names)}")
    because = ", ".join(f"{name}={value}" for name, value in found["because"].items())
    network = f"not used ({because})" if found["offline"] else "used where something must be fetched"
    _section("network", [network])
    if runs["folders"]:
        _section("runs", [f"{len(runs['runs'])} in {', '.join(runs['folders'])}"])


def _devices(found: Mapping[str, Any]) -> list[str]:
    lines = [f"{found['cores']} cores", *([f"{_size(found['memory'])} of memory"] if found["memory"] else [])]
    if not found["torch"]:
        return lines
    gpus = [f"cuda:{n} {gpu['name']} ({_size(gpu['memory'])})" for n, gpu in enumerate(found["cuda"])]
    lines += gpus or ["no CUDA device"]
    lines += ["mps"] if found["mps"] else []
    return [*lines, f"torch {found['torch']}, imported in {found['torch_seconds']} s"]


def _print_troubles(troubles: Iterable[health.Trouble]) -> None:
    out = console()
    out.print()
    listed = list(troubles)
    for one in listed:
        code = f"{one.code} " if one.code else ""
        out.print(f"[bold red]broken[/bold red] [bold]{one.about}[/bold]: {code}{escape(one.what)}")
        out.print(f"     = mend it: {escape(one.mend)}")
    count = len(listed)
    if listed:
        out.print(f"{count} {'thing is' if count == 1 else 'things are'} broken")
    else:
        out.print("[green]nothing is broken[/green]")


def _section(title: str, parts: Iterable[str]) -> None:
    text = ", ".join(parts)
    console().print(f"[bold]{title:<9}[/bold] {escape(text) or '[dim]nothing[/dim]'}", soft_wrap=True)


def _line(text: str) -> None:
    console().print(f"{'':<9} [dim]{escape(text)}[/dim]", soft_wrap=True)


def _size(count: float) -> str:
    """Bytes as a person reads them."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
