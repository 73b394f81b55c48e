"""A folder in which recipes are written and run, with components that need not be installed, and what came of it."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl

from recprofile.artifacts import (
    CheckResult,
    Dataset,
    Encoded,
    Explanations,
    Pack,
    Profiles,
    Recommendations,
    load_pack,
    save_table,
)
from recprofile.errors import Problem, Span
from recprofile.testing.data import toy

ARTIFACTS: Mapping[str, Any] = {
    "data": Dataset,
    "preprocess": Dataset,
    "encode": Encoded,
    "fuse": Profiles,
    "update": Profiles,
    "lists": Recommendations,
    "rerank": Recommendations,
    "check": CheckResult,
    "explain": Explanations,
}
_HEAD = re.compile(r"^(?:(?P<file>\S.*?):(?P<line>\d+):(?P<column>\d+): )?(?P<code>RP\d{3}) (?P<message>.*)$")
_HELP = "     = "
_CARET = re.compile(r"^ {5}\| *(\^+)$")


@dataclass(frozen=True)
class Outcome:
    """What a command did: its exit code, what it printed, and what it left.

    `box` is where it ran; `recipe` the file it ran, or None for a command without one.
    """

    status: int
    out: str
    err: str
    box: RecipeBox
    recipe: Path | None = None

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """The problems printed on standard error: each with `code`, `message`, `help`, and `at` where it has one."""
        found: list[Problem] = []
        lines = self.err.splitlines()
        for n, line in enumerate(lines):
            if head := _HEAD.match(line):
                at = None
                if head["line"]:
                    caret = next(filter(None, map(_CARET.match, lines[n + 1 : n + 3])), None)
                    at = Span(head["file"], int(head["line"]), int(head["column"]), len(caret[1]) if caret else 1)
                found.append(Problem(head["code"], head["message"], at))
            elif line.startswith(_HELP) and found:
                last = found[-1]
                found[-1] = Problem(last.code, last.message, last.at, (*last.help, line.removeprefix(_HELP)))
        return tuple(found)

    @property
    def codes(self) -> list[str]:
        """The codes of the problems, in order."""
        return [problem.code for problem in self.problems]

    @property
    def positions(self) -> list[tuple[int, int] | None]:
        """Line and column of each problem, None where it has no position."""
        return [(p.at.line, p.at.column) if p.at else None for p in self.problems]

    @cached_property
    def folder(self) -> Path:
        """The run folder; AssertionError, with what was printed, when the run left none."""
        for folder in (self.box.folder / "out", self.box.folder / "runs" / (self.recipe.stem if self.recipe else "")):
            if (folder / "manifest.json").is_file():
                return folder
        raise AssertionError(f"no run folder; exit code {self.status}\n{self.err}")

    def json(self, name: str) -> Any:  # noqa: ANN401 - whatever the file holds
        """A JSON file of the run folder: 'manifest.json', 'metrics.json', 'checks.json', 'report.json'."""
        return json.loads((self.folder / name).read_bytes())

    def metric(self, name: str) -> float:
        """A metric of the final ranker, by its name: 'ndcg@10'."""
        return float(self.json("metrics.json")["rankers"][0]["metrics"][name]["value"])

    @property
    def recommendations(self) -> pl.DataFrame:
        """What was recommended: user, item, rank, score, reason."""
        return pl.read_parquet(self.folder / "recommendations.parquet")

    def pack(self, stage: str) -> Pack:
        """What a stage made, as the cache keeps it; KeyError when there is no such stage."""
        stages = {one["id"]: one for one in self.json("manifest.json")["stages"]}
        return load_pack(self.box.cache / "stages" / stages[stage]["key"])

    def artifact(self, stage: str) -> Any:  # noqa: ANN401 - of the kind that the stage makes
        """What a stage made, by its id: Dataset, Encoded, Profiles, Recommendations, CheckResult or Explanations.

        Of a recommend stage, its lists. KeyError when there is no such stage.
        """
        stages = {one["id"]: one for one in self.json("manifest.json")["stages"]}
        kind = stages[stage]["kind"]
        if kind == "recommend":
            stage = next(id for id, one in stages.items() if one["kind"] == "lists" and id.startswith(stage))
            kind = "lists"
        return ARTIFACTS[kind].unpack(self.pack(stage))

    def computed(self) -> list[str]:
        """Ids of the stages that this run computed rather than took from the cache."""
        return [one["id"] for one in self.json("manifest.json")["stages"] if not one["cached"]]

    def check(self, status: int = 0) -> Outcome:
        """The same; AssertionError, with what was printed, when the exit code is another."""
        assert self.status == status, f"exit code {self.status}, and {status} was expected\n{self.out}{self.err}"
        return self


class RecipeBox:
    """A folder with recipes and data; commands run in it as a person would run them.

        def test_a_recipe_may_name_it(tmp_path):
            box = RecipeBox(tmp_path)
            ran = box.run(RECIPE).check()
            assert ran.artifact("numbers").items.vectors.shape == (6, 2)

    It has a cache of its own, and nothing is fetched. `toy_data` writes the toy data as files that `DATA` names.
    `plugin` offers components that are not installed. `fresh=True` runs in a new process, where `import` and hash
    seeds are as at a person's; the default, in this one, is quicker and can be debugged.
    """

    DATA = """\
data:
  interactions: {path: ratings.csv, weight: weight, time: time}
  items: items.csv
  users: users.csv
  positive: ">= 4"
  split: {by: time, holdout: 0.25}
"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "box"
        self.cache = folder / "box-cache"
        self._site = folder / "box-plugins"
        for made in (self.folder, self._site):
            made.mkdir(parents=True, exist_ok=True)
        self.toy_data()

    def write(self, name: str, content: str | bytes | Mapping[str, Sequence[Any]]) -> Path:
        """Write a file: text, bytes, or columns as CSV or Parquet, by the name's ending."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        match content:
            case str():
                path.write_text(content, encoding="utf-8")
            case bytes():
                path.write_bytes(content)
            case _ if path.suffix == ".parquet":
                save_table(pl.DataFrame(content), path)
            case _:
                pl.DataFrame(content).write_csv(path)
        return path

    def toy_data(self) -> None:
        """Write `toy()` as ratings.csv, items.csv and users.csv."""
        data = toy()
        events = [data.train, data.test]
        columns = {
            "user": pl.concat([data.users.ids.outside(part.user) for part in events]),
            "item": pl.concat([data.items.ids.outside(part.item) for part in events]),
            "weight": [weight for part in events for weight in part.weight.tolist()],
            "time": [time for part in events if part.time is not None for time in part.time.tolist()],
        }
        pl.DataFrame(columns).write_csv(self.folder / "ratings.csv")
        for name, table in (("items", data.items), ("users", data.users)):
            table.frame.insert_column(0, table.ids.ids.rename("id")).write_csv(self.folder / f"{name}.csv")

    def plugin(self, namespace: str, module: str | ModuleType, *, distribution: str | None = None) -> None:
        """Offer a plugin under a namespace, without installing it: its source text, or a module.

        A module that a test made is there in this process only; one that can be imported, in a fresh one too.
        """
        if isinstance(module, str):
            name = f"box_{namespace.replace('-', '_')}_plugin"
            (self._site / f"{name}.py").write_text(module, encoding="utf-8")
        else:
            name = module.__name__
        told = distribution or f"recprofile-{namespace}"
        info = self._site / f"{told.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {told}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[recprofile]\n{namespace} = {name}\n", encoding="utf-8")

    def recipe(self, stages: str, *, data: str = DATA, more: str = "") -> str:
        """A whole recipe of the toy data from its stages, each a line that starts with a dash, and further keys."""
        indented = "".join(f"  {line}\n" for line in stages.strip("\n").splitlines())
        return f"recipe: 1\nout: out\n{data}stages:\n{indented}{more}"

    def run(
        self, recipe: str, *arguments: str, command: str = "run", name: str = "recipe.yaml", fresh: bool = False
    ) -> Outcome:
        """Write a recipe and run it, or `validate` or `plan` it; further arguments as on the command line."""
        path = self.write(name, recipe)
        done = self.invoke(command, name, *arguments, fresh=fresh)
        return Outcome(done.status, done.out, done.err, self, path)

    def invoke(self, *arguments: str, fresh: bool = False) -> Outcome:
        """Any command of recprofile, in the box's folder."""
        environment = {"RECPROFILE_CACHE": str(self.cache), "RECPROFILE_OFFLINE": "1"}
        if fresh:
            path = os.pathsep.join([str(self._site), *filter(None, sys.path)])
            done = subprocess.run(
                [sys.executable, "-m", "recprofile", *arguments],
                cwd=self.folder,
                env={**os.environ, **environment, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
                capture_output=True,
                encoding="utf-8",
                check=False,
            )
            return Outcome(done.returncode, done.stdout, done.stderr, self)
        from recprofile.cli.main import status_of  # noqa: PLC0415 - the kit without a box needs no command line

        out, err = io.StringIO(), io.StringIO()
        with self._here(environment), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = status_of(list(arguments))
            except SystemExit as leaving:
                status = leaving.code if isinstance(leaving.code, int) else 1
        return Outcome(status, out.getvalue(), err.getvalue(), self)

    @contextlib.contextmanager
    def _here(self, environment: Mapping[str, str]) -> Iterator[None]:
        """This process as if it had been started in the box; as it was, afterwards."""
        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        sys.path.insert(0, str(self._site))
        importlib.invalidate_caches()
        try:
            with contextlib.chdir(self.folder):
                yield
        finally:
            sys.path.remove(str(self._site))
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
            for name, module in list(sys.modules.items()):
                if str(getattr(module, "__file__", None) or "").startswith(f"{self._site}{os.sep}"):
                    del sys.modules[name]
