"""What the caller adds to a recipe, and the device that follows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recprofile.assets import cache_root
from recprofile.device import resolve_device
from recprofile.plan import Plan


@dataclass(frozen=True)
class Settings:
    """What the command line adds to a recipe: None leaves it as the recipe or environment has it.

    `fresh` computes every stage again and replaces what the cache has; `store` is a profile store to publish to, as
    `profiles.store_of` gives it.
    """

    device: str | None = None
    out: Path | None = None
    cache: Path | None = None
    offline: bool | None = None
    fresh: bool = False
    command: str = ""
    store: str | None = None

    @property
    def root(self) -> Path:
        """The folder of the cache."""
        return self.cache or cache_root()

    def device_of(self, plan: Plan) -> str:
        """The device that the caller names, else the recipe's; raises RunError RP603 when it is not there."""
        if self.device is not None:
            return resolve_device(self.device)
        return resolve_device(plan.recipe.device, plan.source.at(("device",)))
