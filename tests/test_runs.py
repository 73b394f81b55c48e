"""The run folder: written whole or not at all, found by folder or recipe, read with clear errors."""

import json
import os

import polars as pl
import pytest

from recprofile.errors import RunError
from recprofile.runs import Run, find_run, unknown_user, write_run


def make(folder, fill=lambda new: None, **manifest):
    write_run(folder, {"recprofile": "1", "keys": {"data": "k"}, **manifest}, fill)
    return Run.open(folder)


def told(what):
    with pytest.raises(RunError) as caught:
        what()
    (problem,) = caught.value.problems
    return problem.code, problem.message, problem.help


def test_a_run_is_written_with_the_size_and_checksum_of_every_file(tmp_path):
    run = make(tmp_path / "runs" / "a", lambda new: (new / "x.json").write_text("[1]"))
    assert run.manifest["contents"]["x.json"]["size"] == 3
    assert run.json("x.json") == [1]
    assert run.holds({"data": "k"})
    assert not run.holds({"data": "other"})
    assert run.damage() is None
    (run.folder / "x.json").write_text("[2]")
    assert run.damage() == "x.json"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["a"]


def test_a_run_that_cannot_be_filled_leaves_the_one_before(tmp_path):
    run = make(tmp_path / "a", lambda new: (new / "x.json").write_text("[1]"))

    def breaks(new):
        (new / "x.json").write_text("[2]")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_run(tmp_path / "a", {}, breaks)
    assert run.json("x.json") == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_is_no_run_is_not_replaced(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine.txt").write_text("mine")
    code, message, _ = told(lambda: make(tmp_path / "a"))
    assert code == "RP606"
    assert "is no run folder" in message


def test_the_newest_run_is_the_one_whose_manifest_was_written_last(tmp_path):
    for at, name in enumerate(("b", "c", "a")):
        make(tmp_path / name)
        os.utime(tmp_path / name / "manifest.json", (at, at))
    (tmp_path / "zzz").mkdir()
    assert Run.newest(tmp_path).folder.name == "a"


def test_without_a_name_the_newest_in_runs_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "runs" / "a")
    assert find_run(None).folder.name == "a"


def test_without_any_run_it_is_told_how_to_name_or_make_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert told(lambda: find_run(None)) == (
        "RP607",
        "no run in 'runs'",
        ("make one: recprofile run RECIPE", "name a run elsewhere: --run FOLDER, or --run RECIPE"),
    )
    make(tmp_path / "recipes" / "runs" / "quick")
    assert told(lambda: find_run(None))[2][0] == "there are runs: recipes/runs/quick"


def test_a_recipe_stands_for_the_run_that_it_makes(tmp_path):
    recipe = tmp_path / "shop.yaml"
    recipe.write_text("recipe: 1\ndata: {interactions: a.csv}\nstages: [{recommend: popular}]\n")
    code, message, helps = told(lambda: find_run(recipe))
    assert (code, message) == ("RP607", f"no run in '{tmp_path}/runs/shop'")
    assert helps == (f"make one: recprofile run {recipe}", "or name the folder that --out gave it")
    make(tmp_path / "runs" / "shop")
    assert find_run(recipe).folder == tmp_path / "runs" / "shop"


def test_a_misspelt_folder_and_a_folder_of_runs_are_answered_with_the_runs_there(tmp_path):
    make(tmp_path / "quickstart")
    assert told(lambda: Run.open(tmp_path / "quikstart"))[2][0] == f"did you mean '{tmp_path}/quickstart'?"
    assert told(lambda: Run.open(tmp_path))[2] == (f"it holds runs: {tmp_path}/quickstart",)


@pytest.mark.parametrize("text", ["{", "[]", "\udc80"])
def test_a_manifest_that_cannot_be_read_is_told(tmp_path, text):
    make(tmp_path / "a")
    (tmp_path / "a" / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    code, message, _ = told(lambda: Run.open(tmp_path / "a"))
    assert code == "RP607"
    assert "manifest" in message


def test_a_damaged_file_is_told_by_name(tmp_path):
    run = make(tmp_path / "a", lambda new: (new / "metrics.json").write_text("{"))
    assert told(lambda: run.json("metrics.json"))[1].startswith(
        f"metrics.json of the run '{tmp_path}/a' cannot be read"
    )
    (run.folder / "recommendations.parquet").write_text("no parquet")
    assert told(lambda: run.table("recommendations.parquet"))[1].startswith("recommendations.parquet of the run")
    assert told(lambda: run.table("nothing.parquet"))[1] == f"the run '{tmp_path}/a' has no nothing.parquet"
    assert told(run.profiles)[1] == f"the run '{tmp_path}/a' has no profiles"


def test_the_rows_of_one_user_are_found_by_the_text_of_the_id(tmp_path):
    frame = pl.DataFrame({"user": [1, 12, 12], "item": ["a", "b", "c"]})
    run = make(tmp_path / "a", lambda new: frame.write_parquet(new / "t.parquet"))
    assert run.table("t.parquet", user="12")["item"].to_list() == ["b", "c"]
    assert run.table("t.parquet", user="2").is_empty()
    assert run.table("t.parquet", columns=["user"]).columns == ["user"]


def test_names_of_items_are_those_that_say_more_than_the_id(tmp_path):
    frame = pl.DataFrame({"item": [1, 2], "name": ["Toy Story", "2"]})
    run = make(tmp_path / "a", lambda new: frame.write_parquet(new / "items.parquet"))
    assert run.item_names() == {"1": "Toy Story"}


def test_a_file_that_is_replaced_is_noted_and_the_run_stays_as_old_as_it_was(tmp_path):
    run = make(tmp_path / "a", lambda new: (new / "report.html").write_text("old"))
    os.utime(tmp_path / "a" / "manifest.json", (5, 5))
    run.replace("report.html", "newer")
    again = Run.open(tmp_path / "a")
    assert (again.folder / "report.html").read_text() == "newer"
    assert again.damage() is None
    assert (tmp_path / "a" / "manifest.json").stat().st_mtime == 5
    assert sorted(path.name for path in again.folder.iterdir()) == ["manifest.json", "report.html"]
    assert json.loads((again.folder / "manifest.json").read_text())["keys"] == {"data": "k"}


def test_an_unknown_user_is_answered_with_ids_like_it_and_else_with_some(tmp_path):
    run = make(tmp_path / "a")
    known = pl.Series(range(1000))
    near = unknown_user("9422", known, run).problems[0]
    assert near.help[0].startswith("users like that: 942, ")
    assert near.help[0].endswith("(1,000 in all)")
    far = unknown_user("zoe", known, run).problems[0]
    assert far.help == ("users: 0, 1, 2, 3, 4, … (1,000 in all)",)
    assert unknown_user("zoe", pl.Series([], dtype=pl.String), run).problems[0].help == ()
