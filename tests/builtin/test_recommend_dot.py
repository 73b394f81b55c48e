import numpy as np
import pytest
from numpy.testing import assert_allclose

from recprofile.builtin.recommend import Dot
from recprofile.plugin import Block, Inputs, Profiles, RunError
from recprofile.testing import RecommenderTests, context, fused, toy


class TestDot(RecommenderTests):
    component = Dot


def two_blocks(data):
    """A pooled block 'plot' of two columns and a block 'taste' of one column that is not pooled."""
    plot = fused(data, np.arange(12).reshape(6, 2))
    users = np.column_stack([plot.user_vectors, np.arange(6)]).astype(np.float32)
    items = np.column_stack([plot.item_vectors, [1, -1, 1, -1, 1, -1]]).astype(np.float32)
    blocks = (plot.blocks[0], Block("taste", 2, 3))
    return Profiles(plot.users, plot.items, users, items, blocks, plot.known, plot.history)


def fit(profiles, data):
    return Dot(Dot.params_type()).fit(data, Inputs(profiles=profiles), context())


def test_scores_are_inner_products():
    data = toy()
    profiles = two_blocks(data)
    scores = fit(profiles, data).scores(np.array([4, 1], np.int32))
    # u5 likes i2 alone: plot (2, 3), taste 4; against i3 (4, 5, 1): 8 + 15 + 4
    assert scores[0, 2] == 27
    assert scores.shape == (2, 6)


def test_it_needs_profiles_and_says_so():
    with pytest.raises(RunError, match="RP404 'dot' needs profiles"):
        Dot(Dot.params_type()).fit(toy(), Inputs(), context())


def test_block_parts_add_up_to_the_score_and_history_parts_to_the_pooled_blocks():
    data = toy()
    ranker = fit(two_blocks(data), data)
    users, items = np.repeat(np.arange(6, dtype=np.int32), 6), np.tile(np.arange(6, dtype=np.int32), 6)
    blocks = ranker.block_evidence(users, items)
    assert list(blocks) == ["plot", "taste"]
    assert_allclose(blocks["plot"] + blocks["taste"], ranker.scores(np.arange(6, dtype=np.int32)).ravel(), rtol=1e-5)
    assert_allclose(ranker.evidence(users, items).sum(axis=1), blocks["plot"], rtol=1e-5)


def test_without_a_pooled_block_there_is_no_history_evidence():
    data = toy()
    p = fused(data)
    bare = Profiles(p.users, p.items, p.user_vectors, p.item_vectors, (Block("plot", 0, 6),), p.known)
    assert fit(bare, data).evidence(np.array([0], np.int32), np.array([0], np.int32)) is None


def test_an_item_of_which_nothing_is_known_is_not_ranked():
    data = toy()
    vectors = np.eye(6, dtype=np.float32)
    vectors[3] = 0
    scores = fit(fused(data, vectors), data).scores(np.arange(6, dtype=np.int32))
    assert np.isneginf(scores[:, 3]).all()
    assert np.isfinite(np.delete(scores, 3, axis=1)).all()


def test_another_torch_device_gives_the_same_scores():
    data = toy()
    profiles = two_blocks(data)
    users = np.arange(6, dtype=np.int32)
    elsewhere = Dot(Dot.params_type()).fit(data, Inputs(profiles=profiles), context(device="cpu:0"))
    assert_allclose(elsewhere.scores(users), fit(profiles, data).scores(users), rtol=1e-6)


def test_users_are_known_as_the_profile_knows_them():
    assert fit(fused(toy()), toy()).known_users().tolist() == [True] * 5 + [False]
