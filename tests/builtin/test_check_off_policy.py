"""`check: off-policy`: by hand, against a truth that is known, where each estimate fails, and its edges."""

from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest

from recprofile.builtin.check import OffPolicy, OffPolicyParams
from recprofile.builtin.check.off_policy import effective_size, shown_shares
from recprofile.builtin.check.resample import draw
from recprofile.builtin.check.rewards import fit_rewards
from recprofile.plugin import CheckResult, DataError, Dataset, IdMap, Inputs, Interactions, Recommendations, Table
from recprofile.testing import CheckTests, RecipeBox, context, dataset, toy


def with_columns(data: Dataset, **columns) -> Dataset:
    """The data with context columns, each a function of the events."""

    def give(events: Interactions) -> Interactions:
        return replace(events, context=pl.DataFrame({name: make(events) for name, make in columns.items()}))

    return data.revise(train=give(data.train), valid=give(data.valid), test=give(data.test))


class TestOffPolicy(CheckTests):
    component = OffPolicy
    examples = [
        {"min_effective": 1, "k": 2},
        {"min_effective": 1, "reward": "click", "estimator": "snips", "min_value": 0.1, "k": 2, "temperature": 0.5},
        {"estimator": "ips", "max_weight": 2},
    ]

    def data(self) -> Dataset:
        return with_columns(
            toy(), propensity=lambda e: np.linspace(0.2, 0.9, len(e)), click=lambda e: np.arange(len(e)) % 2
        )


def log(test, train=(), propensity=0.5) -> Dataset:
    """Showings (user, item, reward[, propensity]) in test; training showings (user, item, reward)."""
    events = [e[:3] for e in test]
    data = dataset(list(train) or [("u", "x", 0)], test=events)
    chance = [e[3] if len(e) > 3 else propensity for e in test]
    given = data.revise(test=replace(data.test, context=pl.DataFrame({"propensity": chance}, strict=False)))
    train_context = pl.DataFrame({"propensity": [0.5] * len(data.train)})
    return given.revise(train=replace(data.train, context=train_context))


def lists(data: Dataset, items, scores=None, users=None) -> Recommendations:
    rows = np.array([data.items.ids.codes(row) for row in items], np.int32)
    made = np.tile(np.arange(rows.shape[1], 0, -1), (len(rows), 1)) if scores is None else np.array(scores)
    made = np.where(rows >= 0, made, np.nan).astype(np.float32)
    who = data.users.ids.codes(users) if users else np.arange(len(rows), dtype=np.int32)
    return Recommendations(data.users.ids, data.items.ids, who, rows, made, np.zeros(len(rows), np.int8))


def check(data: Dataset, recs: Recommendations, seed=0, **params) -> CheckResult:
    made = OffPolicy(OffPolicyParams(**{"min_effective": 1, "bootstrap": 100, **params}))
    return made.check(recs, Inputs(), data, context(seed=seed))


def estimates(result: CheckResult) -> dict[str, float]:
    return dict(result.tables["Estimates"].select("estimate", "value").rows())


def measures(result: CheckResult) -> dict[str, float]:
    return {m.name: m.value for m in result.measures}


# u would be shown x, v would be shown y. Of four showings two are of those: u-x at .5, which earned 1, v-y at .25, 3.
TEST = [("u", "x", 1, 0.5), ("u", "y", 5, 0.5), ("v", "y", 3, 0.25), ("v", "x", 0, 0.75)]
TRAIN = [("u", "x", 2), ("v", "x", 2)]  # mean 2, nothing differs: the reward model says 2 of all


def test_estimates_are_those_of_the_formulas():
    data = log(TEST, TRAIN)
    result = check(data, lists(data, [["x"], ["y"]]))
    # Weights 2 and 4. Doubly robust: 2 + [2·(1 - 2) + 4·(3 - 2)] / 4.
    assert estimates(result) == pytest.approx(
        {"ips": (2 * 1 + 4 * 3) / 4, "snips": (2 * 1 + 4 * 3) / 6, "dr": 2.5, "direct": 2, "logged": 9 / 4}
    )
    assert measures(result)["effective sample size"] == pytest.approx(6**2 / (4 + 16))
    assert measures(result)["share of events supported"] == 0.5
    assert measures(result)["mean importance weight"] == 1.5
    assert measures(result)["gain over the log's policy"] == pytest.approx(2.5 - 9 / 4)


def test_without_training_rewards_doubly_robust_is_by_inverse_propensities():
    data = log(TEST)
    data = data.revise(train=data.train.take(np.zeros(1, np.bool_)), held=np.zeros(0, np.bool_))
    data = data.revise(train=replace(data.train, context=pl.DataFrame(schema={"propensity": pl.Float64})))
    found = estimates(check(data, lists(data, [["x"], ["y"]])))
    assert found["dr"] == found["ips"]


def test_a_cut_of_weights_holds():
    data = log(TEST, TRAIN)
    assert estimates(check(data, lists(data, [["x"], ["y"]]), max_weight=3))["ips"] == (2 * 1 + 3 * 3) / 4


def test_k_shows_one_of_the_first_items_alike_or_by_their_scores():
    items = np.array([[0, 1, 2], [3, -1, -1], [-1, -1, -1]], np.int32)
    scores = np.array([[3, 3, 1], [7, np.nan, np.nan], [np.nan] * 3], np.float32)
    assert shown_shares(items, scores, None).tolist() == [pytest.approx([1 / 3] * 3), [1, 0, 0], [0, 0, 0]]
    # e^{3/2} : e^{3/2} : e^{1/2} is e : e : 1
    by_score = shown_shares(items, scores, 2.0)
    assert by_score[0] == pytest.approx(np.array([np.e, np.e, 1]) / (2 * np.e + 1))
    assert by_score[1:].tolist() == [[1, 0, 0], [0, 0, 0]]


def test_a_low_temperature_shows_the_first_item_and_does_not_overflow():
    shares = shown_shares(np.array([[0, 1]], np.int32), np.array([[1e6, 1.0]], np.float32), 1e-3)
    assert shares.tolist() == [[1, 0]]


def test_shares_do_not_depend_on_the_block(monkeypatch):
    data, recs = world(np.random.default_rng(0), n=50)
    whole = estimates(check(data, recs, k=2))
    monkeypatch.setattr("recprofile.builtin.check.off_policy.CELLS", 1)
    assert estimates(check(data, recs, k=2)) == whole


def test_the_reward_model_is_of_damped_means():
    model = fit_rewards(
        np.array([0, 0, 1], np.int32), np.array([0, 1, 0], np.int32), np.array([1.0, 0, 2]), n_users=3, n_items=3,
        damping=1.0,
    )  # fmt: skip
    # Mean 1; items: (0 + 1) / 3, -1 / 2; users: (0 - 1/3 - 1 + 1/2) / 3, (1 - 1/3) / 2; user 2 and item 2 are unknown.
    assert model.expected(np.array([0, 1, 2]), np.array([0, 1, 2])) == pytest.approx(
        [1 + 1 / 3 - 5 / 18, 1 - 1 / 2 + 1 / 3, 1]
    )


def test_the_effective_size_of_equal_weights_is_their_number():
    assert effective_size(np.full(7, 3.0)) == pytest.approx(7)
    assert effective_size(np.array([1.0, 0, 0])) == 1
    assert effective_size(np.zeros(3)) == 0


# A world in which all is known. Three kinds of users; what they like, what the log showed them, what lists show them.
LIKED = np.array([[0.1, 0.2, 0.5, 0.3, 0.8], [0.6, 0.1, 0.2, 0.4, 0.3], [0.1, 0.2, 0.1, 0.2, 0.2]])
SHOWN = np.array([[0.4, 0.3, 0.1, 0.15, 0.05], [0.1, 0.4, 0.3, 0.1, 0.1], [0.2, 0.2, 0.2, 0.2, 0.2]])
LISTED = np.array([[4, 2, 3], [0, 3, 4], [1, 0, 3]])
FIRST = float(np.mean([LIKED[kind, LISTED[kind, 0]] for kind in range(3)]))
ANY = float(np.mean([LIKED[kind, LISTED[kind]].mean() for kind in range(3)]))
IN_LOG = float((LIKED * SHOWN).sum(axis=1).mean())


def world(rng, *, n=200, each=6, liked=LIKED, learn=6, told=None) -> tuple[Dataset, Recommendations]:
    """Showings of n users; `told` is what the log says of its propensities, where that is wrong."""
    kind = rng.integers(0, 3, n)

    def showings(many: int) -> Interactions:
        user = np.repeat(np.arange(n), many).astype(np.int32)
        drawn = rng.random((len(user), 1)) > SHOWN[kind[user]].cumsum(axis=1)
        item = np.minimum(drawn.sum(axis=1), 4).astype(np.int32)
        reward = (rng.random(len(user)) < liked[kind[user], item]).astype(np.float32)
        chance = (SHOWN if told is None else told)[kind[user], item]
        return Interactions(user, item, reward, None, reward > 0, pl.DataFrame({"propensity": chance}))

    train = showings(learn)
    none = np.zeros(len(train), np.bool_)
    ids = IdMap(pl.Series(np.arange(n))), IdMap(pl.Series(np.arange(5)))
    data = Dataset(Table(ids[0]), Table(ids[1]), train, train.take(none), showings(each), none)
    who, scores = np.arange(n, dtype=np.int32), np.tile(np.float32([2, 1, 0]), (n, 1))
    return data, Recommendations(*ids, who, LISTED[kind].astype(np.int32), scores, np.zeros(n, np.int8))


@cache
def repeated(k: int, truth: float) -> dict[str, np.ndarray]:
    """Each estimate in 250 worlds: value, and whether its interval covers the truth."""
    rng = np.random.default_rng(k)
    found = [check(*world(rng, n=300), seed=n, k=k, bootstrap=300).tables["Estimates"] for n in range(250)]
    return {
        name: np.array([(row["value"], row["low"] <= truth <= row["high"])
                        for table in found for row in table.rows(named=True) if row["estimate"] == name])
        for name in ("ips", "snips", "dr", "direct", "logged")
    }  # fmt: skip


@pytest.mark.parametrize(("k", "truth"), [(1, FIRST), (3, ANY)])
@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_estimates_average_to_the_truth_and_their_intervals_cover_it(name, k, truth):
    values, covers = repeated(k, truth)[name].T
    assert values.mean() == pytest.approx(truth, abs=3 * values.std() / np.sqrt(250))
    assert 0.905 < covers.mean() < 0.99  # .95 less three standard errors of 250 trials


@pytest.mark.parametrize("name", ["direct", "logged"])
def test_the_mean_of_the_log_and_the_reward_model_alone_are_off(name):
    values, covers = repeated(1, FIRST)[name].T
    assert abs(values.mean() - FIRST) > 0.2  # the truth is .53
    assert covers.mean() < 0.05


def test_the_mean_reward_of_matching_showings_is_off():
    # What one would take without propensities: users to whom the log shows what they like count more.
    data, recs = world(np.random.default_rng(0), n=20_000)
    matching = recs.items[data.test.user, 0] == data.test.item
    assert data.test.weight[matching].mean() < FIRST - 0.1
    assert estimates(check(data, recs))["snips"] == pytest.approx(FIRST, abs=0.02)


# Rewards that are the sum of a user's and an item's part, so that the reward model is right.
SUMS = np.array([0.05, 0.15, 0.3])[:, None] + np.array([0.1, 0.2, 0.3, 0.4, 0.5])
BEST = float(np.mean([SUMS[kind, LISTED[kind, 0]] for kind in range(3)]))


def test_doubly_robust_is_right_with_wrong_propensities_where_the_reward_model_is_right():
    data, recs = world(np.random.default_rng(3), n=3000, liked=SUMS, learn=60, told=np.full((3, 5), 0.2))
    found = estimates(check(data, recs, damping=0.1))
    assert found["dr"] == pytest.approx(BEST, abs=0.02)
    assert found["ips"] < BEST - 0.15


def test_doubly_robust_has_less_spread_where_the_reward_model_is_good():
    rng = np.random.default_rng(4)
    found = [estimates(check(*world(rng, n=100, liked=SUMS, learn=30), damping=1)) for _ in range(60)]
    spread = {name: np.std([f[name] for f in found]) for name in ("ips", "dr")}
    assert spread["dr"] < 0.85 * spread["ips"]  # .68 to .087


def test_wrong_propensities_are_told_by_the_mean_weight():
    data, recs = world(np.random.default_rng(5), n=500, told=np.minimum(1, SHOWN * 2))
    result = check(data, recs)
    assert measures(result)["mean importance weight"] == pytest.approx(0.5, abs=0.1)
    assert "and not 1: the log misses what the lists show" in result.summary
    right, recs = world(np.random.default_rng(5), n=500)
    assert "and not 1" not in check(right, recs).summary


def test_the_gate_is_the_lower_end_against_the_limit_or_the_gain_over_the_log():
    data, recs = world(np.random.default_rng(6))
    better = check(data, recs)
    assert better.passed is True
    assert better.summary.endswith("is above 0 with all of its interval")
    value = better.measures[0]
    assert value.name == "value by dr"
    assert check(data, recs, min_value=value.low - 0.01).passed is True
    assert check(data, recs, min_value=value.low + 0.01).passed is False
    least = np.array([1, 0, -1, -1, 0], np.int32)[recs.items[:, :1]]  # what those like least who have 0, 1 or 4 first
    assert check(data, replace(recs, items=least, scores=recs.scores[:, :1])).passed is False


def test_events_that_cannot_be_used_are_counted():
    test = [*TEST, ("u", "x", 1, None), ("v", "x", float("nan"), 0.5), ("w", "x", 1, 0.5)]
    data = log(test, TRAIN)
    result = check(data, lists(data, [["x"], ["y"]], users=["u", "v"]))
    told = dict(result.tables["Log"].rows())
    assert told["test events"] == 7
    assert told["left out, without a propensity"] == 1
    assert told["left out, without a reward"] == 1
    assert told["left out, whose user has no list"] == 1
    assert told["used"] == 4
    assert estimates(result)["ips"] == 3.5


@pytest.mark.parametrize(
    ("test", "why"),
    [
        ([], "no verdict: there are no test events"),
        ([("u", "x", 1, None)], "no verdict: no test event can be used (1 left out, without a propensity)"),
        ([("u", "x", 1), ("u", "x", 0)], "no verdict: one user has usable test events"),
        ([("u", "y", 1), ("v", "x", 0)], "no verdict: none of 2 test events shows what the lists would show"),
    ],
)
def test_no_verdict_says_why(test, why):
    data = log(test, [*TRAIN, ("v", "y", 2)])
    result = check(data, lists(data, [["x"], ["y"]]))
    assert (result.passed, result.summary) == (None, why)


def test_too_small_an_effective_size_gives_no_verdict():
    data = log(TEST, TRAIN)
    result = check(data, lists(data, [["x"], ["y"]]), min_effective=2)
    assert result.passed is None
    assert result.summary == "no verdict: the test events weigh as much as 1.8, and 2 are needed"
    assert measures(result)["effective sample size"] == pytest.approx(1.8)


@pytest.mark.parametrize("wrong", [0.0, 1.2, -1.0])
def test_a_propensity_that_is_none_is_refused(wrong):
    data = log([("u", "x", 1, wrong)], TRAIN)
    with pytest.raises(DataError) as told:
        check(data, lists(data, [["x"], ["x"]]))
    assert told.value.problems[0].code == "RP503"


def test_a_log_without_propensities_is_told():
    data = toy()
    with pytest.raises(DataError) as told:
        check(data, lists(data, [["i1"]] * 6))
    assert told.value.problems[0].code == "RP502"
    assert "'propensity'" in told.value.problems[0].message


def test_a_resample_has_as_many_users_as_there_are():
    rows = np.ones((13, 2))
    drawn = draw(rows, times=50, confidence=0.9, rng=np.random.default_rng(0))
    assert (drawn.samples == 13).all()
    assert drawn.sums.tolist() == [13, 13]


def test_resamples_do_not_depend_on_the_block(monkeypatch):
    rows = np.random.default_rng(0).normal(size=(20, 3))
    whole = draw(rows, times=30, confidence=0.9, rng=np.random.default_rng(1))
    monkeypatch.setattr("recprofile.builtin.check.resample.CELLS", 40)
    np.testing.assert_array_equal(draw(rows, times=30, confidence=0.9, rng=np.random.default_rng(1)).samples,
                                  whole.samples)  # fmt: skip


def test_a_recipe_judges_its_lists_by_a_log(tmp_path):
    box = RecipeBox(tmp_path)
    rng = np.random.default_rng(0)
    rows = {name: rng.integers(0, high, 600) for name, high in (("user", 30), ("item", 5))}
    rows["click"] = (rng.random(600) < np.array([0.8, 0.1, 0.1, 0.1, 0.1])[rows["item"]]).astype(int)
    box.write("log.csv", {**rows, "chance": [0.2] * 600})
    data = """\
data:
  interactions: {path: log.csv, columns: [click, chance]}
  split: {by: random, holdout: 0.5}
"""
    stages = """
- recommend: popular
- check: off-policy
  with: {propensity: chance, reward: click, k: 5}
  fail: warn
"""
    ran = box.run(box.recipe(stages, data=data, more="list: {k: 5, exclude_seen: false}\n")).check()
    verdict = ran.json("checks.json")[0]
    assert verdict["passed"] is False  # five items alike are what the log showed
    assert verdict["measures"][0]["value"] == pytest.approx(0.24, abs=0.05)
