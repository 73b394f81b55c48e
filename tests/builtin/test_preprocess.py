import numpy as np
import polars as pl
import pytest

from recprofile.builtin.preprocess import Dedupe, Impute, KCore, Scale
from recprofile.plugin import DataError, Dataset, PositiveRule
from recprofile.testing import PreprocessorTests, context, dataset, toy


class TestDedupe(PreprocessorTests):
    component = Dedupe
    examples = [{}, {"keep": "first"}, {"keep": "max"}, {"keep": "sum"}]

    def data(self):
        return repeats()


class TestImpute(PreprocessorTests):
    component = Impute
    any_number = ["Constant.constant"]  # what is filled in
    examples = [
        {"columns": {"year": "median", "price": "mean", "users.gender": "most-frequent", "title": "constant"}},
        {"columns": {"age": {"constant": 18}, "weight": "mean", "hour": "median"}, "missing_indicator": True},
    ]

    def data(self):
        return hours(toy())


class TestKCore(PreprocessorTests):
    component = KCore
    examples = [{"min_user": 2, "min_item": 2}, {"min_user": 2, "min_item": 1, "positive_only": True}]


class TestScale(PreprocessorTests):
    component = Scale
    examples = [
        {"columns": {"price": "standard", "age": "robust", "weight": "min-max"}},
        {"columns": {"weight": "quantile", "year": "quantile", "hour": "standard"}},
    ]

    def data(self):
        return hours(toy())


def hours(data: Dataset) -> Dataset:
    """The data with a context column, of which every third value is missing."""

    def of(events):
        values = [None if n % 3 == 0 else n % 24 for n in range(len(events))]
        return _with_context(events, hour=pl.Series(values, dtype=pl.Int64))

    return data.revise(train=of(data.train), valid=of(data.valid), test=of(data.test))


def run(component, data, warned=None, **params) -> Dataset:
    made = component(component.params_type.model_validate(params))
    return made.preprocess(data, context(warn=(warned if warned is not None else []).append))


def repeats() -> Dataset:
    """u1-i1 three times, of which the last by time stands first in the file; u1-i2 twice at one moment, last held."""
    train = [
        ("u1", "i1", 3, 300), ("u1", "i1", 1, 100), ("u1", "i1", 5, 200),
        ("u1", "i2", 2, 400), ("u2", "i1", 4, 50), ("u1", "i2", 1, 400),
    ]  # fmt: skip
    test = [("u2", "i2", 1, 500), ("u2", "i2", 4, 510)]
    return dataset(train, test=test, valid=[5], positive=PositiveRule(">=", 3))


@pytest.mark.parametrize(
    ("keep", "weights", "positive", "held"),
    [
        ("last", [3, 4, 1], [True, True, False], [False, False, True]),
        ("first", [1, 2, 4], [False, False, True], [False, False, False]),
        ("max", [5, 2, 4], [True, False, True], [False, False, False]),
        # 3 + 1 + 5 and 2 + 1, each at the row of the last event
        ("sum", [9, 4, 3], [True, True, True], [False, False, True]),
    ],
)
def test_dedupe_keeps_one_event_per_user_and_item(keep, weights, positive, held):
    after = run(Dedupe, repeats(), keep=keep)
    assert after.train.weight.tolist() == weights
    assert after.train.positive.tolist() == positive
    assert after.held.tolist() == held


def test_dedupe_also_merges_test_events_and_notes_the_counts():
    after = run(Dedupe, repeats())
    assert after.test.weight.tolist() == [4]
    assert after.notes == ("dedupe: repeated events of one user with one item merged ('last'): 3 in train, 1 in test",)


def test_dedupe_goes_by_the_order_of_the_file_where_there_is_no_time():
    after = run(Dedupe, dataset([("u", "i", 2), ("u", "j", 7), ("u", "i", 1)]))
    assert after.train.weight.tolist() == [7, 1]


def test_dedupe_leaves_missing_weights_out_of_sums_and_maxima():
    data = dataset([("u", "i", float("nan")), ("u", "i", 2), ("u", "j", float("nan")), ("u", "j", float("nan"))])
    assert run(Dedupe, data, keep="max").train.weight[0] == 2
    summed = run(Dedupe, data, keep="sum").train.weight
    assert summed[0] == 2
    assert np.isnan(summed[1])


def test_dedupe_leaves_data_without_repeats_as_they_are():
    data = toy()
    assert run(Dedupe, data) is data


def test_dedupe_of_no_events_is_no_events():
    data = dataset([("u", "i")]).keep(users=np.array([False]))
    assert len(run(Dedupe, data).train) == 0


def prices(train_items=("a", "b", "c")) -> Dataset:
    """Items a, b, c are in train with prices 1, 3 and none; d, in the table only, costs 100."""
    items = {
        "id": ["a", "b", "c", "d"],
        "price": [1.0, 3.0, None, 100.0],
        "year": [2000, 2001, None, 1900],
        "genre": ["war", "art", None, "zzz"],
        "empty": [None, None, None, 5.0],
        "new": [True, None, None, False],
    }
    return dataset([("u", i) for i in train_items], items=items)


def test_impute_learns_from_items_of_the_training_part_only():
    after = run(Impute, prices(), columns={"price": "mean", "year": "median"})
    assert after.items.frame["price"].to_list() == [1, 3, 2, 100]
    assert after.items.frame["year"].to_list() == [2000, 2001, 2000.5, 1900]


def test_impute_takes_the_smallest_of_equally_frequent_values():
    after = run(Impute, prices(), columns={"genre": "most-frequent"})
    assert after.items.frame["genre"].to_list() == ["war", "art", "art", "zzz"]


def test_impute_fills_with_a_constant_of_the_columns_type():
    after = run(Impute, prices(), columns={"genre": "constant", "year": "constant", "new": "constant"})
    assert after.items.frame["genre"].to_list() == ["war", "art", "missing", "zzz"]
    assert after.items.frame["year"].to_list() == [2000, 2001, 0, 1900]
    assert after.items.frame["year"].dtype == pl.Int64
    assert after.items.frame["new"].to_list() == [True, False, False, False]
    after = run(Impute, prices(), columns={"genre": {"constant": "none"}, "year": {"constant": 1999.5}})
    assert after.items.frame["genre"][2] == "none"
    assert after.items.frame["year"][2] == 1999.5


def test_impute_notes_what_it_filled_and_can_mark_it():
    after = run(Impute, prices(), columns={"price": "mean"}, missing_indicator=True)
    assert after.items.frame["price_missing"].to_list() == [False, False, True, False]
    assert after.notes == ("impute: 1 missing values of items.price filled with 2 (mean)",)


def test_impute_fills_weights_and_sets_what_is_positive():
    nan = float("nan")
    data = dataset(
        [("u", "a", 5), ("u", "b", nan), ("v", "a", 3)], test=[("v", "b", nan)], positive=PositiveRule(">=", 4)
    )
    after = run(Impute, data, columns={"weight": "mean"})
    assert after.train.weight.tolist() == [5, 4, 3]
    assert after.test.weight.tolist() == [4]
    assert after.train.positive.tolist() == [True, True, False]
    assert after.test.positive.tolist() == [True]
    assert data.train.positive.tolist() == [True, False, False]


def test_impute_marks_filled_weights_in_a_context_column():
    data = dataset([("u", "a", 5), ("u", "b", float("nan"))])
    after = run(Impute, data, columns={"weight": "median"}, missing_indicator=True)
    assert after.train.context["weight_missing"].to_list() == [False, True]


def test_impute_fills_a_context_column_from_the_training_events():
    data = dataset([("u", "a"), ("u", "b"), ("v", "a")], test=[("v", "b")])
    with_hour = data.revise(
        train=_with_context(data.train, hour=[8, None, 10]), test=_with_context(data.test, hour=[None])
    )
    after = run(Impute, with_hour, columns={"hour": "mean"})
    assert after.train.context["hour"].to_list() == [8, 9, 10]
    assert after.test.context["hour"].to_list() == [9]


def _with_context(events, **columns):
    return type(events)(events.user, events.item, events.weight, events.time, events.positive, pl.DataFrame(columns))


def test_impute_says_which_columns_it_fills_so_that_the_loader_lets_gaps_through():
    def fills(*names):
        return Impute(Impute.params_type.model_validate({"columns": dict.fromkeys(names, "mean")})).fills()

    assert fills("price", "weight") == {"price", "weight"}
    assert fills("interactions.weight") == {"interactions.weight", "weight"}
    assert fills("items.weight") == {"items.weight"}


def test_a_column_of_two_tables_must_be_qualified():
    data = dataset([("u", "i")], items={"id": ["i"], "age": [1]}, users={"id": ["u"], "age": [None]})
    with pytest.raises(DataError, match="RP502 column 'age' stands in items and in users") as caught:
        run(Impute, data, columns={"age": "constant"})
    assert caught.value.problems[0].help == ("write 'items.age' or 'users.age'",)
    assert run(Impute, data, columns={"users.age": "constant"}).users.frame["age"][0] is not None


def test_an_unknown_column_is_refused_with_the_closest():
    for component, how in ((Impute, "mean"), (Scale, "standard")):
        with pytest.raises(DataError, match="RP502 no column 'prise'") as caught:
            run(component, prices(), columns={"prise": how})
        assert "did you mean 'price'?" in caught.value.problems[0].help


def test_a_name_like_no_column_is_told_what_the_weight_is_called():
    with pytest.raises(DataError, match="RP502 no column 'amount'") as caught:
        run(Impute, prices(), columns={"amount": "median"})
    assert caught.value.problems[0].help[0] == (
        "the events' weight is called 'weight', whatever its column in the file"
    )


def test_impute_refuses_a_column_without_any_training_value():
    with pytest.raises(
        DataError, match=r"RP505 column 'items.empty' has no value among the items of the training part"
    ):
        run(Impute, prices(), columns={"empty": "mean"})
    assert run(Impute, prices(), columns={"empty": {"constant": 1.5}}).items.frame["empty"][0] == 1.5


def test_impute_refuses_what_does_not_fit_the_column():
    with pytest.raises(DataError, match=r"RP503 'war' in column 'genre' is no number"):
        run(Impute, prices(), columns={"genre": "mean"})
    for column, value in (("price", "cheap"), ("genre", 0), ("new", 1), ("price", True)):
        with pytest.raises(DataError, match=f"RP503 the constant '{value}' does not fit column 'items.{column}'"):
            run(Impute, prices(), columns={column: {"constant": value}})


def test_k_core_drops_until_nothing_changes():
    # d goes (1 event), which leaves u3 one event, which leaves c one: a chain of rounds down to the square u1,u2 × a,b
    train = [("u1", "a"), ("u1", "b"), ("u2", "a"), ("u2", "b"), ("u2", "c"), ("u3", "c"), ("u3", "d")]
    after = run(KCore, dataset(train, test=[("u1", "d"), ("u2", "a")]), min_user=2, min_item=2)
    assert after.users.ids.ids.to_list() == ["u1", "u2"]
    assert after.items.ids.ids.to_list() == ["a", "b"]
    assert (len(after.train), len(after.test)) == (4, 1)
    assert after.notes == (
        "k-core: 1 users, 2 items, 3 training and 1 test events dropped in 4 rounds (min_user 2, min_item 2)",
    )


def test_k_core_can_count_positive_events_only():
    data = dataset([("u", "a", 5), ("u", "b", 1), ("v", "a", 5)], positive=PositiveRule(">=", 4))
    after = run(KCore, data, min_user=1, min_item=2, positive_only=True)
    assert after.items.ids.ids.to_list() == ["a"]
    assert len(after.train) == 2


def test_k_core_that_leaves_nothing_is_an_error_that_names_its_bounds():
    with pytest.raises(DataError, match="RP505 nothing is left after 'k-core' with min_user 9 and min_item 5"):
        run(KCore, toy(), min_user=9)
    nobody = toy().keep(users=np.zeros(6, np.bool_))
    with pytest.raises(DataError, match="RP505"):
        run(KCore, nobody)


def test_k_core_keeps_what_has_no_training_event_when_asked():
    data = dataset([("u", "a"), ("v", "a"), ("v", "b")], test=[("u", "cold")])
    warned: list[str] = []
    assert len(run(KCore, data, warned, min_user=1, min_item=2).test) == 0
    assert "keep_cold" in warned[0]
    after = run(KCore, data, min_user=1, min_item=2, keep_cold=True)
    assert after.items.ids.ids.to_list() == ["a", "cold"]
    assert len(after.test) == 1


def test_k_core_of_zero_drops_nothing():
    data = toy()
    assert run(KCore, data, min_user=0, min_item=0) is data


def test_scale_takes_its_statistics_from_the_training_part():
    # prices 1 and 3: mean 2, deviation 1, range 2, quartiles 1.5 and 2.5; d at 100 is not in train
    for how, values in {
        "standard": [-1, 1, None, 98],
        "min-max": [0, 1, None, 49.5],
        "robust": [-1, 1, None, 98],
    }.items():
        after = run(Scale, prices(), columns={"price": how})
        assert after.items.frame["price"].to_list() == values


def test_scale_brings_weights_to_one_size_and_leaves_positives():
    data = dataset([("u", "a", 1), ("u", "b", 5), ("v", "a", 3)], test=[("v", "b", 5)], positive=PositiveRule(">=", 4))
    after = run(Scale, data, columns={"weight": "min-max"})
    assert after.train.weight.tolist() == [0, 1, 0.5]
    assert after.test.weight.tolist() == [1]
    assert after.train.positive.tolist() == [False, True, False]


def test_scale_makes_a_constant_column_zero_and_says_so():
    data = dataset([("u", "a"), ("u", "b")], items={"id": ["a", "b", "c"], "price": [7.1, 7.1, 9], "none": [None] * 3})
    warned: list[str] = []
    after = run(Scale, data, warned, columns={"price": "standard", "none": "robust"})
    assert after.items.frame["price"].to_list() == [0, 0, 0]
    assert after.items.frame["none"].to_list() == [None] * 3
    assert warned == [
        "scale: column 'items.price' has no spread in the training part, so every value becomes 0",
        "scale: column 'items.none' has no value in the training part and stays as it is",
    ]


def test_scale_refuses_text():
    with pytest.raises(DataError, match="RP503 'war' in column 'genre' is no number"):
        run(Scale, prices(), columns={"genre": "standard"})


def test_quantile_is_the_share_below_and_half_of_the_equal_ones():
    # 1 1 2 5: ranks (0 + 2) / 2 / 4, (2 + 3) / 2 / 4, (3 + 4) / 2 / 4
    data = dataset(
        [("u", i, w) for i, w in zip("abcd", (1, 1, 2, 5), strict=True)],
        test=[("v", i, w) for i, w in zip("abc", (0, 3.5, 9), strict=True)],
    )
    after = run(Scale, data, columns={"weight": "quantile"})
    assert after.train.weight.tolist() == [0.25, 0.25, 0.625, 0.875]
    assert after.train.weight.mean() == 0.5
    assert after.test.weight.tolist() == [0, 0.75, 1]  # below all, half way from 2 to 5, above all


def test_quantile_of_a_constant_column_is_zero_and_gaps_stay():
    items = {"id": ["a", "b"], "price": [3, 3]}
    after = run(Scale, dataset([("u", "a"), ("u", "b")], items=items), columns={"price": "quantile"})
    assert after.items.frame["price"].to_list() == [0, 0]
    gaps = dataset([("u", "a"), ("u", "b"), ("u", "c")], items={"id": list("abc"), "size": [None, 1.0, 2.0]})
    assert run(Scale, gaps, columns={"size": "quantile"}).items.frame["size"].to_list() == [None, 0.25, 0.75]


def test_quantile_of_many_values_is_within_a_thousandth_of_their_ranks():
    values = np.exp(np.random.default_rng(0).normal(size=5000)).astype(np.float32)
    data = dataset([("u", n, float(w)) for n, w in enumerate(values)])
    after = run(Scale, data, columns={"weight": "quantile"}).train.weight
    ranks = (np.argsort(np.argsort(values)) + 0.5) / 5000
    assert np.abs(after - ranks).max() < 0.001


def test_what_is_learnt_is_plain_values_and_is_applied_to_later_data_that_lack_columns():
    made = Scale(Scale.params_type.model_validate({"columns": {"price": "standard", "weight": "quantile"}}))
    learnt = made.learn(prices(), context())
    assert learnt == {
        "items.price": {"centre": 2.0, "spread": 1.0},
        "interactions.weight": {"centre": 1.0, "spread": 0.0},
    }
    later = made.apply(learnt, dataset([("w", "z", 4)]), context())
    assert later.train.weight.tolist() == [0]
