"""`recprofile tune`: the search, its memory, the rule that chooses, and the recipe that it writes."""

import json
import sqlite3
import sys

import numpy as np
import pytest

from recprofile.artifacts import Interactions
from recprofile.evaluate import UserScores
from recprofile.plan import Knob
from recprofile.recipe import ItemColdSplit, UserTimeSplit
from recprofile.registry import make_registry
from recprofile.testing import RecipeBox, dataset
from recprofile.tune.folds import folds_of
from recprofile.tune.results import Trial, choose
from recprofile.tune.scores import difference, estimate

pytest.importorskip("optuna")

# A user likes the items that leave the same rest by 3; scores say so, with noise the less the nearer x is to 3.
PLUGIN = """
import os, signal
from pathlib import Path
from typing import Annotated
import numpy as np
from recprofile.plugin import Encoded, Embeddings, Encoder, Field, Pack, Params, Ranker, Recommender, RunError, Tunable
from recprofile.plugin import hookimpl

class PlantedParams(Params):
    x: Annotated[float, Tunable(0, 10)] = Field(0.5, ge=0, le=10, description="Best at 3.")
    mode: str = Field("fine", description="What to do.")
    n: int = Field(1, ge=1, le=9, description="Nothing.")

class PlantedRanker(Ranker):
    def __init__(self, data, params):
        users, items = np.ix_(np.arange(data.n_users), np.arange(data.n_items))
        noise = np.random.default_rng(5).standard_normal((data.n_users, data.n_items))
        good = users % 3 == items % 3
        self.all = (good + 0.3 * abs(params.x - 3) * noise).astype(np.float32)
    def scores(self, users):
        return self.all[users]
    def known_users(self):
        return np.ones(len(self.all), np.bool_)
    def pack(self):
        return Pack()

class Planted(Recommender[PlantedParams]):
    \"\"\"Knows.\"\"\"
    name = "planted"
    def fit(self, data, inputs, ctx):
        here = Path("fits")
        here.write_text((here.read_text() if here.exists() else "") + f"{self.params.x}\\n")
        if Path("kill").exists() and len(here.read_text().splitlines()) == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.params.mode == "bad" or self.params.x > 8:
            raise RunError.of("RP601", "too far")
        return PlantedRanker(data, self.params)
    def restore(self, pack, data, inputs, ctx):
        return PlantedRanker(data, self.params)

class Counting(Encoder[Params]):
    \"\"\"Counts.\"\"\"
    name = "counting"
    def encode(self, data, ctx):
        Path("encodes").write_text((Path("encodes").read_text() if Path("encodes").exists() else "") + "x")
        return Encoded.of(Embeddings("item", data.items.ids, np.ones((data.n_items, 2), np.float32)))

class Standing(Planted):
    \"\"\"Knows, too, and takes vectors.\"\"\"
    name = "standing"

@hookimpl
def recprofile_recommenders():
    return [Planted, Standing]

@hookimpl
def recprofile_encoders():
    return [Counting]
"""
DATA = """\
data:
  interactions: {path: log.csv}
  split: {by: user-time, holdout: 2}
"""
PLANTED = "- recommend: mine/planted  # knows\n"


@pytest.fixture
def box(tmp_path):
    box = RecipeBox(tmp_path)
    box.plugin("mine", PLUGIN)
    rng = np.random.default_rng(1)
    rows = [(u, i) for u in range(30) for i in rng.permutation(np.arange(u % 3, 30, 3))[:7]]
    box.write("log.csv", {"user": [u for u, _ in rows], "item": [i for _, i in rows], "time": list(range(len(rows)))})
    return box


def tuned(box, *arguments, stages=PLANTED, more="", data=DATA, **options):
    recipe = box.recipe(stages, data=data, more=more)
    ran = box.run(recipe, "--json", *arguments, command="tune", **options).check()
    return json.loads(ran.out)


def fits(box):
    return (box.folder / "fits").read_text().splitlines()


def test_it_finds_a_planted_optimum_of_a_marked_parameter(box):
    found = tuned(box, "--trials", "25")
    assert [p["path"] for p in found["parameters"]] == ["stages.planted.with.x"]
    by = {trial["number"]: trial for trial in found["trials"]}
    assert len(by) == 25
    assert by[found["own"]]["values"] == {"stages.planted.with.x": 0.5}
    assert abs(by[found["best"]]["values"]["stages.planted.with.x"] - 3) < 0.7
    assert found["over_own"]["value"] > 2 * found["over_own"]["error"] > 0
    assert found["under_best"]["value"] <= found["under_best"]["error"]
    failed = [trial for trial in found["trials"] if trial["state"] == "failed"]
    assert all(trial["values"]["stages.planted.with.x"] > 8 and "too far" in trial["why"] for trial in failed)


def test_the_same_recipe_gives_the_same_values(box):
    a = tuned(box, "--trials", "14", "--study", "a.db")
    b = tuned(box, "--trials", "14", "--study", "b.db")
    strip = lambda found: [(t["values"], t["value"], t["state"]) for t in found["trials"]]  # noqa: E731 - used twice
    assert strip(a) == strip(b)
    assert a["name"] == b["name"]


def test_a_study_goes_on_where_it_was(box):
    tuned(box, "--trials", "5")
    before = len(fits(box))
    found = tuned(box, "--trials", "8")
    assert len(fits(box)) - before == 3
    assert len(found["trials"]) == 8
    tuned(box, "--trials", "8")
    assert len(fits(box)) - before == 3


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_search_that_was_killed_comes_to_what_it_would_have(box):
    whole = tuned(box, "--trials", "13", "--study", "whole.db")
    (box.folder / "fits").unlink()
    box.write("kill", "")
    recipe = box.recipe(PLANTED, data=DATA)
    assert box.run(recipe, "--trials", "13", command="tune", fresh=True).status == -9
    (box.folder / "kill").unlink()
    found = tuned(box, "--trials", "13")
    strip = lambda found: [(t["values"], t["value"]) for t in found["trials"]]  # noqa: E731 - used twice
    assert strip(found) == strip(whole)
    assert found["chosen"] != found["own"]


def test_a_changed_recipe_begins_another_study_in_the_same_file(box):
    a = tuned(box, "--trials", "3")
    b = tuned(box, "--trials", "3", more="seed: 5\n")
    c = tuned(box, "--trials", "4", more="tune: {trials: 9}\n")
    assert a["name"] != b["name"]
    assert a["name"] == c["name"]
    assert a["study"] == b["study"] == "out.tune.db"


def test_events_of_the_test_part_change_nothing(box):
    split = "  split: {by: file, test: test.csv, valid: valid.csv}\n"
    data = f"data:\n  interactions: {{path: log.csv}}\n{split}"
    box.write("valid.csv", {"user": [0, 1, 2, 3], "item": [0, 1, 2, 3], "time": [1, 1, 1, 1]})
    box.write("test.csv", {"user": [0, 1], "item": [3, 4], "time": [9999, 9999]})
    a = tuned(box, "--trials", "5", "--study", "a.db", data=data)
    box.write("test.csv", {"user": [7, 8, 9], "item": [1, 29, 5], "time": [1, 2, 3]})
    b = tuned(box, "--trials", "5", "--study", "b.db", data=data)
    assert [t["value"] for t in a["trials"]] == [t["value"] for t in b["trials"]]
    assert a["name"] == b["name"]


def test_several_jobs_share_the_trials(box):
    found = tuned(box, "--trials", "9", "--jobs", "3")
    assert len(found["trials"]) == 9
    tried = [t["values"]["stages.planted.with.x"] for t in found["trials"]]
    assert len(set(tried)) == 9
    assert max(t["value"] or 0 for t in found["trials"]) > 0.55


def test_after_the_timeout_no_trial_begins(box):
    assert len(tuned(box, "--timeout", "0")["trials"]) == 1


def test_few_combinations_are_each_tried_once(box):
    ranges = "stages.planted.with.x: {values: [0.5, 2, 3, 5]}, stages.0.with.n: {low: 1, high: 2}"
    more = f"tune:\n  ranges: {{{ranges}}}\n"
    found = tuned(box, more=more)
    assert sorted(tuple(t["values"].values()) for t in found["trials"]) == [
        (x, n) for x in (0.5, 2, 3, 5) for n in (1, 2)
    ]
    best = next(t for t in found["trials"] if t["number"] == found["best"])
    assert best["values"]["stages.planted.with.x"] in (2, 3)


def test_own_values_outside_the_ranges_are_compared_all_the_same(box):
    found = tuned(box, "--trials", "4", more="tune: {ranges: {stages.planted.with.x: {low: 6, high: 7}}}\n")
    own = next(t for t in found["trials"] if t["number"] == found["own"])
    assert own["values"] == {"stages.planted.with.x": 0.5}
    assert all(6 <= t["values"]["stages.planted.with.x"] <= 7 for t in found["trials"] if t is not own)


def test_stages_that_no_trial_changes_are_made_once(box):
    stages = "- encode: mine/counting\n- fuse: mean-history\n- recommend: mine/standing\n  from: mean-history\n"
    tuned(box, "--trials", "6", stages=stages)
    assert (box.folder / "encodes").read_text() == "x"


def test_whole_items_are_judged_on_three_folds_of_held_out_items(box):
    cold = "data:\n  interactions: {path: log.csv}\n  split: {by: item-cold, holdout: 0.2}\n"
    more = "list: {candidates: cold}\ntune: {metric: ndcg@3}\n"
    found = tuned(box, "--trials", "12", data=cold, more=more)
    assert found["folds"] == 3
    best = next(t for t in found["trials"] if t["number"] == found["best"])
    assert best["value"] > 0.9
    with sqlite3.connect(box.folder / "out.tune.db") as db:
        rows = db.execute("SELECT trial, COUNT(*) FROM recprofile_scores GROUP BY trial").fetchall()
    pruned = {t["number"] for t in found["trials"] if t["state"] == "pruned"}
    assert {trial for trial, count in rows if count < 3} == pruned


# --- folds


def log_of(n=40):
    users = np.arange(n, dtype=np.int32) % 8
    return [(f"u{u}", f"i{i}") for u, i in zip(users, np.arange(n) * 7 % 20, strict=True)]


def held_items(items):
    data = dataset(log_of())
    held = np.isin(data.train.item, items)
    return data.revise(held=held, valid=data.train.take(held), test=Interactions.empty(time=data.has_time))


def test_folds_of_items_are_disjoint_and_out_of_training():
    data = held_items([0, 1, 2])
    split = ItemColdSplit(by="item-cold", holdout=0.2)
    folds = folds_of(data, split, count=4, seed=1, spec="cold", listed=None)
    seen: set[int] = set()
    for n, fold in enumerate(folds):
        items = set(fold.data.test.item.tolist())
        assert not items & set(fold.data.train.item.tolist())
        assert set(np.flatnonzero(fold.candidates).tolist()) == items
        assert not items & seen
        assert len(fold.data.train) + len(fold.data.test) == len(data.train)
        assert len(fold.data.valid) > 0
        seen |= items
        assert (items == {0, 1, 2}) == (n == 0)
    assert len({fold.digest for fold in folds}) == 4


def test_folds_by_time_go_back_in_time():
    data = dataset([(u, i, 1, t) for u, i, t in ((f"u{k % 4}", f"i{k}", k) for k in range(40))])
    held = data.train.time >= 32
    data = data.revise(held=held, valid=data.train.take(held))
    split = UserTimeSplit(by="user-time", holdout=2)
    one, two = folds_of(data, split, count=2, seed=1, spec="all", listed=None)
    assert one.data.test.time.min() == 32
    assert (two.data.train.time.max(), two.data.test.time.min(), two.data.test.time.max()) == (23, 24, 31)
    assert one.candidates is None


# --- the rule


def scored(*values):
    return [UserScores(np.arange(len(v), dtype=np.int32), np.array(v, np.float64)) for v in values]


def test_the_error_of_one_fold_is_that_of_the_mean_and_differences_are_paired():
    a, b = scored([0.1, 0.5, 0.9]), scored([0.0, 0.4, 0.8])
    assert estimate(a).error == pytest.approx(np.std([0.1, 0.5, 0.9], ddof=1) / np.sqrt(3))
    assert (difference(a, b).value, difference(a, b).error) == (pytest.approx(0.1), pytest.approx(0, abs=1e-12))
    twice = estimate([*a, *a])  # the same users again know nothing new
    assert (twice.value, twice.error) == (pytest.approx(0.5), pytest.approx(estimate(a).error))
    assert estimate([]) == estimate(scored([])) == estimate(scored([0.0]))
    apart = estimate(scored([0.0, 0.0, 0.1], [0.5, 0.5, 0.5], [1.0, 1.0, 0.9]))
    assert apart.error == pytest.approx(np.std([0.1 / 3, 0.5, 2.9 / 3], ddof=1) / np.sqrt(3))


def trial(number, x, values, *, own=False):
    scores = scored(values)
    return Trial(number, {"x": x}, "done", estimate(scores), own, scores=scores)


KNOB = Knob("x", "s", ("stages", 0, "with", "x"), own=1.0, low=1.0, high=100.0, log=True)


def test_of_trials_within_one_error_the_one_nearest_to_the_recipe_is_taken():
    best = trial(3, 90.0, [0.9, 0.5, 0.7, 0.8])
    near = trial(2, 5.0, [0.8, 0.6, 0.7, 0.79])
    worse = trial(1, 2.0, [0.1, 0.1, 0.2, 0.1])
    own = trial(0, 1.0, [0.2, 0.1, 0.2, 0.1], own=True)
    assert choose([own, worse, near, best], [KNOB]) == (best, near)


def test_the_recipe_keeps_its_values_when_nothing_beats_them():
    best = trial(1, 90.0, [0.9, 0.1, 0.9, 0.1])
    own = trial(0, 1.0, [0.1, 0.9, 0.7, 0.2], own=True)
    assert choose([own, best], [KNOB]) == (best, own)
    same = trial(1, 2.0, [0.1, 0.9, 0.7, 0.2])
    assert choose([own, same], [KNOB]) == (own, own)


# --- the recipe that is written

FORMS = {
    "nothing": "- recommend: mine/planted  # knows\n",
    "a value": "- recommend: mine/planted\n  with: {x: 0.5, n: 2}  # first guess\n",
    "another": "- recommend: mine/planted\n  with: {n: 2}\n",
    "empty": "- recommend: mine/planted\n  with: {}\n",
    "lines": "- recommend: mine/planted\n  with:\n    # how many\n    n: 2\n    mode: fine\n  id: planted\n",
    "a line": "- id: planted\n  with:\n    x: 0.5  # guess\n  recommend: mine/planted\n",
    "braces": "- {recommend: mine/planted, id: planted}\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_the_written_recipe_is_the_old_text_with_the_values_and_runs(box, form):
    more = "tune: {ranges: {stages.0.with.x: {values: [0.5, 3.0]}}}  # kept\n"
    found = tuned(box, stages=FORMS[form], more=more)
    place = box.folder / "recipe-tuned.yaml"
    assert found["recipe"] == "recipe-tuned.yaml"
    text = place.read_text()
    assert "extends" not in text
    for line in box.recipe(FORMS[form], more=more).splitlines():
        assert "#" not in line or line[line.index("#") :] in text
    assert "x: 3.0" in text
    assert box.invoke("validate", "recipe-tuned.yaml").check().err == ""
    assert "x: 3.0" in box.invoke("plan", "--yaml", "recipe-tuned.yaml").check().out
    box.invoke("run", "recipe-tuned.yaml", "--out", "tuned").check()


def test_elsewhere_or_with_set_the_written_recipe_extends_the_old_one(box):
    more = "tune: {ranges: {stages.0.with.x: {values: [0.5, 3.0]}}}\n"
    for arguments in (["--write", "elsewhere/best.yaml"], ["--set", "seed=5"], ["--set", "stages.0.with.n=4"]):
        found = tuned(box, *arguments, more=more)
        assert "extends: " in (box.folder / found["recipe"]).read_text()
        plan = box.invoke("plan", "--yaml", found["recipe"]).check().out
        assert "x: 3.0" in plan
        assert arguments[-1] != "seed=5" or "seed: 5" in plan
        assert arguments[-1] != "stages.0.with.n=4" or "n: 4" in plan
        box.invoke("run", found["recipe"], "--out", f"run-{len(arguments[-1])}").check()


def test_it_overwrites_nothing_that_it_did_not_make(box):
    recipe = box.recipe(PLANTED, data=DATA)
    (wrong,) = box.run(recipe, "--write", "recipe.yaml", command="tune").check(4).problems
    assert wrong.message == "'recipe.yaml' is the recipe itself"
    box.write("recipe-tuned.yaml", "recipe: 1\n")
    (wrong,) = box.run(recipe, command="tune").check(4).problems
    assert wrong.message == "'recipe-tuned.yaml' is there, and `tune` did not make it"
    assert not (box.folder / "fits").exists()


# --- what is wrong

RANGES = """\
tune:
  metric: gini@10
  ranges:
    stages.ease.with.l2: {low: 0, high: 100}
    stages.eas.with.l2: {low: 1, high: 100}
    stages.0.with.l3: {low: 1, high: 100}
    seed: {values: [1]}
    stages.0.with.l2: {low: 1, high: 100}
    stages.knn.with.neighbours: {low: 1.5, high: 100}
    stages.knn.with.weighting: {values: [idf, bm24]}
    stages.knn.with.shrink: {low: 9, high: 3}
    stages.k-core.with.min_user: {low: 1, high: 3}
"""


def test_wrong_ranges_are_told_each_once_where_they_stand(box):
    stages = "- preprocess: k-core\n- recommend: ease\n- recommend: item-knn\n  id: knn\n"
    recipe = box.recipe(stages, data=DATA, more=RANGES.replace("stages.0", "stages.1"))
    ran = box.run(recipe, "--no-data", command="validate").check(2)
    first = recipe.splitlines().index("tune:") + 1
    told = [(p.at.line - first, p.code, p.message) for p in ran.problems]
    assert told == [
        (1, "RP204", "'gini@10' is not defined for each user, so that trials cannot be compared by it"),
        (3, "RP204", "'l2' is 0, and must be more than 0 and at most 1000000000"),
        (4, "RP201", "no stage has the id or place 'eas'"),
        (5, "RP201", "unknown key 'l3'"),
        (6, "RP201", "'seed' is no parameter of a stage"),
        (7, "RP205", "'stages.1.with.l2' and 'stages.ease.with.l2' are one parameter"),
        (8, "RP203", "'neighbours' is 1.5, and must be a whole number"),
        (9, "RP204", "'weighting' is 'bm24', and must be one of none, idf, bm25"),
        (10, "RP204", "'high' is 3, and must be more than 'low'"),
        (11, "RP205", "a preprocess stage is not searched: what is judged is the final recommender, on the same data"),
    ]


def test_a_stage_that_the_final_recommender_does_not_stand_on_cannot_be_searched(box):
    more = "tune: {ranges: {stages.ease.with.l2: {low: 1, high: 9}}}\n"
    recipe = box.recipe("- recommend: ease\n- recommend: popular\n", data=DATA, more=more)
    (wrong,) = box.run(recipe, "--no-data", command="validate").check(2).problems
    assert (wrong.code, wrong.message) == ("RP205", "'popular' does not stand on 'ease', so that nothing would change")


@pytest.mark.parametrize(
    ("stages", "more", "status", "code"),
    [
        ("- recommend: popular\n", "", 2, "RP205"),
        ("- encode: mine/counting\n", "", 2, "RP404"),
        ("- recommend: mine/planted\n  with: {mode: bad}\n", "", 4, "RP601"),
        (PLANTED, "tune: {trials: 3, folds: 9}\n", 3, "RP507"),
    ],
)
def test_what_cannot_be_searched_is_told(box, stages, more, status, code):
    ran = box.run(box.recipe(stages, data=DATA, more=more), command="tune").check(status)
    assert ran.codes == [code]


def test_a_search_with_nothing_to_judge_is_refused(box):
    box.write("few.csv", {"id": [999, 0]})  # an item that nobody has in the validation part, or hardly
    box.write("log.csv", {"user": [1, 1, 1, 2, 2, 2], "item": [0, 1, 2, 0, 1, 2], "time": [1, 2, 3, 1, 2, 3]})
    data = DATA.replace("holdout: 2", "holdout: 1")
    ran = box.run(box.recipe(PLANTED, data=data, more="list: {candidates: few.csv}\n"), command="tune").check(3)
    assert ran.codes == ["RP505"]
    assert ran.problems[0].message == "no user of the validation part has a relevant item"


def test_without_a_validation_part_nothing_is_searched(box):
    data = DATA.replace("holdout: 2", "holdout: 6")
    ran = box.run(box.recipe(PLANTED, data=data), command="tune").check(3)
    assert ran.codes == ["RP507"]
    assert ran.problems[0].at.line == 5


def test_a_file_that_is_no_study_is_left_alone(box):
    box.write("notes.db", "dear diary, " * 200)
    ran = box.run(box.recipe(PLANTED, data=DATA), "--study", "notes.db", command="tune").check(4)
    assert ran.codes == ["RP606"]
    assert (box.folder / "notes.db").read_text().startswith("dear diary")


def test_without_optuna_it_says_how_to_install_it(box, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    ran = box.run(box.recipe(PLANTED, data=DATA), command="tune").check(2)
    assert ran.codes == ["RP304"]
    assert ran.problems[0].help == ("pip install 'recprofile[tune]'",)


def test_the_block_tune_changes_no_cache_key(box):
    first = box.run(box.recipe("- recommend: ease\n", data=DATA)).check()
    assert first.computed()
    again = box.run(box.recipe("- recommend: ease\n", data=DATA, more="tune: {trials: 7}\n"), "--out", "two").check()
    stages = json.loads((box.folder / "two" / "manifest.json").read_text())["stages"]
    assert all(one["cached"] for one in stages)
    assert "tune:" in box.invoke("plan", "--yaml", again.recipe.name).check().out


def test_the_progress_and_the_table_are_for_people(box):
    ran = box.run(box.recipe(PLANTED, data=DATA), "--trials", "4", command="tune").check()
    lines = ran.out.splitlines()
    assert lines[0].startswith("trial 1 of 4  0.")
    assert "the recipe's own" in lines[0]
    assert any(line.split()[:3] == ["trial", "ndcg@10", "planted.x"] for line in lines)
    assert lines[-1] == "recipe: recipe-tuned.yaml"


def test_every_marked_range_is_one_that_the_component_takes():
    from recprofile.components import Tunable

    marked = 0
    for offer in make_registry().offers:
        model = offer.component.params_type
        needed = {n for n, f in model.model_fields.items() if f.is_required()}
        for name, info in model.model_fields.items():
            for mark in (one for one in info.metadata if isinstance(one, Tunable)):
                marked += 1
                assert not needed, "a component that is searched by default needs no parameter"
                for value in mark.values or (mark.low, mark.high):
                    model.model_validate({name: value})
    assert marked >= 6
