"""The stack as a component, where it pays, where it does not, and that it learns from nothing that it must not see."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from recprofile.builtin.recommend import Ease, ItemKnn
from recprofile.plugin import DataError, Inputs, Pack, Ranker, RunError, judge
from recprofile.testing import RecipeBox, RecommenderTests, context, dataset, toy
from recprofile_lightgbm import Stack, StackParams, training

FAST = {"rounds": 60, "learning_rate": 0.1, "min_leaf": 20, "leaves": 7}


def rankers_of(data):
    made = {"ease": Ease(Ease.params_type(l2=1.0)), "knn": ItemKnn(ItemKnn.params_type(shrink=0.0))}
    return Inputs(rankers={id: one.fit(data, Inputs(), context()) for id, one in made.items()})


class TestStack(RecommenderTests):
    component = Stack
    examples = [{}, {"candidates": 2, "metric": "recall@3", "rounds": 3}]

    def inputs(self, data):
        return rankers_of(data)

    def test_evidence_adds_up_to_the_score(self) -> None:
        """A stack gives none; the toy data are too few for one, and the blend that stands in gives its own."""


@dataclass(frozen=True)
class Given(Ranker):
    """Scores as they are given."""

    table: np.ndarray

    def scores(self, users):
        return self.table[users].astype(np.float32)

    def known_users(self):
        return np.ones(len(self.table), np.bool_)

    def pack(self):
        return Pack()


def planted(n=240, m=40, seed=0):
    """Ranker a knows what people with 12 items want, b what those with 4 want: no weights serve both."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=(n, m))
    events, valid, test = [], [], []
    for u in range(n):
        size = 12 if u % 2 else 4
        best = np.argsort(-taste[u])
        test += [(u, int(i)) for i in best[:3]]
        valid += range(len(events), len(events) + 3)
        events += [(u, int(i)) for i in best[3:6]] + [(u, int(i)) for i in rng.permutation(best[6:])[: size - 3]]
    users, items = {"id": list(range(n))}, {"id": list(range(m))}
    data = dataset(events, test=test, valid=valid, users=users, items=items)
    order = np.array(data.users.ids.ids, dtype=int), np.array(data.items.ids.ids, dtype=int)
    taste = taste[np.ix_(*order)]
    active = (order[0] % 2 == 1)[:, None]
    noise = rng.normal(size=(2, n, m))
    return data, {"a": Given(np.where(active, taste, noise[0])), "b": Given(np.where(active, noise[1], taste))}


@pytest.fixture(scope="module")
def two():
    return planted()


def stacked(data, rankers, *, again=None, notes=None, warnings=None, seed=0, refit=None, **params):
    """The stack over rankers, which on the tuning part are `again`, or the same."""
    inputs, tuning = Inputs(rankers=rankers), Inputs(rankers=again or rankers)
    ctx = context(
        refit=refit or (lambda _: tuning),
        note=({} if notes is None else notes).__setitem__,
        warn=([] if warnings is None else warnings).append,
        seed=seed,
    )
    return Stack(StackParams(**{**FAST, **params})).fit(data, inputs, ctx)


# --- where it pays, and where it does not --------------------------------------------------------------------------


def test_a_stack_hears_each_ranker_where_it_is_right(two):
    data, rankers = two
    notes = {}
    ranker = stacked(data, rankers, notes=notes)
    assert notes["decision"] == "stack"
    assert set(ranker.pack().arrays) == {"model"}
    means = notes["ndcg@10 on validation"]
    assert means["stack"] > means["the plain blend"]
    assert notes["trees"] >= 1
    assert sum(notes["gain by feature"].values()) == pytest.approx(1, abs=0.01)
    alone = max(judge(one, data).mean for one in rankers.values())
    assert judge(ranker, data).mean > alone + 0.05


def test_where_it_does_not_pay_the_plain_blend_stays(two):
    data, rankers = two
    right = Given(taste_of(data) * 1.0)
    notes = {}
    ranker = stacked(data, {"a": right, "noise": rankers["b"]}, notes=notes)
    assert notes["decision"] == "'a' alone"
    assert notes["weights of the plain blend"] == {"a": 1.0}
    assert ranker.pack().values == {"weights": {"a": 1.0}}
    gain, _, error = notes["gain on other users"].split()[:3]
    assert float(gain) <= float(error)
    users = np.arange(data.n_users, dtype=np.int32)
    assert_array_equal(ranker.scores(users), right.scores(users))


def taste_of(data):
    """A ranker's scores that put what is relevant in any part first."""
    return (data.positives() + data.positives("test")).toarray() > 0


def test_too_few_users_leave_the_plain_blend():
    data, rankers = planted(n=training.LEAST_USERS - 1)
    warnings, notes = [], {}
    ranker = stacked(data, rankers, warnings=warnings, notes=notes)
    (warning,) = warnings
    assert warning.startswith("49 users with a relevant candidate are too few to learn a stack from: ranks by ")
    assert "weights" in ranker.pack().values
    assert "trees" not in notes


def test_users_are_drawn_where_there_are_more_than_wanted(two):
    data, rankers = two
    notes = {}
    stacked(data, rankers, users=100, notes=notes)
    assert notes["gain on other users"].endswith("(100 users)")


def test_a_packed_stack_ranks_as_before(two):
    data, rankers = two
    ranker = stacked(data, rankers)
    again = Stack(StackParams(**FAST)).restore(ranker.pack(), data, Inputs(rankers=rankers), context())
    users = np.arange(data.n_users, dtype=np.int32)
    assert_array_equal(again.scores(users), ranker.scores(users))
    assert ranker.known_users().all()
    # Done again where there is nothing to learn from, it keeps its trees.
    settled = Stack(StackParams(**FAST)).settled(ranker).fit(data.for_tuning(), Inputs(rankers=rankers), context())
    assert_array_equal(settled.pack().arrays["model"], ranker.pack().arrays["model"])
    plain = Pack(values={"weights": {"a": 0.5, "b": 0.5}})
    assert Stack(StackParams()).restore(plain, data, Inputs(rankers=rankers), context()).pack() == plain


def test_people_who_are_not_in_the_data_are_ranked_as_in_training(two):
    data, rankers = two
    model = stacked(data, rankers).pack()
    inputs = rankers_of(data)
    ranker = Stack(StackParams(**FAST)).restore(model, data, inputs, context())
    users = np.arange(data.n_users, dtype=np.int32)
    assert_allclose(ranker.scores_of(data), ranker.scores(users), atol=1e-5)
    alone = data.keep(users=users == 7)
    assert_allclose(ranker.scores_of(alone), ranker.scores(users[7:8]), atol=1e-5)
    with pytest.raises(NotImplementedError):
        stacked(data, rankers).scores_of(data)


# --- what it must not see ------------------------------------------------------------------------------------------


def pairs(part):
    return set(zip(part.user.tolist(), part.item.tolist(), strict=True))


def test_the_rankers_learnt_from_have_seen_neither_validation_nor_test_events(two):
    data, rankers = two
    given = []

    def refit(of):
        given.append(of)
        return Inputs(rankers=rankers)

    stacked(data, rankers, refit=refit)
    (tuning,) = given
    assert not pairs(tuning.train) & (pairs(data.valid) | pairs(data.test))
    assert pairs(tuning.test) == pairs(data.valid)


def test_test_events_change_nothing(two):
    data, rankers = two
    nothing = data.revise(test=data.test.take(np.zeros(len(data.test), np.bool_)))
    other = data.revise(test=replace(data.test, item=(data.test.item + 1) % np.int32(data.n_items)))
    models = [stacked(one, rankers).pack().arrays["model"] for one in (data, nothing, other)]
    assert_array_equal(models[0], models[1])
    assert_array_equal(models[0], models[2])


def test_a_ranker_that_has_seen_all_events_teaches_nothing(two):
    # What the stage is given has learnt from validation events; this one knows the test events, too.
    data, rankers = two
    cheating = {id: Given(taste_of(data) * 9.0) for id in rankers}
    model = stacked(data, cheating, again=rankers).pack().arrays["model"]
    assert_array_equal(model, stacked(data, rankers).pack().arrays["model"])


def test_each_user_is_judged_by_a_model_that_has_not_seen_them(two, monkeypatch):
    data, rankers = two
    learnt, grow, judged = [], training.grown, []
    monkeypatch.setattr(
        training, "grown", lambda t, on, s, **kw: learnt.append((on, kw.get("stop"))) or grow(t, on, s, **kw)
    )
    monkeypatch.setattr(
        training, "predicted", lambda _, values: judged.append(len(values)) or np.zeros(len(values), np.float32)
    )
    stacked(data, rankers)
    folds = [~(on | stop) for on, stop in learnt[: training.FOLDS]]
    assert_array_equal(np.sum(folds, axis=0), 1)  # each pair is left out once
    assert judged == [int(fold.sum()) for fold in folds]
    assert not any((on & stop).any() for on, stop in learnt[: training.FOLDS])


def test_labels_that_mean_nothing_are_not_learnt(two):
    # Relevance drawn by chance: a stack that judged itself on what it learnt would seem to win.
    data, rankers = two
    rng = np.random.default_rng(1)
    valid = replace(data.valid, item=rng.integers(0, data.n_items, len(data.valid)).astype(np.int32))
    item = data.train.item.copy()
    item[data.held] = valid.item
    train = replace(data.train, item=item)
    notes = {}
    stacked(data.revise(train=train, valid=valid), rankers, notes=notes, rounds=300)
    gain = float(notes["gain on other users"].split()[0])
    assert gain < 0.03


# --- the same again ------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_model_with_any_number_of_threads(two, monkeypatch):
    data, rankers = two
    one = stacked(data, rankers, seed=5).pack().arrays["model"]
    assert_array_equal(stacked(data, rankers, seed=5).pack().arrays["model"], one)
    assert len(stacked(data, rankers, seed=6).pack().arrays["model"]) != len(one)
    monkeypatch.setattr(training, "threads_for", lambda _: 3)
    three = stacked(data, rankers, seed=5).pack().arrays["model"]
    assert trees(three) == trees(one)


def trees(model):
    """The text of a model up to where it repeats its parameters, of which the number of threads is one."""
    return model.tobytes().decode().partition("parameters:")[0]


@pytest.mark.parametrize(
    ("given", "pairs_", "threads"), [("1", 10**7, 1), ("8,2", 10**6, 3), ("8", 10, 1), ("64", 10**9, 64)]
)
def test_threads_are_as_many_as_there_is_work_for_and_as_are_allowed(given, pairs_, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert training.threads_for(pairs_) == threads


@pytest.mark.parametrize("given", ["", "0", "many"])
def test_without_a_number_the_cores_are_what_is_allowed(given, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr(training, "threads", lambda: 2)
    assert training.threads_for(10**9) == 2


# --- what is refused, and a recipe ---------------------------------------------------------------------------------


def test_fewer_than_two_rankers_and_no_validation_events_are_refused(two):
    data, rankers = two
    with pytest.raises(RunError, match="RP404 'lightgbm/stack' has 1 of at least two rankers"):
        stacked(data, {"a": rankers["a"]})
    blind = dataset([("u", "a"), ("v", "b")])
    with pytest.raises(DataError, match="RP507 the split left no validation events to learn from"):
        stacked(blind, rankers)


def test_a_ranker_that_scores_all_alike_is_no_trouble():
    data = toy()
    flat = {id: Given(np.zeros((data.n_users, data.n_items))) for id in ("a", "b")}
    assert np.isfinite(stacked(data, flat).scores(np.arange(data.n_users, dtype=np.int32))).all()


def test_a_recipe_may_name_it(tmp_path):
    box = RecipeBox(tmp_path)
    stages = "- recommend: popular\n- recommend: item-knn\n- recommend: lightgbm/stack\n  from: [popular, item-knn]\n"
    ran = box.run(box.recipe(stages)).check()
    assert ran.recommendations.height > 0
    assert "too few to learn a stack from" in ran.err
