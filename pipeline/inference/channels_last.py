"""Run a network with the channels of a voxel next to each other in memory, which a GPU's matrix units read."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

__all__ = ["ChannelsLastNetwork"]


class ChannelsLastNetwork(nn.Module):
    """A copy of a network with weights and input in the memory format "channels last".

    Args:
        network: takes (N, C, *spatial) and returns logits (N, K, *spatial). It is copied and not changed.
        spatial_dims: 2 or 3.
    """

    def __init__(self, network: nn.Module, spatial_dims: int) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).eval()
        self.memory_format = torch.channels_last_3d if spatial_dims == 3 else torch.channels_last
        for weight in self.network.parameters():
            # Not `Module.to`, which refuses networks that have layers of another number of axes, too.
            if weight.ndim == spatial_dims + 2:
                weight.data = weight.data.contiguous(memory_format=self.memory_format)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, K, *spatial) in the usual memory format, which the blending of windows reads faster."""
        logits: Tensor = self.network(x.contiguous(memory_format=self.memory_format))
        return logits.contiguous()
