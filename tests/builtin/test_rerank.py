import numpy as np
import pytest

from recprofile.builtin.rerank import Mmr
from recprofile.plugin import Embeddings, Encoded, Inputs, Recommendations, RunError
from recprofile.testing import RerankerTests, context, fused, toy

NAN = np.nan


def lists(data, items, scores):
    """Recommendations of the first users, with -1 where a list is short."""
    items, scores = np.array(items, np.int32), np.array(scores, np.float32)
    n = len(items)
    reasons = np.zeros(n, np.int8)
    return Recommendations(data.users.ids, data.items.ids, np.arange(n, dtype=np.int32), items, scores, reasons)


def rerank(recs, vectors, **params):
    data = toy()
    inputs = Inputs(profiles=fused(data, vectors))
    return Mmr(Mmr.params_type(**params)).rerank(recs, inputs, data, context())


class TestMmr(RerankerTests):
    component = Mmr
    examples = [{}, {"relevance": 0.0}, {"relevance": 0.5, "candidates": 2}]


# i1 and i2 point the same way, i3 across; lengths do not matter to a cosine.
VECTORS = np.array([[1, 0], [2, 0], [0, 3], [1, 1], [0, 0], [-1, 0]], np.float32)


def test_the_next_item_is_relevant_and_unlike_those_before_it():
    # Relevance of i1, i2, i3: 1, .5, 0. First i1: .5 · 1. Then i2: .25 - .5 · 1 = -.25, i3: 0 - .5 · 0 = 0.
    recs = rerank(lists(toy(), [[0, 1, 2]], [[4, 3, 2]]), VECTORS, relevance=0.5)
    assert recs.items.tolist() == [[0, 2, 1]]
    assert recs.scores.tolist() == [[0.5, 0, -0.25]]


def test_relevance_of_one_leaves_the_order_as_it_is():
    recs = rerank(lists(toy(), [[0, 1, 2, 3]], [[9, 9, 3, 1]]), VECTORS, relevance=1.0)
    assert recs.items.tolist() == [[0, 1, 2, 3]]
    assert recs.scores.tolist() == [[1, 1, 0.25, 0]]


def test_relevance_of_zero_keeps_the_first_item_and_then_looks_at_likeness_only():
    # After i1: i2 1, i3 0, i4 cos 45°, i6 -1: first i6; then largest likeness to either: i2 1, i3 0, i4 .71.
    recs = rerank(lists(toy(), [[0, 1, 2, 3, 5]], [[5, 4, 3, 2, 1]]), VECTORS, relevance=0.0)
    assert recs.items.tolist() == [[0, 5, 2, 3, 1]]


def test_scores_descend_even_where_the_values_do_not():
    # i6 is opposite to i1: its value 0 + .5 · 1 equals the first one's .5, and later ones never exceed it.
    recs = rerank(lists(toy(), [[0, 1, 5]], [[4, 3, 2]]), VECTORS, relevance=0.4)
    assert recs.items.tolist() == [[0, 5, 1]]
    # .4 · 1; then .4 · 0 + .6 cut to .4; then .4 · .5 - .6
    assert recs.scores[0].tolist() == pytest.approx([0.4, 0.4, -0.4])


def test_short_lists_stay_short_and_empty_ones_empty():
    given = lists(toy(), [[0, 1, 2], [1, 0, -1], [-1, -1, -1]], [[4, 3, 2], [2, 1, NAN], [NAN, NAN, NAN]])
    recs = rerank(given, VECTORS, relevance=0.5)
    assert recs.items.tolist() == [[0, 2, 1], [1, 0, -1], [-1, -1, -1]]
    assert np.isnan(recs.scores[recs.items < 0]).all()


def test_items_after_the_candidates_keep_their_places():
    # Of i1, i2 relevance 1, 0; i3 lies as far again below: -1. Values .5, -.5, and .5 · -1.
    recs = rerank(lists(toy(), [[0, 1, 2]], [[4, 3, 2]]), VECTORS, relevance=0.5, candidates=2)
    assert recs.items.tolist() == [[0, 1, 2]]
    assert recs.scores.tolist() == [[0.5, -0.5, -0.5]]


def test_equal_scores_are_all_relevant():
    recs = rerank(lists(toy(), [[0, 1, 2]], [[3, 3, 3]]), VECTORS, relevance=0.5)
    assert recs.items.tolist() == [[0, 2, 1]]
    assert recs.scores.tolist() == [[0.5, 0.5, 0]]


def test_an_item_without_a_vector_is_like_no_other():
    recs = rerank(lists(toy(), [[0, 1, 4]], [[4, 3, 2]]), VECTORS, relevance=0.5)
    assert recs.items.tolist() == [[0, 4, 1]]


def test_the_vectors_of_a_named_stage_go_before_those_of_the_profiles():
    data = toy()
    alike = Encoded(items=Embeddings("item", data.items.ids, np.ones((6, 2), np.float32)))
    inputs = Inputs(profiles=fused(data, VECTORS), encoded={"plot": alike})
    recs = Mmr(Mmr.params_type(relevance=0.5)).rerank(lists(data, [[0, 1, 2]], [[4, 3, 2]]), inputs, data, context())
    assert recs.items.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(("named", "message"), [(0, "needs item vectors"), (2, "takes the vectors of one stage")])
def test_it_says_which_vectors_it_lacks(named, message):
    data = toy()
    plot = Encoded(items=Embeddings("item", data.items.ids, VECTORS))
    inputs = Inputs(encoded={f"s{n}": plot for n in range(named)})
    with pytest.raises(RunError, match=f"RP404 'mmr' {message}"):
        Mmr(Mmr.params_type()).rerank(lists(data, [[0]], [[1]]), inputs, data, context())


def test_it_asks_for_as_many_items_as_it_has_candidates():
    assert Mmr(Mmr.params_type(candidates=50)).depth(10) == 50
    assert Mmr(Mmr.params_type(candidates=50)).depth(80) == 80


def test_it_is_the_same_in_small_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    given = lists(toy(), [rng.permutation(6) for _ in range(5)], np.sort(rng.random((5, 6)))[:, ::-1])
    whole = rerank(given, VECTORS)
    monkeypatch.setattr("recprofile.builtin.rerank.BLOCK", 40)  # one list at a time
    part = rerank(given, VECTORS)
    assert part.items.tolist() == whole.items.tolist()
    assert part.scores.tolist() == whole.scores.tolist()


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_no_lists_are_left_as_they_are(shape):
    assert rerank(lists(toy(), np.zeros(shape), np.zeros(shape)), VECTORS).items.shape == shape
