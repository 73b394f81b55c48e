"""Array types and the checks that every artifact makes of its arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recprofile.errors import ArtifactError

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]
BoolArray = NDArray[np.bool_]


def expect(array: NDArray[Any], name: str, *, dtype: type, shape: tuple[int | None, ...]) -> None:
    """Check dtype and shape (None: any length), or raise ArtifactError saying what was found."""
    if array.shape != shape and not _fits(array.shape, shape):
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise ArtifactError(f"{name} has shape {array.shape}, and must have ({wanted})")
    if array.dtype != np.dtype(dtype):
        raise ArtifactError(f"{name} is {array.dtype}, and must be {np.dtype(dtype)}")


def _fits(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(want in (None, got) for want, got in zip(wanted, found, strict=True))


def expect_finite(array: NDArray[Any], name: str) -> None:
    """Check that no value is NaN or infinite, or raise ArtifactError with the first that is."""
    if array.size == 0:
        return
    # min and max carry NaN and both infinities without a mask as large as the array
    if np.isfinite(array.min()) and np.isfinite(array.max()):
        return
    where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    raise ArtifactError(f"{name} holds {array[where]} at {list(where)}")


def expect_codes(codes: NDArray[Any], name: str, *, below: int, lowest: int = 0) -> None:
    """Check that codes lie in [lowest, below), or raise ArtifactError with the first that does not."""
    if codes.size == 0:
        return
    if lowest == 0 and codes.dtype == np.int32:  # one look instead of two: below 0 is large without a sign
        wrong_somewhere = int(codes.view(np.uint32).max()) >= below
    else:
        wrong_somewhere = int(codes.min()) < lowest or int(codes.max()) >= below
    if wrong_somewhere:
        wrong = codes[(codes < lowest) | (codes >= below)].flat[0]
        raise ArtifactError(f"{name} holds the code {wrong}, and must lie in [{lowest}, {below})")
