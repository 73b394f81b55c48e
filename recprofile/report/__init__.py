"""The run report: what a run came to as report.json, and one self-contained page made from it alone; and the page of a
comparison."""

from recprofile.report.build import build_report
from recprofile.report.comparison import render_comparison
from recprofile.report.render import render_report

__all__ = ["build_report", "render_comparison", "render_report"]
