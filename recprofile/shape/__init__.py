"""The shape of a recipe and of parameters: the base of their pydantic models, and what is wrong, in our words.

`model` has the base, `places` finds what a pydantic error speaks of, `words` says it, `problems` puts both together.
pydantic's own words do not reach the user.
"""

from recprofile.shape.model import Model, refusal
from recprofile.shape.problems import problems_of, sort_problems

__all__ = ["Model", "problems_of", "refusal", "sort_problems"]
