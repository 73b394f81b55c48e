from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

from recprofile.builtin.recommend import Dot, Ease, ItemKnn, Popular, Switch
from recprofile.builtin.recommend.switch_activity import EVERYONE, choose_threshold, thresholds
from recprofile.builtin.recommend.switch_scale import (
    BINS,
    CENTRES,
    Fitted,
    Scale,
    Tables,
    expected_cold,
    fitted,
    item_folds,
    share_to_come,
    tabled,
)
from recprofile.plugin import DataError, Inputs, Pack, Ranker, RunError, judge
from recprofile.testing import RecommenderTests, context, dataset, fused, toy


def fit(component, data, inputs=None, **params):
    return component(component.params_type(**params)).fit(data, inputs or Inputs(), context())


def ease_and_content(data):
    # Item vectors that say something of every item, the one without events included.
    vectors = np.eye(data.n_items, dtype=np.float32) + 0.2
    return {"ease": fit(Ease, data, l2=1.0), "content": fit(Dot, data, Inputs(profiles=fused(data, vectors)))}


class TestSwitchByItem(RecommenderTests):
    component = Switch
    examples = [{}, {"min_events": 3, "share": 0.5, "folds": 2}, {"users": 10}]

    def inputs(self, data):
        return Inputs(rankers={"ease": fit(Ease, data, l2=1.0), "knn": fit(ItemKnn, data)})

    def constants(self, ranker, data):
        return np.tile(ranker.cold.astype(np.int64), (data.n_users, 1))


class TestSwitchByActivity(RecommenderTests):
    component = Switch
    examples = [{"by": "activity"}, {"by": "activity", "min_events": 3}]

    def inputs(self, data):
        return Inputs(rankers={"ease": fit(Ease, data, l2=1.0), "knn": fit(ItemKnn, data)})


@dataclass(frozen=True)
class Given(Ranker):
    """Scores as they are given; -inf for items that it does not rank."""

    table: np.ndarray
    known: np.ndarray | None = None

    def scores(self, users):
        return self.table[users].astype(np.float32)

    def known_users(self):
        return np.ones(len(self.table), np.bool_) if self.known is None else self.known

    def pack(self):
        return Pack()


def switched(data, refit, *, notes=None, warnings=None, **params):
    told = {} if notes is None else notes
    ctx = context(refit=refit, note=told.__setitem__, warn=([] if warnings is None else warnings).append)
    return Switch(Switch.params_type(**params)).fit(data, refit(data), ctx)


# --- by item


def planted(n=300, m=200, seed=0, strength=2.0):
    """Taste that decides relevance; a fifth of the items held out whole, and a fifth of the rest, for test, then again.

    The collaborative ranker knows taste well and only of items with events; the content one less well, of all, in a
    unit of its own.
    """
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=(n, m))
    rate = np.exp(strength * taste - 3.2) * rng.gamma(2, 0.5, (n, 1))
    relevant = rng.random((n, m)) < 1 - np.exp(-rate)
    user, item = np.nonzero(relevant)
    part = np.zeros(len(user), np.int8)
    for code in (2, 1):
        left = np.unique(item[part == 0])
        whole = np.isin(item, rng.choice(left, len(left) // 5, replace=False)) & (part == 0)
        part[whole | ((part == 0) & (rng.random(len(item)) < 0.2))] = code
    events = [(f"u{u:03}", f"i{i:03}") for u, i in zip(user, item, strict=True)]
    train = [event for event, p in zip(events, part, strict=True) if p < 2]
    valid = np.flatnonzero(part[part < 2] == 1).tolist()
    ids = {"items": {"id": [f"i{i:03}" for i in range(m)]}, "users": {"id": [f"u{u:03}" for u in range(n)]}}
    data = dataset(train, test=[e for e, p in zip(events, part, strict=True) if p == 2], valid=valid, **ids)
    well, less = taste + 0.5 * rng.normal(size=(n, m)), taste + 1.2 * rng.normal(size=(n, m))

    def refit(again):
        return Inputs(rankers={"warm": Given(np.where(again.cold_items(), -np.inf, well)), "all": Given(9 * less + 50)})

    return data, refit


@pytest.fixture(scope="module")
def one_list():
    data, refit = planted()
    notes = {}
    return data, refit(data).rankers, switched(data, refit, notes=notes), notes


def test_one_list_of_warm_and_cold_items_beats_either_ranker_alone(one_list):
    data, rankers, ranker, notes = one_list
    mixed = judge(ranker, data)
    assert mixed.beats(judge(rankers["warm"], data))
    assert mixed.beats(judge(rankers["all"], data))
    assert mixed.mean > max(judge(one, data).mean for one in rankers.values()) + 0.05
    assert notes["cold items"] == f"{data.cold_items().sum()} of 200"


def test_the_scale_is_within_a_hundredth_of_the_best_one_in_hindsight(one_list):
    data, rankers, ranker, _ = one_list
    best = max(
        judge(ranker.__class__(data, tuple(rankers.values()), ranker.cold, Scale(slope, offset)), data).mean
        for slope in (0.25, 0.5, 0.75, 1, 1.5)
        for offset in np.arange(-1.5, 2.1, 0.25)
    )
    assert judge(ranker, data).mean > best - 0.01


def test_at_equal_scores_warm_and_cold_items_are_equally_likely_to_be_relevant():
    # Chances far below 1, so that they can be exponential in the score.
    shares = []
    for seed in range(3):
        data, refit = planted(n=600, seed=seed, strength=1.2)
        ranker = switched(data, refit)
        scores = ranker.scores(np.arange(data.n_users, dtype=np.int32))
        unseen, relevant = data.seen().toarray() == 0, data.positives("test").toarray() > 0
        row = []
        for low, high in ((1.5, 2), (2, 2.5), (2.5, 3.5)):
            within = unseen & (scores >= low) & (scores < high)
            row.append([relevant[within & (ranker.cold == side)].mean() for side in (False, True)])
        shares.append(row)
    warm, cold = np.moveaxis(np.mean(shares, axis=0), 1, 0)
    assert (warm > 0.05).all()
    assert_allclose(cold, warm, rtol=0.2)


def test_warm_items_keep_the_first_rankers_order_and_cold_ones_the_seconds(one_list):
    _, rankers, ranker, _ = one_list
    user = np.array([3], np.int32)
    scores, cold = ranker.scores(user)[0], ranker.cold
    for side, name in ((~cold, "warm"), (cold, "all")):
        theirs = rankers[name].scores(user)[0]
        assert_array_equal(np.argsort(scores[side], kind="stable"), np.argsort(theirs[side], kind="stable"))


def test_all_that_a_new_item_has_is_to_come_where_whole_items_are_held_out(one_list):
    assert one_list[3]["share to come"] == pytest.approx(1, abs=0.15)


def test_a_fitted_line_is_the_likeliest_one():
    rng = np.random.default_rng(1)
    pairs = rng.integers(0, 90, (40, 2 * BINS)) * (np.concatenate([CENTRES, CENTRES]) < 4.0)
    rate = np.exp(np.concatenate([-4 + 0.7 * CENTRES, -3 + 0.3 * CENTRES])) * rng.gamma(1, 1, (40, 1))
    tables = Tables(pairs, rng.poisson(pairs * rate).astype(float))

    def loss(line):
        a, b, low, c, d, low_cold = line
        log_rate = np.concatenate([a + b * CENTRES, c + d * CENTRES])
        log_rate[[0, BINS]] = low, low_cold
        own = np.log(tables.pairs @ np.exp(log_rate))
        logit = (tables.relevant * log_rate).sum() - (tables.relevant.sum(axis=1) * own).sum()
        return -logit + 0.5 * (
            1e-6 * a**2 + (b - 0.5) ** 2 + 0.25 * c**2 + (d - 0.5) ** 2 + 0.01 * (low**2 + low_cold**2)
        )

    slow = minimize(loss, [0, 0.5, 0, 0, 0.5, 0], method="BFGS", tol=1e-9)
    found = fitted(tables)
    (a, b), (c, d) = found.warm, found.cold
    assert [b, d, c - a] == pytest.approx([slow.x[1], slow.x[4], slow.x[3] - slow.x[0]], abs=1e-4)
    assert found.low[1] - found.low[0] == pytest.approx(slow.x[5] - slow.x[2], abs=1e-4)
    assert b == pytest.approx(0.7, abs=0.05)
    assert d == pytest.approx(0.3, abs=0.05)
    assert c - a == pytest.approx(1, abs=0.3)


def test_equal_chances_are_at_equal_scores():
    lines = Fitted(warm=(-5.0, 1.0), cold=(-4.0, 0.5), low=(0, 0), positives=(1, 1))
    scale = lines.scale(share=0.2)
    for z in (0.0, 1.0, 3.0):
        warm_chance = np.exp(-5 + (scale.slope * z + scale.offset))
        assert warm_chance == pytest.approx(0.2 * np.exp(-4 + 0.5 * z))


def test_without_relevant_pairs_of_cold_items_the_scale_is_finite_and_told():
    lines = fitted(Tables(np.ones((3, 2 * BINS)), np.zeros((3, 2 * BINS))))
    assert lines.positives == (0, 0)
    assert np.isfinite([*lines.warm, *lines.cold]).all()
    warnings = []
    data = dataset([("u", "a"), ("v", "b"), ("u", "a")], valid=[2])
    switched(
        data, lambda _: Inputs(rankers={"a": Given(np.ones((2, 2))), "b": Given(np.ones((2, 2)))}), warnings=warnings
    )
    assert warnings == ["no relevant event tells how cold items stand to warm ones: their scale is a guess"]


def test_pairs_are_counted_by_user_side_and_score():
    # Items a, b are warm, c, d cold; u has seen a; z of the first over b alone is 0, of the second over c, d: -1, 1.
    data = dataset([("u", "a"), ("v", "b")], test=[("u", "b")], items={"id": list("abcd")})
    inf = np.inf
    rankers = [Given(np.array([[9.0, 1, -inf, -inf], [4, 0, -inf, -inf]])), Given(np.array([[-inf, -inf, 1, 3]] * 2))]
    cold = np.array([False, False, True, True])
    users = np.array([0, 1], np.int32)
    hits = np.array([[0, 0, 0, 1], [0, 0, 0, 0]], np.bool_)
    found = tabled(data, rankers, users=users, cold=cold, of_cold=lambda who: hits[who])
    one = int(np.searchsorted(CENTRES, 1.0))  # the bin that begins at 1
    # Nobody's warm scores tell: each has one unseen item of the first ranker, so all its scores are alike.
    assert found.pairs[:, :BINS].sum() == 0
    assert found.pairs[:, BINS:].sum(axis=1).tolist() == [2, 2]
    assert found.relevant[:, BINS:].sum(axis=1).tolist() == [1, 0]
    assert found.pairs[0, BINS] == 1
    assert found.relevant[0, BINS + one] == 1
    without_d = tabled(data, rankers, users=users, cold=cold, of_cold=lambda who: hits[who], among=np.arange(4) < 3)
    assert without_d.pairs[:, BINS:].sum(axis=1).tolist() == [1, 1]


def test_expected_relevant_pairs_go_by_each_users_own_rate():
    lines = Fitted(warm=(-2.0, 0.0), cold=(-1.0, 0.0), low=(-3.0, -5.0), positives=(1, 1))
    pairs, relevant = np.zeros((2, 2 * BINS)), np.zeros((2, 2 * BINS))
    pairs[:, 3], relevant[:, 3] = 10, (4, 1)
    pairs[:, BINS + 5] = (5, 20)
    # own rate: 4 / (10 e^-2) and 1 / (10 e^-2); expected: own · 5 e^-1 + own · 20 e^-1 = .4 e · 5 + .1 e · 20
    assert expected_cold(Tables(pairs, relevant), lines) == pytest.approx(0.4 * np.e * 5 + 0.1 * np.e * 20)


def test_folds_part_the_warm_items_and_take_their_events_away():
    data = toy()
    dealt = item_folds(data, warm=~data.cold_items(), folds=3, rng=np.random.default_rng(0))
    assert sorted(np.concatenate([np.flatnonzero(cold) for cold, _ in dealt]).tolist()) == [0, 1, 2, 3, 4]
    for cold, without in dealt:
        assert not cold[without.train.item].any()
        assert len(without.train) == (~cold[data.train.item]).sum() == len(without.held)


def test_the_usual_share_is_taken_where_no_cold_item_shows_one():
    # 8 training positives, 2 held: (2 + 1) / (2 + 8 + 1)
    events = [(f"u{n}", i) for n in range(5) for i in "ab"]
    data = dataset(events, valid=[0, 3], items={"id": list("abc")})
    fit_part = data.for_tuning()
    rankers = [Given(np.ones((5, 3)))] * 2
    lines = Fitted((0, 1), (0, 1), (0, 0), (1, 1))
    users = np.arange(5, dtype=np.int32)
    assert share_to_come(data, fit_part, rankers, lines, min_events=1, users=users) == pytest.approx(3 / 11)


def test_a_user_whom_one_ranker_does_not_know_is_ranked_by_the_other_as_far_as_it_goes():
    inf = np.inf
    first = Given(np.array([[1.0, 2, -inf, -inf]] * 2), np.array([True, False]))
    second = Given(np.array([[4.0, 3, 2, 1]] * 2), np.array([False, True]))
    data = dataset([("u", "a"), ("v", "b"), ("v", "a"), ("u", "b")], valid=[2], items={"id": list("abcd")})
    ranker = switched(data, lambda _: Inputs(rankers={"a": first, "b": second}))
    scores = ranker.scores(np.arange(2, dtype=np.int32))
    assert np.isneginf(scores[0, 2:]).all()
    assert np.argsort(-scores[1]).tolist() == [0, 1, 2, 3]
    assert ranker.known_users().tolist() == [True, True]


def test_min_events_says_which_items_are_warm():
    data = toy()
    for least, warm in ((0, 6), (1, 5), (3, 3), (100, 0)):
        ranker = switched(data, lambda d: Inputs(rankers=ease_and_content(d)), min_events=least)
        assert (~ranker.cold).sum() == warm


# --- by activity


def test_users_with_few_events_are_ranked_by_the_second():
    data = toy()
    first, second = np.arange(36.0).reshape(6, 6), -np.arange(36.0).reshape(6, 6)
    notes = {}
    ranker = switched(
        data,
        lambda _: Inputs(rankers={"a": Given(first), "b": Given(second)}),
        by="activity",
        min_events=3,
        notes=notes,
    )
    # Events of u1 … u6: 3, 3, 3, 2, 2, 0
    want = np.concatenate([first[:3], second[3:]]).astype(np.float32)
    assert_array_equal(ranker.scores(np.arange(6, dtype=np.int32)), want)
    assert notes == {}


def test_a_user_whom_theirs_does_not_know_is_ranked_by_the_other():
    data = toy()
    first = Given(np.zeros((6, 6)), np.array([False] + [True] * 5))
    second = Given(np.ones((6, 6)), np.array([True] * 5 + [False]))
    ranker = switched(data, lambda _: Inputs(rankers={"a": first, "b": second}), by="activity", min_events=3)
    assert ranker.scores(np.arange(6, dtype=np.int32))[:, 0].tolist() == [1, 0, 0, 1, 1, 0]


def activity_data(seed=0):
    """The first ranker is right about users with ten events or more, the second about the others."""
    rng = np.random.default_rng(seed)
    events, valid, n, m = [], [], 80, 60
    right, wrong = np.zeros((n, m)), rng.normal(size=(n, m))
    for u in range(n):
        items = rng.permutation(m)[: 4 + u % 16]
        valid.append(len(events))
        events += [(f"u{u:02}", f"i{i:02}") for i in items]
        right[u, items[0]] = 1
    data = dataset(events, valid=valid, items={"id": [f"i{i:02}" for i in range(m)]})
    many = np.bincount(data.for_tuning().train.user, minlength=n) >= 10
    return data, np.where(many[:, None], right, wrong), np.where(many[:, None], wrong, right), right, wrong


def test_the_threshold_is_found_where_the_rankers_change_places():
    data, first, second, _, _ = activity_data()
    notes = {}
    ranker = switched(
        data, lambda _: Inputs(rankers={"a": Given(first), "b": Given(second)}), by="activity", notes=notes
    )
    assert ranker.pack().values == {"below": 10}
    assert notes["decision"] == "'b' for users with fewer than 10 events"
    assert notes["ndcg@10 on validation"]["switch"] == 1


@pytest.mark.parametrize(("order", "below"), [((0, 1), 0), ((1, 0), EVERYONE)])
def test_the_better_ranker_alone_is_kept_where_activity_tells_nothing(order, below):
    data, _, _, right, wrong = activity_data()
    tables = [(right, wrong)[n] for n in order]
    notes = {}
    ranker = switched(
        data, lambda _: Inputs(rankers={"a": Given(tables[0]), "b": Given(tables[1])}), by="activity", notes=notes
    )
    assert ranker.pack().values == {"below": below}
    assert notes["decision"] == f"'{'ab'[order[1] == 0]}' alone"


def test_thresholds_part_the_users_each_in_another_way():
    assert thresholds(np.array([5, 2, 2, 9], np.int32)) == [0, 5, 9, EVERYONE]
    assert thresholds(np.array([3, 3], np.int32)) == [0, EVERYONE]
    many = thresholds(np.arange(1000, dtype=np.int32))
    assert len(many) == 52
    assert many == sorted(set(many))


def test_nobody_to_judge_leaves_the_first():
    data = dataset([("u", "a"), ("v", "b"), ("u", "a")], valid=[2])
    rankers = [Given(np.ones((2, 2)))] * 2
    found = choose_threshold(rankers, data.for_tuning(), np.ones(2, np.int32), metric="ndcg@10", rng=None)
    assert (found.below, found.users) == (0, 0)
    warnings = []
    switched(data, lambda _: Inputs(rankers=dict(zip("ab", rankers, strict=True))), by="activity", warnings=warnings)
    assert warnings == ["no user has a relevant validation event: ranks by 'a', the first, alone"]


def test_evidence_is_that_of_each_users_ranker():
    data = toy()
    rankers = {"ease": fit(Ease, data, l2=1.0), "knn": fit(ItemKnn, data)}
    ranker = switched(data, lambda _: Inputs(rankers=rankers), by="activity", min_events=3)
    users, items = np.array([0, 3, 1], np.int32), np.array([2, 0, 4], np.int32)
    got = ranker.evidence(users, items).toarray()
    assert_allclose(got[[0, 2]], rankers["ease"].evidence(users[[0, 2]], items[[0, 2]]).toarray())
    assert_allclose(got[1:2], rankers["knn"].evidence(users[1:2], items[1:2]).toarray())
    assert ranker.additive()
    with_popular = switched(
        data, lambda _: Inputs(rankers={"a": rankers["ease"], "b": fit(Popular, data)}), by="activity", min_events=3
    )
    assert with_popular.evidence(users, items) is None


def test_evidence_of_one_list_sums_to_the_score_up_to_a_constant_of_the_user_and_the_ranker():
    data = dataset([(u, i) for u in range(12) for i in range(8) if (u + i) % 3], items={"id": list(range(10))})
    data = data.revise(
        valid=data.train.take(np.arange(len(data.train)) % 5 == 0), held=np.arange(len(data.train)) % 5 == 0
    )
    rankers = ease_and_content(data)
    ranker = switched(data, lambda _: Inputs(rankers=rankers))
    assert data.cold_items().tolist() == [False] * 8 + [True] * 2
    users, items = np.repeat(np.arange(12), 10).astype(np.int32), np.tile(np.arange(10), 12).astype(np.int32)
    gap = ranker.scores(np.arange(12, dtype=np.int32)) - ranker.evidence(users, items).sum(axis=1).reshape(12, 10)
    for side in (gap[:, :8], gap[:, 8:]):
        assert_allclose(side, np.repeat(side[:, :1], side.shape[1], axis=1), atol=1e-4)
    assert not ranker.additive()
    with_popular = switched(data, lambda _: Inputs(rankers={"a": rankers["ease"], "b": fit(Popular, data)}))
    assert with_popular.evidence(users, items) is None


def test_done_again_on_other_events_it_keeps_threshold_and_scale(one_list):
    data, _, ranker, _ = one_list
    less = data.for_tuning()
    assert len(less.valid) == 0
    again = Switch(Switch.params_type()).settled(ranker).fit(less, planted()[1](less), context())
    assert again.scale == ranker.scale
    assert_array_equal(again.cold, less.cold_items())
    rankers = Inputs(rankers={"ease": fit(Ease, toy(), l2=1.0), "knn": fit(ItemKnn, toy())})
    by_activity = switched(toy(), lambda _: rankers, by="activity", min_events=4)
    kept = Switch(Switch.params_type(by="activity")).settled(by_activity).fit(toy().for_tuning(), rankers, context())
    assert kept.below == 4


def test_other_than_two_rankers_and_no_validation_events_are_refused():
    data = toy()
    with pytest.raises(RunError, match="RP404 'switch' needs two rankers, and has 1"):
        switched(data, lambda _: Inputs(rankers={"a": Given(np.ones((6, 6)))}))
    blind = data.revise(valid=data.valid.take(np.zeros(len(data.valid), np.bool_)))
    two = Inputs(rankers={"a": Given(np.ones((6, 6))), "b": Given(np.ones((6, 6)))})
    with pytest.raises(DataError, match="RP507 the split left no validation events to fit the scale of cold items on"):
        switched(blind, lambda _: two)
    with pytest.raises(DataError, match="RP507 the split left no validation events to choose 'min_events' on"):
        switched(blind, lambda _: two, by="activity")
