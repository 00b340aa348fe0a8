"""The rule for absent structures: a label's score depends on which of a case's two label maps have it."""

from __future__ import annotations

import math
from typing import Literal

__all__ = ["Outcome", "decide_outcome", "score_outcome"]

Outcome = Literal["found", "missed", "false_positive", "absent"]


def decide_outcome(*, in_reference: bool, in_prediction: bool) -> Outcome:
    """Return the outcome of a label of a case.

    All of LightSkip's numbers about a label follow this table: in ``cases.csv``, in the validation during training,
    and in the choice of post-processing.

    ================== ========= ========== ============================ =================================
    outcome            reference prediction dice, nsd                    hd95_mm
    ================== ========= ========== ============================ =================================
    ``found``          has it    has it     computed                     computed
    ``missed``         has it    lacks it   0                            the diagonal of the volume
    ``false_positive`` lacks it  has it     0                            the diagonal of the volume
    ``absent``         lacks it  lacks it   NaN: not counted             NaN: not counted
    ================== ========= ========== ============================ =================================

    A label that one side lacks has no distance. Leaving it out of the mean would reward missing it.
    """
    if in_reference:
        return "found" if in_prediction else "missed"
    return "false_positive" if in_prediction else "absent"


def score_outcome(outcome: Outcome, *, diagonal_mm: float = math.nan) -> dict[str, float]:
    """Return the scores of a label that at least one side lacks.

    Args:
        outcome: any except ``found``, whose scores have to be computed.
        diagonal_mm: the diagonal of the volume, which is the HD95 of a label that only one side has.

    Returns:
        ``dice``, ``hd95_mm`` and ``nsd``; NaN for a label that is not counted.

    Raises:
        ValueError: If the outcome is ``found``.
    """
    if outcome == "found":
        raise ValueError("outcome is found: expected missed, false_positive or absent; compute the scores instead")
    if outcome == "absent":
        return {"dice": math.nan, "hd95_mm": math.nan, "nsd": math.nan}
    return {"dice": 0.0, "hd95_mm": diagonal_mm, "nsd": 0.0}
