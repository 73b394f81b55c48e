"""The run folder: written whole or not at all, and read back.

recipe.yaml              filled and pinned; itself a recipe
manifest.json            versions, seed, device, cache keys, seconds and memory of each stage, fingerprints
metrics.json             every metric of every ranker, with intervals and paired differences
recommendations.parquet  user, item, rank, score, reason
items.parquet            item, the name that a person reads, and its positive training events
per_user.parquet         every metric of every ranker for each judged user: what `compare` compares
relevant.parquet         user, item: what was relevant in the test part
hits.parquet             ranker, after, user, item, rank: what of it was listed, and where
profiles/                the stored profiles
model/                   the final ranker
checks.json              verdicts with their numbers
preprocess.json          what preprocess stages learnt of the training part, where any did
explanations.parquet     signed evidence and a sentence for each pair
report.json, report.html
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from hashlib import sha256 as digest
from pathlib import Path
from typing import Any

import polars as pl

from recprofile.artifacts import Profiles, load_pack
from recprofile.assets.fingerprints import files_in, sha256
from recprofile.errors import RecprofileError, RunError, Span, closest, listed, quoted
from recprofile.recipe import load_recipe
from recprofile.source import read_source

MANIFEST = "manifest.json"
MADE_BY = {"profiles": "fuse", "recommendations.parquet": "recommend", "explanations.parquet": "explain"}
MOST_COMPARED = 20_000  # ids that a misspelt one is compared with
RUN_AGAIN = "make one: recprofile run RECIPE"
NAME_ONE = "name a run elsewhere: --run FOLDER, or --run RECIPE"


def write_json(path: Path, data: Any) -> None:  # noqa: ANN401 - any plain JSON value
    """Plain JSON, one key a line, UTF-8."""
    path.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_run(out: Path, manifest: Mapping[str, Any], fill: Callable[[Path], None]) -> None:
    """Write a run folder under a temporary name and put it in the place of the one before.

    `fill` writes everything but the manifest, which is given the size and checksum of each file and written last.
    Raises RunError RP606 when it cannot be written, or when `out` is there and is no run folder; what was there
    before stays as it was.
    """
    expect_place(out)
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
    except BaseException as error:  # Ctrl-C too: what was there before stays
        if (place / "old").exists() and not out.exists():
            (place / "old").rename(out)
        if isinstance(error, OSError):
            raise _unwritable(out, error) from error
        raise
    finally:
        shutil.rmtree(place, ignore_errors=True)


def expect_place(out: Path, at: Span | None = None) -> None:
    """Raise RunError RP606, at this position, when a run folder cannot come to lie here as far as can be seen."""
    other = ("give another folder in 'out'",)
    try:
        if out.exists() and not _is_run(out) and (not out.is_dir() or any(out.iterdir())):
            message = f"'{out}' exists and is no run folder, so it is not replaced"
            raise RunError.of("RP606", message, at=at, help=other)
        above = next(folder for folder in out.absolute().parents if folder.exists())
        if not above.is_dir():
            message = f"cannot write the run folder '{out}': '{above}' is a file"
            raise RunError.of("RP606", message, at=at, help=other)
        if not os.access(above, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise RunError([replace(problem, at=at) for problem in _unwritable(out, error).problems]) from error


def _is_run(folder: Path) -> bool:
    """Whether a folder is a run's, its manifest whole or damaged; other programs have a manifest.json too."""
    if not (folder / MANIFEST).is_file():
        return False
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except ValueError:
        manifest = None
    if isinstance(manifest, dict) and {"recprofile", "keys"} <= manifest.keys():
        return True
    return all((folder / name).is_file() for name in ("recipe.yaml", "metrics.json", "report.json"))


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
            manifest = json.loads((folder / MANIFEST).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise RunError.of("RP607", f"no run in '{folder}'", help=_instead_of(folder)) from None
        except (OSError, ValueError) as error:
            raise RunError.of("RP607", f"the manifest of '{folder}' cannot be read: {error}") from error
        if not isinstance(manifest, dict):
            raise RunError.of("RP607", f"the manifest of '{folder}' is not that of a run")
        return cls(folder, manifest)

    @classmethod
    def newest(cls, folder: Path) -> Run:
        """The run of a folder of runs that finished last; raises RunError RP607 when it holds none."""
        if runs := _runs_in(folder):
            return cls.open(runs[-1])
        raise RunError.of("RP607", f"no run in '{folder}'", help=_instead_of(folder))

    def holds(self, keys: Mapping[str, str]) -> bool:
        """Whether this run has exactly these cache keys."""
        return bool(self.manifest.get("keys") == dict(keys))

    def damage(self) -> str | None:
        """The first file that is not as it was written, by size and checksum; None when all are."""
        contents: Mapping[str, Any] = self.manifest["contents"]
        for name, file in contents.items():
            path = self.folder / name
            try:
                if path.stat().st_size != file["size"] or sha256(path) != file["sha256"]:
                    return name
            except OSError:
                return name
        return None

    def json(self, name: str) -> Any:  # noqa: ANN401 - any plain JSON value
        """The contents of one of its JSON files; raises RunError RP607 when it has none of that name, or not whole."""
        try:
            return json.loads(self._file(name).read_bytes())
        except (OSError, ValueError) as error:
            raise self._damaged(name, error) from error

    def table(self, name: str, *, user: str | None = None, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """One of its Parquet tables: all of it, or the rows of a user or some columns, without holding the rest.

        Raises RunError RP607 when the run has none of that name, or a damaged one.
        """
        rows = pl.scan_parquet(self._file(name))
        try:
            if user is not None:
                rows = rows.filter(pl.col("user").cast(pl.String) == user)
            return (rows if columns is None else rows.select(columns)).collect()
        except (OSError, pl.exceptions.PolarsError) as error:
            raise self._damaged(name, error) from error

    def replace(self, name: str, text: str) -> Path:
        """Write one of its text files anew, whole or not at all, and note it in the manifest. Raises RunError RP606."""
        path, new = self.folder / name, text.encode("utf-8")
        contents = {**self.manifest.get("contents", {}), name: {"size": len(new), "sha256": digest(new).hexdigest()}}
        manifest = json.dumps({**self.manifest, "contents": contents}, ensure_ascii=False, indent=1) + "\n"
        try:
            for target, held in ((path, new), (self.folder / MANIFEST, manifest.encode("utf-8"))):
                if target.exists() and target.read_bytes() == held:
                    continue
                place = target.with_name(f".{target.name}-{os.getpid()}")
                try:
                    place.write_bytes(held)
                    if target.name == MANIFEST:
                        shutil.copystat(target, place)  # its time says when the run finished
                    place.replace(target)
                finally:
                    place.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        return path

    def item_names(self) -> dict[str, str]:
        """What a person reads for an item, by its id as text, where that is more than the id."""
        names = self.table("items.parquet", columns=("item", "name")).with_columns(pl.col("item").cast(pl.String))
        return dict(names.filter(pl.col("item") != pl.col("name")).iter_rows())

    def profiles(self) -> Profiles:
        """The stored profiles; raises RunError RP607 when the recipe made none."""
        folder = self.folder / "profiles"
        if not folder.is_dir():
            raise self._absent("profiles")
        try:
            return Profiles.unpack(load_pack(folder))
        except (OSError, ValueError, KeyError, pl.exceptions.PolarsError) as error:
            raise self._damaged("profiles", error) from error

    def _file(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise self._absent(name)
        return path

    def _absent(self, name: str) -> RecprofileError:
        written = any(one == name or one.startswith(f"{name}/") for one in self.manifest.get("contents", {}))
        stage = MADE_BY.get(name)
        help = RUN_AGAIN if written or stage is None else f"its recipe has no {stage} stage"
        return RunError.of("RP607", f"the run '{self.folder}' has no {name}", help=(help,))

    def _damaged(self, name: str, error: Exception) -> RecprofileError:
        why = str(error).strip().partition("\n")[0][:200]
        return RunError.of("RP607", f"{name} of the run '{self.folder}' cannot be read: {why}", help=(RUN_AGAIN,))


def find_run(given: Path | None) -> Run:
    """The run that a person names by its folder or by the recipe that made it; without a name the newest in ./runs.

    Raises RunError RP607 when there is none, and RecipeError when the recipe cannot be read.
    """
    if given is None:
        try:
            return Run.newest(Path("runs"))
        except RunError as error:
            raise RunError([replace(p, help=(*p.help, NAME_ONE)) for p in error.problems]) from None
    if given.suffix not in (".yaml", ".yml"):
        return Run.open(given)
    source = read_source(given, check_env=False)
    recipe = load_recipe(source)
    folder = source.folder(("out",)) / (recipe.out or f"runs/{recipe.name or given.stem}")
    try:
        return Run.open(folder)
    except RunError as error:
        helps = (f"make one: recprofile run {given}", "or name the folder that --out gave it")
        raise RunError([replace(p, help=helps) for p in error.problems]) from None


def unknown_user(user: str, known: pl.Series, run: Run) -> RecprofileError:
    """The RP607 for a user that is not among these, with the ids that resemble theirs."""
    ids = known.cast(pl.String)
    # Comparing letter by letter takes 10 µs an id: of millions, only those that have some of it in common.
    alike = ids.filter(ids.str.contains(user, literal=True) | ids.str.starts_with(user[:2]))
    near = get_close_matches(user, alike.head(MOST_COMPARED), n=5, cutoff=0.5)
    shown = near or ids.head(5).to_list()
    what = "users like that" if near else "users"
    helps = (f"{what}: {', '.join(shown)}{'' if len(shown) == len(ids) else f', … ({len(ids):,} in all)'}",)
    return RunError.of("RP607", f"no user {quoted(user)} in the run '{run.folder}'", help=helps if shown else ())


def _runs_in(folder: Path) -> list[Path]:
    """Run folders in a folder, the newest last."""
    found = []
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):  # not a folder, not readable, or gone meanwhile
                found.append(((path / MANIFEST).stat().st_mtime_ns, path.name, path))
    return [path for _, _, path in sorted(found)]


def _instead_of(folder: Path) -> tuple[str, ...]:
    """What there is in place of a run that is not there: runs in it, beside it, or in ./runs and ./*/runs."""
    if inside := _runs_in(folder):
        return (f"it holds runs: {listed([str(path) for path in reversed(inside)], most=8)}",)
    beside = {path.name: path for path in _runs_in(folder.parent)}
    if near := closest(folder.name, beside):
        return (f"did you mean '{beside[near]}'?", RUN_AGAIN)
    places = [folder.parent, Path("runs"), *sorted(Path().glob("*/runs"))]
    elsewhere = dict.fromkeys(str(path) for place in places for path in reversed(_runs_in(place)))
    return (f"there are runs: {listed(list(elsewhere), most=8)}",) if elsewhere else (RUN_AGAIN,)
