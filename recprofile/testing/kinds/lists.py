"""For the kinds that work on lists: Reranker, Check, Explainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from recprofile.artifacts import CheckResult, Dataset, Explanations, Recommendations
from recprofile.components import Inputs, Ranker, Reranker
from recprofile.testing.data import fused
from recprofile.testing.given import Given
from recprofile.testing.kinds.base import ComponentTests
from recprofile.testing.recorded import ProfileRanker


def first_lists(data: Dataset, k: int) -> Recommendations:
    """Lists of the k first items by code that each user has not seen, or as many as there are."""
    codes = np.arange(data.n_items, dtype=np.float32)
    scores = np.where(data.seen().toarray() > 0, -np.inf, -codes)
    items = np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int32)
    best = np.take_along_axis(scores, items, axis=1).astype(np.float32)
    none = np.isinf(best)
    items[none], best[none] = -1, np.nan
    users = np.arange(data.n_users, dtype=np.int32)
    return Recommendations(data.users.ids, data.items.ids, users, items, best, np.zeros(data.n_users, np.int8))


class RerankerTests(ComponentTests):
    """For a Reranker; it is given lists as long as its `depth` asks for, and profiles."""

    k = 3

    def given(self, example: Mapping[str, Any], data: Dataset) -> Given:
        """The data, the lists and profiles."""
        component = self.make(example)
        assert isinstance(component, Reranker)
        given = first_lists(data, min(component.depth(self.k), data.n_items))
        return Given(data, Inputs(profiles=fused(data)), recs=given)

    def rerank(self, example: Mapping[str, Any], data: Dataset) -> tuple[Recommendations, Recommendations]:
        """The lists given, and the lists they became."""
        given, made = self.given(example, data).recs, self.apply(example, data)
        assert isinstance(given, Recommendations)
        assert isinstance(made, Recommendations)
        return given, made

    def test_it_asks_for_lists_at_least_as_long_as_are_wanted(self) -> None:
        """`depth(k)` is k or more."""
        for example in self.examples:
            component = self.make(example)
            assert isinstance(component, Reranker)
            assert [k for k in (1, 5, 20) if component.depth(k) < k] == []

    def test_lists_hold_only_items_that_were_given_each_once(self) -> None:
        """A reranker reorders and shortens; it adds nothing, and of users it keeps all and their order."""
        for example in self.examples:
            given, made = self.rerank(example, self.data())
            assert made.users.tolist() == given.users.tolist()
            assert (made.user_ids, made.item_ids) == (given.user_ids, given.item_ids)
            for before, after in zip(given.items.tolist(), made.items.tolist(), strict=True):
                kept = [item for item in after if item >= 0]
                assert len(set(kept)) == len(kept)
                assert set(kept) <= set(before)

    def test_why_a_list_is_a_fall_back_is_still_told(self) -> None:
        """The reason of each list is what it was."""
        for example in self.examples:
            given, made = self.rerank(example, self.data())
            assert made.reasons.tolist() == given.reasons.tolist()


class ExplainerTests(ComponentTests):
    """For an Explainer; it is given lists of two, the scores they have, and profiles."""

    def ranker(self, data: Dataset) -> Ranker:
        """The ranker that is said to have made the lists."""
        return ProfileRanker(fused(data))

    def given(self, example: Mapping[str, Any], data: Dataset) -> Given:
        """The data, the lists, who made them, and profiles."""
        return Given(data, Inputs(profiles=fused(data)), recs=first_lists(data, 2), ranker=self.ranker(data))

    def explain(self, example: Mapping[str, Any], data: Dataset) -> Explanations:
        """The explanations."""
        made = self.apply(example, data)
        assert isinstance(made, Explanations)
        return made

    def test_only_recommended_pairs_are_explained(self) -> None:
        """Each sentence is about an item that is in that user's list, and each list has a sentence."""
        for example in self.examples:
            data = self.data()
            lists = first_lists(data, 2)
            listed = {(u, i) for u, row in zip(lists.users.tolist(), lists.items.tolist(), strict=True) for i in row}
            told = self.explain(example, data).sentences.select("user", "item").rows()
            assert told
            assert set(told) <= listed

    def test_every_sentence_says_something(self) -> None:
        """No sentence is missing or empty."""
        for example in self.examples:
            sentences = self.explain(example, self.data()).sentences["sentence"]
            assert [s for s in sentences.to_list() if not (s or "").strip()] == []


class CheckTests(ComponentTests):
    """For a Check; it is given the lists of `recs`."""

    def recs(self, data: Dataset) -> Recommendations:
        """The lists that are judged."""
        return first_lists(data, 2)

    def inputs(self, data: Dataset) -> Inputs:
        """What earlier stages gave."""
        return Inputs(profiles=fused(data)) if self.make(self.examples[0]).needs_profiles else Inputs()

    def given(self, example: Mapping[str, Any], data: Dataset) -> Given:
        """The data, the lists and what earlier stages gave."""
        return Given(data, self.inputs(data), recs=self.recs(data))

    def check(self, example: Mapping[str, Any], data: Dataset) -> CheckResult:
        """The verdict."""
        made = self.apply(example, data)
        assert isinstance(made, CheckResult)
        return made

    def test_a_verdict_is_explained_and_its_numbers_are_finite(self) -> None:
        """A summary for people, no NaN among the measures, and a value within its interval."""
        for example in self.examples:
            result = self.check(example, self.data())
            assert result.summary
            assert all(np.isfinite(m.value) for m in result.measures)
            assert all(m.low <= m.value for m in result.measures if m.low is not None)
            assert all(m.value <= m.high for m in result.measures if m.high is not None)

    def test_data_without_test_events_are_no_crash(self) -> None:
        """Whatever the verdict then is, it is explained."""
        data = self.data()
        bare = data.revise(test=data.test.take(np.zeros(len(data.test), np.bool_)))
        for example in self.examples:
            assert self.check(example, bare).summary
