"""For the kinds that make vectors and profiles: Encoder, Fuser, Updater."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from recprofile.artifacts import Dataset, Embeddings, Encoded, Interactions, Profiles
from recprofile.components import Fuser, Inputs, Updater
from recprofile.testing.data import fused, same_pack, without_validation
from recprofile.testing.given import Given, apply
from recprofile.testing.kinds.base import ComponentTests


class EncoderTests(ComponentTests):
    """For an Encoder."""

    def encode(self, example: Mapping[str, Any], data: Dataset) -> Encoded:
        """The vectors."""
        made = self.apply(example, data)
        assert isinstance(made, Encoded)
        return made

    def test_ids_are_those_of_the_data(self) -> None:
        """One vector per item or user, in the order of the tables."""
        for example in self.examples:
            data = self.data()
            encoded = self.encode(example, data)
            assert encoded.items is None or encoded.items.ids == data.items.ids
            assert encoded.users is None or encoded.users.ids == data.users.ids

    def test_vectors_are_float32_finite_and_zero_where_missing(self) -> None:
        """What is missing is marked, and its row is zero, so that a fuser may leave it out."""
        for example in self.examples:
            encoded = self.encode(example, self.data())
            for side in (encoded.items, encoded.users):
                if side is not None:
                    assert side.vectors.dtype == np.float32
                    assert np.isfinite(side.vectors).all()
                    assert not side.vectors[side.missing].any()

    def test_one_item_is_enough(self) -> None:
        """A catalogue of one gives one vector."""
        data = self.data()
        first = np.arange(data.n_items) == 0
        for example in self.examples:
            encoded = self.encode(example, data.keep(items=first))
            assert encoded.items is None or encoded.items.vectors.shape[0] == 1

    def test_test_events_are_not_learnt_from(self) -> None:
        """An encoder reads `data.train` only: without the test events the vectors are the same."""
        for example in self.examples:
            data = self.data()
            blind = data.revise(test=data.test.take(np.zeros(len(data.test), np.bool_)))
            assert same_pack(self.run(example, data), self.run(example, blind))


class FuserTests(ComponentTests):
    """For a Fuser; it is given two encode stages, 'plot' and 'taste'."""

    def encoded(self, data: Dataset) -> Mapping[str, Encoded]:
        """Vectors to fuse: plot of items, taste of both."""
        rng = np.random.default_rng(0)
        plot = Embeddings("item", data.items.ids, rng.normal(size=(data.n_items, 4)).astype(np.float32))
        items = Embeddings("item", data.items.ids, rng.normal(size=(data.n_items, 3)).astype(np.float32))
        users = Embeddings("user", data.users.ids, rng.normal(size=(data.n_users, 3)).astype(np.float32))
        return {"plot": Encoded(items=plot), "taste": Encoded(items=items, users=users)}

    def given(self, example: Mapping[str, Any], data: Dataset) -> Given:
        """The data and the vectors to fuse."""
        return Given(data, Inputs(encoded=self.encoded(data)))

    def fuse(self, example: Mapping[str, Any], data: Dataset) -> Profiles:
        """The profiles."""
        made = self.apply(example, data)
        assert isinstance(made, Profiles)
        return made

    def test_profiles_are_of_all_users_and_items_in_order(self) -> None:
        """One row per user and per item of the data, and a zero row where nothing is known."""
        for example in self.examples:
            data = self.data()
            made = self.fuse(example, data)
            assert made.users == data.users.ids
            assert made.items == data.items.ids
            assert not made.user_vectors[~made.known].any()

    def test_done_again_it_keeps_what_it_chose(self) -> None:
        """Where it has a `settled`: that makes the same of the same events where there is nothing to choose by."""
        for example in self.examples:
            component = self.make(example)
            assert isinstance(component, Fuser)
            if component.settles():
                data = self.data()
                made = self.fuse(example, data)
                again = component.settled(made).fuse(self.encoded(data), without_validation(data), self.context())
                np.testing.assert_allclose(again.user_vectors, made.user_vectors, rtol=1e-5, atol=1e-6)
                np.testing.assert_allclose(again.item_vectors, made.item_vectors, rtol=1e-5, atol=1e-6)

    def test_blocks_are_named_by_their_stages(self) -> None:
        """A person finds in a profile what the recipe calls its parts, or the fuse stage that mixed them."""
        for example in self.examples:
            data = self.data()
            made = self.fuse(example, data)
            assert {block.name for block in made.blocks} <= {
                *self.given(example, data).inputs.encoded,
                self.context().stage,
            }

    def test_parts_by_history_add_up_to_the_pooled_blocks(self) -> None:
        """What evidence by history item rests on: its sum is the score of the blocks that are made of history."""
        for example in self.examples:
            data = self.data()
            made = self.fuse(example, data)
            users = np.repeat(np.arange(data.n_users, dtype=np.int32), data.n_items)
            items = np.tile(np.arange(data.n_items, dtype=np.int32), data.n_users)
            told = [n for n, b in enumerate(made.blocks) if b.pool is not None or b.fold_in is not None]
            parts = np.asarray(made.history_scores(users, items).sum(axis=1)).reshape(-1)
            np.testing.assert_allclose(parts, made.block_scores(users, items)[:, told].sum(axis=1), rtol=0, atol=1e-4)


class UpdaterTests(ComponentTests):
    """For an Updater: the test events are what happened after the profiles were published.

    `profiles` says what the recipe's fuse stage gives for any history; items must come out the same for all of them.
    `exact_atol` is how far an updater that calls itself exact may be from a full rebuild.
    """

    exact_atol = 1e-5

    def profiles(self, data: Dataset) -> Profiles:
        """Profiles of these data; override it where the updater needs blocks of another kind."""
        return fused(data)

    def events(self, data: Dataset) -> Interactions:
        """What happened since, in order of time."""
        events = data.test
        return events if events.time is None else events.take(np.argsort(events.time, kind="stable"))

    def published(self, example: Mapping[str, Any], data: Dataset) -> Profiles:
        """The profiles as the store holds them before the events."""
        component = self.make(example)
        assert isinstance(component, Updater)
        return component.prepare(self.profiles(data), data, self.context())

    def later(self, before: Profiles, events: Interactions, data: Dataset) -> Given:
        """What the updater is given: users as they were, and the whole history, these events included."""
        held = np.concatenate([data.held, np.zeros(len(events), np.bool_)])
        whole = data.revise(train=_joined(data.train, events), held=held)
        rebuilt = self.profiles(whole)
        kept = {name: getattr(before, name) for name in ("user_vectors", "known", "cards", "asof", "state")}
        return Given(whole, Inputs(profiles=replace(rebuilt, **kept)), events=events)

    def given(self, example: Mapping[str, Any], data: Dataset) -> Given:
        """The whole history, the published profiles and the events."""
        return self.later(self.published(example, data), self.events(data), data)

    def update(self, example: Mapping[str, Any], given: Given) -> Profiles:
        """The profiles with the events taken in."""
        made = apply(self.make(example), given.lock(), self.context())
        assert isinstance(made, Profiles)
        return made

    def test_publishing_moves_no_profile(self) -> None:
        """`prepare` adds state and nothing else."""
        for example in self.examples:
            data = self.data()
            before, after = self.profiles(data), self.published(example, data)
            np.testing.assert_array_equal(after.user_vectors, before.user_vectors)
            np.testing.assert_array_equal(after.item_vectors, before.item_vectors)

    def test_profiles_do_not_move_without_events(self) -> None:
        """No events, no change."""
        for example in self.examples:
            data = self.data()
            before, events = self.published(example, data), self.events(data)
            after = self.update(example, self.later(before, events.take(np.zeros(len(events), np.bool_)), data))
            np.testing.assert_allclose(after.user_vectors, before.user_vectors, rtol=0, atol=self.exact_atol)
            np.testing.assert_array_equal(after.known, before.known)

    def test_users_without_events_do_not_move(self) -> None:
        """Only the people concerned are touched; items, blocks and the order of all ids stay."""
        for example in self.examples:
            data = self.data()
            before, events = self.published(example, data), self.events(data)
            after = self.update(example, self.later(before, events, data))
            others = np.setdiff1d(np.arange(data.n_users), events.user)
            moved = np.abs(after.user_vectors[others] - before.user_vectors[others])
            assert moved.max(initial=0) <= self.exact_atol
            np.testing.assert_array_equal(after.known[others], before.known[others])
            np.testing.assert_array_equal(after.item_vectors, before.item_vectors)
            assert (after.users, after.items) == (before.users, before.items)
            named = [[(b.name, b.start, b.stop) for b in one.blocks] for one in (before, after)]
            assert named[0] == named[1]

    def test_an_update_in_two_halves_equals_one_of_both(self) -> None:
        """Events may come one by one or all at once: the profile is the same, but for rounding."""
        for example in self.examples:
            data = self.data()
            before, events = self.published(example, data), self.events(data)
            first = np.arange(len(events)) < len(events) // 2
            once = self.update(example, self.later(before, events, data))
            held = self.later(before, events.take(first), data)
            half = self.update(example, held)
            twice = self.update(example, self.later(half, events.take(~first), held.data))
            np.testing.assert_allclose(twice.user_vectors, once.user_vectors, rtol=1e-4, atol=1e-5)

    def test_an_exact_updater_equals_a_full_rebuild(self) -> None:
        """Where `exact` is true, the profile is that of the whole history."""
        for example in self.examples:
            component = self.make(example)
            assert isinstance(component, Updater)
            if component.exact:
                given = self.given(example, self.data())
                rebuilt = self.profiles(given.data)
                made = self.update(example, given)
                np.testing.assert_allclose(made.user_vectors, rebuilt.user_vectors, rtol=0, atol=self.exact_atol)


def _joined(first: Interactions, then: Interactions) -> Interactions:
    """Events one after the other; context columns are left out."""
    time = None
    if first.time is not None and then.time is not None:
        time = np.concatenate([first.time, then.time])
    columns = (np.concatenate([getattr(first, n), getattr(then, n)]) for n in ("user", "item", "weight", "positive"))
    user, item, weight, positive = columns
    return Interactions(user, item, weight, time, positive)
