"""The data sets that a recipe can name, each with what is known of it; one module a source."""

from collections.abc import Mapping

from recprofile.assets.cards import DatasetCard
from recprofile.assets.known.books import BOOK_CROSSING
from recprofile.assets.known.groceries import COMPLETE_JOURNEY
from recprofile.assets.known.movielens import MOVIELENS_1M, MOVIELENS_100K

DATASETS: Mapping[str, DatasetCard] = {
    "movielens-100k": MOVIELENS_100K,
    "movielens-1m": MOVIELENS_1M,
    "book-crossing": BOOK_CROSSING,
    "complete-journey": COMPLETE_JOURNEY,
}
