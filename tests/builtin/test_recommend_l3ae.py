import numpy as np
import pytest
from numpy.testing import assert_allclose

from recprofile.builtin.recommend import Ease, L3ae
from recprofile.plugin import DataError, Embeddings, Encoded, Inputs, RunError
from recprofile.testing import RecommenderTests, context, dataset, toy


def encoded(data, vectors, missing=()):
    flags = np.zeros(data.n_items, np.bool_)
    flags[list(missing)] = True
    return Encoded(items=Embeddings("item", data.items.ids, np.asarray(vectors, np.float32), flags))


def two_stages(data):
    """Vectors 'plot' of three columns, of which the second item has none, and 'genres' of two."""
    rng = np.random.default_rng(0)
    plot, genres = rng.normal(size=(data.n_items, 3)), rng.normal(size=(data.n_items, 2))
    plot[1:2] = 0
    missing = [1] if data.n_items > 1 else []
    return {"plot": encoded(data, plot, missing), "genres": encoded(data, genres)}


class TestL3ae(RecommenderTests):
    component = L3ae
    examples = [{}, {"kernel": "linear", "prior_l2": 1.0, "l2": 0.0}, {"weights": {"plot": 0.5}, "prior": 3.0, "l2": 2}]

    def inputs(self, data):
        return Inputs(encoded=two_stages(data))


def fit(data, inputs, **params):
    return L3ae(L3ae.params_type(**params)).fit(data, Inputs(encoded=inputs), context())


def column_by_column(x, stages, *, l2, prior, prior_l2, kernel, weights):
    """The weights by the normal equations of each column without its own item, in float64."""
    n = x.shape[1]
    warm = np.flatnonzero(x.any(axis=0))
    apart, inner = np.zeros((n, n)), np.zeros((n, n))
    blank = np.ones(n, bool)
    for name, one in stages.items():
        there = ~one.items.missing
        v = np.where(there[:, None], one.items.vectors.astype(float), 0)
        v -= np.where(there[:, None], v[warm][there[warm]].mean(axis=0), 0)
        v[there] /= np.linalg.norm(v[there], axis=1, keepdims=True)
        inner += weights.get(name, 1) * v @ v.T
        apart += weights.get(name, 1) * ((v[:, None] - v[None]) ** 2).sum(axis=2)
        blank &= ~there
    likeness = inner if kernel == "linear" else np.exp(-apart / apart[np.ix_(warm, warm)].mean())
    likeness[blank] = likeness[:, blank] = 0
    told, out = np.zeros((n, n)), np.zeros((n, n))
    for j in range(n):
        others = warm[warm != j]
        system = likeness[np.ix_(others, others)] + prior_l2 * np.eye(len(others))
        told[others, j] = np.linalg.solve(system, likeness[others, j])
    for j in range(n):
        others = warm[warm != j]
        target = x[:, j] if j in warm else x @ told[:, j]
        system = x[:, others].T @ x[:, others] + (l2 + prior) * np.eye(len(others))
        out[others, j] = np.linalg.solve(system, x[:, others].T @ target + prior * told[others, j])
    return out


def some_data():
    x = np.random.default_rng(1).random((30, 9)) < 0.4
    x[:, [3, 8]] = False
    items = [f"i{i}" for i in range(9)]
    return dataset([(f"u{u:02}", items[i]) for u, i in zip(*np.nonzero(x), strict=True)], items={"id": items})


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
@pytest.mark.parametrize(("l2", "prior", "prior_l2"), [(5, 2, 1), (0, 10, 0.3), (1, 0.1, 4)])
def test_it_is_the_regularised_fit_of_each_column_and_of_foretold_ones(kernel, l2, prior, prior_l2):
    data = some_data()
    stages = two_stages(data)
    params = {"l2": l2, "prior": prior, "prior_l2": prior_l2, "kernel": kernel, "weights": {"plot": 0.6}}
    slow = column_by_column(data.positives().toarray().astype(float), stages, **params)
    assert_allclose(fit(data, stages, **params).weights, slow, atol=2e-5)
    assert np.abs(slow[:, 3]).max() > 1e-3  # an item without events


def test_without_events_an_item_is_ranked_if_it_has_a_vector():
    data = some_data()
    stages = {"plot": encoded(data, np.random.default_rng(0).normal(size=(9, 3)), missing=[8])}
    scores = fit(data, stages).scores(np.arange(5, dtype=np.int32))
    assert np.isfinite(scores[:, :8]).all()
    assert np.isneginf(scores[:, 8]).all()


def test_an_item_without_events_goes_to_those_who_like_its_kind():
    # i0 … i3 are of one kind, i4 … i7 of another; i3 and i7 are new
    kinds = np.repeat(np.eye(2), 4, axis=0) + 0.01 * np.random.default_rng(0).normal(size=(8, 2))
    events = [(f"a{u}", f"i{i}") for u in range(6) for i in (0, 1, 2)]
    events += [(f"b{u}", f"i{i}") for u in range(6) for i in (4, 5, 6)]
    data = dataset(events, items={"id": [f"i{i}" for i in range(8)]})
    scores = fit(data, {"kind": encoded(data, kinds)}, l2=5, prior=5, prior_l2=0.5).scores(
        np.arange(12, dtype=np.int32)
    )
    assert (scores[:6, 3] > scores[:6, 7]).all()
    assert (scores[6:, 7] > scores[6:, 3]).all()


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_vectors_that_are_all_alike_say_nothing_and_leave_ease(kernel):
    data = toy()
    ranker = fit(data, {"plot": encoded(data, np.ones((6, 4)))}, l2=2, prior=3, kernel=kernel)
    ease = Ease(Ease.params_type(l2=5)).fit(data, Inputs(), context())
    assert_allclose(ranker.weights, ease.weights, atol=1e-6)
    assert np.isneginf(ranker.scores(np.zeros(1, np.int32))[0, 5])


def test_a_stage_of_weight_0_does_not_count():
    data = some_data()
    stages = two_stages(data)
    both = fit(data, stages, weights={"plot": 0})
    assert_allclose(both.weights, fit(data, {"genres": stages["genres"]}).weights, atol=1e-6)


@pytest.mark.parametrize(
    ("stages", "params", "message"),
    [
        (lambda data: {}, {}, "RP404 'l3ae' needs vectors of items"),
        (two_stages, {"weights": {"plt": 1}}, "RP601 'plt' in 'weights' is not among the stages in"),
        (
            lambda data: {"who": Encoded(users=Embeddings("user", data.users.ids, np.ones((6, 2), np.float32)))},
            {},
            "RP404 'who' gives no vectors of items, which 'l3ae' needs",
        ),
    ],
)
def test_what_it_is_not_given_is_told(stages, params, message):
    data = toy()
    with pytest.raises(RunError, match=message):
        fit(data, stages(data), **params)


def test_vectors_of_other_items_are_refused():
    data = toy()
    other = data.keep(items=np.arange(6) < 4)
    with pytest.raises(DataError, match="RP506 the vectors of 'plot' are of 4 other items than the 6 of the data"):
        fit(data, {"plot": encoded(other, np.ones((4, 2)))})


def test_it_refuses_more_items_than_memory_holds(monkeypatch):
    monkeypatch.setattr("recprofile.builtin.recommend.l3ae.free_memory", lambda: 100)
    with pytest.raises(RunError, match="RP604 'l3ae' on 6 items needs"):
        fit(toy(), two_stages(toy()))
