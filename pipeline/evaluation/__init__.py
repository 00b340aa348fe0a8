"""Evaluation: metrics of a case, their summary, the files written, and the choice of post-processing.

Only ``CaseReport``, ``KnownDice`` and ``PresentDice``, which configs name, need torch and MONAI. So all are imported on
demand.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .calibration import measure_calibration
    from .case_report import CaseReport
    from .known_dice import KnownDice
    from .lesions import measure_lesions
    from .membranes import measure_membranes
    from .metric_names import ALL_METRICS, METRICS
    from .metrics import measure_case
    from .present_dice import PresentDice
    from .results import write_results
    from .summary import format_summary, summarise

__all__ = [
    "ALL_METRICS",
    "METRICS",
    "CaseReport",
    "KnownDice",
    "PresentDice",
    "format_summary",
    "measure_calibration",
    "measure_case",
    "measure_lesions",
    "measure_membranes",
    "summarise",
    "write_results",
]

_HOME = {
    "ALL_METRICS": ".metric_names",
    "METRICS": ".metric_names",
    "CaseReport": ".case_report",
    "KnownDice": ".known_dice",
    "PresentDice": ".present_dice",
    "format_summary": ".summary",
    "measure_calibration": ".calibration",
    "measure_case": ".metrics",
    "measure_lesions": ".lesions",
    "measure_membranes": ".membranes",
    "summarise": ".summary",
    "write_results": ".results",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)
