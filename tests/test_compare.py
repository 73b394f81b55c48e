"""`recprofile compare`: what differs between two plans or runs, what follows from it, and results of runs."""

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
    def run(*given: str) -> dict[str, Any]:
        capsys.readouterr()
        assert status_of(["compare", *given, "--json"]) == 0
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
    assert "comparison" not in found


def test_other_contents_of_a_file_of_the_same_name_are_told(compare):
    run = ran("a.yaml", "runs/one")
    with Path("r.csv").open("a", encoding="utf-8") as file:
        file.write("u9,i1,9\n")
    found = compare(run, "a.yaml")
    assert found["contents"] == ["interactions"]
    assert found["alike"] is False


def two_runs() -> tuple[str, str]:
    other = write("b.yaml", "  - recommend: dot", "  - recommend: popular")
    return ran("a.yaml", "runs/one"), ran(other, "runs/two")


def test_two_runs_are_told_by_what_they_do_and_by_what_came_of_it(compare):
    one, two = two_runs()
    found = compare(one, two)
    assert found["stages"]["added"]["popular"]["component"] == "popular@1"
    assert found["versions"] == {}
    results = found["comparison"]
    (difference,) = results["differences"]
    values = {key: cell["value"] for key, cell in results["metrics"]["ndcg@5"].items()}
    own = [json.loads(Path(run, "metrics.json").read_text(encoding="utf-8"))["rankers"][0] for run in (one, two)]
    assert list(values.values()) == [line["metrics"]["ndcg@5"]["value"] for line in own]
    assert difference["value"] == pytest.approx(values["b"] - values["a"], abs=2e-6)
    assert results["paired"]["users"] == results["lines"][0]["users"] == 8


def test_three_runs_are_compared_by_results_alone_with_the_one_that_is_named(compare):
    runs = (*two_runs(), ran("a.yaml", "runs/three"))
    found = compare(*runs, "--against", "runs/two")
    assert list(found) == ["comparison"]
    assert [d["key"] for d in found["comparison"]["differences"]] == ["a", "c"]
    values = [cell["value"] for cell in found["comparison"]["metrics"]["ndcg@5"].values()]
    best = compare(*runs, "--against", "best")["comparison"]["against"]
    assert best == "abc"[values.index(max(values))]


def test_one_run_compares_its_rankers(compare):
    found = compare(ran("a.yaml", "runs/one"))["comparison"]
    assert [line["name"] for line in found["lines"]] == ["dot", "baseline-popular"]
    assert found["against"] == "a"
    assert compare("runs/one", "--against", "baseline-popular")["comparison"]["against"] == "b"


def test_results_fit_eighty_columns_and_are_explained(capsys, monkeypatch):
    one, two = two_runs()
    monkeypatch.setenv("COLUMNS", "80")
    for made in (console, errors_console):
        made.cache_clear()
    capsys.readouterr()
    assert status_of(["compare", one, two, "--html", "page.html"]) == 0
    text = capsys.readouterr().out
    tables = [line for line in text.splitlines() if line.startswith(("  ", "ndcg"))]
    assert max(map(len, tables)) <= 80
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "differences are of each less a, over the 8 users judged alike by both" in lines
    assert any(line.startswith("p of a paired randomization test; ▲ ▼ p < 0.05") for line in lines)
    assert "ndcg@5 by user activity" in lines
    assert "head middle tail" in lines
    assert lines[-1] == "page: page.html"
    assert "ndcg@5, the best first" in Path("page.html").read_text(encoding="utf-8")


def test_runs_on_different_test_parts_say_so_beside_their_metrics(capsys):
    random = RECIPE.replace("items: m.csv", "items: m.csv, split: {by: random, holdout: 2}")
    Path("c.yaml").write_text(random, encoding="utf-8")
    Path("d.yaml").write_text(random.replace("recipe: 1", "recipe: 1\nseed: 8"), encoding="utf-8")
    one, two = ran("c.yaml", "runs/one"), ran("d.yaml", "runs/two")
    capsys.readouterr()
    assert status_of(["compare", one, two]) == 0
    text = capsys.readouterr().out
    assert "not paired: a and b were judged on different test parts: seed is " in text
    assert "ndcg@5" in text
    assert "randomization" not in text


def test_results_stand_though_a_plugin_of_the_recipe_is_gone(capsys):
    one, two = two_runs()
    file = Path(two, "recipe.yaml")
    file.write_text(
        file.read_text(encoding="utf-8").replace("popular@1\n    id", "gone/popular@1\n    id"), encoding="utf-8"
    )
    capsys.readouterr()
    assert status_of(["compare", one, two]) == 0
    assert "what the two do differently cannot be told: " in capsys.readouterr().out


def test_what_is_no_run_or_not_whole_is_told(capsys):
    one, two = two_runs()
    Path("runs/alone").mkdir()
    told = {
        ("runs/alone",): "no run in 'runs/alone'",
        (one, two, "--metric", "mrr@5"): "no metric 'mrr@5' was measured in all of them",
        (one, two, "--html", "none/page.html"): "cannot write 'none/page.html'",
    }
    for given, text in told.items():
        capsys.readouterr()
        assert status_of(["compare", *given]) == 4
        assert text in capsys.readouterr().err
    Path(two, "per_user.parquet").write_bytes(b"nothing")
    assert status_of(["compare", one, two]) == 4
    assert "RP607 per_user.parquet of the run 'runs/two' cannot be read" in capsys.readouterr().err


def test_a_run_of_an_earlier_version_is_to_be_made_again(capsys):
    one, two = two_runs()
    file = Path(two, "manifest.json")
    manifest = json.loads(file.read_text(encoding="utf-8"))
    for name in ("per_user.parquet", "relevant.parquet", "hits.parquet"):
        Path(two, name).unlink()
        del manifest["contents"][name]
    manifest["command"] = "recprofile run b.yaml"
    file.write_text(json.dumps(manifest), encoding="utf-8")
    capsys.readouterr()
    assert status_of(["compare", one, two]) == 4
    told = capsys.readouterr().err
    assert "RP607 the run 'runs/two' keeps no values of single users: an earlier version made it" in told
    assert "= run it again: recprofile run b.yaml" in told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["a.yaml"], "name two: recipes are compared two at a time"),
        (["a.yaml", "a.yaml", "a.yaml"], "name two: recipes are compared two at a time"),
        (["a.yaml", "a.yaml", "--html", "x.html"], "are for results: name run folders"),
    ],
)
def test_recipes_are_compared_two_at_a_time(capsys, given, told):
    assert status_of(["compare", *given]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_against_nobody_is_refused_with_the_names_that_there_are(capsys):
    one, two = two_runs()
    capsys.readouterr()
    assert status_of(["compare", one, two, "--against", "zoe"]) == 2
    assert "'zoe' is none of them: 'best', a (runs/one), b (runs/two)" in " ".join(capsys.readouterr().err.split())


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
