"""Tiles of small dense matrices that stay in a processor's registers: instructions that compiled loops of `als` call.

A loop that numba is left to vectorise goes back to memory for each sum; these take a quarter of the time. Matrices are
float32, in rows, square where they are added to, and a multiple of 8 wide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic


def _has_avx512() -> bool:
    try:
        return bool(binding.get_host_cpu_features().get("avx512f"))
    except RuntimeError:  # LLVM does not know this kind of processor's
        return False


# float32 in a register; a tile is two of them wide, and with its rows takes half of the registers that there are.
WIDTH, ROWS = (16, 8) if _has_avx512() else (8, 4)
WIDE = 2 * WIDTH
EIGHT = 8

_FLOAT, _PLACE = ir.FloatType(), ir.IntType(64)
_FUSED = ("contract",)


class _Code:
    """What is written into a function: vectors of so many float32, of matrices that numba knows."""

    def __init__(self, context: Any, builder: Any, width: int) -> None:  # noqa: ANN401 - numba has no types
        self.context, self.builder, self.width = context, builder, width
        self.vector = ir.VectorType(_FLOAT, width)

    def matrix(self, kind: Any, value: Any) -> tuple[Any, Any]:  # noqa: ANN401
        """Where the first entry of a two-dimensional array is, and how many columns it has."""
        array = self.context.make_array(kind)(self.context, self.builder, value)
        return array.data, cgutils.unpack_tuple(self.builder, array.shape)[1]  # type: ignore[no-untyped-call]

    def place(self, value: Any, kind: Any) -> Any:  # noqa: ANN401
        """A whole number as a place."""
        return self.context.cast(self.builder, value, kind, types.intp)

    def at(self, first: Any, columns: Any, row: Any, column: Any) -> Any:  # noqa: ANN401
        """Where an entry is."""
        return self.builder.gep(first, [self.builder.add(self.builder.mul(row, columns), column)])

    def further(self, place: Any, by: int) -> Any:  # noqa: ANN401
        """A place so many entries on."""
        return self.builder.add(place, _PLACE(by))

    def load(self, at: Any) -> Any:  # noqa: ANN401
        """As many entries as are in a vector."""
        return self.builder.load(self.builder.bitcast(at, self.vector.as_pointer()), align=4)

    def store(self, value: Any, at: Any) -> None:  # noqa: ANN401
        """As many."""
        self.builder.store(value, self.builder.bitcast(at, self.vector.as_pointer()), align=4)

    def everywhere(self, value: Any) -> Any:  # noqa: ANN401
        """A vector of one number."""
        b, none = self.builder, ir.Constant(self.vector, ir.Undefined)
        alone = b.insert_element(none, value, ir.IntType(32)(0))
        return b.shuffle_vector(alone, none, ir.Constant(ir.VectorType(ir.IntType(32), self.width), [0] * self.width))

    def plus_product(self, total: Any, a: Any, b: Any) -> Any:  # noqa: ANN401
        """total + a·b, rounded once where the processor can."""
        return self.builder.fadd(total, self.builder.fmul(a, b, flags=_FUSED), flags=_FUSED)


def _tile(columns: int, *, minus: bool) -> Any:  # noqa: ANN401 - what numba compiles
    """into[i:i + ROWS, j:j + columns] ± Σ of[k + r, i:i + ROWS]ᵀ of[k + r, j:j + columns] over r < n, n at least 1."""
    width = min(WIDTH, columns)

    def add(_, into, of, i, j, k, n):  # type: ignore[no-untyped-def]  # noqa: PLR0917 - numba's own types
        def instructions(context, builder, signature, args):  # type: ignore[no-untyped-def]
            code, kinds = _Code(context, builder, width), signature.args
            (first, wide), (first_of, wide_of) = (code.matrix(kinds[at], args[at]) for at in (0, 1))
            i, j, k, n = (code.place(args[at], kinds[at]) for at in range(2, 6))
            right = [code.further(j, v) for v in range(0, columns, width)]
            places = [code.at(first, wide, code.further(i, r), column) for r in range(ROWS) for column in right]
            sums = [code.load(at) for at in places]
            row, totals, close = _loop(builder, k, builder.add(k, n), sums)
            vectors = [code.load(code.at(first_of, wide_of, row, column)) for column in right]
            left = [builder.load(code.at(first_of, wide_of, row, code.further(i, r))) for r in range(ROWS)]
            factors = [code.everywhere(builder.fneg(a) if minus else a) for a in left]
            pairs = [(a, b) for a in factors for b in vectors]
            added = [code.plus_product(total, *pair) for total, pair in zip(totals, pairs, strict=True)]
            close(added)
            for value, at in zip(added, places, strict=True):
                code.store(value, at)
            return context.get_dummy_value()

        return types.void(into, of, i, j, k, n), instructions

    return intrinsic(add)


def _loop(builder: Any, first: Any, stop: Any, begin: list[Any]) -> tuple[Any, list[Any], Callable[[list[Any]], None]]:  # noqa: ANN401
    """Begin a loop over `first` to `stop`, not none: its number, its values, and how to close it with new ones."""
    before, inside, after = builder.block, builder.append_basic_block("tile"), builder.append_basic_block("tile.end")
    builder.branch(inside)
    builder.position_at_end(inside)
    number = builder.phi(_PLACE)
    number.add_incoming(first, before)
    values = [builder.phi(value.type) for value in begin]
    for phi, value in zip(values, begin, strict=True):
        phi.add_incoming(value, before)

    def close(new: list[Any]) -> None:
        following = builder.add(number, _PLACE(1))
        number.add_incoming(following, inside)
        for phi, value in zip(values, new, strict=True):
            phi.add_incoming(value, inside)
        builder.cbranch(builder.icmp_signed("<", following, stop), inside, after)
        builder.position_at_end(after)

    return number, values, close


def _corner(_, a, k):  # type: ignore[no-untyped-def]  # numba's own types
    """a[k:k + 8, k:k + 8] becomes its upper Cholesky factor, with 1/u on the diagonal; False where it has none."""

    def instructions(context, builder, signature, args):  # type: ignore[no-untyped-def]
        code = _Code(context, builder, EIGHT)
        first, wide = code.matrix(signature.args[0], args[0])
        k = code.place(args[1], signature.args[1])
        places = [code.at(first, wide, code.further(k, r), k) for r in range(EIGHT)]
        rows: list[Any] = []
        root = builder.module.declare_intrinsic("llvm.sqrt", [_FLOAT])
        is_positive = ir.IntType(1)(1)
        for p, at in enumerate(places):
            row = code.load(at)
            for above in rows:
                row = code.plus_product(row, code.everywhere(builder.fneg(_entry(builder, above, p))), above)
            pivot = _entry(builder, row, p)
            # NaN is not positive either
            is_positive = builder.and_(is_positive, builder.fcmp_ordered(">", pivot, ir.Constant(_FLOAT, 0)))
            inverse = builder.fdiv(ir.Constant(_FLOAT, 1), builder.call(root, [pivot]))
            rows.append(builder.fmul(row, code.everywhere(inverse)))
            code.store(builder.insert_element(rows[p], inverse, ir.IntType(32)(p)), at)
        return is_positive

    return types.boolean(a, k), instructions


def _entry(builder: Any, vector: Any, at: int) -> Any:  # noqa: ANN401
    return builder.extract_element(vector, ir.IntType(32)(at))


def _beside(columns: int) -> Any:  # noqa: ANN401 - what numba compiles
    """a[k:k + 8, j:j + columns] becomes the factor's rows there, the corner at k being done."""

    def solve(_, a, k, j):  # type: ignore[no-untyped-def]  # numba's own types
        def instructions(context, builder, signature, args):  # type: ignore[no-untyped-def]
            code, kinds = _Code(context, builder, columns), signature.args
            first, wide = code.matrix(kinds[0], args[0])
            k, j = (code.place(args[at], kinds[at]) for at in (1, 2))
            numbers = [code.further(k, r) for r in range(EIGHT)]
            rows: list[Any] = []
            for p in range(EIGHT):
                row = code.load(code.at(first, wide, numbers[p], j))
                for q, above in enumerate(rows):
                    factor = builder.fneg(builder.load(code.at(first, wide, numbers[q], numbers[p])))
                    row = code.plus_product(row, code.everywhere(factor), above)
                inverse = builder.load(code.at(first, wide, numbers[p], numbers[p]))
                rows.append(builder.fmul(row, code.everywhere(inverse)))
            for p, row in enumerate(rows):
                code.store(row, code.at(first, wide, numbers[p], j))
            return context.get_dummy_value()

        return types.void(a, k, j), instructions

    return intrinsic(solve)


_add_wide, _add, _add_eight = (_tile(columns, minus=False) for columns in (WIDE, WIDTH, EIGHT))
_take_wide, _take, _take_eight = (_tile(columns, minus=True) for columns in (WIDE, WIDTH, EIGHT))
_beside_all, _beside_eight = _beside(WIDTH), _beside(EIGHT)
_factor_corner: Any = intrinsic(_corner)


# Numba gives types to what is called, so functions under `njit` carry none.
@njit(cache=True, nogil=True)
def add_squares(into, of, n):  # type: ignore[no-untyped-def]
    """into += of[:n]ᵀ of[:n] on the diagonal and above it, n at least 1; what is below is never of use."""
    d = into.shape[1]
    for i in range(0, d, ROWS):
        j = i // EIGHT * EIGHT
        while d - j >= WIDE:
            _add_wide(into, of, i, j, 0, n)
            j += WIDE
        while d - j >= WIDTH:
            _add(into, of, i, j, 0, n)
            j += WIDTH
        if d > j:
            _add_eight(into, of, i, j, 0, n)


@njit(cache=True, nogil=True)
def factor(a):  # type: ignore[no-untyped-def]
    """`a`, of which only the upper triangle counts, becomes U with UᵀU = a, and 1/u on the diagonal.

    False where a pivot is not positive; 64 columns take 1.5 µs.
    """
    d = a.shape[1]
    for k in range(0, d, EIGHT):
        if not _factor_corner(a, k):
            return False
        right = k + EIGHT
        j = right
        while d - j >= WIDTH:
            _beside_all(a, k, j)
            j += WIDTH
        if d > j:
            _beside_eight(a, k, j)
        for i in range(right, d, ROWS):
            j = i // EIGHT * EIGHT
            while d - j >= WIDE:
                _take_wide(a, a, i, j, k, EIGHT)
                j += WIDE
            while d - j >= WIDTH:
                _take(a, a, i, j, k, EIGHT)
                j += WIDTH
            if d > j:
                _take_eight(a, a, i, j, k, EIGHT)
    return True
