"""Recipe + registry → Plan: names pinned, parameters filled, inputs wired; every problem found in one go.

`stages` is what a Plan is made of, `demands` what its stages ask of tables, `wiring` finds each stage's inputs,
`surroundings` judges what stands beside the stages, `marks` what parameters promise, `make` puts a Plan together.
"""

from recprofile.plan.demands import column_problems, group_problems, named_columns, time_problems
from recprofile.plan.make import Judgement, judge, make_plan
from recprofile.plan.stages import Plan, PlannedStage, data_files

__all__ = [
    "Judgement",
    "Plan",
    "PlannedStage",
    "column_problems",
    "data_files",
    "group_problems",
    "judge",
    "make_plan",
    "named_columns",
    "time_problems",
]
