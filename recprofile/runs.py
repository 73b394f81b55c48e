"""The run folder: written whole or not at all, and read back.

recipe.yaml              filled and pinned; itself a recipe
manifest.json            versions, seed, device, cache keys, seconds and memory of each stage, fingerprints
metrics.json             every metric of every ranker, with intervals and paired differences
recommendations.parquet  user, item, rank, score, reason
items.parquet            item, and the name that a person reads
profiles/                the stored profiles
model/                   the final ranker
checks.json              verdicts with their numbers
explanations.parquet     signed evidence and a sentence for each pair
report.json, report.html
"""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from recprofile.artifacts import Profiles, load_pack
from recprofile.assets.fingerprints import files_in, sha256
from recprofile.errors import RunError, did_you_mean

MANIFEST = "manifest.json"


def write_json(path: Path, data: Any) -> None:  # noqa: ANN401 - any plain JSON value
    """Plain JSON, one key a line, UTF-8."""
    path.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_run(out: Path, manifest: Mapping[str, Any], fill: Callable[[Path], None]) -> None:
    """Write a run folder under a temporary name and put it in the place of the one before.

    `fill` writes everything but the manifest, which is given the size and checksum of each file and written last.
    Raises RunError RP606 when it cannot be written, or when `out` is there and is no run folder; what was there
    before stays as it was.
    """
    if out.exists() and not (out / MANIFEST).is_file() and (not out.is_dir() or any(out.iterdir())):
        helps = ("give another folder in 'out'",)
        raise RunError.of("RP606", f"'{out}' exists and is no run folder, so it is not replaced", help=helps)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    except OSError as error:
        raise _unwritable(out, error) from error
    try:
        new = place / "new"
        new.mkdir()
        fill(new)
        files = {name: {"size": file.stat().st_size, "sha256": sha256(file)} for name, file in sorted(files_in(new))}
        write_json(new / MANIFEST, {**manifest, "contents": files})
        if out.exists():
            out.rename(place / "old")
        new.rename(out)
    except OSError as error:
        if (place / "old").exists() and not out.exists():
            (place / "old").rename(out)
        raise _unwritable(out, error) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _unwritable(out: Path, error: OSError) -> RunError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        helps: tuple[str, ...] = ("free some space, or give a folder on another disk in 'out'",)
        message = f"cannot write the run folder '{out}': no space left on the disk"
    else:
        helps = ("give a folder that can be written in 'out'",)
        message = f"cannot write the run folder '{out}': {(error.strerror or str(error)).lower()}"
    problem = RunError.of("RP606", message, help=helps)
    assert isinstance(problem, RunError)
    return problem


@dataclass(frozen=True)
class Run:
    """A run folder, for reading."""

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Run:
        """The run in a folder; raises RunError RP607 when there is none, or its manifest cannot be read."""
        try:
            return cls(folder, json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError):
            names = (
                [p.name for p in folder.parent.iterdir() if (p / MANIFEST).is_file()] if folder.parent.is_dir() else []
            )
            helps = did_you_mean(folder.name, names, label=f"runs in '{folder.parent}'")
            raise RunError.of(
                "RP607", f"no run in '{folder}'", help=helps or ("make one: recprofile run RECIPE",)
            ) from None
        except (OSError, ValueError) as error:
            raise RunError.of("RP607", f"the manifest of '{folder}' cannot be read: {error}") from error

    @classmethod
    def newest(cls, folder: Path) -> Run:
        """The run of a folder of runs that finished last; raises RunError RP607 when it holds none."""
        runs = [p for p in folder.iterdir() if (p / MANIFEST).is_file()] if folder.is_dir() else []
        if not runs:
            raise RunError.of("RP607", f"no run in '{folder}'", help=("make one: recprofile run RECIPE",))
        return cls.open(max(runs, key=lambda p: ((p / MANIFEST).stat().st_mtime_ns, p.name)))

    def holds(self, keys: Mapping[str, str]) -> bool:
        """Whether this run has exactly these cache keys and every file at its full size."""
        if self.manifest.get("keys") != dict(keys):
            return False
        contents: Mapping[str, Any] = self.manifest.get("contents", {})
        try:
            return all((self.folder / name).stat().st_size == file["size"] for name, file in contents.items())
        except OSError:
            return False

    def json(self, name: str) -> Any:  # noqa: ANN401 - any plain JSON value
        """The contents of one of its JSON files; raises RunError RP607 when the run has none of that name."""
        return json.loads(self._file(name).read_text(encoding="utf-8"))

    def table(self, name: str) -> pl.DataFrame:
        """One of its Parquet tables; raises RunError RP607 when the run has none of that name."""
        return pl.read_parquet(self._file(name))

    def profiles(self) -> Profiles:
        """The stored profiles; raises RunError RP607 when the recipe made none."""
        folder = self.folder / "profiles"
        if not folder.is_dir():
            raise RunError.of(
                "RP607", f"the run '{self.folder}' has no profiles", help=("its recipe has no fuse stage",)
            )
        return Profiles.unpack(load_pack(folder))

    def _file(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise RunError.of("RP607", f"the run '{self.folder}' has no {name}")
        return path
