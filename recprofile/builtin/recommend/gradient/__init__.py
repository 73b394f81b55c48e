"""Recommenders learnt by gradient descent, in torch: parameters and classes; what imports torch is imported late."""

from recprofile.builtin.recommend.gradient.bpr import Bpr
from recprofile.builtin.recommend.gradient.mlp import Mlp
from recprofile.builtin.recommend.gradient.sasrec import SasRec
from recprofile.builtin.recommend.gradient.two_tower import TwoTower

__all__ = ["Bpr", "Mlp", "SasRec", "TwoTower"]
