"""Whose labels would help most: items that little is known of, or users, chosen to say much of all the others.

`posterior` knows how uncertain each is and how much a label would tell of the rest, `choose` picks one after another,
and `suggest` reads what it takes from a run.
"""

from recprofile.labels.choose import Choice, choose
from recprofile.labels.posterior import Posterior
from recprofile.labels.suggest import Suggestion, suggest

__all__ = ["Choice", "Posterior", "Suggestion", "choose", "suggest"]
