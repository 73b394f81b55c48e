"""A plugin of recprofile: profiles drawn towards what a user has just chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recprofile.plugin import Context, Dataset, Field, Interactions, Params, Profiles, Updater, hookimpl


class DrawnParams(Params):
    step: float = Field(0.1, gt=0, le=10, description="How far each positive event draws, as a factor of its vector.")


class Drawn(Updater[DrawnParams]):
    """Add `step` times the vector of each item that a user has chosen since: quick, and not what a rebuild gives."""

    name = "drawn"

    def update(self, profiles: Profiles, events: Interactions, data: Dataset, ctx: Context) -> Profiles:
        """Profiles with the positive events taken in; users without any do not move."""
        liked = events.take(events.positive)
        users = profiles.user_vectors.copy()
        np.add.at(users, liked.user, np.float32(self.params.step) * profiles.item_vectors[liked.item])
        known = profiles.known.copy()
        known[liked.user] = True
        return replace(profiles, user_vectors=users, known=known)


@hookimpl
def recprofile_updaters() -> list[type[Updater[DrawnParams]]]:
    return [Drawn]
