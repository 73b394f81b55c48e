"""`bpr`, `mlp`, `two-tower` and `sasrec`: the kit, their edges, and the training that they share."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from recprofile.builtin.descent.settings import TrainingParams
from recprofile.builtin.descent.training import chosen_epochs, is_judged, trained
from recprofile.builtin.recommend.gradient import Bpr, Mlp, SasRec, TwoTower
from recprofile.plugin import DataError, Embeddings, Encoded, Inputs, PositiveRule, Ranker, RunError, judge
from recprofile.testing import RecommenderTests, checkerboard, context, dataset, emptied, fused, toy

SMALL = {"epochs": 2, "dim": 8}


def content(data, dim=3, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(data.n_items, dim)).astype(np.float32)
    return Inputs(encoded={"about": Encoded(items=Embeddings("item", data.items.ids, vectors))})


def everyone(data):
    return np.arange(data.n_users, dtype=np.int32)


class TestBprKit(RecommenderTests):
    component = Bpr
    examples = [SMALL, {"max_epochs": 3, "dim": 2, "sampling": "popular", "l2": 0}]


class TestMlpKit(RecommenderTests):
    component = Mlp
    examples = [{"epochs": 2, "hidden": 8}, {"max_epochs": 2, "products": 0, "folds": 2, "dropout": 0}]


class TestTwoTowerKit(RecommenderTests):
    component = TwoTower
    examples = [
        SMALL,
        {"max_epochs": 2, "columns": ["gender", "age"], "item_hidden": 4, "half_life_days": 1},
        SMALL | {"hidden": 0, "positive_only": False, "grade": 0.5},
    ]

    def inputs(self, data):
        return content(data)


class TestSasRecKit(RecommenderTests):
    component = SasRec
    examples = [
        SMALL,
        {"max_epochs": 2, "max_length": 2, "positions": "learnt", "horizon": 1, "layers": 2},
        SMALL | {"negatives": 3, "positive_only": False, "weights": False, "exclude_seen": False},
    ]


class TestSasRecWithContentKit(RecommenderTests):
    component = SasRec
    examples = [SMALL]

    def inputs(self, data):
        return content(data)


EVERY = [
    (Bpr, SMALL),
    (Mlp, {"epochs": 2}),
    (TwoTower, SMALL),
    (SasRec, SMALL),
    (SasRec, SMALL | {"negatives": 2, "max_length": 1}),
]


def fit(component, params, data, ctx=None):
    inputs = {"mlp": lambda d: Inputs(profiles=fused(d))}.get(component.name, lambda d: Inputs())
    ctx = ctx or context(refit=inputs)
    return component(component.params_type(**params)).fit(data, inputs(data), ctx)


EDGES = {
    "one user": dataset([("u", "a", 5, 1), ("u", "b", 4, 2), ("u", "c", 5, 3)]),
    "one item": dataset([("u", "a", 5, 1), ("v", "a", 5, 2), ("v", "a", 5, 3)]),
    "one event": dataset([("u", "a", 5, 1)], items={"id": ["a", "b"]}),
    "no positives": dataset([("u", "a", 1, 1), ("u", "b", 1, 2), ("v", "a", 2, 3)], positive=PositiveRule(">=", 4)),
    "all ratings equal": dataset([(u, i, 3, u + i) for u in range(3) for i in range(3) if u != i]),
    "users who have seen everything": dataset([(u, i, 1, i) for u in range(3) for i in range(3)]),
    "no events": emptied(toy(), "events"),
    "no users": emptied(toy(), "users"),
    "no items": emptied(toy(), "items"),
}


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize(("component", "params"), EVERY)
def test_the_edges_of_data_have_an_answer(component, params, edge):
    data = EDGES[edge]
    scores = fit(component, params, data).scores(everyone(data))
    assert scores.shape == (data.n_users, data.n_items)
    assert not np.isnan(scores).any()


@pytest.mark.parametrize(
    ("component", "params"),
    [
        (Bpr, {"epochs": 60, "dim": 8, "learning_rate": 0.05}),
        (TwoTower, {"epochs": 40, "dim": 8, "learning_rate": 0.03, "item_dropout": 0, "dropout": 0}),
        (SasRec, {"epochs": 40, "dim": 16, "learning_rate": 0.01, "dropout": 0}),
    ],
)
def test_a_checkerboard_is_learnt(component, params):
    data = checkerboard()
    assert judge(fit(component, params, data), data, metric="hit-rate@1").mean > 0.9


@pytest.mark.parametrize(("component", "params"), EVERY)
def test_the_same_seed_gives_the_same_scores_and_another_seed_others(component, params):
    data = toy()

    def scores(seed):
        found = fit(component, params, data, context(seed=seed, refit=lambda d: Inputs(profiles=fused(d))))
        return found.scores(everyone(data))

    assert_array_equal(scores(1), scores(1))
    assert not np.array_equal(scores(1), scores(2))


def test_two_towers_rank_an_item_without_events_by_its_content():
    data = toy()  # i6 has no event
    p = TwoTower.params_type(**SMALL)
    assert np.isfinite(TwoTower(p).fit(data, content(data), context()).scores(everyone(data))).all()
    assert np.isneginf(TwoTower(p).fit(data, Inputs(), context()).scores(everyone(data))[:, 5]).all()


def test_two_towers_know_a_user_without_history_by_columns():
    data = toy()  # u6 has no event, but a gender
    assert not fit(TwoTower, SMALL, data).known_users()[5]
    assert fit(TwoTower, SMALL | {"columns": ["gender"]}, data).known_users()[5]


def test_a_column_that_is_not_there_is_refused_by_two_towers():
    with pytest.raises(DataError, match="RP502"):
        fit(TwoTower, SMALL | {"columns": ["shoe"]}, toy())


def test_sasrec_without_times_says_so():
    with pytest.raises(DataError, match="RP406"):
        fit(SasRec, SMALL, dataset([("u", "a"), ("u", "b")]))


def test_mlp_without_profiles_says_so():
    with pytest.raises(RunError, match="RP404 'mlp' needs profiles"):
        Mlp(Mlp.params_type()).fit(toy(), Inputs(), context())


def test_heads_must_divide_dim():
    with pytest.raises(ValueError, match="must divide"):
        SasRec.params_type(dim=10, heads=3)


class Counted(Ranker):
    """Ranks the items of the toy data better each epoch up to the third, then worse."""

    def __init__(self, data, epoch):
        self.data, self.epoch = data, epoch

    def scores(self, users):
        good = self.data.test.item[0] if self.epoch == 3 else -1
        row = np.where(np.arange(self.data.n_items) == good, 100, np.arange(self.data.n_items))
        return np.tile(row.astype(np.float32), (len(users), 1))

    def known_users(self):
        return np.ones(self.data.n_users, np.bool_)

    def pack(self):
        raise NotImplementedError


class Counting:
    def __init__(self, data, loss=1.0):
        self.data, self.loss, self.epochs = data, loss, 0

    def epoch(self):
        self.epochs += 1
        return self.loss

    def ranker(self):
        return Counted(self.data, self.epochs)


def test_epochs_are_those_that_rank_the_validation_part_best():
    made = []

    def make(data, _):
        made.append(Counting(data))
        return made[-1]

    data = dataset([("u", "a"), ("u", "b"), ("v", "b"), ("v", "c"), ("v", "a")], valid=[1], items={"id": ["c", "d"]})
    noted = {}
    ctx = context(note=noted.__setitem__)
    learner, epochs = trained(make, data, Inputs(), ctx, TrainingParams(patience=2), default=9)
    assert learner is made[1]
    assert learner.epochs == epochs == 3
    assert noted == {"epochs": 3}
    assert made[0].epochs == 6  # the best, and half as many and two more without a better one
    assert len(made[0].data.train) == 4
    assert len(made[1].data.train) == 5


def test_without_a_validation_part_the_default_is_made_and_told():
    told = []
    data = dataset([("u", "a"), ("u", "b")])
    ctx = context(warn=told.append)
    assert chosen_epochs(lambda d, _: Counting(d), data, ctx, TrainingParams(), default=9, start_ranks=False) == 9
    assert "9 are made" in told[0]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_run(loss):
    with pytest.raises(RunError, match=r"RP601 the loss of 'test' is (nan|inf) after epoch 1"):
        trained(lambda d, _: Counting(d, loss), toy(), Inputs(), context(), TrainingParams(epochs=2), default=1)


def test_judgements_thin_out_after_the_tenth_epoch():
    assert [n for n in range(1, 25) if is_judged(n)] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 21, 24]


def test_sasrec_ranks_later_people_by_their_events_alone():
    data = toy()
    ranker = fit(SasRec, SMALL, data)
    later = dataset([("x", "i1", 5, 7), ("x", "i2", 4, 8)], items={"id": ["i1", "i2", "i3", "i4", "i5", "i6"]})
    found = ranker.scores_of(later)
    moved = dataset([("x", "i2", 4, 7), ("x", "i1", 5, 8)], items={"id": ["i1", "i2", "i3", "i4", "i5", "i6"]})
    assert found.shape == (1, 6)
    order = [later.items.ids.codes([f"i{n}"])[0] for n in range(1, 7)]
    assert order == [0, 1, 2, 3, 4, 5]
    assert not np.allclose(found[:, :5], ranker.scores_of(moved)[:, :5])  # the order of events tells
    assert_allclose(found[:, :5], ranker.scores_of(later)[:, :5])
