"""How far vectors of another backend or precision are from torch's float32, on a sample of the texts.

The cosine is that of a text's raw vectors. Neighbours are counted among the sample, after centring both sides, since
that is where profiles live and where small differences show.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from recprofile.plugin import FloatArray, Rows, RunError

SAMPLE = 256  # texts; of ten thousand, what torch takes for them is a fortieth
NEIGHBOURS = 10
FLOORS = {
    "fp32": 0.999,
    "bf16": 0.99,
    "int8": 0.95,
}  # of the worst cosine; below, something is wrong with a model or its graph
FILE = ".agreement.json"  # beside the vectors


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over so many texts: mean and least cosine, and which share of the nearest neighbours is the same.

    `neighbours` is None where the sample is too small for neighbours to mean anything.
    """

    texts: int
    mean: float
    worst: float
    neighbours: float | None

    @property
    def facts(self) -> Mapping[str, object]:
        """In words, for the report."""
        told: dict[str, object] = {"texts": self.texts, "mean cosine": self.mean, "worst cosine": self.worst}
        return told if self.neighbours is None else {**told, f"{NEIGHBOURS} nearest kept": self.neighbours}


def sample_of(texts: pl.Series) -> pl.Series:
    """At most SAMPLE of the texts, from the shortest to the longest at equal steps; the same ones of the same texts."""
    steps = np.unique(np.linspace(0, len(texts) - 1, min(SAMPLE, len(texts))).astype(np.int64))
    order = pl.DataFrame({"text": texts}).sort(pl.col("text").str.len_chars(), "text")["text"]
    return order.gather(steps)


def agreement(vectors: FloatArray, reference: FloatArray) -> Agreement:
    """Of the vectors of some texts, each (n, d) and none of them zero, with what they should be."""
    cosines = (_unit(vectors) * _unit(reference)).sum(axis=1)
    shared = None
    if len(vectors) > 2 * NEIGHBOURS:
        ours, theirs = _nearest(vectors), _nearest(reference)
        shared = round(float((ours[:, :, None] == theirs[:, None, :]).any(axis=2).mean()), 4)
    return Agreement(len(vectors), round(float(cosines.mean()), 6), round(float(cosines.min()), 6), shared)


def require(found: Agreement, *, backend: str, precision: str) -> None:
    """Raises RunError RP601 below the floor of this precision."""
    least = FLOORS[precision]
    if found.worst >= least:
        return
    message = (
        f"'backend: {backend}' with 'precision: {precision}' is too far from torch: of {found.texts} texts, "
        f"the worst cosine is {found.worst:.4f}, and must be {least} or more"
    )
    cure = "leave 'precision' at fp32" if precision == "int8" else "leave 'backend' at torch"
    raise RunError.of("RP601", message, help=(f"{cure} for this model",))


def kept_agreement(folder: Path, *, least: int) -> Agreement | None:
    """What was measured when the vectors in a folder were made, on so many texts at least; None to measure it again."""
    try:
        found = Agreement(**json.loads((folder / FILE).read_text(encoding="utf-8")))
        return found if found.texts >= least else None
    except (OSError, ValueError, TypeError):
        return None


def keep_agreement(found: Agreement, folder: Path) -> None:
    """Write it beside the vectors; a disk that does not take it costs the next run a sample."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".new-", delete=False, encoding="utf-8") as file:
            json.dump(asdict(found), file)
        Path(file.name).replace(folder / FILE)
    except OSError:
        return


def _unit(vectors: FloatArray) -> FloatArray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: FloatArray = vectors / np.maximum(length, np.finfo(np.float32).tiny)
    return unit


def _nearest(vectors: FloatArray) -> Rows:
    """The NEIGHBOURS rows nearest to each, itself left out, (n, NEIGHBOURS); of equals, the first."""
    there = _unit(vectors - vectors.mean(axis=0))
    near = there @ there.T
    np.fill_diagonal(near, -np.inf)
    return np.argsort(-near, axis=1, kind="stable")[:, :NEIGHBOURS]
