"""`weighted-ease` and `content-ridge`, held against their formulas written out."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recprofile.builtin.recommend import ContentRidge, WeightedEase, content_choice
from recprofile.builtin.recommend.content import content_kernel, content_rows
from recprofile.builtin.recommend.graded import GradedParams, event_weights, recency, sequence, together
from recprofile.plugin import Embeddings, Encoded, Inputs, PositiveRule, RunError, judge
from recprofile.testing import RecommenderTests, checkerboard, context, dataset, toy

FIXED = {"order": "no", "l2": 2.0, "prior": 1.0, "popularity": 0.1}


def content(data, dim=3, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(data.n_items, dim)).astype(np.float32)
    return Inputs(encoded={"about": Encoded(items=Embeddings("item", data.items.ids, vectors))})


class TestWeightedEaseKit(RecommenderTests):
    component = WeightedEase
    examples = [
        FIXED,
        FIXED | {"order": "near", "prior": None},
        FIXED | {"order": "sequence", "low": 0, "grade": 0.5},
        {"blocks": {"about": 2.0}},
    ]

    def inputs(self, data):
        return content(data)


class TestContentRidgeKit(RecommenderTests):
    component = ContentRidge
    examples = [{"factors": 0}, {"dim": 3, "linear": 0}, {"dim": 2, "ridge": 0.1, "blocks": {"about": 0.5}}]

    def inputs(self, data):
        return content(data)


LOG = [
    ("u", "a", 5, 10), ("u", "b", 2, 20), ("u", "c", 4, 30), ("v", "a", 4, 5), ("v", "c", 4, 6), ("w", "b", 5, 7),
]  # fmt: skip


def graded():
    return dataset(LOG, positive=PositiveRule(">=", 4))


def test_events_weigh_by_grade_and_sign():
    found = event_weights(graded(), GradedParams(grade=0.2, low=0.4))
    # u likes a (5: the higher of two, q = 1) and c (4: q = 0) and not b; v's are alike (q = 1), so is w's one
    assert_allclose(found, [1.2, 0.4, 1.0, 1.2, 1.2, 1.2])


def test_a_sequence_runs_from_the_first_event_of_a_user_to_the_last():
    data = dataset([("u", "a", 1, 30), ("v", "a", 1, 5), ("u", "b", 1, 10), ("u", "c", 1, 30)])
    line = sequence(data)
    assert line.rows.tolist() == [2, 0, 3, 1]  # of one time, in the order of the log
    assert line.after.tolist() == [2, 1, 0, 0]
    assert_allclose(recency(data, events=2, floor=0.25), 0.25 + 0.75 * np.exp([-0.5, 0, -1, 0]), rtol=1e-6)


def test_what_came_after_what_is_counted_pair_by_pair():
    rng = np.random.default_rng(3)
    data = dataset([(f"u{rng.integers(4)}", f"i{rng.integers(5)}", 1, int(t)) for t in rng.permutation(40)])
    weight = rng.random(40).astype(np.float32)
    want = np.zeros((data.n_items, data.n_items))
    for user in range(data.n_users):
        rows = [r for r in np.argsort(data.train.time, kind="stable") if data.train.user[r] == user]
        for at, first in enumerate(rows):
            for apart, second in enumerate(rows[at + 1 :], start=1):
                kernel = 0.4 + 0.6 * np.exp(-apart / 3)
                want[data.train.item[first], data.train.item[second]] += weight[first] * weight[second] * kernel
    found = together(data, weight, reach=3, floor=0.4, progress=context().progress(5, "items"))
    assert_allclose(found, want, rtol=1e-4)


def test_pairs_further_apart_than_the_bound_are_left_out(monkeypatch):
    monkeypatch.setattr("recprofile.builtin.recommend.graded.FURTHEST", 1)
    data = dataset([("u", item, 1, at) for at, item in enumerate("abc")])
    found = together(data, np.ones(3, np.float32), reach=1e6, floor=1, progress=context().progress(3, "items"))
    assert found.tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 0]]


def written_out(data, inputs, order, p):
    """The formulas of WeightedEase in float64, with loops."""
    n, train = data.n_items, data.train
    x = event_weights(data, p).astype(float)
    count = np.bincount(train.user, minlength=data.n_users)
    held = x * (count[train.user] / count[count > 0].mean()) ** (-p.activity / 2)
    gram, target = np.zeros((n, n)), np.zeros((n, n))
    history = np.zeros((data.n_users, n))
    for user in range(data.n_users):
        rows = [r for r in np.argsort(train.time, kind="stable") if train.user[r] == user]
        for a, i in enumerate(rows):
            decay = 0.2 + 0.8 * np.exp(-(len(rows) - 1 - a) / 10) if order == "sequence" else 1
            history[user, train.item[i]] += x[i] * decay
            for b, j in enumerate(rows):
                k = 1 if order == "no" or a == b else 0.4 + 0.6 * np.exp(-abs(a - b) / 30)
                m = 1 if order != "sequence" or a == b else 2 / 1.5 if b > a else 2 * 0.5 / 1.5
                gram[train.item[i], train.item[j]] += held[i] * held[j] * k
                target[train.item[i], train.item[j]] += held[i] * held[j] * k * m
    kernel = content_kernel(content_rows(inputs.encoded, data), {}, 0.5)[0].astype(float)
    s = np.linalg.inv(kernel + np.eye(n))
    s = -s / np.diag(s)
    np.fill_diagonal(s, 0)
    g = np.diag(gram)
    inverse = np.linalg.inv(gram + np.diag(p.l2 * ((g + 1) / (g + 1).mean()) ** p.l2_growth) + p.prior * np.eye(n))
    b = inverse @ (target + p.prior * s)
    b = b - inverse * (np.diag(b) / np.diag(inverse))
    return history @ b * (data.item_counts() + 1.0) ** -p.popularity


@pytest.mark.parametrize("order", ["no", "near", "sequence"])
def test_scores_are_those_of_the_formula(order):
    rng = np.random.default_rng(5)
    pairs = [(u, i) for u in range(12) for i in range(8) if rng.random() < 0.5]
    times = rng.permutation(len(pairs))
    log = [(f"u{u:02}", f"i{i}", int(rng.integers(1, 6)), int(t)) for (u, i), t in zip(pairs, times, strict=True)]
    data = dataset(log, positive=PositiveRule(">=", 4))
    inputs = content(data)
    p = WeightedEase.params_type.model_validate(FIXED | {"order": order})
    found = WeightedEase(p).fit(data, inputs, context()).scores(np.arange(data.n_users, dtype=np.int32))
    assert_allclose(found, written_out(data, inputs, order, p), rtol=2e-3, atol=2e-4)


def alternating(n_users=60, n_items=12):
    """Each user goes round the catalogue from a place of their own: what comes next is what came last, plus one."""
    log = [
        (f"u{u:02}", f"i{(u + at) % n_items:02}", 1, at) for u in range(n_users) for at in range(6)
    ]  # the sixth is held for validation, and the seventh for the test
    held = [row for row in range(len(log)) if row % 6 == 5]
    return dataset(log, valid=held, test=[(f"u{u:02}", f"i{(u + 6) % n_items:02}", 1, 6) for u in range(n_users)])


def test_order_is_chosen_where_it_tells_what_comes_next():
    data, told = alternating(), {}
    ctx = dataclasses.replace(context(), note=told.__setitem__)
    ranker = WeightedEase(WeightedEase.params_type()).fit(data, Inputs(), ctx)
    assert told["order"] == "sequence"
    assert told["prior"] == 0
    blind = WeightedEase(WeightedEase.params_type(order="no")).fit(data, Inputs(), context())
    assert judge(ranker, data, metric="mrr@3").mean == 1
    assert judge(blind, data, metric="mrr@3").mean < 0.95  # what came before is as near as what comes next
    less = data.for_tuning()  # there is nothing to choose by, and it goes by what was chosen
    again = WeightedEase(WeightedEase.params_type()).settled(ranker).fit(less, Inputs(), context())
    assert again.chosen == ranker.chosen


def test_settings_that_help_no_more_than_a_standard_error_stay_as_they_are():
    told = {}
    ctx = dataclasses.replace(context(), note=told.__setitem__)
    data = checkerboard(12)
    held = np.arange(len(data.train)) % 5 == 0
    data = data.revise(held=held, valid=data.train.take(held))
    WeightedEase(WeightedEase.params_type()).fit(data, Inputs(), ctx)
    assert told == {"order": "no", "l2": 200, "prior": 0, "popularity": 0.15}


def test_without_validation_events_the_defaults_hold_and_it_says_so():
    said = []
    ctx = dataclasses.replace(context(), warn=said.append)
    data = graded()
    WeightedEase(WeightedEase.params_type()).fit(data, Inputs(), ctx)
    assert said == ["weighted-ease: no validation events to choose settings by, so they are the defaults"]


def two_kinds():
    """Users of two tastes; items a0-a5 and b0-b5 in two kinds, of which a5 and b5 have no event."""
    rng = np.random.default_rng(1)
    log = [
        (f"{kind}{u}", f"{kind}{i}", 1)
        for kind in "ab"
        for u in range(8)
        for i in range(5)
        if rng.random() < 0.7 or i == u % 5
    ]
    ids = [f"{kind}{i}" for kind in "ab" for i in range(6)]
    data = dataset(log, items={"id": ids})
    rows = np.array([[1, 0.1 * int(i[1])] if i[0] == "a" else [-1, 0.1 * int(i[1])] for i in data.items.ids.ids])
    encoded = {"about": Encoded(items=Embeddings("item", data.items.ids, rows.astype(np.float32)))}
    return data, Inputs(encoded=encoded)


@pytest.mark.parametrize(
    "component", [ContentRidge(ContentRidge.params_type(dim=2)), WeightedEase(WeightedEase.params_type(order="no"))]
)
def test_an_item_without_events_goes_to_those_who_like_its_kind(component):
    data, inputs = two_kinds()
    ranker = component.fit(data, inputs, context(refit=lambda _: inputs))
    scores = ranker.scores(np.arange(data.n_users, dtype=np.int32))
    a5, b5 = data.items.ids.codes(["a5", "b5"])
    of_a = np.array([name.startswith("a") for name in data.users.ids.ids])
    assert (scores[of_a, a5] > scores[of_a, b5]).all()
    assert (scores[~of_a, b5] > scores[~of_a, a5]).all()


def test_content_ridge_is_kernel_ridge_onto_smoothed_targets():
    data, inputs = two_kinds()
    p = ContentRidge.params_type(factors=0, linear=2, ridge=0.3, sharpness=0.5, l2=5.0)
    found = ContentRidge(p).fit(data, inputs, context()).scores(np.arange(data.n_users, dtype=np.int32))
    x = data.positives().toarray().astype(float) * 1.2  # every grade is the highest of its user
    b = np.linalg.inv(x.T @ x + 5 * np.eye(data.n_items))
    b = -b / np.diag(b)
    np.fill_diagonal(b, 0)
    y = x + 2 * x @ b
    kernel = content_kernel(content_rows(inputs.encoded, data), {}, 0.5)[0].astype(float)
    n = x.astype(bool).sum(axis=0)
    w = n > 0
    ridge = np.diag(0.3 * ((n[w] + 1) / 30) ** 0.15)
    assert_allclose(found, y[:, w] @ np.linalg.solve(kernel[np.ix_(w, w)] + ridge, kernel[w]), rtol=1e-3, atol=1e-4)


def a_telling_block_and_noise(n_users=40, n_items=60):
    """Items are of four kinds, and each user takes those of one; a second encode stage knows nothing of kinds."""
    rng = np.random.default_rng(5)
    kinds = np.arange(n_items) % 4
    log = [
        (f"u{u:02}", f"i{i:02}")
        for u in range(n_users)
        for i in range(n_items)
        if rng.random() < (0.5 if kinds[i] == u % 4 else 0.04)
    ]
    data = dataset(log, items={"id": [f"i{i:02}" for i in range(n_items)]})
    rows = {"kind": np.eye(4)[kinds] + rng.normal(size=(n_items, 4)) / 2, "noise": rng.normal(size=(n_items, 2))}
    missing = np.zeros(n_items, np.bool_)
    return data, Inputs(
        encoded={
            name: Encoded(items=Embeddings("item", data.items.ids, row.astype(np.float32), missing))
            for name, row in rows.items()
        }
    )


def test_folds_of_items_show_which_block_tells():
    data, inputs = a_telling_block_and_noise(n_users=60, n_items=120)
    told = {}
    ctx = dataclasses.replace(context(refit=lambda _: inputs), note=told.__setitem__)
    ranker = ContentRidge(ContentRidge.params_type(dim=4)).fit(data, inputs, ctx)
    weights = told["blocks"]
    assert weights["kind"] >= 4 * weights["noise"]
    means = told["ndcg@10 on folds of items"]
    assert means["chosen"] > means["before"] + 0.01
    # Done again, it chooses nothing, and packed it is the same.
    again = ContentRidge(ContentRidge.params_type(dim=4)).settled(ranker).fit(data, inputs, context())
    everyone = np.arange(data.n_users, dtype=np.int32)
    assert_allclose(again.scores(everyone), ranker.scores(everyone), rtol=1e-4, atol=1e-5)
    assert again.chosen == ranker.chosen


def test_what_a_fold_says_is_what_a_fit_without_its_items_comes_to():
    data, inputs = a_telling_block_and_noise()
    p = ContentRidge.params_type(dim=4)
    fold = content_choice._folds(data, p, context(refit=lambda _: inputs))[0]
    setting = content_choice.opening(p, ["kind", "noise"])
    fixed = ContentRidge(p.model_copy(update=setting.noted())).fit(fold.data, inputs, context())
    want = judge(fixed, fold.data, candidates=fold.cold).mean
    assert 0.1 < want < 1
    assert fold.judged(setting, p) == pytest.approx(want, abs=1e-3)


def test_too_few_items_leave_the_defaults_and_it_says_so():
    data, inputs = a_telling_block_and_noise(n_users=3, n_items=1)
    said = []
    ctx = dataclasses.replace(context(refit=lambda _: inputs), warn=said.append)
    ranker = ContentRidge(ContentRidge.params_type(dim=2)).fit(data, inputs, ctx)
    assert said == ["content-ridge: too few items with events to choose settings by, so they are the defaults"]
    assert ranker.chosen["ridge"] == content_choice.RIDGE


def test_the_kernel_falls_with_distance_and_leaves_unknown_items_far_away():
    data = dataset([("u", item) for item in "abcd"])
    rows = np.array([[3, 0], [1, 0], [-2, 0], [0, 0]], np.float32)
    missing = np.array([False, False, False, True])
    one = {"about": Encoded(items=Embeddings("item", data.items.ids, rows, missing))}
    kernel, known = content_kernel(content_rows(one, data), {}, 0.5)
    assert known.tolist() == [True, True, True, False]
    # centred on their mean 2/3, a and b point one way and c the other; what is not known is as far as unrelated things
    far = np.array([[0, 0, 4, 2], [0, 0, 4, 2], [4, 4, 0, 2], [2, 2, 2, 0]])
    assert_allclose(kernel, np.exp(-0.5 * far / 2), rtol=1e-5)
    heavier = content_kernel(content_rows(one, data), {"about": 3.0}, 0.5)[0]
    assert_allclose(heavier, kernel, rtol=1e-5)  # one block's weight is in the median too


def test_content_ridge_needs_item_vectors():
    data = toy()
    with pytest.raises(RunError, match="needs what items are about"):
        ContentRidge(ContentRidge.params_type()).fit(data, Inputs(), context())
    users = Embeddings("user", data.users.ids, np.ones((data.n_users, 2), np.float32))
    with pytest.raises(RunError, match="gives no item vectors"):
        ContentRidge(ContentRidge.params_type()).fit(data, Inputs(encoded={"who": Encoded(users=users)}), context())


@pytest.mark.parametrize("component", [WeightedEase, ContentRidge])
@pytest.mark.parametrize(
    "log",
    [
        [],
        [("u", "a", 5, 1)],
        [("u", "a", 1, 1), ("v", "b", 1, 2)],
        [(u, i, 4, 1) for u in "uvw" for i in "abc"],
        [("u", "a", 5, 1)] * 4,
    ],
    ids=["no events", "one of each", "nothing liked", "everyone saw everything", "one event four times"],
)
def test_edges_have_finite_answers(component, log):
    data = dataset(log, positive=PositiveRule(">=", 4), items={"id": ["a", "z"]}, users={"id": ["u", "y"]})
    ranker = component(component.params_type()).fit(data, content(data), context())
    scores = ranker.scores(np.arange(data.n_users, dtype=np.int32))
    assert scores.shape == (data.n_users, data.n_items)
    assert not np.isnan(scores).any()
    assert not np.isposinf(scores).any()
