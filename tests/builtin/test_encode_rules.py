"""`rules`: the kit, its arithmetic against what is written out user by user, conditions, and what is refused."""

import polars as pl
import pytest
from numpy.testing import assert_allclose
from pydantic import ValidationError

from recprofile.builtin.encode import Rules, RulesParams
from recprofile.builtin.encode.conditions import holds
from recprofile.builtin.fuse import Weighted
from recprofile.plugin import DataError
from recprofile.testing import EncoderTests, context, dataset, emptied, toy

YOUNG = {"when": {"age": "< 30"}, "at_least": {"genres": {"Music": 0.5}}, "at_most": {"genres": {"Drama": 0.1}}}


class TestRules(EncoderTests):
    component = Rules
    examples = [
        {"rules": [YOUNG], "separator": " "},
        {"rules": [{"history": {"genres": {"Drama": ">= 0.5"}}, "set": {"genres": {"Music": -1}}}, YOUNG]},
    ]


def encode(*rules, data=None, told=None, noted=None, **params):
    warn, note = ([] if told is None else told).append, ({} if noted is None else noted).__setitem__
    made = Rules(RulesParams.model_validate({"rules": rules, "separator": " ", **params}))
    return made.encode(data or toy(), context(warn=warn, note=note))


def test_entries_are_shares_of_the_history_with_the_rules_on_top():
    noted = {}
    got = encode(YOUNG | {"name": "young"}, noted=noted)
    # positives: u1 i1 i2; u2 i1 i2 i3; u3 i3 i4 i5; u4 i4 i5; u5 i2; u6 none. Music: i5, i6; Drama: i3, i4, i5
    shares = {"u1": (0, 0), "u2": (0, 1 / 3), "u3": (1 / 3, 1), "u4": (1 / 2, 1), "u5": (0, 0), "u6": (0, 0)}
    want = [list(shares[u]) for u in ("u1", "u2", "u3", "u4", "u5", "u6")]
    for young in (0, 5):  # 20 and 25 years old; u4's age is missing
        want[young] = [max(want[young][0], 0.5), min(want[young][1], 0.1)]
    assert_allclose(got.users.vectors, want, atol=1e-6)
    assert got.users.annotations["rules"].to_list() == [["young"], [], [], [], [], ["young"]]
    assert got.items.vectors.tolist() == [[0, 0], [0, 0], [0, 1], [0, 1], [1, 1], [1, 0]]
    assert noted == {"rules": {"young": "2 users, 2 entries moved"}}
    assert not got.users.missing.any()  # u6 has no history, and a rule


def test_who_has_neither_history_nor_a_rule_is_missing():
    got = encode({"when": {"gender": "M"}, "set": {"genres": {"Music": 1}}})
    assert got.users.missing.tolist() == [False] * 5 + [True]
    assert got.users.annotations["rules"].to_list()[1] == ["rule 1"]


def test_conditions_on_the_history_go_by_shares_before_any_rule():
    lover = {"history": {"genres": {"Drama": "> 0.9"}}, "set": {"genres": {"Sci-Fi": -0.5}}}
    got = encode({"set": {"genres": {"Drama": 1}}}, lover)
    places = [("genres", "Drama"), ("genres", "Sci-Fi")]
    assert len(places) == got.dim
    assert got.users.vectors[:, 1].tolist() == pytest.approx([1, 1, -0.5, -0.5, 1, 0])
    assert got.users.vectors[:, 0].tolist() == [1] * 6


def test_a_later_rule_has_the_last_word_and_that_is_told():
    told = []
    first = {"name": "more", "at_least": {"genres": {"Music": 0.8}}}
    then = {"name": "less", "when": {"gender": "F"}, "at_most": {"genres": {"Music": 0.2}}}
    got = encode(first, then, told=told)
    assert got.users.vectors[:, 0].tolist() == pytest.approx([0.2, 0.8, 0.2, 0.8, 0.8, 0.2])
    assert told == ["rules: later rules overrule 'more' for 3 of 6 users"]


def test_a_value_that_no_item_has_is_told_with_the_nearest():
    told = []
    encode({"set": {"genres": {"Dramma": 1}}}, told=told)
    assert told[0].startswith("rules: no item has 'Dramma' in 'genres' (did you mean 'Drama'?")


def test_whole_values_without_a_separator_and_several_columns():
    rule = {"set": {"genres": {"Drama": 0.5}, "title": {"red moon": 1}}}
    got = encode(rule, separator=None)
    assert got.items.vectors.tolist() == [[0, 0], [0, 1], [0, 0], [1, 0], [0, 0], [0, 0]]


def test_what_a_rule_says_moves_the_lists():
    data = toy()
    against = encode({"set": {"genres": {"Drama": -1}}}, data=data)
    profiles = Weighted(Weighted.params_type()).fuse({"house": against}, data, context())
    scores = profiles.user_vectors @ profiles.item_vectors.T
    drama = against.items.vectors[:, 0] == 1
    assert (scores[:, drama] < 0).all()
    assert (scores[:, ~drama] == 0).all()


def test_without_events_only_rules_speak():
    got = encode(YOUNG, data=emptied(toy(), "events"))
    assert_allclose(got.users.vectors[[0, 5]], [[0.5, 0], [0.5, 0]])
    assert got.users.missing.tolist() == [False, True, True, True, True, False]


@pytest.mark.parametrize(
    ("values", "condition", "want"),
    [
        ([1, 2, None], "< 2", [True, False, False]),
        (["1", "2", "10"], ">= 2", [False, True, True]),
        (["F", "M", None], "F", [True, False, False]),
        (["F", "M", None], "!= F", [False, True, False]),
        ([1.5, 2.0], "== 2", [False, True]),
        ([1, 2], "2", [False, True]),
        (["a b", "c"], ("c", "d"), [False, True]),
        ([True, False, None], True, [True, False, False]),
        (["true", "no"], True, [True, False]),
        ([None, None], "F", [False, False]),
    ],
)
def test_conditions_hold_where_they_say(values, condition, want):
    assert holds(pl.Series(values), condition, of="x").tolist() == want


def test_an_order_of_text_is_refused():
    with pytest.raises(DataError, match="'< 3' orders column 'gender' of the users, which holds 'F', no number"):
        encode({"when": {"gender": "< 3"}, "set": {"genres": {"Drama": 1}}})
    with pytest.raises(DataError) as found:
        encode({"when": {"sex": "F"}, "set": {"genres": {"Drama": 1}}})
    assert found.value.problems[0].code == "RP502"


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (
            {"at_least": {"g": {"x": 0.5}}, "at_most": {"g": {"x": 0.2}}},
            "no entry of 'x' is at least 0.5 and at most 0.2",
        ),
        ({"at_least": {"g": {"x": 0.5}}, "set": {"g": {"x": 0.2}}}, "sets 'x' and bounds it"),
        ({"when": {"age": "< 3"}}, "the rule says nothing"),
        ({"when": {"age": "< x"}, "set": {"g": {"x": 1}}}, "no number"),
        ({"when": {"age": ">="}, "set": {"g": {"x": 1}}}, "compares with nothing"),
        ({"history": {"g": {"x": "much"}}, "set": {"g": {"x": 1}}}, "no comparison with a number"),
        ({"set": {"g": {"x": 2}}}, "less than or equal to 1"),
    ],
)
def test_rules_that_cannot_be_are_refused(rule, says):
    with pytest.raises(ValidationError, match=says):
        RulesParams.model_validate({"rules": [rule]})


def test_ratings_may_grade_the_history():
    data = dataset([("u", "a", 5), ("u", "b", 1)], items={"id": ["a", "b"], "kind": ["x", "y"]})
    got = encode({"at_most": {"kind": {"x": 1, "y": 1}}}, data=data, grade=0.5)
    # the better of two weighs 1 + .5, the other 1: shares .6 and .4
    assert_allclose(got.users.vectors, [[0.6, 0.4]], atol=1e-6)
