"""Compute the training loss: a segmentation loss plus the sparsity term of the selecting skips."""

from __future__ import annotations

import torch
from monai.losses.ds_loss import DeepSupervisionLoss
from torch import Tensor, nn

from ..networks import sparsity
from .distributed import gather_batch

__all__ = ["SparseSkipLoss"]


class SparseSkipLoss(nn.Module):
    """``loss(prediction, target) + weight * sparsity(network)``.

    The sparsity term is the sum over selecting skips of their mean absolute channel weight (Taghanaki et al., arXiv
    1804.05181: selection "under a sparsity constraint"; the L1 form and its weight are LightSkip's choice).

    In several processes it is the loss of all their batches together: see
    :func:`~pipeline.training.distributed.gather_batch`.

    Deep supervision returns a list of predictions, for which MONAI's ``DeepSupervisionLoss`` is used: the weighted sum
    of the loss at every level, with weights 1, 1/2, 1/4, ... of at least 1/16. The label map is resampled to each
    level's grid (nearest voxel).

    Args:
        loss: segmentation loss called with ``(prediction, target)``. Pass a ``DeepSupervisionLoss`` for other weights.
        network: the network whose skips are kept sparse.
        weight: weight of the sparsity term, 0 or more. 0 leaves the loss as it is.

    Raises:
        ValueError: the weight is negative.
    """

    def __init__(self, loss: nn.Module, network: nn.Module, weight: float) -> None:
        super().__init__()
        if weight < 0:
            msg = f"sparsity weight is {weight}; expected 0 or more"
            raise ValueError(msg)
        self.loss = loss
        self.weight = weight
        # A tuple, so that PyTorch does not register the network's parameters as the loss's own.
        self._network = (network,)

    def forward(self, prediction: Tensor | list[Tensor], target: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Args:
            prediction: logits (N, C, *spatial), or a list of them, finest first, under deep supervision.
            target: label map (N, 1, *spatial).
        """
        value = self._segmentation_loss(*gather_batch(prediction, target))
        if self.weight == 0:
            return value
        term = sparsity(self._network[0])
        return value + self.weight * torch.as_tensor(term, device=value.device)

    def _segmentation_loss(self, prediction: Tensor | list[Tensor], target: Tensor) -> Tensor:
        loss = self.loss
        if isinstance(prediction, list):
            loss = loss if isinstance(loss, DeepSupervisionLoss) else DeepSupervisionLoss(loss)
            # PyTorch cannot interpolate int64; labels are small enough to be exact in float32.
            target = target.float()
        value: Tensor = loss(prediction, target)
        return value
