import numpy as np
import pytest
from pydantic import ValidationError

from recprofile.builtin.preprocess import Derive
from recprofile.plugin import DataError, PositiveRule
from recprofile.testing import PreprocessorTests, context, dataset, toy

DAY = 86_400
EVERY = ["events", "positives", "positive-share", "mean-weight", "partners", "recency-days", "age-days"]


class TestDerive(PreprocessorTests):
    component = Derive
    examples = [{"items": EVERY, "users": EVERY}, {"users": ["events"]}]


def run(data, **params):
    return Derive(Derive.params_type.model_validate(params)).preprocess(data, context())


def test_measures_are_of_training_events_alone():
    train = [("u", "a", 5, 0), ("u", "a", 1, DAY), ("v", "a", 4, 3 * DAY), ("v", "b", float("nan"), 4 * DAY)]
    data = dataset(train, test=[("u", "cold", 5, 9 * DAY), ("u", "b", 5, 9 * DAY)], positive=PositiveRule(">=", 4))
    after = run(data, items=EVERY, users=EVERY)
    assert after.items.frame.to_dict(as_series=False) == {
        "events": [3, 1, 0],
        "positives": [2, 0, 0],
        "positive_share": [2 / 3, 0, None],
        "mean_weight": [10 / 3, None, None],
        "partners": [2, 1, 0],
        "recency_days": [1, 0, None],
        "age_days": [4, 0, None],
    }
    assert after.users.frame.rows() == [(2, 1, 0.5, 3, 1, 3, 4), (2, 1, 0.5, 4, 2, 0, 1)]


def test_times_are_needed_only_for_days():
    def needs(**params):
        return Derive(Derive.params_type.model_validate(params)).needs_time

    assert not needs(items=["events", "mean-weight"])
    assert needs(users=["recency-days"])
    after = run(dataset([("u", "a", 3)]), items=["events", "mean-weight"])
    assert after.items.frame.rows() == [(1, 3)]


def test_nothing_to_derive_and_a_column_that_is_there_are_refused():
    with pytest.raises(ValidationError):
        Derive.params_type.model_validate({})
    once = run(toy(), items=["events"])
    with pytest.raises(DataError, match="RP503 the items have a column 'events' already, so none can be added"):
        run(once, items=["events"])


def test_new_items_have_counts_of_nothing():
    made = Derive(Derive.params_type.model_validate({"items": ["events", "recency-days"]}))
    learnt = made.learn(toy(), context())
    assert learnt == {"now": 320}
    new = toy().keep(users=np.zeros(6, np.bool_))
    assert set(made.apply(learnt, new, context()).items.frame.select("events", "recency_days").rows()) == {(0, None)}
