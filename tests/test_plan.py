"""The Plan of a recipe: what it fills in and wires up, and each of its errors, exactly."""

from __future__ import annotations

import sys
from importlib.metadata import Distribution
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recprofile.builtin import (
    Als,
    Category,
    Dot,
    Ease,
    Evidence,
    FileLists,
    Impute,
    KCore,
    MeanHistory,
    Mmr,
    Popular,
    TfIdf,
    Weighted,
)
from recprofile.errors import RecipeError
from recprofile.plan import Plan, make_plan
from recprofile.plugin import (
    Check,
    Encoder,
    Explainer,
    Field,
    Params,
    Recommender,
    Reranker,
    Updater,
    hookimpl,
)
from recprofile.registry import GROUP, Registry, make_registry
from recprofile.source import dump_yaml, read_source


class Rule(Params):
    field: str = Field(description="Column.")
    limits: tuple[Annotated[float, Field(ge=0)], ...] = Field((), description="Limits, 0 or more.")


class RuledParams(Params):
    k: int = Field(10, ge=1, le=100, description="Length, from 1 to 100.")
    rules: tuple[Rule, ...] = Field((), description="Rules.")
    by_group: dict[str, Rule] = Field(default_factory=dict, description="Rules by group.")


def _undone(*_: object) -> None:
    """Nothing here runs: a Plan reads no data."""
    raise AssertionError


class Ages(Encoder[Params]):
    name = "ages"
    needs_users = True
    encode = _undone  # type: ignore[assignment]  # never run


class Pages(Encoder[RuledParams]):
    name = "pages"
    needs_items = True
    encode = _undone  # type: ignore[assignment]  # never run


class Pages2(Pages):
    version = 2


class Third(Encoder[Params]):
    name = "3d"
    encode = _undone  # type: ignore[assignment]  # never run


class Blend(Recommender[Params]):
    name = "blend"
    takes_rankers = True
    fit = restore = _undone  # type: ignore[assignment]  # never run


class Gate(Check[RuledParams]):
    name = "gate"
    check = _undone  # type: ignore[assignment]  # never run


class Bias(Check[Params]):
    name = "bias"
    needs_profiles = True
    check = _undone  # type: ignore[assignment]  # never run


class Shift(Updater[Params]):
    name = "shift"
    update = _undone  # type: ignore[assignment]  # never run


class Flip(Reranker[Params]):
    name = "flip"
    rerank = _undone  # type: ignore[assignment]  # never run


class Why(Explainer[Params]):
    name = "why"
    explain = _undone  # type: ignore[assignment]  # never run


def plugin(**hooks: list[type]) -> ModuleType:
    module = ModuleType("plan_plugin")
    for verb, classes in hooks.items():
        hook = f"recprofile_{verb}"
        setattr(module, hook, hookimpl(specname=hook)(lambda classes=classes: classes))
    return module


# A fixed choice of builtin components, so that what is listed as installed does not change with the package.
BUILTIN = plugin(
    preprocessors=[Impute, KCore],
    encoders=[Als, Category, TfIdf],
    fusers=[MeanHistory, Weighted],
    recommenders=[Dot, Ease, FileLists, Popular],
    rerankers=[Mmr],
    explainers=[Evidence],
)
TOY = plugin(
    encoders=[Ages, Pages, Pages2, Third],
    recommenders=[Blend],
    rerankers=[Flip],
    checks=[Gate, Bias],
    explainers=[Why],
    updaters=[Shift],
)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("site")
    modules = {"plan_builtin": BUILTIN, "plan_toy": TOY}
    entries = []
    for namespace, module in (("builtin", "plan_builtin"), ("toy", "plan_toy"), ("lost", "no_such_module_here")):
        info = folder / f"{namespace}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: recprofile-{namespace}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{namespace} = {module}\n")
        entries += Distribution.at(info).entry_points
    sys.modules.update(modules)
    try:
        return make_registry(entries)
    finally:
        for name in modules:
            del sys.modules[name]


HEAD = """\
recipe: 1
data:
  interactions: ratings.csv
  items: movies.csv
stages:
"""
STAGES = """\
  - encode: tfidf
    with: {columns: [title]}
  - fuse: mean-history
  - recommend: dot
"""
SMALL = HEAD + STAGES


@pytest.fixture
def plan_of(registry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(text: str, *sets: str, file: str = "r.yaml") -> Plan:
        Path(file).write_text(text, encoding="utf-8")
        return make_plan(read_source(file, sets, go_on=True), registry)

    return make


@pytest.fixture
def refused(plan_of):
    def told(text: str, *sets: str) -> str:
        with pytest.raises(RecipeError) as caught:
            plan_of(text, *sets)
        assert caught.value.exit_code == 2
        return str(caught.value)

    return told


@pytest.fixture
def codes(plan_of):
    def told(text: str, *sets: str) -> list[str]:
        """Code and line of each problem."""
        try:
            plan_of(text, *sets)
        except RecipeError as error:
            return [f"{p.code}:{p.at.line if p.at else '-'}" for p in error.problems]
        return []

    return told


# --- what it fills in


def test_names_are_pinned_parameters_filled_and_inputs_wired(plan_of):
    plan = plan_of(SMALL)
    assert [(s.id, s.verb, s.offer.pinned, dict(s.inputs)) for s in plan.stages] == [
        ("tfidf", "encode", "tfidf@1", {}),
        ("mean-history", "fuse", "mean-history@1", {"encode": ("tfidf",)}),
        ("dot", "recommend", "dot@1", {"fuse": ("mean-history",)}),
    ]
    assert plan.stages[0].params()["columns"] == ["title"]
    assert plan.stages[0].params()["min_df"] == 1
    assert (plan.name, plan.out) == ("r", "runs/r")
    assert plan.final is plan.stages[2]


def test_the_newest_version_is_pinned(plan_of):
    stages = "  - encode: toy/pages\n    id: new\n  - encode: toy/pages@1\n    id: old\n"
    assert [s.offer.pinned for s in plan_of(HEAD + stages).stages] == ["toy/pages@2", "toy/pages@1"]


def test_a_stage_without_an_id_is_called_after_its_component(plan_of):
    stages = (
        "  - encode: toy/pages\n  - encode: toy/pages@1\n  - encode: toy/3d\n"
        "  - encode: als\n    id: pages-2\n  - encode: toy/pages\n"
    )
    plan = plan_of(HEAD + stages)
    # pages-2 is what the recipe calls another stage, and an id begins with a letter
    assert [s.id for s in plan.stages] == ["pages", "pages-3", "encode-3d", "pages-2", "pages-4"]


def test_a_fuse_stage_takes_the_one_encode_stage_before_it(plan_of):
    assert plan_of(SMALL).stages[1].taken == ("tfidf",)


def test_from_may_name_one_stage_without_a_list(plan_of):
    text = SMALL.replace("recommend: dot", "recommend: dot\n    from: mean-history")
    assert plan_of(text).stages[2].taken == ("mean-history",)


def test_a_recommender_that_needs_no_profiles_takes_none(plan_of):
    assert plan_of(SMALL.replace("dot", "ease")).stages[2].taken == ()


def test_a_check_and_an_explanation_are_lent_the_one_profile_there_is(plan_of):
    plan = plan_of(SMALL + "  - check: toy/gate\n  - explain: toy/why\n")
    assert [s.taken for s in plan.of("check", "explain")] == [("mean-history",), ("mean-history",)]


def test_an_update_takes_the_profiles(plan_of):
    assert plan_of(SMALL + "  - update: toy/shift\n").stages[3].inputs == {"fuse": ("mean-history",)}


def test_a_rerank_stage_may_take_the_vectors_of_an_encode_stage(plan_of):
    text = HEAD + "  - encode: als\n  - recommend: ease\n  - rerank: mmr\n    from: als\n"
    assert plan_of(text).stages[2].inputs == {"encode": ("als",)}


def test_the_final_ranker_is_the_last_that_no_other_takes(plan_of):
    stages = (
        "  - recommend: ease\n    id: a\n  - recommend: popular\n    id: b\n"
        "  - recommend: toy/blend\n    id: both\n    from: [a, b]\n"
    )
    plan = plan_of(HEAD + stages)
    assert plan.final is not None
    assert (plan.final.id, dict(plan.final.inputs)) == ("both", {"recommend": ("a", "b")})
    later = plan_of(HEAD + stages + "  - recommend: popular\n    id: c\n")
    assert later.final is not None
    assert later.final.id == "c"


def test_without_a_recommend_stage_nothing_is_final_and_nothing_compared(plan_of):
    plan = plan_of(HEAD + "  - encode: als\n  - fuse: weighted\n")
    assert (plan.final, plan.baselines, plan.compared) == (None, (), ())
    assert plan.baseline_uses == ("ease@1", "popular@1")


def test_baselines_are_added_to_what_the_recipe_has(plan_of):
    plan = plan_of(SMALL)
    assert [(b.id, b.offer.pinned, b.loc) for b in plan.baselines] == [
        ("baseline-ease", "ease@1", None),
        ("baseline-popular", "popular@1", None),
    ]
    assert plan.compared == ("baseline-ease", "baseline-popular")


def test_a_stage_that_is_a_baseline_is_not_made_twice(plan_of):
    plan = plan_of(SMALL + "  - recommend: popular\n    id: top\n  - recommend: dot\n    id: last\n")
    assert [b.id for b in plan.baselines] == ["baseline-ease"]
    assert plan.compared == ("baseline-ease", "top")


def test_a_stage_with_other_parameters_is_no_baseline(plan_of):
    plan = plan_of(HEAD + "  - recommend: ease\n    with: {l2: 7}\n")
    assert [b.id for b in plan.baselines] == ["baseline-ease", "baseline-popular"]


def test_the_final_ranker_is_not_compared_with_itself(plan_of):
    plan = plan_of(HEAD + "  - recommend: ease\n")
    assert (plan.baseline_uses, plan.compared) == (("ease@1", "popular@1"), ("baseline-popular",))


def test_an_empty_list_of_baselines_asks_for_none(plan_of):
    plan = plan_of(SMALL + "evaluate: {baselines: []}\n")
    assert (plan.baselines, plan.baseline_uses, plan.compared) == ((), (), ())


def test_what_is_set_on_the_command_line_is_planned(plan_of):
    plan = plan_of(SMALL, "name=other", "stages.0.with.min_df=3", "evaluate.baselines=[popular]")
    assert (plan.name, plan.out, plan.stages[0].params()["min_df"]) == ("other", "runs/other", 3)
    assert plan.baseline_uses == ("popular@1",)


def test_what_a_recipe_extends_is_planned(plan_of):
    Path("base.yaml").write_text(SMALL.replace("- encode: tfidf", "- encode: tfidf\n    id: plot"), encoding="utf-8")
    plan = plan_of("extends: base.yaml\noverride: {plot: {min_df: 4}}\nevaluate: {baselines: [popular]}\n")
    assert plan.stages[0].params() | {"min_df": 4, "columns": ["title"]} == plan.stages[0].params()
    assert plan.baseline_uses == ("popular@1",)


def test_a_mistake_on_the_command_line_is_shown_there(refused):
    assert refused(SMALL, "stages.0.with.min_df=none").splitlines()[1:] == [
        "   1 | stages.0.with.min_df=none",
        "     |                      ^^^^",
    ]


# --- a plan says everything


EVERYTHING = """\
recipe: 1
seed: 7
device: cpu
out: runs/all
plugins: {toy: ">=1.0"}
data:
  interactions: {path: ratings.csv, weight: rating, time: when}
  items: {path: movies.csv, id: movieId}
  users: users.csv
  positive: ">= 4"
  split: {by: user-time, holdout: 2}
stages:
  - preprocess: impute
    with: {columns: {price: median, year: {constant: 1990.5}}}
  - preprocess: k-core
  - encode: tfidf
    id: plot
    with: {columns: [title]}
  - encode: als
    with: {dim: 8, l2: 1e-5}
  - encode: toy/ages
  - fuse: weighted
    id: profile
    from: [plot, als]
    with: {weights: {plot: 0.25, als: 3}}
  - fuse: mean-history
    id: other
    from: ages
  - recommend: dot
    id: a
    from: profile
  - recommend: ease
    id: b
  - recommend: toy/blend
    from: [a, b]
  - rerank: mmr
    from: plot
    with: {relevance: 0.9}
  - check: toy/gate
    fail: warn
    with: {k: 5, rules: [{field: "1", limits: [0, 1]}], by_group: {"no": {field: genre}}}
  - check: toy/bias
    from: profile
  - explain: evidence
    from: profile
  - update: toy/shift
    from: other
list: {k: 30, exclude_seen: false, candidates: cold}
evaluate: {metrics: [ndcg@5, rmse], baselines: [popular, ease], groups: [gender], bootstrap: 0, confidence: 0.9}
"""


def outcome(plan: Plan) -> object:
    """All that a run depends on."""
    stages = [
        (s.id, s.verb, s.offer.pinned, s.params(), dict(s.inputs), s.fail) for s in (*plan.stages, *plan.baselines)
    ]
    settings = plan.recipe.to_data()
    for key in ("name", "out", "stages", "evaluate"):
        settings.pop(key, None)
    return stages, settings, plan.baseline_uses, plan.compared, plan.positive, plan.cutoffs, plan.out, plan.final.id


@pytest.mark.parametrize("text", [SMALL, EVERYTHING])
def test_a_filled_recipe_is_a_recipe_and_gives_the_same_plan(plan_of, text):
    plan = plan_of(text)
    written = dump_yaml(plan.filled())
    again = plan_of(written, file="filled.yaml")
    assert outcome(again) == outcome(plan)
    assert again.name == plan.name
    assert dump_yaml(again.filled()) == written


def test_a_filled_recipe_says_everything(plan_of):
    filled = plan_of(EVERYTHING).filled()
    assert list(filled)[:4] == ["recipe", "name", "seed", "device"]
    assert filled["stages"][4] == {"encode": "toy/ages@1", "id": "ages"}
    assert filled["stages"][9] == {"recommend": "toy/blend@1", "id": "blend", "from": ["a", "b"]}
    assert filled["stages"][11] == {
        "check": "toy/gate@1",
        "id": "gate",
        "with": {
            "k": 5,
            "rules": [{"field": "1", "limits": [0, 1]}],
            "by_group": {"no": {"field": "genre", "limits": []}},
        },
        "fail": "warn",
    }
    assert filled["evaluate"]["baselines"] == ["popular@1", "ease@1"]


def test_a_file_whose_name_is_no_name_can_be_filled(plan_of):
    plan = plan_of(SMALL, file="my recipe (2).yaml")
    assert (plan.name, plan.out) == ("my recipe (2)", "runs/my recipe (2)")
    assert plan.filled()["name"] == "my-recipe-2"
    assert plan_of(dump_yaml(plan.filled()), file="again.yaml").out == "runs/my recipe (2)"


# --- names: RP3xx


def test_rp301_no_such_component(refused):
    assert refused(SMALL.replace("tfidf", "tfdif")) == (
        "r.yaml:6:13: RP301 no component 'tfdif' can encode\n"
        "   6 |   - encode: tfdif\n"
        "     |             ^^^^^\n"
        "     = did you mean 'tfidf'?\n"
        "     = installed: als@1, category@1, tfidf@1, toy/3d@1, toy/ages@1, toy/pages@1, toy/pages@2"
    )


def test_rp301_a_component_of_another_verb(refused):
    assert refused(SMALL.replace("fuse: mean-history", "fuse: ease")) == (
        "r.yaml:8:11: RP301 no component 'ease' can fuse\n"
        "   8 |   - fuse: ease\n"
        "     |           ^^^^\n"
        "     = 'ease' can recommend\n"
        "     = installed: mean-history@1, weighted@1"
    )


def test_rp302_a_plugin_that_did_not_load(refused):
    assert refused(SMALL.replace("recommend: dot", "recommend: lost/way")) == (
        "r.yaml:9:16: RP302 the plugin of 'lost/way' did not load\n"
        "   9 |   - recommend: lost/way\n"
        "     |                ^^^^^^^^\n"
        "     = recprofile-lost 1.5: importing no_such_module_here raised ModuleNotFoundError: "
        "No module named 'no_such_module_here'"
    )


def test_rp304_a_known_namespace_that_is_not_installed(refused):
    assert refused(SMALL.replace("recommend: dot", "recommend: surprise/svd")) == (
        "r.yaml:9:16: RP304 the namespace 'surprise' of 'surprise/svd' is not installed\n"
        "   9 |   - recommend: surprise/svd\n"
        "     |                ^^^^^^^^^^^^\n"
        "     = install recprofile-surprise"
    )


def test_rp304_a_namespace_that_nobody_knows(refused):
    assert refused(SMALL.replace("recommend: dot", "recommend: toys/blend")) == (
        "r.yaml:9:16: RP304 the namespace 'toys' of 'toys/blend' is not installed\n"
        "   9 |   - recommend: toys/blend\n"
        "     |                ^^^^^^^^^^\n"
        "     = did you mean 'toy'?\n"
        "     = namespaces: builtin, fairlearn, hf, lightgbm, lost, surprise, toy"
    )


def test_rp304_in_the_plugins_block(refused):
    assert refused(SMALL + 'plugins: {hf: ">=0.1"}\n') == (
        "r.yaml:10:11: RP304 the namespace 'hf' is not installed\n"
        '  10 | plugins: {hf: ">=0.1"}\n'
        "     |           ^^\n"
        "     = install recprofile-hf"
    )


def test_rp304_engine_and_trackers(refused):
    assert refused(SMALL + "engine: {ray: {workers: 4}}\ntrack: [tensorboard]\n") == (
        "r.yaml:10:10: RP304 no engine 'ray' is installed\n"
        "  10 | engine: {ray: {workers: 4}}\n"
        "     |          ^^^\n"
        "     = installed: local\n"
        "r.yaml:11:9: RP304 no tracker 'tensorboard' is installed\n"
        "  11 | track: [tensorboard]\n"
        "     |         ^^^^^^^^^^^\n"
        "     = leave 'track' out"
    )


def test_rp305_no_such_version(refused):
    assert refused(HEAD + "  - encode: toy/pages@3\n") == (
        "r.yaml:6:13: RP305 no version '3' of 'toy/pages'\n"
        "   6 |   - encode: toy/pages@3\n"
        "     |             ^^^^^^^^^^^\n"
        "     = installed: toy/pages@1, toy/pages@2"
    )


def test_rp306_a_plugin_that_is_too_old(refused):
    assert refused(SMALL + 'plugins: {toy: ">=2,<3"}\n') == (
        "r.yaml:10:16: RP306 recprofile-toy 1.5 does not meet '>=2,<3'\n"
        '  10 | plugins: {toy: ">=2,<3"}\n'
        "     |                ^^^^^^^^\n"
        "     = install 'recprofile-toy>=2,<3'"
    )


def test_a_plugin_that_must_be_there_and_did_not_load_is_told(refused):
    assert refused(SMALL + 'plugins: {lost: ">=1"}\n').splitlines()[0] == (
        "r.yaml:10:11: RP302 the plugin 'lost' did not load"
    )


# --- wiring: RP4xx


def test_rp401_no_earlier_stage_of_that_name(refused):
    text = SMALL.replace("- encode: tfidf", "- encode: tfidf\n    id: plot")
    assert refused(text.replace("fuse: mean-history", "fuse: mean-history\n    from: [plot, plto]")) == (
        "r.yaml:10:18: RP401 no earlier stage 'plto'\n"
        "  10 |     from: [plot, plto]\n"
        "     |                  ^^^^\n"
        "     = did you mean 'plot'?\n"
        "     = stages that fit: plot"
    )


def test_rp401_a_later_stage_and_the_stage_itself(codes):
    text = HEAD + (
        "  - encode: als\n"
        "  - fuse: weighted\n"
        "    id: p\n"
        "    from: [als, late]\n"
        "  - encode: category\n"
        "    id: late\n"
        "    with: {columns: [genre]}\n"
        "  - recommend: dot\n"
        "    id: d\n"
        "    from: d\n"
    )
    assert codes(text) == ["RP401:9", "RP401:15"]


def test_rp402_a_stage_of_the_wrong_kind(refused):
    text = SMALL.replace("recommend: dot", "recommend: dot\n  - rerank: mmr\n    from: dot")
    assert refused(text) == (
        "r.yaml:11:11: RP402 a rerank stage cannot take 'dot', which is a recommend stage\n"
        "  11 |     from: dot\n"
        "     |           ^^^\n"
        "     = it takes encode or fuse"
    )


def test_rp402_a_recommender_that_is_no_hybrid(refused):
    text = HEAD + "  - recommend: popular\n  - recommend: ease\n    from: popular\n"
    assert refused(text) == (
        "r.yaml:8:11: RP402 'ease' cannot take 'popular', which is a recommend stage\n"
        "   8 |     from: popular\n"
        "     |           ^^^^^^^\n"
        "     = it takes encode or fuse"
    )


def test_rp402_a_verb_that_takes_nothing_by_name(refused):
    text = HEAD + "  - preprocess: k-core\n  - encode: als\n    from: k-core\n"
    assert refused(text) == (
        "r.yaml:8:11: RP402 an encode stage cannot take 'k-core', which is a preprocess stage\n"
        "   8 |     from: k-core\n"
        "     |           ^^^^^^\n"
        "     = it takes nothing by name: leave 'from' out"
    )


TWO_FUSED = HEAD + (
    "  - encode: als\n"
    "  - fuse: weighted\n"
    "    id: p\n"
    "  - fuse: mean-history\n"
    "    id: q\n"
    "    from: als\n"
)  # fmt: skip


def test_rp402_two_profiles_for_one_stage(refused):
    assert refused(TWO_FUSED + "  - recommend: dot\n    from: [p, q]\n") == (
        "r.yaml:13:15: RP402 a recommend stage takes one fuse stage, and 'p' is one already\n"
        "  13 |     from: [p, q]\n"
        "     |               ^"
    )


def test_rp205_one_stage_named_twice(refused):
    text = SMALL.replace("fuse: mean-history", "fuse: mean-history\n    from: [tfidf, tfidf]")
    assert refused(text) == (
        "r.yaml:9:19: RP205 'tfidf' stands twice in 'from'\n"
        "   9 |     from: [tfidf, tfidf]\n"
        "     |                   ^^^^^"
    )


def test_rp403_several_profiles_fit(refused):
    assert refused(TWO_FUSED + "  - recommend: dot\n") == (
        "r.yaml:12:16: RP403 'dot' could take p or q\n"
        "  12 |   - recommend: dot\n"
        "     |                ^^^\n"
        "     = say which: 'from: p'"
    )


def test_rp403_several_encode_stages_fit(refused):
    text = HEAD + "  - encode: als\n  - encode: toy/pages\n  - encode: toy/3d\n  - fuse: weighted\n"
    assert refused(text) == (
        "r.yaml:9:11: RP403 'weighted' could take als, pages or encode-3d\n"
        "   9 |   - fuse: weighted\n"
        "     |           ^^^^^^^^\n"
        "     = say which: 'from: [als, pages, encode-3d]' for all of them"
    )


def test_rp403_an_update_of_several_profiles(codes):
    assert codes(TWO_FUSED + "  - update: toy/shift\n") == ["RP403:12"]


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ("  - fuse: weighted\n", ["RP404 'weighted' has nothing to fuse", "put an encode stage before it"]),
        ("  - recommend: dot\n", ["RP404 'dot' needs profiles", "put a fuse stage before it"]),
        ("  - recommend: ease\n  - rerank: mmr\n", ["RP404 'mmr' needs profiles", "put a fuse stage before it"]),
        (
            "  - recommend: ease\n  - check: toy/bias\n",
            ["RP404 'toy/bias' needs profiles", "put a fuse stage before it"],
        ),
        ("  - update: toy/shift\n", ["RP404 'toy/shift' needs profiles", "put a fuse stage before it"]),
        (
            "  - recommend: toy/blend\n",
            ["RP404 'toy/blend' needs earlier recommend stages", "name them in 'from'"],
        ),
        ("  - rerank: toy/flip\n", ["RP404 a rerank stage needs recommendations", "put a recommend stage before it"]),
        ("  - check: toy/gate\n", ["RP404 a check stage needs recommendations", "put a recommend stage before it"]),
        ("  - explain: toy/why\n", ["RP404 an explain stage needs recommendations", "put a recommend stage before it"]),
        (
            "  - encode: als\n  - fuse: weighted\n  - recommend: dot\n    from: als\n",
            ["RP404 'dot' needs profiles", "name the fuse stage in 'from': weighted"],
        ),
    ],
)
def test_rp404_a_stage_without_what_it_needs(refused, stages, told):
    lines = refused(HEAD + stages).splitlines()
    assert [lines[0].partition(": ")[2], lines[-1].removeprefix("     = ")] == told
    assert len(lines) == 4


def test_rp404_baselines_that_stand_on_other_stages(refused):
    assert refused(SMALL + "evaluate:\n  baselines: [popular, dot, toy/blend, file]\n") == (
        "r.yaml:11:24: RP404 'dot' takes other stages, so it can be no baseline\n"
        "  11 |   baselines: [popular, dot, toy/blend, file]\n"
        "     |                        ^^^\n"
        "     = add it as a recommend stage: every one is evaluated\n"
        "r.yaml:11:29: RP404 'toy/blend' takes other stages, so it can be no baseline\n"
        "  11 |   baselines: [popular, dot, toy/blend, file]\n"
        "     |                             ^^^^^^^^^\n"
        "     = add it as a recommend stage: every one is evaluated\n"
        "r.yaml:11:40: RP404 'file' has parameters without a default, so it can be no baseline\n"
        "  11 |   baselines: [popular, dot, toy/blend, file]\n"
        "     |                                        ^^^^\n"
        "     = add it as a recommend stage: every one is evaluated"
    )


def test_baselines_are_looked_up_like_any_other_name(codes, refused):
    assert refused(SMALL + "evaluate: {baselines: [poplar, popular@9, popular, popular@1]}\n") == (
        "r.yaml:10:24: RP301 no component 'poplar' can recommend\n"
        "  10 | evaluate: {baselines: [poplar, popular@9, popular, popular@1]}\n"
        "     |                        ^^^^^^\n"
        "     = did you mean 'popular'?\n"
        "     = installed: dot@1, ease@1, file@1, popular@1, toy/blend@1\n"
        "r.yaml:10:32: RP305 no version '9' of 'popular'\n"
        "  10 | evaluate: {baselines: [poplar, popular@9, popular, popular@1]}\n"
        "     |                                ^^^^^^^^^\n"
        "     = installed: popular@1\n"
        "r.yaml:10:52: RP205 'popular@1' stands twice in 'baselines'\n"
        "  10 | evaluate: {baselines: [poplar, popular@9, popular, popular@1]}\n"
        "     |                                                    ^^^^^^^^^"
    )


def test_rp405_two_stages_of_one_id(refused):
    text = HEAD + "  - encode: als\n    id: x\n  - encode: toy/pages\n    id: x\n"
    assert refused(text) == (
        "r.yaml:9:9: RP405 a second stage with the id 'x'\n"
        "   9 |     id: x\n"
        "     |         ^\n"
        "     = the first is on line 6".replace("line 7", "line 6")
    )


@pytest.mark.parametrize(
    ("id", "told"),
    [
        ("data", "the id 'data' is taken: it stands for the data as they were read"),
        ("evaluation", "the id 'evaluation' is taken: it stands for what is measured"),
        ("baseline-ease", "the id 'baseline-ease' is taken: it stands for the baseline 'ease@1'"),
    ],
)
def test_rp405_ids_that_a_run_needs_for_itself(refused, id, told):
    text = SMALL.replace("recommend: dot", f"recommend: dot\n    id: {id}")
    assert refused(text).splitlines()[0] == f"r.yaml:10:9: RP405 {told}"


def test_rp406_a_table_that_the_data_block_lacks(refused):
    text = SMALL.replace("  items: movies.csv\n", "").replace("encode: tfidf", "encode: toy/ages")
    text = text.replace("    with: {columns: [title]}\n", "  - encode: toy/pages\n").replace(
        "fuse: mean-history", "fuse: mean-history\n    from: [ages, pages]"
    )
    assert refused(text) == (
        "r.yaml:5:13: RP406 'toy/ages' needs a table of users\n"
        "   5 |   - encode: toy/ages\n"
        "     |             ^^^^^^^^\n"
        "     = add 'users: <file>' to the data block\n"
        "r.yaml:6:13: RP406 'toy/pages' needs a table of items\n"
        "   6 |   - encode: toy/pages\n"
        "     |             ^^^^^^^^^\n"
        "     = add 'items: <file>' to the data block"
    )


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        (
            "  - encode: als\n  - preprocess: k-core\n",
            [
                "r.yaml:7:17: RP407 a preprocess stage must come before all others",
                "move it before 'als' (line 6), whose result was made from the data as they were",
            ],
        ),
        (
            "  - recommend: ease\n  - rerank: toy/flip\n  - recommend: popular\n",
            [
                "r.yaml:8:16: RP407 a recommend stage must come before every rerank, check and explain",
                "move it before 'flip' (line 7)",
            ],
        ),
        (
            "  - recommend: ease\n  - check: toy/gate\n  - recommend: popular\n",
            [
                "r.yaml:8:16: RP407 a recommend stage must come before every rerank, check and explain",
                "move it before 'gate' (line 7)",
            ],
        ),
        (
            "  - recommend: ease\n  - explain: toy/why\n  - recommend: popular\n",
            [
                "r.yaml:8:16: RP407 a recommend stage must come before every rerank, check and explain",
                "move it before 'why' (line 7)",
            ],
        ),
        (
            "  - recommend: ease\n  - check: toy/gate\n  - rerank: toy/flip\n",
            [
                "r.yaml:8:13: RP407 a rerank stage must come before every check and explain",
                "move it before 'gate' (line 7), which would see other lists than are given out",
            ],
        ),
        (
            "  - recommend: ease\n  - explain: toy/why\n  - rerank: toy/flip\n",
            [
                "r.yaml:8:13: RP407 a rerank stage must come before every check and explain",
                "move it before 'why' (line 7), which would see other lists than are given out",
            ],
        ),
    ],
)
def test_rp407_a_stage_in_the_wrong_place(refused, stages, told):
    lines = refused(HEAD + stages).splitlines()
    assert [lines[0], lines[-1].removeprefix("     = ")] == told
    assert len(lines) == 4


# --- the rest of the recipe


def test_rp204_a_metric_that_nobody_knows(refused):
    assert refused(SMALL + "evaluate: {metrics: [ndgc@10, recall]}\n") == (
        "r.yaml:10:22: RP204 no metric 'ndgc'\n"
        "  10 | evaluate: {metrics: [ndgc@10, recall]}\n"
        "     |                      ^^^^^^^\n"
        "     = did you mean 'ndcg'?\n"
        "     = metrics: coverage, diversity, gini, hit-rate, mae, map, mrr, ndcg, novelty, popularity, "
        "popularity-lift, precision, … (16 in all)\n"
        "r.yaml:10:31: RP204 'recall' does not say how much of a list it looks at\n"
        "  10 | evaluate: {metrics: [ndgc@10, recall]}\n"
        "     |                               ^^^^^^\n"
        "     = for the first ten write 'recall@10'"
    )


def test_rp204_publishing_to_what_is_no_store(refused):
    assert refused(SMALL + "publish: profiles.db\n") == (
        "r.yaml:10:10: RP204 'profiles.db' is no profile store\n"
        "  10 | publish: profiles.db\n"
        "     |          ^^^^^^^^^^^\n"
        "     = sqlite:///profiles.db, relative to the recipe, or postgresql://host/name"
    )


def test_rp304_publishing_to_a_database_whose_driver_is_not_installed(refused, monkeypatch):
    monkeypatch.setattr("recprofile.plan.surroundings.find_spec", lambda _: None)
    assert refused(SMALL + "publish: postgresql://db/profiles\n") == (
        "r.yaml:10:10: RP304 no driver of PostgreSQL is installed\n"
        "  10 | publish: postgresql://db/profiles\n"
        "     |          ^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "     = pip install 'recprofile[postgresql]'"
    )


def test_a_recipe_may_publish_to_a_file_or_to_what_a_variable_names(plan_of, monkeypatch):
    monkeypatch.setenv("STORE", "sqlite:///x.db")
    assert plan_of(SMALL + "publish: sqlite:///p.db\n").recipe.publish == "sqlite:///p.db"
    assert plan_of(SMALL + "publish: ${env:STORE}\n").recipe.publish == "${env:STORE}"


# --- parameters


def test_a_missing_parameter_is_shown_at_the_component_or_at_with(refused):
    assert refused(HEAD + "  - encode: tfidf\n") == (
        "r.yaml:6:13: RP202 'columns' is missing from 'encode'\n"
        "   6 |   - encode: tfidf\n"
        "     |             ^^^^^\n"
        "     = columns: Text columns, joined in this order."
    )


def test_a_misspelt_parameter_is_one_problem(refused):
    assert refused(SMALL.replace("columns:", "colums:")).splitlines()[:4] == [
        "r.yaml:7:12: RP201 unknown key 'colums'",
        "   7 |     with: {colums: [title]}",
        "     |            ^^^^^^",
        "     = did you mean 'columns'?",
    ]


def test_parameters_are_judged_at_any_depth(refused):
    stages = (
        "  - recommend: ease\n"
        "  - check: toy/gate\n"
        "    with:\n"
        "      k: 1000\n"
        "      rules:\n"
        "        - {field: age, limits: [0.5, -1]}\n"
        "        - {feild: age}\n"
        "      by_group:\n"
        "        old: {field: 3}\n"
    )
    assert refused(HEAD + stages) == (
        "r.yaml:9:10: RP204 'k' is 1000, and must be from 1 to 100\n"
        "   9 |       k: 1000\n"
        "     |          ^^^^\n"
        "r.yaml:11:38: RP204 entry 2 of 'limits' is -1, and must be at least 0\n"
        "  11 |         - {field: age, limits: [0.5, -1]}\n"
        "     |                                      ^^\n"
        "r.yaml:12:12: RP201 unknown key 'feild'\n"
        "  12 |         - {feild: age}\n"
        "     |            ^^^^^\n"
        "     = did you mean 'field'?\n"
        "     = known: field, limits\n"
        "r.yaml:14:22: RP203 'field' is 3, and must be text\n"
        "  14 |         old: {field: 3}\n"
        "     |                      ^\n"
        "     = write it in quotes: '3'"
    )


# --- all at once, and each once


FIVE = """\
recipe: 1
sed: 7
data:
  interactions: ratings.csv
  items: movies.csv
stages:
  - encode: tfdif
    with: {columns: [title]}
  - encode: als
    with: {dim: 0}
  - fuse: weighted
    from: [tfdif, alz]
  - recommend: dot
evaluate: {metrics: [ndgc@10]}
"""


def test_five_mistakes_are_five_located_errors_in_file_order(refused):
    lines = [line for line in refused(FIVE).splitlines() if line.startswith("r.yaml")]
    assert lines == [
        "r.yaml:2:1: RP201 unknown key 'sed'",
        "r.yaml:7:13: RP301 no component 'tfdif' can encode",
        "r.yaml:10:17: RP204 'dim' is 0, and must be from 1 to 1024",
        "r.yaml:12:19: RP401 no earlier stage 'alz'",
        "r.yaml:14:22: RP204 no metric 'ndgc'",
    ]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("recipe: 1", "recipe: 2"),
        ("seed: 7", "sed: 7"),
        ("device: cpu", "device: gpu"),
        ("interactions:", "interaction:"),
        ("items: {", "itms: {"),
        ("users: users.csv", "user: users.csv"),
        ("id: movieId", "di: movieId"),
        ("positive:", "positve:"),
        ("by: user-time", "by: usertime"),
        ("preprocess: impute", "preproces: impute"),
        ("preprocess: impute", "preprocess: imputee"),
        ("columns: {price", "colums: {price"),
        ("price: median", "price: medium"),
        ("preprocess: k-core", "preprocess: kcore"),
        ("encode: tfidf", "encod: tfidf"),
        ("encode: tfidf", "encode: tfdif"),
        ("encode: tfidf", "encode: tfidf@2"),
        ("id: plot", "di: plot"),
        ("id: plot", "id: Plot"),
        ("columns: [title]", "column: [title]"),
        ("dim: 8", "dims: 8"),
        ("dim: 8", "dim: eight"),
        ("encode: als", "encode: alz/als"),
        ("encode: toy/ages", "encode: toy/agse"),
        ("fuse: weighted", "fues: weighted"),
        ("fuse: weighted", "fuse: wieghted"),
        ("id: profile", "id: 1profile"),
        ("from: [plot, als]", "form: [plot, als]"),
        ("from: [plot, als]", "from: [plot, asl]"),
        ("weights: {plot: 0.25", "weights: {plot: -0.25"),
        ("recommend: dot", "recommend: dto"),
        ("recommend: toy/blend", "recommend: toy/blond"),
        ("recommend: toy/blend", "recomend: toy/blend"),
        ("from: [a, b]", "from: [a, c]"),
        ("rerank: mmr", "rerank: mrm"),
        ("rerank: mmr", "rerrank: mmr"),
        ("from: plot", "from: plto"),
        ("relevance: 0.9", "relevance: 1.9"),
        ("fail: warn", "fail: warning"),
        ("fail: warn", "fial: warn"),
        ("{field: genre}", "{filed: genre}"),
        ("check: toy/bias", "check: toy/base"),
        ("explain: evidence", "explan: evidence"),
        ("update: toy/shift", "update: toy/shfit"),
        ("from: other", "from: oter"),
        ("list: {k", "lists: {k"),
        ("k: 30", "k: 0"),
        ("ndcg@5", "ndgc@5"),
        ("ndcg@5", "ndcg@0"),
        ("rmse]", "rsme]"),
        ("baselines: [popular", "baselines: [poplar"),
        ("groups:", "gruops:"),
        ("confidence: 0.9", "confidence: 9"),
        ('toy: ">=1.0"', 'toy: ">=9"'),
        ('toy: ">=1.0"', 'toy: "new"'),
        ("evaluate:", "evaluation:"),
    ],
)
def test_one_mistake_is_one_problem(codes, right, wrong):
    assert EVERYTHING.count(right) >= 1
    text = EVERYTHING.replace(right, wrong, 1)
    line = 1 + next(
        n for n, (a, b) in enumerate(zip(EVERYTHING.splitlines(), text.splitlines(), strict=True)) if a != b
    )
    found = codes(text)
    assert len(found) == 1, found
    assert found[0].endswith(f":{line}") or right.startswith(("encode: tfidf", "id:")), found


def test_every_kind_of_mistake_is_told_together(codes):
    text = (
        SMALL.replace("recipe: 1", "recipe: 1\nseed: x\nseed: 1")
        .replace("columns: [title]", "columns: [title], min_df: -1")
        .replace("recommend: dot", "recommend: dto")
    )
    text += "publish: p.db\nplugins: {nope: '>=1'}\nevaluate: {metrics: [mpa@3], baselines: [dot]}\n"
    # a key twice (the first stands), its value, a parameter, a component, the store, a namespace, a metric, a baseline
    assert codes(text) == [
        *("RP203:2", "RP104:3", "RP204:9", "RP301:11"),
        *("RP204:12", "RP304:13", "RP204:14", "RP404:14"),
    ]


def test_a_stage_that_is_wrong_by_itself_is_judged_as_far_as_it_goes(codes):
    stages = (
        "  - encode: tfdif\n    di: a\n"
        "  - encode: tfidf\n    fail: warn\n    with: {columns: title}\n"
        "  - 7\n"
        "  - recommend: dot\n"
    )
    # 6: no such component, an unknown key; 8: a wrong parameter, 'fail'; 11: no stage, which might be what 12 needs
    assert codes(HEAD + stages) == ["RP301:6", "RP201:7", "RP205:9", "RP203:10", "RP203:11"]


# --- anything


NAMES = st.sampled_from(
    [
        *("tfidf", "als", "category", "toy/ages", "toy/pages@1", "toy/3d", "mean-history", "weighted", "dot", "ease"),
        *("file", "popular", "toy/blend", "mmr", "toy/flip", "toy/gate", "toy/bias", "evidence", "toy/why", "impute"),
        *("toy/shift", "k-core", "lost/x", "hf/text", "no/such", "nothing", "builtin/als", "als@7", "@", "/"),
    ]
)
IDS = st.sampled_from(["a", "b", "c", "als", "dot", "data", "tfidf", "A", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.sampled_from(["title", "a", "mean", "1", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["columns", "dim", "weights", "k", "rules", "field", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)
VERBS = ["preprocess", "encode", "fuse", "recommend", "rerank", "check", "explain", "update"]
STAGE = st.builds(
    lambda verb, name, more: {verb: name, **more},
    st.sampled_from([*VERBS, *VERBS, "encod"]),
    NAMES | VALUES,
    st.fixed_dictionaries(
        {},
        optional={
            "id": IDS | VALUES,
            "from": IDS | st.lists(IDS, max_size=3) | VALUES,
            "with": st.fixed_dictionaries({}, optional={"columns": st.just(["title"]), "k": VALUES}) | VALUES,
            "fail": st.sampled_from(["warn", "error", "no"]),
            "wiht": VALUES,
        },
    ),
)
RECIPE = st.fixed_dictionaries(
    {
        "recipe": st.just(1),
        "data": st.just({"interactions": "r.csv", "items": "i.csv"}) | VALUES,
        "stages": st.lists(STAGE) | VALUES,
    },
    optional={
        "evaluate": st.fixed_dictionaries(
            {}, optional={"baselines": st.lists(NAMES) | VALUES, "metrics": st.lists(VALUES) | VALUES}
        )
        | VALUES,
        "plugins": st.dictionaries(st.sampled_from(["toy", "lost", "hf", "x"]), st.sampled_from([">=1", "!", 3]))
        | VALUES,
        "engine": VALUES,
        "track": st.lists(VALUES) | VALUES,
        "publish": VALUES,
    },
)
SETTINGS = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@SETTINGS
@given(RECIPE)
def test_any_recipe_is_planned_or_refused_in_place(plan_of, recipe):
    try:
        plan = plan_of(dump_yaml(recipe))
    except RecipeError as error:
        places = [problem.at for problem in error.problems]
    else:
        places = [stage.at for stage in plan.stages]
    assert places
    assert None not in places


@SETTINGS
@given(data=st.data())
def test_any_plan_is_said_in_full_by_its_filled_recipe(plan_of, data):
    """Stages that fit by construction: a few of each verb, each taking what is there."""
    draw = data.draw
    encodes = draw(st.lists(st.sampled_from(["als", "toy/3d", "toy/ages", "toy/pages@1", "toy/pages"]), min_size=1))
    stages: list[dict[str, Any]] = [{"preprocess": "k-core"}] * draw(st.integers(0, 2))
    stages += [{"encode": name, "id": f"e{n}"} for n, name in enumerate(encodes)]
    some = st.lists(st.sampled_from(range(len(encodes))), min_size=1, unique=True)
    fuses = draw(st.lists(some, min_size=1, max_size=3))
    stages += [{"fuse": "weighted", "id": f"f{n}", "from": [f"e{i}" for i in taken]} for n, taken in enumerate(fuses)]
    a_fuse = st.sampled_from(range(len(fuses))).map("f{}".format)
    l2 = draw(st.floats(1e-6, 1e6))
    stages += [{"recommend": "dot", "id": "r0", "from": draw(a_fuse)}, {"recommend": "ease", "with": {"l2": l2}}]
    stages += draw(st.sampled_from([[], [{"recommend": "toy/blend", "from": ["r0", "ease"]}]]))
    stages += [{"rerank": "mmr", "from": draw(a_fuse)}] * draw(st.integers(0, 1))
    stages += [{"check": "toy/gate", "fail": draw(st.sampled_from(["warn", "error"]))}] * draw(st.integers(0, 2))
    stages += [{"update": "toy/shift", "from": draw(a_fuse)}] * draw(st.integers(0, 1))
    blocks = {"interactions": "r.csv", "items": "i.csv", "users": "u.csv"}
    plan = plan_of(dump_yaml({"recipe": 1, "data": blocks, "stages": stages}))
    assert outcome(plan_of(dump_yaml(plan.filled()), file="filled.yaml")) == outcome(plan)


def test_a_weight_of_a_stage_that_is_not_taken_is_pointed_at(refused):
    recipe = SMALL.replace("fuse: mean-history", "fuse: weighted\n    with: {weights: {plto: 2}}")
    told = refused(recipe)
    assert "RP401 'weights' names 'plto', which this stage does not take" in told
    assert "= it takes: " in told


def test_an_address_that_can_lead_nowhere_is_told_without_looking_for_it(refused):
    told = refused(SMALL.replace("movies.csv", "package://books/items.csv"))
    assert "RP204 'package://books/items.csv' names no version" in told
