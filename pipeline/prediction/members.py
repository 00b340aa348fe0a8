"""The networks that prediction asks: one for every file of weights, on the runtime that was chosen."""

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

__all__ = ["loaded_members", "one_network"]


def loaded_members(
    network: nn.Module, paths: Sequence[Path], device: torch.device, *, given: Collection[str] = ()
) -> list[nn.Module]:
    """Return the network of each file of weights, with them; weights without a spec are of the given network.

    Args:
        network: the config's.
        paths: files of weights.
        device: where they are loaded to.
        given: arguments of the network that the user gave, by name: see `network_of_spec`.

    Raises:
        InputError: a file is missing, holds other weights than its network's, or is of a network that contradicts what
            the user gave.
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
    shape = (channels, *find_window_size(inferer, [64] * spatial_dims))
    precision = getattr(inferer, "precision", "float32")
    members = [load_on_runtime(member, runtime, shape=shape, precision=precision) for member in members]
    together = members[0] if len(members) == 1 else Ensemble(members)
    return mirror_network(together, axes).eval().requires_grad_(False)
