"""Softmax over more items than are looked at. Imports torch: to be imported late."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sampled_softmax(right: Tensor, scores: Tensor, log_q: Tensor, own: Tensor) -> Tensor:
    """Softmax loss, its sum estimated from drawn items: one value per row, (n,).

    ln(e^right + Σ_j e^(s_j) / (m q_j)) - right, with `right` (n,) the score of the item that is right, and `scores`
    (n, m) those of m items drawn with probabilities q = exp(`log_q`) (m,). `own` bool (n, m) marks drawn items that the
    row is not held against: the right one itself, and its other positives. The expectation of the sum is that of e^s
    over all items that are not `own`, whatever q is.

    Source: Bengio & Senécal 2003; for negatives that other rows of the batch give: Yi et al. 2019. The right item,
    which is there with certainty, is not corrected.
    """
    each = (scores - log_q - math.log(max(scores.shape[1], 1))).masked_fill(own, -torch.inf)
    return torch.logsumexp(torch.cat([right[:, None], each], dim=1), dim=1) - right
