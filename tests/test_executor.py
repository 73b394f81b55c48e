import numpy as np
import pytest

from recprofile.executor import LocalExecutor
from recprofile.ranking import rank
from recprofile.testing import ProfileRanker, fused, toy


def test_the_local_executor_gives_results_in_the_order_of_the_blocks():
    assert list(LocalExecutor().map_blocks(lambda block: block * 2, [3, 1, 2])) == [6, 2, 4]


def test_what_a_block_raises_reaches_the_caller():
    def refuse(block):
        raise KeyError(block)

    with pytest.raises(KeyError, match="b"):
        next(LocalExecutor().map_blocks(refuse, ["b"]))


class Backwards:
    """Does the last block first, as workers may, and gives results in order all the same."""

    def map_blocks(self, function, blocks):
        blocks = list(blocks)
        done = {n: function(blocks[n]) for n in reversed(range(len(blocks)))}
        return (done[n] for n in range(len(blocks)))


def test_lists_are_the_same_on_any_executor():
    data = toy()
    ranker = ProfileRanker(fused(data))
    here = rank(ranker, data, k=3, block=2)
    there = rank(ranker, data, k=3, block=2, executor=Backwards())
    np.testing.assert_array_equal(here.items, there.items)
    np.testing.assert_array_equal(here.scores, there.scores)
