"""The networks that prediction asks: one for every file of weights, on the runtime that was chosen."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from monai.inferers.inferer import SlidingWindowInferer
from torch import nn

from ..inference import Ensemble, check_weights, mirrored
from ..inference.runtimes import on_runtime
from ..inference.windows import window_size

__all__ = ["loaded_members", "one_network"]


def loaded_members(network: nn.Module, paths: Sequence[Path], device: torch.device) -> list[nn.Module]:
    """Return the network with the weights of each file; the last one is the network itself.

    Raises:
        InputError: a file is missing, or holds other weights than the network's.
    """
    members = []
    for path in paths:
        check_weights(path, network)
        member = network if path is paths[-1] else copy.deepcopy(network)
        member.load_state_dict(torch.load(path, map_location=device, weights_only=True))
        members.append(member)
    return members


def one_network(
    members: Sequence[nn.Module],
    *,
    runtime: str,
    inferer: SlidingWindowInferer,
    channels: int,
    spatial_dims: int,
    axes: Sequence[int],
) -> nn.Module:
    """Return the network whose logits are those of all members and mirrored inputs together, ready for inference.

    Args:
        members: with their weights.
        runtime: what they are to compute on, one of `RUNTIMES`.
        inferer: whose windows they get, and in whose precision they compute.
        channels: of a scan.
        spatial_dims: 2 or 3.
        axes: spatial axes from 0 along which inputs are mirrored.

    Raises:
        InputError: a member cannot be converted for the runtime.
    """
    shape = (channels, *window_size(inferer, [64] * spatial_dims))
    precision = getattr(inferer, "precision", "float32")
    members = [on_runtime(member, runtime, shape=shape, precision=precision) for member in members]
    together = members[0] if len(members) == 1 else Ensemble(members)
    return mirrored(together, axes).eval().requires_grad_(False)
