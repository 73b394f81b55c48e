"""Recipe + registry → Plan: names pinned, parameters filled, inputs wired; every problem found in one go.

`stages` is what a Plan is made of, `wiring` finds each stage's inputs, `surroundings` judges what stands beside the
stages, `marks` what parameters promise, `make` puts a Plan together.
"""

from recprofile.plan.make import make_plan
from recprofile.plan.stages import Plan, PlannedStage, data_files

__all__ = ["Plan", "PlannedStage", "data_files", "make_plan"]
