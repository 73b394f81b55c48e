"""Recommenders: popularity, neighbours, linear models, factors, profiles, given lists, and hybrids of others."""

from recprofile.builtin.recommend.als import ImplicitAls
from recprofile.builtin.recommend.bandit import Bandit
from recprofile.builtin.recommend.blend import Blend
from recprofile.builtin.recommend.content_ridge import ContentRidge
from recprofile.builtin.recommend.dot import Dot
from recprofile.builtin.recommend.ease import Ease
from recprofile.builtin.recommend.edlae import Edlae
from recprofile.builtin.recommend.file import FileLists
from recprofile.builtin.recommend.gradient import Bpr, Mlp, SasRec, TwoTower
from recprofile.builtin.recommend.l3ae import L3ae
from recprofile.builtin.recommend.neighbours import ItemKnn
from recprofile.builtin.recommend.popular import Popular
from recprofile.builtin.recommend.rp3beta import Rp3Beta
from recprofile.builtin.recommend.slim import Slim
from recprofile.builtin.recommend.switch import Switch
from recprofile.builtin.recommend.user_neighbours import UserKnn
from recprofile.builtin.recommend.weighted_ease import WeightedEase

__all__ = [
    "Bandit",
    "Blend",
    "Bpr",
    "ContentRidge",
    "Dot",
    "Ease",
    "Edlae",
    "FileLists",
    "ImplicitAls",
    "ItemKnn",
    "L3ae",
    "Mlp",
    "Popular",
    "Rp3Beta",
    "SasRec",
    "Slim",
    "Switch",
    "TwoTower",
    "UserKnn",
    "WeightedEase",
]
