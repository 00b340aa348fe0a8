"""MONAI's Dice metric with the rules of our reports for structures that are absent."""

from __future__ import annotations

from typing import Any

import torch
from monai.metrics.meandice import DiceMetric
from torch import Tensor

__all__ = ["PresentDice"]


class PresentDice(DiceMetric):
    """Dice per class of the foreground; a class that neither label map has counts as nothing, one that one has as 0.

    MONAI's ``DiceMetric`` forgets what was found where there is nothing (``ignore_empty=True``), or counts what is
    rightly not found as 1 (``ignore_empty=False``).

    Args:
        num_classes: classes, background included.
        **kwargs: further ones of ``DiceMetric``, such as ``reduction``.
    """

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        super().__init__(include_background=False, num_classes=num_classes, ignore_empty=False, **kwargs)
        self.classes = num_classes

    def _compute_tensor(self, y_pred: Tensor, y: Tensor) -> Tensor:
        """Give Dice (N, classes - 1), NaN where there is nothing, of label maps (N, 1, *spatial)."""
        dice: Tensor = super()._compute_tensor(y_pred, y)
        labels = range(1, self.classes)
        present = [((y_pred == label) | (y == label)).flatten(1).any(1) for label in labels]
        return dice.where(torch.stack(present, dim=1).to(dice.device), dice.new_tensor(torch.nan))
