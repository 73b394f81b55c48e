"""For the kind that makes data: Preprocessor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from recprofile.artifacts import Dataset, Pack, Table
from recprofile.components import LearningPreprocessor, Preprocessor
from recprofile.testing.data import disturbed, emptied, same_pack, training_part
from recprofile.testing.kinds.base import ComponentTests


class PreprocessorTests(ComponentTests):
    """For a Preprocessor."""

    def test_what_is_left_is_of_the_users_and_items_there_were(self) -> None:
        """A preprocess stage may drop and change; it makes up nobody."""
        for example in self.examples:
            data = self.data()
            made = self.apply(example, data)
            assert isinstance(made, Dataset)
            assert set(made.users.ids.ids) <= set(data.users.ids.ids)
            assert set(made.items.ids.ids) <= set(data.items.ids.ids)
            assert made.has_time == data.has_time

    def test_columns_that_are_new_are_those_that_it_says_it_adds(self) -> None:
        """Else `validate` would call them missing where a later stage names them (`Preprocessor.adds`)."""
        for example in self.examples:
            data = self.data()
            component, made = self.make(example), self.apply(example, data)
            assert isinstance(component, Preprocessor)
            assert isinstance(made, Dataset)
            assert _columns(made) - _columns(data) <= component.adds()

    def test_a_second_time_is_possible(self) -> None:
        """What it gives is data that a preprocess stage takes."""
        for example in self.examples:
            once = self.apply(example, self.data())
            assert isinstance(once, Dataset)
            self.settled(example, once)

    def test_it_learns_from_the_training_part_alone(self) -> None:
        """Other validation and test events, or none, and other attributes of who is only there: the same training part.

        The same numbers are learnt, too, where it is a LearningPreprocessor.
        """
        for example in self.examples:
            data, component = self.data(), self.make(example)
            expected = self._trained(example, data)
            for other in (disturbed(data), _without_held_out(data)):
                assert same_pack(self._trained(example, other), expected), "it learnt from events that are not in train"
                if isinstance(component, LearningPreprocessor):
                    learnt = component.learn(data, self.context())
                    assert component.learn(other, self.context()) == learnt, "it learnt from events not in train"

    def test_what_it_learnt_is_plain_and_is_taken_again_from_a_file(self) -> None:
        """A LearningPreprocessor's `learn` gives JSON, with which `apply` does the same; the run folder holds it."""
        for example in self.examples:
            component = self.make(example)
            if isinstance(component, LearningPreprocessor):
                learnt = component.learn(self.data(), self.context())
                again = json.loads(json.dumps(learnt, allow_nan=False))
                assert again == learnt
                made = component.apply(again, self.data(), self.context())
                assert same_pack(made.pack(), self.run(example, self.data()))

    def test_what_it_learnt_is_applied_to_later_events_and_to_new_items(self) -> None:
        """A LearningPreprocessor takes events without attributes and context, and items without events."""
        for example in self.examples:
            component = self.make(example)
            if isinstance(component, LearningPreprocessor):
                data = self.data()
                learnt = component.learn(data, self.context())
                events = later_events(data)
                of_all = component.apply(learnt, data, self.context()).train
                assert np.array_equal(
                    component.apply(learnt, events, self.context()).train.weight, of_all.weight, equal_nan=True
                ), "it does something else to events whose attributes and context are not at hand"
                items = component.apply(learnt, new_items(data), self.context()).items
                assert items.ids == data.items.ids

    def _trained(self, example: Mapping[str, Any], data: Dataset) -> Pack:
        made = self.apply(example, data)
        assert isinstance(made, Dataset)
        return training_part(made)


def later_events(data: Dataset) -> Dataset:
    """The training events as an update of published profiles has them: no attributes, no context, no other part."""
    bare = _without_held_out(data)
    train = replace(bare.train, context=pl.DataFrame())
    return bare.revise(users=Table(data.users.ids), items=Table(data.items.ids), train=train)


def new_items(data: Dataset) -> Dataset:
    """The items with their attributes, and nobody."""
    nobody = emptied(data, "users")
    return nobody.revise(users=Table(nobody.users.ids))


def _without_held_out(data: Dataset) -> Dataset:
    nothing = data.test.take(np.zeros(0, np.int32))
    return data.revise(valid=nothing, test=nothing, held=np.zeros(len(data.train), np.bool_))


def _columns(data: Dataset) -> frozenset[str]:
    return frozenset((*data.items.columns, *data.users.columns, *data.train.context.columns))
