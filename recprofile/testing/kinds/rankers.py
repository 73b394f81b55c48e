"""For a Recommender."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recprofile.artifacts import Dataset, load_pack, save_pack
from recprofile.components import Context, Inputs, Ranker, Recommender
from recprofile.testing.data import fused, without_validation
from recprofile.testing.given import Given
from recprofile.testing.kinds.base import ComponentTests


class RecommenderTests(ComponentTests):
    """For a Recommender; `inputs` gives it profiles when it needs them."""

    def inputs(self, data: Dataset) -> Inputs:
        """What earlier stages gave."""
        return Inputs(profiles=fused(data)) if self.make(self.examples[0]).needs_profiles else Inputs()

    def context(self) -> Context:
        """What the engine lends the component; `refit` gives its inputs, as `inputs` makes them."""
        return replace(super().context(), refit=self.inputs)

    def given(self, example: Mapping[str, Any], data: Dataset) -> Given:
        """The data and what earlier stages gave."""
        return Given(data, self.inputs(data))

    def fit(self, example: Mapping[str, Any], data: Dataset) -> Ranker:
        """The fitted Ranker."""
        made = self.apply(example, data)
        assert isinstance(made, Ranker)
        return made

    def recommender(self, example: Mapping[str, Any]) -> Recommender[Any]:
        """The component, as a Recommender."""
        component = self.make(example)
        assert isinstance(component, Recommender)
        return component

    def test_scores_are_one_row_per_user_without_nan(self) -> None:
        """float32, all items, any block of users, in any order, an empty one too."""
        for example in self.examples:
            data = self.data()
            ranker = self.fit(example, data)
            users = np.arange(data.n_users, dtype=np.int32)
            scores = ranker.scores(users)
            assert scores.shape == (data.n_users, data.n_items)
            assert scores.dtype == np.float32
            assert not np.isnan(scores).any()
            assert not np.isposinf(scores).any()
            known = ranker.known_users()
            assert known.shape == (data.n_users,)
            assert known.dtype == np.bool_
            assert ranker.scores(users[:0]).shape == (0, data.n_items)
            np.testing.assert_allclose(ranker.scores(users[::-1])[::-1], scores, rtol=1e-5, atol=1e-6)

    def test_a_restored_ranker_scores_the_same(self, tmp_path: Path) -> None:
        """Through the disk and back, not one score moves."""
        for n, example in enumerate(self.examples):
            data = self.data()
            component, inputs = self.recommender(example), self.inputs(data)
            ranker = component.fit(data, inputs, self.context())
            folder = tmp_path / f"ranker-{n}"
            folder.mkdir()
            save_pack(ranker.pack(), folder)
            again = component.restore(load_pack(folder), data, inputs, self.context())
            users = np.arange(data.n_users, dtype=np.int32)
            np.testing.assert_array_equal(again.scores(users), ranker.scores(users))
            np.testing.assert_array_equal(again.known_users(), ranker.known_users())

    def test_done_again_it_keeps_what_it_chose(self) -> None:
        """Where it has a `settled`: that makes the same of the same events where there is nothing to choose by."""
        for example in self.examples:
            component = self.recommender(example)
            if component.settles():
                data = self.data()
                ranker = self.fit(example, data)
                again = component.settled(ranker).fit(without_validation(data), self.inputs(data), self.context())
                users = np.arange(data.n_users, dtype=np.int32)
                np.testing.assert_allclose(again.scores(users), ranker.scores(users), rtol=1e-5, atol=1e-6)

    def test_test_events_are_not_learnt_from(self) -> None:
        """A recommender reads `data.train` only: without the test events the scores are the same."""
        for example in self.examples:
            data = self.data()
            blind = data.revise(test=data.test.take(np.zeros(len(data.test), np.bool_)))
            users = np.arange(data.n_users, dtype=np.int32)
            np.testing.assert_array_equal(self.fit(example, data).scores(users), self.fit(example, blind).scores(users))

    def test_it_can_do_what_it_says(self) -> None:
        """`ranks_new_users` and `predicts_ratings` are true where the ranker can, and false where it cannot."""
        for example in self.examples:
            data = self.data()
            component, ranker = self.recommender(example), self.fit(example, data)
            users = np.repeat(np.arange(data.n_users, dtype=np.int32), data.n_items)
            items = np.tile(np.arange(data.n_items, dtype=np.int32), data.n_users)
            try:
                scores = ranker.scores_of(data)
            except NotImplementedError:
                assert not component.ranks_new_users
            else:
                assert component.ranks_new_users
                assert scores.shape == (data.n_users, data.n_items)
                assert scores.dtype == np.float32
                assert not np.isnan(scores).any()
                self.check_new_users(component, ranker, data)
            try:
                ratings = ranker.predict(users, items)
            except NotImplementedError:
                assert not component.predicts_ratings
            else:
                assert component.predicts_ratings
                assert ratings.shape == users.shape
                assert ratings.dtype == np.float32
                assert np.isfinite(ratings).all()

    def check_new_users(self, component: Recommender[Any], ranker: Ranker, data: Dataset) -> None:
        """People with the events of training users get the scores of those, one at a time as well as together."""
        known = np.flatnonzero(ranker.known_users())
        alone = data.keep(users=np.arange(data.n_users) == known[0]) if len(known) else data
        whole = ranker.scores(known.astype(np.int32))
        if component.exact_for_new_users and len(known):
            np.testing.assert_allclose(ranker.scores_of(data)[known], whole, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(ranker.scores_of(alone), whole[:1], rtol=1e-5, atol=1e-5)

    def constants(self, ranker: Ranker, data: Dataset) -> NDArray[np.int64]:
        """Which items of a user share the constant that evidence and score differ by, as numbers, (n_users, n_items).

        All do; a hybrid that ranks items by several rankers has one for each.
        """
        return np.zeros((data.n_users, data.n_items), np.int64)

    def test_evidence_adds_up_to_the_score(self) -> None:
        """Where a recommender gives evidence, history parts add up to its score, up to a constant per user."""
        for example in self.examples:
            data = self.data()
            ranker = self.fit(example, data)
            users = np.repeat(np.arange(data.n_users, dtype=np.int32), data.n_items)
            items = np.tile(np.arange(data.n_items, dtype=np.int32), data.n_users)
            parts = ranker.evidence(users, items)
            assert (parts is not None) == self.recommender(example).gives_evidence
            if parts is not None:
                whole = ranker.scores(np.arange(data.n_users, dtype=np.int32))
                total = np.asarray(parts.sum(axis=1)).reshape(whole.shape)
                counts = np.isfinite(whole) & ranker.known_users()[:, None]
                gap = np.where(counts, total - whole, 0)
                constants = self.constants(ranker, data)
                for user, number in {(u, int(n)) for u, row in enumerate(constants) for n in row}:
                    of_one = gap[user][(constants[user] == number) & counts[user]]
                    assert np.ptp(of_one) < 1e-4 if len(of_one) else True
