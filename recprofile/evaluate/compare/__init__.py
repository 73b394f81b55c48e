"""Runs, or the rankers of one, compared user by user.

`contenders` reads run folders, `pairing` says who was judged alike, `grid` lays their values side by side,
`significance` tests differences, `groups` and `breakdown` look at users by activity and at items by popularity, and
`comparison` puts it together.
"""

from recprofile.evaluate.compare.comparison import best_of, compare, default_of, higher_is_better
from recprofile.evaluate.compare.contenders import Contender, contenders_of

__all__ = ["Contender", "best_of", "compare", "contenders_of", "default_of", "higher_is_better"]
