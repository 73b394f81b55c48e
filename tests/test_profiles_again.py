"""What preprocess stages learnt in a run is kept with it, published, and done to later events and new items."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recprofile
from recprofile.api import planned
from recprofile.builtin.preprocess import Dedupe, KCore, Propensity, Scale, TimeDecay
from recprofile.cli.main import status_of
from recprofile.components import Context, LearningPreprocessor, Preprocessor
from recprofile.errors import ArtifactError
from recprofile.profiles.again import Again, events_again, split
from recprofile.profiles.kept import load_base
from recprofile.profiles.people import load_people, load_profiles, small_data
from recprofile.profiles.rebuild import rebuild
from recprofile.profiles.stages import Stages
from recprofile.profiles.store import Store
from recprofile.profiles.versions import publication
from recprofile.report.words import NOTHING
from recprofile.runs import Run
from recprofile.testing import dataset, toy

USERS = ["ada", "ben", "cleo", "dan", "eve", "finn"]
RATINGS = "user,item,weight,time\n" + "".join(
    f"{u},i{i:02},{'' if (n + i) % 7 == 3 else 60 if (n, i) == (1, 4) else 1 + (n * 3 + i * 7) % 5},{1000 * i + n}\n"
    for n, u in enumerate(USERS)
    for i in range(12)
    if (n + i) % 3 != 0
)
ITEMS = "id,title,genre,pages\n" + "".join(
    f"i{i:02},<b>the {i}. book</b>,{'ab'[i % 2]},{'' if i == 5 else 100 + 10 * i}\n" for i in range(12)
)
STAGES = """\
  - preprocess: dedupe
  - preprocess: impute
    with: {columns: {weight: median, pages: mean}}
  - preprocess: clip
    with: {columns: {weight: iqr}}
  - preprocess: scale
    with: {columns: {weight: min-max, pages: standard}}
"""
RECIPE = """\
recipe: 1
device: cpu
data:
  interactions: ratings.csv
  items: items.csv
  split: {by: random, holdout: 0.2}
stages:
STAGES  - encode: category
    id: genre
    with: {columns: [genre]}
  - encode: als
    id: taste
    with: {dim: 3, weighted: true, epochs: 3}
  - fuse: weighted
    id: profile
    from: [genre, taste]
    with: {grade: 0.5}
  - recommend: dot
  - update: fold-in
list: {k: 5}
evaluate: {baselines: [], bootstrap: 10}
publish: sqlite:///p.db
"""
LATER = 1_700_000_000


@pytest.fixture(autouse=True)
def _box(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("ratings.csv", RATINGS), ("items.csv", ITEMS)):
        Path(name).write_text(text)
    write_recipe(STAGES)


def write_recipe(stages):
    Path("shop.yaml").write_text(RECIPE.replace("STAGES", stages))


def update(capsys, *events, items=None):
    """Both outputs of an update with these events."""
    names = ("user", "item", "weight", "time")
    lines = [{n: v for n, v in zip(names, event, strict=True) if v is not None} for event in events]
    Path("new.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    more = ["--items", items] if items else []
    assert status_of(["update", "shop.yaml", "--events", "new.jsonl", *more]) == 0, capsys.readouterr().err
    return capsys.readouterr()


def learnt():
    return {one["id"]: one["learnt"] for one in json.loads(Path("runs/shop/preprocess.json").read_text())}


def base_and_people(names):
    store = Store("sqlite:///p.db")
    with store.read() as connection:
        base = load_base(connection, publication(connection, store, "shop").id)
        people = load_people(connection, "shop", names)
        stored = load_profiles(connection, base, [people.keys[name] for name in people.names])
    return base, people, stored.vectors


def by_hand(log):
    """The log with weights filled, clipped and scaled by the numbers in the run folder; and what is then positive."""
    found = learnt()
    fill = found["impute"]["interactions.weight"]["value"]
    low, high = (found["clip"]["interactions.weight"][side] for side in ("low", "high"))
    centre, spread = (found["scale"]["interactions.weight"][side] for side in ("centre", "spread"))
    weights = [fill if weight is None else weight for weight in log["weight"]]
    weights = [(min(max(weight, low), high) - centre) / spread for weight in weights]
    return log.with_columns(weight=pl.Series(weights, dtype=pl.Float32), positive=pl.lit(value=True))


def test_later_events_are_filled_clipped_and_scaled_by_the_numbers_of_the_run(capsys):
    recprofile.run("shop.yaml")
    told = update(
        capsys,
        ("ada", "i03", None, LATER),
        ("ada", "i09", 500, LATER + 1),
        ("ben", "i05", 2, LATER),
        ("newt", "i01", 4, LATER),
    )
    assert told.err == ""
    names = ["ada", "ben", "newt"]
    base, people, vectors = base_and_people(names)
    assert people.log.filter(pl.col("time") >= LATER)["weight"].to_list() == [None, 500, 2, 4]  # as their file says
    plan, registry = planned("shop.yaml")
    stages = Stages.of(plan, registry, pytest.fail)
    data, _ = small_data(base, people.names, by_hand(people.log))
    whole = rebuild(base, stages.fuser, data, stages.context(stages.fuse), again={}, stored=vectors)
    assert np.allclose(vectors, whole.user_vectors, atol=1e-6)
    raw, _ = small_data(base, people.names, people.log.with_columns(pl.col("weight").fill_null(1)))
    other = rebuild(base, stages.fuser, raw, stages.context(stages.fuse), again={}, stored=vectors)
    assert np.abs(vectors - other.user_vectors).max() > 1e-3  # so that the weights do matter


def test_a_weight_that_was_filled_is_shown_as_none_was_given(capsys):
    recprofile.run("shop.yaml")
    update(capsys, ("ada", "i03", None, LATER), ("ada", "i09", 4, LATER))
    assert status_of(["profile", "diff", "ada", "--store", "p.db"]) == 0
    told = capsys.readouterr().out
    assert f"(i03)  {NOTHING}" in told
    assert "(i09)  4.00" in told
    assert status_of(["profile", "diff", "ada", "--store", "p.db", "--json"]) == 0
    assert [one["weight"] for one in json.loads(capsys.readouterr().out)["events"]] == [None, 4]


def test_the_store_makes_the_profiles_of_the_run_of_its_own_events():
    recprofile.run("shop.yaml")
    base, people, vectors = base_and_people(USERS)
    assert np.array_equal(vectors, Run.open(Path("runs/shop")).profiles().user_vectors)
    plan, registry = planned("shop.yaml")
    stages = Stages.of(plan, registry, pytest.fail)
    data, _ = small_data(base, people.names, by_hand(people.log))
    again = rebuild(base, stages.fuser, data, stages.context(stages.fuse), again={}, stored=vectors)
    assert np.allclose(vectors, again.user_vectors, atol=1e-5)


def test_the_run_folder_says_what_was_learnt():
    write_recipe("  - preprocess: impute\n    with: {columns: {pages: {constant: 100}, weight: mean}}\n")
    recprofile.run("shop.yaml")
    (said,) = json.loads(Path("runs/shop/preprocess.json").read_text())
    assert (said["id"], said["component"]) == ("impute", "impute@1")
    assert said["params"]["columns"]["weight"] == "mean"
    assert said["learnt"]["items.pages"] == {"value": 100, "how": "constant"}
    assert said["learnt"]["interactions.weight"]["value"] > 1
    write_recipe("  - preprocess: impute\n    with: {columns: {weight: {constant: 1}}}\n  - preprocess: dedupe\n")
    recprofile.run("shop.yaml")
    assert [one["id"] for one in json.loads(Path("runs/shop/preprocess.json").read_text())] == ["impute"]


def test_new_items_are_cleaned_filled_and_scaled_and_those_of_the_next_publication_by_its_numbers(capsys):
    write_recipe(STAGES + "  - preprocess: text-clean\n    with: {columns: [title]}\n")
    recprofile.run("shop.yaml")
    Path("more.csv").write_text("id,title,genre,pages\nx1,<i>a  new</i> book,b,150\nx2,another,a,\n")
    assert update(capsys, items="more.csv").err == ""

    def rows():
        mean = learnt()["impute"]["items.pages"]["value"]
        found = learnt()["scale"]["items.pages"]
        scaled = [(pages - found["centre"]) / found["spread"] for pages in (150, mean)]
        base, _, _ = base_and_people(["ada"])
        catalogue = base.catalogue.filter(base.names.str.starts_with("x"))
        assert catalogue["title"].to_list() == ["a new book", "another"]
        assert catalogue["pages"].to_list() == pytest.approx(scaled)
        return scaled

    first = rows()
    Path("items.csv").write_text(ITEMS.replace(",100\n", ",900\n"))
    assert status_of(["publish", "shop.yaml"]) == 0
    assert abs(rows()[0] - first[0]) > 0.1


def test_a_column_that_a_new_items_file_lacks_is_filled_too(capsys):
    recprofile.run("shop.yaml")
    Path("more.jsonl").write_text('{"id": "x1", "genre": "a"}\n')
    assert update(capsys, items="more.jsonl").err == ""
    base, _, _ = base_and_people(["ada"])
    mean, found = learnt()["impute"]["items.pages"]["value"], learnt()["scale"]["items.pages"]
    assert base.catalogue["pages"][-1] == pytest.approx((mean - found["centre"]) / found["spread"])


def test_what_the_weights_of_a_later_file_lack_is_refused_where_no_stage_fills_it(capsys):
    Path("ratings.csv").write_text(RATINGS.replace(",,", ",3,"))
    write_recipe("  - preprocess: scale\n    with: {columns: {weight: quantile}}\n")
    recprofile.run("shop.yaml")
    Path("new.csv").write_text(f"user,item,weight,time\nada,i03,,{LATER}\n")
    assert status_of(["update", "shop.yaml", "--events", "new.csv"]) == 3
    assert "RP503 no weight in column 'weight'" in capsys.readouterr().err


def test_events_of_the_run_that_come_again_are_known_though_they_were_scaled(capsys):
    recprofile.run("shop.yaml")
    Path("again.csv").write_text(RATINGS)
    assert status_of(["update", "shop.yaml", "--events", "again.csv"]) == 0
    _, people, _ = base_and_people(USERS)
    assert people.log.height == RATINGS.count("\n") - 1


def test_what_was_learnt_before_a_stage_that_is_not_done_again_is_not_done_either(capsys):
    Path("ratings.csv").write_text(RATINGS.replace(",,", ",3,"))
    write_recipe(
        "  - preprocess: scale\n    with: {columns: {weight: quantile, pages: standard}}\n"
        "  - preprocess: propensity\n    with: {weights: multiply}\n"
    )
    recprofile.run("shop.yaml")
    Path("more.csv").write_text("id,title,genre,pages\nx1,a new book,b,150\n")
    told = update(capsys, ("ada", "i03", 5, LATER), items="more.csv").err
    assert told == (
        "warning scale: is not done to new items, whose 'pages' counts as missing until the next run\n"
        "warning scale: is not done to later events, which weigh what their file says\n"
        "warning propensity: is not done to later events, which weigh what their file says\n"
    )


def test_time_decay_goes_on_from_the_last_event_of_the_run(capsys):
    Path("ratings.csv").write_text(RATINGS.replace(",,", ",3,"))
    write_recipe("  - preprocess: time-decay\n    with: {half_life_days: 0.05}\n")
    recprofile.run("shop.yaml")
    now = learnt()["time-decay"]["now"]
    update(capsys, ("ada", "i03", 4, now + 4320))  # 0.05 days later: twice the weight
    base, people, vectors = base_and_people(["ada"])
    weights = people.log["weight"].to_numpy() * np.exp2((people.log["time"].to_numpy() - now) / 4320)
    assert weights[-1] == 8
    plan, registry = planned("shop.yaml")
    stages = Stages.of(plan, registry, pytest.fail)
    data, _ = small_data(base, people.names, people.log.with_columns(weight=pl.Series(weights, dtype=pl.Float32)))
    whole = rebuild(base, stages.fuser, data, stages.context(stages.fuse), again={}, stored=vectors)
    assert np.allclose(vectors, whole.user_vectors, atol=1e-6)


def test_a_history_that_somebody_names_is_not_scaled(capsys):
    recprofile.run("shop.yaml")
    assert status_of(["recommend", "--history", "i01,i03", "--store", "p.db", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["recommendations"]) == 5


class Doubled(Preprocessor):
    """Doubles weights, and nobody can say of which events."""

    name = "doubled"
    per_user = True

    def preprocess(self, data, ctx):
        events = data.train
        return data.revise(
            train=type(events)(events.user, events.item, 2 * events.weight, events.time, events.positive)
        )


def planned_stages(*components):
    plan, _ = planned("shop.yaml")
    stage = plan.of("preprocess")[0]
    made = [one(one.params_type.model_validate(with_)) for one, with_ in components]
    return [replace(stage, id=str(n), component=one) for n, one in enumerate(made)]


@pytest.mark.parametrize(
    ("components", "again", "start"),
    [
        ([(Dedupe, {})], ["0"], None),
        ([(Dedupe, {}), (Scale, {"columns": {"weight": "robust"}})], ["0", "1"], "1"),
        ([(Scale, {"columns": {"weight": "robust"}}), (KCore, {}), (Dedupe, {})], ["0", "2"], "0"),
        ([(Scale, {"columns": {"weight": "robust"}}), (Propensity, {}), (Dedupe, {})], ["2"], None),
        ([(TimeDecay, {}), (Propensity, {}), (Scale, {"columns": {"weight": "robust"}})], ["2"], "2"),
        ([(KCore, {})], [], None),
    ],
)
def test_stages_are_done_again_from_the_first_learning_one_that_no_other_stage_follows(components, again, start):
    found = split(planned_stages(*components))
    assert [stage.id for stage in found.again] == again
    assert (found.start.id if found.start else None) == start


def test_a_stage_that_loses_the_context_of_events_is_named():
    with pytest.raises(ArtifactError, match="the preprocess stage 'twice' does not keep the context columns of events"):
        events_again([Again("twice", Doubled(Doubled.params_type()), {})], toy())


def test_rows_that_stay_are_those_that_they_were():
    data = dataset([("u", "a", 1, 10), ("u", "b", 2, 20), ("u", "a", 3, 30)])
    events, rows = events_again([Again("dedupe", Dedupe(Dedupe.params_type()), {})], data)
    assert rows.tolist() == [1, 2]
    assert events.weight.tolist() == [2, 3]
    assert events.context.width == 0


def test_what_is_no_plain_value_is_no_learning(monkeypatch):
    monkeypatch.setattr(Scale, "learn", lambda *_: {"centre": np.float32(1)})
    with pytest.raises(ArtifactError, match="RP602 scale@1 learnt what is no plain value"):
        recprofile.run("shop.yaml")


def test_learning_stages_are_both_halves_in_turn():
    made = Scale(Scale.params_type.model_validate({"columns": {"weight": "standard"}}))
    assert isinstance(made, LearningPreprocessor)
    data = toy()
    once = made.preprocess(data, Context())
    assert np.array_equal(once.train.weight, made.apply(made.learn(data, Context()), data, Context()).train.weight)
