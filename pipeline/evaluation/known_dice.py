"""The validation's Dice of regions, and of label maps with ignored voxels or partly annotated cases."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.target_table import INSIDE, UNKNOWN, TargetTable
from .outcomes import decide_outcome, score_outcome
from .present_dice import PresentDice

__all__ = ["KnownDice"]

_PART = 1 << 22  # voxels


class KnownDice(PresentDice):
    """Dice per region, or per foreground label, over the voxels of a case that are known.

    A region or label that was not annotated in a case is not counted there. The others follow the rule of
    :class:`PresentDice`.

    Args:
        targets: the meaning of the reference's values.
        **options: ``reduction``, as of :class:`PresentDice`.
    """

    def __init__(self, targets: TargetTable, **options: Any) -> None:
        super().__init__(targets.num_labels, **options)
        self.targets = targets

    def _compute_tensor(self, y_pred: Tensor, y: Tensor) -> Tensor:
        """Return the Dice (N, channels) of label maps and target label maps (N, 1, *spatial); NaN: not counted."""
        scores = [self._scores(_count_pairs(*pair, self.targets)) for pair in zip(y_pred, y, strict=True)]
        return torch.tensor(scores, dtype=torch.float32, device=y_pred.device)

    def _scores(self, pairs: NDArray[np.int64]) -> list[float]:
        table = self.targets
        found = np.flatnonzero(pairs.any(axis=1))
        number = table.set_of(int(found.max(initial=0)))
        scores = []
        for channel in range(0 if table.is_sigmoid else 1, table.rows.shape[1]):
            column = table.rows[:, channel]
            known = pairs[column != UNKNOWN]
            if (number is not None and not table.sets[number][channel]) or not known.any():
                scores.append(math.nan)
                continue
            in_prediction = column[: table.num_labels] == INSIDE
            expected, predicted = int(pairs[column == INSIDE].sum()), int(known[:, in_prediction].sum())
            if expected and predicted:
                scores.append(2 * int(pairs[column == INSIDE][:, in_prediction].sum()) / (expected + predicted))
            else:
                outcome = decide_outcome(in_reference=expected > 0, in_prediction=predicted > 0)
                scores.append(score_outcome(outcome)["dice"])
        return scores


def _count_pairs(prediction: Tensor, target: Tensor, table: TargetTable) -> NDArray[np.int64]:
    """Return the number of voxels with each target value and each predicted label, (values, labels)."""
    labels, size = table.num_labels, table.num_labels * len(table.rows)
    counts = torch.zeros(size, dtype=torch.int64, device=target.device)
    # In parts, since the pairs take 8 bytes per voxel.
    for ours, theirs in zip(prediction.flatten().split(_PART), target.flatten().split(_PART), strict=True):
        counts += torch.bincount(theirs.long() * labels + ours.long(), minlength=size)
    pairs: NDArray[np.int64] = counts.reshape(-1, labels).cpu().numpy()
    return pairs
