"""Many recipes, and many tables, each held to its bounds."""

from __future__ import annotations

import shutil
from pathlib import Path

import hypothesis
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.fuzz.judge import Counts, Misbehaved, inside, judge
from scripts.fuzz.mutations import READERS, recipes, settings_lines
from scripts.fuzz.tables import files

DATA = Path(__file__).parents[2] / "recipes" / "data"
VALIDATE_SECONDS = 5.0  # on two busy cores; a cold `validate` takes one
RUN_SECONDS = 30.0
GROWTH_MIB = 1024.0  # libraries that are imported while it goes on, torch above all, are most of it


def try_recipes(count: int, seed: int, counts: Counts, folder: Path) -> None:
    """`validate` of so many recipes, in this process. Raises Misbehaved."""

    @hypothesis.seed(seed)
    @_bounded(count)
    @given(recipes(), st.lists(settings_lines, max_size=2), st.integers(0, 5))
    def trial(recipe: bytes, sets: list[str], how: int) -> None:
        (folder / "r.yaml").write_bytes(recipe)
        chosen = [word for line in sets for word in ("--set", line)] if how == 0 else []
        judge(["validate", "r.yaml", *chosen], counts, seconds=VALIDATE_SECONDS)

    data = {name: (DATA / name).read_bytes() for name in ("ratings.csv", "books.csv")}
    with inside(folder, {**data, "readers.csv": READERS, "base.yaml": "extends: r.yaml\nseed: 3\n"}):
        (folder / "data").mkdir()
        for name, content in data.items():
            (folder / "data" / name).write_bytes(content)
        trial()
    _hold_memory(counts)


def try_tables(count: int, seed: int, counts: Counts, folder: Path) -> None:
    """`run` of a small recipe on so many made-up tables, in this process. Raises Misbehaved."""

    @hypothesis.seed(seed)
    @_bounded(count)
    @given(files())
    def trial(made: dict[str, bytes]) -> None:
        for name in ("cache", "runs"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name, content in made.items():
            (folder / name).write_bytes(content)
        judge(["run", "r.yaml", "--quiet"], counts, seconds=RUN_SECONDS)

    with inside(folder, {}):
        trial()
    _hold_memory(counts)


def _bounded(count: int) -> settings:
    every = list(hypothesis.HealthCheck)
    return settings(max_examples=count, deadline=None, database=None, suppress_health_check=every, print_blob=False)


def _hold_memory(counts: Counts) -> None:
    if counts.grown_mib > GROWTH_MIB:
        raise Misbehaved(f"memory grew by {counts.grown_mib:.0f} MiB")
