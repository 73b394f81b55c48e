"""The inverse of a positive definite matrix that is as large as the catalogue, in place or on a device."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from recprofile.builtin.recommend import linear
from recprofile.plugin import Context, FloatArray, RunError


def ridge_inverse(matrix: FloatArray, ridge: FloatArray | float, ctx: Context) -> FloatArray:
    """(matrix + diag(ridge))⁻¹, (n, n) float32, by float32 Cholesky, on the device where it is a CUDA one.

    `matrix` is left as it is; `ridge` one number or (n,). Raises RunError RP601 where float32 does not suffice.
    """
    if ctx.device.startswith("cuda"):
        return inverse_on(ctx.device, matrix, ridge)
    system = matrix.copy()
    np.fill_diagonal(system, system.diagonal() + np.float32(ridge))
    return inverse_in_place(system)


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
    mirror(out)
    return out


def mirror(matrix: FloatArray) -> None:
    """Set what lies below the diagonal of an (n, n) to what lies above, in place."""
    n = len(matrix)
    step = max(1, linear.BLOCK // max(n, 1))
    for a in range(0, n, step):
        b = min(a + step, n)
        corner = np.triu(matrix[a:b, a:b])
        matrix[a:b, a:b] = corner + np.triu(corner, 1).T
        matrix[b:, a:b] = matrix[a:b, b:].T


def inverse_on(device: str, matrix: FloatArray, ridge: FloatArray | float = 0.0) -> FloatArray:
    """(matrix + diag(ridge))⁻¹, found on a torch device.

    Raises RunError RP601 where float32 does not suffice.
    """
    import torch

    # Always a copy: on the CPU the tensor would share the memory of `matrix`.
    system = torch.tensor(matrix, device=device)
    system.diagonal().add_(torch.as_tensor(np.float32(ridge), device=device))
    factor, failed = torch.linalg.cholesky_ex(system)
    if int(failed):
        no_inverse()
    out: FloatArray = torch.cholesky_inverse(factor).cpu().numpy()
    return out


def no_inverse() -> NoReturn:
    """Say that a Cholesky factor cannot be found."""
    raise RunError.of("RP601", "the item matrix has no inverse in float32", help=("a larger 'l2' helps",))
