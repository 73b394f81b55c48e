"""What states of `sasrec` are held against. Imports torch: to be imported late.

States are those that foretell something, (n, d); each has items to foretell, (n, h), with `share` (n, h) of the loss
that sum to 1 and scores `right` (n, h); a place without an item holds the item after the last one, with a share of 0.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import embedding, logsigmoid, pad

NEVER = -1e4  # a score whose exponential is 0 in float32, and whose gradient is a number


def targets(item: Tensor, positive: Tensor, *, horizon: int, none: int) -> tuple[Tensor, Tensor]:
    """Items that the states after events 0 … L-2 are to foretell, and their shares: (n, L-1, h) each.

    `item` and `positive` (n, L); of the next `horizon` events those that are positive, the k-th weighing 1 - (k-1)/h.
    A state without any has shares of 0.
    """
    later = torch.where(positive, item, none)[:, 1:]
    right = pad(later, (0, horizon - 1), value=none).unfold(1, horizon, 1)
    weight = 1 - torch.arange(horizon, device=item.device) / horizon
    share = weight * (right != none)
    return right, share / share.sum(2, keepdim=True).clamp(min=1e-12)


def earlier(item: Tensor, foretells: Tensor, none: int) -> tuple[Tensor, Tensor]:
    """Which items stand at or before each state that foretells something: rows among those states, and items.

    `item` (n, length) padded with `none`; `foretells` bool (n, length).
    """
    n = item.shape[1]
    before = torch.ones(n, n, dtype=torch.bool, device=item.device).tril()
    row, at, place = torch.nonzero(before & foretells[:, :, None] & (item != none)[:, None, :], as_tuple=True)
    state = (torch.cumsum(foretells.reshape(-1), 0) - 1).view(foretells.shape)
    return state[row, at], item[row, place]


def came_before(item: Tensor, drawn: Tensor) -> Tensor:
    """Whether drawn items (m,) stand at or before each event of `item` (n, length): bool (n, length, m)."""
    return torch.cummax((item[:, :, None] == drawn).to(torch.uint8), dim=1).values.bool()


def softmax_loss(
    right: Tensor, share: Tensor, scores: Tensor, items: Tensor, seen: tuple[Tensor, Tensor] | None
) -> Tensor:
    """ln Σ_j e^(s_j) - Σ_k share_k right_k, one value per state: (n,).

    `scores` (n, n_items + 1), the last column for padding, in which `right` (n, h) are those of `items`; those that are
    `seen` (states, items) do not count in the sum, unless they are right. Writes to `scores`, the largest tensor.
    """
    if seen is not None:
        scores = scores.index_put_(seen, scores.new_tensor(NEVER)).scatter_(1, items, right)
    scores[:, -1] = NEVER
    return torch.logsumexp(scores, 1) - (share * right).sum(1)


def gbce_loss(right: Tensor, share: Tensor, drawn: Tensor, counts: Tensor, *, n_items: int, t: float) -> Tensor:
    """Binary cross-entropy with the right items' part raised to β: one value per state, (n,).

    `drawn` (n, m) are scores of items drawn uniformly, `counts` (n, m) False for those that do not count. See
    `SasRec` for β; t = 1 makes up for all items that were not drawn, t = 0 for none.
    """
    m = drawn.shape[1]
    alpha = min(m / max(n_items - 1, 1), 1.0)
    beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
    against = (logsigmoid(-drawn) * counts).sum(1)
    return -(beta * (share * logsigmoid(right)).sum(1) + against) / (m + 1)


def scores_of(states: Tensor, items: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Scores of items (n, h), each state's own: (n, h)."""
    return torch.einsum("bd,bhd->bh", states, embedding(items, weight)) + bias[items]
