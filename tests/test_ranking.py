"""Ranking: exact lists, ties, what is left out, fall-backs, and independence of the block."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import ArrayLike

from recprofile.artifacts import BoolArray, Dataset, FloatArray, IntArray, Pack, PositiveRule, Recommendations
from recprofile.components import Ranker
from recprofile.errors import ArtifactError, DataError
from recprofile.ranking import candidate_mask, rank, top_k
from recprofile.testing import checkerboard, dataset, toy

INF = np.inf


@dataclass
class Table(Ranker):
    """Scores that were written down; users without a row of their own are not known."""

    table: Any
    known: Any = None
    blocks: list[int] = field(default_factory=list)

    def scores(self, users: IntArray) -> FloatArray:
        self.blocks.append(len(users))
        return self.table[users]

    def known_users(self) -> BoolArray:
        return np.ones(len(self.table), np.bool_) if self.known is None else self.known

    def pack(self) -> Pack:
        return Pack()


def scored(rows: ArrayLike, **more: Any) -> Table:
    return Table(np.array(rows, np.float32), **more)


def sorted_by_hand(scores: np.ndarray, k: int) -> tuple[list[list[int]], list[list[float]]]:
    """The slow definition of top_k."""
    items, best = [], []
    for row in scores:
        order = sorted((i for i in range(len(row)) if row[i] > -INF), key=lambda i: (-row[i], i))[:k]
        items.append(order + [-1] * (k - len(order)))
        best.append([float(row[i]) for i in order] + [np.nan] * (k - len(order)))
    return items, best


def plain_data(n_users: int = 3, n_items: int = 4) -> Dataset:
    """Users 0 … and items 0 …, where user u has seen item 0 only if u is 0."""
    return dataset([(0, 0)], users={"id": list(range(n_users))}, items={"id": list(range(n_items))})


def test_top_k_gives_the_best_first():
    items, scores = top_k(np.array([[1, 3, 2], [5, 4, 6]], np.float32), 2)
    assert items.tolist() == [[1, 2], [2, 0]]
    assert scores.tolist() == [[3, 2], [6, 5]]
    assert items.dtype == np.int32
    assert scores.dtype == np.float32


def test_of_equal_scores_the_lower_item_code_comes_first():
    items, _ = top_k(np.array([[1, 2, 2, 2], [7, 7, 7, 7]], np.float32), 2)
    assert items.tolist() == [[1, 2], [0, 1]]


def test_minus_infinity_is_never_listed():
    items, scores = top_k(np.array([[-INF, 1, -INF], [-INF] * 3], np.float32), 2)
    assert items.tolist() == [[1, -1], [-1, -1]]
    np.testing.assert_array_equal(scores, [[1, np.nan], [np.nan, np.nan]])


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
def test_top_k_of_nothing_is_padding(shape: tuple[int, int]):
    items, scores = top_k(np.zeros(shape, np.float32), 2)
    assert items.tolist() == [[-1, -1]] * shape[0]
    assert scores.shape == (shape[0], 2)


@given(
    scores=arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 40)),
        elements=st.sampled_from([-INF, -2.0, 0.0, 0.5, 1.0, 3.0]),
    ),
    k=st.integers(1, 6),
)
@settings(max_examples=150, deadline=None)
def test_top_k_equals_a_sort_whatever_the_ties(scores: np.ndarray, k: int):
    items, best = top_k(scores, k)
    wanted_items, wanted = sorted_by_hand(scores, k)
    assert items.tolist() == wanted_items
    np.testing.assert_array_equal(best, wanted)


@pytest.mark.parametrize("levels", [1, 3, 50, 10**6])
def test_top_k_equals_a_sort_on_long_rows(levels: int):
    # Wide enough for strips; few levels make nearly every row full of ties.
    scores = np.random.default_rng(0).integers(0, levels, size=(20, 3001)).astype(np.float32)
    scores[:, ::7] = -INF
    items, best = top_k(scores, 10)
    wanted_items, wanted = sorted_by_hand(scores, 10)
    assert items.tolist() == wanted_items
    np.testing.assert_array_equal(best, wanted)


def test_top_k_is_exact_where_the_best_stand_in_one_strip_of_a_flat_row():
    scores = np.zeros((2, 3001), np.float32)
    scores[:, :2976:93] = np.arange(1, 33)  # 3001 columns are dealt into 93 strips
    scores[1, 5] = 40
    items, best = top_k(scores, 3)
    assert items.tolist() == [[31 * 93, 30 * 93, 29 * 93], [5, 31 * 93, 30 * 93]]
    assert best.tolist() == [[32, 31, 30], [40, 32, 31]]


def test_checkerboard_lists_put_the_missing_item_first():
    data = checkerboard()
    parity = [[float((u + i) % 2 == 0) for i in range(10)] for u in range(10)]
    recs = rank(scored(parity), data, k=1)
    assert recs.items[:, 0].tolist() == list(range(10))
    assert recs.counts()["ranked"] == 10


def test_seen_items_are_left_out_whatever_their_weight():
    data = dataset([("a", "x", 1), ("a", "y", 5)], items={"id": ["x", "y", "z"]}, positive=PositiveRule(">=", 4))
    assert rank(scored([[3, 2, 1]]), data, k=3).items.tolist() == [[2, -1, -1]]


def test_seen_items_may_be_listed_when_the_recipe_says_so():
    recs = rank(scored([[3, 2, 1, 0]] * 3), plain_data(), k=2, exclude_seen=False)
    assert recs.items.tolist() == [[0, 1]] * 3


def test_only_candidates_are_listed_and_seen_ones_are_not():
    candidates = np.array([True, False, True, True])
    recs = rank(scored([[9, 8, 1, 2]] * 3), plain_data(), k=3, candidates=candidates)
    assert recs.items.tolist() == [[3, 2, -1], [0, 3, 2], [0, 3, 2]]
    assert recs.scores[1].tolist() == [9, 2, 1]


def test_some_users_may_be_ranked_alone_in_any_order():
    table = [[0, 1, 2, 3], [3, 2, 1, 0], [0, 5, 0, 1]]
    recs = rank(scored(table), plain_data(), k=1, users=np.array([2, 0], np.int32))
    assert recs.users.tolist() == [2, 0]
    assert recs.items.tolist() == [[1], [3]]


def test_a_user_without_history_gets_the_most_popular():
    # y has two positive events, z one; x has three events of which none is positive.
    events = [("a", "y", 5), ("b", "y", 5), ("b", "z", 5), ("a", "x", 1), ("b", "x", 1), ("c", "x", 1)]
    data = dataset(events, users={"id": ["a", "b", "c", "new"]}, positive=PositiveRule(">=", 4))
    known = np.array([True, True, False, False])
    recs = rank(scored([[1, 2, 3]] * 4, known=known), data, k=3)
    reasons = [Recommendations.REASONS[r] for r in recs.reasons]
    assert reasons == ["ranked", "nothing to rank", "not in model", "no history"]
    y, z = data.items.ids.codes(["y", "z"])
    assert recs.items[3].tolist() == [y, z, -1]  # x has no positive event, and the order of ids is no reason to list it
    assert recs.scores[3, :2].tolist() == [2, 1]
    assert recs.items[2].tolist() == [y, z, -1]


def test_a_ranker_may_know_a_user_without_history():
    data = plain_data()
    assert rank(scored([[1, 2, 3, 4]] * 3), data, k=1).reasons.tolist() == [0, 0, 0]


def test_a_fall_back_list_holds_candidates_only():
    data = dataset([("a", "w"), ("a", "x"), ("b", "y"), ("b", "x")], users={"id": ["a", "b", "new"]})
    candidates = np.array([False, True, True])
    recs = rank(scored(np.zeros((3, 3)), known=np.zeros(3, np.bool_)), data, k=3, candidates=candidates)
    assert recs.items.tolist() == [[2, -1, -1], [-1, -1, -1], [1, 2, -1]]  # less what a and b have seen
    reasons = [Recommendations.REASONS[r] for r in recs.reasons]
    assert reasons == ["not in model", "nothing to rank", "no history"]


def test_where_all_is_masked_there_is_nothing_to_rank():
    recs = rank(scored([[1, 1, 1, 1]] * 3), plain_data(), k=2, candidates=np.zeros(4, np.bool_))
    assert recs.counts() == {"ranked": 0, "no history": 0, "not in model": 0, "nothing to rank": 3}
    assert (recs.items == -1).all()


def test_a_list_is_padded_when_k_is_above_the_catalogue():
    recs = rank(scored([[1, 2, 3, 4]] * 3), plain_data(), k=6)
    assert recs.items[1].tolist() == [3, 2, 1, 0, -1, -1]


@pytest.mark.parametrize("candidates", [None, np.arange(30) % 3 > 0])
def test_lists_do_not_depend_on_the_block(candidates: BoolArray | None):
    rng = np.random.default_rng(1)
    events = [(int(u), int(i)) for u, i in zip(rng.integers(0, 17, 90), rng.integers(0, 30, 90), strict=True)]
    data = dataset(events, users={"id": list(range(17))}, items={"id": list(range(30))})
    table = rng.integers(0, 6, size=(17, 30))
    known = rng.random(17) < 0.7
    whole = rank(scored(table, known=known), data, k=5, candidates=candidates)
    for block in (1, 2, 5, 100):
        one = scored(table, known=known)
        recs = rank(one, data, k=5, candidates=candidates, block=block)
        assert max(one.blocks) <= block
        np.testing.assert_array_equal(recs.items, whole.items)
        np.testing.assert_array_equal(recs.scores, whole.scores)
        np.testing.assert_array_equal(recs.reasons, whole.reasons)


def test_progress_counts_every_user_once():
    done: list[int] = []
    known = np.array([True, False, True])
    rank(scored(np.zeros((3, 4)), known=known), plain_data(), k=1, block=1, progress=done.append)
    assert sum(done) == 3


class Lent(Table):
    """A ranker that hands out its own array."""

    def scores(self, users: IntArray) -> FloatArray:
        return self.table[: len(users)]


@pytest.mark.parametrize("access", ["read and write", "read only"])
def test_the_scores_of_a_ranker_are_left_as_they_are(access: str):
    ranker = Lent(np.array([[9, 2, 3, 4]] * 3, np.float32))
    ranker.table.flags.writeable = access == "read and write"
    before = ranker.table.copy()
    assert rank(ranker, plain_data(), k=1).items.tolist() == [[3], [0], [0]]
    np.testing.assert_array_equal(ranker.table, before)


@pytest.mark.parametrize("bad", [np.nan, INF])
def test_a_score_that_is_not_finite_names_user_and_item(bad: float):
    table = np.zeros((3, 4))
    table[1, 2] = bad
    with pytest.raises(ArtifactError, match=r"RP602 Table.scores\(\) holds (nan|inf) for user '1' and item '2'"):
        rank(scored(table), plain_data(), k=1)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros((3, 5), np.float32), r"Table.scores\(\) has shape \(3, 5\)"),
        (np.zeros((3, 4)), r"Table.scores\(\) is float64, and must be float32"),
    ],
)
def test_scores_of_the_wrong_shape_or_type_are_refused(table: np.ndarray, message: str):
    with pytest.raises(ArtifactError, match=message):
        rank(Table(table), plain_data(), k=1)


def test_scores_that_are_no_array_are_refused():
    class Lists(Table):
        def scores(self, users: IntArray) -> FloatArray:
            return [[0.0] * 4 for _ in users]  # type: ignore[return-value]  # what the test is about

    with pytest.raises(ArtifactError, match=r"Lists.scores\(\) is list, and must be a numpy array"):
        rank(Lists(np.zeros((3, 4))), plain_data(), k=1)


def test_known_users_of_the_wrong_length_are_refused():
    with pytest.raises(ArtifactError, match=r"Table.known_users\(\) has shape \(2,\)"):
        rank(scored(np.zeros((3, 4)), known=np.ones(2, np.bool_)), plain_data(), k=1)


def test_all_items_are_candidates_unless_said():
    assert candidate_mask("all", toy()) == (None, None)


def test_cold_candidates_have_no_training_event():
    mask, note = candidate_mask("cold", toy())
    assert mask is not None
    assert mask.tolist() == [False, False, False, False, False, True]
    assert note is None


def test_cold_candidates_where_no_item_is_cold_are_an_error():
    with pytest.raises(DataError, match="RP505 no candidates are left"):
        candidate_mask("cold", checkerboard())


def test_unknown_candidate_ids_are_counted():
    mask, note = candidate_mask("new.txt", toy(), ids=pl.Series(["i2", "i9", "i2"]))
    assert mask is not None
    assert np.flatnonzero(mask).tolist() == [1]
    assert note == "1 of 3 candidate ids in 'new.txt' are not items of the data, and left out"


@pytest.mark.parametrize("ids", [["i9", "j1"], []])
def test_candidates_of_which_none_is_known_are_an_error(ids: list[str]):
    with pytest.raises(DataError, match="RP506 none of the"):
        candidate_mask("new.txt", toy(), ids=pl.Series(ids, dtype=pl.String))
