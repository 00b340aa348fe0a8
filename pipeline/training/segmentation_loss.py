"""Compute a segmentation loss from MONAI's losses, over the voxels and channels that are annotated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from monai.losses import FocalLoss
from torch import Tensor, nn

from ..data.target_table import OUTSIDE, TargetTable

__all__ = ["SegmentationLoss"]


class SegmentationLoss(nn.Module):
    """A weighted sum of losses of whole channels, such as Dice, and a loss of voxels, over what is annotated.

    Each of the ``overlap`` losses gets the probabilities (softmax, or sigmoid of regions) and the target in one-hot
    form, both 0 where the target is unknown. Channels that are known nowhere in the batch are left out.

    The loss of voxels is the mean over the known ones. Without regions:

    - ``cross_entropy``: ``-log p``, with p the probability of the voxel's label. In a case with labels that were not
      annotated a voxel may have one of several, and p is the sum of their probabilities: the marginal loss of Shi et
      al. (Medical Image Analysis 70, 101979, 2021), and the target adaptive loss of Fang & Yan (IEEE TMI 39, 3619,
      2020).
    - ``focal``: ``-(1 - p)**gamma log p`` (Lin et al., arXiv 1708.02002), with the same p. MONAI's ``FocalLoss`` with
      softmax is this over the number of classes.

    With regions it is the binary cross-entropy or MONAI's sigmoid ``FocalLoss`` of each region, and the mean is over
    known voxels and regions.

    Args:
        overlap: losses called with probabilities and target, (N, C, *spatial) each, such as ``DiceLoss(batch=True)``.
        weights: the weight of each; None for 1.
        voxels: the loss of voxels; None for none.
        voxel_weight: its weight.
        gamma: the exponent of ``focal``, at least 1 or 0.
        background: whether ``overlap`` includes the first channel of a network of labels. Regions have no background.
        targets: the meaning of the target's values; None for those of label maps, 0 to C-1, all known.
    """

    def __init__(
        self,
        overlap: Sequence[nn.Module] = (),
        weights: Sequence[float] | None = None,
        *,
        voxels: Literal["cross_entropy", "focal"] | None = None,
        voxel_weight: float = 1.0,
        gamma: float = 2.0,
        background: bool = True,
        targets: TargetTable | None = None,
    ) -> None:
        super().__init__()
        self.overlap = nn.ModuleList(overlap)
        self.weights = [1.0] * len(self.overlap) if weights is None else list(weights)
        if len(self.weights) != len(self.overlap):
            msg = f"{len(self.weights)} weights for {len(self.overlap)} losses: expected one for each"
            raise ValueError(msg)
        self.voxels = voxels
        self.voxel_weight = voxel_weight
        self.gamma = gamma
        self.background = background
        self.targets = targets
        self.is_sigmoid = targets is not None and targets.is_sigmoid
        self.has_alternatives = targets is not None and targets.has_alternatives
        self._focal = FocalLoss(gamma=gamma, reduction="none")

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a scalar; 0 if nothing of the target is known.

        Args:
            prediction: logits (N, C, *spatial).
            target: target label map (N, 1, *spatial), any type.
        """
        logits = prediction if prediction.dtype == torch.float64 else prediction.float()
        values = target[:, 0].long()
        rows = self._rows(logits)
        truth = torch.stack([column[values] for column in rows.T], 1)
        # (N, C, *spatial); None if all of the possible values are known.
        known = truth >= 0 if self.targets is not None else None
        loss = logits.new_zeros(())
        if len(self.overlap):
            loss = loss + self._overlap_loss(logits, truth, known)
        if self.voxels is not None:
            loss = loss + self.voxel_weight * self._voxel_loss(logits, values, truth, known)
        return loss

    def _rows(self, logits: Tensor) -> Tensor:
        if self.targets is None:
            return torch.eye(logits.shape[1], dtype=torch.int8, device=logits.device)
        return torch.from_numpy(self.targets.rows).to(logits.device)

    def _overlap_loss(self, logits: Tensor, truth: Tensor, known: Tensor | None) -> Tensor:
        probabilities = logits.sigmoid() if self.is_sigmoid else logits.softmax(1)
        inside = (truth > 0).to(logits.dtype)
        first = 0 if self.background or self.is_sigmoid else 1
        channels = list(range(first, logits.shape[1]))
        if known is not None:
            probabilities = torch.where(known, probabilities, 0.0)
            somewhere = known.transpose(0, 1).flatten(1).any(1).tolist()
            channels = [channel for channel in channels if somewhere[channel]]
        if not channels:
            return 0.0 * probabilities.sum()
        if len(channels) < logits.shape[1]:
            probabilities, inside = probabilities[:, channels], inside[:, channels]
        pairs = zip(self.weights, self.overlap, strict=True)
        return torch.stack([weight * loss(probabilities, inside) for weight, loss in pairs]).sum()

    def _voxel_loss(self, logits: Tensor, values: Tensor, truth: Tensor, known: Tensor | None) -> Tensor:
        if self.is_sigmoid:
            inside = (truth > 0).to(logits.dtype)
            if self.voxels == "focal":
                losses = self._focal(logits, inside)
            else:
                losses = F.binary_cross_entropy_with_logits(logits, inside, reduction="none")
        elif self.has_alternatives:
            candidates = logits.log_softmax(1).masked_fill(truth == OUTSIDE, -torch.inf)
            losses = self._focus(-candidates.logsumexp(1))
        else:
            losses = self._focus(F.cross_entropy(logits, values.clamp(max=logits.shape[1] - 1), reduction="none"))
        if known is None:
            return torch.mean(losses)
        counted = known if self.is_sigmoid else known.any(1)
        return torch.sum(torch.where(counted, losses, 0.0)) / counted.sum().clamp(min=1)

    def _focus(self, cross_entropy: Tensor) -> Tensor:
        if self.voxels != "focal":
            return cross_entropy
        # Rounding may leave a tiny negative cross-entropy.
        cross_entropy = cross_entropy.clamp(min=0)
        return (1 - torch.exp(-cross_entropy)) ** self.gamma * cross_entropy
