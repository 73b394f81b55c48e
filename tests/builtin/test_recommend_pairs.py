import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import random_array

from recprofile import threads
from recprofile.builtin.recommend import linear, pairs
from recprofile.builtin.recommend.inverse import mirror
from recprofile.builtin.recommend.pairs import gram_of, pair_sums
from recprofile.testing import context


def steps(n):
    return context().progress(n, "items")


@pytest.mark.parametrize("shape", [(40, 30), (200, 7), (3, 100), (1, 1), (5, 0), (0, 5)])
def test_a_gram_matrix_is_the_product(shape):
    x = random_array(shape, density=0.3, format="csr", dtype=np.float32, rng=np.random.default_rng(1))
    assert_allclose(gram_of(x, steps(shape[1])), (x.T @ x).toarray(), rtol=1e-5, atol=1e-6)


def test_counts_are_exact_and_rows_need_not_be_sorted():
    x = random_array((300, 40), density=0.2, format="csr", dtype=np.float32, rng=np.random.default_rng(2))
    x.data[:] = 1
    want = (x.T @ x).toarray()
    for row in range(300):
        at = slice(x.indptr[row], x.indptr[row + 1])
        x.indices[at] = x.indices[at][::-1].copy()
    x.has_sorted_indices = False
    assert_array_equal(gram_of(x, steps(40)), want)


def test_pairs_end_where_they_are_said_to_and_count_by_their_distance():
    item = np.array([0, 1, 0, 2, 1], np.int32)  # a user with three events, and one with two
    x = np.array([1, 2, 3, 5, 7], np.float32)
    ends = np.array([2, 3, 3, 5, 5])
    kernel = np.array([0, 1, 10, 100], np.float32)
    found = pair_sums(item, x, ends, kernel, n_items=3, progress=steps(3))
    # 0 then 1: 1·2; 1 then 0: 2·3; the pair two apart is cut off; 2 then 1: 5·7.
    assert found.tolist() == [[0, 2, 0], [6, 0, 0], [0, 35, 0]]
    longer = pair_sums(item, x, np.array([3, 3, 3, 5, 5]), kernel, n_items=3, progress=steps(3))
    assert longer[0, 0] == 1 * 3 * 10


def test_the_number_of_threads_and_shares_changes_nothing(monkeypatch):
    rng = np.random.default_rng(3)
    item = rng.integers(0, 50, 3000).astype(np.int32)
    ends = np.minimum(np.arange(3000) + 1 + rng.integers(0, 40, 3000), 3000)
    x, kernel = rng.random(3000, np.float32), rng.random(50, np.float32)
    found = []
    for count, shares in ((1, 1), (4, 64), (2, 7)):
        monkeypatch.setattr(threads, "threads", lambda count=count: count)
        monkeypatch.setattr(threads, "SHARES", shares)
        monkeypatch.setattr(threads, "FEWEST", 1)
        found.append(pair_sums(item, x, ends, kernel, n_items=50, progress=steps(50)))
    assert_array_equal(found[0], found[1])
    assert_array_equal(found[0], found[2])


def test_codes_of_two_bytes_and_of_four_give_the_same(monkeypatch):
    rng = np.random.default_rng(6)
    item, x, kernel = rng.integers(0, 40, 2000), rng.random(2000, np.float32), rng.random(30, np.float32)
    ends = np.minimum(np.arange(2000) + 1 + rng.integers(0, 29, 2000), 2000)
    short = pair_sums(item, x, ends, kernel, n_items=40, progress=steps(40))
    monkeypatch.setattr(pairs, "MOST_SHORT", 39)
    assert_array_equal(pair_sums(item, x, ends, kernel, n_items=40, progress=steps(40)), short)


def test_progress_ends_at_its_total():
    told = []
    progress = context(report=lambda done, total, unit: told.append((done, total, unit))).progress(30, "items")
    gram_of(random_array((9, 30), density=0.5, format="csr", dtype=np.float32, rng=np.random.default_rng(4)), progress)
    assert told[-1] == (30, 30, "items")


@pytest.mark.parametrize("block", [1, 50, 10_000])
def test_what_lies_above_the_diagonal_is_mirrored_block_by_block(monkeypatch, block):
    monkeypatch.setattr(linear, "BLOCK", block)
    matrix = np.random.default_rng(5).random((23, 23), np.float32)
    want = np.triu(matrix) + np.triu(matrix, 1).T
    mirror(matrix)
    assert_array_equal(matrix, want)
