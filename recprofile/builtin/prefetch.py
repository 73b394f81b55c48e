"""Ask for memory before it is needed, in loops that jump about in more than a processor's caches hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

AHEAD = 8  # how many jumps before its use a place is asked for
NAME = "llvm.prefetch.p0i8"


def _prefetch(_, array, index):  # type: ignore[no-untyped-def]  # numba's own types
    """Start to read the cache line of `array[index]`, array of one dimension, index unsigned; any index will do.

    It only ever makes a loop faster. Source: LLVM's `llvm.prefetch`, for reading, to stay in every cache.
    """

    def instructions(context, builder, signature, args):  # type: ignore[no-untyped-def]
        values = context.make_array(signature.args[0])(context, builder, args[0])
        byte = ir.IntType(8).as_pointer()
        place = builder.bitcast(builder.gep(values.data, [args[1]]), byte)
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        start = builder.module.globals.get(NAME) or ir.Function(builder.module, kind, NAME)
        builder.call(start, [place, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, index), instructions


prefetch: Any = intrinsic(_prefetch)


@njit(cache=True, nogil=True, inline="always")
def prefetch_floats(flat, first, n):  # type: ignore[no-untyped-def]  # compiled
    """Ask for n float32 from place `first` on."""
    for k in range(np.uint64(0), np.uint64(n), np.uint64(16)):
        prefetch(flat, np.uint64(first) + k)
