"""EASE: one closed-form linear model of items from items."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from recprofile.builtin.recommend import linear
from recprofile.builtin.recommend.linear import LinearRanker
from recprofile.plugin import (
    Context,
    Dataset,
    Field,
    FloatArray,
    Inputs,
    Pack,
    Params,
    Ranker,
    Recommender,
    RunError,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class EaseParams(Params):
    # On MovieLens-100K 400 is the best of 50 … 1000 on the validation part of a random split (NDCG@10 .244), and within
    # .001 of the best on one by time.
    l2: float = Field(400.0, gt=0, le=1e9, description="Weight of the squared norm of B, in positive events.")


class Ease(Recommender[EaseParams]):
    """Reconstruct each user's positive items from their others by one closed-form linear model.

    B minimises |X - X B|² + l2 |B|² with diag B = 0: B = I - P diag(1 / diag P), P = (XᵀX + l2 I)⁻¹, X the positive
    pairs. Rows and columns of items without positive events are zero. Takes n_items² · 4 bytes; refuses with RunError
    RP604 where 2.5 times that is more than the free memory.

    Source: Steck 2019, "Embarrassingly shallow autoencoders for sparse data".
    """

    name = "ease"
    ranks_new_users = True
    gives_evidence = True
    is_baseline = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The weights B; float32 Cholesky, on the device where it is a CUDA one."""
        refuse_unless_it_fits(data.n_items, free_memory())
        gram = gram_matrix(data.positives(), ctx)
        np.fill_diagonal(gram, gram.diagonal() + np.float32(self.params.l2))
        inverse = inverse_on(ctx.device, gram) if ctx.device.startswith("cuda") else inverse_in_place(gram)
        inverse /= -inverse.diagonal().copy()
        np.fill_diagonal(inverse, 0)
        return LinearRanker.of(inverse, data)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        return LinearRanker.unpack(pack, data)


def gram_matrix(x: csr_array, ctx: Context) -> FloatArray:
    """XᵀX dense, (n_items, n_items) float32, in blocks of rows so that only the result is large."""
    n = x.shape[1]
    by_item = x.T.tocsr()
    out = np.empty((n, n), np.float32)
    step = max(1, linear.BLOCK // max(n, 1))
    progress = ctx.progress(n, "items")
    for a in range(0, n, step):
        out[a : a + step] = (by_item[a : a + step] @ x).toarray()
        progress.add(min(step, n - a))
    return out


def inverse_in_place(matrix: FloatArray) -> FloatArray:
    """The inverse of a positive definite matrix, (n, n) float32 in C order, in its own memory.

    Raises RunError RP601 where float32 does not suffice.
    """
    from scipy.linalg.lapack import spotrf, spotri

    n = len(matrix)
    if n == 0:
        return matrix
    # LAPACK wants Fortran order: the transpose of a symmetric matrix in C order is just that, without a copy.
    factor, failed = spotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
    lower, failed_too = (factor, failed) if failed else spotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        no_inverse()
    out: FloatArray = lower.T
    step = max(1, linear.BLOCK // n)
    for a in range(0, n, step):
        b = min(a + step, n)
        corner = np.triu(out[a:b, a:b])
        out[a:b, a:b] = corner + np.triu(corner, 1).T
        out[b:, a:b] = out[a:b, b:].T
    return out


def inverse_on(device: str, matrix: FloatArray) -> FloatArray:
    """The inverse of a positive definite matrix, (n, n) float32, found on a torch device.

    Raises RunError RP601 where float32 does not suffice.
    """
    import torch

    factor, failed = torch.linalg.cholesky_ex(torch.from_numpy(matrix).to(device))
    if int(failed):
        no_inverse()
    out: FloatArray = torch.cholesky_inverse(factor).cpu().numpy()
    return out


def no_inverse() -> NoReturn:
    """Say that a Cholesky factor cannot be found."""
    raise RunError.of("RP601", "the item matrix has no inverse in float32", help=("a larger 'l2' helps",))


def refuse_unless_it_fits(n_items: int, free: int | None) -> None:
    """Raise RunError RP604 when n_items² float32 weights, and half as much again twice, exceed `free` bytes."""
    needed = int(n_items**2 * 4 * 2.5)
    if free is not None and needed > free:
        message = (
            f"'ease' on {n_items:,} items needs {needed / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} GiB are free"
        )
        helps = ("a 'k-core' stage with a larger 'min_item' leaves fewer items", "'item-knn' needs far less memory")
        raise RunError.of("RP604", message, help=helps)


def free_memory() -> int | None:
    """Bytes that this process may still take: of the machine, or of its control group; None where nothing tells."""
    known: list[int] = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        known += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:  # all there is, where /proc is not
            known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = ((group / name).read_text(encoding="ascii").strip() for name in ("memory.max", "memory.current"))
        stat = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
    except OSError:
        pass
    else:
        if limit != "max":  # pages of files that were read count as used, and are given back at need
            known.append(max(0, int(limit) - int(used) + int(stat.get("inactive_file", 0))))
    return min(known) if known else None
