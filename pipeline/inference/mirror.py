"""Networks that average networks: over mirrored inputs, and over several trainings."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from torch import Tensor, nn

from .mean_probability import mean_probability

__all__ = ["Ensemble", "Mirrored", "mirror_network"]


class Mirrored(nn.Module):
    """The mean of a network's logits over its input mirrored along every combination of some axes.

    This test-time augmentation slightly reduces the noise of a network that was trained with these mirrorings. Time
    doubles with each axis. nnU-Net does the same (Isensee et al., Nature Methods 2021).

    Args:
        network: takes (N, C, *spatial), returns logits (N, K, *spatial).
        axes: spatial axes from 0.
    """

    def __init__(self, network: nn.Module, axes: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.axes = tuple(sorted(set(axes)))

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return the mean logits (N, K, *spatial), float32."""
        total: Tensor = self.network(x, *args, **kwargs).float()
        dims = [axis + 2 for axis in self.axes]
        flips = [chosen for count in range(1, len(dims) + 1) for chosen in combinations(dims, count)]
        for flip in flips:
            total = total + self.network(x.flip(flip), *args, **kwargs).float().flip(flip)
        return total / (len(flips) + 1)


class Ensemble(nn.Module):
    """The logarithm of the members' mean probability: logits whose softmax is that mean.

    Args:
        members: networks with equal input and output shapes, such as one network with the weights of several folds.
        sigmoid: whether the networks' channels are regions: then the sigmoid of the logits is the mean.
    """

    def __init__(self, members: Sequence[nn.Module], *, sigmoid: bool = False) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.sigmoid = sigmoid

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return logits (N, K, *spatial), float32."""
        return mean_probability((member(x, *args, **kwargs) for member in self.members), sigmoid=self.sigmoid)


def mirror_network(network: nn.Module, axes: Sequence[int]) -> nn.Module:
    """Return the network averaged over mirrored inputs, or the network itself if there is no axis."""
    return Mirrored(network, axes) if axes else network
