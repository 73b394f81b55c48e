"""A sample of what `make fuzz` does, and what it has found."""

import io

import polars as pl
import pytest

from recprofile.cli.main import status_of
from scripts.fuzz.judge import Counts, Misbehaved, judge
from scripts.fuzz.trials import try_recipes, try_tables

LOG = {"user": ["a", "a", "b", "b"], "item": [1, 2, 1, 2], "time": [1, 2, 3, 4]}
RECIPE = "recipe: 1\ndevice: cpu\ndata: {interactions: log.parquet}\nstages:\n  - recommend: popular\n"


def test_recipes_made_up_give_no_traceback_and_the_right_exit_code(tmp_path):
    counts = Counts()
    try_recipes(100, 1, counts, tmp_path)
    assert sum(counts.statuses.values()) >= 90
    assert counts.statuses[2] > 50


def test_tables_made_up_give_no_traceback_and_the_right_exit_code(tmp_path):
    counts = Counts()
    try_tables(10, 1, counts, tmp_path)
    assert sum(counts.statuses.values()) >= 8


@pytest.mark.parametrize(
    ("text", "status", "fault"),
    [
        ("Traceback (most recent call last):\n", 4, "a traceback"),
        ("RP601 KeyError: 'x'\n", 4, "nobody expected"),
        ("r.yaml:1:1: RP201 unknown key 'x'\n", 3, "its problems mean 2"),
        ("", 2, "a failure without a problem"),
        ("RP501 no file\n", 0, "a problem, and no failure"),
    ],
)
def test_the_judge_sees_what_no_command_may_do(text, status, fault, monkeypatch):
    def command(arguments):
        import sys

        sys.stderr.write(text)
        return status

    monkeypatch.setattr("scripts.fuzz.judge.status_of", command)
    with pytest.raises(Misbehaved, match=fault):
        judge(["validate", "r.yaml"], Counts(), seconds=5)


def test_the_judge_sees_what_takes_too_long(monkeypatch):
    monkeypatch.setattr("scripts.fuzz.judge.status_of", lambda arguments: 0)
    with pytest.raises(Misbehaved, match="took"):
        judge(["validate", "r.yaml"], Counts(), seconds=-1)


def test_times_that_parquet_has_no_type_of_are_missing_times(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    held = io.BytesIO()
    pl.DataFrame({**LOG, "time": [None] * 4}).write_parquet(held)
    (tmp_path / "log.parquet").write_bytes(held.getvalue())
    (tmp_path / "r.yaml").write_text(RECIPE)
    assert status_of(["run", "r.yaml", "-q"]) == 3
    assert "RP503 no time in column 'time'" in capsys.readouterr().err
