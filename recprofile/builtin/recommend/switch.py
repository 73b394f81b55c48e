"""One of two rankers for each user, or for each item: by activity, or warm and cold items in one list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from recprofile.builtin.recommend.switch_activity import EVERYONE, choose_threshold
from recprofile.builtin.recommend.switch_scale import Scale, calibrated, mixed, share_to_come
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
    Ranker,
    Recommender,
    RunError,
    Standardised,
    standardised,
    unit_scores,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class SwitchParams(Params):
    by: Literal["item", "activity"] = Field(
        "item",
        description="item: items with training events by the first ranker of 'from', the others by the second, in one "
        "list; activity: users with fewer training events than 'min_events' by the second ranker, the others by the "
        "first.",
    )
    min_events: int | None = Field(
        None,
        ge=0,
        le=1_000_000_000,
        description="Training events from which the first ranker ranks an item, or a user; null: 1 for items, and "
        "chosen on the validation part for users.",
    )
    share: float | None = Field(
        None,
        gt=0,
        le=100,
        description="By item: how much of a cold item's positive events falls into the part that lists are made for, "
        "1 for all; null: from the validation part.",
    )
    folds: int = Field(5, ge=2, le=50, description="By item: folds of items that are held out to stand for cold ones.")
    users: int = Field(
        2000, ge=10, le=1_000_000, description="By item: most users that the scale is fitted on, drawn with the seed."
    )
    metric: str = Field(
        "ndcg@10",
        pattern=r"^(ndcg|recall|precision|map|mrr|hit-rate)@[1-9][0-9]{0,3}$",
        description="By activity: what 'min_events' is chosen by: ndcg, recall, precision, map, mrr or hit-rate, at a "
        "list length.",
    )


@dataclass(frozen=True, eq=False)
class ActivityRanker(Ranker):
    """Ranks users with fewer than `below` training events by the second of two rankers, the others by the first.

    A user whom theirs does not know is ranked by the other.
    """

    data: Dataset
    rankers: tuple[Ranker, Ranker]
    below: int
    second: BoolArray

    @classmethod
    def of(cls, data: Dataset, rankers: tuple[Ranker, Ranker], below: int) -> ActivityRanker:
        """The Ranker, once it is known who knows whom."""
        first, second = (ranker.known_users() for ranker in rankers)
        return cls(data, rankers, below, np.where(_activity(data) < below, second, ~first & second))

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32, each row as its own ranker gives it."""
        out = np.empty((len(users), self.data.n_items), np.float32)
        by_second = self.second[users]
        for ranker, rows in zip(self.rankers, (~by_second, by_second), strict=True):
            if rows.any():
                out[rows] = ranker.scores(users[rows])
        return out

    def scores_of(self, people: Dataset) -> FloatArray:
        """The same for the users of other data; raises NotImplementedError where either cannot."""
        first, second = (ranker.scores_of(people) for ranker in self.rankers)
        seen = people.seen()
        told = [standardised(scores, seen).tells for scores in (first, second)]
        by_second = np.where(_activity(people) < self.below, told[1] | ~told[0], ~told[0] & told[1])
        return np.where(by_second[:, None], second, first)

    def known_users(self) -> BoolArray:
        """Users whom either knows."""
        return np.asarray(self.rankers[0].known_users() | self.rankers[1].known_users())

    def evidence(self, users: IntArray, items: IntArray) -> csr_array | None:
        """Each pair's evidence from the ranker that scored it, (n_pairs, n_items) CSR; None where either gives none."""
        from scipy.sparse import csr_array

        total = csr_array((len(users), self.data.n_items), dtype=np.float32)
        by_second = self.second[users]
        for ranker, rows in zip(self.rankers, (~by_second, by_second), strict=True):
            found = ranker.evidence(users[rows], items[rows])
            if found is None:
                return None
            at = csr_array(
                (np.ones(found.shape[0], np.float32), (np.flatnonzero(rows), np.arange(found.shape[0]))),
                shape=(len(users), found.shape[0]),
            )
            total = total + at @ found
        return csr_array(total)

    def additive(self) -> bool:
        """Where both are: the switch itself is not thrown by one item less."""
        return self.rankers[0].additive() and self.rankers[1].additive()

    def pack(self) -> Pack:
        """The threshold; rankers come from the stage's inputs."""
        return Pack(values={"below": self.below})


@dataclass(frozen=True, eq=False)
class ItemRanker(Ranker):
    """Ranks warm items by the first of two rankers and `cold` ones, bool (n_items,), by the second, on one scale."""

    data: Dataset
    rankers: tuple[Ranker, Ranker]
    cold: BoolArray
    scale: Scale

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32; -inf for what an item's ranker does not rank."""
        known = [ranker.known_users() for ranker in self.rankers]
        return self._joined(*(unit_scores(r, self.data, users, k) for r, k in zip(self.rankers, known, strict=True)))

    def scores_of(self, people: Dataset) -> FloatArray:
        """The same for the users of other data; raises NotImplementedError where either cannot."""
        seen = people.seen()
        return self._joined(*(standardised(ranker.scores_of(people), seen) for ranker in self.rankers))

    def _joined(self, warm: Standardised, cold: Standardised) -> FloatArray:
        # Scores that are all alike say nothing: they must not lift a whole side above the other.
        by_second = np.where(cold.tells, np.float32(0), -np.inf)[:, None] + cold.z
        only_second = ~warm.tells & cold.tells
        return mixed(warm.z, by_second, self.cold[None, :] | only_second[:, None], self.scale).astype(np.float32)

    def known_users(self) -> BoolArray:
        """Users whom either knows."""
        return np.asarray(self.rankers[0].known_users() | self.rankers[1].known_users())

    def evidence(self, users: IntArray, items: IntArray) -> csr_array | None:
        """Each pair's evidence from the ranker that scored it, on the list's scale, (n_pairs, n_items) CSR.

        A row sums to the score up to a constant for the user and the ranker. None where either gives none.
        """
        from scipy.sparse import csr_array, diags_array

        every, place = np.unique(users, return_inverse=True)
        who = every.astype(np.int32)
        units = [unit_scores(ranker, self.data, who, ranker.known_users()) for ranker in self.rankers]
        by_second = self.cold[items] | (~units[0].tells & units[1].tells)[place]
        total = csr_array((len(users), self.data.n_items), dtype=np.float32)
        for second, (ranker, unit) in enumerate(zip(self.rankers, units, strict=True)):
            found = ranker.evidence(users, items)
            if found is None:
                return None
            counts = (by_second == bool(second)) & unit.tells[place]
            unit_of = np.float32(self.scale.slope if second else 1) / unit.deviation[place]
            total = total + diags_array(np.where(counts, unit_of, np.float32(0))) @ found
        return csr_array(total)

    def additive(self) -> bool:
        """Not on one scale: without an item of the history scores have another deviation."""
        return False

    def pack(self) -> Pack:
        """The scale, and which items are cold; rankers come from the stage's inputs."""
        return Pack({"cold": self.cold}, values={"slope": self.scale.slope, "offset": self.scale.offset})


class Switch(Recommender[SwitchParams]):
    """Rank by one of two earlier rankers: for each user by their activity, or warm and cold items in one list.

    `by: item`: an item with at least `min_events` training events is scored by the first ranker, in the user's standard
    deviations (see `blend`); any other by the second, at slope · z + offset, which is where an item of the first with
    the same chance of being relevant stands. A user whom the first does not know is ranked by the second throughout;
    without the second, cold items are not ranked.

    The scale is fitted on folds of warm items whose training events are taken away, so that they are cold for rankers
    that are fitted anew: ln P(relevant | user, score) = own rate of the user + a + b·z, for warm and for cold items,
    above half a standard deviation, as a multinomial logit over each user's items. Warm items are judged by validation
    events, those that stand for cold ones by all of theirs, for a new item has them all before it. How much of them
    falls into the part that lists are for (`share`: all with whole items held out, a fifth with a random fifth) is
    counted on the validation part's own cold items; where it has none, it is validation events' share of all.

    On MovieLens-100K with a fifth of the items and a fifth of the other events held out, twice over, a list of EASE and
    a content model reaches NDCG@10 .248 on the validation part, against .191 and .176 of either alone; the best of 60
    scales, chosen on the same part, .254.

    `by: activity`: users with fewer than `min_events` training events are ranked by the second, the others by the
    first. The number, where not given, is the one of the best mean on the validation part, and kept only when it beats
    the better of the two alone by more than a standard error on users that it was not chosen on (five folds).

    Raises RunError RP404 without exactly two rankers, and DataError RP507 where something is to be chosen or fitted and
    there are no validation events.

    Source: switching hybrids: Burke 2002, "Hybrid recommender systems: survey and experiments", section 3.2; held-out
    items for calibration: Platt 1999, "Probabilistic outputs for support vector machines", section 2.1.
    """

    name = "switch"
    takes_rankers = True
    ranks_new_users = True
    ranks_new_items = True
    gives_evidence = True

    def __init__(self, params: SwitchParams) -> None:
        super().__init__(params)
        self.earlier: Ranker | None = None  # of the same stage, fitted on all the data

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The switch, thrown as the parameters or the validation part say."""
        rankers = _two(inputs)
        if isinstance(self.earlier, ActivityRanker):
            return ActivityRanker.of(data, rankers, self.earlier.below)
        if isinstance(self.earlier, ItemRanker):
            return ItemRanker(data, rankers, self._cold(data), self.earlier.scale)
        if self.params.by == "activity":
            return ActivityRanker.of(data, rankers, self._threshold(data, inputs, ctx))
        return self._by_item(data, rankers, ctx)

    def settled(self, result: Ranker) -> Self:
        """With the ranker's threshold, or its scale of cold items."""
        made = type(self)(self.params)
        made.earlier = result
        return made

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        rankers, values = _two(inputs), pack.values
        if "below" in values:
            return ActivityRanker.of(data, rankers, values["below"])
        return ItemRanker(data, rankers, pack.arrays["cold"], Scale(values["slope"], values["offset"]))

    def _threshold(self, data: Dataset, inputs: Inputs, ctx: Context) -> int:
        names = list(inputs.rankers)
        if self.params.min_events is not None:
            return self.params.min_events
        fit = _for_tuning(data, "to choose 'min_events' on", "give 'min_events'")
        rankers = list(ctx.refit(fit).rankers.values())
        found = choose_threshold(rankers, fit, _activity(fit), metric=self.params.metric, rng=ctx.rng())
        if found.users == 0:
            ctx.warn(f"no user has a relevant validation event: ranks by '{names[0]}', the first, alone")
            return 0
        alone = {0: names[0], EVERYONE: names[1]}.get(found.below)
        what = f"'{alone}' alone" if alone else f"'{names[1]}' for users with fewer than {found.below} events"
        ctx.note("decision", what)
        means = {"switch": found.mean, names[0]: found.alone[0], names[1]: found.alone[1]}
        ctx.note(f"{self.params.metric} on validation", {name: round(mean, 4) for name, mean in means.items()})
        ctx.note("gain on other users", f"{found.gain:+.4f} ± {found.error:.4f} ({found.users} users)")
        return found.below

    @property
    def _least(self) -> int:
        return 1 if self.params.min_events is None else self.params.min_events

    def _cold(self, data: Dataset) -> BoolArray:
        """Items with fewer training events than an item of the first ranker has, bool (n_items,)."""
        return np.asarray(np.bincount(data.train.item, minlength=data.n_items) < self._least)

    def _by_item(self, data: Dataset, rankers: tuple[Ranker, Ranker], ctx: Context) -> ItemRanker:
        p = self.params
        least, cold = self._least, self._cold(data)
        fit = _for_tuning(data, "to fit the scale of cold items on", "hold events out with 'split'")
        lines, users = calibrated(
            fit, ctx.refit, min_events=least, folds=p.folds, limit=p.users, rng=ctx.rng(), progress=ctx.progress
        )
        if min(lines.positives) == 0:
            ctx.warn("no relevant event tells how cold items stand to warm ones: their scale is a guess")
        share = p.share
        if share is None:
            again = list(ctx.refit(fit).rankers.values())
            share = share_to_come(data, fit, again, lines, min_events=least, users=users)
        scale = lines.scale(share)
        ctx.note("cold items", f"{int(cold.sum())} of {len(cold)}")
        ctx.note("scale of cold items", {"slope": round(scale.slope, 3), "offset": round(scale.offset, 3)})
        ctx.note("share to come", round(share, 3))
        return ItemRanker(data, rankers, cold, scale)


def _two(inputs: Inputs) -> tuple[Ranker, Ranker]:
    rankers: Sequence[Ranker] = list(inputs.rankers.values())
    if len(rankers) != 2:
        helps = ("name them in 'from': the first for what has events, the second for the rest",)
        raise RunError.of("RP404", f"'switch' needs two rankers, and has {len(rankers)}", help=helps)
    return rankers[0], rankers[1]


def _for_tuning(data: Dataset, what: str, cure: str) -> Dataset:
    if len(data.valid) == 0:
        raise DataError.of("RP507", f"the split left no validation events {what}", help=(cure,))
    return data.for_tuning()


def _activity(data: Dataset) -> IntArray:
    """Training events of each user, int32 (n_users,)."""
    return np.bincount(data.train.user, minlength=data.n_users).astype(np.int32)
