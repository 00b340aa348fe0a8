"""Metrics of a case, their summary over cases, the files of an evaluation, and the choice of post-processing."""

from .case_report import CaseReport
from .metrics import METRICS, case_metrics
from .paired_test import paired_test
from .present_dice import PresentDice
from .results import write_results
from .summary import format_summary, summarise

__all__ = [
    "METRICS",
    "CaseReport",
    "PresentDice",
    "case_metrics",
    "format_summary",
    "paired_test",
    "summarise",
    "write_results",
]
