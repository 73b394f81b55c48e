"""What every component must satisfy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import ValidationError

from recprofile.artifacts import Dataset, Pack, Template, load_pack, save_pack
from recprofile.components import KINDS, ColumnsOf, Component, Context
from recprofile.errors import ArtifactError, DataError, Problem, RunError
from recprofile.testing.data import context, emptied, same_pack, toy, without_values
from recprofile.testing.fresh import run_in_fresh_process
from recprofile.testing.given import MADE, Artifact, Given, apply
from recprofile.testing.refitted import Refitted

RANGES = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "const", "multipleOf"}


class ComponentTests:
    """What every component must satisfy. Set `component`, and `examples`: parameters that work on `self.data()`.

    Every test runs every example. `data`, `given` and `context` say what it is run on; override them where a component
    needs something else. What it is given is read-only.
    """

    component: ClassVar[type[Component[Any]]]
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({},)
    any_number: ClassVar[Sequence[str]] = ()
    """Parameters that take any finite number on purpose, as a value to fill in."""

    def data(self) -> Dataset:
        """The data the examples are run on; override it where they need other columns."""
        return toy()

    def context(self) -> Context:
        """What the engine lends the component: the CPU and seed 0."""
        return context()

    def make(self, example: Mapping[str, Any]) -> Component[Any]:
        """The component with these parameters."""
        return self.component(self.component.params_type.model_validate(dict(example)))

    def given(self, example: Mapping[str, Any], data: Dataset) -> Given:
        """What the component is given beside its parameters."""
        return Given(data)

    def apply(self, example: Mapping[str, Any], data: Dataset) -> Artifact:
        """What the component's verb makes."""
        return apply(self.make(example), self.given(example, data).lock(), self.context())

    def run(self, example: Mapping[str, Any], data: Dataset) -> Pack:
        """The packed result of the component's verb."""
        return self.apply(example, data).pack()

    def settled(self, example: Mapping[str, Any], data: Dataset) -> None:
        """Run it on data that may be too poor: it gives a whole result, or says why with a DataError or RunError."""
        try:
            self.run(example, data)
        except ArtifactError:  # a RunError too, but what it says is that the component is wrong, not the data
            raise
        except (DataError, RunError):
            return

    # names, words and parameters

    def test_it_has_a_name_a_verb_and_a_docstring(self) -> None:
        """A component is found by its name and shown by its docstring."""
        assert self.component.name
        assert issubclass(self.component, KINDS[self.component.verb])
        assert (self.component.__doc__ or "").strip()

    def test_every_parameter_is_described(self) -> None:
        """Help, schema and docs come from the descriptions, those of nested parameters included."""
        schema = self.component.params_type.model_json_schema()
        assert [path for path, field in _fields(schema) if not field.get("description")] == []

    def test_every_number_has_a_range(self) -> None:
        """A number without a range takes what the component cannot: `Field(gt=0)`, `Field(ge=0, le=1)`."""
        schema = self.component.params_type.model_json_schema()
        bare = {path for path, field in _numbers(schema) if not RANGES & field.keys()}
        assert bare == set(self.any_number)

    def test_an_unknown_parameter_is_refused(self) -> None:
        """A misspelt parameter is an error, not a default."""
        with suppress(ValidationError):
            self.make({**self.examples[0], "no_such_parameter": 1})
            raise AssertionError("a parameter that there is not was taken: keep Params' extra='forbid'")

    def test_parameters_round_trip(self) -> None:
        """What is written into a filled recipe is read back the same."""
        for example in self.examples:
            params = self.make(example).params
            assert type(params).model_validate(params.to_data()) == params
            assert type(params).model_validate(params.model_dump(mode="json", by_alias=True)) == params

    # one input, one result

    def test_the_same_input_gives_the_same_result_and_is_left_unchanged(self) -> None:
        """Twice the same run, the same bytes; and what was given as it was."""
        for example in self.examples:
            component, given = self.make(example), self.given(example, self.data()).lock()
            before = given.pack(rankers=False)
            copies = {name: array.copy() for name, array in before.arrays.items()}
            first = apply(component, given, self.context()).pack()
            second = apply(component, given, self.context()).pack()
            assert same_pack(first, second)
            assert same_pack(Pack(copies, before.tables, before.values), given.pack(rankers=False))

    def test_a_fresh_process_gives_the_same_result_on_the_cpu(self, tmp_path: Path) -> None:
        """Another process, another hash seed: the same bytes, and no CUDA where the device is the CPU."""
        # Through the same packing as on the way to the other process, so that both are given the very same.
        jobs = [(example, Given.unpack(self.given(example, self.data()).pack())) for example in self.examples]
        refitted = Refitted(self.context().refit)
        ctx = replace(self.context(), refit=refitted.inputs)
        here = [apply(self.make(example), given, ctx).pack() for example, given in jobs]
        fresh = run_in_fresh_process(self.component, jobs, ctx, tmp_path / "fresh", refitted=refitted)
        for mine, made in zip(here, fresh.packs, strict=True):
            assert same_pack(mine, made)
        assert not fresh.used_cuda, "ctx.device is 'cpu', and the component used CUDA"

    def test_the_result_is_numpy_and_survives_the_disk(self, tmp_path: Path) -> None:
        """No tensor leaves a stage, and what the cache gives back equals what was put in."""
        for n, example in enumerate(self.examples):
            folder = tmp_path / str(n)
            folder.mkdir()
            result = self.run(example, self.data())
            assert {type(array) for array in result.arrays.values()} <= {np.ndarray, np.memmap}
            save_pack(result, folder)
            again = load_pack(folder)
            assert same_pack(result, again)
            if hasattr(MADE[self.component.verb], "unpack"):  # a Ranker is restored by its Recommender
                assert same_pack(MADE[self.component.verb].unpack(again).pack(), again)

    # poor data

    def test_data_without_users_are_answered_or_refused(self) -> None:
        """A whole result, or a DataError or RunError that says why."""
        for example in self.examples:
            self.settled(example, emptied(self.data(), "users"))

    def test_data_without_items_are_answered_or_refused(self) -> None:
        """A whole result, or a DataError or RunError that says why."""
        for example in self.examples:
            self.settled(example, emptied(self.data(), "items"))

    def test_data_without_events_are_answered_or_refused(self) -> None:
        """A whole result, or a DataError or RunError that says why."""
        for example in self.examples:
            self.settled(example, emptied(self.data(), "events"))

    def test_one_user_one_item_and_one_event_are_answered_or_refused(self) -> None:
        """A whole result, or a DataError or RunError that says why."""
        data = self.data()
        one = data.keep(
            users=np.arange(data.n_users) == data.train.user[0], items=np.arange(data.n_items) == data.train.item[0]
        )
        for example in self.examples:
            self.settled(example, one)

    def test_missing_values_are_answered_or_refused(self) -> None:
        """Every second row of both tables without a value, then every row."""
        for example in self.examples:
            for every in (2, 1):
                self.settled(example, without_values(self.data(), every=every))

    def test_a_column_that_there_is_not_is_told_with_the_nearest_one(self) -> None:
        """RP502, and a help line with the column that was meant."""
        for example in self.examples:
            for name, value, meant in _misspelt_columns(self.make(example)):
                if not any(meant in table.columns for table in (self.data().items, self.data().users)):
                    continue  # names a column of some other file
                told: list[Problem] = []
                try:
                    self.run({**example, name: value}, self.data())
                except DataError as error:
                    told += error.problems
                assert [p.code for p in told] == ["RP502"], f"{name}={value!r} names a column that there is not"
                assert f"did you mean '{meant}'?" in told[0].help


def _fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every property of a JSON Schema and of the models in it, by its path."""
    models = [("", schema), *((f"{name}.", model) for name, model in schema.get("$defs", {}).items())]
    for path, model in models:
        for name, field in model.get("properties", {}).items():
            yield f"{path}{name}", field


def _numbers(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every number of a JSON Schema, inside lists, mappings and unions too, by the path of its property."""

    def below(path: str, node: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
        if not isinstance(node, Mapping):
            return
        if node.get("type") in ("number", "integer"):
            yield path, node
        for key in ("items", "additionalProperties"):
            yield from below(path, node.get(key))
        for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            for arm in node.get(key, ()):
                yield from below(path, arm)

    for path, field in _fields(schema):
        yield from below(path, field)


def _misspelt_columns(component: Component[Any]) -> Iterator[tuple[str, object, str]]:
    """Parameters that name columns, each with its first one misspelt: name, new value, the column that was meant."""
    params = component.params
    written = params.to_data()
    for name, info in type(params).model_fields.items():
        marks = [*info.metadata, *(m for arm in getattr(info.annotation, "__args__", ()) for m in _marks(arm))]
        value = written.get(info.alias or name)
        mark = next((m for m in marks if isinstance(m, ColumnsOf)), None)
        if not value or not (mark is not None or name in ("column", "columns")):
            continue
        if mark is not None and mark.within:
            first = Template.of(value).columns[0]
            yield info.alias or name, value.replace(f"{{{first}}}", f"{{{first}x}}"), first
            continue
        first = value if isinstance(value, str) else next(iter(value))
        wrong = f"{first}x"
        if isinstance(value, str):
            yield info.alias or name, wrong, first
        elif isinstance(value, Mapping):
            yield info.alias or name, {wrong if key == first else key: inner for key, inner in value.items()}, first
        else:
            yield info.alias or name, [wrong, *value[1:]], first


def _marks(arm: object) -> tuple[object, ...]:
    return tuple(getattr(arm, "__metadata__", ()))
