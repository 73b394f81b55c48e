"""What components tune themselves by: `Context.refit` through the engine, and `judge`."""

import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from recprofile.builtin import Ease, Popular
from recprofile.engine.refits import digest_of
from recprofile.plugin import Inputs, Params, Recommender, UserScores, hookimpl, judge
from recprofile.testing import RecipeBox, context, dataset, toy

STAGES = """
- encode: category
  with: {columns: [genre]}
- fuse: mean-history
- recommend: ease
  with: {l2: 1}
- recommend: mine/asks
  from: [ease, category, mean-history]
"""
DATA = """\
data:
  interactions: {path: log.csv, user: u, item: i}
  items: {path: items.csv, id: i}
  split: {by: random, holdout: 0.3}
"""


class Asks(Recommender[Params]):
    """Takes rankers, and asks for them on the tuning part; gives the first of the whole data's."""

    name = "asks"
    takes_rankers = True
    told: list = []

    def fit(self, data, inputs, ctx):
        fit = data.for_tuning()
        self.told.append((data, fit, inputs, ctx.refit(fit), ctx.refit(data.for_tuning())))
        return inputs.rankers["ease"]

    def restore(self, pack, data, inputs, ctx):
        return inputs.rankers["ease"]


@pytest.fixture
def box(tmp_path, monkeypatch):
    module = ModuleType("made_for_refits")
    module.recprofile_recommenders = hookimpl(lambda: [Asks], specname="recprofile_recommenders")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(Asks, "told", [])
    box = RecipeBox(tmp_path)
    box.plugin("mine", module)
    users, items = np.divmod(np.arange(120), 10)
    keep = (users * 7 + items * 3) % 4 != 0
    box.write("log.csv", {"u": users[keep], "i": items[keep]})
    box.write("items.csv", {"i": np.arange(10), "genre": list("aabbccddee")})
    return box


def test_refitted_inputs_have_not_seen_the_validation_events(box):
    box.run(box.recipe(STAGES, data=DATA)).check()
    ((data, fit, inputs, again, twice),) = Asks.told
    users = np.arange(data.n_users, dtype=np.int32)
    want = Ease(Ease.params_type(l2=1)).fit(fit, Inputs(), context()).scores(users)
    np.testing.assert_array_equal(again.rankers["ease"].scores(users), want)
    assert (inputs.rankers["ease"].scores(users) != want).any()
    assert twice.rankers["ease"] is again.rankers["ease"]
    # What hangs on the items alone is the same; profiles are pooled from the history that is left.
    np.testing.assert_array_equal(again.encoded["category"].items.vectors, inputs.encoded["category"].items.vectors)
    assert again.profiles.history.nnz == len(fit.train) < inputs.profiles.history.nnz == len(data.train)


def test_refitted_inputs_come_from_the_cache_the_next_time(box, monkeypatch):
    box.run(box.recipe(STAGES, data=DATA)).check()
    fits = []
    monkeypatch.setattr(Ease, "fit", lambda self, *given: fits.append(given))
    box.run(box.recipe(STAGES.replace("mine/asks", "mine/asks\n  id: other"), data=DATA)).check()
    assert len(Asks.told) == 2
    assert fits == []
    users = np.arange(12, dtype=np.int32)
    first, second = (told[3].rankers["ease"].scores(users) for told in Asks.told)
    np.testing.assert_array_equal(first, second)


def test_stages_done_again_keep_what_they_chose_on_all_the_data(box):
    # a blend in a blend: on the tuning part the inner one has no validation events to choose weights by
    stages = """
- recommend: ease
  with: {l2: 1}
- recommend: item-knn
- recommend: blend
  id: inner
  from: [ease, item-knn]
- recommend: popular
- recommend: blend
  id: outer
  from: [inner, popular]
- recommend: mine/asks
  from: [ease, inner, outer]
"""
    box.run(box.recipe(stages, data=DATA)).check()
    ((_, _, inputs, again, _),) = Asks.told
    for name in ("inner", "outer"):
        assert again.rankers[name].pack().values == inputs.rankers[name].pack().values
    assert (
        again.rankers["ease"].pack().arrays["weights"].tolist()
        != inputs.rankers["ease"].pack().arrays["weights"].tolist()
    )


def test_the_digest_is_of_the_training_events():
    data = toy()
    assert digest_of(data) == digest_of(data.revise(test=data.test.take(np.zeros(len(data.test), np.bool_))))
    assert digest_of(data) != digest_of(data.for_tuning() if len(data.valid) else data.keep(users=np.arange(6) > 0))
    heavier = replace(data.train, weight=data.train.weight + 1)
    assert digest_of(data) != digest_of(data.revise(train=heavier))


def test_a_memo_is_made_once_and_not_carried_to_other_events():
    data, made = toy(), []
    make = lambda: made.append(1) or len(made)  # noqa: E731 - counts its calls
    assert [data.memo("gram", make), data.memo("gram", make), data.memo("other", make)] == [1, 1, 2]
    assert data.note("said").memo("gram", make) == 1
    assert data.revise(notes=()).memo("gram", make) == 3


LOG = [("u1", "a"), ("u1", "b"), ("u2", "a"), ("u2", "c"), ("u3", "a"), ("u3", "b")]


def test_judge_gives_the_metric_of_each_user_with_something_relevant():
    data = dataset(LOG, test=[("u1", "c"), ("u2", "b"), ("u3", "a")])
    popular = Popular(Popular.params_type()).fit(data, Inputs(), context())
    found = judge(popular, data, metric="mrr@2")
    # u1: c is all that is left to list; u2: b; what u3 has seen cannot be relevant
    assert found.users.tolist() == [0, 1]
    assert found.values.tolist() == [1, 1]
    only_a = data.items.ids.codes(["a"])
    mask = np.isin(np.arange(3), only_a)
    assert judge(popular, data, metric="hit-rate@1", candidates=mask).users.tolist() == []
    seen_too = judge(popular, data, metric="hit-rate@1", exclude_seen=False)
    assert seen_too.users.tolist() == [0, 1, 2]
    assert seen_too.values.tolist() == [0, 0, 1]


def test_judge_refuses_metrics_that_no_user_has():
    data = dataset(LOG, test=[("u1", "c")])
    popular = Popular(Popular.params_type()).fit(data, Inputs(), context())
    for metric in ("coverage@10", "rmse", "nosuch@3"):
        with pytest.raises(ValueError, match=metric):
            judge(popular, data, metric=metric)


def test_the_one_standard_error_rule_pairs_users():
    a = UserScores(np.array([0, 1, 2, 4], np.int32), np.array([0.5, 0.6, 0.7, 0.1]))
    b = UserScores(np.array([0, 1, 2, 3], np.int32), np.array([0.4, 0.5, 0.6, 0.9]))
    gain = a.minus(b)
    assert gain.users.tolist() == [0, 1, 2]
    assert gain.mean == pytest.approx(0.1)
    assert a.beats(b)
    assert not b.beats(a)
    assert not a.beats(a)
    alone = UserScores(np.array([3], np.int32), np.array([0.5]))
    assert (alone.mean, alone.error) == (0.5, 0)
    none = UserScores(np.zeros(0, np.int32), np.zeros(0))
    assert (none.mean, none.error) == (0, 0)
