"""L3AE: EASE, drawn towards what item vectors say of items, which ranks items without events too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from recprofile.builtin.lengths import row_lengths, unit_rows
from recprofile.builtin.recommend.gram import gram_matrix
from recprofile.builtin.recommend.inverse import ridge_inverse
from recprofile.builtin.recommend.linear import LinearRanker, weights_in
from recprofile.builtin.recommend.memory import free_memory, refuse_unless_it_fits
from recprofile.plugin import (
    Context,
    DataError,
    Dataset,
    Encoded,
    Field,
    FloatArray,
    Inputs,
    NamesInputs,
    Pack,
    Params,
    Ranker,
    Recommender,
    RunError,
    did_you_mean,
)

Codes = NDArray[np.intp]


class L3aeParams(Params):
    # On the validation parts of MovieLens-100K (random, by time, cold items; MiniLM vectors of titles and genres), l2
    # and prior 50 … 500, prior_l2 .1 … 10, both kernels: NDCG@10 .248, .158 and .197 with these; .248, .157 and .182
    # with the linear one at its best prior_l2, 10; EASE has .244 and .154.
    l2: float = Field(200.0, ge=0, le=1e9, description="Weight of the squared norm of B, in positive events.")
    prior: float = Field(
        200.0, gt=0, le=1e9, description="Weight of the squared distance of B from S, in positive events."
    )
    prior_l2: float = Field(
        3.0, gt=0, le=1e9, description="Regularisation of S, the model of item vectors; vectors have length 1."
    )
    kernel: Literal["rbf", "linear"] = Field(
        "rbf",
        description="How alike two items are: rbf: exp(-D / mean D), D the squared distance of their vectors; linear: "
        "their inner product, as in the paper.",
    )
    weights: Annotated[dict[str, Annotated[float, Field(ge=0, le=1e6)]], NamesInputs()] = Field(
        default={}, description="Stage id → weight of its vectors in that likeness; a stage that is not named weighs 1."
    )


class L3ae(Recommender[L3aeParams]):
    """Reconstruct each user's positive items from their others, with item vectors as prior knowledge.

    First S, from item vectors alone: EASE with the kernel K of the items' vectors in place of XᵀX, S_ij = -Q_ij / Q_jj,
    Q = (K + prior_l2 I)⁻¹. Then B minimises |X - X B|² + l2 |B|² + prior |B - S|² with diag B = 0:
    B = prior P S - P diag((1 + prior diag P S) / diag P), off the diagonal, P = (XᵀX + (l2 + prior) I)⁻¹.

    An item c without positive events is ranked through S: its column S_c = Q k_c takes it from the others, and
    B_c = P (XᵀX + prior I) S_c = S_c - l2 P S_c, which is the same fit to the column of X that S foretells, X S_c.

    K is over the vectors of all encode stages in `from`, each centred on the items with positive events and of length
    1, weighted by `weights`. An item without any vector has S = 0: it is ranked by events alone, and without events
    not at all. (n_items, n_items) float32; refuses with RunError RP604 where 5 n_items² · 4 bytes are more than the
    free memory. Raises RunError RP404 without vectors of items, RP601 for a weight of a stage that is not in `from`,
    DataError RP506 for vectors of other items.

    Source: Moon et al. 2025, "LLM-enhanced linear autoencoders for recommendation"; the kernel and the columns of items
    without events are ours.
    """

    name = "l3ae"
    ranks_new_users = True
    ranks_new_items = True
    gives_evidence = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The weights B; float32 Cholesky, on the device where it is a CUDA one."""
        p, n = self.params, data.n_items
        vectors = _side_by_side(inputs.encoded, p.weights, data)
        refuse_unless_it_fits(self.name, n, free_memory(), squares=5)
        warm, cold = np.flatnonzero(data.item_counts() > 0), np.flatnonzero(data.item_counts() == 0)
        told = _foretold(vectors, warm, cold, p, ctx)
        gram = gram_matrix(data, ctx)
        inverse = ridge_inverse(gram[np.ix_(warm, warm)] if len(cold) else gram, p.l2 + p.prior, ctx)
        drawn = inverse @ told
        # In place from here on, for each of these matrices is as large as the catalogue squared.
        fitted, foretold = drawn[:, : len(warm)], drawn[:, len(warm) :]
        fitted *= np.float32(p.prior)
        inverse *= (1 + fitted.diagonal()) / inverse.diagonal()
        fitted -= inverse
        np.fill_diagonal(fitted, 0)
        foretold *= np.float32(-p.l2)
        foretold += told[:, len(warm) :]
        del inverse, told
        weights = np.zeros((n, n), np.float32)
        weights[np.ix_(warm, np.concatenate([warm, cold]))] = drawn
        return _ranker(weights, data)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        weights = weights_in(pack, data.n_items)
        assert isinstance(weights, np.ndarray)
        return _ranker(weights, data)


def _ranker(weights: FloatArray, data: Dataset) -> LinearRanker:
    return LinearRanker(data, weights, (data.item_counts() > 0) | weights.any(axis=0))


def _side_by_side(encoded: Mapping[str, Encoded], weights: Mapping[str, float], data: Dataset) -> FloatArray:
    """The vectors of all stages, (n_items, d), so that an inner product is the weighted sum of the stages' cosines."""
    for name in weights:
        if name not in encoded:
            helps = did_you_mean(name, encoded, label="stages it is given")
            raise RunError.of("RP601", f"'{name}' in 'weights' is not among the stages in 'from'", help=helps)
    warm = data.item_counts() > 0
    parts = []
    for name, one in encoded.items():
        if one.items is None:
            helps = ("name stages with item vectors in 'from'",)
            raise RunError.of("RP404", f"'{name}' gives no vectors of items, which 'l3ae' needs", help=helps)
        if one.items.ids != data.items.ids:
            message = f"the vectors of '{name}' are of {len(one.items.ids)} other items than the {data.n_items}"
            raise DataError.of("RP506", f"{message} of the data", help=("put preprocess stages before encode stages",))
        there = ~one.items.missing
        mean = one.items.vectors[there & warm].sum(axis=0, dtype=np.float64) / max(1, np.count_nonzero(there & warm))
        rows = np.where(there[:, None], one.items.vectors - mean.astype(np.float32), np.float32(0))
        parts.append(unit_rows(rows) * np.float32(np.sqrt(weights.get(name, 1.0))))
    if not parts:
        helps = ("name an encode stage in 'from': - recommend: l3ae, from: plot",)
        raise RunError.of("RP404", "'l3ae' needs vectors of items", help=helps)
    return np.concatenate(parts, axis=1)


def _foretold(vectors: FloatArray, warm: Codes, cold: Codes, p: L3aeParams, ctx: Context) -> FloatArray:
    """S, (len(warm), n_items) float32: columns of items with events, then of those without; its own diagonal is 0."""
    order = np.concatenate([warm, cold])
    kernel = vectors[warm] @ vectors[order].T
    if p.kernel == "rbf":  # in place: each such matrix is as large as the catalogue squared
        length = row_lengths(vectors) ** 2
        kernel *= np.float32(-2)
        kernel += length[warm, None]
        kernel += length[order]
        mean = float(kernel[:, : len(warm)].mean(dtype=np.float64)) if len(warm) else 0.0
        kernel /= np.float32(-max(mean, 1e-12))
        np.exp(kernel, out=kernel)
        blank = np.asarray(~vectors.any(axis=1))
        kernel[blank[warm]] = 0
        kernel[:, blank[order]] = 0
    inverse = ridge_inverse(kernel[:, : len(warm)], p.prior_l2, ctx)
    kernel[:, len(warm) :] = inverse @ kernel[:, len(warm) :]
    inverse /= -inverse.diagonal()
    np.fill_diagonal(inverse, 0)
    kernel[:, : len(warm)] = inverse
    out: FloatArray = kernel
    return out
