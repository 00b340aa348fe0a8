"""The validation's Dice of regions, and of label maps with ignored voxels or partly annotated cases."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..data.target_table import INSIDE, UNKNOWN, TargetTable
from .outcomes import decide_outcome, score_outcome
from .present_dice import PresentDice

__all__ = ["KnownDice"]


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
        """Return the Dice (N, channels) of label maps and target label maps, (N, 1, *spatial) each; NaN: not counted."""
        scores = [self._scores(*pair) for pair in zip(y_pred.long(), y.long(), strict=True)]
        return torch.tensor(scores, dtype=torch.float32, device=y_pred.device)

    def _scores(self, prediction: Tensor, target: Tensor) -> list[float]:
        table = self.targets
        rows = torch.from_numpy(table.rows).to(target.device)
        number = table.set_of(int(target.max()))
        scores = []
        for channel in range(0 if table.is_sigmoid else 1, rows.shape[1]):
            column = rows[:, channel]
            truth = column[target]
            known = truth != UNKNOWN
            if (number is not None and not table.sets[number][channel]) or not known.any():
                scores.append(math.nan)
                continue
            expected = truth == INSIDE
            found = (column[prediction] == INSIDE) & known
            sizes = int(expected.sum()), int(found.sum())
            if all(sizes):
                scores.append(2 * int((expected & found).sum()) / sum(sizes))
            else:
                outcome = decide_outcome(in_reference=sizes[0] > 0, in_prediction=sizes[1] > 0)
                scores.append(score_outcome(outcome)["dice"])
        return scores
