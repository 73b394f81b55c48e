import numpy as np

from recprofile.builtin.encode import Tags
from recprofile.interests import facts_of
from recprofile.plugin import NO_EDITS, PositiveRule, tagged, write_card
from recprofile.testing import EncoderTests, context, dataset


class TestTags(EncoderTests):
    component = Tags
    examples = [
        {"columns": ["genres"], "separator": " "},
        {"columns": ["genres"], "text": ["title"], "min_count": 1, "least": 0},
    ]


ITEMS = {"id": [0, 1, 2, 3, 4], "title": ["A", "B", "C", "D", "E"], "genre": ["x y", "x", "z", "y", None]}
LOG = [(0, 0, 5, 1), (0, 1, 5, 2), (0, 2, 1, 3), (1, 3, 5, 1), (1, 2, 5, 2), (2, 4, 5, 1)]


def encoded(log=LOG, warned=None, **params):
    data = dataset(log, items=ITEMS, positive=PositiveRule(">=", 4))
    tags = Tags(Tags.params_type.model_validate({"columns": ["genre"], "separator": " ", "min_count": 1, **params}))
    told = [] if warned is None else warned
    return data, tags, tags.encode(data, context(warn=told.append))


def test_items_have_their_tags_and_users_their_weights_in_one_space():
    data, tags, got = encoded()
    np.testing.assert_allclose(got.items.vectors, [[0.5**0.5, 0.5**0.5, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0]])
    assert got.items.missing.tolist() == [False, False, False, False, True]
    assert got.items.annotations["tags"].to_list() == [["x", "y"], ["x"], ["z"], ["y"], []]
    np.testing.assert_array_equal(got.users.vectors, tagged(data, tags.params).users.toarray())
    assert got.users.missing.tolist() == [False, False, True]
    assert got.users.vectors[0, 0] > 0 > got.users.vectors[0, 2]


def test_annotations_say_the_tags_and_the_card_of_each_user():
    data, tags, got = encoded()
    table = got.users.annotations
    assert table.columns == ["tags", "card"]
    first = table["tags"].to_list()[0]
    assert set(first[0]) == {
        "tag", "column", "weight", "items", "share", "usual", "lift", "trend", "evidence", "edited"
    }  # fmt: skip
    assert table["tags"].to_list()[2] == []
    found = tagged(data, tags.params)
    expected = [write_card(facts) for facts in facts_of(found, data, np.arange(3, dtype=np.int32))]
    assert table["card"].to_list() == expected


def test_made_again_users_are_the_same():
    data, tags, got = encoded()
    again = tags.again(data, context(), NO_EDITS)
    np.testing.assert_array_equal(again.vectors, got.users.vectors)
    assert again.annotations.equals(got.users.annotations)
    assert Tags.makes_again()


def test_without_any_tag_every_vector_is_missing_and_that_is_said():
    warned = []
    _, _, got = encoded(warned=warned, min_count=9)
    assert got.items.missing.all()
    assert got.users.missing.all()
    assert warned == ["tags: no tag in genre of the training part, so every vector is missing"]
