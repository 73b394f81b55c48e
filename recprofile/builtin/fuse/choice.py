"""Which of several things to learn: each must rank better than the last, by more than the standard error."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recprofile.builtin.fuse.lesson import Lesson
from recprofile.plugin import Context

if TYPE_CHECKING:
    from recprofile.builtin.fuse.descent import Course, Learner

AS_GIVEN = "as given"


def choose(
    learner: Learner, lesson: Lesson, levels: Mapping[str, Collection[str]], course: Course, ctx: Context
) -> tuple[str, Mapping[str, NDArray[np.float32]]]:
    """The level that is taken, and its values: `levels` names what each lets be learnt, from the simplest on.

    A level is taken when NDCG@10 of the held-out events, of users not learnt from, is better than that of the level
    taken so far by more than the standard error of the difference (see `UserScores.beats`).
    """
    from recprofile.builtin.fuse.descent import judged_start, learn

    taken, best = AS_GIVEN, judged_start(learner, lesson)
    told = {AS_GIVEN: round(best.judged.mean, 4)}
    for name, names in levels.items():
        found = learn(learner, lesson, names, course, ctx)
        told[name] = round(found.judged.mean, 4)
        if found.judged.beats(best.judged):
            taken, best = name, found
    ctx.note("ndcg@10 on validation", told)
    ctx.note("learnt", taken)
    return taken, best.values
