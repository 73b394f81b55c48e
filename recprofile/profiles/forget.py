"""Removes a person: from the store in every version, from the cache, and from the run folders.

The store comes last, so that a forgetting that was killed is finished by doing it again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from recprofile.artifacts import Profiles, load_pack, save_pack, save_table
from recprofile.errors import RunError, quoted
from recprofile.profiles.store import Store, events, profiles, users
from recprofile.profiles.versions import all_versions, begin, close, newest, recipes
from recprofile.report import render_report
from recprofile.runs import MANIFEST, Run, write_json, write_run

TABLES = ("recommendations.parquet", "explanations.parquet")


@dataclass(frozen=True)
class Traces:
    """Where a person is: recipes of the store, results in the cache, run folders, and files that were read."""

    user: str
    recipes: tuple[str, ...]
    entries: tuple[Path, ...]
    runs: tuple[Path, ...]
    sources: tuple[str, ...]

    @property
    def found(self) -> bool:
        """Whether there is anything to forget."""
        return bool(self.recipes or self.entries or self.runs)


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
        if (folder / MANIFEST).is_file() and _in_run(opened := Run.open(folder), user):
            runs.append(folder)
            keys |= set(opened.manifest.get("keys", {}).values())
            files = opened.manifest.get("files", {})
            sources |= {file["uri"] for name, file in files.items() if name not in ("items", "candidates")}
    stages = cache / "stages"
    entries = [stages / key for key in sorted(keys) if (stages / key).is_dir()]
    there = sorted(path for path in stages.iterdir() if path.is_dir()) if stages.is_dir() else []
    entries += [entry for entry in there if entry.name not in keys and _in_entry(entry, user)]
    found = Traces(user, tuple(row.recipe for row in rows), tuple(entries), tuple(runs), tuple(sorted(sources)))
    if not found.found:
        raise RunError.of("RP607", f"no user {quoted(user)} in {quoted(store.shown)}, its runs or the cache")
    return found


def forget(store: Store, found: Traces) -> Forgotten:
    """Remove a person from all these places. Raises RunError RP606 or RP608 where that cannot be done."""
    user = found.user
    for folder in found.runs:
        _rewrite(Run.open(folder), user)
    for entry in found.entries:
        try:
            shutil.rmtree(entry)
        except FileNotFoundError:
            continue
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise RunError.of("RP606", f"the cache entry '{entry}' cannot be removed: {why}") from error
    gone_events = gone_versions = 0
    with store.change() as connection:
        for recipe in found.recipes:
            key = connection.execute(
                sa.select(users.c.id).where(users.c.recipe == recipe, users.c.user == user)
            ).scalar_one_or_none()
            if key is None:  # somebody else was quicker
                continue
            mine = connection.execute(profiles.delete().where(profiles.c.user == key))
            log = connection.execute(events.delete().where(events.c.user == key))
            connection.execute(users.delete().where(users.c.id == key))
            gone_versions, gone_events = gone_versions + mine.rowcount, gone_events + log.rowcount
            last = newest(connection, recipe)
            assert last is not None
            version, _ = begin(connection, recipe, "forget", base=last.base, provenance={})
            close(connection, version, users=1)
    store.scrub()
    runs = tuple(str(folder) for folder in found.runs)
    return Forgotten(user, len(found.recipes), gone_versions, gone_events, len(found.entries), runs, found.sources)


def _in_run(run: Run, user: str) -> bool:
    for name in TABLES:
        if (run.folder / name).is_file() and run.table(name, user=user).height:
            return True
    ids = run.folder / "profiles" / "users.ids.parquet"
    return ids.is_file() and _holds(ids, "id", user)


def _in_entry(entry: Path, user: str) -> bool:
    """Whether a result in the cache names the person among its users."""
    for file in entry.glob("*.parquet"):
        try:
            columns = pl.scan_parquet(file).collect_schema().names()
            named = "user" in columns and _holds(file, "user", user)
            if named or ("user" in file.stem and "id" in columns and _holds(file, "id", user)):
                return True
        except (OSError, pl.exceptions.PolarsError):  # damaged: it is never read again, and may hold anything
            return True
    return False


def _holds(file: Path, column: str, value: str) -> bool:
    rows = pl.scan_parquet(file).filter(pl.col(column).cast(pl.String) == value)
    return bool(rows.select(pl.len()).collect().item())


def _rewrite(run: Run, user: str) -> None:
    """Write a run folder anew without the person, whole or not at all."""
    manifest = dict(_without(run.manifest, user))
    contents = manifest.pop("contents", {})
    manifest["forgotten"] = int(manifest.get("forgotten", 0)) + 1
    places = {name.partition("/")[0] for name in contents}

    def fill(folder: Path) -> None:
        for name in contents:
            source, target = run.folder / name, folder / name
            if name.startswith(("profiles/", "model/")) or name == "report.html" or not source.is_file():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if name in TABLES:
                save_table(pl.read_parquet(source).filter(pl.col("user").cast(pl.String) != user), target)
            elif source.suffix == ".json":
                write_json(target, _without(json.loads(source.read_bytes()), user))
            else:
                shutil.copyfile(source, target)
        if "profiles" in places:
            (folder / "profiles").mkdir()
            save_pack(_less(run.profiles(), user).pack(), folder / "profiles")
        if "model" in places and not _is_of_users(run, user):
            shutil.copytree(run.folder / "model", folder / "model")
        if "report.html" in places:
            page = render_report(json.loads((folder / "report.json").read_bytes()))
            (folder / "report.html").write_text(page, encoding="utf-8")

    write_run(run.folder, manifest, fill)


def _is_of_users(run: Run, user: str) -> bool:
    """Whether the model holds something of each user, as a factor model does: it then goes as a whole."""
    n = run.manifest["data"]["users"]
    pack = load_pack(run.folder / "model")
    return any(array.ndim and array.shape[0] == n for array in pack.arrays.values()) or _in_entry(
        run.folder / "model", user
    )


def _less(p: Profiles, user: str) -> Profiles:
    """Profiles without a user."""
    stays = (p.users.ids.cast(pl.String) != user).to_numpy()
    blocks = []
    for block in p.blocks:
        fold = block.fold_in
        if fold is not None:
            fold = replace(fold, confidence=fold.confidence[np.flatnonzero(stays)].tocsr())
        blocks.append(replace(block, pool=None if block.pool is None else block.pool[stays], fold_in=fold))
    return replace(
        p,
        users=p.users.keep(stays),
        user_vectors=p.user_vectors[stays],
        blocks=tuple(blocks),
        known=p.known[stays],
        history=None if p.history is None else p.history[np.flatnonzero(stays)].tocsr(),
        cards=p.cards.filter(pl.col("user").cast(pl.String) != user) if p.cards.width else p.cards,
        state={name: values[stays] for name, values in p.state.items()},
    )


def _without(value: Any, user: str) -> Any:  # noqa: ANN401 - any plain JSON value
    """Plain JSON without what is said of a person: entries whose 'user' they are, and their id wherever it stands."""
    if isinstance(value, Mapping):
        return {name: _without(one, user) for name, one in value.items() if name != user}
    if isinstance(value, list):
        return [
            _without(one, user)
            for one in value
            if one != user and not (isinstance(one, Mapping) and str(one.get("user", "")) == user)
        ]
    return value
