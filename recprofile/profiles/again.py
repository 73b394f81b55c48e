"""The preprocess stages of a run that a store does again: to the events of the people concerned, and to new items.

They are those that look at one user at a time (`per_user`), and those that learnt something in the run
(LearningPreprocessor), with what they learnt. A stage that does more to events than such a one stands between: what
learning stages before it did cannot be done to later events, for those would lack what it does in between. So the
store keeps the events as the run had them before the first learning stage that comes after all such stages, and does
the rest again whenever it makes a profile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.artifacts import Dataset, IdMap, Interactions, Table
from recprofile.components import Context, LearningPreprocessor, Preprocessor
from recprofile.errors import ArtifactError
from recprofile.plan import PlannedStage
from recprofile.profiles.stages import component_of
from recprofile.registry import Registry

ROW = "\0row"  # no file can have a column of that name


@dataclass(frozen=True)
class Split:
    """Which preprocess stages are done again, in order; `start` is the first of those that the kept events await.

    None: the events are kept as the run's stages left them.
    """

    again: tuple[PlannedStage, ...]
    start: PlannedStage | None


def split(stages: Sequence[PlannedStage]) -> Split:
    """Which of a plan's preprocess stages are done again, and where the events are kept."""
    components = [stage.component for stage in stages]
    blocking = [n for n, one in enumerate(components) if not _passes(one)]
    after = blocking[-1] + 1 if blocking else 0
    learning = [n for n in range(after, len(stages)) if isinstance(components[n], LearningPreprocessor)]
    start = learning[0] if learning else len(stages)
    again = tuple(
        stage
        for n, stage in enumerate(stages)
        if getattr(stage.component, "per_user", False) or (n >= start and n in learning)
    )
    return Split(again, stages[start] if learning else None)


def _passes(component: object) -> bool:
    """Whether what a stage does to events can be done again, or is nothing where users and items stay."""
    assert isinstance(component, Preprocessor)
    return component.per_user or component.only_drops or isinstance(component, LearningPreprocessor)


def filled_by(stage: PlannedStage) -> frozenset[str]:
    """The columns whose gaps a preprocess stage fills."""
    assert isinstance(stage.component, Preprocessor)
    return stage.component.fills()


@dataclass(frozen=True)
class Again:
    """A stage that is done again, with what it learnt in the run."""

    stage: str
    component: Preprocessor[Any]
    learnt: Mapping[str, Any]

    def __call__(self, data: Dataset) -> Dataset:
        """The data after the stage."""
        if isinstance(self.component, LearningPreprocessor):
            return self.component.apply(self.learnt, data, Context(self.stage))
        return self.component.preprocess(data, Context(self.stage))


def as_facts(stages: Iterable[PlannedStage], learnt: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The stages that are done again as a publication keeps them."""
    return [
        {"id": one.id, "use": one.offer.pinned, "params": one.params(), "learnt": learnt.get(one.id)} for one in stages
    ]


def of_facts(said: Iterable[Mapping[str, Any]], registry: Registry, *, learning: bool = True) -> tuple[Again, ...]:
    """The stages that a publication kept; without those that learn, for events that nobody's file has."""
    found = []
    for one in said:
        component = component_of(one, "preprocess", registry)
        assert isinstance(component, Preprocessor)
        if learning or not isinstance(component, LearningPreprocessor):
            found.append(Again(one["id"], component, one["learnt"] or {}))
    return tuple(found)


def events_again(stages: Sequence[Again], data: Dataset) -> tuple[Interactions, NDArray[np.int64]]:
    """The training events of bare data after the stages, and which row each of them was.

    Raises ArtifactError where a stage makes events anew, so that nobody can tell which they were.
    """
    train = data.train
    rows = np.arange(len(train))
    if not stages:
        return train, rows
    context = pl.DataFrame({ROW: rows})
    data = data.revise(train=Interactions(train.user, train.item, train.weight, train.time, train.positive, context))
    for stage in stages:
        data = stage(data)
        if ROW not in data.train.context.columns:
            raise ArtifactError(f"the preprocess stage '{stage.stage}' does not keep the context columns of events")
    left = data.train
    bare = Interactions(left.user, left.item, left.weight, left.time, left.positive)
    return bare, left.context[ROW].to_numpy()


def items_again(
    stages: Sequence[Again], ids: pl.Series, frame: pl.DataFrame, known: Mapping[str, pl.DataType]
) -> pl.DataFrame:
    """Attributes of new items after the stages; `known` are the columns of the catalogue that come out of them."""
    added = frozenset(name for stage in stages for name in stage.component.adds())
    lacks = [pl.lit(None, dtype).alias(n) for n, dtype in known.items() if n not in frame.columns and n not in added]
    whole = ids.alias(ROW).to_frame().hstack(frame.get_columns()).with_columns(lacks).drop(ROW)
    nobody = Table(IdMap(pl.Series("id", [], pl.String)))
    nothing = Interactions.empty()
    data = Dataset(nobody, Table(IdMap(ids), whole), nothing, nothing, nothing, np.zeros(0, np.bool_))
    for stage in stages:
        if isinstance(stage.component, LearningPreprocessor):
            data = stage(data)
    return data.items.frame
