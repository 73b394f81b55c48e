"""Kit for plugin authors: small data sets with known answers, and a test class per kind.

from recprofile.testing import EncoderTests
from recprofile_acme import Numbers

class TestNumbers(EncoderTests):
    component = Numbers
    examples = [{"columns": ["year"]}, {"columns": ["year", "runtime"]}]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from recprofile.artifacts import (
    CheckResult,
    Dataset,
    Embeddings,
    Encoded,
    FloatArray,
    IdMap,
    Interactions,
    Pack,
    PositiveRule,
    Profiles,
    Recommendations,
    Table,
    load_pack,
    save_pack,
)
from recprofile.components import KINDS, Component, Context, Inputs, Ranker

Event = tuple[Any, ...]

__all__ = [
    "CheckTests",
    "EncoderTests",
    "FuserTests",
    "PreprocessorTests",
    "RecommenderTests",
    "checkerboard",
    "context",
    "dataset",
    "fused",
    "same_pack",
    "toy",
]


def dataset(
    train: Sequence[Event],
    *,
    test: Sequence[Event] = (),
    valid: Sequence[int] = (),
    items: Mapping[str, Sequence[Any]] | None = None,
    users: Mapping[str, Sequence[Any]] | None = None,
    positive: PositiveRule | None = None,
) -> Dataset:
    """A Dataset from events (user, item), (user, item, weight) or (user, item, weight, time).

    `valid` are rows of `train` held for tuning; `items` and `users` are columns with an `id` column first; ids that
    stand in events only are added.
    """
    every = [*train, *test]
    user_ids = IdMap.of(*(pl.Series(ids) for ids in ([e[0] for e in every], list((users or {}).get("id", ()))) if ids))
    item_ids = IdMap.of(*(pl.Series(ids) for ids in ([e[1] for e in every], list((items or {}).get("id", ()))) if ids))

    def events(rows: Sequence[Event]) -> Interactions:
        weight = np.array([e[2] if len(e) > 2 else 1 for e in rows], np.float32)
        timed = any(len(e) > 3 for e in every)
        return Interactions(
            user_ids.codes([e[0] for e in rows]),
            item_ids.codes([e[1] for e in rows]),
            weight,
            np.array([e[3] for e in rows], np.int64) if timed else None,
            positive.mask(weight) if positive else np.ones(len(rows), np.bool_),
        )

    parts = events(train)
    held = np.zeros(len(train), np.bool_)
    held[list(valid)] = True
    return Dataset(
        _table(user_ids, users), _table(item_ids, items), parts, parts.take(held), events(test), held, positive
    )


def _table(ids: IdMap, columns: Mapping[str, Sequence[Any]] | None) -> Table:
    if not columns:
        return Table(ids)
    given = pl.DataFrame({name: list(values) for name, values in columns.items()}).with_columns(
        pl.col("id").cast(ids.ids.dtype)
    )
    rows = given.with_row_index("row", offset=1)
    frame = ids.ids.rename("id").to_frame().join(rows, on="id", how="left", maintain_order="left")
    where = frame["row"].fill_null(0).to_numpy().astype(np.int32)
    return Table(ids, frame.drop("id", "row"), "toy table", where)


def toy() -> Dataset:
    """Six users, six films, ratings 1 to 5 with times, titles, genres, years and a gender; u6 and i6 have no event."""
    train = [
        ("u1", "i1", 5, 100), ("u1", "i2", 4, 200), ("u1", "i4", 1, 300),
        ("u2", "i1", 4, 110), ("u2", "i2", 5, 210), ("u2", "i3", 4, 310),
        ("u3", "i3", 5, 120), ("u3", "i4", 5, 220), ("u3", "i5", 4, 320),
        ("u4", "i4", 4, 130), ("u4", "i5", 5, 230),
        ("u5", "i2", 4, 140), ("u5", "i5", 2, 240),
    ]  # fmt: skip
    test = [("u1", "i3", 4, 400), ("u2", "i4", 2, 410), ("u4", "i3", 5, 430), ("u5", "i1", 5, 440)]
    items: dict[str, Sequence[Any]] = {
        "id": ["i1", "i2", "i3", "i4", "i5", "i6"],
        "title": ["red planet", "red moon", "blue planet", "quiet river", "river song", None],
        "genres": ["Sci-Fi Action", "Sci-Fi", "Sci-Fi Drama", "Drama", "Drama Music", "Music"],
        "year": [1990, 1995, 1995, 2000, None, 2005],
        "price": [1.5, 2.0, 2.5, None, 4.0, 3.0],
    }
    users: dict[str, Sequence[Any]] = {
        "id": ["u1", "u2", "u3", "u4", "u5", "u6"],
        "gender": ["F", "M", "F", "M", None, "F"],
        "age": [20, 30, 40, None, 60, 25],
    }
    return dataset(train, test=test, valid=[2, 5, 8], items=items, users=users, positive=PositiveRule(">=", 4))


def checkerboard(n: int = 10) -> Dataset:
    """Users and items 0 … n-1 with an event where user + item is even, less the pair (u, u), which is the test.

    A collaborative model must put each user's one missing item first.
    """
    pairs = [(u, i, 1, u * n + i) for u in range(n) for i in range(n) if (u + i) % 2 == 0]
    return dataset([p for p in pairs if p[0] != p[1]], test=[p for p in pairs if p[0] == p[1]])


def context(**changes: Any) -> Context:
    """A Context on the CPU with seed 0."""
    return Context(**{"stage": "test", "device": "cpu", "seed": 0, **changes})


def fused(data: Dataset, item_vectors: FloatArray | None = None) -> Profiles:
    """Profiles with one pooled block 'plot': each user the mean of their positive items' vectors (default: one-hot)."""
    from recprofile.artifacts.vectors import Block  # noqa: PLC0415 - only this helper needs it

    vectors = np.eye(data.n_items, dtype=np.float32) if item_vectors is None else np.asarray(item_vectors, np.float32)
    history = data.positives().copy()
    counts = np.diff(history.indptr)
    history.data = np.repeat(1 / np.maximum(counts, 1), counts).astype(np.float32)
    pool = np.ones(data.n_users, np.float32)
    users = np.asarray(history @ vectors, np.float32)
    block = Block("plot", 0, vectors.shape[1], 1.0, pool)
    return Profiles(data.users.ids, data.items.ids, users, vectors, (block,), counts > 0, history)


def same_pack(a: Pack, b: Pack) -> bool:
    """Whether two artifacts, packed, hold exactly the same."""
    arrays = a.arrays.keys() == b.arrays.keys() and all(
        np.array_equal(a.arrays[name], b.arrays[name], equal_nan=a.arrays[name].dtype.kind == "f") for name in a.arrays
    )
    tables = a.tables.keys() == b.tables.keys() and all(a.tables[name].equals(b.tables[name]) for name in a.tables)
    return arrays and tables and dict(a.values) == dict(b.values)


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


class CheckTests(ComponentTests):
    """For a Check; it is given the lists of `recs`."""

    def recs(self, data: Dataset) -> Recommendations:
        """The two first items by code that each user has not seen, or as many as there are."""
        codes = np.arange(data.n_items, dtype=np.float32)
        scores = np.where(data.seen().toarray() > 0, -np.inf, -codes)
        items = np.argsort(-scores, axis=1, kind="stable")[:, :2].astype(np.int32)
        best = np.take_along_axis(scores, items, axis=1).astype(np.float32)
        none = np.isinf(best)
        items[none], best[none] = -1, np.nan
        users = np.arange(data.n_users, dtype=np.int32)
        reasons = np.zeros(data.n_users, np.int8)
        return Recommendations(data.users.ids, data.items.ids, users, items, best, reasons)

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
