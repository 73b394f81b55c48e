"""Templates: rows of a table as text, and what goes with a value that is missing."""

import polars as pl
import pytest

import recprofile
from recprofile.artifacts import IdMap, Table, Template
from recprofile.errors import DataError, RecipeError


def filled(template, **values):
    return table({name: [value] for name, value in values.items()}).filled(Template.of(template))[0]


def table(columns):
    frame = pl.DataFrame(columns)
    return Table(IdMap(pl.Series(list(range(frame.height)), dtype=pl.Int64)), frame, "items.csv")


@pytest.mark.parametrize(
    ("title", "year", "genres", "text"),
    [
        ("Heat", 1995, "Crime", "Heat (1995): Crime"),
        ("Heat", None, "Crime", "Heat: Crime"),
        ("Heat", 1995, None, "Heat (1995)"),
        ("Heat", None, None, "Heat"),
        (None, 1995, "Crime", "(1995): Crime"),
        (None, 1995, None, "(1995)"),
        (None, None, "Crime", "Crime"),
        (None, None, None, ""),
        (" \t", None, " Crime\n", "Crime"),
    ],
)
def test_a_missing_field_goes_with_the_punctuation_that_would_dangle(title, year, genres, text):
    assert filled("{title} ({year}): {genres}", title=title, year=year, genres=genres) == text


@pytest.mark.parametrize(
    ("template", "values", "text"),
    [
        ("Title: {a}. Genres: {b}.", {"a": "x", "b": None}, "Title: x."),
        ("Title: {a}. Genres: {b}.", {"a": None, "b": "x"}, "Genres: x."),
        ("Title: {a}. Genres: {b}.", {"a": None, "b": None}, ""),
        ("{a}, a film of {b} minutes", {"a": "x", "b": None}, "x"),
        ("{a} ({b}, {c} edition)", {"a": "x", "b": None, "c": "y"}, "x (y edition)"),
        ("{a} ({b}, {c} edition)", {"a": "x", "b": "y", "c": None}, "x (y)"),
        ("{a} ({b}, {c} edition)", {"a": "x", "b": None, "c": None}, "x"),
        ('"{a}" [of «{b}»] ends', {"a": "x", "b": None}, '"x"'),
        ("{{a}} {a} :) (", {"a": "x"}, "{a} x :) ("),
        ("(a) {a}", {"a": "x"}, "(a) x"),
        ("{a}{a} 月🎬", {"a": "x"}, "xx 月🎬"),
    ],
)
def test_brackets_labels_and_ends(template, values, text):
    assert filled(template, **values) == text


def test_lists_are_joined_by_commas_and_whole_numbers_have_no_point():
    columns = {"genres": [["Crime", None, "Drama"], []], "year": [1995.0, float("nan")], "score": [0.5, 1e300]}
    found = table(columns).filled(Template.of("{genres} | {year} | {score}"))
    assert found.to_list() == ["Crime, Drama | 1995 | 0.5", "1e+300"]


def test_a_table_without_rows_gives_no_text():
    empty = table({"a": pl.Series([], dtype=pl.String)})
    assert empty.filled(Template.of("{a}")).to_list() == []


def test_columns_that_are_not_there_or_hold_no_text_are_told():
    with pytest.raises(DataError, match="RP502 no column 'titel'"):
        table({"title": ["x"]}).filled(Template.of("{titel}"))
    with pytest.raises(DataError, match="RP503 column 'raw' is Binary"):
        table({"raw": [b"x"]}).filled(Template.of("{raw}"))


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("title", "names no column in braces"),
        ("{title", "has a brace that is not closed"),
        ("title}", "has a brace that is not closed, or not opened"),
        ("{} {title}", "names no column in one of its braces"),
        ("{ } {title}", "names no column in one of its braces"),
        ("{year:04}", "may hold nothing but the name of a column in braces"),
        ("{year!r}", "may hold nothing but the name of a column in braces"),
    ],
)
def test_what_is_no_template_is_refused_in_words(template, said):
    with pytest.raises(ValueError, match=said):
        Template.of(template)


def test_columns_are_named_once_each_in_order():
    assert Template.of("{b} {a} {b} {release date}").columns == ("b", "a", "release date")


def test_a_recipe_with_a_wrong_template_is_refused_before_anything_runs(tmp_path):
    pairs = "".join(f"{user},{item}\n" for user in range(3) for item in range(6))
    (tmp_path / "log.csv").write_text(f"user,item\n{pairs}", encoding="utf-8")
    (tmp_path / "items.csv").write_text("id,title\n0,Heat\n1,Alien\n", encoding="utf-8")
    (tmp_path / "model").mkdir()
    recipe = """
recipe: 1
data: {interactions: log.csv, items: items.csv}
stages:
  - encode: hf/text
    with: {model: ./model, template: "TEMPLATE"}
  - fuse: weighted
  - recommend: dot
"""
    for template, code, said in (("{titel}", "RP502", "no column 'titel'"), ("{title", "RP204", "the template has a")):
        (tmp_path / "r.yaml").write_text(recipe.replace("TEMPLATE", template), encoding="utf-8")
        with pytest.raises((DataError, RecipeError)) as error:
            recprofile.run(tmp_path / "r.yaml")
        (problem,) = (problem for problem in error.value.problems if problem.code == code)
        assert said in problem.message
        assert problem.at.line == 6
