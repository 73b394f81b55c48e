"""`surprise/co-clustering`: ratings from clusters of users and of items, learnt together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recprofile.plugin import (
    BoolArray,
    Context,
    Dataset,
    Field,
    FloatArray,
    Inputs,
    IntArray,
    Pack,
    Params,
    Ranker,
    Recommender,
)
from recprofile_surprise.memory import refuse_what_does_not_fit
from recprofile_surprise.ratings import Doubles, Ratings, Rows, rated_pairs, ratings_of, spread

RATING_BYTES = 100  # of arrays a rating, while clusters are sought


class CoClusteringParams(Params):
    user_clusters: int = Field(default=3, ge=1, le=1000, description="Clusters of users, 1 to 1000.")
    item_clusters: int = Field(default=3, ge=1, le=1000, description="Clusters of items, 1 to 1000.")
    epochs: int = Field(
        default=20, ge=1, le=10_000, description="How often all users and all items choose their cluster, 1 to 10000."
    )


@dataclass(frozen=True, eq=False)
class Clusters:
    """Mean ratings of clusters, float64: `user` (g,) of users, `item` (h,) of items, `both` (g, h).

    The mean of all ratings stands where there are none.
    """

    user: Doubles
    item: Doubles
    both: Doubles

    @classmethod
    def of(cls, ratings: Ratings, u: Rows, i: Rows, shape: tuple[int, int]) -> Clusters:
        """Those of ratings by users in the clusters `u` of items in the clusters `i`, (n,) each."""
        g, h = shape

        def means(which: Rows, n: int) -> Doubles:
            count, total = np.bincount(which, minlength=n), np.bincount(which, ratings.value, minlength=n)
            out: Doubles = np.divide(total, count, out=np.full(n, ratings.mean), where=count > 0)
            return out

        return cls(means(u, g), means(i, h), means(u * h + i, g * h).reshape(g, h))

    def expected(self, u: Rows | int, i: Rows | int, user_mean: Doubles, item_mean: Doubles) -> Doubles:
        """Ratings by users in the clusters `u` of items in the clusters `i`, all broadcast against one another."""
        # In the order of Surprise's sum: its rounding decides between clusters that are equally near.
        value: Doubles = self.both[u, i] + user_mean - self.user[u] + item_mean - self.item[i]
        return value

    def pack(self) -> Pack:
        """See `Pack`."""
        return Pack({"user": self.user, "item": self.item, "both": self.both})

    @classmethod
    def unpack(cls, pack: Pack) -> Clusters:
        """The inverse of `pack`."""
        return cls(pack.arrays["user"], pack.arrays["item"], pack.arrays["both"])


@dataclass(frozen=True, eq=False)
class ClusterRanker(Ranker):
    """Clusters, and where each user and item belongs.

    `user_cluster`, `item_cluster` int64, -1 without training events; `user_mean`, `item_mean` float64. `last` and
    `last_item` int64 (n_items,): the clusters, and where items belonged, when users chose theirs for the last time,
    which is how new people choose.
    """

    mean: float
    low: float
    high: float
    clusters: Clusters
    user_cluster: Rows
    item_cluster: Rows
    user_mean: Doubles
    item_mean: Doubles
    last: Clusters
    last_item: Rows

    def scores(self, users: IntArray) -> FloatArray:
        """Predicted ratings of all items, before clipping: (len(users), n_items) float32."""
        return self._scored(self.user_cluster[users], self.user_mean[users])

    def scores_of(self, people: Dataset) -> FloatArray:
        """The same for the users of other data with the same items, (people.n_users, n_items) float32."""
        user, item, value = rated_pairs(people)
        known = self.item_cluster[item] >= 0
        user, item, value = user[known], item[known], value[known]
        count = np.bincount(user, minlength=people.n_users)
        mean = np.bincount(user, value, minlength=people.n_users) / np.maximum(count, 1)
        errors = np.stack(
            [
                np.bincount(user, (value - expected) ** 2, minlength=people.n_users)
                for g in range(len(self.last.user))
                for expected in [self.last.expected(g, self.last_item[item], mean[user], self.item_mean[item])]
            ]
        )
        return self._scored(np.where(count > 0, errors.argmin(axis=0), -1), mean)

    def _scored(self, cluster: Rows, mean: Doubles) -> FloatArray:
        rated = self.item_cluster >= 0
        value = self.clusters.expected(
            cluster[:, None], self.item_cluster[None, :], mean[:, None], self.item_mean[None, :]
        )
        return np.where((cluster >= 0)[:, None] & rated, value, self.mean).astype(np.float32)

    def known_users(self) -> BoolArray:
        """Users with training events."""
        return self.user_cluster >= 0

    def predict(self, users: IntArray, items: IntArray) -> FloatArray:
        """Predicted ratings pair by pair, in the unit of the weights and within their range: (n_pairs,) float32."""
        u, i = self.user_cluster[users], self.item_cluster[items]
        value = self.clusters.expected(u, i, self.user_mean[users], self.item_mean[items])
        value = np.where((u >= 0) & (i >= 0), value, self.mean)
        return np.clip(value, self.low, self.high).astype(np.float32)

    def pack(self) -> Pack:
        """See `Pack`."""
        own, last = self.clusters.pack().within("clusters")["arrays"], self.last.pack().within("last")["arrays"]
        arrays = {
            "user_cluster": self.user_cluster,
            "item_cluster": self.item_cluster,
            "user_mean": self.user_mean,
            "item_mean": self.item_mean,
            "last_item": self.last_item,
        }
        return Pack(arrays | own | last, values={"mean": self.mean, "low": self.low, "high": self.high})

    @classmethod
    def unpack(cls, pack: Pack) -> ClusterRanker:
        """The inverse of `pack`."""
        parts: dict[str, Any] = {**pack.values, **{n: a for n, a in pack.arrays.items() if "." not in n}}
        return cls(clusters=Clusters.unpack(pack.part("clusters")), last=Clusters.unpack(pack.part("last")), **parts)


def co_cluster(ratings: Ratings, data: Dataset, p: CoClusteringParams, ctx: Context) -> ClusterRanker:
    """All users, then all items, choose the cluster with the least squared error of their ratings, `epochs` times."""
    rng = np.random.RandomState(ctx.seed % 2**32)  # the generator that Surprise draws from
    n_users, n_items, shape = len(ratings.users), len(ratings.items), (p.user_clusters, p.item_clusters)
    of_user = rng.randint(p.user_clusters, size=n_users).astype(np.int64)
    of_item = rng.randint(p.item_clusters, size=n_items).astype(np.int64)
    u, i, value = ratings.user, ratings.item, ratings.value
    user_mean, item_mean = np.bincount(u, value) / np.bincount(u), np.bincount(i, value) / np.bincount(i)
    progress = ctx.progress(p.epochs, "epochs")
    for _ in range(p.epochs):
        last, last_item = Clusters.of(ratings, of_user[u], of_item[i], shape), of_item
        errors = [
            np.bincount(u, (value - last.expected(g, of_item[i], user_mean[u], item_mean[i])) ** 2)
            for g in range(p.user_clusters)
        ]
        of_user = np.argmin(errors, axis=0)
        errors = [
            np.bincount(i, (value - last.expected(of_user[u], h, user_mean[u], item_mean[i])) ** 2)
            for h in range(p.item_clusters)
        ]
        of_item = np.argmin(errors, axis=0)
        progress.add()

    def placed(rows: Rows, codes: IntArray, n: int) -> Rows:
        out = np.full(n, -1, np.int64)
        out[codes] = rows
        return out

    return ClusterRanker(
        mean=ratings.mean,
        low=ratings.low,
        high=ratings.high,
        clusters=Clusters.of(ratings, of_user[u], of_item[i], shape),
        user_cluster=placed(of_user, ratings.users, data.n_users),
        item_cluster=placed(of_item, ratings.items, data.n_items),
        user_mean=spread(user_mean, ratings.users, data.n_users),
        item_mean=spread(item_mean, ratings.items, data.n_items),
        last=last,
        last_item=placed(last_item, ratings.items, data.n_items),
    )


class CoClustering(Recommender[CoClusteringParams]):
    """Ratings from clusters of users and clusters of items, learnt together.

    A prediction is mean(C_u, C_i) + (mean_u − mean(C_u)) + (mean_i − mean(C_i)): what the users of the cluster C_u give
    the items of C_i, moved by how far the user and the item are from the means of their clusters. Learns from all
    training events, positive or not, with their weights as ratings; several events of one pair count as one rating,
    their mean. A pair whose user or item has no training event gets the mean rating. A prediction equals Surprise's own
    for the same pair and seed where ratings are whole numbers, clipped to the lowest and highest rating seen; of others
    Surprise drops the fractions, and here they count. Lists are ranked by the same number before clipping. People who
    are not in the data are put into the cluster that they would have been in as users; events with items that have no
    training events count for nothing.

    Raises DataError RP505 when there are no training events, RP503 for a weight that is not finite, and RunError RP604
    when the ratings do not fit into memory.

    Source: George & Merugu 2005, "A scalable collaborative filtering framework based on co-clustering"; CoClustering of
    Surprise (Hug 2020, "Surprise: a Python library for recommender systems").
    """

    name = "co-clustering"
    predicts_ratings = True
    ranks_new_users = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> ClusterRanker:
        """The clusters."""
        ratings, p = ratings_of(data), self.params
        refuse_what_does_not_fit(
            RATING_BYTES * len(ratings) + 8 * max(len(ratings.users) * p.user_clusters, data.n_items * p.item_clusters),
            f"{len(ratings)} ratings and errors of {p.user_clusters} × {p.item_clusters} clusters",
            help=("try fewer clusters, or fewer users (preprocess: k-core)",),
        )
        return co_cluster(ratings, data, p, ctx)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> ClusterRanker:
        """The Ranker that was packed."""
        return ClusterRanker.unpack(pack)
