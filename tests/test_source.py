"""YAML 1.2 to a located tree; files put together; bounds; exact errors."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recprofile.errors import Problem, RecipeError
from recprofile.source import Source, dump_yaml, expand_env, read_source

BASE = """\
recipe: 1
data:
  interactions: {path: ratings.csv, user: userId}
  items: movies.csv
stages:
  - encode: tfidf
    id: plot
    with: {columns: [title], dim: 8}
  - fuse: mean-history
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(text: str | bytes, name: str = "r.yaml") -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return name


def read(text: str | bytes, *sets: str, name: str = "r.yaml", **how: bool) -> Source:
    return read_source(write(text, name), sets, **how)


def plain(text: str, *sets: str):
    return read(text, *sets).plain()


def refused(text: str | bytes, *sets: str) -> str:
    with pytest.raises(RecipeError) as caught:
        read(text, *sets)
    return str(caught.value)


def problems_in(text: str | bytes, *sets: str) -> tuple[Problem, ...]:
    try:
        read(text, *sets)
    except RecipeError as error:
        return error.problems
    return ()


def first_line(text: str | bytes, *sets: str) -> str:
    return refused(text, *sets).splitlines()[0]


# --- scalars


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("TRUE", True),
        ("False", False),
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("y", "y"),
        ("tRue", "tRue"),
        ("null", None),
        ("~", None),
        ("", None),
        ("nUll", "nUll"),
        ("012", 12),
        ("+7", 7),
        ("-0", 0),
        ("0o17", 15),
        ("0xFf", 255),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("10:30", "10:30"),
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5E+2", -150.0),
        (".", "."),
        ("1.2.3", "1.2.3"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("inf", "inf"),
        ("2024-01-02", "2024-01-02"),
        ("=", "="),
        ("hub://a/b", "hub://a/b"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("!!float 1", 1.0),
        ("!!int 1", 1),
        ("|\n  a\n  b", "a\nb\n"),
    ],
)
def test_a_scalar_is_read_as_yaml_1_2_core_says(text, expected):
    value = plain(f"a: {text}\n")["a"]
    assert (value, type(value)) == (expected, type(expected))


def test_nan_is_a_number():
    assert math.isnan(plain("a: .NaN\n")["a"])


# --- positions


def test_every_key_and_value_knows_its_line_column_and_length():
    source = read("recipe: 1\ndata:\n  items: 'é.csv' # why\nlist: [10, {k: 20}]\nnone:\n")
    assert str(source.at(("data", "items"))) == "r.yaml:3:10"
    assert source.at(("data", "items")).length == 7
    assert source.at(("data", "items")).text == "  items: 'é.csv' # why"
    assert str(source.at(("data", "items"), key=True)) == "r.yaml:3:3"
    assert (source.at(("list",)).column, source.at(("list",)).length) == (7, 13)
    assert (source.at(("list", 1, "k")).column, source.at(("list", 1, "k"), key=True).column) == (16, 13)
    assert str(source.at(("data",))) == "r.yaml:3:3"
    assert str(source.at(("none",))) == "r.yaml:5:1"  # nothing is written: the key


def test_a_place_that_is_not_there_falls_back_to_the_nearest_above():
    source = read(BASE)
    assert source.at(("stages", 0, "with", "absent", 3)) == source.at(("stages", 0, "with"))
    assert source.at(("stages", 9)) == source.at(("stages",))
    assert source.at(("nope",)) == source.at(())


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_are_counted_alike_whatever_ends_them(newline):
    source = read(newline.join(["recipe: 1", "", "name: x", "seed: 2"]).encode("utf-8"))
    assert (source.at(("seed",)).line, source.at(("seed",)).text) == (4, "seed: 2")


def test_columns_count_characters_and_a_byte_order_mark_is_none():
    source = read("\ufeff'名前': 'é🎬x'\n".encode())
    assert (source.at(("名前",)).column, source.at(("名前",)).length) == (7, 5)


def test_a_text_over_several_lines_is_shown_by_its_first():
    source = read("name: one\n  two\nout: >\n  a\n  b\n")
    assert (source.at(("name",)).line, source.at(("name",)).length) == (1, 3)
    assert (source.at(("out",)).line, source.at(("out",)).column, source.at(("out",)).length) == (3, 6, 1)


# --- aliases and merges


def test_an_alias_stands_where_it_is_written_and_its_inside_where_it_was():
    source = read("a: &x\n  k: 1\nb: *x\n")
    assert source.plain() == {"a": {"k": 1}, "b": {"k": 1}}
    assert str(source.at(("b",))) == "r.yaml:3:4"
    assert str(source.at(("b", "k"))) == "r.yaml:2:6"


def test_merge_keys_add_what_is_not_written_and_the_first_wins():
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\none: {<<: *x, a: 9}\ntwo: {<<: [*x, *y], d: 4}\nthree: {'<<': 1}\n"
    data = plain(text)
    assert data["one"] == {"a": 9, "b": 1}
    assert data["two"] == {"d": 4, "a": 1, "b": 1, "c": 2}
    assert data["three"] == {"<<": 1}


@pytest.mark.parametrize("value", ["5", "[*x, 1]", "[[*x]]", ""])
def test_a_merge_of_anything_but_mappings_is_refused(value):
    message = "RP203 '<<' must have an alias of a mapping, or a list of such"
    assert message in refused(f"x: &x {{a: 1}}\ny: {{<<: {value}}}\n")


def test_an_unknown_alias_names_the_anchors_there_are():
    assert refused("a: &plot 1\nb: *plto\n") == (
        "r.yaml:2:4: RP103 no anchor '&plto' stands before this\n"
        "   2 | b: *plto\n"
        "     |    ^^^^^\n"
        "     = did you mean 'plot'?\n"
        "     = anchors: plot"
    )


def test_an_alias_inside_its_own_value_is_refused():
    assert first_line("a: &x [1, *x]\n") == "r.yaml:1:11: RP105 the alias '*x' stands inside its own value"


def test_an_alias_bomb_is_refused_before_it_expands():
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    shown = first_line("\n".join(rows))
    assert "RP105 the recipe has more than 100000 keys and values, aliases expanded" in shown


def test_aliases_cannot_nest_deeper_than_values_may():
    rows = ["a0: &a0 " + "[" * 40 + "]" * 40, "a1: " + "[" * 40 + "*a0" + "]" * 40]
    assert "RP105 values are nested more than 64 deep" in first_line("\n".join(rows))


# --- keys


def test_a_key_twice_is_shown_at_the_second():
    assert refused("recipe: 1\nseed: 1\nseed: 2\n") == (
        "r.yaml:3:1: RP104 the key 'seed' stands twice in one mapping\n"
        "   3 | seed: 2\n"
        "     | ^^^^\n"
        "     = the first is in line 2"
    )


@pytest.mark.parametrize(
    ("key", "kind"), [("1", "a number"), ("true", "true or false"), ("~", "nothing"), (".5", "a number")]
)
def test_a_key_that_is_not_text_is_refused(key, kind):
    assert refused(f"a: {{{key}: x}}\n").splitlines()[::3] == [
        f"r.yaml:1:5: RP203 a key must be text, and this is {kind}",
        f"     = write it in quotes: '{key}'",
    ]


@pytest.mark.parametrize("text", ["? [a]\n: 1\n", "{a: 1}: 2\n", "a: &x b\n*x : 2\n"])
def test_a_key_that_is_no_scalar_is_refused(text):
    assert "RP203 a key must be text, and this is none" in refused(text)


def test_all_that_can_be_read_past_is_told_together_in_file_order():
    shown = refused("a: 1\nb: !x 1\na: 2\n1: 2\nc: ${env:HOME}\n")
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("r.yaml")] == [
        "RP103",
        "RP104",
        "RP203",
        "RP107",
    ]


def test_problems_that_hide_nothing_can_be_kept_for_later():
    source = read("a: 1\na: 2\n", go_on=True)
    assert source.plain() == {"a": 1}
    assert [problem.code for problem in source.problems] == ["RP104"]


# --- syntax, in our words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:\n\tb: 1\n", "2:1: RP103 a tab stands where only spaces may"),
        ("a: @b\n", "1:4: RP103 text cannot start with '@' unless it is quoted"),
        ("a: `b`\n", "1:4: RP103 text cannot start with '`' unless it is quoted"),
        ("a: %b\n", "1:4: RP103 text cannot start with '%' unless it is quoted"),
        ("a: 1\nb\nc: 2\n", "2:1: RP103 a ':' is missing after this key"),
        ("a: b: c\n", "1:5: RP103 a ':' cannot stand here"),
        ("a: - b\n", "1:4: RP103 a list cannot start here"),
        ("%FOO\na: 1\n", "2:1: RP103 the text is not YAML from here on"),
        ("a: &\n", "1:4: RP103 an anchor has no name here"),
        ("a: * b\n", "1:4: RP103 an alias has no name here"),
        ("a: !<x\n", "1:4: RP103 a tag cannot stand here"),
        ("a: !e!x 1\n", "1:4: RP103 a tag cannot stand here"),
        ("a: >= 4\n", "1:4: RP103 '>' starts a block of text here"),
        ('a: "\\d"\n', "1:6: RP103 '\\d' is no escape in double quotes"),
        ('a: "\\xZZ"\n', "1:7: RP103 an escape in double quotes lacks digits"),
        ('a: "\\UFFFFFFFF"\n', "1:1: RP103 an escape names no character"),
        ("a: 'b\nc: d\n", "1:4: RP103 the quote that opens here is not closed"),
        ("%YAML 2.0\n---\na: 1\n", "1:1: RP103 a recipe is YAML 1.2"),
        ("a: [1, 2\n", "1:4: RP103 the '[' that opens here is not closed"),
        ("a: {b: 1\n", "1:4: RP103 the '{' that opens here is not closed"),
        ("a: [1 2: 3, 4}\n", "1:14: RP103 a ',' or ']' is missing in this list"),
        ("a: {b: 1]\n", "1:9: RP103 a ',' or '}' is missing in this mapping"),
        ("a:\n    b: 1\n  c: 2\n", "3:3: RP103 this line does not line up with the keys above it"),
        ("a:\n  - b\n  c: 2\n", "3:3: RP103 this line does not line up with the list above it"),
        ("a: 1\n---\nb: 2\n", "2:1: RP103 a second document starts here"),
        (
            "a: !!python/object/apply:os.system [x]\n",
            "1:4: RP103 the tag '!!python/object/apply:os.system' cannot stand here",
        ),
        ("a: !foo 1\n", "1:4: RP103 the tag '!foo' cannot stand here"),
        ("a: !!set {x}\n", "1:4: RP103 the tag '!!set' cannot stand here"),
        ("a: !!int x\n", "1:4: RP203 'x' is not what its tag says"),
        ("a: b\x07\n", "1:5: RP103 the character U+0007 may not stand in a recipe"),
        ("a: " + "9" * 500 + "\n", "1:4: RP105 a whole number has more than 400 digits"),
        ("", "1:1: RP202 the recipe is empty"),
        ("# only a comment\n", "1:1: RP202 the recipe is empty"),
        ("---\n...\n", "1:1: RP202 the recipe is empty"),
        ("- a\n", "1:1: RP203 the recipe is a list, and must be a mapping"),
        ("just text\n", "1:1: RP203 the recipe is a single value, and must be a mapping"),
    ],
)
def test_what_is_not_yaml_is_told_in_our_words(text, expected):
    assert first_line(text) == f"r.yaml:{expected}"


def test_a_comparison_without_quotes_says_how_to_write_it():
    assert refused("data:\n  positive: >= 4\n") == (
        "r.yaml:2:13: RP103 '>' starts a block of text here\n"
        "   2 |   positive: >= 4\n"
        "     |             ^\n"
        "     = quote text that starts with '>' or '|'"
    )


def test_bytes_that_are_not_utf_8_are_shown_where_they_are():
    assert refused("recipe: 1\nname: é".encode() + b"\xe9\n") == (
        "r.yaml:2:8: RP102 byte 0xe9 is not UTF-8\n   2 | name: é\ufffd\n     |        ^\n     = save the file as UTF-8"
    )


def test_utf_16_is_named():
    assert first_line("a: 1".encode("utf-16")) == "r.yaml:1:1: RP102 the recipe is UTF-16 text, and must be UTF-8"


# --- bounds and files


def test_a_file_beyond_the_bound_is_refused_unparsed():
    assert first_line("a: '" + "x" * (1 << 20) + "'") == "r.yaml:1:1: RP105 the recipe is larger than 1 MiB"


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_nesting_is_bounded(opening, closing):
    assert plain("a: " + opening * 62 + "1" + closing * 62)
    assert "RP105 values are nested more than 64 deep" in first_line("a: " + opening * 5000)


def test_a_missing_file_a_folder_and_a_bad_name_are_told():
    write("a: 1", "recipe.yaml")
    for path, message in {
        "recipes.yaml": "RP101 no file 'recipes.yaml'\n     = did you mean 'recipe.yaml'?",
        ".": "RP101 '.' is a folder, and must be a recipe file",
        "recipe.yaml/x": "RP101 no file 'recipe.yaml/x'",
        "a\0b": "RP101 'a\\x00b' cannot be read: not a file name",
    }.items():
        with pytest.raises(RecipeError) as caught:
            read_source(path)
        assert str(caught.value) == message


# --- extends


def test_mappings_merge_and_lists_are_replaced_and_both_keys_are_gone():
    write(BASE, "base.yaml")
    data = plain(
        "extends: base.yaml\ndata: {interactions: {user: uid}, users: u.csv}\nstages: [{fuse: concat}]\nseed: 3\n"
    )
    assert data == {
        "recipe": 1,
        "data": {"interactions": {"path": "ratings.csv", "user": "uid"}, "items": "movies.csv", "users": "u.csv"},
        "stages": [{"fuse": "concat"}],
        "seed": 3,
    }


def test_positions_and_folders_follow_the_file_a_value_is_written_in():
    write(BASE, "shared/base.yaml")
    source = read("extends: ../shared/base.yaml\ndata:\n  users: u.csv\n", "data.x=y.csv", name="mine/r.yaml")
    assert str(source.at(("data", "items"))) == "shared/base.yaml:4:10"
    assert str(source.at(("data", "users"))) == "mine/r.yaml:3:10"
    assert source.folder(("data", "items")) == Path("shared")
    assert source.folder(("data", "users")) == Path("mine")
    assert source.folder(("data", "x")) == Path.cwd()
    assert source.files == (Path("mine/r.yaml"), Path("shared/base.yaml"))


def test_a_circle_of_recipes_is_named():
    write("extends: r.yaml\n", "b.yaml")
    assert refused("recipe: 1\nextends: b.yaml\n") == (
        "b.yaml:1:10: RP106 'extends' leads in a circle: r.yaml → b.yaml → r.yaml\n"
        "   1 | extends: r.yaml\n"
        "     |          ^^^^^^"
    )
    assert "r.yaml → r.yaml" in refused("extends: ./r.yaml\n")


def test_a_missing_base_is_shown_where_it_is_named():
    write("a: 1", "base.yaml")
    assert refused("extends: bsae.yaml\n") == (
        "r.yaml:1:10: RP101 no file 'bsae.yaml'\n"
        "   1 | extends: bsae.yaml\n"
        "     |          ^^^^^^^^^\n"
        "     = did you mean 'base.yaml'?"
    )


def test_a_chain_of_recipes_is_bounded():
    for n in range(40):
        write(f"extends: c{n + 1}.yaml\n", f"c{n}.yaml")
    with pytest.raises(RecipeError, match="RP105 more than 16 recipes extend one another"):
        read_source("c0.yaml")


@pytest.mark.parametrize("value", ["5", "[a.yaml]", "''"])
def test_extends_is_one_path(value):
    assert first_line(f"extends: {value}\n") == "r.yaml:1:10: RP203 'extends' must be the path of one recipe"


def test_problems_of_a_base_come_after_those_of_the_recipe():
    write("a: 1\na: 2\n", "base.yaml")
    shown = refused("extends: base.yaml\nb: 1\nb: 2\n")
    assert [line.split(":")[0] for line in shown.splitlines() if "RP104" in line] == ["r.yaml", "base.yaml"]


# --- override


def test_override_merges_into_the_parameters_of_a_stage_with_an_id():
    write(BASE, "base.yaml")
    source = read("extends: base.yaml\noverride: {plot: {dim: 64, new: {a: 1}}}\n")
    assert source.plain()["stages"][0]["with"] == {"columns": ["title"], "dim": 64, "new": {"a": 1}}
    assert "override" not in source.plain()
    assert str(source.at(("stages", 0, "with", "dim"))) == "r.yaml:2:24"


def test_override_makes_parameters_where_a_stage_has_none():
    assert plain("stages: [{fuse: a, id: x}]\noverride: {x: {k: 1}}\n")["stages"] == [
        {"fuse": "a", "id": "x", "with": {"k": 1}}
    ]


def test_override_of_an_unknown_stage_gets_the_ids_there_are():
    write(BASE, "base.yaml")
    assert refused("extends: base.yaml\noverride:\n  plto: {dim: 64}\n") == (
        "r.yaml:3:3: RP106 'override' names no stage: 'plto'\n"
        "   3 |   plto: {dim: 64}\n"
        "     |   ^^^^\n"
        "     = did you mean 'plot'?\n"
        "     = stages with an id: plot"
    )


def test_override_must_be_mappings():
    assert "RP203 'override' must be a mapping of stage ids" in refused(BASE + "override: [a]\n")
    assert "RP203 what overrides 'plot' must be a mapping of parameters" in refused(BASE + "override: {plot: 5}\n")
    assert "RP106 'override' names no stage: 'x'" in refused("stages: 5\noverride: {x: {a: 1}}\n")


# --- --set


@pytest.mark.parametrize(
    ("argument", "loc", "expected"),
    [
        ("seed=7", ("seed",), 7),
        ("seed=-1", ("seed",), -1),
        ("stages.plot.with.dim=64", ("stages", 0, "with", "dim"), 64),
        ("stages.1.fuse=concat", ("stages", 1, "fuse"), "concat"),
        ("stages.1.with.a.b=1e-3", ("stages", 1, "with", "a", "b"), 0.001),
        ("stages.plot.with.columns.0=genres", ("stages", 0, "with", "columns", 0), "genres"),
        ("stages.plot.with.columns=[a, 'b']", ("stages", 0, "with", "columns"), ["a", "b"]),
        ("stages.plot.with={}", ("stages", 0, "with"), {}),
        ("data.positive=>= 4", ("data", "positive"), ">= 4"),
        ("publish=sqlite:///p.db?a=b", ("publish",), "sqlite:///p.db?a=b"),
        ("name='1'", ("name",), "1"),
        ("device=", ("device",), None),
        ("list.exclude_seen= false ", ("list", "exclude_seen"), False),
        ("name=!x", ("name",), "!x"),
    ],
)
def test_a_set_puts_one_value_into_the_recipe(argument, loc, expected):
    value = read(BASE, argument).plain()
    for part in loc:
        value = value[part]
    assert value == expected


def test_a_later_set_sees_an_earlier_one_and_the_file_is_as_it_was():
    assert plain(BASE, "a.b=1", "a.c=2", "a.b=3")["a"] == {"b": 3, "c": 2}
    assert plain(BASE)["stages"][0]["with"]["dim"] == 8


def test_a_set_does_not_change_what_shares_an_anchor():
    data = plain("x: &x {a: 1}\ny: *x\n", "y.a=2")
    assert data == {"x": {"a": 1}, "y": {"a": 2}}


def test_a_set_has_a_position_of_its_own():
    span = read(BASE, "stages.plot.with.dim=  64").at(("stages", 0, "with", "dim"))
    assert (str(span), span.length, span.text) == ("--set:1:24", 2, "stages.plot.with.dim=  64")
    assert read(BASE, "sed=64").at(("sed",), key=True).column == 1
    assert read(BASE, "x.y=[1, zz]").at(("x", "y", 1)).column == 9


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("seed", "1:1: RP108 'seed' has no '='"),
        ("", "1:1: RP108 '' has no '='"),
        ("=1", "1:1: RP108 '' is not keys with dots between"),
        ("a..b=1", "1:1: RP108 'a..b' is not keys with dots between"),
        ("a. b=1", "1:1: RP108 'a. b' is not keys with dots between"),
        ("extends=b.yaml", "1:1: RP108 'extends' can only be written in a recipe file"),
        ("stages.plto.with.dim=1", "1:8: RP108 no stage has the id or place 'plto'"),
        ("stages.2.with.dim=1", "1:8: RP108 no stage has the id or place '2'"),
        ("stages.plot.with.columns.x=1", "1:26: RP108 'stages.plot.with.columns' has no entry 'x'"),
        ("recipe.x=1", "1:1: RP108 'recipe' is a single value, and has no keys"),
        ("a=[1", "1:3: RP108 the '[' that opens here is not closed"),
        ("a={b: 1, b: 2}", "1:10: RP108 the key 'b' stands twice in one mapping"),
        ("a='x", "1:3: RP108 the quote that opens here is not closed"),
        ("a=" + "9" * 500, "1:3: RP108 a whole number has more than 400 digits"),
        (".".join("a" * 70) + "=1", "1:1: RP108 the path has more than 64 keys"),
    ],
)
def test_a_set_that_cannot_be_applied_says_why(argument, expected):
    assert first_line(BASE, argument) == f"--set:{expected}"


def test_a_set_of_an_unknown_stage_gets_the_ids_there_are():
    assert refused(BASE, "stages.plto.with.dim=1") == (
        "--set:1:8: RP108 no stage has the id or place 'plto'\n"
        "   1 | stages.plto.with.dim=1\n"
        "     |        ^^^^\n"
        "     = did you mean 'plot'?\n"
        "     = stages with an id: plot\n"
        "     = entries are counted from 0 to 1"
    )


# --- the environment


def test_a_reference_is_kept_unexpanded_and_expanded_at_use(monkeypatch):
    monkeypatch.setenv("STORE", "s3cret")
    source = read("data: {items: '${env:STORE}/i.csv'}\npublish: ${env:STORE}\ntrack: ['${env:STORE}']\n")
    assert source.plain()["publish"] == "${env:STORE}"
    assert expand_env("a-${env:STORE}-b") == "a-s3cret-b"


def test_a_variable_that_is_not_set_is_named_unless_told_not_to_look(monkeypatch):
    monkeypatch.delenv("NO_SUCH", raising=False)
    text = "data: {items: 'x/${env:NO_SUCH}'}\n"
    assert first_line(text) == "r.yaml:1:15: RP107 the environment variable 'NO_SUCH' is not set"
    assert read(text, check_env=False).plain()["data"] == {"items": "x/${env:NO_SUCH}"}
    with pytest.raises(RecipeError, match="RP107 the environment variable 'NO_SUCH' is not set"):
        expand_env("${env:NO_SUCH}")


@pytest.mark.parametrize(
    "text",
    ["name: ${env:HOME}\n", "stages: [{encode: a, with: {x: 'a${env:HOME}'}}]\n", "extends: ${env:HOME}\n"],
)
def test_a_reference_elsewhere_is_refused(text):
    assert "RP107 '${env:HOME}' may stand only under 'data', 'publish' and 'track'" in first_line(text)


def test_a_badly_written_reference_and_one_in_a_key_are_refused():
    assert "RP107 '${env:A-B}' names no environment variable" in refused("publish: ${env:A-B}\n")
    assert "RP107 '${env:HOME}' cannot stand in a key" in refused("data: {'${env:HOME}': 1}\n")


# --- writing


def _roundtrip(data):
    text = dump_yaml({"data": data})
    Path("d.yaml").write_bytes(text.encode("utf-8"))
    return read_source("d.yaml", check_env=False).plain()["data"]


def test_what_is_written_is_block_style_in_order():
    data = {"recipe": 1, "a": {"z": [1, {"k": "x", "l": None}], "b": True}, "e": [], "m": {}, "t": (0.001, "é")}
    assert dump_yaml(data) == (
        "recipe: 1\na:\n  z:\n    - 1\n    - k: x\n      l: null\n  b: true\ne: []\nm: {}\nt:\n  - 0.001\n  - é\n"
    )


@pytest.mark.parametrize(
    "text",
    ["no", "1e-3", "012", "0o7", "10:30", "2024-01-02", "~", "", " a", "a: b", "# x", "- a", "true", ".inf", "1_0",
     "<<", "=", "!x", "&x", "*x", ">= 4", "a\nb\n", "\u2028", "\x85", "\t", "'", '"', "${env:X}", "a" * 300, "\ufeff",
     "0x1F"],
)  # fmt: skip
def test_text_stays_text_for_readers_of_yaml_1_1_and_1_2(text):
    assert _roundtrip(text) == text
    assert yaml.safe_load(dump_yaml({"a": text})) == {"a": text}


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), _TEXT)
_DATA = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(_TEXT.filter(lambda k: "${env" not in k), inner, max_size=4)
    ),
    max_leaves=12,
)
_QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}


@settings(max_examples=150, **_QUIET)
@given(_DATA)
@example({"<<": {"a": 1}})
@example([1e16, 1e-7, 1e300, -0.0, math.inf])
def test_written_data_is_read_back_the_same(data):
    def same(a, b):
        if isinstance(a, dict):
            return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
        if isinstance(a, list):
            return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
        return type(a) is type(b) and a == b

    assert same(data, _roundtrip(data))


@settings(max_examples=400, **_QUIET)
@given(st.data())
def test_mutated_text_raises_nothing_but_a_located_recipe_error(data):
    text = BASE + "x: &x {a: [1, 'b', \"c\\n\"], <<: {k: |-\n  t\n}}\ny: *x\noverride: {plot: {dim: 2}}\n"
    for _ in range(data.draw(st.integers(1, 4))):
        at, cut = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 6))
        new = data.draw(st.text(st.sampled_from("\t\n\r :-?[]{}&*!|>%@`'\"\\#,~<ux0\x00\x85\u2028é$"), max_size=4))
        text = text[:at] + new + text[at + cut :]
    argument = data.draw(st.sampled_from(["a=1", "stages.0.with.x={a: [", "x.a.0='", "y.b.c=>"]))
    assert all(problem.at for problem in problems_in(text, argument))


@settings(max_examples=200, **_QUIET)
@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_a_recipe_error(raw):
    assert isinstance(problems_in(raw), tuple)


def test_reading_imports_nothing_heavy():
    code = "import sys, recprofile.source; print({'torch', 'polars', 'numpy', 'pandas'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    assert done.stdout.strip() == "set()"


def test_the_spans_of_one_long_line_share_its_text():
    source = read("a: [" + "1, " * 1000 + "]\n")
    assert source.at(("a", 0)).text is source.at(("a", 999)).text
