"""What a component of each kind must satisfy, as test classes to inherit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from recprofile.artifacts import (
    BoolArray,
    CheckResult,
    Dataset,
    Embeddings,
    Encoded,
    Explanations,
    FloatArray,
    IntArray,
    Pack,
    Profiles,
    Recommendations,
    load_pack,
    save_pack,
)
from recprofile.components import KINDS, Component, Explainer, Inputs, Ranker, Reranker
from recprofile.testing.data import context, fused, same_pack, toy

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class ComponentTests:
    """What every component must satisfy. Set `component`, and `examples`: parameters that work on `self.data()`."""

    component: ClassVar[type[Component[Any]]]
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({},)

    def data(self) -> Dataset:
        """The data the examples are run on; override it where they need other columns."""
        return toy()

    def make(self, example: Mapping[str, Any]) -> Component[Any]:
        """The component with these parameters."""
        return self.component(self.component.params_type.model_validate(dict(example)))

    def run(self, example: Mapping[str, Any], data: Dataset) -> Pack:
        """The packed result of the component's verb."""
        raise NotImplementedError

    def test_it_has_a_name_a_verb_and_a_docstring(self) -> None:
        """A component is found by its name and shown by its docstring."""
        assert self.component.name
        assert issubclass(self.component, KINDS[self.component.verb])
        assert (self.component.__doc__ or "").strip()

    def test_every_parameter_is_described(self) -> None:
        """Help, schema and docs come from the descriptions."""
        fields = self.component.params_type.model_fields
        assert [name for name, f in fields.items() if not f.description] == []

    def test_parameters_round_trip(self) -> None:
        """What is written into a filled recipe is read back the same."""
        for example in self.examples:
            params = self.make(example).params
            assert type(params).model_validate(params.model_dump(mode="json", by_alias=True)) == params

    def test_the_same_input_gives_the_same_result_and_is_left_unchanged(self) -> None:
        """Twice the same run, the same bytes; and the data as they were."""
        for example in self.examples:
            data = self.data()
            before = data.pack()
            first, second = self.run(example, data), self.run(example, data)
            assert same_pack(first, second)
            assert same_pack(before, data.pack())

    def test_the_result_survives_the_disk(self, tmp_path: Path) -> None:
        """What the cache gives back equals what was put in."""
        for n, example in enumerate(self.examples):
            folder = tmp_path / str(n)
            folder.mkdir()
            result = self.run(example, self.data())
            save_pack(result, folder)
            assert same_pack(result, load_pack(folder))


class PreprocessorTests(ComponentTests):
    """For a Preprocessor."""

    def run(self, example: Mapping[str, Any], data: Dataset) -> Pack:
        """The revised data, packed."""
        result = self.make(example).preprocess(data, context())  # type: ignore[attr-defined]  # a Preprocessor
        assert isinstance(result, Dataset)
        return result.pack()


class EncoderTests(ComponentTests):
    """For an Encoder."""

    def run(self, example: Mapping[str, Any], data: Dataset) -> Pack:
        """The vectors, packed."""
        return self.encode(example, data).pack()

    def encode(self, example: Mapping[str, Any], data: Dataset) -> Encoded:
        """The vectors."""
        result = self.make(example).encode(data, context())  # type: ignore[attr-defined]  # an Encoder
        assert isinstance(result, Embeddings | Encoded)
        return Encoded.of(result)

    def test_ids_are_those_of_the_data(self) -> None:
        """One vector per item or user, in the order of the tables."""
        for example in self.examples:
            data = self.data()
            encoded = self.encode(example, data)
            assert encoded.items is None or encoded.items.ids == data.items.ids
            assert encoded.users is None or encoded.users.ids == data.users.ids

    def test_one_item_is_enough(self) -> None:
        """A catalogue of one gives one vector."""
        data = self.data()
        first = np.arange(data.n_items) == 0
        for example in self.examples:
            encoded = self.encode(example, data.keep(items=first))
            assert encoded.items is None or encoded.items.vectors.shape[0] == 1


class FuserTests(ComponentTests):
    """For a Fuser; it is given two encode stages, 'plot' and 'taste'."""

    def encoded(self, data: Dataset) -> Mapping[str, Encoded]:
        """Vectors to fuse: plot of items, taste of both."""
        rng = np.random.default_rng(0)
        plot = Embeddings("item", data.items.ids, rng.normal(size=(data.n_items, 4)).astype(np.float32))
        items = Embeddings("item", data.items.ids, rng.normal(size=(data.n_items, 3)).astype(np.float32))
        users = Embeddings("user", data.users.ids, rng.normal(size=(data.n_users, 3)).astype(np.float32))
        return {"plot": Encoded(items=plot), "taste": Encoded(items=items, users=users)}

    def run(self, example: Mapping[str, Any], data: Dataset) -> Pack:
        """The profiles, packed."""
        result = self.make(example).fuse(self.encoded(data), data, context())  # type: ignore[attr-defined]  # a Fuser
        assert isinstance(result, Profiles)
        assert result.users == data.users.ids
        assert result.items == data.items.ids
        return result.pack()


class RecommenderTests(ComponentTests):
    """For a Recommender; `inputs` gives it profiles when it needs them."""

    def inputs(self, data: Dataset) -> Inputs:
        """What earlier stages gave."""
        return Inputs(profiles=fused(data)) if self.make(self.examples[0]).needs_profiles else Inputs()

    def fit(self, example: Mapping[str, Any], data: Dataset) -> Ranker:
        """The fitted Ranker."""
        result = self.make(example).fit(data, self.inputs(data), context())  # type: ignore[attr-defined]  # a Recommender
        assert isinstance(result, Ranker)
        return result

    def run(self, example: Mapping[str, Any], data: Dataset) -> Pack:
        """The fitted Ranker, packed."""
        return self.fit(example, data).pack()

    def test_scores_are_one_row_per_user_without_nan(self) -> None:
        """float32, all items, any block of users, in any order."""
        for example in self.examples:
            data = self.data()
            ranker = self.fit(example, data)
            users = np.arange(data.n_users, dtype=np.int32)
            scores = ranker.scores(users)
            assert scores.shape == (data.n_users, data.n_items)
            assert scores.dtype == np.float32
            assert not np.isnan(scores).any()
            known = ranker.known_users()
            assert known.shape == (data.n_users,)
            assert known.dtype == np.bool_
            np.testing.assert_allclose(ranker.scores(users[::-1])[::-1], scores, rtol=1e-5, atol=1e-6)

    def test_a_restored_ranker_scores_the_same(self, tmp_path: Path) -> None:
        """Through the disk and back, not one score moves."""
        for n, example in enumerate(self.examples):
            data = self.data()
            component, inputs = self.make(example), self.inputs(data)
            ranker = component.fit(data, inputs, context())  # type: ignore[attr-defined]  # a Recommender
            folder = tmp_path / f"ranker-{n}"
            folder.mkdir()
            save_pack(ranker.pack(), folder)
            again = component.restore(load_pack(folder), data, inputs, context())  # type: ignore[attr-defined]  # as above
            users = np.arange(data.n_users, dtype=np.int32)
            np.testing.assert_array_equal(again.scores(users), ranker.scores(users))
            np.testing.assert_array_equal(again.known_users(), ranker.known_users())

    def test_evidence_adds_up_to_the_score(self) -> None:
        """Where a recommender gives evidence, history parts add up to its score, up to a constant per user."""
        for example in self.examples:
            data = self.data()
            ranker = self.fit(example, data)
            users = np.repeat(np.arange(data.n_users, dtype=np.int32), data.n_items)
            items = np.tile(np.arange(data.n_items, dtype=np.int32), data.n_users)
            parts = ranker.evidence(users, items)
            assert (parts is not None) == self.make(example).gives_evidence  # type: ignore[attr-defined]  # as above
            if parts is not None:
                whole = ranker.scores(np.arange(data.n_users, dtype=np.int32))
                total = np.asarray(parts.sum(axis=1)).reshape(whole.shape)
                gap = np.where(np.isfinite(whole), total - whole, np.nan)[ranker.known_users()]
                assert np.nanmax(np.nanmax(gap, axis=1) - np.nanmin(gap, axis=1)) < 1e-4


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

    def rerank(self, example: Mapping[str, Any], data: Dataset, k: int = 3) -> tuple[Recommendations, Recommendations]:
        """The lists given, and the lists they became."""
        component = self.make(example)
        assert isinstance(component, Reranker)
        given = first_lists(data, min(component.depth(k), data.n_items))
        return given, component.rerank(given, Inputs(profiles=fused(data)), data, context())

    def run(self, example: Mapping[str, Any], data: Dataset) -> Pack:
        """The reordered lists, packed."""
        return self.rerank(example, data)[1].pack()

    def test_lists_hold_only_items_that_were_given_each_once(self) -> None:
        """A reranker reorders and shortens; it adds nothing."""
        for example in self.examples:
            given, made = self.rerank(example, self.data())
            assert made.users.tolist() == given.users.tolist()
            for before, after in zip(given.items.tolist(), made.items.tolist(), strict=True):
                kept = [item for item in after if item >= 0]
                assert len(set(kept)) == len(kept)
                assert set(kept) <= set(before)


class ExplainerTests(ComponentTests):
    """For an Explainer; it is given lists of two, the scores they have, and profiles."""

    def ranker(self, data: Dataset) -> Ranker:
        """The ranker that is said to have made the lists."""
        return ProfileRanker(fused(data))

    def explain(self, example: Mapping[str, Any], data: Dataset) -> Explanations:
        """The explanations."""
        component = self.make(example)
        assert isinstance(component, Explainer)
        return component.explain(first_lists(data, 2), self.ranker(data), Inputs(profiles=fused(data)), data, context())

    def run(self, example: Mapping[str, Any], data: Dataset) -> Pack:
        """The explanations, packed."""
        return self.explain(example, data).pack()

    def test_only_recommended_pairs_are_explained(self) -> None:
        """Each sentence is about an item that is in that user's list."""
        for example in self.examples:
            data = self.data()
            lists = first_lists(data, 2)
            listed = {(u, i) for u, row in zip(lists.users.tolist(), lists.items.tolist(), strict=True) for i in row}
            told = self.explain(example, data).sentences.select("user", "item").rows()
            assert told
            assert set(told) <= listed


class ProfileRanker(Ranker):
    """Ranks by the inner product in profiles, for tests."""

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles

    def scores(self, users: IntArray) -> FloatArray:
        """Inner products, (len(users), n_items)."""
        return self._profiles.user_vectors[users] @ self._profiles.item_vectors.T

    def known_users(self) -> BoolArray:
        """Users of whom the profiles know something."""
        return self._profiles.known

    def evidence(self, users: IntArray, items: IntArray) -> csr_array:
        """What each history item gives to a pair's score."""
        return self._profiles.history_scores(users, items)

    def pack(self) -> Pack:
        """Nothing of its own."""
        return Pack()


class CheckTests(ComponentTests):
    """For a Check; it is given the lists of `recs`."""

    def recs(self, data: Dataset) -> Recommendations:
        """The lists that are judged."""
        return first_lists(data, 2)

    def inputs(self, data: Dataset) -> Inputs:
        """What earlier stages gave."""
        return Inputs(profiles=fused(data)) if self.make(self.examples[0]).needs_profiles else Inputs()

    def check(self, example: Mapping[str, Any], data: Dataset) -> CheckResult:
        """The verdict."""
        result = self.make(example).check(self.recs(data), self.inputs(data), data, context())  # type: ignore[attr-defined]  # a Check
        assert isinstance(result, CheckResult)
        return result

    def run(self, example: Mapping[str, Any], data: Dataset) -> Pack:
        """The verdict, packed."""
        return self.check(example, data).pack()

    def test_a_verdict_is_explained_and_its_numbers_are_finite(self) -> None:
        """A summary for people, and no NaN among the measures."""
        for example in self.examples:
            result = self.check(example, self.data())
            assert result.summary
            assert all(np.isfinite(m.value) for m in result.measures)

    def test_data_without_test_events_are_no_crash(self) -> None:
        """Whatever the verdict then is, it is explained."""
        data = self.data()
        bare = data.revise(test=data.test.take(np.zeros(len(data.test), np.bool_)))
        for example in self.examples:
            assert self.check(example, bare).summary
