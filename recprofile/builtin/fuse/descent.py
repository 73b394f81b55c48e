"""Weights learnt on a ranking loss by Adam, cross-fitted: each half of the users is judged by what the other taught."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from recprofile.builtin.fuse.lesson import Lesson
from recprofile.plugin import BoolArray, Context, FloatArray, IntArray, Pack, Ranker, UserScores, judge

Values = Mapping[str, torch.Tensor]
COMPETITORS = 4096  # items that a batch's positives compete with; all of them in a catalogue no larger
NOBODY = -1e9  # a score below all: -inf would make NaN of the gradient where nobody competes


class Learner(ABC):
    """Scores as a function of what is learnt."""

    device: str

    @abstractmethod
    def start(self) -> dict[str, torch.Tensor]:
        """What is learnt, before it is: the same at every call."""

    @abstractmethod
    def batches(self, users: IntArray) -> list[IntArray]:
        """These users in groups that are scored together."""

    @abstractmethod
    def scores(self, values: Values, users: IntArray, items: torch.Tensor) -> torch.Tensor:
        """(len(users), len(items))."""


@dataclass(frozen=True)
class Course:
    """How long and how fast: at most `epochs` passes over the users by Adam at this rate."""

    epochs: int
    learning_rate: float
    seed: int


@dataclass(frozen=True, eq=False)
class Learnt:
    """What was learnt, after how many epochs, and how well it ranked the users that it was not learnt from."""

    values: Mapping[str, NDArray[np.float32]]
    epochs: int
    judged: UserScores


def judged_start(learner: Learner, lesson: Lesson) -> Learnt:
    """The start, learnt from nobody."""
    values = learner.start()
    return Learnt(_numbers(values), 0, _judged(learner, lesson, (values, values)))


def learn(learner: Learner, lesson: Lesson, names: Collection[str], course: Course, ctx: Context) -> Learnt:
    """Let these values be learnt, for as many epochs as lower the loss of the users not learnt from."""
    progress = ctx.progress(3 * course.epochs, "epochs")
    paths: list[list[Values]] = []
    losses = np.zeros(course.epochs + 1)
    for half in (False, True):
        own, others = lesson.users[lesson.half == half], lesson.users[lesson.half != half]
        path: list[Values] = [learner.start()]
        for values in _descent(learner, lesson, own, names, course):
            path.append(values)
            progress.add()
        with torch.no_grad():
            losses += [_whole_loss(learner, lesson, values, others) for values in path]
        paths.append(path)
    epochs = int(np.argmin(losses))
    # Whoever is in the second half is judged by what the first taught, and the other way round.
    judged = _judged(learner, lesson, (paths[1][epochs], paths[0][epochs]))
    values = learner.start()
    if epochs:
        *_, values = _descent(learner, lesson, lesson.users, names, replace(course, epochs=epochs))
    progress.add(course.epochs)
    return Learnt(_numbers(values), epochs, judged)


def _descent(
    learner: Learner, lesson: Lesson, users: IntArray, names: Collection[str], course: Course
) -> Iterator[Values]:
    """The values after each epoch."""
    rng = np.random.default_rng(course.seed)
    values = learner.start()
    learnt = [values[name].requires_grad_() for name in values if name in names]
    optimiser = torch.optim.Adam(learnt, lr=course.learning_rate)
    batches = learner.batches(users)
    for _ in range(course.epochs):
        for at in rng.permutation(len(batches)):
            optimiser.zero_grad()
            loss = _loss(learner, lesson, values, batches[at], rng).mean()
            loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
            optimiser.step()
        yield {name: value.detach().clone() for name, value in values.items()}


def _whole_loss(learner: Learner, lesson: Lesson, values: Values, users: IntArray) -> float:
    rng = np.random.default_rng(0)  # the same competitors at every epoch
    return sum(float(_loss(learner, lesson, values, batch, rng).sum()) for batch in learner.batches(users))


def _loss(learner: Learner, lesson: Lesson, values: Values, users: IntArray, rng: np.random.Generator) -> torch.Tensor:
    """Each user's mean over positives i of −log(e^s_i / (e^s_i + Σ_k e^s_k)), k the items that are new to the user."""
    items = _competitors(lesson, users, rng)
    wanted = torch.from_numpy(lesson.targets[users][:, items].toarray() > 0).to(learner.device)
    barred = torch.from_numpy(lesson.data.seen()[users][:, items].toarray() > 0).to(learner.device)
    scores = learner.scores(values, users, torch.from_numpy(items).to(learner.device))
    rest = torch.logsumexp(scores.masked_fill(barred | wanted, NOBODY), dim=1, keepdim=True)
    lost = torch.nn.functional.softplus(rest - scores).masked_fill(~wanted, 0)
    return lost.sum(dim=1) / wanted.sum(dim=1).clamp(min=1)


def _competitors(lesson: Lesson, users: IntArray, rng: np.random.Generator) -> NDArray[np.int64]:
    there = np.flatnonzero(lesson.candidates)
    if len(there) <= COMPETITORS:
        return there
    return np.union1d(rng.choice(there, COMPETITORS, replace=False), lesson.targets[users].indices)


@dataclass(frozen=True, eq=False)
class _Judged(Ranker):
    """Ranks by one of two sets of values: the first where `second` is False, bool (n_users,)."""

    learner: Learner
    values: Sequence[Values]
    second: BoolArray
    n_items: int

    def scores(self, users: IntArray) -> FloatArray:
        scores = np.zeros((len(users), self.n_items), np.float32)
        items = torch.arange(self.n_items, device=self.learner.device)
        row = np.zeros(len(self.second), np.int64)
        row[users] = np.arange(len(users))
        for which, values in enumerate(self.values):
            for batch in self.learner.batches(users[self.second[users] == bool(which)]):
                with torch.no_grad():
                    scores[row[batch]] = self.learner.scores(values, batch, items).cpu().numpy()
        return scores

    def known_users(self) -> BoolArray:
        return np.ones(len(self.second), np.bool_)

    def pack(self) -> Pack:
        return Pack()


def _judged(learner: Learner, lesson: Lesson, values: Sequence[Values]) -> UserScores:
    second = np.zeros(lesson.data.n_users, np.bool_)
    second[lesson.users[lesson.half]] = True
    ranker = _Judged(learner, values, second, lesson.data.n_items)
    return judge(ranker, lesson.data, candidates=lesson.candidates)


def _numbers(values: Values) -> dict[str, NDArray[np.float32]]:
    return {name: value.detach().cpu().numpy() for name, value in values.items()}
