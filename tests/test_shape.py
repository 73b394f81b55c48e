"""pydantic's errors in our words: every type, one problem for each mistake, at the right place."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pytest
from pydantic import AfterValidator, BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError, core_schema

from recprofile.errors import Problem, Span, render
from recprofile.shape import Model, problems_of, refusal, sort_problems
from recprofile.source import Source, read_source


class Pool(StrEnum):
    MEAN = "mean"
    MAX = "max"


class Inner(Model):
    path: str
    sep: str | None = None


class Short(Inner):
    shorthand = "path"


class ByTime(Model):
    by: Literal["time"]
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.2


class ByFile(Model):
    by: Literal["file"]
    test: str


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("an odd number cannot be halved")
    return value


def _no_bad(value: str) -> str:
    if value == "bad":
        raise refusal("RP205", "'{x}' does not go with it", help=["leave it out"])
    return value


class Toy(Model):
    dim: int = Field(8, ge=1, le=512, description="Length of a vector.")
    rate: float = Field(0.1, gt=0)
    share: float = Field(0.5, gt=0, lt=1)
    name: str = Field("x", min_length=1, max_length=5)
    code: str = Field("ab", pattern="^[a-z]+$", examples=["ab", "cd"], description="Small letters.")
    bare: str = Field("ab", pattern="^[a-z]+$")
    deep: bool = False
    columns: tuple[str, ...] = ()
    few: list[int] = Field([], max_length=2)
    some: tuple[int, ...] = Field((1,), min_length=1)
    unique: frozenset[str] = frozenset()
    pair: tuple[int, str] = (1, "a")
    kind: Literal["plain", "weighted"] = "plain"
    version: Literal[1, 2] = 1
    pool: Pool = Pool.MEAN
    where: Path | None = None
    table: dict[str, int] = {}
    inner: Inner | None = None
    short: Short | None = None
    size: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    either: int | float | None = None
    names: str | list[str] = "x"
    long: Annotated[str, Field(min_length=2)] | list[str] = "xx"
    model: Inner | ByFile | str = "x"
    split: Annotated[ByTime | ByFile, Field(discriminator="by")] | None = None
    half: Annotated[int, AfterValidator(_even)] = 2
    word: Annotated[str, AfterValidator(_no_bad)] = "x"
    worded: int | Annotated[str, AfterValidator(_no_bad)] = 1
    step: int = Field(2, multiple_of=2)


class Needy(Model):
    columns: list[str] = Field(description="Text columns.")
    size: int


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def source(text: str) -> Source:
    Path("r.yaml").write_text(text, encoding="utf-8")
    return read_source("r.yaml")


def problems(text: str, model: type[BaseModel] = Toy, prefix: tuple[str | int, ...] = ()) -> list[Problem]:
    tree = source(text)
    data: Any = tree.plain()
    for part in prefix:
        data = data[part]
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data)
    return problems_of(caught.value, tree, prefix, model)


def only(text: str, model: type[BaseModel] = Toy) -> Problem:
    (problem,) = problems(text, model)
    return problem


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("dim: x", "RP203", "'dim' is text, and must be a whole number"),
        ("dim: '8'", "RP203", "'dim' is text, and must be a whole number"),
        ("dim: 1.5", "RP203", "'dim' is 1.5, and must be a whole number"),
        ("dim: true", "RP203", "'dim' is true, and must be a whole number"),
        ("dim: []", "RP203", "'dim' is a list, and must be a whole number"),
        ("dim: {}", "RP203", "'dim' is a mapping, and must be a whole number"),
        ("dim:", "RP203", "'dim' is nothing, and must be a whole number"),
        ("dim: 0", "RP204", "'dim' is 0, and must be from 1 to 512"),
        ("dim: 513", "RP204", "'dim' is 513, and must be from 1 to 512"),
        ("rate: 0", "RP204", "'rate' is 0, and must be more than 0"),
        ("rate: true", "RP203", "'rate' is true, and must be a number"),
        ("rate: .nan", "RP204", "'rate' is not a number, and must be a finite number"),
        ("rate: -.inf", "RP204", "'rate' is minus infinity, and must be a finite number"),
        ("share: 1", "RP204", "'share' is 1, and must be more than 0 and less than 1"),
        ("name: 5", "RP203", "'name' is 5, and must be text"),
        ("name: ''", "RP204", "'name' is empty, and must have at least 1 character"),
        ("name: abcdef", "RP204", "'name' has 6 characters, and must have at most 5 characters"),
        ("code: A1", "RP204", "'code' is 'A1', and must look like 'ab' or 'cd'"),
        ("bare: A1", "RP204", "'bare' is 'A1', and must fit the pattern ^[a-z]+$"),
        ("deep: yes", "RP203", "'deep' is text, and must be true or false"),
        ("deep: 1", "RP203", "'deep' is 1, and must be true or false"),
        ("columns: title", "RP203", "'columns' is text, and must be a list"),
        ("columns: {a: b}", "RP203", "'columns' is a mapping, and must be a list"),
        ("columns: [a, 5]", "RP203", "entry 2 of 'columns' is 5, and must be text"),
        ("few: [1, 2, 3]", "RP204", "'few' has 3 entries, and must have at most 2 entries"),
        ("some: []", "RP204", "'some' is empty, and must have at least 1 entry"),
        ("some: [x]", "RP203", "entry 1 of 'some' is text, and must be a whole number"),
        ("unique: 5", "RP203", "'unique' is 5, and must be a list"),
        ("pair: [1]", "RP202", "entry 2 is missing from 'pair'"),
        ("kind: wieghted", "RP204", "'kind' is 'wieghted', and must be one of plain, weighted"),
        ("kind: 5", "RP204", "'kind' is 5, and must be one of plain, weighted"),
        ("version: true", "RP204", "'version' is true, and must be one of 1, 2"),
        ("version: 1.0", "RP204", "'version' is 1.0, and must be one of 1, 2"),
        ("pool: maen", "RP204", "'pool' is 'maen', and must be one of mean, max"),
        ("where: 5", "RP203", "'where' is 5, and must be a path"),
        ("table: [a]", "RP203", "'table' is a list, and must be a mapping"),
        ("table: {a: x}", "RP203", "'a' is text, and must be a whole number"),
        ("inner: x", "RP203", "'inner' is text, and must be a mapping"),
        ("inner: {}", "RP202", "'path' is missing from 'inner'"),
        ("short: 5", "RP203", "'short' is 5, and must be text or a mapping"),
        ("size: 0", "RP204", "'size' is 0, and must be at least 1 or 'auto'"),
        ("size: x", "RP204", "'size' is 'x', and must be a whole number or 'auto'"),
        ("either: x", "RP203", "'either' is text, and must be a number"),
        ("names: 5", "RP203", "'names' is 5, and must be text or a list"),
        ("names: [5]", "RP203", "entry 1 of 'names' is 5, and must be text"),
        ("long: x", "RP204", "'long' has 1 character, and must have at least 2 characters"),
        ("model: 5", "RP203", "'model' is 5, and must be a mapping or text"),
        ("model: {path: 5}", "RP203", "'path' is 5, and must be text"),
        ("split: {by: tmie}", "RP204", "'by' is 'tmie', and must be one of time, file"),
        ("split: {by: 5}", "RP204", "'by' is 5, and must be one of time, file"),
        ("split: {}", "RP202", "'by' is missing from 'split'"),
        ("split: {bye: time}", "RP201", "unknown key 'bye'"),
        ("split: x", "RP203", "'split' is text, and must be a mapping"),
        ("split: {by: time, holdout: 2}", "RP204", "'holdout' is 2, and must be more than 0 and less than 1"),
        ("half: 3", "RP204", "an odd number cannot be halved"),
        ("word: bad", "RP205", "'{x}' does not go with it"),
        ("worded: bad", "RP205", "'{x}' does not go with it"),
        ("step: 3", "RP204", "'step' is 3, and must be a multiple of 2"),
    ],
)
def test_a_wrong_value_is_told_in_the_users_words(text, code, message):
    problem = only(text + "\n")
    assert (problem.code, problem.message) == (code, message)


@pytest.mark.parametrize(
    ("text", "help_lines"),
    [
        ("dim: '8'", ("write it without quotes: 8",)),
        ("rate: '1e-3'", ("write it without quotes: 1e-3",)),
        ("dim: '1.5'", ()),
        ("deep: 'true'", ("write it without quotes: true",)),
        ("deep: no", ("'no' is text; write false",)),
        ("name: 5", ("write it in quotes: '5'",)),
        ("columns: title", ("a list of one is written [title]",)),
        ("kind: wieghted", ("did you mean 'weighted'?",)),
        ("pool: maen", ("did you mean 'mean'?",)),
        ("code: AB", ("did you mean 'ab'?", "code: Small letters.")),
        ("split: {by: tmie}", ("did you mean 'time'?",)),
        ("split: {bye: time}", ("did you mean 'by'?",)),
        ("split: {}", ("by: one of time, file",)),
        ("word: bad", ("leave it out",)),
    ],
)
def test_help_says_how_to_write_it(text, help_lines):
    assert only(text + "\n").help == help_lines


def test_an_unknown_key_is_shown_at_the_key_with_the_nearest_and_the_known_ones():
    (problem,) = problems(
        "stages:\n  - encode: a\n    with: {size: 1, columns: [], sizes: 5}\n", Needy, ("stages", 0, "with")
    )
    assert render([problem]) == (
        "r.yaml:3:34: RP201 unknown key 'sizes'\n"
        "   3 |     with: {size: 1, columns: [], sizes: 5}\n"
        "     |                                  ^^^^^\n"
        "     = known: columns, size"
    )


def test_a_misspelt_key_is_one_problem_though_the_right_one_is_missing():
    found = problems("colums: [a]\nsize: 1\n", Needy)
    assert [(p.code, p.message, p.help[0]) for p in found] == [
        ("RP201", "unknown key 'colums'", "did you mean 'columns'?")
    ]


def test_an_unlike_key_and_a_missing_one_are_two_problems():
    assert [p.code for p in problems("zzz: [a]\nsize: 1\n", Needy)] == ["RP201", "RP202"]


def test_a_missing_key_is_shown_at_the_key_of_its_mapping_and_described():
    (problem,) = problems("stages:\n  - encode: a\n    with: {size: 1}\n", Needy, ("stages", 0, "with"))
    assert render([problem]) == (
        "r.yaml:3:5: RP202 'columns' is missing from 'with'\n"
        "   3 |     with: {size: 1}\n"
        "     |     ^^^^\n"
        "     = columns: Text columns."
    )


def test_what_is_missing_from_a_mapping_not_written_is_shown_at_the_nearest_above():
    tree = source("stages:\n  - encode: a\n")
    with pytest.raises(ValidationError) as caught:
        Needy.model_validate({"size": 1})
    (problem,) = problems_of(caught.value, tree, ("stages", 0, "with"), Needy)
    assert (str(problem.at), problem.message) == ("r.yaml:2:5", "'columns' is missing from 'with'")


def test_shorthand_text_is_the_one_key_and_its_faults_are_shown_at_the_text():
    assert Toy.model_validate({"short": "a.csv"}).short == Short.model_validate({"path": "a.csv"})
    assert str(only("short: {path: 5}\n").at) == "r.yaml:1:15"


def test_all_problems_come_in_file_order():
    found = problems("zzz: 1\nshare: 3\ntable: {a: x}\ndim: 0\n")
    assert [p.at.line for p in found if p.at] == [1, 2, 3, 4]


def test_a_union_of_mappings_reports_the_branch_that_fits_best():
    assert [p.message for p in problems("model: {path: a, sepp: b}\n")] == ["unknown key 'sepp'"]


def test_a_refusal_can_point_at_a_key_or_a_value_inside():
    class Cross(Model):
        a: int = 1
        b: int = 1

        @model_validator(mode="after")
        def _check(self):
            raise refusal(
                "RP205", "'a' and 'b' do not go together", **({"key": "b"} if self.a == 1 else {"value": "b"})
            )

    assert str(only("a: 1\nb: 2\n", Cross).at) == "r.yaml:2:1"
    assert str(only("a: 2\nb: 2\n", Cross).at) == "r.yaml:2:4"


def test_words_of_a_plugins_own_error_type_are_kept():
    class Own(Model):
        a: int = 1

        @field_validator("a")
        @classmethod
        def _check(cls, value):
            raise PydanticCustomError("acme_odd", "{n} is odd", {"n": value})

    assert only("a: 3\n", Own).message == "3 is odd"


def test_a_plain_pydantic_model_is_told_too():
    class Plain(BaseModel):
        a: int

    assert only("a: x\n", Plain).message == "'a' is text, and must be a whole number"


def test_a_recursive_model_is_followed():
    class Node(Model):
        size: int = Field(1, ge=1)
        below: list[Node] = []

    Node.model_rebuild(_types_namespace={"Node": Node})
    problem = only("below: [{below: [{size: 0}]}]\n", Node)
    assert (problem.message, str(problem.at)) == ("'size' is 0, and must be at least 1", "r.yaml:1:25")


def test_lists_fill_tuples_and_sets_text_fills_paths_and_enums_and_whole_numbers_fill_numbers():
    toy = Toy.model_validate({"columns": ["a"], "unique": ["b"], "where": "x/y", "pool": "max", "rate": 1})
    assert (toy.columns, toy.unique, toy.where, toy.pool, toy.rate) == (("a",), {"b"}, Path("x/y"), Pool.MAX, 1.0)


def test_plain_data_of_a_model_gives_an_equal_one():
    toy = Toy.model_validate(
        {"columns": ["a"], "unique": ["b"], "where": "x", "pool": "max", "short": "p", "split": {"by": "time"}}
    )
    data = toy.to_data()
    assert (data["columns"], data["pool"], data["where"], data["short"]) == (["a"], "max", "x", {"path": "p"})
    assert "inner" not in data
    assert Toy.model_validate(data) == toy


def test_models_are_frozen():
    with pytest.raises(ValidationError):
        Toy().dim = 3


_CONTEXT = {
    "field_name": "f", "class_name": "C", "class": "C", "method_name": "m", "gt": 1, "ge": 1, "lt": 1, "le": 1,
    "multiple_of": 2, "min_length": 1, "max_length": 1, "actual_length": 3, "field_type": "List", "pattern": "^a$",
    "expected": "'a' or 'b'", "encoding": "utf-8", "encoding_error": "e", "error": "e", "tz_expected": 1,
    "discriminator": "'by'", "tag": "t", "expected_tags": "'a', 'b'", "expected_schemes": "http", "tz_actual": 2,
    "expected_version": 4, "max_digits": 1, "decimal_places": 1, "whole_digits": 1, "attribute": "a",
    "expected_type": "t",
    "mapping_error": "e",
}  # fmt: skip
_PYDANTIC_WORDS = re.compile(
    r"input|valid|pydantic|https?:|\bstring\b|\binteger\b|\bdict|instance|expected|Field|tag\b"
)


@pytest.mark.parametrize("kind", sorted(get_args(core_schema.ErrorType)))
@pytest.mark.parametrize("value", ["text", 5, 1.5, None, True, ["a"], {"a": 1}], ids=repr)
def test_no_error_type_of_pydantic_speaks_in_its_words(kind, value):
    context = {**_CONTEXT, "error": ValueError("own words")} if kind in ("value_error", "assertion_error") else _CONTEXT
    error = ValidationError.from_exception_data(
        "x",
        [{"type": kind, "loc": ("dim",), "input": value, "ctx": context}],  # type: ignore[typeddict-item]
    )
    (problem,) = problems_of(error, source("dim: 5\n"), (), Toy)
    assert problem.code in ("RP201", "RP202", "RP203", "RP204")
    assert problem.at
    assert problem.at.line == 1
    text = " ".join((problem.message, *problem.help[:1]))
    assert not _PYDANTIC_WORDS.search(text), text
    assert not problem.message.endswith(".")


def test_problems_are_sorted_by_file_and_each_is_told_once():
    tree = source("a: 1\n")
    one = Problem("RP201", "x", Span("r.yaml", 2, 1))
    base = Problem("RP201", "y", Span("base.yaml", 1, 1))
    assert sort_problems([base, one, base, one], tree) == [one, base]


def test_an_anchored_mistake_used_twice_is_one_problem():
    assert [p.message for p in problems("inner: &x {path: a, b: 1}\nshort: *x\n")] == ["unknown key 'b'"]
