"""What `doctor` looks at: facts of this environment, and what is broken with the command that mends it."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recprofile.cli.cache import KINDS, entries, size_of

if TYPE_CHECKING:
    from recprofile.registry import Registry

AN_HOUR = 3600  # seconds; a younger temporary folder may belong to a run that goes on
LITTLE = 1_000_000_000  # bytes free on the disk of the cache, below which a run may fail
LEFTOVER = re.compile(r"\.(?P<name>.+)-[a-z0-9_]{8}")  # what recprofile.runs builds a run folder in
CHECKED = {"results of stages": "rm -r {path}", "packages": "rm -r {path}", "data sets": "recprofile data fetch {name}"}


@dataclass(frozen=True)
class Trouble:
    """One thing that is broken: what, and the command that mends it."""

    about: str
    what: str
    mend: str
    code: str | None = None


def versions(registry: Registry | None) -> tuple[dict[str, str], list[Trouble]]:
    """Versions of Python, recprofile, its plugins and the libraries they ask for; and those that do not do."""
    from packaging.markers import default_environment
    from packaging.requirements import Requirement

    ours = ["recprofile", *sorted({p.distribution for p in registry.plugins} if registry else ())]
    found = {"python": platform.python_version()}
    troubles: dict[tuple[str, str], Trouble] = {}
    here: dict[str, str] = {**default_environment(), "extra": ""}  # type: ignore[dict-item]  # all of its values are text
    for name in dict.fromkeys(ours):
        dist = _distribution(name)
        if dist is None:  # it runs from a bare folder
            continue
        found[name] = dist.version
        for line in dist.requires or ():
            wanted = Requirement(line)
            if wanted.marker and not wanted.marker.evaluate(here):
                continue
            there = _distribution(wanted.name)
            if there is None:
                what = f"{wanted.name} is not installed, and {name} needs it"
            elif not wanted.specifier.contains(there.version, prereleases=True):
                what = f"{wanted.name} {there.version} is installed, and {name} needs {wanted.specifier}"
            else:
                found.setdefault(wanted.name, there.version)
                continue
            mend = f"pip install {shlex.quote(f'{wanted.name}{wanted.specifier}')}"
            troubles[name, wanted.name] = Trouble("versions", what, mend)
    return found, list(troubles.values())


def _distribution(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def devices() -> tuple[dict[str, Any], list[Trouble]]:
    """Cores, memory, and what torch can use; importing torch takes seconds, which are told."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    found: dict[str, Any] = {"cores": len(affinity(0)) if affinity else os.cpu_count() or 1, "memory": _memory()}
    begun = time.perf_counter()
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: one of its libraries is damaged
        said = " ".join(str(error).split())[:200]
        mend = "pip install --force-reinstall torch"
        return {**found, "torch": None}, [Trouble("devices", f"torch cannot be imported: {said}", mend)]
    found |= {"torch": torch.__version__, "torch_seconds": round(time.perf_counter() - begun, 1)}
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found["cuda"] = [
        {"name": one.name, "memory": one.total_memory} for one in map(torch.cuda.get_device_properties, range(count))
    ]
    found["mps"] = torch.backends.mps.is_available()
    if not count and Path("/dev/nvidiactl").exists():
        what = f"an NVIDIA device is here, and torch {torch.__version__} cannot use it"
        return found, [Trouble("devices", what, "pip install --force-reinstall torch")]
    return found, []


def _memory() -> int | None:
    """Bytes of memory of this machine; None where the system does not say."""
    with suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def cache(*, deep: bool) -> tuple[dict[str, Any], list[Trouble]]:
    """Where the cache lies, how much of what is in it, and entries that are damaged: with `deep` by their contents."""
    from recprofile.assets import cache_root

    root = cache_root()
    found: dict[str, Any] = {"folder": str(root), "writable": True, "free": None, "kinds": {}, "deep": deep}
    troubles: list[Trouble] = []
    above = next(folder for folder in (root, *root.parents) if folder.exists())
    try:
        with tempfile.TemporaryDirectory(dir=above):
            pass
        found["free"] = shutil.disk_usage(above).free
    except OSError as error:
        found["writable"] = False
        what = f"the cache '{root}' cannot be written: {(error.strerror or str(error)).lower()}"
        troubles.append(Trouble("cache", what, "export RECPROFILE_CACHE=~/recprofile-cache", "RP606"))
    if found["free"] is not None and found["free"] < LITTLE:
        what = f"only {found['free'] / 1e6:,.0f} MB are free on the disk of the cache"
        troubles.append(Trouble("cache", what, "recprofile cache prune --days 0"))
    for kind in KINDS:
        paths = entries(root, kind)
        found["kinds"][kind] = {"entries": len(paths), "bytes": sum(map(size_of, paths))}
        if kind in CHECKED:
            troubles += (one for path in paths if (one := _damaged(path, kind, deep=deep)))
    return found, troubles


def _damaged(path: Path, kind: str, *, deep: bool) -> Trouble | None:
    from recprofile.assets.store import read_entry

    entry, wrong = read_entry(path, contents=deep)
    if entry is not None or path.name.startswith("."):
        return None
    mend = CHECKED[kind].format(path=shlex.quote(str(path)), name=path.name)
    return Trouble("cache", f"{path.name[:16]} of the {kind} {wrong}", mend)


def assets() -> dict[str, list[str]]:
    """Data sets, packages and models of the hub that are on this disk."""
    from recprofile.assets import cache_root, cached_datasets

    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    with suppress(OSError):
        models = sorted(path.name.removeprefix("models--").replace("--", "/") for path in hub.glob("models--*"))
        return {
            "data sets": sorted(cached_datasets()),
            "packages": [path.name for path in entries(cache_root(), "packages")],
            "hub": models,
        }
    return {"data sets": sorted(cached_datasets()), "packages": [], "hub": []}


def plugins() -> tuple[Registry | None, list[Trouble]]:
    """The registry, and plugins that did not load; None where two distributions claim one namespace."""
    from recprofile.errors import RecipeError
    from recprofile.registry import GROUP, make_registry

    try:
        registry = make_registry()
    except RecipeError as error:
        claims: dict[str, set[str]] = {}
        for point in entry_points(group=GROUP):
            claims.setdefault(point.name, set()).add(point.dist.name if point.dist else "unknown")
        mends = [f"pip uninstall {max(one)}" for _, one in sorted(claims.items()) if len(one) > 1]
        return None, [
            Trouble("plugins", problem.message, mend, problem.code)
            for problem, mend in zip(error.problems, mends, strict=False)
        ]
    return registry, [
        Trouble(
            "plugins",
            f"{p.namespace} ({p.distribution} {p.version}) did not load: {p.problem.message}",
            f"pip install --force-reinstall {p.distribution}",
            p.problem.code,
        )
        for p in registry.plugins
        if p.problem is not None
    ]


def offline() -> dict[str, Any]:
    """Whether the network is not to be used, and the variables that say so."""
    from recprofile.assets import is_offline

    named = ("RECPROFILE_OFFLINE", "HF_HUB_OFFLINE")
    return {"offline": is_offline(), "because": {name: os.environ[name] for name in named if name in os.environ}}


def runs(*, deep: bool) -> tuple[dict[str, Any], list[Trouble]]:
    """Run folders under ./runs and ./*/runs, what killed runs left there, and, with `deep`, runs that are damaged."""
    from recprofile.errors import RunError
    from recprofile.runs import MANIFEST, Run

    folders = sorted(folder for pattern in ("runs", "*/runs") for folder in Path().glob(pattern) if folder.is_dir())
    troubles = [trouble for folder in folders for trouble in _leftovers(folder)]
    found = [path.parent for folder in folders for path in sorted(folder.glob(f"*/{MANIFEST}"))]
    for folder in found:
        try:
            run = Run.open(folder)
            wrong = run.damage() if deep else None
            again = str(run.manifest.get("recipe_file", "RECIPE"))
        except (RunError, KeyError, TypeError, AttributeError):
            wrong, again = MANIFEST, "RECIPE"
        if wrong is not None:
            what = f"'{wrong}' of the run {folder} is not as it was written"
            mend = f"recprofile run {shlex.quote(again)} --out {shlex.quote(str(folder))}"
            troubles.append(Trouble("runs", what, mend))
    return {"folders": [str(folder) for folder in folders], "runs": [str(folder) for folder in found]}, troubles


def _leftovers(folder: Path) -> Iterator[Trouble]:
    for path in sorted(folder.glob(".*-*")):
        form = LEFTOVER.fullmatch(path.name)
        with suppress(OSError):
            if not form or path.is_symlink() or not path.is_dir():
                continue
            held = {one.name for one in path.iterdir()}
            if not held <= {"new", "old"} or time.time() - path.stat().st_mtime < AN_HOUR:
                continue
            place = shlex.quote(str(path))
            if "old" in held and not (folder / form["name"]).exists():
                what = f"a run that was killed left the run before it in {path}"
                mend = f"mv {place}/old {shlex.quote(str(folder / form['name']))} && rm -r {place}"
                yield Trouble("runs", what, mend)
            else:
                yield Trouble("runs", f"a run that was killed left {path}", f"rm -r {place}")


def not_installed(registry: Registry | None) -> Mapping[str, str]:
    """First-party plugins that are not here: namespace → distribution."""
    from recprofile.registry import FIRST_PARTY

    here = {p.namespace for p in registry.plugins} if registry else set()
    return {name: dist for name, dist in FIRST_PARTY.items() if registry and name not in here}


def where() -> dict[str, str]:
    """Which Python this is, and on what."""
    return {"executable": sys.executable, "platform": platform.platform(terse=True)}
