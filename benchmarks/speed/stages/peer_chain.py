"""The best chain of existing libraries, from the files to ten items for every user, in a process of its own.

    python -m benchmarks.speed.stages.peer_chain CASE OUT MODEL

polars loads, ONNX Runtime encodes texts of similar length together, implicit factorises, scipy pools, torch
ranks: the parts that the other stages found to be quickest, put together by hand. Blocks weigh as in brief.yaml.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.speed.case import Case
from benchmarks.speed.stages import encode, load

if TYPE_CHECKING:
    from recprofile.artifacts import FloatArray

DIM, CONFIDENCE, L2, SWEEPS = 64, 5.0, 30.0, 15
WEIGHTS = {"taste": 1.0, "words": 0.25}
K, BLOCK = 10, 1_024


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("model", type=Path)
    given = parser.parse_args()
    case = Case(given.case)
    loaded = load.polars(case)()
    words = encode.onnxruntime(case.texts, given.model, case.folder.parent)()
    users, items = fused(loaded, words)
    listed = best(users, items, loaded.matrix)
    write(given.out, loaded.ids, listed)


def fused(loaded: load.Loaded, words: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Users and items in one space: what they took to beside what it is about, in units that can be compared."""
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    matrix = csr_matrix(loaded.matrix)
    matrix.data = np.full(matrix.nnz, CONFIDENCE, np.float32)
    with threadpool_limits(1, user_api="blas"):  # as implicit asks
        model = AlternatingLeastSquares(DIM, regularization=L2, iterations=SWEEPS, random_state=0)
        model.fit(matrix, show_progress=False)
    there = np.bincount(matrix.indices, minlength=matrix.shape[1]) > 0
    words = words - words[there].mean(axis=0)
    words /= np.maximum(np.linalg.norm(words, axis=1, keepdims=True), 1e-12)
    matrix.data[:] = 1
    pooled = matrix @ words
    pooled /= np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
    blocks = {"taste": (model.user_factors, model.item_factors), "words": (pooled, words)}
    sides: tuple[list[FloatArray], list[FloatArray]] = ([], [])
    for name, (of_users, of_items) in blocks.items():
        scale = np.float32(np.sqrt(WEIGHTS[name] / deviation(of_users, of_items)))
        sides[0].append(of_users * scale)
        sides[1].append(of_items * scale)
    return np.concatenate(sides[0], axis=1), np.concatenate(sides[1], axis=1)


def deviation(users: FloatArray, items: FloatArray) -> float:
    """Of all scores, from second moments."""
    square = float(np.sum((users.T @ users).astype(np.float64) * (items.T @ items))) / (len(users) * len(items))
    return float(np.sqrt(square - float(users.mean(axis=0) @ items.mean(axis=0)) ** 2))


def best(users: FloatArray, items: FloatArray, seen: Any) -> np.ndarray:  # noqa: ANN401 - no stubs
    """The ten best unseen items of each user."""
    import torch

    u, v = torch.from_numpy(users), torch.from_numpy(items)
    found = np.empty((len(users), K), np.int64)
    for at in range(0, len(users), BLOCK):
        scores = u[at : at + BLOCK] @ v.T
        part = slice(seen.indptr[at], seen.indptr[at + len(scores)])
        rows = np.repeat(np.arange(len(scores)), np.diff(seen.indptr[at : at + len(scores) + 1]))
        scores[torch.from_numpy(rows), torch.from_numpy(seen.indices[part]).long()] = -torch.inf
        found[at : at + BLOCK] = scores.topk(K).indices.numpy()
    return found


def write(out: Path, ids: tuple[Any, Any], listed: np.ndarray) -> None:
    """user, item, rank."""
    import polars as pl

    users, items = ids
    n = len(listed)
    out.mkdir(parents=True, exist_ok=True)
    pl.DataFrame({
        "user": users.gather(np.repeat(np.arange(n), K)),
        "item": items.gather(listed.ravel()),
        "rank": np.tile(np.arange(1, K + 1), n),
    }).write_parquet(out / "recommendations.parquet")  # fmt: skip


if __name__ == "__main__":
    main()
