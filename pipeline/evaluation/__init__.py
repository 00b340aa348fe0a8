"""Evaluation: metrics of a case, their summary, the files written, and the choice of post-processing."""

from .case_report import CaseReport
from .metrics import METRICS, measure_case
from .paired_test import paired_test
from .present_dice import PresentDice
from .results import write_results
from .summary import format_summary, summarise

__all__ = [
    "METRICS",
    "CaseReport",
    "PresentDice",
    "format_summary",
    "measure_case",
    "paired_test",
    "summarise",
    "write_results",
]
