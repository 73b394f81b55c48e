"""`recprofile compare`: what differs between two plans or runs, and what follows from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recprofile.cli.main import status_of
from recprofile.cli.terminal import console, errors_console

RECIPE = """\
recipe: 1
data: {interactions: r.csv, items: m.csv}
stages:
  - encode: tfidf
    with: {columns: [title]}
  - fuse: mean-history
  - recommend: dot
evaluate: {metrics: [ndcg@5], baselines: [popular], bootstrap: 0}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """Two small tables and a recipe, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    for made in (console, errors_console):
        made.cache_clear()
    events = [f"u{u},i{(u + n) % 6},{n}\n" for u in range(8) for n in range(5)]
    Path("r.csv").write_text("user,item,time\n" + "".join(events), encoding="utf-8")
    titles = [f"i{i},{word}\n" for i, word in enumerate(("sea", "sea moon", "moon", "sun", "sun sea", "tree"))]
    Path("m.csv").write_text("id,title\n" + "".join(titles), encoding="utf-8")
    Path("a.yaml").write_text(RECIPE, encoding="utf-8")
    yield
    for made in (console, errors_console):
        made.cache_clear()


def write(name: str, old: str = "", new: str = "") -> str:
    assert old in RECIPE
    Path(name).write_text(RECIPE.replace(old, new, 1) if old else RECIPE, encoding="utf-8")
    return name


@pytest.fixture
def compare(capsys):
    def run(a: str, b: str) -> dict[str, Any]:
        capsys.readouterr()
        assert status_of(["compare", a, b, "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return run


def ran(recipe: str, out: str) -> str:
    assert status_of(["run", recipe, "--out", out, "--quiet"]) == 0
    return out


def test_a_default_written_out_is_no_difference(compare):
    found = compare("a.yaml", write("b.yaml", "columns: [title]", "columns: [title], ngram: 1"))
    assert found["alike"] is True
    assert found["results"]["other"] == {}


def test_a_changed_parameter_is_shown_with_both_values(compare):
    found = compare("a.yaml", write("b.yaml", "columns: [title]", "columns: [title], ngram: 2"))
    assert found["stages"]["changed"] == {"tfidf": {"with.ngram": {"a": 1, "b": 2}}}
    assert found["settings"] == {}


def test_what_follows_a_changed_stage_is_computed_anew_and_the_rest_is_shared(compare):
    other = compare("a.yaml", write("b.yaml", "fuse: mean-history", "fuse: mean-history\n    with: {centre: false}"))
    results = other["results"]
    assert results["shared"] == ["data", "tfidf", "baseline-popular", "baseline-popular/lists"]
    assert {id: one["why"] for id, one in results["other"].items()} == {
        "mean-history": "changed",
        "dot": "reads mean-history",
        "dot/lists": "reads dot",
        "evaluation": "reads dot/lists, dot, mean-history",
    }
    assert not any(one["cached"] for one in results["other"].values())


def test_another_component_is_told_without_its_parameters(compare):
    found = compare("a.yaml", write("b.yaml", "encode: tfidf", "encode: category\n    id: tfidf"))
    assert found["stages"]["changed"] == {"tfidf": {"component": {"a": "tfidf@1", "b": "category@1"}}}


def test_stages_of_one_side_are_added_or_removed(compare):
    found = compare("a.yaml", write("b.yaml", "  - recommend: dot", "  - recommend: ease\n  - recommend: dot"))
    assert list(found["stages"]["added"]) == ["ease"]
    assert compare("b.yaml", "a.yaml")["stages"]["removed"]["ease"]["component"] == "ease@1"


def test_the_order_of_stages_counts(compare):
    both = ["  - preprocess: dedupe\n", "  - preprocess: k-core\n"]
    a = write("b.yaml", "stages:\n", f"stages:\n{both[0]}{both[1]}")
    b = write("c.yaml", "stages:\n", f"stages:\n{both[1]}{both[0]}")
    assert compare(a, b)["stages"]["order"]["b"][:2] == ["k-core", "dedupe"]


def test_the_data_block_is_compared_key_by_key(compare):
    found = compare("a.yaml", write("b.yaml", "items: m.csv", 'items: m.csv, positive: ">= 1"'))
    assert found["settings"] == {"data.positive": {"a": None, "b": ">= 1"}}
    assert found["results"]["other"]["data"]["why"] == "other settings or data"


def test_a_run_equals_its_recipe_though_its_paths_are_written_otherwise(compare):
    run = ran("a.yaml", "elsewhere/deep/one")
    found = compare(run, "a.yaml")
    assert found["alike"] is True
    assert found["results"]["other"] == {}
    assert found["metrics"] is None


def test_other_contents_of_a_file_of_the_same_name_are_told(compare):
    run = ran("a.yaml", "runs/one")
    with Path("r.csv").open("a", encoding="utf-8") as file:
        file.write("u9,i1,9\n")
    found = compare(run, "a.yaml")
    assert found["contents"] == ["interactions"]
    assert found["alike"] is False


def test_metrics_of_two_runs_stand_side_by_side(compare):
    one = ran("a.yaml", "runs/one")
    two = ran(write("b.yaml", "  - recommend: dot", "  - recommend: popular"), "runs/two")
    found = compare(one, two)
    cell = found["metrics"]["main"]["ndcg@5"]
    assert cell["difference"] == pytest.approx(cell["b"] - cell["a"])
    assert found["versions"] == {}


def test_versions_are_those_that_a_run_noted(compare):
    run = ran("a.yaml", "runs/one")
    file = Path(run, "manifest.json")
    manifest = json.loads(file.read_text(encoding="utf-8"))
    manifest["plugins"][0]["version"] = "0.0.9"
    file.write_text(json.dumps(manifest), encoding="utf-8")
    assert compare(run, "a.yaml")["versions"]["recprofile"]["a"] == "0.0.9"


def test_results_that_cannot_be_known_say_why(compare):
    found = compare("a.yaml", write("b.yaml", "items: m.csv", "items: none.csv"))
    assert found["results"]["known"] is False
    assert "none.csv" in found["results"]["why"]


def test_a_person_reads_tables(capsys):
    assert status_of(["compare", "a.yaml", write("b.yaml", "columns: [title]", "columns: [title], ngram: 2")]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "tfidf with.ngram 1 2" in lines
    assert "tfidf changed to do" in lines


def test_no_run_and_a_wrong_recipe_have_their_exit_codes(capsys):
    assert status_of(["compare", "a.yaml", "runs/none"]) == 4
    assert "RP607" in capsys.readouterr().err
    assert status_of(["compare", "a.yaml", write("b.yaml", "tfidf", "tfdif")]) == 2
    assert "b.yaml:4:13: RP301" in capsys.readouterr().err
