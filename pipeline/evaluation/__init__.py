"""Metrics of a case, their summary over cases, the files of an evaluation, and the choice of post-processing."""

from .case_report import CaseReport
from .metrics import METRICS, case_metrics
from .paired_test import paired_test
from .present_dice import PresentDice
from .results import write_results
from .summary import summarise, summary_table

__all__ = [
    "METRICS",
    "CaseReport",
    "PresentDice",
    "case_metrics",
    "paired_test",
    "summarise",
    "summary_table",
    "write_results",
]
