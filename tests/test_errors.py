"""The renderer: position, caret, help, bounds; and the order of problems."""

from __future__ import annotations

import pytest

from recprofile.errors import (
    CODES,
    DataError,
    Problem,
    RecipeError,
    RecprofileError,
    RunError,
    Span,
    did_you_mean,
    in_file_order,
    quoted,
    render,
)


def test_a_problem_is_shown_with_its_line_a_caret_and_help():
    at = Span("recipes/min.yaml", 6, 13, 6, "  - encode: tf-idf")
    problem = Problem("RP301", "no component 'tf-idf' can encode", at, ("did you mean 'tfidf'?", "installed: tfidf@1"))
    assert render([problem]) == (
        "recipes/min.yaml:6:13: RP301 no component 'tf-idf' can encode\n"
        "   6 |   - encode: tf-idf\n"
        "     |             ^^^^^^\n"
        "     = did you mean 'tfidf'?\n"
        "     = installed: tfidf@1"
    )


def test_a_problem_without_a_position_is_one_line():
    assert render([Problem("RP604", "memory ran out")]) == "RP604 memory ran out"


def test_twenty_problems_are_shown_and_the_rest_counted():
    shown = render([Problem("RP201", f"unknown key 'k{n}'") for n in range(23)])
    assert shown.splitlines()[19:] == ["RP201 unknown key 'k19'", "… and 3 more"]


def test_the_caret_stands_under_a_value_far_into_a_long_line():
    text = "x" * 5000 + "WRONG" + "y" * 5000
    lines = render([Problem("RP203", "m", Span("a", 1, 5001, 5, text))]).splitlines()
    start = lines[2].index("^")
    assert lines[1][start : start + 5] == "WRONG"
    assert max(map(len, lines)) < 180


def test_control_characters_of_a_source_line_do_not_reach_the_terminal():
    shown = render([Problem("RP203", "m", Span("a", 1, 6, 1, "a:\t\x1b[1mb"))])
    assert "\x1b" not in shown
    assert "\t" not in shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", "'a'"), ("a\nb\x1b", r"'a\nb\x1b'"), ("x" * 61, "'" + "x" * 59 + "…'"), ("é…", "'é…'")],
)
def test_quoted_text_is_bounded_and_printable(text, expected):
    assert quoted(text) == expected


def test_problems_come_in_file_order_with_set_then_the_unplaced_last():
    def at(file, line, column=1):
        return Problem("RP201", f"{file}{line}", Span(file, line, column))

    unplaced = Problem("RP604", "none")
    given = [unplaced, at("--set", 1, 9), at("base.yaml", 1), at("r.yaml", 9), at("r.yaml", 2, 5), at("r.yaml", 2, 1)]
    ordered = in_file_order([*given, at("r.yaml", 9)], ["./r.yaml"])
    assert ordered == [given[5], given[4], given[3], given[2], given[1], unplaced]


def test_a_wrong_name_gets_the_nearest_known_one_and_a_bounded_list():
    assert did_you_mean("ndgc", ["ndcg", "map"]) == ("did you mean 'ndcg'?", "known: map, ndcg")
    assert did_you_mean("zzz", [f"n{i:02}" for i in range(20)])[0].endswith("n11, … (20 in all)")
    assert did_you_mean("x", []) == ()


def test_each_error_exits_as_designed():
    assert [kind.exit_code for kind in (RecipeError, DataError, RunError, RecprofileError)] == [2, 3, 4, 4]


def test_an_unknown_code_cannot_be_used():
    with pytest.raises(ValueError, match="RP999"):
        Problem("RP999", "x")


def test_every_code_is_described_in_lower_case_without_a_full_stop():
    for code, words in CODES.items():
        assert code[:2] == "RP", code
        assert not words.endswith("."), code
