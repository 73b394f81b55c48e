"""Rows of work on threads: every row once, in order of shares, also from within and after a fork."""

from __future__ import annotations

import os

import numpy as np
import pytest

from recprofile import threads
from recprofile.threads import dealt, each, spans


def test_every_row_with_a_load_is_dealt_once_and_the_heaviest_begin():
    load = np.array([0, 3, 1, 0, 9, 2] * 40)
    shares = dealt(load)
    assert sorted(np.concatenate(shares).tolist()) == np.flatnonzero(load).tolist()
    assert {int(load[share[0]]) for share in shares} == {9}
    assert len(shares) == 160 // threads.FEWEST


def test_nothing_is_dealt_where_nothing_is_to_be_done():
    assert dealt(np.zeros(5, np.int64)) == []
    assert each(lambda _: 1, []) == []
    assert spans(0) == []


@pytest.mark.parametrize("n", [1, 15, 16, 17, 1000, 100_001])
def test_stretches_follow_one_another_from_the_first_row_to_the_last(n):
    found = spans(n)
    assert [first for first, _ in found] == [0, *(last for _, last in found[:-1])]
    assert found[-1][1] == n
    assert all(first < last for first, last in found)


def test_results_come_in_the_order_of_the_shares_and_are_told():
    told: list[int] = []
    assert each(lambda share: share * share, range(40), told.append) == [n * n for n in range(40)]
    assert told == [n * n for n in range(40)]


def test_what_a_share_raises_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        each(lambda share: 1 // (share - 7), range(20))
    assert each(lambda share: share, range(3)) == [0, 1, 2]


def test_work_may_deal_work_of_its_own():
    # Four threads that all waited for a fifth would wait for ever.
    assert each(lambda share: sum(each(lambda n: n * share, range(10))), range(20)) == [45 * n for n in range(20)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_has_threads_of_its_own():
    assert each(lambda share: share, range(4)) == [0, 1, 2, 3]
    child = os.fork()
    if child == 0:
        os._exit(0 if each(lambda share: share, range(4)) == [0, 1, 2, 3] else 1)
    assert os.waitpid(child, 0)[1] == 0
