"""A Ranker and the rules of the list → Recommendations.

`candidates` says which items may be listed, `lists` scores the catalogue in blocks of users, `best` takes the best of
each row, with the compiled loops of `heaps`.
"""

from recprofile.ranking.best import top_k
from recprofile.ranking.candidates import candidate_mask
from recprofile.ranking.lists import rank

__all__ = ["candidate_mask", "rank", "top_k"]
