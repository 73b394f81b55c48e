import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from recprofile.builtin.preprocess import Binarise, Clip
from recprofile.plugin import DataError, PositiveRule
from recprofile.testing import PreprocessorTests, context, dataset


class TestClip(PreprocessorTests):
    component = Clip
    any_number = ["Bounds.high", "Bounds.low"]  # bounds of whatever the column holds
    examples = [
        {"columns": {"price": "iqr", "age": "mad", "weight": "quantiles"}, "low_quantile": 0.2, "high_quantile": 0.8},
        {"columns": {"weight": {"low": 2, "high": 4.5}, "items.year": {"high": 2000}}},
    ]


class TestBinarise(PreprocessorTests):
    component = Binarise
    any_number = ["columns"]  # a threshold of whatever the column holds
    examples = [
        {"columns": {"price": "median", "age": "mean", "weight": {"quantile": 0.5}}},
        {"columns": {"weight": 4, "year": 1995}, "strict": True},
    ]


def run(component, data, warned=None, **params):
    made = component(component.params_type.model_validate(params))
    return made.preprocess(data, context(warn=(warned if warned is not None else []).append))


def weighing(*weights, test=()):
    train = [("u", f"i{n}", w) for n, w in enumerate(weights)]
    return dataset(train, test=[("u", "t", w) for w in test], positive=PositiveRule(">=", 4))


def test_clip_by_quartiles_reaches_one_and_a_half_times_their_distance():
    # quartiles of 0 … 8 and 100: 2.25 and 6.75, 4.5 apart; fences at 2.25 - 6.75 = -4.5 and 6.75 + 6.75 = 13.5
    after = run(Clip, weighing(*range(9), 100, test=[-50, 14, 3]), columns={"weight": "iqr"})
    assert after.train.weight.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 13.5]
    assert after.test.weight.tolist() == [-4.5, 13.5, 3]
    assert after.notes == (
        "clip: 1 values of interactions.weight raised to -4.5 and 2 values of interactions.weight lowered to 13.5",
    )


def test_clip_by_median_deviation_takes_it_as_that_of_a_normal():
    # median of 1 2 3 4 90 is 3, deviations 2 1 0 1 87 have the median 1: 3 ± 2 · 1.4826
    after = run(Clip, weighing(1, 2, 3, 4, 90), columns={"weight": "mad"}, k_mad=2)
    assert after.train.weight[4] == np.float32(3 + 2 * 1.4826)
    assert after.train.weight[:4].tolist() == [1, 2, 3, 4]


def test_clip_by_quantiles_brings_both_ends_to_them():
    # the 10th and 90th of 0 … 10 are 1 and 9
    after = run(Clip, weighing(*range(11)), columns={"weight": "quantiles"}, low_quantile=0.1, high_quantile=0.9)
    assert after.train.weight.tolist() == [1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9]


def test_clip_to_given_bounds_may_have_one_side_only_and_leaves_gaps():
    after = run(Clip, weighing(1, float("nan"), 9), columns={"weight": {"high": 5}})
    assert after.train.weight[[0, 2]].tolist() == [1, 5]
    assert np.isnan(after.train.weight[1])


def test_clip_leaves_a_column_without_spread_and_positives_as_they_are():
    warned = []
    data = weighing(5, 5, 5, 9)
    after = run(Clip, data, warned, columns={"weight": "mad"})
    assert after is data
    assert warned == ["clip: both bounds of column 'interactions.weight' would be 5 (mad), so it stays as it is"]
    assert run(Clip, weighing(1, 9), columns={"weight": {"high": 3}}).train.positive.tolist() == [False, True]


def test_clip_learns_bounds_of_items_from_those_in_training():
    items = {"id": ["i0", "i1", "i2", "z"], "price": [1, 2, 3, 100], "none": [None, None, None, 1.0]}
    data = dataset([("u", "i0"), ("u", "i1"), ("u", "i2")], items=items)
    warned = []
    after = run(Clip, data, warned, columns={"price": "iqr", "none": "iqr"})
    assert after.items.frame["price"].to_list() == [1, 2, 3, 4]  # 2.5 + 1.5 · 1
    assert warned == ["clip: column 'items.none' has no value in the training part and stays as it is"]


def test_bounds_that_are_none_or_in_the_wrong_order_are_refused():
    for wrong in ({}, {"low": 2, "high": 1}):
        with pytest.raises(ValidationError):
            Clip.params_type.model_validate({"columns": {"weight": wrong}})


@pytest.mark.parametrize(
    ("threshold", "strict", "ones"),
    [
        (3, False, [0, 0, 1, 1]),
        (3, True, [0, 0, 0, 1]),
        ("mean", False, [0, 0, 0, 1]),  # (1 + 2 + 3 + 10) / 4 = 4
        ("median", False, [0, 0, 1, 1]),  # 2.5
        ({"quantile": 1}, False, [0, 0, 0, 1]),
    ],
)
def test_binarise_is_1_from_the_threshold_on(threshold, strict, ones):
    after = run(Binarise, weighing(1, 2, 3, 10), columns={"weight": threshold}, strict=strict)
    assert after.train.weight.tolist() == ones
    assert after.train.positive.tolist() == [False, False, False, True]


def test_binarise_compares_weights_in_the_precision_that_they_have():
    assert run(Binarise, weighing(0.7, 0.1), columns={"weight": 0.7}).train.weight.tolist() == [1, 0]


def test_binarise_leaves_gaps_and_counts_what_became_what():
    items = {"id": ["a", "b", "c"], "price": [1.0, None, 3.0], "none": [None] * 3}
    data = dataset([("u", "a"), ("u", "b"), ("u", "c")], items=items)
    after = run(Binarise, data, columns={"price": 2})
    assert after.items.frame["price"].to_list() == [0, None, 1]
    assert after.items.frame["price"].dtype == pl.Int64
    assert after.notes == ("binarise: 1 values of items.price are at least 2, 1 are not",)
    with pytest.raises(DataError, match=r"RP505 column 'items.none' has no value in the training part"):
        run(Binarise, data, columns={"none": "mean"})
    assert run(Binarise, data, columns={"none": 1}).items.frame["none"].to_list() == [None] * 3
