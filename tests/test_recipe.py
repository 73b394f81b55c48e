"""The recipe language: what it takes, what it fills in, and its errors, exactly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from recprofile.errors import Problem, RecipeError
from recprofile.recipe import (
    VERBS,
    FileSplit,
    Positive,
    Recipe,
    Stage,
    load_recipe,
    parse_metric,
    parse_positive,
    recipe_problems,
    well_formed_stages,
)
from recprofile.shape import Model
from recprofile.source import Source, dump_yaml, read_source

SMALL = """\
recipe: 1
data:
  interactions: ratings.csv
  items: movies.csv
stages:
  - encode: tfidf
    with: {columns: [title]}
  - fuse: mean-history
  - recommend: dot
"""

EVERYTHING = """\
recipe: 1
name: movies
seed: 7
device: auto
engine: local
out: runs/movies
plugins: {hf: ">=0.1", fairlearn: ">=0.1"}

data:
  interactions: {path: ratings.csv, user: userId, item: movieId, weight: rating, time: timestamp}
  items: {path: movies.csv, id: movieId}
  users: {path: users.csv, id: userId}
  positive: ">= 4"
  split: {by: time, holdout: 0.2}

stages:
  - preprocess: impute
    with: {columns: {price: median, category: constant}}
  - preprocess: k-core
    with: {min_user: 5, min_item: 5}
  - encode: hf/text@1
    id: plot
    with: {model: hub://sentence-transformers/all-MiniLM-L6-v2, columns: [title, genres]}
  - encode: als
    id: taste
    with: {dim: 64, start: null}
  - fuse: attention
    from: [plot, taste]
  - recommend: l3ae
  - rerank: calibrated
    with: {column: genres, weight: 0.2}
  - check: fairlearn/quality-gap
    with: {group: gender, max_difference: 0.05}
    fail: warn
  - explain: evidence
    with: {items: 3}
  - update: fold-in

list: {k: 20, exclude_seen: true, candidates: all}
evaluate: {metrics: [ndcg@10, recall@20, coverage@10], baselines: [popular, item-knn, ease]}
publish: sqlite:///profiles.db
track: [tensorboard]
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def source(text: str, *sets: str) -> Source:
    Path("r.yaml").write_text(text, encoding="utf-8")
    return read_source("r.yaml", sets)


def load(text: str, *sets: str) -> Recipe:
    return load_recipe(source(text, *sets))


def refused(text: str, *sets: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load(text, *sets)
    return str(caught.value)


def problems_in(text: str, *sets: str) -> tuple[Problem, ...]:
    try:
        load(text, *sets)
    except RecipeError as error:
        return error.problems
    return ()


# --- what it takes


def test_the_smallest_recipe_is_filled_with_the_defaults():
    recipe = load(SMALL)
    assert (recipe.name, recipe.seed, recipe.device, recipe.engine, recipe.out) == (None, 0, "auto", "local", None)
    assert (recipe.data.interactions.path, recipe.data.interactions.user) == ("ratings.csv", "user")
    assert recipe.data.items
    assert recipe.data.items.id == "id"
    assert (recipe.data.users, recipe.data.positive, recipe.data.split) == (None, None, None)
    assert (recipe.lists.k, recipe.lists.exclude_seen, recipe.lists.candidates) == (20, True, "all")
    assert recipe.evaluate.metrics[0] == "ndcg@10"
    assert (recipe.evaluate.baselines, recipe.evaluate.bootstrap, recipe.evaluate.confidence) == (None, 1000, 0.95)
    assert (recipe.publish, recipe.track, recipe.plugins) == (None, (), {})
    assert [(s.verb, s.use) for s in recipe.stages] == [
        ("encode", "tfidf"),
        ("fuse", "mean-history"),
        ("recommend", "dot"),
    ]
    assert recipe.stages[0].with_ == {"columns": ["title"]}


def test_everything_the_language_has_is_read():
    recipe = load(EVERYTHING)
    assert recipe.data.positive == Positive(">=", 4.0)
    assert recipe.data.split
    assert (recipe.data.split.by, recipe.data.split.holdout) == ("time", 0.2)
    assert recipe.stages[4].from_ == ("plot", "taste")
    assert (recipe.stages[7].fail, recipe.stages[0].fail) == ("warn", "error")
    assert recipe.plugins == {"hf": ">=0.1", "fairlearn": ">=0.1"}
    assert recipe.track == ("tensorboard",)


@pytest.mark.parametrize("text", [SMALL, EVERYTHING])
def test_plain_data_of_a_recipe_gives_the_same_recipe(text):
    recipe = load(text)
    data = recipe.to_data()
    assert Recipe.model_validate(data) == recipe
    assert load(dump_yaml(data)) == recipe


def test_plain_data_has_the_form_of_the_language():
    data = load(EVERYTHING).to_data()
    assert data["stages"][2] == {
        "encode": "hf/text@1",
        "id": "plot",
        "with": {"model": "hub://sentence-transformers/all-MiniLM-L6-v2", "columns": ["title", "genres"]},
    }
    assert data["stages"][3]["with"] == {"dim": 64, "start": None}
    assert data["stages"][4] == {"fuse": "attention", "from": ["plot", "taste"]}
    assert data["stages"][7]["fail"] == "warn"
    assert data["data"]["positive"] == ">= 4"
    assert data["data"]["split"] == {"by": "time", "holdout": 0.2}
    assert "lists" not in data
    assert data["list"] == {"k": 20, "exclude_seen": True, "candidates": "all"}


@pytest.mark.parametrize(
    ("written", "name", "options"),
    [("local", "local", {}), ("{ray: {address: auto}}", "ray", {"address": "auto"}), ("{ray: {}}", "ray", {})],
)
def test_an_engine_is_a_name_or_a_name_with_options(written, name, options):
    recipe = load(f"engine: {written}\n" + SMALL)
    assert (recipe.engine_name, recipe.engine_options) == (name, options)
    assert load(dump_yaml(recipe.to_data())) == recipe


@pytest.mark.parametrize(
    "split",
    [
        "{by: time}", "{by: time, holdout: 0.1}", "{by: user-time}", "{by: user-time, holdout: 3}",
        "{by: random, holdout: 0.5}", "{by: leave-one-out}", "{by: item-cold}", "{by: user-cold, holdout: 0.3}",
        "{by: file, test: t.csv}", "{by: file, test: t.csv, valid: v.csv}",
    ],
)  # fmt: skip
def test_every_split_is_read_and_written(split):
    recipe = load(SMALL, f"data.split={split}")
    assert recipe.data.split
    assert load(dump_yaml(recipe.to_data())) == recipe


def test_a_file_split_names_its_files():
    split = load(SMALL, "data.split={by: file, test: t.csv}").data.split
    assert isinstance(split, FileSplit)
    assert (split.test, split.valid) == ("t.csv", None)


def test_one_input_may_be_written_without_brackets():
    assert load(SMALL, "stages.1.from=tfidf").stages[1].from_ == ("tfidf",)


@pytest.mark.parametrize(
    ("text", "op", "threshold"),
    [(">= 4", ">=", 4.0), ("<0.5", "<", 0.5), (" == -1e3 ", "==", -1000.0), ("!= 012", "!=", 12)],
)
def test_a_comparison_has_an_operator_and_a_threshold(text, op, threshold):
    positive = parse_positive(text)
    assert (positive.op, positive.threshold) == (op, threshold)
    assert parse_positive(str(positive)) == positive


@pytest.mark.parametrize(
    ("text", "expected"),
    [("ndcg@10", ("ndcg", 10)), ("rmse", ("rmse", None)), ("hit-rate@5", ("hit-rate", 5)), ("acme/x@1", ("acme/x", 1))],
)
def test_a_metric_has_a_name_and_maybe_a_length(text, expected):
    assert parse_metric(text) == expected


@pytest.mark.parametrize(
    "text", ["", "ndcg@", "@10", "ndcg@0", "ndcg@010", "ndcg@10001", "NDCG@10", "ndcg@ 10", "a/b/c"]
)
def test_what_is_no_metric_is_refused(text):
    with pytest.raises(ValueError, match="is no metric"):
        parse_metric(text)


def test_recipes_are_frozen():
    with pytest.raises(ValidationError):
        load(SMALL).seed = 3


def test_every_field_of_the_language_is_described():
    def models(model):
        yield model
        for below in model.__subclasses__():
            if below.__module__.startswith("recprofile.recipe"):
                yield from models(below)

    found = [m for m in models(Model) if m is not Model]
    assert len(found) > 10
    assert [(m.__name__, n) for m in found for n, f in m.model_fields.items() if not f.description] == []


# --- its errors


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("recipe=2", "RP204 'recipe' is 2, and must be 1"),
        ("recipe=true", "RP204 'recipe' is true, and must be 1"),
        ("name=a b", "RP204 'name' is 'a b', and must look like 'movies' or 'movies-2.1'"),
        ("name=../x", "RP204 'name' is '../x', and must look like 'movies' or 'movies-2.1'"),
        ("seed=-1", "RP204 'seed' is -1, and must be from 0 to 4294967295"),
        ("device=gpu", "RP204 'device' is 'gpu', and must look like 'auto', 'cpu', 'mps', 'cuda' or 'cuda:0'"),
        ("engine=5", "RP203 'engine' is 5, and must be text or a mapping"),
        ("engine={}", "RP205 'engine' must name one engine, and names none"),
        ("engine={ray: 5}", "RP203 'ray' is 5, and must be a mapping"),
        ("engine={ray: {}, x: {}}", "RP205 'engine' must name one engine, and names 'ray' and 'x'"),
        ("plugins={hf: 0.1}", "RP203 'hf' is 0.1, and must be text"),
        ("plugins={hf: about 1}", "RP204 'about 1' is no version specifier"),
        ("data.interactions=", "RP203 'interactions' is nothing, and must be text or a mapping"),
        ("data.interactions=''", "RP204 'interactions' is empty, and must have at least 1 character"),
        ("data.interactions={path: a, usr: b}", "RP201 unknown key 'usr'"),
        ("data.items={}", "RP202 'path' is missing from 'items'"),
        ("data.items={path: a, format: cvs}",
         "RP204 'format' is 'cvs', and must be one of auto, csv, tsv, parquet, jsonl"),
        ("data.items={path: a, separator: '||'}",
         "RP204 'separator' is '||', and must be one ASCII character, no quote or line end"),
        ("data.positive=4", "RP203 'positive' must be a comparison in quotes"),
        ("data.positive=>= four",
         "RP204 'positive' is '>= four', and must be one of >=, >, ==, !=, <=, < and a number"),
        ("data.positive=>= .inf",
         "RP204 'positive' is '>= .inf', and must be one of >=, >, ==, !=, <=, < and a number"),
        ("data.split={by: tiem}",
         "RP204 'by' is 'tiem', and must be one of time, user-time, random, leave-one-out, item-cold, "
         "user-cold, file"),
        ("data.split={holdout: 0.1}", "RP202 'by' is missing from 'split'"),
        ("data.split={by: time, holdout: 3}", "RP204 'holdout' is 3, and must be more than 0 and less than 1"),
        ("data.split={by: random, holdout: 0}",
         "RP204 'holdout' is 0, and must be at least 1 event, or a fraction of them such as 0.2"),
        ("data.split={by: random, holdout: 1.5}",
         "RP204 'holdout' is 1.5, and must be a fraction between 0 and 1, or a number of events"),
        ("data.split={by: random, holdout: x}", "RP203 'holdout' is text, and must be a number"),
        ("data.split={by: leave-one-out, holdout: 1}", "RP201 unknown key 'holdout'"),
        ("data.split={by: file}", "RP202 'test' is missing from 'split'"),
        ("stages=[]", "RP204 'stages' is empty, and must have at least 1 entry"),
        ("stages.0=tfidf", "RP203 entry 1 of 'stages' is text, and must be a mapping"),
        ("stages.0.encode=", "RP203 'encode' is nothing, and must be text"),
        ("stages.0.encode=''", "RP204 'encode' is empty, and must have at least 1 character"),
        ("stages.0.id=Plot", "RP204 'id' is 'Plot', and must look like 'plot' or 'taste-2'"),
        ("stages.0.with=[a]", "RP203 'with' is a list, and must be a mapping"),
        ("stages.0.from=5", "RP203 'from' is 5, and must be a list"),
        ("stages.0.fail=warn", "RP205 'fail' does not go with 'encode': only a check can fail"),
        ("stages.0={check: a, fail: wran}", "RP204 'fail' is 'wran', and must be one of error, warn"),
        ("stages.0.verb=encode", "RP201 unknown key 'verb'"),
        ("stages.0.use=x", "RP201 unknown key 'use'"),
        ("stages.0.columns=[a]", "RP201 unknown key 'columns'"),
        ("stages.0={with: {}}", "RP205 a stage has no verb"),
        ("stages.0={}", "RP205 a stage has no verb"),
        ("lists={}", "RP201 unknown key 'lists'"),
        ("list={k: 0}", "RP204 'k' is 0, and must be from 1 to 10000"),
        ("list={exclude_seen: no}", "RP203 'exclude_seen' is text, and must be true or false"),
        ("evaluate={metrics: []}", "RP204 'metrics' is empty, and must have at least 1 entry"),
        ("evaluate={metrics: [ndcg@x]}",
         "RP204 'ndcg@x' is no metric: a name, and '@' with a length from 1 to 10000 where it has one"),
        ("evaluate={baselines: ease}", "RP203 'baselines' is text, and must be a list"),
        ("evaluate={bootstrap: 1.5}", "RP203 'bootstrap' is 1.5, and must be a whole number"),
        ("evaluate={confidence: 1}", "RP204 'confidence' is 1, and must be more than 0 and less than 1"),
        ("evaluate=false", "RP203 'evaluate' is false, and must be a mapping"),
        ("publish=''", "RP204 'publish' is empty, and must have at least 1 character"),
        ("track=tensorboard", "RP203 'track' is text, and must be a list"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_problem_in_our_words(argument, expected):
    shown = refused(SMALL, argument)
    assert shown.splitlines()[0].partition(": ")[2] == expected
    assert shown.count("--set:") == 1, shown


def test_five_mistakes_give_five_located_errors_in_file_order():
    text = """\
recipe: 1
sed: 3
data:
  interactons: ratings.csv
  split: {by: tiem}
stages:
  - encdoe: tfidf
  - recommend: dot
    fail: warn
"""
    verbs = "preprocess, encode, fuse, recommend, rerank, check, explain, update"
    assert refused(text) == (
        "r.yaml:2:1: RP201 unknown key 'sed'\n"
        "   2 | sed: 3\n"
        "     | ^^^\n"
        "     = did you mean 'seed'?\n"
        "     = known: recipe, name, seed, device, engine, out, plugins, data, stages, list, evaluate, tune, publish, "
        "track\n"
        "r.yaml:4:3: RP201 unknown key 'interactons'\n"
        "   4 |   interactons: ratings.csv\n"
        "     |   ^^^^^^^^^^^\n"
        "     = did you mean 'interactions'?\n"
        "     = known: interactions, items, users, positive, split\n"
        "r.yaml:5:15: RP204 'by' is 'tiem', and must be one of time, user-time, random, leave-one-out, "
        "item-cold, user-cold, file\n"
        "   5 |   split: {by: tiem}\n"
        "     |               ^^^^\n"
        "     = did you mean 'time'?\n"
        "r.yaml:7:5: RP201 unknown key 'encdoe'\n"
        "   7 |   - encdoe: tfidf\n"
        "     |     ^^^^^^\n"
        "     = did you mean 'encode'?\n"
        f"     = verbs: {verbs}\n"
        "r.yaml:9:5: RP205 'fail' does not go with 'recommend': only a check can fail\n"
        "   9 |     fail: warn\n"
        "     |     ^^^^"
    )


def test_two_verbs_are_shown_at_the_second():
    text = "recipe: 1\ndata: {interactions: a.csv}\nstages:\n  - fuse: a\n    encode: b\n"
    assert refused(text) == (
        "r.yaml:5:5: RP205 one stage has 'fuse' and 'encode', and must have one verb\n"
        "   5 |     encode: b\n"
        "     |     ^^^^^^\n"
        "     = make two stages of it"
    )


def test_a_stage_without_a_verb_lists_the_verbs():
    text = "recipe: 1\ndata: {interactions: a.csv}\nstages:\n  - id: x\n"
    assert refused(text) == (
        "r.yaml:4:5: RP205 a stage has no verb\n"
        "   4 |   - id: x\n"
        "     |     ^^\n"
        "     = verbs: preprocess, encode, fuse, recommend, rerank, check, explain, update"
    )


def test_a_parameter_outside_with_is_told_where_it_belongs():
    assert "= parameters of the component stand under 'with'" in refused(SMALL, "stages.0.columns=[a]")


def test_what_is_missing_altogether_is_described():
    assert refused("recipe: 1\n") == (
        "r.yaml:1:1: RP202 'data' is missing\n"
        "   1 | recipe: 1\n"
        "     | ^^^^^^\n"
        "     = data: What happened, to what and whom, and what is held out.\n"
        "r.yaml:1:1: RP202 'stages' is missing\n"
        "   1 | recipe: 1\n"
        "     | ^^^^^^\n"
        "     = stages: What is done, in order; from 1 to 200 stages."
    )


def test_stages_are_bounded():
    stages = "stages: [" + "{fuse: a}, " * 201 + "]\n"
    assert "RP204 'stages' has 201 entries, and must have at most 200 entries" in refused(
        SMALL.partition("stages")[0] + stages
    )


def test_well_formed_stages_are_given_with_their_places_whatever_else_is_wrong():
    text = "stages:\n  - encode: a\n  - encdoe: b\n  - fuse: c\n    from: x\nzzz: 1\n"
    tree = source(text)
    assert recipe_problems(tree)[0] is None
    assert [(index, stage.use) for index, stage in well_formed_stages(tree)] == [(0, "a"), (2, "c")]
    assert well_formed_stages(source("stages: 5\n")) == []
    assert well_formed_stages(source("a: 5\n")) == []


def test_a_right_recipe_has_no_problems():
    recipe, problems = recipe_problems(source(EVERYTHING))
    assert recipe
    assert problems == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_makes_a_stage(verb):
    stage = Stage.model_validate({verb: "x"})
    assert (stage.verb, stage.to_data()[verb]) == (verb, "x")


_VALUES = st.sampled_from(
    ["", "5", "-1", "1.5", "true", "no", "x", "[]", "[a]", "[5]", "{}", "{a: 1}", "{by: x}", "{path: 3}"]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_value_anywhere_raises_nothing_but_located_problems(data):
    keys = st.sampled_from(
        ["recipe", "seed", "data", "split", "by", "stages", "0", "1", "encode", "id", "with", "from", "fail", "list",
         "k", "engine", "interactions", "path", "evaluate", "metrics", "positive", "plugins", "track", "zzz",
         "encdoe", "verb"]
    )  # fmt: skip
    sets = [
        f"{'.'.join(data.draw(st.lists(keys, min_size=1, max_size=3)))}={data.draw(_VALUES)}"
        for _ in range(data.draw(st.integers(1, 3)))
    ]
    for problem in problems_in(EVERYTHING, *sets):
        assert problem.at
        assert "pydantic" not in problem.message


def test_the_language_is_imported_without_anything_heavy():
    code = "import sys, recprofile.recipe; print({'torch', 'polars', 'numpy', 'pandas'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    assert done.stdout.strip() == "set()"
