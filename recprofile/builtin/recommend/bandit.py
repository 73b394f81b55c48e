"""Which view of a user to trust, and what to find out: Thompson sampling and UCB over rankers or profile blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.builtin.inner import InnerProducts
from recprofile.builtin.recommend.bandit_posterior import Posterior, shared_prior
from recprofile.plugin import (
    BoolArray,
    Context,
    DataError,
    Dataset,
    Field,
    FloatArray,
    Inputs,
    IntArray,
    Pack,
    Params,
    Profiles,
    Ranker,
    Recommender,
    RunError,
    Standardised,
    standardised,
    unit_scores,
    user_blocks,
)

Doubles: TypeAlias = NDArray[np.float64]


class BanditParams(Params):
    arms: Literal["rankers", "blocks"] = Field(
        "rankers", description="What is chosen among: the recommend stages named in 'from', or the profile's blocks."
    )
    policy: Literal["thompson", "ucb"] = Field(
        "thompson",
        description="thompson: rank by weights drawn from each user's posterior, once per run; ucb: by the upper bound "
        "of each item's expected reward.",
    )
    exploration: float = Field(
        1.0,
        ge=0,
        le=100,
        description="How far from the expected weights a list may go, in posterior standard deviations: 0 is greedy, 1 "
        "of thompson draws from the posterior as it is.",
    )
    reward: Literal["positive", "weight"] = Field(
        "positive", description="What an event is worth: 1 if it is positive, else 0; or its weight."
    )
    negatives: int = Field(
        4,
        ge=0,
        le=1000,
        description="Items without an event drawn for each held event, as rewards of 0: what people pass over is not "
        "logged.",
    )
    prior: float = Field(
        30.0, gt=0, le=1e6, description="How many rewards of a user's own the belief shared by all users counts as."
    )


@dataclass(frozen=True, eq=False)
class BlockRanker(Ranker):
    """One block of the profiles: the inner product of user and item there; -inf where the item has nothing in it."""

    users: FloatArray
    items: FloatArray

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32."""
        scores = self._products.of(self.users[users])
        scores[:, ~self.items.any(axis=1)] = -np.inf
        return scores

    @cached_property
    def _products(self) -> InnerProducts:
        return InnerProducts(self.items, users=len(self.users))

    def known_users(self) -> BoolArray:
        """Users who have something in the block."""
        return np.asarray(self.users.any(axis=1))

    def pack(self) -> Pack:
        """Nothing: profiles come from the stage's inputs."""
        return Pack()


@dataclass(frozen=True, eq=False)
class BanditRanker(Ranker):
    """Scores by arms' standardised scores, weighted for each user by what is believed of the arms.

    `arms`: rankers by name; `posterior` of the users of `data` over (arms, constant), `shared` that of anybody else;
    `normal` float64 (n_users, k), what thompson draws by; `seed` makes those of other people.
    """

    data: Dataset
    arms: Mapping[str, Ranker]
    posterior: Posterior
    shared: Posterior
    normal: Doubles
    params: BanditParams
    seed: int

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32; -inf for items that no arm ranks."""
        return self._scored(self._units(users), self.posterior.take(users), self.normal[users])

    def scores_of(self, people: Dataset) -> FloatArray:
        """By what is believed of anybody, (people.n_users, n_items); NotImplementedError where an arm cannot."""
        seen = people.seen()
        units = [standardised(arm.scores_of(people), seen) for arm in self.arms.values()]
        anybody = self.shared.take(np.zeros(people.n_users, np.int32))
        return self._scored(
            units, anybody, normal_numbers(people.users.ids.ids, self.shared.moment.shape[1], self.seed)
        )

    def known_users(self) -> BoolArray:
        """Users whom any arm knows."""
        return np.asarray(np.any([arm.known_users() for arm in self.arms.values()], axis=0))

    def block_evidence(self, users: IntArray, items: IntArray) -> Mapping[str, FloatArray]:
        """Each arm's part at its expected weight, and 'exploration', what the policy adds: they sum to the score."""
        every, row = np.unique(users, return_inverse=True)
        units = self._units(every.astype(np.int32))
        beliefs = self.posterior.take(every.astype(np.int32))
        mean = beliefs.mean()[row]
        parts = {
            name: (mean[:, at] * _heard(unit)[row, items]).astype(np.float32)
            for at, (name, unit) in enumerate(zip(self.arms, units, strict=True))
        }
        whole = self._scored(units, beliefs, self.normal[every])[row, items]
        expected = np.sum(list(parts.values()), axis=0)
        parts["exploration"] = np.where(np.isfinite(whole), whole - expected, 0).astype(np.float32)
        return parts

    def after(self, users: IntArray, items: IntArray, rewards: FloatArray) -> BanditRanker:
        """The same with rewards taken in, pair by pair: what users did with items that they were shown."""
        features = self._features(users, items)
        return replace(self, posterior=self.posterior.moved(users, features, rewards.astype(np.float64)))

    def pack(self) -> Pack:
        """The beliefs and draws; arms come from the stage's inputs."""
        mine, others = self.posterior.pack().within("posterior"), self.shared.pack().within("shared")
        return Pack(
            {**mine["arrays"], **others["arrays"], "normal": self.normal},
            values={**mine["values"], **others["values"], "seed": self.seed},
        )

    def _units(self, users: IntArray) -> list[Standardised]:
        return [unit_scores(arm, self.data, users, arm.known_users()) for arm in self.arms.values()]

    def _features(self, users: IntArray, items: IntArray) -> Doubles:
        return features_of(self.data, self.arms, users, items)

    def _scored(self, units: list[Standardised], beliefs: Posterior, normal: Doubles) -> FloatArray:
        p = self.params
        # The constant is the same for all items of a user, and left out of the sum; it counts in the bound's width.
        weights = beliefs.draw(p.exploration * normal) if p.policy == "thompson" else beliefs.mean()
        heard = [_heard(unit) for unit in units]
        score = np.zeros(heard[0].shape, np.float32)
        for at, z in enumerate(heard):
            score += weights[:, at, None].astype(np.float32) * z
        if p.policy == "ucb":
            score += np.float32(p.exploration) * _widths(heard, beliefs.covariance())
        ranked = np.any([unit.z > -np.inf for unit in units], axis=0)
        return np.where(ranked, score, np.float32(-np.inf))


class Bandit(Recommender[BanditParams]):
    """Learn for each user which view of them to trust, and explore where that is not yet known.

    The arms are views: earlier rankers, or the blocks of the profile. An item's features x are its scores by each arm,
    in the user's standard deviations (see `blend`), and a constant; its expected reward is x·w_u, with weights w_u of
    the user's own. So there are few weights to learn, and rewards of one item tell of all others. (Items as arms would
    need each shown many times to everybody; the profile's single dimensions as features need a matrix of dim² for each
    user, and a hundred rewards before they say anything.)

    Rewards are those of held events, on which arms that were fitted without them are judged: an arm looks good on what
    it has learnt by heart. `negatives` items without an event join them with reward 0. All users' rewards together give
    a shared belief that counts as `prior` rewards; a user's own rewards move it: w_u ~ N(A⁻¹b, noise² A⁻¹), A = prior ·
    mean x xᵀ + Σ x xᵀ, b = prior · mean x xᵀ w + Σ r x. `thompson` ranks by one draw of w_u, made from the seed and
    the user's id, so that the same run gives the same list; `ucb` by x·w + exploration · √(xᵀ Cov x), with w the mean.
    The posterior is kept with the model, and moves with later rewards (`BanditRanker.after`).

    Raises RunError RP404 without an arm, and DataError RP507 when there are no validation events.

    Source: Li et al. 2010, "A contextual-bandit approach to personalized news article recommendation" (UCB); Agrawal
    and Goyal 2013, "Thompson sampling for contextual bandits with linear payoffs".
    """

    name = "bandit"
    takes_rankers = True
    exact_for_new_users = False
    ranks_new_items = True

    def __init__(self, params: BanditParams) -> None:
        super().__init__(params)
        self.takes_rankers = self.ranks_new_users = params.arms == "rankers"
        self.needs_profiles = params.arms == "blocks"

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The arms with what held events say of them."""
        p = self.params
        arms = self._arms(inputs)
        if len(data.valid) == 0:
            helps = ("hold events out with 'split'",)
            raise DataError.of("RP507", "the split left no validation events to judge arms by", help=helps)
        fit = data.for_tuning()
        users, items, reward = rewards(fit, kind=p.reward, negatives=p.negatives, rng=ctx.rng())
        features = features_of(fit, self._arms(ctx.refit(fit)), users, items)
        shared = shared_prior(features, reward, strength=p.prior)
        everyone = shared.take(np.zeros(data.n_users, np.int32))
        normal = normal_numbers(data.users.ids.ids, features.shape[1], ctx.seed)
        mean = dict(zip(arms, shared.mean()[0], strict=False))
        ctx.note("expected weights", {name: round(float(weight), 4) for name, weight in mean.items()})
        ctx.note("rewards", len(reward))
        return BanditRanker(data, arms, everyone.moved(users, features, reward), shared, normal, p, ctx.seed)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        posterior, shared = (Posterior.unpack(pack.part(name)) for name in ("posterior", "shared"))
        normal, seed = pack.arrays["normal"], pack.values["seed"]
        return BanditRanker(data, self._arms(inputs), posterior, shared, normal, self.params, seed)

    def _arms(self, inputs: Inputs) -> dict[str, Ranker]:
        arms = dict(inputs.rankers) if self.params.arms == "rankers" else block_rankers(inputs.profiles)
        if not arms:
            help = "name recommend stages in 'from'" if self.params.arms == "rankers" else "put a fuse stage before it"
            raise RunError.of("RP404", "'bandit' has no arms", help=(help,))
        return arms


def block_rankers(profiles: Profiles | None) -> dict[str, Ranker]:
    """A ranker of each block, by its name."""
    if profiles is None:
        return {}
    users, items = profiles.user_vectors, profiles.item_vectors
    return {b.name: BlockRanker(users[:, b.start : b.stop], items[:, b.start : b.stop]) for b in profiles.blocks}


def rewards(
    data: Dataset, *, kind: Literal["positive", "weight"], negatives: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray, Doubles]:
    """User, item and reward of each event of `data.test`, and of items without an event drawn beside it, at 0.

    Items are drawn uniformly from those with training events; one that the user has had, then or before, is dropped.
    """
    test = data.test
    worth = test.positive.astype(np.float64) if kind == "positive" else np.nan_to_num(test.weight.astype(np.float64))
    there = np.flatnonzero(~data.cold_items())
    if negatives == 0 or len(there) == 0:
        return test.user, test.item, worth
    user = np.repeat(test.user, negatives)
    item = there[rng.integers(0, len(there), len(user))]
    wide = np.int64(data.n_items)
    had = np.concatenate([part.user * wide + part.item for part in (data.train, test)])
    free = ~np.isin(user * wide + item, had)
    users = np.concatenate([test.user, user[free]])
    items = np.concatenate([test.item, item[free].astype(np.int32)])
    return users, items, np.concatenate([worth, np.zeros(int(free.sum()))])


def features_of(data: Dataset, arms: Mapping[str, Ranker], users: IntArray, items: IntArray) -> Doubles:
    """Standardised scores of pairs by each arm, and 1: (n_pairs, arms + 1) float64; 0 where an arm says nothing."""
    found = np.ones((len(users), len(arms) + 1))
    every, row = np.unique(users, return_inverse=True)
    order = np.argsort(row, kind="stable")
    start = np.searchsorted(row[order], np.arange(len(every) + 1))
    known = [arm.known_users() for arm in arms.values()]
    for at in user_blocks(every, data.n_items):
        first, last = at.start, min(at.stop, len(every))
        pairs = order[start[first] : start[last]]
        for n, arm in enumerate(arms.values()):
            unit = unit_scores(arm, data, every[at].astype(np.int32), known[n])
            found[pairs, n] = _heard(unit)[row[pairs] - first, items[pairs]]
    return found


def normal_numbers(ids: pl.Series, k: int, seed: int) -> Doubles:
    """Standard normal numbers, (len(ids), k) float64, that hang on each id and the seed alone.

    Two hashes of an id make two uniform numbers, and those a normal one (Box & Muller 1958).
    """

    def uniform(stream: int) -> Doubles:
        hashed = ids.cast(pl.String).hash((seed + stream * 0x9E3779B97F4A7C15) % 2**64).to_numpy()
        return (hashed >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54

    found = [np.sqrt(-2 * np.log(uniform(2 * n))) * np.cos(2 * np.pi * uniform(2 * n + 1)) for n in range(k)]
    return np.stack(found, axis=1)


def _heard(unit: Standardised) -> FloatArray:
    """An arm's part of the features: z, and 0, which is its mean, where it ranks nothing or tells nothing."""
    return np.where(unit.tells[:, None] & (unit.z > -np.inf), unit.z, np.float32(0))


def _widths(heard: list[FloatArray], covariance: Doubles) -> FloatArray:
    """√(xᵀ Cov x) of every user and item, (n, n_items) float32, x being the arms and a constant."""
    one = np.ones((1, 1), np.float32)
    every = [*heard, one]
    total = np.zeros(heard[0].shape, np.float32)
    for a, x in enumerate(every):
        for b, y in enumerate(every[: a + 1]):
            total += np.float32(1 if a == b else 2) * covariance[:, a, b, None].astype(np.float32) * (x * y)
    return np.sqrt(np.maximum(total, 0))
