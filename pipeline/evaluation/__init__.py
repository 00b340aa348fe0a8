"""Metrics, their summary, and the report of an evaluation."""

from .case_report import CaseReport
from .metrics import METRICS, case_metrics, summarise
from .present_dice import PresentDice

__all__ = ["METRICS", "CaseReport", "PresentDice", "case_metrics", "summarise"]
