"""`acme/numbers` and `acme/in-stock`: three lines of the kit for each, then what is special, then a recipe."""

import numpy as np

from recprofile.testing import EncoderTests, RecipeBox, RerankerTests, context, dataset
from recprofile_acme import InStock, Numbers, NumbersParams


class TestNumbers(EncoderTests):
    component = Numbers
    examples = [{"columns": ["year"]}, {"columns": ["year", "price"], "log": True}]


class TestInStock(RerankerTests):
    component = InStock
    examples = [{"column": "price"}, {"column": "year", "candidates": 2}]


def test_numbers_are_taken_as_they_are_and_missing_ones_are_zero():
    data = dataset([(1, 1)], items={"id": [1, 2, 3], "pages": [100, None, 300], "price": [2.5, None, 0.5]})
    made = Numbers(NumbersParams(columns=("pages", "price"))).encode(data, context())
    assert made.vectors.tolist() == [[100, 2.5], [0, 0], [300, 0.5]]
    assert made.missing.tolist() == [False, True, False]


def test_a_logarithm_is_of_one_more():
    data = dataset([(1, 1)], items={"id": [1, 2], "sold": [0.0, np.e - 1]})
    made = Numbers(NumbersParams(columns=("sold",), log=True)).encode(data, context())
    np.testing.assert_allclose(made.vectors, [[0], [1]], rtol=1e-6)


RECIPE_STAGES = """
- encode: acme/numbers
  with: {columns: [year, price]}
- fuse: mean-history
- recommend: dot
- rerank: acme/in-stock
  with: {column: price}
"""


def test_a_recipe_may_use_both(tmp_path):
    box = RecipeBox(tmp_path)
    ran = box.run(box.recipe(RECIPE_STAGES)).check()
    assert ran.artifact("numbers").items.vectors.shape == (6, 2)
    # i4 has no price, which stands for its stock here: second by popularity, and now last
    assert ran.recommendations.filter(user="u6")["item"].to_list()[-1] == "i4"
