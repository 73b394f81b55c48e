"""`preprocess: propensity`: the formula, what becomes of weights, and learning without the bias of what was shown."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recprofile.builtin.encode import Als
from recprofile.builtin.preprocess import Propensity, PropensityParams
from recprofile.plugin import DataError, Dataset, IdMap, Interactions, PositiveRule, Table
from recprofile.testing import PreprocessorTests, RecipeBox, context, dataset, toy


def with_shown(data: Dataset) -> Dataset:
    """The data with a context column 'shown' from .1 to .9."""

    def give(events: Interactions) -> Interactions:
        return replace(events, context=pl.DataFrame({"shown": np.linspace(0.1, 0.9, len(events))}))

    return data.revise(train=give(data.train), valid=give(data.valid), test=give(data.test))


class TestPropensity(PreprocessorTests):
    component = Propensity
    examples = [{"weights": "keep"}, {"weights": "multiply", "power": 1.5}, {"weights": "replace", "column": "shown"}]

    def data(self) -> Dataset:
        return with_shown(toy())


def run(data: Dataset, **params) -> Dataset:
    return Propensity(PropensityParams(**params)).preprocess(data, context())


def shared() -> Dataset:
    """Item a was taken by four users, b by one, and c by nobody in training; the last event of b is a repeat."""
    train = [("u1", "a"), ("u2", "a"), ("u3", "a"), ("u4", "a"), ("u1", "b"), ("u1", "b")]
    return dataset(train, test=[("u2", "b"), ("u2", "c"), ("u1", "c")], valid=[4])


def test_propensity_is_the_root_of_relative_popularity():
    # 4 of 4 users, 1 of 4; c counts as one.
    after = run(shared())
    assert after.train.context["propensity"].to_list() == [1, 1, 1, 1, 0.5, 0.5]
    assert after.test.context["propensity"].to_list() == [0.5, 0.5, 0.5]
    assert after.valid.context["propensity"].to_list() == [0.5]


def test_power_says_how_it_grows_and_clip_where_it_ends():
    assert run(shared(), power=1).train.context["propensity"].to_list() == [1, 1, 1, 1, 0.25, 0.25]
    assert run(shared(), power=1, clip=0.3).train.context["propensity"].to_list() == [1, 1, 1, 1, 0.3, 0.3]
    assert run(shared(), power=0).train.context["propensity"].to_list() == [1] * 6


def test_weights_are_the_inverse_with_a_mean_of_1():
    # 1 and 2, divided by their mean 8 / 6
    assert run(shared()).train.weight.tolist() == pytest.approx([0.75] * 4 + [1.5] * 2)


def test_the_mean_of_1_is_over_positive_events():
    data = dataset([("u", "a", 5), ("v", "a", 5), ("w", "a", 5), ("x", "a", 5), ("u", "b", 1)],
                   positive=PositiveRule(">=", 4))  # fmt: skip
    assert run(data, weights="replace").train.weight.tolist() == [1, 1, 1, 1, 2]
    assert run(data, weights="multiply").train.weight.tolist() == [5, 5, 5, 5, 2]
    assert run(data, weights="multiply").train.positive.tolist() == [True] * 4 + [False]


def test_validation_and_test_weights_stay():
    data, after = toy(), run(toy(), weights="replace")
    assert after.test.weight.tolist() == data.test.weight.tolist()
    assert after.valid.weight.tolist() == data.valid.weight.tolist()


def test_ratings_are_not_overwritten_unless_that_is_said():
    with pytest.raises(DataError) as told:
        run(toy())
    assert told.value.problems[0].code == "RP503"
    assert "weights of their own" in told.value.problems[0].message
    assert run(toy(), weights="keep").train.weight.tolist() == toy().train.weight.tolist()


def test_a_column_of_the_log_is_taken_and_cut_at_clip():
    after = run(with_shown(shared()), column="shown", clip=0.3)
    assert after.train.context["propensity"].to_list() == pytest.approx([0.3, 0.3, 0.42, 0.58, 0.74, 0.9])
    assert after.train.context.columns == ["shown", "propensity"]


def test_a_column_of_the_items_is_that_of_each_event():
    data = dataset([("u", "a"), ("v", "b")], items={"id": ["a", "b"], "reach": [0.2, 0.8]})
    assert run(data, column="reach").train.context["propensity"].to_list() == [0.2, 0.8]


@pytest.mark.parametrize("wrong", [0.0, -1.0, 1.5, None, float("inf"), "often"])
def test_a_propensity_that_is_none_is_refused(wrong):
    data = dataset([("u", "a"), ("v", "b")], items={"id": ["a", "b"], "reach": [wrong, wrong]})
    with pytest.raises(DataError) as told:
        run(data, column="reach")
    assert told.value.problems[0].code == "RP503"


def test_a_logged_propensity_is_not_overwritten():
    data = run(shared())
    with pytest.raises(DataError, match="a column 'propensity' already"):
        run(data)
    again = run(data, column="propensity", weights="keep")
    assert again.train.context["propensity"].to_list() == data.train.context["propensity"].to_list()


def test_a_note_says_how_far_weights_went():
    assert run(shared()).notes == (
        "propensity: 0.5 to 1, 0 of 6 training events at the least, 0.1; weights times 0.75 to 1.5",
    )


def test_test_events_are_not_counted():
    more = shared()
    blind = more.revise(test=more.test.take(np.zeros(3, np.bool_)))
    assert run(blind).train.weight.tolist() == run(more).train.weight.tolist()


def shown_by_chance(seed: int) -> tuple[Dataset, np.ndarray]:
    """What is relevant, by taste, and the part of it that was shown: few items nearly always, most hardly ever."""
    rng = np.random.default_rng(seed)
    n, m, d = 600, 200, 5
    taste = rng.normal(size=(n, d)) @ rng.normal(size=(d, m)) * 2 / np.sqrt(d) - 1.5
    relevant = rng.random((n, m)) < 1 / (1 + np.exp(-taste))
    shown = np.clip(4 / rng.permutation(np.arange(1, m + 1)), 0.03, 0.9)
    user, item = (codes.astype(np.int32) for codes in np.nonzero(relevant & (rng.random((n, m)) < shown)))
    ones = np.ones(len(user), np.float32)
    log = Interactions(user, item, ones, None, ones > 0, pl.DataFrame({"shown": shown[item]}))
    tables = [Table(IdMap(pl.Series(np.arange(size)))) for size in (n, m)]
    return Dataset(*tables, log, Interactions.empty(), Interactions.empty(), ones < 0), relevant


def true_precision(data: Dataset, relevant: np.ndarray, *, weighted: bool) -> float:
    """Share of what is truly relevant among the ten best that als finds for each user, of what they do not have."""
    encoded = Als(Als.params_type(dim=16, epochs=8, weighted=weighted)).encode(data, context())
    scores = np.where(data.seen().toarray() > 0, -np.inf, encoded.users.vectors @ encoded.items.vectors.T)
    best = np.argsort(-scores, axis=1)[:, :10]
    return float(np.take_along_axis(relevant, best, axis=1).mean())


def test_weighed_als_finds_more_of_what_is_relevant_than_als_on_what_was_shown():
    worlds = [shown_by_chance(seed) for seed in range(4)]
    naive = np.array([true_precision(data, relevant, weighted=False) for data, relevant in worlds])
    for how in ({"column": "shown"}, {"power": 1}):
        weighed = [true_precision(run(data, **how), relevant, weighted=True) for data, relevant in worlds]
        assert (np.array(weighed) - naive).mean() > 0.01  # .30 becomes .32


def test_a_recipe_learns_and_judges_by_propensities(tmp_path):
    box = RecipeBox(tmp_path)
    stages = """
- preprocess: propensity
  with: {weights: replace, power: 1}
- encode: als
  with: {dim: 2, weighted: true}
- fuse: concat
- recommend: dot
"""
    more = "evaluate: {metrics: [snips-dcg@3, popularity-lift@3]}\n"
    ran = box.run(box.recipe(stages, more=more)).check()
    assert ran.metric("snips-dcg@3") >= 0
    assert ran.metric("popularity-lift@3") > -1
    assert "propensity" in ran.artifact("propensity").test.context.columns


def test_validate_knows_the_column_that_is_added(tmp_path):
    box = RecipeBox(tmp_path)
    stages = """
- preprocess: propensity
  with: {weights: keep}
- preprocess: propensity
  id: again
  with: {column: propensity, weights: keep, clip: 0.5}
- recommend: popular
"""
    box.run(box.recipe(stages), command="validate").check()
