"""What a case is: an error code, why it comes, what helps, and a small wrong recipe that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

BOOKSHOP = Path(__file__).parents[2] / "recipes" / "data"
RECIPE = """\
recipe: 1
data:
  interactions: ratings.csv
  items: books.csv
stages:
  - encode: tfidf
    with: {columns: [title, genre]}
  - fuse: mean-history
  - recommend: dot
"""


@dataclass(frozen=True)
class Case:
    """One code: its cause and cure, and an edit of the bookshop's recipe after which a command says it."""

    code: str
    cause: str
    cure: str
    edit: tuple[str, str] = ("", "")
    command: str = "recprofile validate shop.yaml"
    files: Mapping[str, str | bytes] = field(default_factory=dict)  # beside, or in place of, the bookshop's
    show: tuple[str, ...] = ()  # those of `files` that a reader must see
    status: int = 2
    start: str = ""  # the beginning of the first line that is shown of what the command prints

    def folder(self) -> dict[str, str | bytes]:
        """All files that the command finds."""
        old, new = self.edit
        if old not in RECIPE:
            raise ValueError(f"the case of {self.code} edits '{old}', which is not in the recipe")
        made: dict[str, str | bytes] = {"shop.yaml": RECIPE.replace(old, new, 1) if old else RECIPE}
        made |= {name: (BOOKSHOP / name).read_bytes() for name in ("ratings.csv", "books.csv")}
        return {**made, **self.files}
