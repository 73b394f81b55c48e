"""Recommenders: popularity, item neighbours, EASE, the profiles' inner product, and lists made elsewhere."""

from recprofile.builtin.recommend.dot import Dot
from recprofile.builtin.recommend.ease import Ease
from recprofile.builtin.recommend.file import FileLists
from recprofile.builtin.recommend.neighbours import ItemKnn
from recprofile.builtin.recommend.popular import Popular

__all__ = ["Dot", "Ease", "FileLists", "ItemKnn", "Popular"]
