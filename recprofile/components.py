"""What a plugin subclasses: Params, Component, one class per verb, and Ranker, which a Recommender gives.

A component is one class: a `name`, a frozen model of its parameters as the class's type argument, capabilities as
class attributes, and one method named after its verb. It is made once per stage and holds no state but `params`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar, get_args, get_origin

from pydantic import AfterValidator

from recprofile.artifacts import (
    BoolArray,
    CheckResult,
    Dataset,
    Embeddings,
    Encoded,
    Explanations,
    FloatArray,
    IntArray,
    Interactions,
    Pack,
    Profiles,
    Recommendations,
    Template,
)
from recprofile.shape import Model, refusal

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray
    from scipy.sparse import csr_array


class Params(Model):
    """Base of every component's parameters: frozen, unknown keys refused; each field described, with its range."""


P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class ColumnsOf:
    """Marks a parameter that names columns of a table, so that a wrong name is found before anything runs.

    'axis': the table that the component's own parameter `axis` names; 'any': a column of the items, the users or the
    interactions, as 'price' or 'items.price'. Of a mapping, the keys are columns; `within`: the parameter is a
    Template, and names columns in braces.
    """

    table: Literal["items", "users", "axis", "any"]
    within: bool = False


@dataclass(frozen=True)
class IsAsset:
    """Marks a parameter that names a file, folder or model by path or URI; its contents count in the cache key."""


@dataclass(frozen=True)
class NamesInputs:
    """Marks a mapping parameter whose keys are ids of stages that this one takes, so that a wrong one is found."""


@dataclass(frozen=True)
class Tunable:
    """Marks a parameter that `recprofile tune` searches where the recipe names no ranges, and its range.

    Numbers from `low` to `high`, by their ratios with `log`; or one of `values`. Mark what decides how good a
    component is on new data, two or three parameters of it, with a range that holds the best value of most data sets.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    values: tuple[bool | int | float | str | None, ...] = ()


def _template(text: str) -> str:
    try:
        Template.of(text)
    except ValueError as error:
        raise refusal("RP204", f"the template {error}", help=('for example "{title} ({year}): {genres}"',)) from None
    return text


ItemColumns = Annotated[tuple[str, ...], ColumnsOf("items")]
UserColumns = Annotated[tuple[str, ...], ColumnsOf("users")]
AxisColumns = Annotated[tuple[str, ...], ColumnsOf("axis")]
ItemColumn = Annotated[str, ColumnsOf("items")]
UserColumn = Annotated[str, ColumnsOf("users")]
ItemTemplate = Annotated[str, ColumnsOf("items", within=True), AfterValidator(_template)]
Asset = Annotated[str, IsAsset()]


def _nothing(*_: object) -> None:
    return None


def _no_inputs(_: Dataset) -> Inputs:
    return Inputs()


@dataclass(frozen=True)
class Context:
    """What the engine lends a stage while it runs.

    `device` is a torch device string ('cpu', 'cuda:0', 'mps'); `seed` belongs to this stage alone; `warn` puts a line
    into the terminal, the manifest and the report; `asset` gives the local path of a parameter marked `Asset`;
    `store` is a folder that outlives the run, for results worth keeping per input (None: keep nothing); `note` keeps
    what the stage found out or decided, a name and a plain value, which stand beside the stage in terminal and report.

    `refit` gives the stage's own inputs as the recipe's earlier stages make them of other training events of the same
    users and items: `fit = data.for_tuning(); inputs = ctx.refit(fit)` is what a component tunes itself on, for what
    earlier stages learnt from all of `data.train` has seen the events that it is to be judged by.
    """

    stage: str = "stage"
    device: str = "cpu"
    seed: int = 0
    warn: Callable[[str], None] = _nothing
    report: Callable[[int, int, str], None] = _nothing
    asset: Callable[[str], Path] = Path
    store: Path | None = None
    refit: Callable[[Dataset], Inputs] = _no_inputs
    note: Callable[[str, object], None] = _nothing

    def rng(self) -> np.random.Generator:
        """A fresh numpy generator; the same stream at every call."""
        import numpy  # noqa: PLC0415 - the name np is taken by the type-only import

        return numpy.random.default_rng(self.seed)

    def progress(self, total: int, unit: str) -> Progress:
        """A counter for a stage that may take over a second: call `.add(n)` as work is done."""
        return Progress(self.report, total, unit)


@dataclass
class Progress:
    """Counts work done and tells the engine, which draws rate and time left."""

    _report: Callable[[int, int, str], None]
    total: int
    unit: str
    done: int = 0

    def __post_init__(self) -> None:
        self._report(0, self.total, self.unit)

    def add(self, n: int = 1) -> None:
        """Another n units are done."""
        self.done += n
        self._report(self.done, self.total, self.unit)


@dataclass(frozen=True)
class Inputs:
    """What earlier stages gave: the Profiles that fit, and encoded vectors and Rankers by stage id as `from` names."""

    profiles: Profiles | None = None
    encoded: Mapping[str, Encoded] = field(default_factory=dict)
    rankers: Mapping[str, Ranker] = field(default_factory=dict)


class Component(Generic[P]):
    """Base of every kind. Subclass a kind below, not this."""

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    verb: ClassVar[str] = ""
    params_type: ClassVar[type[Params]] = Params

    needs_time: bool = False
    needs_items: bool = False
    needs_users: bool = False
    needs_profiles: bool = False

    def __init__(self, params: P) -> None:
        self.params = params

    def settled(self, result: Any) -> Self:  # noqa: ANN401 - of whichever kind the component makes
        """This component with what it chose by itself fixed as it is in `result`, which it made of all the data.

        What `Context.refit` works with on other events, on which there may be nothing to choose by, and where a later
        stage is to judge what this one will be. For a component that chooses nothing: itself.
        """
        return self

    @classmethod
    def settles(cls) -> bool:
        """Whether `settled` is the component's own."""
        return cls.settled is not Component.settled

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            for argument in get_args(base) if get_origin(base) else ():
                if isinstance(argument, type) and issubclass(argument, Params):
                    cls.params_type = argument


class Preprocessor(Component[P], ABC):
    """Revises the Dataset. Statistics come from `data.train` only; what it drops, it says with `data.note`."""

    verb = "preprocess"
    per_user: bool = False
    """Whether it does to a user's events what does not hang on other users, so that an update does it, too."""
    only_drops: bool = False
    """Whether all it does is drop users and items whole, so that what stays is as it was."""

    def fills(self) -> frozenset[str]:
        """Columns whose missing values this stage fills, so that the loader lets them through."""
        return frozenset()

    def adds(self) -> frozenset[str]:
        """Columns that this stage adds to a table, so that `validate` does not call them missing."""
        return frozenset()

    @abstractmethod
    def preprocess(self, data: Dataset, ctx: Context) -> Dataset:
        """The revised Dataset; the given one is left as it is."""


class LearningPreprocessor(Preprocessor[P], ABC):
    """A Preprocessor in two halves: what it learns from the training part, and what it does with that.

    The halves are apart so that what was learnt stands in the run folder, and so that an update of published profiles
    does the same to later events and to new items, with the statistics of the run. For what learns nothing and only
    should be done to them too, `learn` gives an empty mapping.
    """

    @abstractmethod
    def learn(self, data: Dataset, ctx: Context) -> Mapping[str, Any]:
        """What it learns from `data.train` and from attributes of its users and items, as plain values of JSON."""

    @abstractmethod
    def apply(self, learnt: Mapping[str, Any], data: Dataset, ctx: Context) -> Dataset:
        """The revised Dataset; the given one is left as it is.

        `data` are those that it learnt from, or later ones: the whole history of some users in `train`, whose tables
        have no columns and whose events have no context; or new items with their attributes and no event. A column
        that is not there is left out. What it does must not hang on which of them it is given.
        """

    def preprocess(self, data: Dataset, ctx: Context) -> Dataset:
        """Both halves."""
        return self.apply(self.learn(data, ctx), data, ctx)


class Encoder(Component[P], ABC):
    """Turns attributes or behaviour into vectors of items, of users, or of both in one space."""

    verb = "encode"

    @abstractmethod
    def encode(self, data: Dataset, ctx: Context) -> Embeddings | Encoded:
        """Vectors in the order of `data.items.ids` or `data.users.ids`. May learn from `data.train` only."""

    def more_items(self, learnt: Mapping[str, NDArray[Any]], data: Dataset, ctx: Context) -> Embeddings | Encoded:
        """Vectors of other items, those that it learnt from among them; `learnt` is the `Encoded.learnt` of `encode`.

        What stores encode new items with, whose `data` have next to no events; one that learns nothing from events
        encodes as ever.
        """
        return self.encode(data, ctx)

    def again(self, data: Dataset, ctx: Context, edits: pl.DataFrame) -> Embeddings | None:
        """Vectors of other people in the same space, from their events in `data.train`, items being as they were.

        What updates and stores make profiles with; None, the default, where they do not follow from events alone or
        another way is known (`FoldIn`). For encoders whose dimensions are tags, `edits` are what people say of theirs
        themselves (`recprofile.plugin.EDITS`), and `annotations` come with `tags` and `card`.
        """
        return None

    @classmethod
    def makes_again(cls) -> bool:
        """Whether `again` is the component's own."""
        return cls.again is not Encoder.again


class Fuser(Component[P], ABC):
    """Makes user profiles: named blocks in one space, from encoded vectors and behaviour."""

    verb = "fuse"

    @abstractmethod
    def fuse(self, encoded: Mapping[str, Encoded], data: Dataset, ctx: Context) -> Profiles:
        """Profiles of all users and items of `data`; one block per encode stage, named by its id, or fewer.

        A block that mixes several bears the id of the fuse stage."""

    def again(
        self, learnt: Mapping[str, NDArray[Any]], encoded: Mapping[str, Encoded], data: Dataset, ctx: Context
    ) -> Profiles:
        """Profiles of other people, of the same items or more: `learnt` is what `fuse` gave as `Profiles.learnt`.

        What updates and stores make profiles with; a fuser that learns nothing from users fuses as ever.
        """
        return self.fuse(encoded, data, ctx)


class Ranker(ABC):
    """A fitted recommender: scores every item for blocks of users. Made by `Recommender.fit`, never half-made."""

    @abstractmethod
    def scores(self, users: IntArray) -> FloatArray:
        """Scores of all items for these users: (len(users), n_items) float32; -inf where it cannot rank an item.

        No NaN. Higher is better; only the order within a row need mean anything.
        """

    @abstractmethod
    def known_users(self) -> BoolArray:
        """Users whom it ranks by something of their own, bool (n_users,); the others get the fall-back list."""

    def scores_of(self, people: Dataset) -> FloatArray:
        """Scores for people who are not in the data, from their events: (people.n_users, n_items) float32.

        `people` has the same items; its users are those people, and its `train` holds what they did, with weight and
        time as in the data, so that they are answered as they would have been in training.
        Only for recommenders with `ranks_new_users`; raises NotImplementedError otherwise.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot rank from a history")

    def predict(self, users: IntArray, items: IntArray) -> FloatArray:
        """Predicted weights, in the unit of `Interactions.weight`, pair by pair: (n_pairs,) float32.

        Only for recommenders with `predicts_ratings`; raises NotImplementedError otherwise.
        """
        raise NotImplementedError(f"{type(self).__name__} predicts no ratings")

    def evidence(self, users: IntArray, items: IntArray) -> csr_array | None:
        """Signed part of each history item in a pair's score, (n_pairs, n_items) CSR; None when it cannot tell."""
        return None

    def additive(self) -> bool:
        """Whether a score loses exactly an item's evidence when that item is taken out of the history."""
        return True

    def block_evidence(self, users: IntArray, items: IntArray) -> Mapping[str, FloatArray] | None:
        """Signed part of each profile block in a pair's score, (n_pairs,) by block; None when it has no blocks."""
        return None

    @abstractmethod
    def pack(self) -> Pack:
        """What it needs to be restored, less what the stage's inputs hold."""


class Recommender(Component[P], ABC):
    """Learns to rank items for users.

    `takes_rankers`: a hybrid over earlier recommend stages; `ranks_new_users`: from a history alone
    (`Ranker.scores_of`), and with `exact_for_new_users` as it would have in training; `ranks_new_items`: items without
    training events get scores that mean something; `predicts_ratings`: see `Ranker.predict`; `gives_evidence`: see
    `Ranker.evidence`; `is_baseline`: a recipe that names no baselines is compared with this one.
    """

    verb = "recommend"
    takes_rankers: bool = False
    ranks_new_users: bool = False
    exact_for_new_users: bool = True
    ranks_new_items: bool = False
    predicts_ratings: bool = False
    gives_evidence: bool = False
    is_baseline: bool = False

    @abstractmethod
    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """A Ranker over all users and items of `data`, learnt from `data.train` only."""

    @abstractmethod
    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker whose `pack` this is, given the same data and inputs as `fit`."""


class Reranker(Component[P], ABC):
    """Reorders lists: diversity, calibration, business rules."""

    verb = "rerank"

    def depth(self, k: int) -> int:
        """How long the lists must be that it is given, when lists of k are wanted."""
        return k

    @abstractmethod
    def rerank(self, recs: Recommendations, inputs: Inputs, data: Dataset, ctx: Context) -> Recommendations:
        """The same users with lists reordered; scores are in the reranker's own unit and descend."""


class Check(Component[P], ABC):
    """A gate: measures fairness, robustness, leakage or policy, and holds it against the recipe's limits."""

    verb = "check"

    @abstractmethod
    def check(self, recs: Recommendations, inputs: Inputs, data: Dataset, ctx: Context) -> CheckResult:
        """The verdict with its numbers; `passed=None` when the data do not allow one."""


class Explainer(Component[P], ABC):
    """Says why an item was recommended."""

    verb = "explain"

    @abstractmethod
    def explain(
        self, recs: Recommendations, ranker: Ranker, inputs: Inputs, data: Dataset, ctx: Context
    ) -> Explanations:
        """Signed evidence for the first items of the lists; `ranker` made the lists, before any rerank."""


class Updater(Component[P], ABC):
    """Moves profiles in a store by later events.

    `exact`: what it gives is what the recipe's fuse stage gives for the whole history, item vectors held fixed.
    """

    verb = "update"
    needs_profiles = True
    exact: bool = False

    def prepare(self, profiles: Profiles, data: Dataset, ctx: Context) -> Profiles:
        """Called once, when profiles are published: the same profiles with the `state` that later updates need."""
        return profiles

    @abstractmethod
    def update(self, profiles: Profiles, events: Interactions, data: Dataset, ctx: Context) -> Profiles:
        """Profiles with the events taken in; users without events do not move.

        `profiles` hold the users that are touched, as they were, with their `state`, new users as zeros, and every
        item; their `history` and each block's `pool` and `fold_in` are what the recipe's stages give for the whole
        history. `data.train` is that history, `events` included; items are held fixed.
        """


KINDS: Mapping[str, type[Component[Any]]] = {
    kind.verb: kind for kind in (Preprocessor, Encoder, Fuser, Recommender, Reranker, Check, Explainer, Updater)
}
