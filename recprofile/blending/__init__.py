"""Several rankers heard as one: their scores in one unit, weights for them, and whether those are worth it."""

from recprofile.blending.ranker import BlendRanker
from recprofile.blending.search import BlendChoice, KeptRanker, choose_blend, judged_elsewhere
from recprofile.blending.units import Standardised, standardised, unit_scores, user_blocks, weighted_mean

__all__ = [
    "BlendChoice",
    "BlendRanker",
    "KeptRanker",
    "Standardised",
    "choose_blend",
    "judged_elsewhere",
    "standardised",
    "unit_scores",
    "user_blocks",
    "weighted_mean",
]
