import numpy as np
import pytest

from recprofile.builtin.recommend import Popular
from recprofile.plugin import DataError, Inputs
from recprofile.testing import RecommenderTests, context, dataset, toy

DAY = 86_400


class TestPopular(RecommenderTests):
    component = Popular
    examples = [{}, {"weight": "users"}, {"half_life_days": 0.001}, {"weight": "users", "half_life_days": 30.0}]


def counts(data, **params):
    component = Popular(Popular.params_type(**params))
    return component.fit(data, Inputs(), context()).scores(np.zeros(1, np.int32))[0].tolist()


def test_only_positive_events_count():
    # i1: u1 5, u2 4; i2: u1 4, u2 5, u5 4; i3: u2, u3; i4: u3 5, u4 4 (u1's 1 is not positive); i5: u3, u4 (u5's 2 not)
    assert counts(toy()) == [2, 3, 2, 2, 2, -np.inf]


def test_an_event_counts_half_after_one_half_life():
    data = dataset([("a", "old", 1, 0), ("a", "new", 1, 2 * DAY), ("b", "old", 1, DAY)])
    # items sort as new, old; old has ages of 2 and 1 days: 1/4 + 1/2
    assert counts(data, half_life_days=1) == [1, 0.75]


def test_users_count_once_at_their_latest_event():
    data = dataset([("a", "x", 1, 0), ("a", "x", 1, DAY), ("b", "y", 1, DAY)])
    assert counts(data) == [2, 1]
    assert counts(data, weight="users") == [1, 1]
    assert counts(data, weight="users", half_life_days=1) == [1, 1]


def test_everyone_is_known_and_a_new_history_gets_the_same_list():
    data = toy()
    ranker = Popular(Popular.params_type()).fit(data, Inputs(), context())
    assert ranker.known_users().all()
    two = data.keep(users=np.isin(np.arange(6), [0, 5]))
    assert ranker.scores_of(two).tolist() == [[2, 3, 2, 2, 2, -np.inf]] * 2


def test_time_is_needed_only_for_decay():
    assert not Popular(Popular.params_type()).needs_time
    assert Popular(Popular.params_type(half_life_days=1)).needs_time


def test_decay_without_times_says_what_is_missing():
    with pytest.raises(DataError, match="RP502 'half_life_days' needs a time column"):
        counts(dataset([("a", "x")]), half_life_days=1)


def test_an_item_without_a_positive_event_is_not_ranked():
    nothing = toy().keep(users=np.array([False] * 5 + [True]))
    assert counts(nothing, half_life_days=1) == [-np.inf] * 6
    assert counts(nothing, weight="users") == [-np.inf] * 6
