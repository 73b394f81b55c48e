"""What a model is trained for: a loss for every step, of vectors of some items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from recprofile.plugin import DataError, Rows
from recprofile_hf.networks import pool
from recprofile_hf.tuning.methods import Tuned
from recprofile_hf.tuning.texts import Texts

Objective = Literal["episode", "contrastive", "align", "simcse", "click", "semi-supervised"]

COLD = 0.4  # share of an episode's items that are pretended to be new
FLATTER = 0.25  # items are drawn by their events to this power
EPISODE_USERS = 1_024  # most users of an episode
FACTORS = 64  # dimensions of the collaborative space that `align` aims at


class TooLittleError(DataError):
    """There is not enough to learn an objective from."""


@dataclass(frozen=True, eq=False)
class Task:
    """What objectives learn from. `likes` (n_users, n_items) CSR of ones; `texts` of those items that have one, `item`
    which item each is; `labels` a class for each text, -1 where it has none; `pairs` tokens of a user's and an item's
    text as one, for `click`.
    """

    texts: Texts
    item: Rows
    likes: csr_array
    batch: int
    temperature: float
    labels: NDArray[np.int64] | None = None
    confidence: float = 0.9
    asked: Callable[[Rows, Rows], tuple[torch.Tensor, torch.Tensor]] | None = None

    def without(self, gone: NDArray[np.bool_]) -> Task:
        """The task without the events of some items, by code."""
        likes = self.likes.tocoo()
        stays = ~gone[likes.coords[1]]
        left = csr_array((likes.data[stays], (likes.coords[0][stays], likes.coords[1][stays])), shape=likes.shape)
        return replace(self, likes=left)


class Lesson:
    """One objective on one task. `head` are the numbers that it trains beside the model's."""

    head: nn.Module

    def __init__(self, task: Task) -> None:
        self.task = task
        self.head = nn.Module()
        self.counts = np.asarray(task.likes.sum(axis=0), np.float64).ravel()[task.item]
        self.drawn = self.counts > 0

    def loss(self, tuned: Tuned, rng: np.random.Generator) -> torch.Tensor:
        """The loss of one step, whose draws come from `rng` alone."""
        raise NotImplementedError

    def shrink(self, batch: int) -> None:
        """Take fewer items at a step."""
        self.task = replace(self.task, batch=batch)

    def expect(self, least: int, what: str) -> None:
        """Refuse data of which nothing can be learnt."""
        n = int(self.drawn.sum())
        if n < least:
            help = ("use another objective, or 'hf/text', which learns nothing",)
            raise TooLittleError.of("RP505", f"{n} items have {what}, and this objective needs {least}", help=help)

    def draw(self, rng: np.random.Generator, n: int) -> Rows:
        """Different texts with events, more often those with more of them."""
        weight = np.where(self.drawn, (self.counts + 1) ** FLATTER, 0.0)
        n = min(n, int(self.drawn.sum()))
        return rng.choice(len(weight), n, replace=False, p=weight / weight.sum())


class Episode(Lesson):
    """Play the cold-start task: of a batch of items some are pretended new, and users' profiles are made of the others.

    loss = -mean_u mean_{i new, liked} log softmax_i(p_u · v_i / temperature), over users with a like on both sides, p_u
    the mean of the vectors of what they liked, of length 1; vectors are centred on the batch and of length 1.
    Source: matching networks (Vinyals et al. 2016) with users as classes; DropoutNet (Volkovs et al. 2017).
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.by_item = task.likes.tocsc()
        self.expect(8, "a positive event and a text")

    def loss(self, tuned: Tuned, rng: np.random.Generator) -> torch.Tensor:
        """See the class."""
        for _ in range(20):
            rows = self.draw(rng, self.task.batch)
            new = max(1, round(COLD * len(rows)))
            liked = self.by_item[:, self.task.item[rows]].tocsr()
            both = (liked[:, :new].sum(axis=1) > 0) & (liked[:, new:].sum(axis=1) > 0)
            users = np.flatnonzero(np.asarray(both).ravel())
            if len(users):
                break
        else:
            raise TooLittleError.of("RP505", "no user likes two items with a text, so there is no episode to play")
        if len(users) > EPISODE_USERS:
            users = np.sort(rng.choice(users, EPISODE_USERS, replace=False))
        likes = torch.from_numpy(liked[users].toarray().astype(np.float32)).to(self.task.texts.device)
        vectors = self.task.texts.vectors(tuned, rows)
        vectors = normalize(vectors - vectors.mean(dim=0), dim=1)
        profiles = normalize(likes[:, new:] @ vectors[new:], dim=1)
        scores = torch.log_softmax(profiles @ vectors[:new].T / self.task.temperature, dim=1)
        each = (scores * likes[:, :new]).sum(dim=1) / likes[:, :new].sum(dim=1)
        return -each.mean()


class Contrastive(Lesson):
    """InfoNCE on two items that one user likes, against the other pairs of the batch (van den Oord et al. 2018)."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.expect(4, "a positive event and a text")
        text = np.full(task.likes.shape[1], -1, np.int64)
        text[task.item] = np.arange(len(task.item))
        known = task.likes.tocoo()
        user, row = known.coords[0], text[known.coords[1]]
        user, row = user[row >= 0], row[row >= 0]
        order = np.lexsort((row, user))
        self.rows = row[order]
        self.first = np.searchsorted(user[order], np.arange(task.likes.shape[0] + 1))
        self.users = np.flatnonzero(np.diff(self.first) > 1)
        if not len(self.users):
            raise TooLittleError.of("RP505", "no user likes two items with a text, so there are no pairs to learn from")

    def loss(self, tuned: Tuned, rng: np.random.Generator) -> torch.Tensor:
        """See the class."""
        users = rng.choice(self.users, self.task.batch // 2)
        first, size = self.first[users], self.first[users + 1] - self.first[users]
        one = rng.integers(size)
        two = (one + rng.integers(1, size)) % size
        pairs = np.stack([self.rows[first + one], self.rows[first + two]], axis=1)
        fresh = np.unique(pairs[:, 0], return_index=True)[1]  # an item once as an anchor, or it were its own negative
        pairs = pairs[np.sort(fresh)]
        rows, at = np.unique(pairs, return_inverse=True)
        vectors = normalize(self.task.texts.vectors(tuned, rows), dim=1)
        at = at.reshape(pairs.shape)
        scores = vectors[at[:, 0]] @ vectors[at[:, 1]].T / self.task.temperature
        same = torch.from_numpy(pairs[:, :1] == pairs[None, :, 1]) | torch.from_numpy(pairs[None, :, 1] == pairs[:, 1:])
        same = same.to(scores.device) & ~torch.eye(len(pairs), dtype=torch.bool, device=scores.device)
        scores = scores.masked_fill(same, -torch.inf)
        truth = torch.arange(len(pairs), device=scores.device)
        return (cross_entropy(scores, truth) + cross_entropy(scores.T, truth)) / 2


class Align(Lesson):
    """Meet the collaborative space: a linear map of an item's text finds its factors among those of the batch.

    The factors are the right singular vectors of the likes, users scaled to length 1, times the root of the values.
    Source: Ren et al. 2024, "Representation learning with large language models for recommendation" (contrastive
    alignment); Sheng et al. 2025, "AlphaRec" (that a linear map suffices).
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.expect(8, "a positive event and a text")
        likes = task.likes.astype(np.float64)
        length = np.sqrt(np.asarray(likes.sum(axis=1)).ravel())
        scaled = csr_array(likes / np.where(length > 0, length, 1)[:, None])
        k = max(1, min(FACTORS, min(scaled.shape) - 1))
        _, values, right = svds(scaled, k=k, random_state=0)
        factors = (right.T * np.sqrt(values))[task.item].astype(np.float32)
        self.factors = normalize(torch.from_numpy(factors), dim=1).to(task.texts.device)
        self.head = nn.Linear(int(task.texts.lower.model.config.hidden_size), k, bias=False).to(task.texts.device)

    def loss(self, tuned: Tuned, rng: np.random.Generator) -> torch.Tensor:
        """See the class."""
        rows = self.draw(rng, self.task.batch)
        vectors = self.task.texts.vectors(tuned, rows)
        found = normalize(self.head(vectors - vectors.mean(dim=0)), dim=1)
        scores = found @ self.factors[torch.from_numpy(rows)].T / self.task.temperature
        truth = torch.arange(len(rows), device=scores.device)
        return (cross_entropy(scores, truth) + cross_entropy(scores.T, truth)) / 2


class SimCse(Lesson):
    """A text twice through dropout must find itself among the others; no events are used (Gao et al. 2021)."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.drawn = np.ones(len(task.item), np.bool_)
        self.expect(4, "a text")

    def loss(self, tuned: Tuned, rng: np.random.Generator) -> torch.Tensor:
        """See the class."""
        n = len(self.drawn)
        rows = rng.choice(n, min(n, self.task.batch // 2), replace=False)
        tuned.train(True)
        one, two = (normalize(self.task.texts.vectors(tuned, rows), dim=1) for _ in range(2))
        scores = one @ two.T / self.task.temperature
        return cross_entropy(scores, torch.arange(len(rows), device=scores.device))


class Click(Lesson):
    """Tell from a user's text and an item's, read as one, whether the user likes the item: as usual tutorials do.

    Half of a batch are likes, the other half items drawn at random that the user does not like; a user's text is that
    of other items that they like. Source: BERT for sequence classification, Devlin et al. 2019.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.expect(4, "a positive event and a text")
        self.pairs = Contrastive(task)
        device = task.texts.device
        self.head = nn.Linear(int(task.texts.lower.model.config.hidden_size), 1).to(device)

    def loss(self, tuned: Tuned, rng: np.random.Generator) -> torch.Tensor:
        """See the class."""
        p, task = self.pairs, self.task
        n = max(1, task.batch // 4)
        users = rng.choice(p.users, n)
        first, size = p.first[users], p.first[users + 1] - p.first[users]
        item = rng.integers(size)
        context = np.full((n, HISTORY), -1, np.int64)
        for column in range(HISTORY):  # others of theirs, one by one around the circle
            step = column + 1
            context[:, column] = np.where(step < size, p.rows[first + (item + step) % size], -1)
        other = self.draw(rng, n)
        other = np.resize(other, n)
        liked = np.asarray(task.likes[users, task.item[other]]).ravel() > 0
        both = np.concatenate([p.rows[first + item], other])
        truth = torch.from_numpy(np.concatenate([np.ones(n), liked]).astype(np.float32))
        assert task.asked is not None
        tokens, inside = task.asked(np.concatenate([context, context]), both)
        device = task.texts.device
        tokens, mask = tokens.to(device), inside.to(device)
        hidden = task.texts.lower(tokens, mask)
        vectors = pool(tuned.upper(hidden, tokens, mask), mask, task.texts.pooling)
        asked = self.head(vectors).squeeze(1)
        return nn.functional.binary_cross_entropy_with_logits(asked, truth.to(device))


class SemiSupervised(Lesson):
    """Learn a few labels, and of the other texts what the model is sure of: FixMatch (Sohn et al. 2020) by dropout.

    A text without a label gets the class that the model, without dropout, gives at least `confidence`, and must keep it
    with dropout.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        if task.labels is None:
            raise TooLittleError.of("RP505", "no item has a label")
        self.labelled = np.flatnonzero(task.labels >= 0)
        self.open = np.flatnonzero(task.labels < 0)
        classes = len(np.unique(task.labels[self.labelled]))
        if classes < 2:
            help = ("name another column as 'labels'",)
            raise TooLittleError.of("RP505", f"the labels have {classes} classes, and two are needed", help=help)
        self.head = nn.Linear(int(task.texts.lower.model.config.hidden_size), classes).to(task.texts.device)

    def loss(self, tuned: Tuned, rng: np.random.Generator) -> torch.Tensor:
        """See the class."""
        task, half = self.task, max(1, self.task.batch // 2)
        assert task.labels is not None
        rows = rng.choice(self.labelled, min(half, len(self.labelled)), replace=False)
        tuned.train(True)
        truth = torch.from_numpy(task.labels[rows]).to(task.texts.device)
        loss = cross_entropy(self.head(task.texts.vectors(tuned, rows)), truth)
        if len(self.open):
            others = rng.choice(self.open, min(half, len(self.open)), replace=False)
            tuned.train(False)
            with torch.no_grad():
                sure, guess = torch.softmax(self.head(task.texts.vectors(tuned, others)), dim=1).max(dim=1)
            tuned.train(True)
            kept = (sure >= task.confidence).float()
            each = cross_entropy(self.head(task.texts.vectors(tuned, others)), guess, reduction="none")
            loss = loss + (each * kept).sum() / len(others)
        return loss


HISTORY = 5  # items of a user's text in `click`
LESSONS: Mapping[Objective, type[Lesson]] = {
    "episode": Episode,
    "contrastive": Contrastive,
    "align": Align,
    "simcse": SimCse,
    "click": Click,
    "semi-supervised": SemiSupervised,
}


def lesson(objective: Objective, task: Task, seed: int) -> Lesson:
    """The objective's, with its head drawn by the seed."""
    torch.manual_seed(seed)
    made: Any = LESSONS[objective](task)
    return made  # type: ignore[no-any-return]
