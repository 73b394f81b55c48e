"""Scores as a function of what attention learns, differentiable: history weights, block weights, and models solved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from recprofile.builtin.fuse.attended import Blocks, places
from recprofile.builtin.fuse.descent import NOBODY, Learner, Values
from recprofile.builtin.fuse.sides import Part
from recprofile.plugin import BoolArray, FloatArray, FoldIn, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FLOATS = 1 << 23  # of the vectors of a batch's histories in one block: 32 MB
MOST = 128  # users in a batch


@dataclass(frozen=True, eq=False)
class _Side:
    """A block's vectors on the device; `extra` is c − 1 of each entry of the histories, 0 if the model has it not."""

    users: torch.Tensor
    items: torch.Tensor
    spread: float
    pooled: bool
    model: FoldIn | None = None
    extra: FloatArray | None = None
    gram: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class _Seen:
    """The histories of a batch, padded, (users, length): entries, items, which are attended to, and their weights."""

    entry: NDArray[np.int64]
    inside: BoolArray
    items: torch.Tensor
    mask: torch.Tensor
    weight: torch.Tensor


class AttentionLearner(Learner):
    """Learns `theta` (history), `log_weights` (blocks) and `temperature` (of the loss alone)."""

    def __init__(
        self, blocks: Blocks, spreads: Mapping[str, float], weights: FloatArray, *, phi: FloatArray, device: str
    ) -> None:
        self.device = device
        self._weights, self._features = weights, phi.shape[1]
        # Every item that counts for anyone: those attended to, and those in a model's history that are not.
        history, parts = blocks.history, blocks.parts
        union = (history > 0).astype(np.float32)
        for part in parts.values():
            if part.fold_in is not None:
                union = union + (part.fold_in.confidence > 0).astype(np.float32)
        self._union = union.tocsr()
        self._union.sort_indices()
        self._row = np.repeat(np.arange(union.shape[0]), np.diff(self._union.indptr))
        place, self._attended = self._places(history)
        self._prior = np.where(self._attended, _at(np.log(history.data), place), np.float32(0))
        self._phi = np.zeros((self._union.nnz, phi.shape[1]), np.float32)
        self._phi[self._attended] = phi[place[self._attended]]
        self._sides = [self._side(part, spreads[name]) for name, part in parts.items()]

    def start(self) -> dict[str, torch.Tensor]:
        """Plain history weights, and blocks as they are given."""
        return {
            "theta": torch.zeros(self._features, device=self.device),
            "log_weights": log_weights(self._weights, self.device),
            "temperature": torch.zeros(1, device=self.device),
        }

    def batches(self, users: IntArray) -> list[IntArray]:
        """Users with histories of like length together."""
        lengths = np.diff(self._union.indptr)[users]
        order = users[np.argsort(lengths, kind="stable")]
        longest = np.maximum(np.sort(lengths), 1)
        wide = max((side.items.shape[1] for side in self._sides), default=1)
        groups, at = [], 0
        while at < len(order):
            sizes = np.arange(1, min(MOST, len(order) - at) + 1)
            size = max(1, int((sizes * longest[at : at + len(sizes)] * wide <= FLOATS).sum()))
            groups.append(order[at : at + size])
            at += size
        return groups

    def scores(self, values: Values, users: IntArray, items: torch.Tensor) -> torch.Tensor:
        """Σ_b w_b s_b(u, i) / spread_b, times e^temperature."""
        shares = torch.softmax(values["log_weights"], dim=0)
        attends = values["theta"].requires_grad or bool(values["theta"].any())
        seen = self._seen(values, users) if attends else None
        total = torch.zeros((len(users), len(items)), device=self.device)
        for share, side in zip(shares, self._sides, strict=True):
            own = side.users[torch.from_numpy(users).to(self.device)]
            if seen is not None and side.pooled:
                means = (seen.weight[:, None] @ side.items[seen.items])[:, 0]
                own = torch.nn.functional.normalize(means, dim=1, eps=1e-6)
            elif seen is not None and side.model is not None:
                own = self._solved(side, side.model, seen)
            total = total + share / side.spread * (own @ side.items[items].T)
        return total * values["temperature"].exp()

    def _side(self, part: Part, spread: float) -> _Side:
        items = torch.from_numpy(np.ascontiguousarray(part.items)).to(self.device)
        users = torch.from_numpy(np.ascontiguousarray(part.users)).to(self.device)
        if part.fold_in is None:
            return _Side(users, items, spread, part.pool is not None)
        place, found = self._places(part.fold_in.confidence)
        extra = np.where(found, _at(part.fold_in.confidence.data - 1, place), np.float32(0))
        return _Side(users, items, spread, False, part.fold_in, extra, items.T @ items)

    def _places(self, matrix: csr_array) -> tuple[NDArray[np.int64], BoolArray]:
        """Where in a matrix each entry of the histories is stored, 0 where not; and whether it is."""
        return places(matrix, self._row, self._union.indices)

    def _seen(self, values: Values, users: IntArray) -> _Seen:
        starts, lengths = self._union.indptr[:-1][users], np.diff(self._union.indptr)[users]
        inside = np.arange(max(1, lengths.max(initial=0))) < lengths[:, None]
        entry = np.where(inside, starts[:, None] + np.arange(inside.shape[1]), 0)
        mask = torch.from_numpy(inside & _at(self._attended, entry)).to(self.device)
        logit = torch.from_numpy(_at(self._prior, entry)).to(self.device)
        if len(self._phi):
            logit = logit + torch.from_numpy(self._phi[entry]).to(self.device) @ values["theta"]
        weight = torch.softmax(logit.masked_fill(~mask, NOBODY), dim=1) * mask
        items = torch.from_numpy(_at(self._union.indices, entry).astype(np.int64)).to(self.device)
        return _Seen(entry, inside, items, mask, weight)

    def _solved(self, side: _Side, model: FoldIn, seen: _Seen) -> torch.Tensor:
        """The model's users for confidences 1 + (c − 1)·n·a: see `FoldIn`."""
        assert side.extra is not None
        assert side.gram is not None
        more = torch.from_numpy(np.where(seen.inside, _at(side.extra, seen.entry), np.float32(0))).to(self.device)
        there = more > 0
        more = more * torch.where(seen.mask, seen.weight * seen.mask.sum(dim=1, keepdim=True), 1)
        vectors = side.items[seen.items]
        ridge = model.l2 * ((model.n_items or side.items.shape[0]) + more.sum(dim=1)) ** model.nu
        left = side.gram + (vectors * more[..., None]).mT @ vectors
        left = left + torch.diag_embed(ridge[:, None].expand(-1, vectors.shape[2]))
        right = ((more + there)[..., None] * vectors).sum(dim=1)
        solved: torch.Tensor = torch.linalg.solve(left, right[..., None])
        return solved[..., 0]


def log_weights(weights: FloatArray, device: str) -> torch.Tensor:
    """The logarithms of weights of blocks; of 0, what no learning raises to anything."""
    with np.errstate(divide="ignore"):
        return torch.from_numpy(np.maximum(np.log(weights), NOBODY).astype(np.float32)).to(device)


def _at(values: NDArray[Any], place: NDArray[np.int64]) -> NDArray[Any]:
    """The values at these places; zeros where there are none at all."""
    return values[place] if len(values) else np.zeros(place.shape, values.dtype)
