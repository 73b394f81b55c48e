"""`recprofile schema`: what it lets through is what the models let through, and editors are told what things are."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from recprofile.cli.main import status_of
from recprofile.errors import RecipeError
from recprofile.plan import make_plan
from recprofile.plugin import Field, Params
from recprofile.registry import Registry, make_registry
from recprofile.schema import recipe_schema
from recprofile.schema.written import schema_of
from recprofile.source import read_source

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))
SMALL = {"recipe": 1, "data": {"interactions": "r.csv"}, "stages": [{"recommend": "popular"}]}
# What a schema can say: the shape, and names of what is installed. Not what several values have to do with each other.
SAID = ("RP201", "RP202", "RP203", "RP204", "RP205", "RP301", "RP305")


@pytest.fixture(scope="module")
def registry():
    return make_registry()


@pytest.fixture(scope="module")
def schema(registry):
    return recipe_schema(registry)


@pytest.fixture(scope="module")
def validator(schema):
    return Draft202012Validator(schema)


def small(**changes: object) -> dict[str, Any]:
    return {**deepcopy(SMALL), **changes}


def with_stages(*stages: object) -> dict[str, Any]:
    return small(stages=list(stages))


def with_data(**changes: object) -> dict[str, Any]:
    return small(data={"interactions": "r.csv", **changes})


def plain(recipe: Path) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    return data


def codes(recipe: object, folder: Path, registry: Registry) -> set[str]:
    """Codes of what the models and the plan find wrong."""
    file = folder / "r.yaml"
    file.write_text(json.dumps(recipe), encoding="utf-8")  # JSON is YAML
    try:
        make_plan(read_source(file, check_env=False, go_on=True), registry)
    except RecipeError as error:
        return {p.code for p in error.problems}
    return set()


def test_the_schema_is_a_draft_2020_12_schema(schema):
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


def test_every_reference_leads_to_a_definition(schema):
    text = json.dumps(schema)
    named = {part.partition('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert named <= set(schema["$defs"])


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_recipes_are_valid_and_so_are_their_plans(recipe, validator, registry):
    assert list(validator.iter_errors(plain(recipe))) == []
    if "extends" not in plain(recipe):
        assert list(validator.iter_errors(make_plan(read_source(recipe), registry).filled())) == []


GOOD = {
    "a bare path": small(),
    "a mapping for a file": with_data(items={"path": "m.csv", "id": "movie", "separator": "|"}),
    "from as text": with_stages(
        {"encode": "als", "id": "a"}, {"fuse": "mean-history", "from": "a"}, {"recommend": "dot"}
    ),
    "from as a list": with_stages(
        {"encode": "als", "id": "a"}, {"fuse": "mean-history", "from": ["a"]}, {"recommend": "dot"}
    ),
    "a version": with_stages({"recommend": "popular@1"}),
    "builtin by its namespace": with_stages({"recommend": "builtin/popular"}),
    "both": with_stages({"recommend": "builtin/popular@1"}),
    "parameters": with_stages({"recommend": "popular", "with": {"half_life_days": 30}}),
    "a parameter that is null": with_stages({"recommend": "popular", "with": {"half_life_days": None}}),
    "no split": with_data(split=None),
    "a split by a fraction": with_data(split={"by": "user-time", "holdout": 0.3}),
    "a split by a number": with_data(split={"by": "random", "holdout": 2}),
    "a split by files": with_data(split={"by": "file", "test": "t.csv"}),
    "positive": with_data(positive=">= 4"),
    "an engine": small(engine="local"),
    "an engine with options": small(engine={"local": {}}),
    "a requirement": small(plugins={"builtin": ">=0.1,<9"}),
    "metrics of any length": small(evaluate={"metrics": ["ndcg@7", "recall@10000", "rmse"]}),
    "baselines": small(evaluate={"baselines": ["ease@1", "builtin/popular", "item-knn"]}),
    "no baselines": small(evaluate={"baselines": []}),
}
BAD = {
    "an unknown key": small(sed=7),
    "an unknown key of a file": with_data(interactions={"path": "r.csv", "usr": "u"}),
    "an unknown key of a stage": with_stages({"recommend": "popular", "wth": {}}),
    "an unknown parameter": with_stages({"recommend": "popular", "with": {"k": 3}}),
    "a missing block": {"recipe": 1, "stages": [{"recommend": "popular"}]},
    "a file without a path": with_data(interactions={"user": "u"}),
    "a split without its kind": with_data(split={"holdout": 0.2}),
    "a split of no kind": with_data(split={"by": "tme"}),
    "a split with a key of another": with_data(split={"by": "leave-one-out", "holdout": 0.2}),
    "a split by files without one": with_data(split={"by": "file"}),
    "a whole holdout where a fraction must be": with_data(split={"by": "time", "holdout": 3}),
    "a holdout of nothing": with_data(split={"by": "random", "holdout": 0}),
    "positive as a number": with_data(positive=4),
    "positive without a comparison": with_data(positive="4"),
    "two characters between columns": with_data(items={"path": "m.csv", "separator": "||"}),
    "another version of the language": small(recipe=2),
    "no stages": small(stages=[]),
    "no verb": with_stages({"id": "a"}),
    "two verbs": with_stages({"recommend": "popular", "encode": "als"}),
    "a component that there is not": with_stages({"recommend": "populr"}),
    "a component of another verb": with_stages({"recommend": "tfidf"}),
    "a version that there is not": with_stages({"recommend": "popular@9"}),
    "a missing parameter": with_stages({"encode": "tfidf"}, {"recommend": "popular"}),
    "a missing parameter with others": with_stages({"encode": "tfidf", "with": {}}, {"recommend": "popular"}),
    "a parameter out of range": with_stages({"recommend": "ease", "with": {"l2": 0}}),
    "a parameter of another type": with_stages({"recommend": "ease", "with": {"l2": "400"}}),
    "true for a number": small(seed=True),
    "'fail' where nothing can fail": with_stages({"recommend": "popular", "fail": "warn"}),
    "an id with a capital": with_stages({"recommend": "popular", "id": "Top"}),
    "an empty name in 'from'": with_stages({"recommend": "popular", "from": ""}),
    "a metric that there is not": small(evaluate={"metrics": ["ndgc@10"]}),
    "a metric without its length": small(evaluate={"metrics": ["ndcg"]}),
    "a metric with a length it has not": small(evaluate={"metrics": ["rmse@10"]}),
    "a metric of a list too long": small(evaluate={"metrics": ["ndcg@10001"]}),
    "a baseline twice": small(evaluate={"baselines": ["ease", "ease"]}),
    "two engines": small(engine={"local": {}, "ray": {}}),
    "no engine": small(engine={}),
    "a version that is none": small(plugins={"builtin": "new"}),
}


@pytest.mark.parametrize("recipe", GOOD.values(), ids=GOOD)
def test_what_the_models_take_the_schema_takes(recipe, validator, registry, tmp_path):
    assert codes(recipe, tmp_path, registry) & set(SAID) == set()
    assert [error.message for error in validator.iter_errors(recipe)] == []


@pytest.mark.parametrize("recipe", BAD.values(), ids=BAD)
def test_what_the_models_refuse_the_schema_refuses(recipe, validator, registry, tmp_path):
    assert codes(recipe, tmp_path, registry) & set(SAID)
    assert not validator.is_valid(recipe)


# Whole numbers as 1.0, nan and inf are left out: JSON has one kind of number, and neither of the others.
TEXTS = ["", "x", "title", "ease", "tfidf", "tfidf@1", "mean-history", "all", ">= 3", "auto"]
NUMBERS = [0, 1, -1, 3, 100_001, 0.5, 1.5, -0.5]
WHOLE = [[], ["x"], ["ndcg@10"], [1], {}, {"x": 1}, {"path": "r.csv"}, {"by": "random"}]
VALUES = st.sampled_from([None, True, False, *NUMBERS, *TEXTS, *WHOLE])
KEYS = [
    "recipe",
    "seed",
    "name",
    "with",
    "from",
    "id",
    "fail",
    "path",
    "encode",
    "fuse",
    "columns",
    "holdout",
    "k",
    "x",
]


def places(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of everything inside a recipe."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, inner in pairs for path in ((*at, key), *places(inner, (*at, key)))]


def changed(recipe: dict[str, Any], draw: Callable[[Any], Any]) -> dict[str, Any]:
    """The recipe with something taken out, put in, renamed or exchanged, anywhere."""
    recipe = deepcopy(recipe)
    *above, last = draw(st.sampled_from(places(recipe)))
    holder: Any = recipe
    for key in above:
        holder = holder[key]
    match draw(st.sampled_from(["exchange", "remove", "add", "rename"])):
        case "exchange":
            holder[last] = draw(VALUES)
        case "remove":
            del holder[last]
        case "add" if isinstance(holder, dict):
            holder[draw(st.sampled_from(KEYS))] = draw(VALUES)
        case "rename" if isinstance(holder, dict):
            holder[draw(st.sampled_from(KEYS))] = holder.pop(last)
    return recipe


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_mutated_recipe_is_valid_exactly_when_the_models_find_no_fault(data, validator, registry, tmp_path):
    recipe = plain(data.draw(st.sampled_from(RECIPES)))
    assume("extends" not in recipe)
    recipe = changed(recipe, data.draw)
    found = codes(recipe, tmp_path, registry)
    if found & {"RP201", "RP202", "RP203", "RP204", "RP301", "RP305"}:
        assert not validator.is_valid(recipe)
    elif not found:
        assert [error.message for error in validator.iter_errors(recipe)] == []


def test_a_recipe_that_extends_another_may_leave_out_what_that_one_has(validator):
    assert validator.is_valid({"extends": "base.yaml", "seed": 8})
    assert validator.is_valid(
        {"extends": "base.yaml", "data": {"interactions": {"user": "u"}, "split": {"holdout": 0.1}}}
    )
    assert not validator.is_valid({"extends": "base.yaml", "sed": 8})
    assert not validator.is_valid({"extends": "base.yaml", "data": {"interactions": {"usr": "u"}}})
    assert not validator.is_valid({"extends": ["base.yaml"]})


def test_stages_of_a_recipe_that_extends_another_are_whole_for_lists_replace(validator):
    assert not validator.is_valid({"extends": "base.yaml", "stages": [{"encode": "tfidf"}]})


def test_override_may_provide_what_a_stage_lacks(validator):
    lacking = with_stages({"encode": "tfidf", "id": "words"}, {"recommend": "popular"})
    assert not validator.is_valid(lacking)
    assert validator.is_valid({**lacking, "override": {"words": {"columns": ["title"]}}})
    assert not validator.is_valid({**lacking, "override": {"words": 3}})


def test_every_component_is_described_with_its_parameters(schema, registry):
    verbs = schema["$defs"]["Stage"]["properties"]
    for offer in registry.offers:
        choice = verbs[offer.verb]["anyOf"][0]
        assert choice["enumDescriptions"][choice["enum"].index(offer.name)]
        made = schema["$defs"][f"{offer.verb}.{offer.name.replace('/', '.')}.{offer.component.version}"]
        assert offer.pinned in made["description"]
        assert all(one.get("description") for one in made["properties"].values())
        assert made["additionalProperties"] is False


def test_defaults_and_ranges_are_those_of_the_models(schema):
    k = schema["$defs"]["ListBlock"]["properties"]["k"]
    assert (k["default"], k["minimum"], k["maximum"]) == (20, 1, 10_000)


def test_parameters_of_any_kind_have_a_schema():
    class Inner(Params):
        kind: Literal["a"] = Field(description="Which.")
        depth: int = Field(2, ge=1, description="How deep.")

    class Odd(Params):
        names: frozenset[str] = Field(frozenset(), description="Names, where each counts once.")
        maybe: Literal["x"] | None = Field(None, description="x or nothing.")
        call: Annotated[Any, "anything"] = Field(print, description="What JSON cannot write.")
        inner: tuple[Inner, ...] = Field((), description="Several.")

    made, defs = schema_of(Odd, "odd.")
    valid = Draft202012Validator({**made, "$defs": defs}).is_valid
    for written in ({"names": ["a", "a"]}, {"maybe": None}, {"maybe": "x"}, {"inner": [{"kind": "a"}]}):
        Odd.model_validate(written)
        assert valid(written)
    assert not valid({"maybe": "y"})
    assert not valid({"inner": [{"kind": "b"}]})
    assert "default" not in made["properties"]["call"]


def test_the_command_prints_the_schema_or_writes_it(capsys, tmp_path, schema):
    assert status_of(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema
    file = tmp_path / "s.json"
    assert status_of(["schema", "--out", str(file)]) == 0
    assert json.loads(file.read_text(encoding="utf-8")) == schema
    assert "# yaml-language-server: $schema=s.json" in capsys.readouterr().out
    assert status_of(["schema", "--out", str(tmp_path / "no" / "s.json")]) == 4
    assert "RP606 cannot write" in capsys.readouterr().err
