"""What tags are made of: the parameters that all components share that speak of interests."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from recprofile.components import ItemColumns, Params


class TagsParams(Params):
    """Which tags items have, and how a person's are chosen."""

    columns: ItemColumns = Field((), description="Columns of the items that hold categories: each value is a tag.")
    separator: str | None = Field(
        None, min_length=1, description="What parts the values within one text, as ' ' in 'Drama War'; null: one value."
    )
    text: ItemColumns = Field((), description="Text columns of the items whose key phrases are tags, too.")
    words: int = Field(2, ge=1, le=5, description="Longest key phrase, in words.")
    phrases: int = Field(200, ge=1, le=10_000, description="Most key phrases, those that tell most texts apart first.")
    common: float = Field(
        0.3,
        gt=0,
        le=1,
        description="Share of the texts above which a word is too common to begin or end a key phrase, beside the "
        "function words of English.",
    )
    min_count: int = Field(2, ge=1, description="Fewest training items that must have a tag.")
    limit: int = Field(1000, ge=1, le=20_000, description="Most tags, those of the most training items first.")
    most: int = Field(20, ge=1, le=200, description="Most tags of a person, the strongest first.")
    least: float = Field(
        1.0,
        ge=0,
        description="Standard errors by which a tag's share must exceed the usual one, for it to count at all.",
    )
    prior: float = Field(
        5.0,
        gt=0,
        description="How many items of the usual mixture are counted as a person's before their own: more makes short "
        "histories say less.",
    )

    @model_validator(mode="after")
    def _something_to_read(self) -> Self:
        if not self.columns and not self.text:
            raise ValueError("tags come from 'columns', 'text' or both, and neither is given")
        return self
