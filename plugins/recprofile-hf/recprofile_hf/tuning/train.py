"""Tuning as a whole: folds that say how long and whether at all, then all items; each step of it can be killed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recprofile.plugin import BoolArray, Context, Dataset, FloatArray, RunError, UserScores
from recprofile_hf.room import is_out_of_memory
from recprofile_hf.tuning.checkpoint import Checkpoint
from recprofile_hf.tuning.folds import Fold, Gain, folds_of
from recprofile_hf.tuning.methods import Tuned
from recprofile_hf.tuning.objectives import Task, lesson
from recprofile_hf.tuning.track import Pace, Track

if TYPE_CHECKING:
    from recprofile_hf.finetune import FineTuneParams

LOOKS = 4  # how often folds are looked at, evenly over the steps
LEAST = 8  # items of a batch
PATIENCE = 2  # looks without a better one, after which training ends


@dataclass(frozen=True, eq=False)
class Outcome:
    """What tuning came to: `tuned` the model in training's form, None where the model stays as it was; the gain that
    folds showed, None where there were none; `steps` that were done on all items.
    """

    tuned: Tuned | None
    gain: Gain | None
    steps: int
    loss: float


class Tuning:
    """One tuning of one model for one task."""

    def __init__(
        self,
        model: Any,  # noqa: ANN401 - each model has a class of its own
        task: Task,
        data: Dataset,
        p: FineTuneParams,
        ctx: Context,
        *,
        about: dict[str, object],
    ) -> None:
        self.model, self.task, self.data, self.p, self.ctx = model, task, data, p, ctx
        self.pace = Pace(p.steps, p.rate or (2e-4 if p.method == "full" else 2e-3), 0.1, p.decay, p.clip, p.accumulate)
        self.path: Path | None = None
        self._halved = False
        if ctx.store is not None:
            told = json.dumps({**about, "seed": ctx.seed, "params": p.model_dump(mode="json")}, sort_keys=True)
            digest = hashlib.sha256(told.encode() + _digest(task)).hexdigest()[:32]
            self.path = ctx.store / "hf-finetune" / f"{digest}.safetensors"

    def track(self, name: str, task: Task, pace: Pace, number: int) -> Track:
        """A training from the beginning."""
        seed = self.ctx.seed + number
        torch.manual_seed(seed)
        p = self.p
        tuned = Tuned(self.model, task.texts.lower.below, p.method, rank=p.rank, targets=p.targets, steps=pace.steps)
        return Track(name, tuned, lesson(p.objective, task, seed), pace, seed)

    def run(self, frozen: FloatArray, there: BoolArray, *, steps: int | None = None) -> Outcome:
        """Folds, then all items; `steps` of an earlier choice: all items at once. `frozen` (n_items, d) are the vectors
        of the model as it was, of items `there`.
        """
        p = self.p
        folds = [] if steps is not None else folds_of(self.data, self.task.item, p.folds, self.ctx.rng())
        if p.folds and not folds and steps is None:
            self.ctx.warn("too few items with events for folds: trained for all steps, and its gain is not known")
        tracks = [self.track(f"fold {n + 1}", self.task.without(f.new), self.pace, n) for n, f in enumerate(folds)]
        final = self.track("all items", self.task, self.pace, len(folds))
        kept = Checkpoint(self.path, [*tracks, final])
        before = kept.load()
        if before is not None:
            self.ctx.note("went on at step", sum(track.step for track in (*tracks, final)))
        seen: list[list[list[float]]] = before["seen"] if before else []
        self.progress = self.ctx.progress((len(tracks) + 1) * (steps or p.steps), "steps")
        self.progress.add(sum(track.step for track in (*tracks, final)))
        gain = None
        if folds:
            gain, steps = self._folds(folds, tracks, frozen=frozen, there=there, seen=seen, kept=kept)
            if p.fall_back and not gain.clear:
                kept.remove()
                return Outcome(None, gain, 0, tracks[-1].loss)
        steps = steps or p.steps
        while final.step < steps:
            self._advance(final, kept, seen)
        if not folds or self.progress.done < self.progress.total:
            self.progress.add(self.progress.total - self.progress.done)
        kept.remove()
        return Outcome(final.tuned, gain, final.step, final.loss)

    def _folds(
        self,
        folds: Sequence[Fold],
        tracks: Sequence[Track],
        *,
        frozen: FloatArray,
        there: BoolArray,
        seen: list[list[list[float]]],
        kept: Checkpoint,
    ) -> tuple[Gain, int]:
        """The gain at the end of training, or at the best look of it, and the steps to there."""
        start = [fold.judged(frozen, there) for fold in folds]
        looks = sorted({max(1, round(self.p.steps * (n + 1) / LOOKS)) for n in range(LOOKS)})
        best: tuple[float, int, list[UserScores]] | None = None
        since = 0
        for n, step in enumerate(looks):
            found: list[UserScores] = []
            for at, (fold, track) in enumerate(zip(folds, tracks, strict=True)):
                while track.step < step:
                    self._advance(track, kept, seen)
                if len(seen) > n and len(seen[n]) > at:
                    values = seen[n][at]
                    found.append(UserScores(start[at].users, np.array(values)))
                    continue
                vectors = np.zeros((self.data.n_items, frozen.shape[1]), np.float32)
                vectors[self.task.item] = self.task.texts.all(track.tuned)
                found.append(fold.judged(vectors, there))
                if len(seen) == n:
                    seen.append([])
                seen[n].append(found[-1].values.tolist())
                kept.save({"seen": seen})
            mean = float(np.mean([one.mean for one in found]))
            if best is None or mean > best[0]:
                best, since = (mean, step, found), 0
            else:
                since += 1
                if since == PATIENCE:
                    break
        assert best is not None
        return Gain.of(best[2], start), best[1]

    def _advance(self, track: Track, kept: Checkpoint, seen: list[list[list[float]]]) -> None:
        while True:
            try:
                track.advance()
                break
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(track, error)
        self.progress.unit = f"steps, loss {track.loss:.3g}"
        if self.progress.done < self.progress.total:
            self.progress.add()
        if kept.due():
            kept.save({"seen": seen})

    def _halve(self, track: Track, error: Exception) -> None:
        """Make batches half as large from now on; RunError RP604 where they are small already."""
        half = track.lesson.task.batch // 2
        if half < LEAST:
            help = ("try fewer 'layers', a smaller 'max_tokens', or another device",)
            raise RunError.of("RP604", f"a batch of {2 * half} items does not fit into memory", help=help) from error
        if not self._halved:
            self.ctx.warn(f"'batch: {self.p.batch}' does not fit into memory; batches were made smaller")
        self._halved = True
        track.lesson.shrink(half)


def _digest(task: Task) -> bytes:
    """Of texts and likes."""
    found = hashlib.sha256()
    likes = task.likes
    for array in (task.texts.ids, task.texts.length, task.item, likes.indptr, likes.indices):
        found.update(np.ascontiguousarray(array).tobytes())
    if task.labels is not None:
        found.update(task.labels.tobytes())
    return found.digest()
