"""Half-sweeps of `als` with torch, for devices other than a processor: batches of rows of like length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from recprofile.builtin.encode.als_ridge import no_solution, ridges
from recprofile.plugin import Context, FloatArray, Progress

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from recprofile.builtin.encode.als import AlsParams

FLOATS = 4_000_000  # of one gathered batch: 16 MB, whatever the data


@dataclass(frozen=True)
class Batch:
    """Rows that are solved together, padded to the longest of them.

    `rows` (b,); `others` (b, length) codes of the other side, its number of rows where there is padding; `weights`
    (b, length), or None where every weight is 1; `l2` (b,) regularisation.
    """

    rows: torch.Tensor
    others: torch.Tensor
    weights: torch.Tensor | None
    l2: torch.Tensor


def factors_on(matrix: csr_array, start: FloatArray, p: AlsParams, ctx: Context) -> tuple[FloatArray, FloatArray]:
    """User and item vectors, (n_users, dim) and (n_items, dim) float32, from these item vectors on."""
    by_user = list(_batches(matrix, p, ctx.device))
    by_item = list(_batches(matrix.T.tocsr(), p, ctx.device))
    users = torch.zeros((matrix.shape[0], p.dim), device=ctx.device)
    items = torch.tensor(start, device=ctx.device)
    progress = ctx.progress(p.epochs * (len(by_user) + len(by_item)) + len(by_user), "batches")
    confidence = float((1 + p.alpha * matrix.data.astype(np.float64)).sum())
    ridge = torch.from_numpy(ridges(matrix, p)).to(ctx.device)
    loss = np.inf
    for _ in range(p.epochs):
        _solve(users, items, by_user, alpha=p.alpha, progress=progress)
        gain = _solve(items, users, by_item, alpha=p.alpha, progress=progress)
        before, loss = loss, confidence - gain + float((ridge @ (users * users)).double().sum())
        if before - loss < p.tolerance * loss:
            break
    _solve(users, items, by_user, alpha=p.alpha, progress=progress)
    progress.add(progress.total - progress.done)  # sweeps that were not needed
    return users.cpu().numpy(), items.cpu().numpy()


def user_vectors_on(matrix: csr_array, items: FloatArray, p: AlsParams, device: str) -> FloatArray:
    """The vectors of users whose events `matrix` (n, n_items) holds, for given item vectors: (n, dim) float32."""
    users = torch.zeros((matrix.shape[0], items.shape[1]), device=device)
    batches = list(_batches(matrix, p, device))
    progress = Context().progress(len(batches), "batches")
    _solve(users, torch.tensor(items, device=device), batches, alpha=p.alpha, progress=progress)
    return users.cpu().numpy()


def _solve(side: torch.Tensor, other: torch.Tensor, batches: list[Batch], *, alpha: float, progress: Progress) -> float:
    """Set each row of `side` to the minimiser of the loss, the other side being fixed; by how much that lowers it, from
    what it is with this side 0.

    Row u solves (YᵀY + alpha·Y_uᵀ W_u Y_u + λ_u I) x = Y_uᵀ (1 + alpha·w_u), Y_u being the rows of its entries.
    Raises RunError RP601 where weights are so far apart that float32 cannot tell the matrix from a singular one.
    """
    gram = other.T @ other
    gain = torch.zeros((), device=other.device)
    padded = torch.cat([other, other.new_zeros((1, other.shape[1]))])
    for batch in batches:
        left = gram + torch.diag_embed(batch.l2[:, None].expand(-1, gram.shape[0]))
        right = other.new_zeros((len(batch.rows), gram.shape[0]))
        width = max(1, FLOATS // (len(batch.rows) * gram.shape[0]))
        for at in range(0, batch.others.shape[1], width):  # one piece, but for a row longer than FLOATS / dim
            near = padded[batch.others[:, at : at + width]]
            if batch.weights is None:
                left.baddbmm_(near.mT, near, alpha=alpha)
                right += (1 + alpha) * near.sum(dim=1)
            else:
                weights = batch.weights[:, at : at + width, None]
                left.baddbmm_(near.mT, near * weights, alpha=alpha)
                right += (near * (1 + alpha * weights)).sum(dim=1)
        root, failed = torch.linalg.cholesky_ex(left)
        if failed.any():
            no_solution()
        side[batch.rows] = torch.cholesky_solve(right[..., None], root)[..., 0]
        gain += (right * side[batch.rows]).sum()
        progress.add()
    return float(gain)


def _batches(matrix: csr_array, p: AlsParams, device: str) -> Iterator[Batch]:
    """Rows with entries, longest first; a batch ends where rows are half as long as its first."""
    length = np.diff(matrix.indptr)
    l2 = ridges(matrix, p)
    order = np.argsort(-length, kind="stable")
    order = order[: int((length > 0).sum())]
    descending = length[order]
    binary = bool((matrix.data == 1).all())
    at = 0
    while at < len(order):
        longest = int(descending[at])
        most = max(1, FLOATS // (p.dim * max(longest, p.dim)))
        shorter = int(np.searchsorted(-descending, -(longest // 2), side="right"))
        stop = min(at + most, max(shorter, at + 1))
        rows = order[at:stop]
        inside = np.arange(longest) < descending[at:stop, None]
        entries = np.where(inside, matrix.indptr[rows][:, None] + np.arange(longest), 0)
        others = np.where(inside, matrix.indices[entries], matrix.shape[1])
        weights = None if binary else torch.from_numpy(np.where(inside, matrix.data[entries], np.float32(0))).to(device)
        yield Batch(
            torch.from_numpy(rows).to(device),
            torch.from_numpy(others.astype(np.int32)).to(device),
            weights,
            torch.from_numpy(l2[rows]).to(device),
        )
        at = stop
