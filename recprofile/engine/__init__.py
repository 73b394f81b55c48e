"""Runs a Plan: each stage's result is taken from the cache or computed, checked, stored and handed on.

`nodes` lists all the pieces of work of a Plan with their cache keys, `work` says how each kind of work is done,
`run` does it and calls the observers.
"""

from recprofile.engine.run import RunResult, Settings, plan_status, run_plan

__all__ = ["RunResult", "Settings", "plan_status", "run_plan"]
