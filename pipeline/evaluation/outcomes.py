"""The rule for absent structures: a label's score depends on which of a case's two label maps have it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from .metric_names import ALL_METRICS, LESION_METRICS, MEMBRANE_METRICS, Metric, OneSided

__all__ = ["MAX_DIFFERENCE_PERCENT", "Outcome", "decide_outcome", "score_outcome"]

Outcome = Literal["found", "missed", "false_positive", "absent"]

MAX_DIFFERENCE_PERCENT = 200.0
"""Volume difference in percent of the mean of both volumes, if one of the two is 0."""


def decide_outcome(*, in_reference: bool, in_prediction: bool) -> Outcome:
    """Return the outcome of a label of a case.

    All of LightSkip's numbers about a label follow this table: in ``cases.csv``, in the validation during training,
    and in the choice of post-processing.

    ================== ========= ========== ================= ======================== =================== ==========
    outcome            reference prediction ratios (1)        distances (2)            volume difference   in percent
    ================== ========= ========== ================= ======================== =================== ==========
    ``found``          has it    has it     computed          computed                 computed            computed
    ``missed``         has it    lacks it   0                 the volume's diagonal    -the whole volume   -200 %
    ``false_positive`` lacks it  has it     0                 the volume's diagonal    the whole volume    200 %
    ``absent``         lacks it  lacks it   NaN               NaN                      NaN                 NaN
    ================== ========= ========== ================= ======================== =================== ==========

    (1) Dice, IoU, sensitivity, precision, NSD, clDice and the metrics of lesions and membranes. (2) HD95, HD and ASSD.
    NaN is not counted.

    A label that one side lacks has no distance, and leaving it out of the mean would reward missing it. So each metric
    has its worst value there. That is why a volume difference is not minus the reference's size for a missed label: a
    prediction that is much too large would then be worse than none.
    """
    if in_reference:
        return "found" if in_prediction else "missed"
    return "false_positive" if in_prediction else "absent"


def score_outcome(outcome: Outcome, *, diagonal_mm: float = math.nan, grid_size: float = math.nan) -> dict[str, float]:
    """Return the scores of a label that at least one side lacks.

    Args:
        outcome: any except ``found``, whose scores have to be computed.
        diagonal_mm: the diagonal of the volume, which is the distance of a label that only one side has.
        grid_size: the size of the whole volume (ml, in 2D mm2), which is the volume difference of such a label.

    Returns:
        Each metric of `ALL_METRICS`, `LESION_METRICS` and `MEMBRANE_METRICS`; NaN for a label that is not counted.

    Raises:
        ValueError: If the outcome is ``found``.
    """
    if outcome == "found":
        raise ValueError("outcome is found: expected missed, false_positive or absent; compute the scores instead")
    metrics: Mapping[str, Metric] = {**ALL_METRICS, **LESION_METRICS, **MEMBRANE_METRICS}
    if outcome == "absent":
        return dict.fromkeys(metrics, math.nan)
    sign = -1 if outcome == "missed" else 1
    worst: dict[OneSided, float] = {
        "zero": 0.0,
        "diagonal": diagonal_mm,
        "grid": sign * grid_size,
        "twice": sign * MAX_DIFFERENCE_PERCENT,
    }
    return {name: worst[metric.one_sided] for name, metric in metrics.items()}
