"""The networks of a prediction: one per file of weights, combined into one on the chosen runtime."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from pathlib import Path

import torch
from monai.inferers.inferer import SlidingWindowInferer
from torch import nn

from ..bundle.trained_network import network_of_spec, read_spec_of
from ..inference import Ensemble, check_weights, mirror_network
from ..inference.runtimes import load_on_runtime
from ..inference.windows import find_window_size

__all__ = ["combine_members", "load_members"]


def load_members(
    network: nn.Module, paths: Sequence[Path], device: torch.device, *, given: Collection[str] = ()
) -> list[nn.Module]:
    """Return one network per file of weights, with the weights loaded.

    Args:
        network: the config's network, which is used for weights without a spec.
        paths: files of weights.
        device: device to load them to.
        given: names of the network's arguments that the user set: see `network_of_spec`.

    Raises:
        InputError: a file is missing or does not fit its network, or its network contradicts the user's arguments.
    """
    members = []
    for path in paths:
        member = network_of_spec(network, read_spec_of(path), path, given=given)
        check_weights(path, member)
        if member is network and path is not paths[-1]:
            member = copy.deepcopy(network)
        member.load_state_dict(torch.load(path, map_location=device, weights_only=True))
        members.append(member.to(device))
    return members


def combine_members(
    members: Sequence[nn.Module],
    *,
    runtime: str,
    inferer: SlidingWindowInferer,
    channels: int,
    spatial_dims: int,
    axes: Sequence[int],
) -> nn.Module:
    """Return one network, ready for inference, that averages all members over all mirrored inputs.

    Args:
        members: networks with their weights.
        runtime: runtime to compute on, one of `RUNTIMES`.
        inferer: inferer that sets the window and the precision.
        channels: channels of a scan.
        spatial_dims: 2 or 3.
        axes: spatial axes, from 0, to mirror inputs along.

    Raises:
        InputError: a member cannot be converted for the runtime.
    """
    shape = (channels, *find_window_size(inferer, [64] * spatial_dims))
    precision = getattr(inferer, "precision", "float32")
    members = [load_on_runtime(member, runtime, shape=shape, precision=precision) for member in members]
    together = members[0] if len(members) == 1 else Ensemble(members)
    return mirror_network(together, axes).eval().requires_grad_(False)
