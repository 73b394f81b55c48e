"""`text-clean`: texts of items less what is no text in them."""

from __future__ import annotations

from collections.abc import Mapping
from html import unescape
from typing import Any

import polars as pl

from recprofile.plugin import (
    Context,
    DataError,
    Dataset,
    Field,
    ItemColumns,
    LearningPreprocessor,
    Params,
    did_you_mean,
)

# What a page shows none of; comments and tags too, but '<' before anything that is no tag is text ('a < b', '<3').
HIDDEN = r"(?is)<(?:script|style)\b.*?</(?:script|style)\s*>|<!--.*?-->|<!\[CDATA\[|\]\]>"
INLINE = r"(?i)</?(?:a|abbr|b|big|cite|code|em|font|i|mark|s|small|span|strong|sub|sup|tt|u|wbr)(?:\s[^<>]*)?/?>"
TAG = r"</?[A-Za-z][^<>]*>|<[!?][^<>]*>"
ENTITY = r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]{1,31});?"
URL = r"""(?i)\b(?:https?://|ftp://|www\.)[^\s<>"']+"""
# Controls that are no white space, and marks without width: soft hyphens, zero-width spaces, direction, byte order.
CONTROLS = (
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)


class TextCleanParams(Params):
    columns: ItemColumns = Field(min_length=1, description="Columns of text of the items.")
    html: bool = Field(True, description="Take out HTML tags, and put characters for entities such as '&amp;'.")
    urls: bool = Field(True, description="Take out addresses that begin with http://, https://, ftp:// or www.")
    unicode: bool = Field(
        True, description="Bring characters to Unicode's form NFKC, as 'ﬁ' to 'fi', full width to plain."
    )
    lower: bool = Field(False, description="Put small letters for capitals; most language models tell them apart.")
    max_chars: int | None = Field(
        None, ge=1, description="Cut texts to this many characters; null: as long as they are."
    )


class TextClean(LearningPreprocessor[TextCleanParams]):
    """Texts of items without HTML, addresses, control characters and needless white space.

    In this order: scripts, styles, comments and tags go (a tag inside a line leaves nothing, another one a space),
    entities become characters, NFKC, control characters and marks without width go, addresses go, white space becomes
    one space each, small letters, cut. What an entity stands for is text: '&lt;b&gt;' gives '<b>'. A text of which
    nothing is left is missing. Nothing is learnt; new items are cleaned too.
    """

    name = "text-clean"
    needs_items = True

    def learn(self, data: Dataset, ctx: Context) -> Mapping[str, Any]:
        """Nothing; raises DataError RP502 for a column that is not there and RP503 for one that holds no text."""
        for name in self.params.columns:
            if name not in data.items.columns:
                near = did_you_mean(name, data.items.columns, label="columns")
                raise DataError.of("RP502", f"no column '{name}' in the items", help=near)
            if not _is_text(dtype := data.items.column(name).dtype):
                raise DataError.of("RP503", f"column '{name}' is {dtype}, and 'text-clean' cleans text")
        return {}

    def apply(self, learnt: Mapping[str, Any], data: Dataset, ctx: Context) -> Dataset:
        """The data with the texts cleaned, and a note per column that says how many changed and how many went."""
        for name in self.params.columns:
            if name not in data.items.columns or not _is_text(data.items.column(name).dtype):
                continue
            before = data.items.column(name).cast(pl.String)
            after = self._cleaned(before)
            data = data.revise(items=data.items.with_columns(after))
            changed, gone = int((before != after).sum()), after.null_count() - before.null_count()
            if changed or gone:
                data = data.note(f"text-clean: {changed} texts of items.{name} changed, {gone} had nothing left")
        return data

    def _cleaned(self, texts: pl.Series) -> pl.Series:
        p, name = self.params, texts.name
        if p.html:
            texts = texts.str.replace_all(HIDDEN, " ").str.replace_all(INLINE, "").str.replace_all(TAG, " ")
            texts = _unescaped(texts)
        if p.unicode:
            texts = texts.str.normalize("NFKC")
        texts = texts.str.replace_all(CONTROLS, "")
        if p.urls:
            texts = texts.str.replace_all(URL, " ")
        texts = texts.str.replace_all(r"[\s\x85]+", " ").str.strip_chars()
        if p.lower:
            texts = texts.str.to_lowercase()
        if p.max_chars is not None:
            texts = texts.str.head(p.max_chars).str.strip_chars_end()
        return pl.select(pl.when(texts != "").then(texts)).to_series().rename(name)


def _is_text(dtype: pl.DataType) -> bool:
    return dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null)


def _unescaped(texts: pl.Series) -> pl.Series:
    """Texts with characters for entities: one call of Python for each entity that occurs, not for each text."""
    found = texts.str.extract_all(ENTITY).explode().drop_nulls().unique()
    if len(found) == 0:
        return texts
    # The longest first, so that '&amp' does not take the beginning of '&ampere;'.
    entities = found.to_frame("entity").sort(pl.col("entity").str.len_chars(), "entity", descending=True)["entity"]
    return texts.str.replace_many(entities.to_list(), [unescape(one) for one in entities], leftmost=True)
