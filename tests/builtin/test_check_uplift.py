"""`check: uplift`: by hand, against a truth that is known, where the plain difference fails, and its edges."""

from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from recprofile.builtin.check import Uplift, UpliftParams
from recprofile.builtin.check.effects import effects, fitted_score, qini, qini_bins, qini_curve
from recprofile.builtin.check.nuisance import design, folds, linear, logistic, ridge, sigmoid
from recprofile.plugin import CheckResult, DataError, Dataset, IdMap, Inputs, Interactions, Recommendations, Table
from recprofile.testing import CheckTests, RecipeBox, context, dataset, toy


class TestUplift(CheckTests):
    component = Uplift
    examples = [
        {"treatment": "treated", "outcome": "spent", "min_group": 2, "min_effect": 0, "covariates": ["age", "gender"]},
        {"treatment": "treated", "outcome": "weight", "min_group": 2, "min_effect": 0, "segment": "gender"},
        {"treatment": "pushed", "outcome": "weight", "min_group": 2, "score": "price", "min_qini": 0},
    ]

    def data(self) -> Dataset:
        def give(events: Interactions) -> Interactions:
            return replace(events, context=pl.DataFrame({"pushed": np.arange(len(events)) % 2}))

        data = toy()
        users = data.users.with_columns(
            pl.Series("treated", [1, 0, 1, 0, 1, 0]), pl.Series("spent", [3.0, 1, 4, 2, 5, 3])
        )
        return data.revise(users=users, train=give(data.train), valid=give(data.valid), test=give(data.test))


def people(columns) -> tuple[Dataset, Recommendations]:
    """Users 0 … n-1 with these columns, and no lists."""
    n = len(next(iter(columns.values())))
    data = dataset([(0, 0)], users={"id": list(range(n)), **columns})
    return data, lists(data, [])


def lists(data: Dataset, rows) -> Recommendations:
    items = np.array(rows, np.int32).reshape(len(rows), len(rows[0]) if rows else 1)
    scores = np.where(items >= 0, 0, np.nan).astype(np.float32)
    who = np.arange(len(items), dtype=np.int32)
    return Recommendations(data.users.ids, data.items.ids, who, items, scores, np.zeros(len(items), np.int8))


def check(data: Dataset, recs: Recommendations, seed=0, **params) -> CheckResult:
    given = {"treatment": "t", "outcome": "y", "min_effect": 0, "min_group": 2, "bootstrap": 200}
    return Uplift(UpliftParams(**{**given, **params})).check(recs, Inputs(), data, context(seed=seed))


def measure(result: CheckResult, name: str):
    return next(m for m in result.measures if m.name == name)


def test_by_lot_the_effect_is_the_difference_of_means():
    result = check(*people({"t": [1, 1, 0, 0], "y": [5, 7, 1, 3]}))
    assert measure(result, "difference of means").value == 4
    assert measure(result, "adjusted effect").value == pytest.approx(4, abs=1.5)  # means of other folds
    assert result.passed is True


def test_a_constant_outcome_has_no_effect():
    result = check(*people({"t": [1, 0] * 10, "y": [2.0] * 20}))
    assert (measure(result, "adjusted effect").value, measure(result, "difference of means").value) == (0, 0)
    assert result.passed is True


def test_treatment_may_be_true_and_false():
    result = check(*people({"t": [True, True, False, False], "y": [5, 7, 1, 3]}))
    assert measure(result, "difference of means").value == 4


def test_events_take_the_treatment_of_their_user():
    # a and b are treated; events earn 4, 4, 4 with treatment and 1, 1 without.
    train = [("a", "i", 4), ("a", "j", 4), ("b", "i", 4), ("c", "i", 1)]
    data = dataset(train, test=[("d", "j", 1)], users={"id": list("abcd"), "t": [1, 1, 0, 0]})
    result = check(data, lists(data, [[0, -1], [0, -1], [1, -1], [1, -1]]), outcome="weight")
    assert measure(result, "difference of means").value == 3
    # Listed: a-i, b-i, d-j; not: a-j, c-i.
    assert dict(result.groups.select("group", "n").rows()) == {"in the list": 3, "not in the list": 2}


def test_groups_with_a_small_arm_have_no_effect_shown():
    result = check(*people({"t": [1, 0, 1, 0, 1], "y": [1, 0, 1, 0, 1], "g": ["a", "a", "a", "a", None]}), segment="g")
    assert result.groups.select("group", "n", "treated", "untreated").rows() == [
        ("a", 4, 2, 2), ("(missing)", 1, 1, 0)
    ]  # fmt: skip
    assert result.groups["value"][1] is None


def test_units_that_lack_something_are_counted():
    columns = {"t": [1, 1, None, 0, 0], "y": [1, None, 1, 0, 0], "s": [1, 2, 3, 4, None]}
    result = check(*people(columns), score="s", min_group=1 + 1)
    told = dict(result.tables["Units"].rows())
    assert told["left out, without treatment"] == 1
    assert told["left out, without outcome"] == 1
    assert told["left out, without score"] == 1
    assert (told["treated users"], told["untreated users"]) == (1, 1)
    assert result.passed is None


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"t": [1, 1, 1], "y": [1, 2, 3]}, "no verdict: 3 users are treated and 0 are not, and 2 of each are needed"),
        ({"t": [None, None], "y": [1.0, 2]}, "no verdict: 0 users are treated and 0 are not, of fewer than two users"),
    ],
)
def test_no_verdict_says_why(columns, why):
    result = check(*people(columns))
    assert (result.passed, result.summary) == (None, why)


def test_events_of_one_user_give_no_verdict():
    data = dataset([("a", "i", 4), ("a", "j", 4), ("a", "k", 1), ("a", "l", 1)])
    data = data.revise(train=replace(data.train, context=pl.DataFrame({"t": [1, 1, 0, 0]})))
    result = check(data, lists(data, []), outcome="weight")
    assert result.passed is None
    assert "of fewer than two users" in result.summary


@pytest.mark.parametrize("wrong", [2, 0.5, -1])
def test_a_treatment_is_0_or_1(wrong):
    with pytest.raises(DataError, match="a treatment is 0 or 1"):
        check(*people({"t": [1.0, 0.0, float(wrong)], "y": [1, 2, 3]}))


def test_columns_that_do_not_go_together_are_refused():
    data = dataset([("a", "i")], users={"id": ["a"], "t": [1], "y": [1]}, items={"id": ["i"], "price": [1]})
    for params in ({"treatment": "price"}, {"outcome": "price"}, {"treatment": "weight"}):
        with pytest.raises(DataError, match="do not go together"):
            check(data, lists(data, []), **params)
    with pytest.raises(DataError, match="is not of the users"):
        check(data, lists(data, []), covariates=["price"])


def test_a_check_that_could_not_fail_is_refused():
    with pytest.raises(ValidationError, match="could never fail"):
        UpliftParams(treatment="t", outcome="y")
    with pytest.raises(ValidationError, match="needs a 'score'"):
        UpliftParams(treatment="t", outcome="y", min_qini=0)


def test_the_qini_curve_by_hand():
    # Two bins of one unit each, which gain 4 and 0. By score ½·4 after one, 2 after both; by lot half of that.
    share, gain = qini_curve(np.array([1.0, 1]), np.array([4.0, 0]))
    assert share.tolist() == [0, 0.5, 1]
    assert gain.tolist() == [0, 2, 2]
    # Under the curve ½·2/2 + ½·2, under the line 1.
    assert float(qini(np.array([1.0, 1]), np.array([4.0, 0]))) == 0.5
    assert float(qini(np.array([1.0, 1]), np.array([0.0, 4]))) == -0.5
    assert float(qini(np.array([2.0]), np.array([4.0]))) == 0


def test_equal_scores_share_a_bin_and_those_without_have_none():
    assert qini_bins(np.array([1.0, 3, np.nan, 3, 2])).tolist() == [2, 0, -1, 0, 1]


def test_many_scores_fall_into_bins_of_like_size():
    bins = qini_bins(np.random.default_rng(0).random(10_000))
    assert bins.max() == 199
    assert np.bincount(bins).min() >= 49
    assert np.bincount(bins).max() <= 51


def test_ridge_and_logistic_find_the_slopes_they_were_given():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 2))
    assert ridge(x, 1 + x @ [2, -1], l2=1e-9) == pytest.approx([1, 2, -1])
    drawn = (rng.random(20_000) < sigmoid(0.5 + x @ [1, -0.5])).astype(float)
    assert logistic(x, drawn, l2=1e-9) == pytest.approx([0.5, 1, -0.5], abs=0.06)


def test_logistic_of_one_class_and_of_separable_data_stays_finite():
    x = np.linspace(-1, 1, 20)[:, None]
    assert np.isfinite(logistic(x, np.ones(20), l2=1)).all()
    apart = logistic(x, (x[:, 0] > 0).astype(float), l2=0.1)
    assert (sigmoid(linear(x, apart))[x[:, 0] > 0.5] > 0.9).all()


def test_covariates_become_numbers():
    columns = [pl.Series("a", [1, 3, None]), pl.Series("b", ["x", "x", None]), pl.Series("c", [7, 7, 7])]
    x = design(columns, 3)
    assert x[:, 0].tolist() == pytest.approx([-(1.5**0.5), 1.5**0.5, 0])  # missing at the mean
    assert x.shape == (3, 5)  # a, where it is missing, x, missing, c
    assert x[:, 4].tolist() == [0, 0, 0]
    assert np.allclose(x.mean(axis=0), 0)
    assert design([], 4).shape == (4, 0)


def test_a_column_that_is_neither_number_nor_text_is_refused():
    with pytest.raises(DataError, match="must be numbers or text"):
        design([pl.Series("a", [[1], [2]])], 2)


def test_folds_part_the_users():
    user = np.array([3, 3, 5, 7, 7, 7, 9])
    masks = list(folds(user, 3, np.random.default_rng(0)))
    assert (np.sum(masks, axis=0) == 1).all()
    for mask in masks:
        assert set(user[mask]).isdisjoint(user[~mask])
    assert len(list(folds(np.array([1]), 5, np.random.default_rng(0)))) == 1


def test_a_fitted_score_judges_none_of_its_teachers():
    rng = np.random.default_rng(0)
    x, user = rng.normal(size=(100, 1)), np.arange(100)
    t = (np.arange(100) % 2).astype(float)
    score = fitted_score(x[:, 0] * t, t, x, user, l2=1e-6, rng=np.random.default_rng(1))
    judged = ~np.isnan(score)
    assert judged.sum() == 50
    assert score[judged] == pytest.approx(x[judged, 0], abs=1e-6)  # the effect is x itself
    assert np.isnan(fitted_score(x[:, 0], np.ones(100), x, user, l2=1, rng=rng)).all()


# A world in which all is known: who is treated hangs on x₀, as the outcome does, and the effect is 1 + x₁ + (g = b).
OWN = np.random.default_rng(9).normal(size=400_000) + np.repeat([0, 1], 200_000)
BEST_QINI = float((np.cumsum(1 + -np.sort(-OWN)) / OWN.size).mean() - (1 + OWN).mean() / 2)


def world(rng, *, n=300, lot=False, effect=True, wrong=False) -> tuple[Dataset, Recommendations]:
    """Users whose covariates are x0, x1, g; `wrong`: the outcome hangs on x₀ in a way that no ridge finds."""
    x, g = rng.normal(size=(n, 2)), rng.random(n) < 0.5
    e = np.full(n, 0.5) if lot else sigmoid(0.8 * x[:, 0])
    t = rng.random(n) < e
    gain = (1 + x[:, 1] + g) if effect else np.zeros(n)
    base = 3 * np.abs(x[:, 0] - 0.5) if wrong else 2 * x[:, 0]
    y = base + t * gain + rng.normal(size=n)
    columns = {"x0": x[:, 0], "x1": x[:, 1], "g": np.where(g, "b", "a"), "t": t.astype(int), "y": y, "e": e,
               "oracle": x[:, 1] + g, "dice": rng.random(n)}  # fmt: skip
    ids, nothing = IdMap(pl.Series(np.arange(n))), Interactions.empty()
    items = Table(IdMap(pl.Series([0])))
    data = Dataset(Table(ids, pl.DataFrame(columns)), items, nothing, nothing, nothing, np.zeros(0, np.bool_))
    return data, lists(data, [])


COVARIATES = ("x0", "x1", "g")
STUDIES = {
    "confounded": ({}, {"covariates": COVARIATES, "segment": "g", "score": "oracle"}),
    "by dice": ({}, {"covariates": COVARIATES, "score": "dice"}),
    "by lot": ({"lot": True}, {"score": "oracle"}),
    "nothing": ({"lot": True, "effect": False}, {"covariates": COVARIATES}),
    "wrong outcome model": ({"wrong": True}, {"covariates": COVARIATES}),
    "given propensity": ({"wrong": True}, {"propensity": "e"}),
}


@cache
def repeated(study: str) -> dict[str, np.ndarray]:
    """Each number in 200 worlds: value, low, high."""
    made, params = STUDIES[study]
    rng = np.random.default_rng(1)
    found: dict[str, list[tuple[float, float, float]]] = {}
    for n in range(200):
        result = check(*world(rng, **made), seed=n, **params)
        for m in result.measures:
            found.setdefault(m.name, []).append((m.value, m.low, m.high))
        for row in result.groups.rows(named=True) if result.groups.width else []:
            found.setdefault(row["group"], []).append((row["value"], row["low"], row["high"]))
    return {name: np.array(rows) for name, rows in found.items()}


@pytest.mark.parametrize(
    ("study", "name", "truth"),
    [
        ("confounded", "adjusted effect", 1.5),
        ("confounded", "a", 1),
        ("confounded", "b", 2),
        ("confounded", "Qini coefficient", BEST_QINI),
        ("by dice", "Qini coefficient", 0),
        ("by lot", "difference of means", 1.5),
        ("by lot", "adjusted effect", 1.5),
        ("nothing", "adjusted effect", 0),
        ("nothing", "Qini coefficient", 0),
        ("wrong outcome model", "adjusted effect", 1.5),
        ("given propensity", "adjusted effect", 1.5),
    ],
)
def test_estimates_average_to_the_truth_and_their_intervals_cover_it(study, name, truth):
    value, low, high = repeated(study)[name].T
    assert value.mean() == pytest.approx(truth, abs=3 * value.std() / np.sqrt(200) + 0.01)
    # .95 less three standard errors of 200 trials and what 200 resamples lack
    assert 0.89 < ((low <= truth) & (truth <= high)).mean() < 0.995


def test_the_difference_of_means_is_off_where_treatment_is_not_by_lot():
    value, low, high = repeated("confounded")["difference of means"].T
    assert value.mean() > 1.5 + 1
    assert ((low <= 1.5) & (high >= 1.5)).mean() < 0.05


def test_a_fitted_score_finds_most_of_what_there_is_to_find():
    rng = np.random.default_rng(2)
    found = [measure(check(*world(rng), seed=n, covariates=COVARIATES), "Qini coefficient").value for n in range(40)]
    assert 0.85 * BEST_QINI < np.mean(found) < 1.1 * BEST_QINI


def test_effects_are_cut_where_arms_hardly_overlap():
    x = np.linspace(-3, 3, 200)[:, None]
    t = (x[:, 0] > 0).astype(float)
    found = effects(t, t, x, np.arange(200), propensity=None, n_folds=5, l2=0.01, rng=np.random.default_rng(0))
    assert found.cut > 50
    assert 0.01 <= found.propensity.min() < found.propensity.max() <= 0.99


def test_the_gates_are_the_lower_ends():
    data, recs = world(np.random.default_rng(3))
    result = check(data, recs, covariates=COVARIATES, score="oracle")
    effect, area = measure(result, "adjusted effect"), measure(result, "Qini coefficient")
    for name, found in (("min_effect", effect), ("min_qini", area)):
        for step, holds in ((-0.01, True), (0.01, False)):
            limits = {"min_effect": -9, name: found.low + step}
            assert check(data, recs, covariates=COVARIATES, score="oracle", **limits).passed is holds
    assert check(data, recs, covariates=COVARIATES, score="dice", min_effect=None, min_qini=0.05).passed is False
    assert result.summary.startswith("the treatment changes 'y' by 1.")
    curve = result.tables["Qini curve"]
    assert curve["gain by score"][-1] == pytest.approx(effect.value)
    assert (curve["gain by score"] >= curve["gain by lot"] - 1e-9).all()


def test_a_recipe_measures_a_campaign(tmp_path):
    box = RecipeBox(tmp_path)
    data, _ = world(np.random.default_rng(4), n=200)
    box.write("people.csv", {"id": list(range(200)), **data.users.frame.to_dict(as_series=False)})
    rows = {"user": np.repeat(np.arange(200), 3), "item": np.tile([0, 1, 2], 200)}
    box.write("log.csv", rows)
    block = """\
data:
  interactions: log.csv
  users: people.csv
  split: {by: random, holdout: 0.34}
"""
    stages = """
- recommend: popular
- check: uplift
  with: {treatment: t, outcome: y, covariates: [x0, x1, g], segment: g, min_effect: 0.5, min_qini: 0}
"""
    ran = box.run(box.recipe(stages, data=block)).check()
    verdict = ran.json("checks.json")[0]
    assert verdict["passed"] is True
    assert [m["name"] for m in verdict["measures"]] == ["adjusted effect", "difference of means", "Qini coefficient"]
    assert len(verdict["groups"]) == 2
    wrong = stages.replace("outcome: y", "outcome: yy")
    assert box.run(box.recipe(wrong, data=block), command="validate").codes == ["RP502"]
