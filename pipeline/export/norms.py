"""Instance and group normalisation that ONNX Runtime computes as exactly as PyTorch.

ONNX Runtime's own operator sums all voxels one after the other in float32, and so does a mean over all axes at once.
Over a window of 90,000 voxels the mean is wrong in the fifth digit, and a network's logits by 2e-4. Means of means,
axis by axis, are as exact as PyTorch's. PyTorch exports group normalisation as instance normalisation of longer rows.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.modules.instancenorm import _InstanceNorm

__all__ = ["make_norms_exact"]


def make_norms_exact(network: nn.Module) -> nn.Module:
    """Return a copy of a network whose instance and group normalisations take their means axis by axis.

    Normalisations with running statistics compute no mean in evaluation mode, so they stay unchanged.
    """
    exact = _find_exact(network)
    if exact is not None:
        return exact
    network = deepcopy(network)
    _replace(network)
    return network


def _replace(module: nn.Module) -> None:
    for name, part in module.named_children():
        exact = _find_exact(part)
        if exact is not None:
            setattr(module, name, exact)
        else:
            _replace(part)


def _find_exact(module: nn.Module) -> nn.Module | None:
    """Return the same normalisation axis by axis; None for a module that is none."""
    if isinstance(module, _InstanceNorm) and not module.track_running_stats:
        return _AxisByAxis(module)
    return _GroupsAxisByAxis(module) if isinstance(module, nn.GroupNorm) else None


class _AxisByAxis(nn.Module):
    """The same normalisation of (N, C, *spatial)."""

    def __init__(self, norm: _InstanceNorm | nn.GroupNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps

    def forward(self, x: Tensor) -> Tensor:
        normalised = self.normalise(x)
        if self.weight is None:
            return normalised
        shape = [1, -1] + [1] * (x.dim() - 2)
        return normalised * self.weight.view(shape) + self.bias.view(shape)

    def normalise(self, x: Tensor) -> Tensor:
        """Return (N, C, ...) with mean 0 and variance 1 over all axes but these two."""
        centred = x - _mean(x)
        return centred * torch.rsqrt(_mean(centred * centred) + self.eps)


class _GroupsAxisByAxis(_AxisByAxis):
    """Group normalisation, whose means are also over the channels of a group."""

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__(norm)
        self.groups = norm.num_groups

    def normalise(self, x: Tensor) -> Tensor:
        return super().normalise(x.unflatten(1, (self.groups, -1))).flatten(1, 2)


def _mean(x: Tensor) -> Tensor:
    for axis in range(x.dim() - 1, 1, -1):
        x = x.mean(axis, keepdim=True)
    return x
