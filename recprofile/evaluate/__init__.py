"""Evaluation of lists and of predicted ratings against the test part, over the full catalogue."""

from recprofile.evaluate.evaluation import Entry, Evaluation
from recprofile.evaluate.judge import UserScores, judge
from recprofile.evaluate.measure import evaluate

__all__ = ["Entry", "Evaluation", "UserScores", "evaluate", "judge"]
