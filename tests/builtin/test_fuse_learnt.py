"""Fusers that learn weights: `attention` and `gated`."""

import numpy as np
import pytest

from recprofile.builtin.fuse import Attention, Gated, Weighted
from recprofile.builtin.fuse.attended import attend, places
from recprofile.builtin.fuse.gate import gate_weights
from recprofile.builtin.fuse.layout import masked
from recprofile.builtin.fuse.sides import Part
from recprofile.builtin.history import HistoryParams, history_weights
from recprofile.plugin import Embeddings, Encoded, FoldIn, Inputs, RunError
from recprofile.testing import FuserTests, context, dataset, toy

QUICK = {"epochs": 3, "sample": 50}


class Learns(FuserTests):
    def refit(self, example, data):
        return Inputs(encoded=self.encoded(data))


class TestAttention(Learns):
    component = Attention
    examples = [{}, {**QUICK, "keys": 0}, {**QUICK, "weights": {"plot": 0.5}, "half_life_days": 30, "grade": 0.5}]


class TestGated(Learns):
    component = Gated
    examples = [{}, {**QUICK, "components": 0}, {**QUICK, "balance": "cosine", "weights": {"taste": 0}}]


def of_items(data, vectors, missing=()):
    mask = np.isin(np.arange(data.n_items), missing)
    return Encoded(items=Embeddings("item", data.items.ids, np.asarray(vectors, np.float32), mask))


def of_both(data, users, items, model=None):
    rows = Embeddings("user", data.users.ids, np.asarray(users, np.float32))
    return Encoded(items=of_items(data, items).items, users=rows, fold_in=model)


GENRES, EACH = 6, 20


def taste_drifts(n=80, *, last=4):
    """Users like films of one genre for long, then of another; what they watch next is of the other.

    Film g·EACH + k is the k-th of genre g; (events, held): 8 old events, `last` of the new genre, 3 held out of it.
    """
    rng = np.random.default_rng(5)
    events, held = [], []
    for user in range(n):
        old, new = rng.permutation(GENRES)[:2]
        films = [old * EACH + k for k in rng.permutation(EACH)[:8]]
        films += [new * EACH + k for k in rng.permutation(EACH)[: last + 3]]
        events += [(f"u{user:02}", f"f{film:03}", 1, at) for at, film in enumerate(films)]
        held += [at >= len(films) - 3 for at in range(len(films))]
    catalogue = {"id": [f"f{film:03}" for film in range(GENRES * EACH)]}
    data = dataset(events, items=catalogue, users={"id": [f"u{user:02}" for user in range(n)]})
    return data.revise(train=data.train, held=np.array(held), valid=data.train.take(np.array(held)))


def chosen_by(*blocks, n=160, films=120):
    """Users choose films by one plot or look, in turn by each of the blocks; the last four of twelve are held out."""
    rng = np.random.default_rng(8)
    kinds = {"plot": rng.integers(0, 6, films), "look": rng.integers(0, 6, films)}
    events, held = [], []
    for user in range(n):
        by = kinds[blocks[user % len(blocks)]]
        mine = rng.permutation(np.flatnonzero(by == rng.integers(0, 6)))[:12]
        events += [(f"u{user:03}", f"f{film:03}", 1, at) for at, film in enumerate(mine)]
        held += [at >= len(mine) - 4 for at in range(len(mine))]
    users, items = {"id": [f"u{u:03}" for u in range(n)]}, {"id": [f"f{f:03}" for f in range(films)]}
    data = dataset(events, items=items, users=users)
    data = data.revise(train=data.train, held=np.array(held), valid=data.train.take(np.array(held)))
    return data, lambda d: {name: of_items(d, np.eye(6)[kind]) for name, kind in kinds.items()}


def genre_vectors(data, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    genre = np.repeat(np.eye(GENRES), EACH, axis=0)
    return genre + noise * rng.normal(size=genre.shape) / np.sqrt(GENRES)


def fuse(component, data, make, **params):
    notes, warnings = {}, []
    ctx = context(refit=lambda fit: Inputs(encoded=make(fit)), note=notes.__setitem__, warn=warnings.append)
    made = component(component.params_type.model_validate(params))
    return made.fuse(make(data), data, ctx), notes, warnings


def test_attention_learns_that_what_was_watched_last_counts_most():
    data = taste_drifts()
    got, notes, warnings = fuse(Attention, data, lambda d: {"plot": of_items(d, genre_vectors(d))})
    assert warnings == []
    assert notes["learnt"] == "weights of blocks and history"
    assert notes["history"]["0 back"] > notes["history"]["8 back"] + 0.5
    told = notes["ndcg@10 on validation"]
    assert told["weights of blocks and history"] > told["as given"] + 0.05
    # the last of the history outweighs the first, and rows still sum to 1
    history = got.history.toarray()
    np.testing.assert_allclose(history.sum(axis=1), 1, rtol=1e-5)
    first, last = data.train.item[0], data.train.item[14]
    assert history[0, last] > 3 * history[0, first]


def test_attention_that_gains_nothing_is_the_weighted_fuser_and_says_so():
    data = taste_drifts(30)
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(data.n_items, 5))
    make = lambda d: {"plot": of_items(d, noise)}  # noqa: E731
    got, notes, _ = fuse(Attention, data, make)
    plain, *_ = fuse(Weighted, data, make)
    if notes["learnt"] == "as given":
        np.testing.assert_allclose(got.user_vectors, plain.user_vectors, atol=1e-6)
        assert "theta" not in got.learnt
    else:
        told = notes["ndcg@10 on validation"]
        assert told[notes["learnt"]] > told["as given"]


@pytest.mark.parametrize("component", [Attention, Gated])
def test_without_validation_events_nothing_is_learnt_with_a_warning(component):
    data = toy()
    data = data.revise(valid=data.train.take(np.zeros(len(data.train), np.bool_)), held=np.zeros(len(data.train), bool))
    vectors = np.random.default_rng(0).normal(size=(data.n_items, 4))
    make = lambda d: {"plot": of_items(d, vectors)}  # noqa: E731
    got, notes, warnings = fuse(component, data, make)
    plain, *_ = fuse(Weighted, data, make)
    assert len(warnings) == 1
    assert "no validation events to learn from" in warnings[0]
    assert "learnt" not in notes
    np.testing.assert_allclose(got.user_vectors, plain.user_vectors, atol=1e-6)


@pytest.mark.parametrize("component", [Attention, Gated])
def test_weights_of_blocks_are_learnt_where_those_given_are_wrong(component):
    data, make = chosen_by("plot")
    got, notes, _ = fuse(component, data, make, weights={"plot": 0.2, "look": 1.8})
    assert notes["learnt"] != "as given"
    assert notes["weights"]["plot"] > notes["weights"]["look"]
    # what there is to share is what was given
    assert sum(notes["weights"].values()) == pytest.approx(2, abs=1e-3)
    assert [block.weight for block in got.blocks] == pytest.approx(list(notes["weights"].values()), abs=1e-3)


def test_a_gate_gives_each_user_the_block_that_speaks_for_them():
    data, make = chosen_by("plot", "look")
    got, notes, _ = fuse(Gated, data, make, epochs=60)
    assert notes["learnt"] == "weights of blocks by user"
    by_look = np.arange(data.n_users) % 2 == 1
    assert (got.block_weights[by_look, 1] > got.block_weights[by_look, 0]).mean() > 0.9
    assert (got.block_weights[~by_look, 0] > got.block_weights[~by_look, 1]).mean() > 0.9
    np.testing.assert_allclose(got.block_weights.sum(axis=1), 2, rtol=1e-5)
    # overall, a block weighs what it weighs for users on average
    np.testing.assert_allclose([b.weight for b in got.blocks], got.block_weights.mean(axis=0), rtol=1e-4)
    # parts by block are those of the user's own weights
    u, i = np.array([0, 1], np.int32), np.array([3, 4], np.int32)
    np.testing.assert_allclose(
        got.block_scores(u, i).sum(axis=1), np.sum(got.user_vectors[u] * got.item_vectors[i], axis=1), rtol=1e-5
    )
    by_item = np.asarray(got.history_scores(u, i).sum(axis=1)).ravel()
    np.testing.assert_allclose(by_item, got.block_scores(u, i).sum(axis=1), atol=1e-5)


@pytest.mark.parametrize("component", [Attention, Gated])
def test_made_again_of_the_same_people_profiles_are_the_same(component):
    data, make = chosen_by("plot")
    got, notes, _ = fuse(component, data, make, weights={"plot": 0.2, "look": 1.8})
    assert notes["learnt"] != "as given"
    again = component(component.params_type()).again(got.learnt, make(data), data, context())
    np.testing.assert_allclose(again.user_vectors, got.user_vectors, atol=1e-6)
    np.testing.assert_allclose(again.item_vectors, got.item_vectors, atol=1e-6)


@pytest.mark.parametrize("component", [Attention, Gated])
def test_the_same_seed_gives_the_same_profiles(component):
    data = taste_drifts(30)
    make = lambda d: {"plot": of_items(d, genre_vectors(d)), "genre": of_items(d, genre_vectors(d, 0.1, 1))}  # noqa: E731
    one, other = (fuse(component, data, make, **QUICK)[0] for _ in range(2))
    np.testing.assert_array_equal(one.user_vectors, other.user_vectors)


@pytest.mark.parametrize("component", [Attention, Gated])
def test_a_weight_for_a_stage_that_is_not_fused_is_refused(component):
    data = toy()
    with pytest.raises(RunError, match="RP601 'plott' in 'weights' is not among the stages fused"):
        fuse(component, data, lambda d: {"plot": of_items(d, np.eye(d.n_items))}, weights={"plott": 1})


def test_attention_is_a_softmax_of_prior_and_features_user_by_user():
    data, rng = toy(), np.random.default_rng(1)
    history = history_weights(data, HistoryParams(), since="user")
    phi, theta = rng.normal(size=(history.nnz, 3)), rng.normal(size=3)
    got = attend(history, phi, theta).toarray()
    slow, at = np.zeros(history.shape), 0
    for user in range(history.shape[0]):
        for entry in range(history.indptr[user], history.indptr[user + 1]):
            slow[user, history.indices[entry]] = history.data[entry] * np.exp(phi[at] @ theta)
            at += 1
    slow = np.divide(slow, slow.sum(axis=1, keepdims=True), out=slow, where=slow.sum(axis=1, keepdims=True) > 0)
    np.testing.assert_allclose(got, slow, rtol=1e-5)


def test_the_learner_scores_as_profiles_do():
    """What is learnt on is what is served: pooled blocks, and a model solved with sharpened confidence."""
    import torch

    from recprofile.builtin.fuse.attended import feature_state, features
    from recprofile.builtin.fuse.attention import Attention as Fuser
    from recprofile.builtin.fuse.attention import _blocks
    from recprofile.builtin.fuse.attention_learner import AttentionLearner

    data, rng = taste_drifts(20), np.random.default_rng(6)
    items = rng.normal(size=(data.n_items, 5)).astype(np.float32)
    model = FoldIn(data.matrix("train"), alpha=2.0, l2=0.5, nu=1.0).of(data)
    encoded = {
        "plot": of_items(data, genre_vectors(data), missing=[0, 1]),
        "taste": of_both(data, model.solve(items), items, model),
    }
    fuser = Fuser(Fuser.params_type(centre=False))
    blocks = _blocks(encoded, data, fuser.params)
    state = feature_state(blocks.parts, data, steady={"plot"}, keys=2)
    phi = features(blocks, data, fuser.params, state)
    theta = rng.normal(size=phi.shape[1]).astype(np.float32)
    given = np.array([0.7, 1.3], np.float32)
    spreads = {"plot": 2.0, "taste": 3.0}
    learner = AttentionLearner(blocks, spreads, given, phi=phi, device="cpu")
    values = {**learner.start(), "theta": torch.from_numpy(theta)}
    users = np.arange(data.n_users, dtype=np.int32)
    with torch.no_grad():
        got = learner.scores(values, users, torch.arange(data.n_items)).numpy()
    learnt = {"theta": theta, "weight": given, "spread": np.array([2.0, 3.0])}
    learnt |= {f"state/{name}": np.asarray(value) for name, value in state.items()}
    served = fuser.again(learnt, encoded, data, context())
    unknown = np.isin(np.arange(data.n_items), [0, 1])
    expected = 0.5 * (served.user_vectors @ served.item_vectors.T)  # weights are shares while they are learnt
    np.testing.assert_allclose(got[:, ~unknown], expected[:, ~unknown], rtol=1e-3, atol=1e-4)


def test_a_gate_is_a_softmax_over_the_blocks_that_a_user_has():
    rng = np.random.default_rng(2)
    n, inputs = 5, rng.normal(size=(5, 3)).astype(np.float32)
    values = {
        "inner": rng.normal(size=(3, 4)), "bias": rng.normal(size=4), "outer": rng.normal(size=(4, 2)),
        "log_weights": np.log([1.0, 3.0]),
    }  # fmt: skip
    here = np.array([True, True, False, True, True])
    nothing, every = np.zeros((n, 1), np.float32), np.ones(n, np.bool_)
    parts = {
        "a": Part(nothing, nothing, here, every, np.ones(n, np.float32)),
        "b": Part(nothing, nothing, every, every, np.ones(n, np.float32)),
    }
    got = gate_weights(values, inputs, parts, 4.0)
    for user in range(n):
        logit = np.tanh(inputs[user] @ values["inner"] + values["bias"]) @ values["outer"] + values["log_weights"]
        share = np.exp(logit) * [here[user], True]
        np.testing.assert_allclose(got[user], 4 * share / share.sum(), rtol=1e-5)


def test_a_missing_block_leaves_its_weight_to_the_others():
    weights = np.array([[1, 2, 1], [1, 2, 1], [1, 2, 1]], np.float32)
    here = np.array([[True, True, True], [True, False, True], [False, False, False]])
    assert masked(weights, here).tolist() == [[1, 2, 1], [2, 0, 2], [0, 0, 0]]


def test_places_finds_entries_of_a_sparse_matrix_and_says_which_are_not_there():
    history = history_weights(dataset([("u", "a"), ("u", "c"), ("v", "b")]), HistoryParams(), since="user")
    place, found = places(history, np.array([0, 1, 1, 0]), np.array([2, 1, 2, 0]))
    assert found.tolist() == [True, True, False, True]
    assert place.tolist() == [1, 2, 0, 0]


@pytest.mark.parametrize("component", [Attention, Gated])
def test_an_encoder_that_is_another_without_the_held_out_events_is_learnt_with_all_the_same(component):
    """A vocabulary may be smaller without them: axes of such a block are no features, and weights are learnt."""
    data, make = chosen_by("plot")

    def made(d):
        sides = make(d)
        if d.train.user.shape != data.train.user.shape:
            sides["plot"] = of_items(d, np.pad(sides["plot"].items.vectors, [(0, 0), (1, 0)]))
        return sides

    got, notes, _ = fuse(component, data, made, weights={"plot": 0.2, "look": 1.8}, epochs=20)
    assert notes["learnt"] != "as given"
    assert not [name for name in got.learnt if name.startswith("state/") and name.endswith("/plot")]
