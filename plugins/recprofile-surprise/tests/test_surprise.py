"""What holds for all components over Surprise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from surprise import NMF, SVD, BaselineOnly, CoClustering, KNNBaseline, KNNBasic, SlopeOne, SVDpp

import recprofile_surprise
import recprofile_surprise.memory
from recprofile.plugin import DataError, Dataset, Inputs, Ranker, RunError
from recprofile.testing import RecipeBox, context, dataset, toy
from recprofile_surprise.ratings import ratings_of
from recprofile_surprise.trainset import RatingSet

ITEMS = {"user_based": False}
QUIET = {"verbose": False}
# Component, parameters, and the same of Surprise
SAME: dict[str, tuple[str, dict[str, Any], Any]] = {
    "baseline-als": ("Baseline", {}, lambda: BaselineOnly(**QUIET)),
    "baseline-sgd": ("Baseline", {"method": "sgd"}, lambda: BaselineOnly(bsl_options={"method": "sgd"}, **QUIET)),
    "co-clustering": ("CoClustering", {}, lambda: CoClustering(random_state=3)),
    "knn": (
        "Knn", {}, lambda: KNNBaseline(sim_options={"name": "pearson_baseline", **ITEMS}, **QUIET)
    ),
    "knn-users": (
        "Knn",
        {"algorithm": "basic", "similarity": "msd", "item_based": False},
        lambda: KNNBasic(sim_options={"name": "msd"}, **QUIET),
    ),
    "nmf": ("Nmf", {}, lambda: NMF(random_state=3)),
    "nmf-biased": ("Nmf", {"biased": True}, lambda: NMF(random_state=3, biased=True)),
    "slope-one": ("SlopeOne", {}, SlopeOne),
    "svd": ("Svd", {}, lambda: SVD(random_state=3)),
    "svd-unbiased": ("Svd", {"biased": False}, lambda: SVD(random_state=3, biased=False)),
    "svdpp": ("Svdpp", {}, lambda: SVDpp(random_state=3)),
}  # fmt: skip
EVERY = {**{name: (component, params) for name, (component, params, _) in SAME.items()}, "normal": ("Normal", {})}


def fit(component: str, data: Dataset, *, seed: int = 3, **params: Any) -> Ranker:
    made = getattr(recprofile_surprise, component)
    return made(made.params_type(**params)).fit(data, Inputs(), context(seed=seed))


@pytest.mark.parametrize("name", SAME)
def test_every_pair_is_predicted_as_surprise_does_with_the_same_defaults(name, random_data, same_as_surprise):
    component, params, algo = SAME[name]
    for data in (toy(), random_data(), random_data(8, 50, share=0.15, seed=1)):
        same_as_surprise(fit(component, data, **params), algo(), data)


@pytest.mark.parametrize("name", EVERY)
def test_the_capabilities_are_those_of_the_parameters(name):
    component, params = EVERY[name]
    made = getattr(recprofile_surprise, component)
    made = made(made.params_type(**params))
    assert made.predicts_ratings
    assert not made.ranks_new_items
    assert made.ranks_new_users == (name in {"baseline-als", "co-clustering", "knn", "slope-one"})
    assert made.gives_evidence == (name == "knn")


@pytest.mark.parametrize("name", ["baseline-als", "co-clustering", "knn", "slope-one"])
def test_new_people_get_what_they_would_have_got_as_users(name, random_data):
    component, params = EVERY[name]
    data = random_data()
    ranker = fit(component, data, **params)
    # Other people: users 5 and 2 with their events, and one who did nothing.
    rows = [np.flatnonzero(data.train.user == u) for u in (5, 2)]
    events = [("five", int(data.train.item[r]), float(data.train.weight[r])) for r in rows[0]]
    events += [("two", int(data.train.item[r]), float(data.train.weight[r])) for r in rows[1]]
    people = dataset(events, users={"id": ["five", "none", "two"]}, items={"id": list(range(data.n_items))})
    assert people.items.ids.ids.equals(data.items.ids.ids)
    scores = ranker.scores_of(people)[people.users.ids.codes(["five", "two", "none"])]
    np.testing.assert_allclose(scores[:2], ranker.scores(np.array([5, 2], np.int32)), atol=1e-6)
    nobody = ranker.scores(np.array([data.n_users - 1], np.int32))  # has no events either
    np.testing.assert_allclose(scores[2:], nobody, atol=1e-6)


@pytest.mark.parametrize("name", ["baseline-als", "co-clustering", "knn", "slope-one"])
def test_what_new_people_did_with_items_that_nobody_trained_on_counts_for_nothing(name, random_data):
    component, params = EVERY[name]
    data = random_data()
    ranker, ids = fit(component, data, **params), {"id": list(range(data.n_items))}
    events = [("a", 1, 5), ("a", 2, 1)]
    without = ranker.scores_of(dataset(events, items=ids))
    assert np.array_equal(ranker.scores_of(dataset([*events, ("a", data.n_items - 1, 1)], items=ids)), without)


@pytest.mark.parametrize("name", EVERY)
def test_events_of_one_pair_count_as_their_mean(name):
    component, params = EVERY[name]
    twice = dataset([("a", "x", 1), ("a", "x", 4), ("b", "x", 3), ("b", "y", 5)])
    once = dataset([("a", "x", 2.5), ("b", "x", 3), ("b", "y", 5)])
    users = np.arange(2, dtype=np.int32)
    np.testing.assert_array_equal(
        fit(component, twice, **params).scores(users), fit(component, once, **params).scores(users)
    )


@pytest.mark.parametrize("name", EVERY)
def test_one_event_is_enough(name, every_pair):
    component, params = EVERY[name]
    data = dataset([("a", "x", 4)])
    assert fit(component, data, **params).predict(*every_pair(data)).tolist() == [4.0]


@pytest.mark.parametrize("rating", [0, 3])
@pytest.mark.parametrize("name", EVERY)
def test_equal_ratings_are_predicted_everywhere(name, rating, every_pair):
    component, params = EVERY[name]
    data = dataset([(u, i, rating) for u in range(4) for i in range(4) if u != i])
    predicted = fit(component, data, **params).predict(*every_pair(data))
    np.testing.assert_allclose(predicted, rating, atol=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_no_training_events_are_refused(name):
    component, params = EVERY[name]
    with pytest.raises(DataError, match="RP505 there are no training events"):
        fit(component, dataset([], test=[("a", "x", 4)]), **params)


@pytest.mark.parametrize("name", EVERY)
def test_a_missing_rating_is_refused_with_its_pair(name):
    component, params = EVERY[name]
    with pytest.raises(
        DataError, match=r"RP503 'nan' is no rating \(1 such training events\)\n.*user 'b' and item 'y'"
    ):
        fit(component, dataset([("a", "x", 4), ("b", "y", float("nan"))]), **params)


@pytest.mark.parametrize("name", [name for name in EVERY if name != "normal"])
def test_what_does_not_fit_into_memory_is_refused_with_advice_before_it_is_made(name, monkeypatch):
    monkeypatch.setattr(recprofile_surprise.memory, "available_bytes", lambda: 100)
    component, params = EVERY[name]
    with pytest.raises(RunError, match=r"(?s)RP604 .* GiB of memory, and 0\.0 GiB are free\n.*(try|or fewer)"):
        fit(component, toy(), **params)


def test_a_recipe_may_use_all_of_them_and_explain_by_neighbours(tmp_path):
    names = ["baseline", "co-clustering", "nmf", "normal", "slope-one", "svd", "svdpp", "knn"]
    stages = "".join(f"- recommend: surprise/{name}\n" for name in names) + "- explain: evidence\n"
    box = RecipeBox(tmp_path)
    ran = box.run(box.recipe(stages, more="evaluate: {metrics: [rmse]}\n")).check()
    assert set(ran.artifact("evidence").evidence["kind"]) == {"history"}
    rankers = ran.json("metrics.json")["rankers"]
    assert {one["id"] for one in rankers if "rmse" in one["metrics"]} == set(names)


def test_only_lists_that_need_no_history_are_for_all_users():
    for name, (component, params) in EVERY.items():
        known = fit(component, toy(), **params).known_users().tolist()
        everyone = name.startswith(("baseline", "normal"))
        assert known == [True] * 5 + [everyone], name


def test_the_trainset_is_the_one_that_surprise_makes_of_a_table(random_data):
    import pandas as pd
    from surprise import Dataset as Table
    from surprise import Reader

    data = random_data()
    mine, train = RatingSet(ratings_of(data)), data.train
    order = np.lexsort((train.item, train.user))
    frame = pd.DataFrame({"u": train.user[order], "i": train.item[order], "r": train.weight[order]})
    theirs = Table.load_from_df(frame, Reader(rating_scale=(1, 5))).build_full_trainset()
    raw = lambda s: sorted((s.to_raw_uid(u), s.to_raw_iid(i), r) for u, i, r in s.all_ratings())  # noqa: E731 - as above
    assert raw(mine) == raw(theirs)
    assert mine.rating_scale == theirs.rating_scale
    assert mine.global_mean == theirs.global_mean
