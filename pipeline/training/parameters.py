"""Split parameters into those with and without weight decay."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["parameter_groups"]


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split a network's parameters into a group with weight decay and one without.

    Kernels decay. Vectors do not: biases, scales of normalisations, slopes of activations, and the channel weights of
    selecting skips. The channel weights have their own sparsity term and would be shrunk twice.

    Args:
        network: the network to train.
        weight_decay: weight decay of the kernels, 0 or more.

    Returns:
        Two groups for a PyTorch optimiser, kernels first.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
