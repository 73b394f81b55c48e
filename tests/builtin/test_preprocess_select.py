import numpy as np
import polars as pl
import pytest

from recprofile.builtin.preprocess import Select
from recprofile.builtin.preprocess.informative import (
    as_correlation,
    as_doubles,
    correlation,
    lasso,
    mutual_information,
    variance,
)
from recprofile.plugin import DataError
from recprofile.testing import PreprocessorTests, context, dataset, toy


class TestSelect(PreprocessorTests):
    component = Select
    examples = [
        {},
        {"method": "variance", "at_least": 0.2, "columns": ["year", "price"]},
        {"method": "mutual-information", "outcome": "mean-weight", "k": 1, "keep": ["title"]},
        {"method": "lasso", "axis": "user", "outcome": "age"},
    ]


def run(data, warned=None, **params):
    made = Select(Select.params_type.model_validate(params))
    return made.preprocess(data, context(warn=(warned if warned is not None else []).append))


def shop(n=400):
    """Items of which `loud` decides how many events they have, and `kind` partly; `noise` and `flat` say nothing."""
    rng = np.random.default_rng(3)
    loud = rng.integers(0, 20, n)
    items = {
        "id": [f"i{i:03}" for i in range(n)],
        "loud": loud.tolist(),
        "copy": (2 * loud + rng.normal(0, 1, n)).tolist(),
        "kind": ["big" if one > 12 else "small" for one in loud],
        "noise": rng.normal(0, 1, n).tolist(),
        "flat": [7] * n,
        "colour": rng.choice(["red", "blue"], n).tolist(),
        "title": [f"title {i}" for i in range(n)],
    }
    train = [(f"u{u}", f"i{i:03}") for i in range(n) for u in range(loud[i] + 1)]
    return dataset(train, items=items)


@pytest.mark.parametrize(
    ("method", "gone"),
    [
        ("correlation", {"noise", "flat", "colour"}),
        ("mutual-information", {"noise", "flat", "colour"}),
        ("lasso", {"noise", "flat", "colour"}),
    ],
)
def test_columns_that_say_nothing_of_the_outcome_go(method, gone):
    data = shop()
    after = run(data, method=method, at_least=0.12 if method != "lasso" else 0.01)
    assert set(data.items.columns) - set(after.items.columns) == gone
    assert "title" in after.items.columns  # free text is not judged
    assert f"dropped by {method} with popularity: " in after.notes[0]
    assert "flat 0" in after.notes[0]


def test_variance_drops_what_never_changes_and_asks_for_no_outcome():
    after = run(shop(), method="variance")
    assert "flat" not in after.items.columns
    assert {"noise", "colour", "kind"} <= set(after.items.columns)
    assert run(toy(), method="variance", axis="user", columns=["gender"]).users.columns == toy().users.columns


def test_k_keeps_the_best_and_keep_what_it_names():
    after = run(shop(), method="correlation", k=1, keep=["flat"])
    assert [name for name in after.items.columns if name != "title"] == ["loud", "flat"]


def test_a_column_can_be_the_outcome_and_stays():
    after = run(shop(), outcome="loud", k=1)
    assert {"loud", "copy"} <= set(after.items.columns)
    assert "noise" not in after.items.columns
    with pytest.raises(DataError, match="RP503 the outcome 'title' is String, and must be numbers"):
        run(shop(), outcome="title")
    with pytest.raises(DataError, match="RP502 no column 'lod'"):
        run(shop(), outcome="lod")


def test_an_outcome_that_tells_nothing_apart_drops_nothing_and_says_so():
    data = dataset([("u", i) for i in "abcd"], items={"id": list("abcd"), "price": [1, 2, 3, 4]})
    warned = []
    assert run(data, warned) is data
    assert warned == ["select: the outcome 'popularity' tells no items apart, so that no column is dropped"]


def test_correlation_is_that_of_numpy_over_rows_that_both_know():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=50), rng.normal(size=50)
    x[3], y[7] = np.nan, np.nan
    rows = ~np.isnan(x) & ~np.isnan(y)
    assert correlation(pl.Series(x), y) == pytest.approx(abs(np.corrcoef(x[rows], y[rows])[0, 1]))
    assert correlation(pl.Series([1.0] * 50), y) == 0


def test_mutual_information_of_equal_halves_is_log_2_less_what_chance_shows():
    # 2 by 2 parts of 100 rows: log 2 - 1 / 200
    values = pl.Series(["a", "b"] * 50)
    outcome = np.array([0.0, 1.0] * 50)
    assert mutual_information(values, outcome) == pytest.approx(np.log(2) - 1 / 200)
    assert mutual_information(values, np.repeat([0.0, 1.0], 50)) == 0
    assert mutual_information(values, np.full(100, np.nan)) == 0


def test_mutual_information_of_numbers_is_that_of_a_loop_over_their_tenths():
    rng = np.random.default_rng(5)
    x = rng.normal(size=2000)
    y = x + rng.normal(size=2000)

    def tenths(v):
        edges = np.quantile(v, np.arange(1, 10) / 10)
        return [sum(one > e for e in edges) for one in v]

    pairs = list(zip(tenths(x), tenths(y), strict=True))
    total = 0.0
    for a in range(10):
        for b in range(10):
            both = pairs.count((a, b)) / 2000
            of_a, of_b = sum(p[0] == a for p in pairs) / 2000, sum(p[1] == b for p in pairs) / 2000
            total += both * np.log(both / (of_a * of_b)) if both else 0
    found = mutual_information(pl.Series(x), y)
    assert found == pytest.approx(total - 81 / 4000)
    assert as_correlation(found) == pytest.approx(np.sqrt(0.5), abs=0.05)  # r of y = x + noise of the same size


def test_variance_is_of_numbers_between_0_and_1_and_of_categories_by_their_shares():
    assert variance(pl.Series([0, 10])) == 0.25
    assert variance(pl.Series([True, False, None, True, False])) == 0.25
    assert variance(pl.Series(["a", "a", "b", "c", None])) == pytest.approx(1 - (0.25 + 1 / 16 + 1 / 16))
    for nothing in (pl.Series([None, None]), pl.Series(["a", "a"]), pl.Series([3.0]), pl.Series([], dtype=pl.Float64)):
        assert variance(nothing) == 0


def test_the_lasso_meets_its_own_conditions_of_a_minimum():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 5))
    x[:, 4] = x[:, 0] + 0.1 * rng.normal(size=300)
    y = 3 * x[:, 0] - x[:, 1] + 0.5 * rng.normal(size=300)
    found = lasso({str(j): pl.Series(x[:, j]) for j in range(5)}, y, l1=0.2)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    t = (y - y.mean()) / y.std()
    penalty = 0.2 * np.abs(z.T @ t / 300).max()
    signs = np.sign([np.corrcoef(x[:, j], y)[0, 1] for j in range(5)])
    w = np.array(list(found.values())) * signs
    slope = z.T @ (t - z @ w) / 300
    active = w != 0
    assert np.allclose(slope[active], penalty * np.sign(w[active]), atol=1e-6)
    assert (np.abs(slope[~active]) <= penalty + 1e-6).all()
    assert (active[0], active[2], active[3]) == (True, False, False)


def test_the_lasso_takes_gaps_at_the_mean_and_constants_as_nothing():
    y = np.array([1.0, 2, 3, 4])
    found = lasso(
        {"x": pl.Series([1, None, None, 4]), "one": pl.Series([5] * 4), "gap": pl.Series([None] * 4)}, y, l1=0.1
    )
    assert found["x"] > 0
    assert (found["one"], found["gap"]) == (0, 0)


def test_times_are_numbers_and_infinities_are_missing():
    assert as_doubles(pl.Series([1, 2]).cast(pl.Date)).tolist() == [1, 2]
    assert np.isnan(as_doubles(pl.Series([float("inf"), None]))).all()
