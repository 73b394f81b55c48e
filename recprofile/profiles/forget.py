"""Removes a person: from the store in every version, from the cache, and from the run folders.

The store comes last, so that a forgetting that was killed is finished by doing it again.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from recprofile.assets.store import TEMPORARY
from recprofile.cache import RECORD
from recprofile.errors import RunError, quoted
from recprofile.profiles.kept import drop_pack, get_pack, load_base
from recprofile.profiles.rewrite import in_entry, in_run, of_users, rewrite
from recprofile.profiles.store import Store
from recprofile.profiles.tables import edits, events, profiles, users
from recprofile.profiles.versions import all_versions, begin, close, newest, recipes
from recprofile.runs import MANIFEST, Run

QUIET = 600  # seconds without a write after which a temporary folder is that of a process that was killed


@dataclass(frozen=True)
class Traces:
    """Where a person is: recipes of the store, results in the cache, run folders, and files that were read.

    `litter` are temporary folders that killed processes left, and any others that hold the person.
    """

    user: str
    recipes: tuple[str, ...]
    entries: tuple[Path, ...]
    runs: tuple[Path, ...]
    sources: tuple[str, ...]
    litter: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Forgotten:
    """What was removed; `sources` are data files that may hold the person still."""

    user: str
    recipes: int
    versions: int
    events: int
    entries: int
    runs: tuple[str, ...]
    sources: tuple[str, ...]
    litter: int = 0
    models: int = 0  # of the store, that held something of each user and went as a whole
    beyond: str = ""  # what of the store cannot be reached from here

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "runs": list(self.runs), "sources": list(self.sources)}


def traces(store: Store, cache: Path, user: str, run: Path | None = None) -> Traces:
    """Where a person is, as far as the store's publications, a run folder and the cache tell. Changes nothing.

    The results of every stage of a run that the person is in count, for a model learnt from them as well. Raises
    RunError RP607 when they are nowhere.
    """
    with store.read() as connection:
        rows = connection.execute(sa.select(users.c.recipe, users.c.id).where(users.c.user == user)).all()
        written = sa.select(profiles.c.version).where(profiles.c.user.in_([row.id for row in rows]))
        mine = set(connection.execute(written).scalars())
        every = [v for name in recipes(connection) for v in all_versions(connection, name) if v.kind == "publish"]
    keys: set[str] = set()
    folders: dict[Path, None] = {} if run is None else {run.resolve(): None}
    for version in every:
        folders[Path(version.provenance["run"])] = None
        keys |= set(version.provenance["keys"].values()) if version.id in mine else set()
    runs, sources = [], set()
    for folder in folders:
        if (folder / MANIFEST).is_file() and in_run(opened := Run.open(folder), user):
            runs.append(folder)
            keys |= set(opened.manifest.get("keys", {}).values())
            files = opened.manifest.get("files", {})
            sources |= {file["uri"] for name, file in files.items() if name not in ("items", "candidates")}
    stages = cache / "stages"
    there = sorted(path for path in stages.iterdir() if path.is_dir()) if stages.is_dir() else []
    whole = [entry for entry in there if not entry.name.startswith(TEMPORARY)]
    entries = [entry for entry in whole if {entry.name, _made_again(entry)} & keys or in_entry(entry, user)]
    half = [*(path for folder in folders for path in _beside(folder)), *(p for p in there if p not in whole)]
    held = [path for path in half if _in_any(path, user)]
    if not (rows or entries or runs or held):
        raise RunError.of("RP607", f"no user {quoted(user)} in {quoted(store.shown)}, its runs or the cache")
    litter = [path for path in half if path in held or _is_quiet(path)]
    names = tuple(row.recipe for row in rows)
    return Traces(user, names, tuple(entries), tuple(runs), tuple(sorted(sources)), tuple(litter))


def forget(store: Store, found: Traces) -> Forgotten:
    """Remove a person from all these places. Raises RunError RP606 or RP608 where that cannot be done."""
    user = found.user
    for folder in found.runs:
        rewrite(Run.open(folder), user)
    _remove((*found.entries, *found.litter))
    gone_events = gone_versions = gone_models = 0
    with store.forgetting() as connection:
        for recipe in found.recipes:
            key = connection.execute(
                sa.select(users.c.id).where(users.c.recipe == recipe, users.c.user == user)
            ).scalar_one_or_none()
            if key is None:  # somebody else was quicker
                continue
            mine = connection.execute(profiles.delete().where(profiles.c.user == key))
            log = connection.execute(events.delete().where(events.c.user == key))
            connection.execute(edits.delete().where(edits.c.user == key))
            connection.execute(users.delete().where(users.c.id == key))
            gone_versions, gone_events = gone_versions + mine.rowcount, gone_events + log.rowcount
            last = newest(connection, recipe)
            assert last is not None
            gone_models += _drop_models(connection, recipe)
            version, _ = begin(connection, recipe, "forget", base=last.base, provenance={})
            close(connection, version, users=1)
    runs, litter = tuple(str(folder) for folder in found.runs), len(found.litter)
    gone = len(found.recipes), gone_versions, gone_events, len(found.entries)
    return Forgotten(user, *gone, runs, found.sources, litter, gone_models, store.database.beyond)


def _drop_models(connection: sa.Connection, recipe: str) -> int:
    """Remove the recommenders of publications that hold something of each user: nobody can say which row is whose."""
    gone = 0
    for version in all_versions(connection, recipe):
        if version.kind != "publish":
            continue
        base = load_base(connection, version.id).original()
        for said in base.facts["rankers"]:
            name = f"ranker/{said['id']}"
            model = get_pack(connection, version.id, name)
            if model is not None and of_users(model, version.users, len(base.names)):
                drop_pack(connection, version.id, name)
                close(connection, version.id, facts={**version.facts, "model_forgotten": True})
                gone += 1
    return gone


def _made_again(entry: Path) -> str:
    """The key of the stage whose result this is on a part of the events, for tuning; '' for another result."""
    with suppress(OSError, ValueError, AttributeError):
        return str(json.loads((entry / RECORD).read_bytes()).get("facts", {}).get("of", ""))
    return ""


def _beside(run: Path) -> list[Path]:
    """Folders in which this run folder was being written (`runs.write_run`)."""
    name = re.compile(rf"\.{re.escape(run.name)}-[a-z0-9_]{{8}}")
    found = sorted(run.parent.iterdir()) if run.parent.is_dir() else []
    return [
        path
        for path in found
        if name.fullmatch(path.name) and path.is_dir() and {one.name for one in path.iterdir()} <= {"new", "old"}
    ]


def _in_any(folder: Path, user: str) -> bool:
    """Whether a folder or one below it names the person, or holds a table that cannot be read."""
    return any(in_entry(path, user) for path in (folder, *folder.rglob("*")) if path.is_dir())


def _is_quiet(folder: Path) -> bool:
    newest = 0.0
    for path in (folder, *folder.rglob("*")):
        with suppress(FileNotFoundError):  # it is being written, or removed, at this moment
            newest = max(newest, path.stat().st_mtime)
    return time.time() - newest > QUIET


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise RunError.of("RP606", f"'{folder}' cannot be removed: {why}") from error
