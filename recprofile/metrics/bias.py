"""Metrics that look at bias: relevance as if all of it had been observed, and how popular lists are."""

from __future__ import annotations

import numpy as np

from recprofile.metrics.formulas import Judged, Values, ratio


def snips_recall(judged: Judged, k: int) -> Values:
    """Recall at k as if all that is relevant had been observed, (n,); NaN for a user with nothing relevant.

    Σ 1/p over hits in the first k / Σ 1/p over relevant items, p the propensity of each, less the bias that a ratio
    has, by the jackknife over relevant items. p need be known up to a factor only; with equal p it is recall. Where p
    is right, its mean estimates which share of all that is relevant is in the first k, observed or not, in [0, 1];
    one user's own may lie outside. With one relevant item p cancels, and nothing is corrected; from about four on
    hardly any bias is left.

    Source: Yang et al. 2018, "Unbiased offline recommender evaluation for missing-not-at-random implicit feedback";
    self-normalisation: Swaminathan & Joachims 2015; jackknife: Quenouille 1956.
    """
    return _self_normalised(judged, np.ones(k))


def snips_dcg(judged: Judged, k: int) -> Values:
    """Mean gain of a relevant item as if all had been observed, (n,); NaN for a user with nothing relevant.

    Σ (1/p) / log2(rank + 1) over hits in the first k / Σ 1/p over relevant items, p the propensity of each, jackknifed
    as `snips-recall`. It is 1 where all that is relevant is one item that stands first. Unlike NDCG it is not divided
    by the gain of an ideal list, which hangs on how many relevant items were not observed.

    Source: Yang et al. 2018, as used by Saito et al. 2020.
    """
    return _self_normalised(judged, 1 / np.log2(np.arange(2, k + 2)))


def _self_normalised(judged: Judged, gain: Values) -> Values:
    if judged.inverse is None or judged.inverse_total is None or judged.inverse_rest is None:
        raise ValueError("a SNIPS metric needs propensities")
    inverse, total = judged.inverse[:, : len(gain)], judged.inverse_total[:, None]
    gained = inverse * gain[: inverse.shape[1]]
    top, many = gained.sum(axis=1), judged.relevant
    # The ratio with one relevant item left out, on average: (top - its gain) / (total - its 1/p). Without this a user
    # with eight relevant items has 1.1 times the true recall, and one with four 1.2 times, in the world of the tests.
    rest = np.divide(gained, total - inverse, out=np.zeros_like(gained), where=(gained > 0) & (many > 1)[:, None])
    left_out = (top * judged.inverse_rest - rest.sum(axis=1)) / np.maximum(many, 1)
    whole = ratio(top, judged.inverse_total)
    return np.where(many > 1, many * whole - (many - 1) * left_out, whole)


def popularity(judged: Judged, k: int) -> Values:
    """Mean share of users who have the first k items, (n,) in (0, 1]; NaN for an empty list.

    The share of an item is p_i = (c_i + 1) / (n_users + 1), as in `novelty`. Lower is less biased to what is popular,
    which is no good in itself.

    Source: average recommendation popularity, Yin et al. 2012, Abdollahpouri et al. 2019.
    """
    items = judged.items[:, :k]
    filled = items >= 0
    if judged.information.size == 0:
        return np.full(len(items), np.nan)
    shares = np.where(filled, np.exp2(-judged.information)[items], 0.0)
    return ratio(shares.sum(axis=1), np.count_nonzero(filled, axis=1))


def popularity_lift(judged: Judged, k: int) -> Values:
    """How much more popular the first k items are than those the user has in training, (n,) from -1.

    `popularity` of the list / mean of the same share over the user's training items - 1; 0: as popular as what the user
    took to before, 1: twice as popular. NaN for an empty list, and for a user without training events.

    Source: Abdollahpouri et al. 2020, "The connection between popularity bias, calibration, and fairness in
    recommendation", who take the ratio of means over a group; here it is one user's own, so that it has an interval.
    """
    if judged.usual is None:
        raise ValueError("popularity lift needs what users have in training")
    return ratio(popularity(judged, k), np.nan_to_num(judged.usual)) - 1
