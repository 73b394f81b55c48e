"""Interests: a person's tags with their evidence, and cards written from them.

`vocabulary` says which tags items have (`values` of columns, `phrases` of texts), `survey` goes through people's
events, `tagged` makes weights of that and of what people say themselves (`edits`), and `card` writes it down.
"""

from recprofile.interests.card import cards, write_card
from recprofile.interests.edits import EDITS, NO_EDITS
from recprofile.interests.facts import CardFacts, Interest
from recprofile.interests.gathered import gathered_cards, tags_of
from recprofile.interests.labels import item_names
from recprofile.interests.params import TagsParams
from recprofile.interests.tagged import Tagged, facts_of, tagged
from recprofile.interests.values import column_values
from recprofile.interests.vocabulary import vocabulary

__all__ = [
    "EDITS",
    "NO_EDITS",
    "CardFacts",
    "Interest",
    "Tagged",
    "TagsParams",
    "cards",
    "column_values",
    "facts_of",
    "gathered_cards",
    "item_names",
    "tagged",
    "tags_of",
    "vocabulary",
    "write_card",
]
