"""Explanations: which history items and which profile blocks speak for a recommendation.

Read in this order: `pairs` (what is explained), `parts` (of which a score is made), `sentences`, `evidence`.
"""

from recprofile.builtin.explain.evidence import Evidence

__all__ = ["Evidence"]
