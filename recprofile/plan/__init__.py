"""Recipe + registry → Plan: names pinned, parameters filled, inputs wired; every problem found in one go.

`stages` is what a Plan is made of, `demands` what its stages ask of tables, `wiring` finds each stage's inputs,
`surroundings` judges what stands beside the stages, `marks` what parameters promise, `tuning` says which of them are
searched, `make` puts a Plan together.
"""

from recprofile.plan.demands import column_problems, group_problems, named_columns, time_problems
from recprofile.plan.make import Judgement, judge, make_plan
from recprofile.plan.stages import Plan, PlannedStage, data_files, query_of
from recprofile.plan.tuning import Knob, changed, knobs_of

__all__ = [
    "Judgement",
    "Knob",
    "Plan",
    "PlannedStage",
    "changed",
    "column_problems",
    "data_files",
    "group_problems",
    "judge",
    "knobs_of",
    "make_plan",
    "named_columns",
    "query_of",
    "time_problems",
]
