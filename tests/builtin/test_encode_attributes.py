import numpy as np
import polars as pl
import pytest

from recprofile.builtin.encode import Category, Numbers, TfIdf
from recprofile.plugin import DataError, RunError
from recprofile.testing import EncoderTests, context, dataset, toy


class TestTfIdf(EncoderTests):
    component = TfIdf
    examples = [
        {"columns": ["title"]},
        {"columns": ["title", "genres"], "ngram": 2, "sublinear": True, "dim": 2},
        {"columns": ["gender"], "axis": "user"},
    ]


class TestCategory(EncoderTests):
    component = Category
    examples = [
        {"columns": ["genres"], "separator": " ", "weighting": "idf"},
        {"columns": ["year", "genres"], "normalise": False},
        {"columns": ["gender"], "axis": "user"},
    ]


class TestNumbers(EncoderTests):
    component = Numbers
    examples = [{"columns": ["year"]}, {"columns": ["year", "price"]}, {"columns": ["age"], "axis": "user"}]


def encode(component, data, warned=None, **params):
    made = component(component.params_type.model_validate(params))
    return made.encode(data, context(warn=(warned if warned is not None else []).append))


def texts(*lines, cold=0):
    """Items 0, 1, … with these texts; the last `cold` of them have no training event."""
    ids = list(range(len(lines)))
    return dataset([(0, i) for i in ids[: len(ids) - cold]], items={"id": ids, "text": list(lines)})


def test_tfidf_weighs_a_count_by_rarity():
    got = encode(TfIdf, texts("Red red moon!", "red sea"), columns=["text"])
    # terms in order: moon, red, sea; idf of red is ln(3/3) + 1 = 1, of the others ln(3/2) + 1 = 1.405465
    rare = 1 + np.log(1.5)
    first = np.array([rare, 2, 0]) / np.hypot(rare, 2)
    second = np.array([0, 1, rare]) / np.hypot(rare, 1)
    np.testing.assert_allclose(got.vectors, [first, second], rtol=1e-6)
    sublinear = encode(TfIdf, texts("Red red moon!", "red sea"), columns=["text"], sublinear=True).vectors
    np.testing.assert_allclose(sublinear[0, 1] / sublinear[0, 0], (1 + np.log(2)) / rare, rtol=1e-6)


def test_tfidf_takes_runs_of_words_within_one_text():
    got = encode(TfIdf, texts("a b c", "c a"), columns=["text"], ngram=3)
    # a, a b, a b c, b, b c, c, c a: "c c" and the like would cross from one text to the next
    assert got.dim == 7
    assert (got.vectors > 0).sum(axis=1).tolist() == [6, 3]


def test_tfidf_keeps_the_terms_of_the_most_items_then_the_first_by_name():
    data = texts("b x", "b a", "b c", "a c")
    assert encode(TfIdf, data, columns=["text"], max_features=2).missing.tolist() == [False, False, False, False]
    # b stands in three items; a and c in two, of which a comes first
    assert (encode(TfIdf, data, columns=["text"], max_features=2).vectors > 0).sum(axis=0).tolist() == [2, 3]
    assert encode(TfIdf, data, columns=["text"], min_df=3).missing.tolist() == [False, False, False, True]


def test_tfidf_learns_its_terms_from_training_items():
    got = encode(TfIdf, texts("red", "blue", "red green", "green", cold=2), columns=["text"])
    assert got.vectors.tolist() == [[0, 1], [1, 0], [0, 1], [0, 0]]
    assert got.missing.tolist() == [False, False, False, True]


def test_tfidf_without_text_gives_missing_rows_and_says_so():
    warned: list[str] = []
    got = encode(TfIdf, texts("red", None, ""), warned, columns=["text"])
    assert got.missing.tolist() == [False, True, True]
    assert warned == ["tfidf: 2 of 3 items have no known term in text, and no vector"]
    warned.clear()
    got = encode(TfIdf, texts(None, "!?"), warned, columns=["text"])
    assert got.vectors.shape == (2, 0)
    assert got.missing.all()
    assert warned == ["tfidf: no term in text of the training part, so every vector is missing"]


@pytest.mark.parametrize("n", [12, 300])  # a dense decomposition and Lanczos
def test_tfidf_reduced_to_its_topics_tells_them_apart(n):
    # two vocabularies without a word in common: two directions hold every pair's likeness but that within a topic
    rng = np.random.default_rng(0)
    words = [[f"{topic}{w}" for w in range(80)] for topic in "xy"]
    lines = [" ".join(rng.choice(words[i % 2][: max(6, n // 4)], 20)) for i in range(n)]
    got = encode(TfIdf, texts(*lines), columns=["text"], dim=2).vectors
    likeness = got @ got.T
    same = np.add.outer(np.arange(n), np.arange(n)) % 2 == 0
    np.testing.assert_allclose(likeness[same], 1, atol=1e-4)
    np.testing.assert_allclose(likeness[~same], 0, atol=1e-4)


def test_tfidf_of_full_rank_keeps_every_angle():
    lines = ["a b", "b c", "c d", "a d d"]
    whole = encode(TfIdf, texts(*lines), columns=["text"]).vectors
    warned: list[str] = []
    turned = encode(TfIdf, texts(*lines), warned, columns=["text"], dim=50).vectors
    np.testing.assert_allclose(turned @ turned.T, whole @ whole.T, atol=1e-5)
    assert warned == ["tfidf: the texts span 4 dimensions, fewer than the dim of 50"]


def test_an_unknown_column_is_refused_with_the_closest():
    for component in (TfIdf, Category, Numbers):
        with pytest.raises(DataError, match="RP502 no column 'titel'") as caught:
            encode(component, toy(), columns=["titel"])
        assert "did you mean 'title'?" in caught.value.problems[0].help


def test_encoders_say_which_table_they_need():
    for component in (TfIdf, Category, Numbers):
        of_items = component(component.params_type.model_validate({"columns": ["x"]}))
        of_users = component(component.params_type.model_validate({"columns": ["x"], "axis": "user"}))
        assert (of_items.needs_items, of_items.needs_users) == (True, False)
        assert (of_users.needs_items, of_users.needs_users) == (False, True)


def test_category_is_one_where_a_value_stands():
    got = encode(Category, toy(), columns=["genres"], separator=" ", normalise=False)
    # Action, Drama, Music, Sci-Fi, from the five films of the training part
    assert got.vectors.tolist() == [[1, 0, 0, 1], [0, 0, 0, 1], [0, 1, 0, 1], [0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0]]
    assert got.annotations["tags"].to_list()[:2] == [["Sci-Fi", "Action"], ["Sci-Fi"]]
    unit = encode(Category, toy(), columns=["genres"], separator=" ").vectors
    np.testing.assert_allclose(unit[0], [0.5**0.5, 0, 0, 0.5**0.5])


def test_category_weighs_a_rare_value_more():
    got = encode(
        Category, texts("a", "a b", "a", cold=0), columns=["text"], separator=" ", weighting="idf", normalise=False
    )
    np.testing.assert_allclose(got.vectors, [[1, 0], [1, 1 + np.log(2)], [1, 0]], rtol=1e-6)


def test_category_counts_a_repeated_value_once_and_can_leave_rare_ones_out():
    got = encode(Category, texts("a a", "a,b", " a "), columns=["text"], separator=",", min_count=2)
    # 'a a', ' a ' and 'a' with another separator: 'a' stands in two items, 'a a' and 'b' in one
    assert got.vectors.tolist() == [[0], [1], [1]]
    assert got.missing.tolist() == [True, False, False]
    assert encode(Category, texts("a,a", "b"), columns=["text"], separator=",").vectors.tolist() == [[1, 0], [0, 1]]


def test_category_keeps_equal_values_of_two_columns_apart_and_takes_lists():
    items = {"id": [1, 2], "maker": ["x", "y"], "seller": ["y", None], "tags": [["p", "q"], []]}
    data = dataset([(0, 1), (0, 2)], items=items)
    got = encode(Category, data, columns=["maker", "seller", "tags"], normalise=False)
    # maker x, maker y, seller y, tags p, tags q
    assert got.vectors.tolist() == [[1, 0, 1, 1, 1], [0, 1, 0, 0, 0]]
    assert got.annotations["tags"].to_list() == [["x", "y", "p", "q"], ["y"]]


def test_category_without_any_value_gives_missing_rows():
    warned: list[str] = []
    got = encode(Category, texts(None, ""), warned, columns=["text"])
    assert got.missing.all()
    assert got.annotations["tags"].to_list() == [[], []]
    assert len(warned) == 1


def test_numbers_are_standardised_by_training_items():
    items = {"id": [1, 2, 3, 4], "year": [1, 3, None, 6], "price": [5.0, 5.0, None, 9.0]}
    warned: list[str] = []
    got = encode(Numbers, dataset([(0, 1), (0, 2), (0, 3)], items=items), warned, columns=["year", "price"])
    # year: mean 2 and deviation 1 over items 1 and 2; price has no spread there
    assert got.vectors.tolist() == [[-1, 0], [1, 0], [0, 0], [4, 0]]
    assert got.missing.tolist() == [False, False, True, False]
    assert warned == ["numbers: column 'price' has no spread in the training part, so every value becomes 0"]


def test_bumps_make_close_values_alike_and_far_ones_strangers():
    years = [1950.0, 1952.0, 1990.0, 1996.0, None, 2030.0, 1993.0]
    data = dataset([(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (0, 7)], items={"id": [*range(1, 8)], "year": years})
    got = encode(Numbers, data.keep(users=np.ones(1, np.bool_)), columns=["year"], bumps={"year": 4})
    v = got.vectors
    np.testing.assert_allclose(np.linalg.norm(v, axis=1), [1, 1, 1, 1, 0, 1, 1], atol=1e-6)
    likeness = v @ v.T
    for one, other in ((0, 1), (2, 3), (3, 6), (0, 2)):  # the formula of the docstring, with no centres in it
        apart = (years[one] - years[other]) / 4
        assert likeness[one, other] == pytest.approx(np.exp(-(apart**2) / 4), abs=2e-3)
    assert got.missing.tolist() == [False] * 4 + [True] + [False] * 2


def test_beyond_the_training_values_bumps_take_the_nearest():
    items = {"id": [1, 2, 3, 4], "year": [1950, 2000, 1900, 2100]}
    v = encode(Numbers, dataset([(0, 1), (0, 2)], items=items), columns=["year"], bumps={"year": 10}).vectors
    assert v.shape == (4, 6 + 2 * 3)
    np.testing.assert_array_equal(v[2:], v[:2])


def test_bumps_stand_beside_standardised_columns():
    items = {"id": [1, 2], "price": [1.0, 3.0], "year": [1990, 1991], "flat": [5.0, 5.0]}
    warned: list[str] = []
    data = dataset([(0, 1), (0, 2)], items=items)
    v = encode(Numbers, data, warned, columns=["price", "year", "flat"], bumps={"year": 1, "flat": 1}).vectors
    np.testing.assert_allclose(v[:, 0], [-1, 1])
    np.testing.assert_allclose(v[0, 1:-1] @ v[1, 1:-1], np.exp(-1 / 4), rtol=1e-3)
    assert (v[:, -1] == 0).all()
    assert len(warned) == 1


def test_bumps_too_narrow_are_refused_with_a_width_that_works():
    data = dataset([(0, 1), (0, 2)], items={"id": [1, 2], "price": [0.0, 1e9]})
    with pytest.raises(RunError, match=r"0 to 1e\+09, are more than 2,048"):
        encode(Numbers, data, columns=["price"], bumps={"price": 1})
    assert encode(Numbers, data, columns=["price"], bumps={"price": 4.9e5}).vectors.shape[1] <= 2_056


def test_bumps_of_a_column_that_is_not_encoded_are_refused():
    with pytest.raises(ValueError, match="not under columns: age"):
        Numbers.params_type(columns=["year"], bumps={"age": 2})


def test_numbers_of_an_empty_table_are_no_rows():
    nothing = toy().keep(items=np.zeros(6, np.bool_))
    for component in (TfIdf, Category, Numbers):
        assert encode(component, nothing, columns=["year"]).vectors.shape[0] == 0


def test_text_is_compared_whole_whatever_the_case_and_form_of_its_letters():
    composed, apart = "Amélie", "AME\u0301LIE"
    got = encode(TfIdf, texts(composed, apart), columns=["text"])
    np.testing.assert_allclose(got.vectors, [[1], [1]])


def test_category_of_an_array_column_takes_each_element():
    data = texts("a", "b")
    items = data.items.with_columns(pl.Series("pair", [["p", "q"], ["q", "q"]], dtype=pl.Array(pl.String, 2)))
    got = encode(Category, data.revise(items=items), columns=["pair"], normalise=False)
    assert got.vectors.tolist() == [[1, 1], [0, 1]]
