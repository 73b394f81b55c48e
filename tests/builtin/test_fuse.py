import numpy as np
import pytest

from recprofile.builtin.fuse import Concat, MeanHistory, Weighted
from recprofile.builtin.history import HistoryParams, history_weights, rating_rank
from recprofile.plugin import DataError, Embeddings, Encoded, PositiveRule, RunError
from recprofile.testing import FuserTests, context, dataset, toy

DAY = 86_400


class TestMeanHistory(FuserTests):
    component = MeanHistory
    examples = [
        {},
        {"positive_only": False, "grade": 0.5, "half_life_days": 0.001},
        {"normalise": False, "centre": False},
    ]


class TestConcat(FuserTests):
    component = Concat
    examples = [{}, {"normalise": True}]


class TestWeighted(FuserTests):
    component = Weighted
    examples = [{}, {"weights": {"plot": 0.25, "taste": 2}}, {"weights": {"plot": 0}, "centre": False}]


def fuse(component, data, encoded, **params):
    made = component(component.params_type.model_validate(params))
    return made.fuse(encoded, data, context())


def of_items(data, vectors, missing=()):
    mask = np.isin(np.arange(data.n_items), missing)
    return Encoded(items=Embeddings("item", data.items.ids, np.asarray(vectors, np.float32), mask))


def of_users(data, vectors, missing=()):
    mask = np.isin(np.arange(data.n_users), missing)
    return Encoded(users=Embeddings("user", data.users.ids, np.asarray(vectors, np.float32), mask))


def of_both(data, users, items):
    return Encoded(items=of_items(data, items).items, users=of_users(data, users).users)


def square():
    """u took to a and b, v to b; w to nothing; c is no one's."""
    return dataset([("u", "a"), ("u", "b"), ("v", "b")], items={"id": ["a", "b", "c"]}, users={"id": ["u", "v", "w"]})


RAW = {"normalise": False, "centre": False}


def test_a_user_is_the_mean_of_their_items():
    data = square()
    got = fuse(MeanHistory, data, {"plot": of_items(data, [[2, 0], [0, 4], [9, 9]])}, **RAW)
    assert got.user_vectors.tolist() == [[1, 2], [0, 4], [0, 0]]
    assert got.item_vectors.tolist() == [[2, 0], [0, 4], [9, 9]]
    assert got.known.tolist() == [True, True, False]
    assert got.history.toarray().tolist() == [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 0]]


def test_an_item_without_users_own_vectors_is_the_mean_of_its_audience():
    data = square()
    got = fuse(MeanHistory, data, {"age": of_users(data, [[2], [6], [8]])}, **RAW)
    assert got.item_vectors.tolist() == [[2], [4], [0]]
    assert got.user_vectors.tolist() == [[2], [6], [8]]
    assert got.blocks[0].pool is None
    assert got.history is None


def test_vectors_of_both_sides_stay_as_they_are():
    data = square()
    users, items = [[1.0, 2], [3, 4], [0, 5]], [[6.0, 7], [8, 9], [1, 1]]
    for component in (Concat, MeanHistory):
        params = {} if component is Concat else {"normalise": False, "centre": True}
        got = fuse(component, data, {"taste": of_both(data, users, items)}, **params)
        assert got.user_vectors.tolist() == users
        assert got.item_vectors.tolist() == items
        assert got.history is None


def test_a_missing_vector_is_left_out_of_the_mean():
    data = square()
    got = fuse(MeanHistory, data, {"plot": of_items(data, [[2, 0], [7, 7], [9, 9]], missing=[1])}, **RAW)
    assert got.user_vectors.tolist() == [[2, 0], [0, 0], [0, 0]]
    assert got.known.tolist() == [True, False, False]
    assert got.item_vectors[1].tolist() == [0, 0]
    assert got.blocks[0].pool.tolist() == [2, 0, 0]


def test_centring_takes_out_what_the_training_items_have_in_common():
    data = square()
    got = fuse(MeanHistory, data, {"plot": of_items(data, [[10, 1], [10, 3], [10, 9]])}, normalise=False)
    # the mean of a and b, which have events, is (10, 2)
    assert got.item_vectors.tolist() == [[0, -1], [0, 1], [0, 7]]
    assert got.user_vectors.tolist() == [[0, 0], [0, 1], [0, 0]]
    # u likes both ends alike, so the profile says nothing
    assert got.known.tolist() == [False, True, False]


def test_normalised_parts_have_length_one_and_scores_are_cosines():
    data = toy()
    encoded = {"plot": of_items(data, np.random.default_rng(0).normal(size=(6, 4)))}
    got = fuse(MeanHistory, data, encoded)
    lengths = np.linalg.norm(got.user_vectors, axis=1)
    np.testing.assert_allclose(lengths[got.known], 1, rtol=1e-6)
    assert lengths[~got.known].tolist() == [0]
    np.testing.assert_allclose(np.linalg.norm(got.item_vectors, axis=1), 1, rtol=1e-6)


def every_pair(data):
    users = np.repeat(np.arange(data.n_users, dtype=np.int32), data.n_items)
    return users, np.tile(np.arange(data.n_items, dtype=np.int32), data.n_users)


@pytest.mark.parametrize(
    ("component", "params"),
    [
        (MeanHistory, {"grade": 0.5, "half_life_days": 0.001}),
        (MeanHistory, RAW),
        (Concat, {"positive_only": False}),
        (Weighted, {"weights": {"plot": 3, "taste": 0.5, "tags": 0}}),
    ],
)
def test_parts_by_block_and_by_history_item_add_up_to_the_score(component, params):
    data, rng = toy(), np.random.default_rng(1)
    encoded = {
        "plot": of_items(data, rng.normal(size=(6, 4)), missing=[1]),
        "taste": of_both(data, rng.normal(size=(6, 3)), rng.normal(size=(6, 3))),
        "tags": of_items(data, rng.normal(size=(6, 2)), missing=[0, 4]),
        "age": of_users(data, rng.normal(size=(6, 2)), missing=[3]),
    }
    got = fuse(component, data, encoded, **params)
    users, items = every_pair(data)
    score = (got.user_vectors @ got.item_vectors.T).ravel()
    by_block = got.block_scores(users, items)
    np.testing.assert_allclose(by_block.sum(axis=1), score, atol=1e-5)
    by_item = got.history_scores(users, items).sum(axis=1)
    np.testing.assert_allclose(by_item, by_block[:, [0, 2]].sum(axis=1), atol=1e-5)


def test_each_block_is_named_by_its_stage_and_covers_its_columns():
    data = square()
    encoded = {"plot": of_items(data, np.eye(3)), "taste": of_both(data, np.ones((3, 2)), np.ones((3, 2)))}
    got = fuse(Concat, data, encoded)
    assert [(b.name, b.start, b.stop, b.weight) for b in got.blocks] == [("plot", 0, 3, 1), ("taste", 3, 5, 1)]


def test_a_weighted_score_balanced_by_cosine_is_the_weighted_sum_of_cosines():
    data, rng = square(), np.random.default_rng(2)
    x, y = rng.normal(size=(2, 3, 4))
    other, another = rng.normal(size=(2, 3, 2))
    encoded = {"one": of_both(data, x, y), "two": of_both(data, other, another)}
    got = fuse(Weighted, data, encoded, weights={"one": 0.3}, balance="cosine")

    def cosines(a, b):
        return (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T

    expected = 0.3 * cosines(x, y) + cosines(other, another)
    np.testing.assert_allclose(got.user_vectors @ got.item_vectors.T, expected, atol=1e-6)
    assert [b.weight for b in got.blocks] == [0.3, 1]


def test_blocks_balanced_by_spread_have_scores_whose_deviation_is_their_weight():
    data, rng = square(), np.random.default_rng(2)
    x, y = rng.normal(size=(2, 3, 4))
    encoded = {"model": of_both(data, 100 * x, y), "text": of_items(data, rng.normal(size=(3, 5)))}
    got = fuse(Weighted, data, encoded, weights={"model": 0.3})
    users, items = (a.ravel() for a in np.meshgrid(range(3), range(3), indexing="ij"))
    # the texts of u cancel out, and w has none: the model carries the weight of both blocks
    scores = got.block_scores(users, items) / np.maximum(got.factors(), 1)[users]
    np.testing.assert_allclose(scores.std(axis=0), [0.3, 1], rtol=1e-5)
    np.testing.assert_allclose(got.block_weights, [[1.3, 0], [0.3, 1], [1.3, 0]], rtol=1e-6)
    # a model's vectors keep their lengths: its block orders pairs as the model does
    assert np.argsort(scores[:, 0]).tolist() == np.argsort((x @ y.T).ravel()).tolist()


def test_a_weight_for_a_stage_that_is_not_fused_is_refused():
    data = square()
    with pytest.raises(RunError, match="RP601 'plott' in 'weights' is not among the stages fused") as caught:
        fuse(Weighted, data, {"plot": of_items(data, np.eye(3))}, weights={"plott": 1})
    assert "did you mean 'plot'?" in caught.value.problems[0].help


def weights_of(data, since="user", **params):
    return history_weights(data, HistoryParams.model_validate(params), since=since).toarray().tolist()


def test_an_event_counts_half_a_half_life_before_the_users_last():
    data = dataset([("u", "a", 1, 0), ("u", "b", 1, 2 * DAY), ("v", "a", 1, 100 * DAY), ("v", "b", 1, 0)])
    assert weights_of(data, half_life_days=1) == [[0.25, 1], [1, pytest.approx(2**-100)]]
    # against the item's last event: a at day 100, b at day 2
    assert weights_of(data, since="item", half_life_days=1) == [[pytest.approx(2**-100), 1], [1, 0.25]]


def test_the_age_of_all_events_together_does_not_matter():
    old = dataset([("u", "a", 1, 0), ("u", "b", 1, 5 * DAY)], items={"id": ["a", "b"]})
    later = dataset([("u", "a", 1, 0), ("u", "b", 1, 5 * DAY), ("v", "a", 1, 9999 * DAY)])
    vectors = [[1, 0], [0, 1]]
    a, b = (
        fuse(MeanHistory, d, {"x": of_items(d, vectors)}, half_life_days=1, **RAW).user_vectors[0] for d in (old, later)
    )
    # 1/32 and 1, as shares
    np.testing.assert_allclose(a, [1 / 33, 32 / 33], rtol=1e-6)
    np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_half_life_needs_time():
    data = square()
    with pytest.raises(DataError, match="RP406 'half_life_days' needs events with a time"):
        fuse(MeanHistory, data, {"plot": of_items(data, np.eye(3))}, half_life_days=3.5)
    for component in (Concat, MeanHistory, Weighted):
        assert component(component.params_type(half_life_days=1.0)).needs_time
        assert not component(component.params_type()).needs_time


def test_only_positive_events_are_pooled_unless_told():
    data = dataset([("u", "a", 5), ("u", "b", 1)], positive=PositiveRule(">=", 4))
    assert weights_of(data) == [[1, 0]]
    assert weights_of(data, positive_only=False) == [[1, 1]]


def test_repeated_events_count_each():
    assert weights_of(dataset([("u", "a"), ("u", "a"), ("u", "b")])) == [[2, 1]]


def test_the_rank_of_a_rating_is_among_those_of_the_same_user():
    user = np.array([0, 1, 0, 0, 0, 1, 2], np.int32)
    weight = np.array([3, 2, 5, 3, 1, 2, np.nan], np.float32)
    # user 0 has 1, 3, 3, 5: shares no greater are 1/4, 3/4, 3/4, 1; user 1 has two that are equal
    assert rating_rank(user, weight).tolist() == [0.5, 1, 1, 0.5, -0.5, 1, 0]
    assert rating_rank(user[:0], weight[:0]).tolist() == []


def test_a_grade_weighs_events_by_rating():
    data = dataset([("u", "a", 5), ("u", "b", 4)])
    # q is 1 and 0
    assert weights_of(data, grade=0.5) == [[1.5, 1]]


def test_the_last_training_event_dates_the_profiles():
    data = toy()
    assert fuse(MeanHistory, data, {"x": of_items(data, np.eye(6))}).asof == 320
    assert fuse(MeanHistory, square(), {"x": of_items(square(), np.eye(3))}).asof is None


def test_without_events_no_user_is_known():
    data = toy().keep(users=np.arange(6) == 5)
    got = fuse(MeanHistory, data, {"x": of_items(data, np.eye(6))})
    assert got.known.tolist() == [False]
    assert got.asof is None
    assert np.isfinite(got.item_vectors).all()


def test_a_block_without_columns_does_no_harm():
    data = square()
    got = fuse(
        Weighted, data, {"empty": of_items(data, np.zeros((3, 0))), "x": of_items(data, np.eye(3))}, centre=False
    )
    assert got.dim == 3
    assert got.known.tolist() == [True, True, False]


def test_vectors_of_other_items_are_refused():
    data = square()
    fewer = data.keep(items=np.array([True, True, False]))
    with pytest.raises(DataError, match="RP506 the vectors of 'x' are of 3 other items than the 2 of the data"):
        fuse(Concat, fewer, {"x": of_items(data, np.eye(3))})
