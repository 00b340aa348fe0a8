"""Which weights decay."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["parameter_groups"]


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split a network's parameters into those that weight decay shrinks and those that it does not.

    Kernels decay. Vectors do not: biases, the scales of normalisations, the slopes of activations, and the channel
    weights of selecting skips, which have a sparsity term of their own and would be pulled to zero twice.

    Args:
        network: the network to train.
        weight_decay: of the kernels, 0 or more.

    Returns:
        Two groups for a PyTorch optimiser, kernels first.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
