from html import unescape

import polars as pl
import pytest

from recprofile.builtin.preprocess import TextClean
from recprofile.plugin import DataError
from recprofile.testing import PreprocessorTests, context, dataset


class TestTextClean(PreprocessorTests):
    component = TextClean
    examples = [{"columns": ["title"]}, {"columns": ["title", "genres"], "lower": True, "max_chars": 4}]


def run(data, **params):
    return TextClean(TextClean.params_type.model_validate(params)).preprocess(data, context())


def texts(*values):
    ids = [f"i{n}" for n in range(len(values))]
    return dataset([("u", "i0")], items={"id": ids, "text": list(values), "year": [1] * len(values)})


def cleaned(text, **params):
    return run(texts(text), columns=["text"], **params).items.frame["text"][0]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("<p>one</p><p>two</p>", "one two"),
        ("H<sub>2</sub>O is <b class='x'>wet</b>", "H2O is wet"),
        ("before<script>if (a < b) { go() }</script>after", "before after"),
        ("a <!-- not <b>seen</b> --> z", "a z"),
        ("a < b and c > d, <3", "a < b and c > d, <3"),
        ("Tom &amp; Jerry &#169; &#xA9; &copy &nope;", "Tom & Jerry © © © &nope;"),
        ("&lt;b&gt;", "<b>"),
        ("see https://a.example/x?y=1&z=2 or www.b.example now", "see or now"),
        ("ﬁne \uff37ide", "fine Wide"),
        ("a\x00b\u200bc\u00add", "abcd"),
        (" a\t\n\u00a0 b  ", "a b"),
        ("", None),
        ("<br/>", None),
        (None, None),
        ("👩\u200d🚀 and Zoë", "👩\u200d🚀 and Zoë"),
    ],
)
def test_what_is_no_text_goes(given, wanted):
    assert cleaned(given) == wanted


def test_each_step_can_be_left_out():
    assert cleaned("<b>A</b> &amp; B", html=False) == "<b>A</b> &amp; B"
    assert cleaned("www.a.example", urls=False) == "www.a.example"
    assert cleaned("ﬁ", unicode=False) == "ﬁ"
    assert cleaned("Red Moon", lower=True) == "red moon"
    assert cleaned("Red Moon", max_chars=4) == "Red"
    assert cleaned("äöü", max_chars=2) == "äö"


def test_entities_are_those_of_the_standard_library():
    text = "&amp;&ampere;&eacute;&notit;&#128;&#x1F680;&lt &AMP; &frac12;&&;"
    assert cleaned(text, unicode=False) == unescape(text)


def test_the_counts_are_noted_and_other_columns_left():
    data = texts("<p>one</p>", "two", "<hr>", None)
    after = run(data, columns=["text"])
    assert after.items.frame["text"].to_list() == ["one", "two", None, None]
    assert after.items.frame["year"].equals(data.items.frame["year"])
    assert after.notes == ("text-clean: 1 texts of items.text changed, 1 had nothing left",)


def test_categories_become_text_and_a_column_of_nothing_stays():
    data = texts("A ", "b")
    data = data.revise(items=data.items.with_columns(data.items.frame["text"].cast(pl.Categorical)))
    assert run(data, columns=["text"]).items.frame["text"].to_list() == ["A", "b"]
    assert run(texts(None, None), columns=["text"]).items.frame["text"].to_list() == [None, None]


def test_what_is_no_text_or_not_there_is_refused():
    with pytest.raises(DataError, match="RP503 column 'year' is Int64, and 'text-clean' cleans text"):
        run(texts("a"), columns=["year"])
    with pytest.raises(DataError, match="RP502 no column 'txt' in the items") as caught:
        run(texts("a"), columns=["txt"])
    assert caught.value.problems[0].help[0] == "did you mean 'text'?"
