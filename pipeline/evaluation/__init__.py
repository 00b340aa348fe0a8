"""Metrics, their summary, and the report of an evaluation."""

from .case_report import CaseReport
from .metrics import METRICS, case_metrics, summarise

__all__ = ["METRICS", "CaseReport", "case_metrics", "summarise"]
