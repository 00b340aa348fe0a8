"""MONAI's Dice metric with LightSkip's rule for structures that are absent."""

from __future__ import annotations

from typing import Any

from monai.metrics.meandice import DiceMetric
from torch import Tensor

from .outcomes import decide_outcome, score_outcome

__all__ = ["PresentDice"]


class PresentDice(DiceMetric):
    """Dice per foreground class: not counted if neither label map has the class, 0 if only one has it.

    This is the rule of ``evaluate`` (see `decide_outcome`), used in the validation during training and in the
    evaluation of exported bundles. MONAI's ``DiceMetric`` ignores false positives in cases without the class
    (``ignore_empty=True``), or counts a correctly absent class as 1 (``ignore_empty=False``).

    Args:
        num_classes: number of classes, background included.
        reduction: ``mean``: the mean over the classes of their means over the cases that count, as in
            ``summary.json``; 0 if nothing counts, so that there is always a best epoch. ``mean_batch``: the classes'
            means; NaN for a class that counts in no case. Other values are MONAI's.
        **kwargs: further arguments of ``DiceMetric``.
    """

    def __init__(self, num_classes: int, *, reduction: str = "mean", **kwargs: Any) -> None:
        super().__init__(
            include_background=False, num_classes=num_classes, ignore_empty=True, reduction=reduction, **kwargs
        )

    def _compute_tensor(self, y_pred: Tensor, y: Tensor) -> Tensor:
        """Return the Dice (N, classes - 1) of label maps (N, 1, *spatial); NaN for a class that is not counted."""
        dice: Tensor = super()._compute_tensor(y_pred, y)
        # MONAI returns NaN if the reference lacks the class, and 0 for a missed class.
        for case, index in dice.isnan().nonzero().tolist():
            in_prediction = bool((y_pred[case] == index + 1).any())
            outcome = decide_outcome(in_reference=False, in_prediction=in_prediction)
            dice[case, index] = score_outcome(outcome)["dice"]
        return dice

    def aggregate(self, reduction: Any = None) -> Any:
        """Return the reduced Dice of all cases, including those of other processes."""
        reduction = reduction or self.reduction
        if reduction not in ("mean", "mean_batch"):
            return super().aggregate(reduction)
        by_class: Tensor = self.get_buffer().nanmean(dim=0)
        return by_class if reduction == "mean_batch" else by_class.nanmean().nan_to_num(0.0)
