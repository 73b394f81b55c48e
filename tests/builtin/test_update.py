"""Updaters on data with known answers; the contract is held by the kit."""

from dataclasses import replace

import numpy as np
import pytest

from recprofile.builtin.encode import Als
from recprofile.builtin.fuse import Attention, Cca, Gated, MeanHistory, Product, Weighted
from recprofile.builtin.fuse.attended import feature_names, feature_state
from recprofile.builtin.fuse.attention import _blocks
from recprofile.builtin.fuse.gate import gate_inputs, gate_state
from recprofile.builtin.fuse.sides import Histories
from recprofile.builtin.fuse.weighted import balanced_parts
from recprofile.builtin.update import FoldInHistory, History, Pooled
from recprofile.plugin import DataError, Embeddings, Encoded, FoldIn, Interactions, Profiles
from recprofile.testing import UpdaterTests, context, dataset

DAY = 86_400


class TestFoldIn(UpdaterTests):
    component = FoldInHistory


class OfLearntWeights(UpdaterTests):
    """Profiles of a fuser that learnt once, and makes profiles of later histories with what it learnt."""

    component = FoldInHistory
    fuser = Attention

    def sides(self, data):
        rng = np.random.default_rng(0)
        plot = Embeddings("item", data.items.ids, rng.normal(size=(data.n_items, 4)).astype(np.float32))
        taste = Embeddings("item", data.items.ids, rng.normal(size=(data.n_items, 3)).astype(np.float32))
        model = FoldIn(data.matrix("train"), alpha=2.0, l2=0.5, nu=1.0).of(data)
        users = Embeddings("user", data.users.ids, model.solve(taste.vectors), np.diff(model.confidence.indptr) == 0)
        return {"plot": Encoded(items=plot), "taste": Encoded(items=taste, users=users, fold_in=model)}

    def learnt(self, data):
        fuser = self.fuser(self.fuser.params_type(centre=False))
        return dict(fuser.fuse(self.sides(data), data, context()).learnt)

    def profiles(self, data):
        """Items are held fixed, and so is what was learnt."""
        fuser = self.fuser(self.fuser.params_type(centre=False))
        return fuser.again(self.learnt(self.data()), self.sides(data), data, context())


class TestFoldInOfAttention(OfLearntWeights):
    def learnt(self, data):
        """As if it had learnt which items count, and to weigh blocks otherwise."""
        sides, p = self.sides(data), Attention.params_type(centre=False)
        state = feature_state(_blocks(sides, data, p).parts, data, steady={"plot"}, keys=2)
        names = feature_names(sides, state)
        theta = np.random.default_rng(1).normal(size=len(names))
        theta[names.index("popularity")] = 0  # a store holds the counts of items fixed, and these data do not
        found = {"theta": theta, "weight": np.array([0.5, 1.5]), "spread": np.array([2.0, 3.0])}
        return found | {f"state/{name}": np.asarray(values) for name, values in state.items()}


class TestFoldInOfGated(OfLearntWeights):
    fuser = Gated

    def learnt(self, data):
        """As if a gate had been learnt."""
        sides, rng, p = self.sides(data), np.random.default_rng(1), Gated.params_type(centre=False)
        parts = dict(balanced_parts(sides, data, Histories(data, p), p))
        state = gate_state(parts, steady={"plot"}, components=2)
        width = gate_inputs(parts, data, state).shape[1]
        found = {
            "inner": rng.normal(size=(width, 3)), "bias": np.zeros(3), "outer": rng.normal(size=(3, 2)),
            "log_weights": np.zeros(2), "mean": np.zeros(width), "deviation": np.ones(width),
            "total": np.array([2.0]), "weight": np.array([0.8, 1.2]), "spread": np.array([2.0, 3.0]),
        }  # fmt: skip
        return found | {f"state/{name}": values for name, values in state.items()}


class TestFoldInOfProduct(OfLearntWeights):
    fuser = Product


class TestFoldInOfCca(OfLearntWeights):
    fuser = Cca


class TestPooled(UpdaterTests):
    component = Pooled
    examples = [{}, {"positive_only": False}, {"half_life_days": 30}]


class TestHistory(UpdaterTests):
    component = History

    def profiles(self, data):
        nothing = np.zeros((data.n_users, 0), np.float32), np.zeros((data.n_items, 0), np.float32)
        return Profiles(data.users.ids, data.items.ids, *nothing, (), ~data.cold_users())


VECTORS = np.array([[1, 0], [0, 1], [1, 1], [-1, 0.5]], np.float32)


def encoded(data, vectors=VECTORS):
    return {"plot": Encoded(Embeddings("item", data.items.ids, vectors))}


def people(*train):
    """Data with all four items, whatever the events."""
    return dataset(list(train), items={"id": ["a", "b", "c", "d"]})


def fuse(data, component=MeanHistory, **params):
    made = component(component.params_type(**params))
    return made.fuse(encoded(data), data, context())


def events(data, n):
    """The last n training events."""
    return data.train.take(np.arange(len(data.train) - n, len(data.train)))


def without(data, n):
    """The data before the last n events."""
    keep = np.arange(len(data.train) - n)
    return data.revise(train=data.train.take(keep), held=data.held[keep])


def moved(updater, old, whole, n, **fused):
    """Profiles of the data before the last n events, moved by these."""
    after = fuse(whole, **fused)
    before = replace(old, history=after.history, blocks=after.blocks)
    return updater.update(before, events(whole, n), whole, context())


def test_fold_in_gives_what_fusing_the_whole_history_gives():
    whole = people(("u", "a", 1, 1), ("v", "b", 1, 1), ("u", "b", 1, 2), ("u", "c", 1, 3))
    old = fuse(without(whole, 2), centre=False)
    after = moved(FoldInHistory(FoldInHistory.params_type()), old, whole, 2, centre=False)
    assert np.allclose(after.user_vectors, fuse(whole, centre=False).user_vectors, atol=1e-6)


def test_fold_in_solves_a_model_for_its_item_vectors():
    # Checked by the normal equations: at the minimum the gradient of the loss is 0.
    whole = people(*[(u, i, 1, 1) for u, i in ["ua", "ub", "va", "wb", "wc", "vd"]], ("u", "d", 1, 2))
    als = Als(Als.params_type(dim=2)).encode(whole, context())
    profiles = Weighted(Weighted.params_type()).fuse({"taste": als}, whole, context())
    after = FoldInHistory(FoldInHistory.params_type()).update(profiles, events(whole, 1), whole, context())
    block = profiles.blocks[0]
    x = after.user_vectors[0].astype(np.float64) / block.scale
    y = als.items.vectors.astype(np.float64)
    liked = np.array([True, True, False, True])  # u: a, b, d
    c, p = np.where(liked, 1 + 4.0, 1.0), liked.astype(np.float64)
    ridge = 0.02 * (4 + 4.0 * 3)
    assert np.abs(y.T @ (c * (y @ x - p)) + ridge * x).max() < 1e-4


def test_fold_in_leaves_a_block_alone_that_follows_from_no_history():
    whole = people(("u", "a", 1, 1), ("u", "b", 1, 2))
    profiles = fuse(whole)
    bare = replace(profiles, blocks=tuple(replace(b, pool=None) for b in profiles.blocks))
    after = FoldInHistory(FoldInHistory.params_type()).update(bare, events(whole, 1), whole, context())
    assert after.user_vectors.tolist() == profiles.user_vectors.tolist()


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("half_life", [None, 3.0])
def test_pooled_gives_what_fusing_the_whole_history_gives_where_both_fade_alike(normalise, half_life):
    whole = people(
        ("u", "a", 1, 0), ("u", "b", 1, 2 * DAY), ("v", "b", 1, DAY),
        ("u", "c", 1, 5 * DAY), ("u", "d", 1, DAY), ("v", "a", 1, 9 * DAY),
    )  # fmt: skip
    updater = Pooled(Pooled.params_type(half_life_days=half_life))
    fused = {"normalise": normalise, "half_life_days": half_life, "centre": False}
    start = without(whole, 3)
    old = updater.prepare(fuse(start, **fused), start, context())
    after = moved(updater, old, whole, 3, **fused)
    assert np.allclose(after.user_vectors, fuse(whole, **fused).user_vectors, atol=1e-6)


def test_pooled_in_two_halves_equals_once():
    whole = people(("u", "a", 1, 0), ("u", "b", 1, DAY), ("u", "c", 1, 2 * DAY))
    updater = Pooled(Pooled.params_type(half_life_days=1))
    start = without(whole, 2)
    old = updater.prepare(fuse(start, centre=False), start, context())
    once = moved(updater, old, whole, 2, centre=False)
    first = moved(updater, old, without(whole, 1), 1, centre=False)
    twice = updater.update(replace(first, blocks=once.blocks), events(whole, 1), whole, context())
    assert np.allclose(once.user_vectors, twice.user_vectors, atol=1e-6)


def test_pooled_halves_what_is_a_half_life_old():
    # a lies on the first axis with weight 1/2 by now, b on the second with weight 1; normalised: (1, 2)/√5.
    whole = people(("u", "a", 1, 0), ("u", "b", 1, DAY))
    updater = Pooled(Pooled.params_type(half_life_days=1))
    start = without(whole, 1)
    old = updater.prepare(fuse(start, centre=False), start, context())
    after = moved(updater, old, whole, 1, centre=False)
    assert np.allclose(after.user_vectors[0], np.array([1, 2]) / np.sqrt(5), atol=1e-6)


def test_pooled_refuses_profiles_that_were_published_without_it():
    whole = people(("u", "a", 1, 0), ("u", "b", 1, 1))
    with pytest.raises(DataError, match="published without the state of 'pooled'"):
        moved(Pooled(Pooled.params_type()), fuse(whole, centre=False), whole, 1)


def test_pooled_needs_times_only_to_fade():
    assert Pooled(Pooled.params_type(half_life_days=1)).needs_time
    assert not Pooled(Pooled.params_type()).needs_time


@pytest.mark.parametrize("updater", [FoldInHistory, Pooled, History])
def test_who_has_no_event_does_not_move(updater):
    whole = people(("u", "a", 1, 1), ("v", "b", 1, 2), ("u", "c", 1, 3))
    made = updater(updater.params_type())
    old = made.prepare(fuse(whole), whole, context())
    none = Interactions.empty(time=True)
    after = made.update(old, none, whole, context())
    assert np.allclose(after.user_vectors, old.user_vectors, atol=1e-6)
    assert after.known.tolist() == old.known.tolist()


def test_only_updaters_that_equal_a_rebuild_call_themselves_exact():
    assert {u.name: u.exact for u in (FoldInHistory, Pooled, History)} == {
        "fold-in": True, "pooled": False, "history": True,
    }  # fmt: skip
