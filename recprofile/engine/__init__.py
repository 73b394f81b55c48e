"""Runs a Plan: each stage's result is taken from the cache or computed, checked, stored and handed on.

    Plan ─files─▶ assets with fingerprints ─nodes─▶ Graph of work with cache keys ─run─▶ results ─outputs─▶ run folder

`work` says how each kind of work is done, `demands` what the stages ask of the data, `blame` whose error it is,
`status` what is in the cache already, `settings` what the caller adds to a recipe, `memory` what a stage took.
"""

from recprofile.engine.run import RunResult, run_plan
from recprofile.engine.settings import Settings
from recprofile.engine.status import Status, plan_status

__all__ = ["RunResult", "Settings", "Status", "plan_status", "run_plan"]
