from dataclasses import replace

import numpy as np
import pytest

from recprofile.builtin.preprocess import Sessionise, TimeDecay
from recprofile.plugin import DataError
from recprofile.testing import PreprocessorTests, context, dataset, toy

DAY = 86_400


class TestTimeDecay(PreprocessorTests):
    component = TimeDecay
    examples = [{"half_life_days": 0.001}, {"since": "user"}]


class TestSessionise(PreprocessorTests):
    component = Sessionise
    examples = [{}, {"gap_minutes": 1}]


def run(component, data, **params):
    return component(component.params_type.model_validate(params)).preprocess(data, context())


def aged():
    """u was last here on day 10, v on day 4; the test event is later than all."""
    train = [("u", "a", 4, 0), ("u", "b", 4, 10 * DAY), ("v", "a", 8, 2 * DAY), ("v", "b", 8, 4 * DAY)]
    return dataset(train, test=[("v", "c", 4, 20 * DAY)], valid=[3])


def test_an_event_of_one_half_life_counts_half_and_the_last_one_whole():
    after = run(TimeDecay, aged(), half_life_days=10)
    assert after.train.weight.tolist() == pytest.approx([2, 4, 8 * 0.5**0.8, 8 * 0.5**0.6])
    assert after.test.weight.tolist() == [4]
    assert after.valid.weight.tolist() == [8]
    assert after.notes == ("time-decay: weights of training events times 0.5 to 1, 0.684 on average",)


def test_age_from_the_users_own_last_event_lets_everybodys_last_count_whole():
    after = run(TimeDecay, aged(), half_life_days=2, since="user")
    assert after.train.weight.tolist() == pytest.approx([4 / 32, 4, 4, 8])


def test_decay_needs_times_and_says_so_to_the_plan():
    assert TimeDecay.needs_time
    assert Sessionise.needs_time


def test_decay_leaves_gaps_and_positives_as_they_are():
    data = toy()
    gap = data.train.weight.copy()
    gap[0] = np.nan
    after = run(TimeDecay, data.revise(train=replace(data.train, weight=gap)))
    assert np.isnan(after.train.weight[0])
    assert after.train.positive.tolist() == data.train.positive.tolist()


def test_a_session_ends_after_a_gap_and_positions_begin_anew():
    train = [("u", "a", 1, 0), ("v", "a", 1, 50), ("u", "b", 1, 1800), ("u", "c", 1, 3601), ("u", "d", 1, 3601)]
    after = run(Sessionise, dataset(train, test=[("u", "e", 1, 3700)]))
    assert after.train.context["session"].to_list() == [0, 0, 0, 1, 1]  # 1800 s are no gap of more than 30 minutes
    assert after.train.context["session_position"].to_list() == [0, 0, 1, 0, 1]
    assert after.test.context.rows() == [(0, 0)]
    assert after.notes == ("sessionise: 3 sessions of 1.67 training events on average",)


def test_sessions_go_by_time_whatever_the_order_of_the_file():
    train = [("u", "a", 1, 5000), ("u", "b", 1, 0), ("u", "c", 1, 10)]
    after = run(Sessionise, dataset(train))
    assert after.train.context["session"].to_list() == [1, 0, 0]
    assert after.train.context["session_position"].to_list() == [0, 0, 1]


def test_sessions_of_many_users_are_those_that_a_loop_finds():
    rng = np.random.default_rng(1)
    rows = [(int(u), int(i), 1, int(t)) for u, i, t in rng.integers(0, [9, 5, 2000], (400, 3))]
    after = run(Sessionise, dataset(rows), gap_minutes=0.5)
    expected: dict[int, tuple[int, int]] = {}
    for user in range(9):
        session = position = -1
        last = None
        for row in sorted((n for n in range(400) if rows[n][0] == user), key=lambda n: rows[n][3]):
            if last is None or rows[row][3] - last > 30:
                session, position = session + 1, -1
            position += 1
            last = rows[row][3]
            expected[row] = (session, position)
    assert after.train.context.rows() == [expected[n] for n in range(400)]


def test_times_too_far_apart_for_one_key_are_sorted_all_the_same():
    far = 2**61
    train = [("v", "a", 1, far), ("v", "b", 1, -far), ("u", "a", 1, 7), ("w", "a", 1, 3)]
    after = run(Sessionise, dataset(train))
    assert after.train.context["session"].to_list() == [1, 0, 0, 0]


def test_a_second_column_of_sessions_is_refused():
    once = run(Sessionise, toy())
    with pytest.raises(DataError, match="RP503 the interactions have a column 'session' already"):
        run(Sessionise, once)
