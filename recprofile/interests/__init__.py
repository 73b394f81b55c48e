"""Interests: a person's tags with their evidence, and cards written from them."""

from recprofile.interests.facts import CardFacts, Interest

__all__ = ["CardFacts", "Interest"]
