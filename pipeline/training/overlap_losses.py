"""Two losses of MONAI per class and over the batch, for :class:`~pipeline.training.SegmentationLoss`."""

from __future__ import annotations

import torch
from monai.losses import SoftclDiceLoss, TverskyLoss
from torch import Tensor, nn

__all__ = ["BatchClDiceLoss", "FocalTverskyLoss"]

_MIN_SCORE = 1e-6  # below it the power has an infinite slope


class BatchClDiceLoss(nn.Module):
    """1 - clDice, the mean over classes; sums are over the voxels of a batch (Shit et al., CVPR 2021).

    MONAI's ``SoftclDiceLoss`` adds up the voxels of all classes, so that the largest one decides. Here it is called for
    each class, with the samples of the batch as its channels.

    Args:
        iterations: steps of the soft skeleton: at least the radius (voxels) of the thickest tube.
        smooth: added to the sums.
    """

    def __init__(self, iterations: int = 3, smooth: float = 1.0) -> None:
        super().__init__()
        self.loss = SoftclDiceLoss(iter_=iterations, smooth_nr=smooth, smooth_dr=smooth)

    def forward(self, probabilities: Tensor, target: Tensor) -> Tensor:
        """Return the loss of probabilities and target, (N, C, *spatial) each."""
        classes = zip(probabilities.unbind(1), target.unbind(1), strict=True)
        return torch.stack([self.loss(ours[None], theirs[None]) for ours, theirs in classes]).mean()


class FocalTverskyLoss(nn.Module):
    """(1 - Tversky index) ** exponent, the mean over classes (Abraham & Khan, ISBI 2019).

    The index is that of MONAI's ``TverskyLoss``, over the batch. MONAI's ``AsymmetricFocalTverskyLoss`` is another
    loss, of two classes, with an exponent for the second one only.

    Args:
        alpha: weight of false positives.
        beta: weight of false negatives.
        exponent: 1 / gamma of the paper, with its gamma of 4/3.
        smooth: added to the sums.
    """

    def __init__(self, alpha: float = 0.3, beta: float = 0.7, exponent: float = 0.75, smooth: float = 1.0) -> None:
        super().__init__()
        self.exponent = exponent
        self.loss = TverskyLoss(
            alpha=alpha, beta=beta, batch=True, reduction="none", smooth_nr=smooth, smooth_dr=smooth
        )

    def forward(self, probabilities: Tensor, target: Tensor) -> Tensor:
        """Return the loss of probabilities and target, (N, C, *spatial) each."""
        scores: Tensor = self.loss(probabilities, target)
        return (scores.clamp(min=_MIN_SCORE) ** self.exponent).mean()
