"""The kit for plugin authors finds what it says it finds, and its box runs recipes as a person would."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType
from typing import Literal

import numpy as np
import pytest

from recprofile.artifacts import Embeddings, Encoded, Profiles
from recprofile.errors import DataError, RunError
from recprofile.plugin import (
    Context,
    Encoder,
    Field,
    ItemColumns,
    LearningPreprocessor,
    Params,
    Preprocessor,
    Ranker,
    Recommender,
    Reranker,
    Updater,
)
from recprofile.testing import (
    EncoderTests,
    Given,
    PreprocessorTests,
    ProfileRanker,
    RecipeBox,
    RecommenderTests,
    RerankerTests,
    UpdaterTests,
    emptied,
    first_lists,
    fused,
    same_pack,
    toy,
    without_values,
)
from recprofile.testing.recorded import Recorded


class PlainParams(Params):
    columns: ItemColumns = Field(("year",), min_length=1, description="Numeric item columns.")
    scale: float = Field(1.0, gt=0, le=10, description="Factor of every number.")


class Plain(Encoder[PlainParams]):
    """Numbers as they are."""

    name = "plain"

    def encode(self, data, ctx):
        return Embeddings("item", data.items.ids, np.nan_to_num(data.items.numbers(self.params.columns)))


class LooseParams(PlainParams):
    scale: float = Field(1.0, description="Factor of every number.")


class NamelessParams(PlainParams):
    scale: float = Field(1.0, gt=0)


class OpenParams(PlainParams):
    model_config = {"extra": "ignore"}


class Loose(Plain, Encoder[LooseParams]):
    """A number without a range."""


class Undescribed(Plain, Encoder[NamelessParams]):
    """A parameter without a description."""


class Open(Plain, Encoder[OpenParams]):
    """Takes any parameter."""


class Wordless(Plain):
    """ """


class Rolling(Plain):
    """Another result each time."""

    def encode(self, data, ctx):
        return Embeddings("item", data.items.ids, np.random.default_rng().normal(size=(data.n_items, 1)).astype("f4"))


class Hashing(Plain):
    """Another result in each process."""

    def encode(self, data, ctx):
        value = np.float32(hash("one") % 2**24)
        return Embeddings("item", data.items.ids, np.full((data.n_items, 1), value))


class Writing(Plain):
    """Writes to what it is given."""

    def encode(self, data, ctx):
        data.train.weight[:] = 0
        return super().encode(data, ctx)


class WritingToTheMemo(Plain):
    """Writes to a matrix that others share."""

    def encode(self, data, ctx):
        data.matrix("train").data[:] = 0
        return super().encode(data, ctx)


class Half(Plain):
    """Half of the items."""

    def encode(self, data, ctx):
        kept = data.items.keep(np.arange(data.n_items) < data.n_items // 2)
        return Embeddings("item", kept.ids, np.zeros((len(kept), 1), np.float32))


class Peeking(Plain):
    """Learns from the test events."""

    def encode(self, data, ctx):
        return Embeddings("item", data.items.ids, np.full((data.n_items, 1), len(data.test), np.float32))


class Crashing(Plain):
    """Divides by how many there are."""

    def encode(self, data, ctx):
        _ = 1 // data.n_users, 1 // data.n_items, 1 // len(data.train), 1 // (data.n_items - 1)
        return super().encode(data, ctx)


class Gappy(Plain):
    """Gives NaN where a value is missing."""

    def encode(self, data, ctx):
        return Embeddings("item", data.items.ids, data.items.numbers(self.params.columns))


class Trusting(Plain):
    """Takes a column that is not there for zeros."""

    def encode(self, data, ctx):
        known = [name for name in self.params.columns if name in data.items.columns]
        return Embeddings("item", data.items.ids, np.nan_to_num(data.items.numbers(known)))


class Speechless(Plain):
    """Raises what a dictionary would."""

    def encode(self, data, ctx):
        for name in self.params.columns:
            if name not in data.items.columns:
                raise KeyError(name)
        return super().encode(data, ctx)


def kit(component, of=EncoderTests, examples=({},)):
    made = of()
    type(made).component = component
    type(made).examples = examples
    return made


def encoder_kit(component):
    class Tests(EncoderTests):
        pass

    return kit(component, Tests)


def run_test(tests, name, tmp_path):
    test = getattr(tests, name)
    return test(tmp_path) if "tmp_path" in test.__code__.co_varnames[: test.__code__.co_argcount] else test()


class TestPlain(EncoderTests):
    component = Plain
    examples = [{}, {"columns": ["year", "price"], "scale": 2.0}]


@pytest.mark.parametrize(
    ("component", "test"),
    [
        (Loose, "test_every_number_has_a_range"),
        (Undescribed, "test_every_parameter_is_described"),
        (Open, "test_an_unknown_parameter_is_refused"),
        (Wordless, "test_it_has_a_name_a_verb_and_a_docstring"),
        (Rolling, "test_the_same_input_gives_the_same_result_and_is_left_unchanged"),
        (Writing, "test_the_same_input_gives_the_same_result_and_is_left_unchanged"),
        (WritingToTheMemo, "test_the_same_input_gives_the_same_result_and_is_left_unchanged"),
        (Hashing, "test_a_fresh_process_gives_the_same_result_on_the_cpu"),
        (Half, "test_ids_are_those_of_the_data"),
        (Peeking, "test_test_events_are_not_learnt_from"),
        (Crashing, "test_data_without_users_are_answered_or_refused"),
        (Crashing, "test_data_without_items_are_answered_or_refused"),
        (Crashing, "test_data_without_events_are_answered_or_refused"),
        (Crashing, "test_one_user_one_item_and_one_event_are_answered_or_refused"),
        (Gappy, "test_missing_values_are_answered_or_refused"),
        (Trusting, "test_a_column_that_there_is_not_is_told_with_the_nearest_one"),
        (Speechless, "test_a_column_that_there_is_not_is_told_with_the_nearest_one"),
    ],
)
def test_a_component_that_breaks_a_rule_does_not_pass(component, test, tmp_path):
    with pytest.raises(Exception):  # noqa: B017, PT011 - an AssertionError, or what the component itself raised
        run_test(encoder_kit(component), test, tmp_path)
    run_test(encoder_kit(Plain), test, tmp_path / "plain") if "fresh" not in test else None


class Centred(Preprocessor[Params]):
    """Takes the mean out of weights: that of training events."""

    name = "centred"

    def weights(self, data):
        return data.train.weight

    def preprocess(self, data, ctx):
        weight = data.train.weight - np.float32(np.nan_to_num(self.weights(data).mean()) if len(data.train) else 0)
        return data.revise(train=replace(data.train, weight=weight))


class Overheard(Centred):
    """The mean is that of test events too."""

    def weights(self, data):
        return np.concatenate([data.train.weight, data.test.weight])


class Foretold(Centred):
    """The mean is that of validation events alone."""

    def weights(self, data):
        return data.valid.weight if len(data.valid) else data.train.weight


class Surrounded(Preprocessor[Params]):
    """Takes the mean out of a column: that of all items, those without a training event included."""

    name = "surrounded"

    def preprocess(self, data, ctx):
        if "price" not in data.items.columns:
            return data
        price = data.items.column("price")
        return data.revise(items=data.items.with_columns(price - price.mean()))


class Remembering(LearningPreprocessor[Params]):
    """Learns the time of the last event of all, and does nothing with it."""

    name = "remembering"

    def learn(self, data, ctx):
        return {"last": max((int(part.time.max()) for part in (data.train, data.test) if len(part)), default=None)}

    def apply(self, learnt, data, ctx):
        return data


class Numb(LearningPreprocessor[Params]):
    """Learns an array, which no JSON holds."""

    name = "numb"

    def learn(self, data, ctx):
        return {"mean": data.train.weight[:1]}

    def apply(self, learnt, data, ctx):
        return data


class Homebound(LearningPreprocessor[Params]):
    """Does to events what hangs on attributes that later ones do not have."""

    name = "homebound"

    def learn(self, data, ctx):
        return {}

    def apply(self, learnt, data, ctx):
        factor = np.float32(1 + len(data.items.columns))
        return data.revise(train=replace(data.train, weight=data.train.weight * factor))


@pytest.mark.parametrize(
    ("component", "test"),
    [
        (Overheard, "test_it_learns_from_the_training_part_alone"),
        (Foretold, "test_it_learns_from_the_training_part_alone"),
        (Surrounded, "test_it_learns_from_the_training_part_alone"),
        (Remembering, "test_it_learns_from_the_training_part_alone"),
        (Numb, "test_what_it_learnt_is_plain_and_is_taken_again_from_a_file"),
        (Homebound, "test_what_it_learnt_is_applied_to_later_events_and_to_new_items"),
    ],
)
def test_a_preprocessor_that_leaks_or_cannot_be_done_again_does_not_pass(component, test):
    def kit(one):
        return type("Tests", (PreprocessorTests,), {"component": one})()

    with pytest.raises((AssertionError, TypeError)):
        getattr(kit(component), test)()
    getattr(kit(Centred), test)()


class Moody(Recommender[Params]):
    """Says that it can rank new users, and cannot."""

    name = "moody"
    ranks_new_users = True

    def fit(self, data, inputs, ctx):
        return ProfileRanker(fused(data))

    def restore(self, pack, data, inputs, ctx):
        return ProfileRanker(fused(data))


def test_a_recommender_that_cannot_do_what_it_says_does_not_pass():
    class Tests(RecommenderTests):
        component = Moody

    with pytest.raises(AssertionError):
        Tests().test_it_can_do_what_it_says()


class Inventing(Reranker[Params]):
    """Puts the last item of the catalogue into every list."""

    name = "inventing"

    def rerank(self, recs, inputs, data, ctx):
        from dataclasses import replace

        items = recs.items.copy()
        items[:, 0] = data.n_items - 1
        return replace(recs, items=items, scores=np.where(items < 0, np.nan, recs.scores).astype(np.float32))


def test_a_reranker_that_adds_an_item_does_not_pass():
    class Tests(RerankerTests):
        component = Inventing
        k = 1

    with pytest.raises(AssertionError):
        Tests().test_lists_hold_only_items_that_were_given_each_once()


class Drifting(Updater[Params]):
    """Moves everyone a little, whatever happened."""

    name = "drifting"

    def update(self, profiles, events, data, ctx):
        from dataclasses import replace

        return replace(profiles, user_vectors=profiles.user_vectors + np.float32(0.1))


class Still(Updater[Params]):
    """Moves nobody, and calls that exact."""

    name = "still"
    exact = True

    def update(self, profiles, events, data, ctx):
        return profiles


@pytest.mark.parametrize(
    ("updater", "test"),
    [
        (Drifting, "test_profiles_do_not_move_without_events"),
        (Drifting, "test_users_without_events_do_not_move"),
        (Drifting, "test_an_update_in_two_halves_equals_one_of_both"),
        (Still, "test_an_exact_updater_equals_a_full_rebuild"),
    ],
)
def test_an_updater_that_breaks_a_rule_does_not_pass(updater, test):
    class Tests(UpdaterTests):
        component = updater

    with pytest.raises(AssertionError):
        getattr(Tests(), test)()


# --- what is given


def test_what_a_component_is_given_is_the_same_after_the_disk():
    data = toy()
    given = Given(data, recs=first_lists(data, 2), ranker=ProfileRanker(fused(data)), events=data.test)
    again = Given.unpack(given.pack())
    assert same_pack(given.pack(), again.pack())
    assert isinstance(again.ranker, Recorded)


def test_a_recorded_ranker_says_what_the_other_said():
    data = toy()
    ranker = ProfileRanker(fused(data))
    recorded = Recorded.of(ranker, data)
    users, items = np.array([2, 0], np.int32), np.array([1, 4], np.int32)
    assert recorded.scores(users).tolist() == ranker.scores(users).tolist()
    parts = recorded.evidence(users, items)
    assert parts is not None
    assert parts.toarray().tolist() == ranker.evidence(users, items).toarray().tolist()
    assert recorded.block_evidence(users, items) is None
    with pytest.raises(NotImplementedError):
        recorded.predict(users, items)


@pytest.mark.parametrize(("what", "sizes"), [("users", (0, 6, 0)), ("items", (6, 0, 0)), ("events", (6, 6, 0))])
def test_emptied_data_lack_one_thing(what: Literal["users", "items", "events"], sizes):
    data = emptied(toy(), what)
    assert (data.n_users, data.n_items, len(data.train)) == sizes


def test_values_go_missing_in_every_second_row():
    years = without_values(toy(), every=2).items.column("year").to_list()
    assert years == [None, 1995, None, 2000, None, 2005]
    assert without_values(toy()).items.column("year").null_count() == 6


# --- the box

COUNT = """
from recprofile.plugin import Embeddings, Encoder, Field, Params, hookimpl
import numpy as np

class CountParams(Params):
    column: str = Field("title", description="Item column to count.")

class Count(Encoder[CountParams]):
    '''How many characters an item's text has.'''
    name = "count"
    def encode(self, data, ctx):
        lengths = data.items.text(self.params.column).str.len_chars().fill_null(0).to_numpy()
        return Embeddings("item", data.items.ids, lengths.astype(np.float32)[:, None])

@hookimpl
def recprofile_encoders():
    return [Count]
"""
STAGES = "- encode: mine/count\n- fuse: mean-history\n- recommend: dot"


@pytest.mark.parametrize("fresh", [False, True])
def test_a_recipe_with_a_plugin_that_is_not_installed_runs(tmp_path, fresh):
    box = RecipeBox(tmp_path)
    box.plugin("mine", COUNT)
    ran = box.run(box.recipe(STAGES), fresh=fresh).check()
    assert ran.artifact("count").items.vectors[:, 0].tolist() == [10, 8, 11, 11, 10, 0]
    assert isinstance(ran.artifact("count"), Encoded)
    assert isinstance(ran.artifact("mean-history"), Profiles)
    assert ran.recommendations["user"].n_unique() == 6
    assert 0 <= ran.metric("ndcg@10") <= 1
    assert ran.computed()[:2] == ["data", "count"]
    assert not [name for name in sys.modules if name.startswith("box_")]


def test_a_second_run_in_a_box_computes_nothing(tmp_path):
    box = RecipeBox(tmp_path)
    box.run(box.recipe("- recommend: popular")).check()
    again = box.run(box.recipe("- recommend: popular")).check()
    assert "popular" in [one["id"] for one in again.json("manifest.json")["stages"]]
    assert again.artifact("popular").k > 0


def test_problems_have_their_code_position_and_help(tmp_path):
    box = RecipeBox(tmp_path)
    told = box.run(box.recipe("- encode: tfdif"), command="validate").check(2)
    assert told.codes == ["RP301"]
    assert told.positions == [(10, 13)]
    (problem,) = told.problems
    assert problem.at is not None
    assert (problem.at.file, problem.at.length) == ("recipe.yaml", 5)
    assert problem.help[0] == "did you mean 'tfidf'?"


def test_a_box_gives_modules_of_a_test_too(tmp_path, monkeypatch):
    module = ModuleType("made_in_a_test")
    exec(COUNT, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    box = RecipeBox(tmp_path)
    box.plugin("mine", module)
    assert "mine/count@1" in box.invoke("plugins").check().out


def test_an_expectation_that_fails_shows_what_was_printed(tmp_path):
    box = RecipeBox(tmp_path)
    with pytest.raises(AssertionError, match="RP301"):
        box.run(box.recipe("- recommend: nosuch")).check()
    with pytest.raises(AssertionError, match="no run folder"):
        _ = box.invoke("plugins").folder


def test_a_box_writes_tables_by_the_name_they_are_given(tmp_path):
    import polars as pl

    box = RecipeBox(tmp_path)
    assert pl.read_parquet(box.write("a/b.parquet", {"x": [1, 2]}))["x"].to_list() == [1, 2]
    assert box.write("c.csv", {"x": [1]}).read_text() == "x\n1\n"
    assert box.write("d.bin", b"\xff").read_bytes() == b"\xff"


def test_the_kit_takes_a_dataerror_and_a_runerror_for_an_answer(tmp_path):
    class Picky(Plain):
        def encode(self, data, ctx: Context):
            if data.n_users == 0:
                raise DataError.of("RP505", "nobody is there")
            if data.n_items == 0:
                raise RunError.of("RP604", "nothing is there")
            return super().encode(data, ctx)

    tests = encoder_kit(Picky)
    tests.test_data_without_users_are_answered_or_refused()
    tests.test_data_without_items_are_answered_or_refused()
    with pytest.raises(AssertionError, match="a fresh process cannot find"):
        tests.test_a_fresh_process_gives_the_same_result_on_the_cpu(tmp_path)


def test_profile_rankers_are_rankers():
    assert issubclass(ProfileRanker, Ranker)
