"""Run folders and results in the cache: whether they hold a person, and a run folder written anew without them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recprofile.artifacts import Pack, Profiles, load_pack, save_pack, save_table
from recprofile.report import render_report
from recprofile.runs import Run, write_json, write_run

TABLES = tuple(f"{n}.parquet" for n in ("recommendations", "explanations", "per_user", "relevant", "hits"))


def in_run(run: Run, user: str) -> bool:
    """Whether a run folder names the person."""
    for name in TABLES:
        if (run.folder / name).is_file() and run.table(name, user=user).height:
            return True
    ids = run.folder / "profiles" / "users.ids.parquet"
    return ids.is_file() and _holds(ids, "id", user)


def in_entry(entry: Path, user: str) -> bool:
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


def rewrite(run: Run, user: str) -> None:
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


def of_users(model: Pack, n_users: int, n_items: int) -> bool:
    """Whether a model holds something of each user, as factors do, beside what it holds of pairs of items."""
    shapes = [array.shape for array in model.arrays.values()]
    return any(shape[:1] == (n_users,) and shape != (n_items, n_items) for shape in shapes)


def _is_of_users(run: Run, user: str) -> bool:
    """Whether the model must go as a whole."""
    data, folder = run.manifest["data"], run.folder / "model"
    return of_users(load_pack(folder), data["users"], data["items"]) or in_entry(folder, user)


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
        block_weights=None if p.block_weights is None else p.block_weights[stays],
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
