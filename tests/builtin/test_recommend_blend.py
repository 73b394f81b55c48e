from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from recprofile.blending.search import (
    EVEN,
    PARTS,
    STEPS,
    bagged_selection,
    choose_blend,
    forward_selection,
    judged_elsewhere,
)
from recprofile.blending.units import standardised, weighted_mean
from recprofile.builtin.recommend import Blend, Ease, ItemKnn, Popular
from recprofile.plugin import DataError, Inputs, Pack, Ranker, RunError, judge
from recprofile.testing import RecommenderTests, context, dataset, toy


def fit(component, data, **params):
    return component(component.params_type(**params)).fit(data, Inputs(), context())


def two_rankers(data):
    return Inputs(rankers={"ease": fit(Ease, data, l2=1.0), "knn": fit(ItemKnn, data, shrink=0.0)})


class TestBlend(RecommenderTests):
    component = Blend
    examples = [{}, {"weights": {"ease": 2.0, "knn": 0.5}}, {"metric": "recall@3", "users": 10}]

    def inputs(self, data):
        return two_rankers(data)


@dataclass(frozen=True)
class Given(Ranker):
    """Scores as they are given."""

    table: np.ndarray
    known: np.ndarray | None = None

    def scores(self, users):
        return self.table[users].astype(np.float32)

    def known_users(self):
        return np.ones(len(self.table), np.bool_) if self.known is None else self.known

    def pack(self):
        return Pack()


def blended(data, tables, *, notes=None, warnings=None, known=(None, None), **params):
    """The blend of tables of scores, by 'a', 'b', …; on the tuning part they are the same."""
    rankers = {name: Given(table, k) for name, table, k in zip("abc", tables, [*known, None], strict=False)}
    inputs = Inputs(rankers=rankers)
    told = {} if notes is None else notes
    ctx = context(refit=lambda _: inputs, note=told.__setitem__, warn=([] if warnings is None else warnings).append)
    return Blend(Blend.params_type(**params)).fit(data, inputs, ctx)


NO_EVENTS = dataset([], users={"id": ["u", "v"]}, items={"id": list("abcd")})
U = np.arange(2, dtype=np.int32)


def test_a_blend_is_the_weighted_mean_of_standard_scores():
    a = np.array([[1.0, 2, 3, 4], [0, 0, 0, 8]])
    b = np.array([[40.0, 10, 20, 30], [5, 1, 1, 1]])
    z = [(t - t.mean(axis=1, keepdims=True)) / t.std(axis=1, keepdims=True) for t in (a, b)]
    got = blended(NO_EVENTS, (a, b), weights={"a": 3.0, "b": 1.0}).scores(U)
    assert_allclose(got, (3 * z[0] + z[1]) / 4, atol=1e-6)


def test_the_unit_is_that_of_items_that_are_ranked_and_unseen():
    # u has seen a; b is not ranked: c and d are at 1 and 3, mean 2, deviation 1
    data = dataset([("u", "a")], items={"id": list("abcd")})
    unit = standardised(np.array([[100, -np.inf, 1, 3]], np.float32), data.seen())
    assert unit.z.tolist() == [[98, -np.inf, -1, 1]]
    assert unit.tells.tolist() == [True]


def test_a_user_who_has_seen_everything_has_the_unit_of_everything():
    data = dataset([("u", "a"), ("u", "b")])
    assert standardised(np.array([[1, 3]], np.float32), data.seen()).z.tolist() == [[-1, 1]]


def test_scores_that_are_alike_say_nothing():
    unit = standardised(np.array([[0.1, 0.1, -np.inf], [1e30, 1e30, 1e30]], np.float32), NO_EVENTS.seen()[:2, :3])
    assert unit.z.tolist() == [[0, 0, -np.inf], [0, 0, 0]]
    assert unit.tells.tolist() == [False, False]
    b = np.array([[4.0, 2, 1, 0], [0, 1, 2, 3]])
    alone = standardised(b.astype(np.float32), NO_EVENTS.seen()).z
    assert_allclose(blended(NO_EVENTS, (np.zeros((2, 4)), b), weights={"a": 9.0}).scores(U), alone)


def test_an_item_that_one_ranker_ranks_is_scored_by_that_one():
    inf = np.inf
    a = np.array([[1.0, 3, -inf, -inf], [1, 3, -inf, -inf]])
    b = np.array([[0.0, 0, 2, -inf], [0, 0, 2, -inf]])
    z_a, z_b = [-1, 1], (np.array([0, 0, 2]) - 2 / 3) / np.sqrt(8 / 9)
    got = blended(NO_EVENTS, (a, b), weights={"a": 1.0, "b": 1.0}).scores(U)[0]
    assert got.tolist() == pytest.approx([(z_a[0] + z_b[0]) / 2, (z_a[1] + z_b[1]) / 2, z_b[2], -inf])


def test_a_ranker_is_not_heard_for_users_whom_it_does_not_know():
    a, b = np.array([[1.0, 2, 3, 4]] * 2), np.array([[4.0, 3, 2, 1]] * 2)
    ranker = blended(NO_EVENTS, (a, b), known=(np.array([True, False]), np.array([True, True])), weights={"a": 3.0})
    scores = ranker.scores(U)
    assert scores[0].argmax() == 3
    assert scores[1].argmax() == 0
    assert ranker.known_users().tolist() == [True, True]


def test_a_user_of_whom_nobody_tells_has_all_that_is_ranked_at_0():
    parts = [(np.array([[0, -np.inf, 0]], np.float32), np.array([False]), 1.0)] * 2
    assert weighted_mean(parts).tolist() == [[0, -np.inf, 0]]


def planted(n=120, m=30, seed=0):
    """Two rankers, each right about one half of every user's relevant items; one event of each is for validation."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=(n, m))
    events, valid, test = [], [], []
    for u in range(n):
        best = np.argsort(-taste[u])[:6]
        events += [(f"u{u:03}", f"i{i:02}") for i in best[:3]] + [(f"u{u:03}", f"i{rng.integers(m):02}")]
        test += [(f"u{u:03}", f"i{i:02}") for i in best[3:]]
        valid += [4 * u, 4 * u + 1]
    data = dataset(events, test=test, valid=valid, items={"id": [f"i{i:02}" for i in range(m)]})
    noise = [rng.normal(size=(n, m)) for _ in range(2)]
    return data, taste, noise


def test_a_blend_is_kept_where_two_halves_make_a_whole():
    data, taste, noise = planted()
    notes = {}
    ranker = blended(data, [1000 * (taste + noise[0]), taste + noise[1]], notes=notes)
    weights = ranker.pack().values["weights"]
    # Equally good and in units that are a thousand apart: about half each.
    assert set(weights) == {"a", "b"}
    assert sum(weights.values()) == pytest.approx(1)
    assert 0.25 < weights["a"] < 0.75
    assert notes["decision"] == "blend"
    assert notes["weights"] == {id: round(w, 4) for id, w in weights.items()}
    alone = max(judge(Given(taste + one), data).mean for one in noise)
    assert judge(ranker, data).mean > alone


def test_the_best_alone_is_kept_where_the_other_is_noise():
    data, taste, noise = planted()
    notes = {}
    tables = [noise[0], taste]
    ranker = blended(data, tables, notes=notes)
    assert ranker.pack().values["weights"] == {"b": 1.0}
    assert notes["decision"] == "'b' alone"
    users = np.arange(data.n_users, dtype=np.int32)
    assert_array_equal(ranker.scores(users), taste.astype(np.float32))
    assert "users)" in notes["gain on other users"]


def test_the_same_seed_gives_the_same_choice():
    data, taste, noise = planted()
    rankers = {"a": Given(taste + 2 * noise[0]), "b": Given(taste + 2 * noise[1]), "c": Given(noise[0])}
    tuning = data.for_tuning()
    found = [choose_blend(rankers, tuning, metric="ndcg@10", limit=50, rng=np.random.default_rng(3)) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].users == 50


def test_forward_selection_counts_how_often_each_is_added():
    # The value is best at the mean 2/3 : 1/3, which three steps reach.
    def judged(counts):
        return -np.abs(np.array(counts) / sum(counts) - [2 / 3, 1 / 3]).sum() * np.ones(4)

    found = forward_selection(judged, 2, np.ones(4, np.bool_))
    assert found[0] == 2 * found[1]
    assert sum(found) <= STEPS


def test_forward_selection_looks_at_the_users_it_is_given():
    def judged(counts):
        return np.array([counts[0], counts[1], counts[1]]) / sum(counts)

    assert forward_selection(judged, 2, np.array([True, False, False])) == (1, 0)
    assert forward_selection(judged, 2, np.array([False, True, True])) == (0, 1)


def test_a_choice_is_judged_on_users_that_it_was_not_made_on():
    # Whoever is chosen on gets 1 and the others 0: elsewhere it is 0 throughout.
    rng = np.random.default_rng(0)
    assert judged_elsewhere(lambda users: users.astype(np.float64), np.ones(12), rng).tolist() == [0] * 12
    assert judged_elsewhere(lambda users: users.astype(np.float64), np.array([0.3]), rng).tolist() == [0.3]


def test_without_a_relevant_validation_event_all_rank_alike():
    data = dataset([("u", "a"), ("v", "b"), ("u", "b")], valid=[2])
    blind = data.revise(valid=data.valid.take(np.zeros(1, np.bool_)))
    warnings = []
    seen_again = dataset([("u", "a"), ("v", "b"), ("u", "a")], valid=[2])
    tables = [np.ones((2, 2)), np.ones((2, 2))]
    ranker = blended(seen_again, tables, warnings=warnings)
    assert ranker.pack().values["weights"] == {"a": 0.5, "b": 0.5}
    assert warnings == ["no user has a relevant validation event: every ranker weighs the same"]
    with pytest.raises(DataError, match="RP507 the split left no validation events to choose weights on"):
        blended(blind, tables)
    assert blended(blind, tables, weights={"a": 1.0}).pack().values["weights"] == {"a": 0.5, "b": 0.5}


def test_wrong_weights_and_too_few_rankers_are_refused():
    tables = [np.ones((2, 4))] * 2
    with pytest.raises(RunError, match="RP601 'aa' in 'weights' is not among the rankers blended"):
        blended(NO_EVENTS, tables, weights={"aa": 1.0})
    with pytest.raises(RunError, match="RP601 every weight is 0"):
        blended(NO_EVENTS, tables, weights={"a": 0.0, "b": 0.0})
    with pytest.raises(RunError, match="RP404 'blend' has 1 of at least two rankers"):
        blended(NO_EVENTS, tables[:1], weights={"a": 1.0})


def test_a_ranker_of_weight_0_is_left_out():
    a, b = np.array([[1.0, 2, 3, 4]] * 2), np.array([[4.0, 3, 2, 1]] * 2)
    ranker = blended(NO_EVENTS, (a, b), weights={"a": 0.0})
    assert_array_equal(ranker.scores(U), b)


def test_evidence_and_the_rankers_parts_add_up():
    data = toy()
    ranker = Blend(Blend.params_type(weights={"ease": 1.0, "knn": 3.0})).fit(data, two_rankers(data), context())
    users, items = np.array([0, 0, 1, 5], np.int32), np.array([2, 4, 3, 0], np.int32)
    scores = ranker.scores(users)[np.arange(4), items]
    parts = ranker.block_evidence(users, items)
    assert list(parts) == ["ease", "knn"]
    assert_allclose(parts["ease"] + parts["knn"], scores, atol=1e-6)
    total = np.asarray(ranker.evidence(users, items).sum(axis=1)).ravel()
    assert total[0] - total[1] == pytest.approx(scores[0] - scores[1], abs=1e-5)
    assert not ranker.additive()


def test_done_again_on_other_events_it_keeps_its_weights():
    data = toy()
    chosen = Blend(Blend.params_type()).fit(data, two_rankers(data), context(refit=two_rankers))
    less = data.for_tuning()  # without a validation part, and nothing to choose by
    again = Blend(Blend.params_type()).settled(chosen).fit(less, two_rankers(less), context())
    assert again.pack().values == chosen.pack().values
    with pytest.raises(DataError, match="RP507"):
        Blend(Blend.params_type()).fit(less, two_rankers(less), context())


def test_a_blend_with_a_ranker_without_evidence_gives_none():
    data = toy()
    inputs = Inputs(rankers={"ease": fit(Ease, data), "popular": fit(Popular, data)})
    ranker = Blend(Blend.params_type(weights={"ease": 1.0})).fit(data, inputs, context())
    assert ranker.evidence(np.zeros(1, np.int32), np.zeros(1, np.int32)) is None
    alone = Blend(Blend.params_type(weights={"popular": 0.0})).fit(data, inputs, context())
    assert alone.evidence(np.zeros(1, np.int32), np.zeros(1, np.int32)) is not None
    assert alone.additive()
    assert alone.block_evidence(np.zeros(1, np.int32), np.zeros(1, np.int32)) is None


def test_bagged_selection_is_the_mean_over_samples_of_users_and_equal_weights():
    # Three users of four are best off with the first ranker, the fourth with the second: samples say one or the other.
    def judged(counts):
        return np.repeat([counts[0], counts[0], counts[0], counts[1]], EVEN) / sum(counts)

    draws = np.repeat([[1, 1, 1, 1], [0, 1, 0, 3], [2, 1, 1, 0], [0, 0, 0, 4]], EVEN, axis=1)
    assert bagged_selection(judged, 2, draws) == (PARTS // 2, PARTS // 2)
    # 2/3 by 4 EVEN users, 1/2 by EVEN.
    assert bagged_selection(judged, 2, draws[:3]) == (round(PARTS * 19 / 30), PARTS - round(PARTS * 19 / 30))
    assert bagged_selection(judged, 2, np.zeros((3, 4), int)) == (1, 1)


def test_few_users_do_not_move_weights_far_from_equal():
    def judged(counts):
        return np.full(10, counts[0] / sum(counts))

    found = bagged_selection(judged, 2, np.ones((3, 10), int))
    assert found == (PARTS * 35 // 60, PARTS - PARTS * 35 // 60)


@pytest.mark.parametrize("seed", range(3))
def test_a_blend_of_equals_is_kept_when_few_users_tell(seed):
    data, taste, noise = planted(n=25, seed=seed)
    notes = {}
    ranker = blended(data, [taste + noise[0], taste + noise[1]], notes=notes)
    assert set(ranker.pack().values["weights"]) == {"a", "b"}
    assert notes["decision"] == "blend"
