"""Remove the channels that a trained network's hard selection rejects: same output, fewer weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .contract import Network
from .select_attend_transfer import SelectAttendTransfer
from .skips import skip_per_level

__all__ = ["Pruned", "prune_skips"]


@dataclass(frozen=True)
class Pruned:
    """A network without the channels that its hard selection rejects.

    Attributes:
        spec: spec of the smaller network, see :func:`~pipeline.networks.contract.build_network`.
        weights: weights of that network, by name.
        left_out: (removed channels, all channels) of each skip that lost some, by its level; 0 is the finest.
    """

    spec: dict[str, Any]
    weights: dict[str, Tensor]
    left_out: dict[int, tuple[int, int]]


def prune_skips(network: Network) -> Pruned:
    """Remove the channels that hard-selecting SAT skips do not select.

    Select and Attend are a single linear map of the channels (Taghanaki et al., arXiv 1804.05181). So the selection
    weights can be multiplied into the kernel of the attention map: a ``sat`` skip becomes ``at`` with the indices of
    its ``channels``. A skip with soft selection, or one that selects all of its channels, stays as it is.

    Args:
        network: the trained network, a module with a spec.

    Returns:
        The spec and weights of the smaller network. The given network is not changed.

    Raises:
        ValueError: the network has no spec.
    """
    if network.spec is None:
        msg = f"a {type(network).__name__} has no spec, because its class is not registered"
        raise ValueError(msg)
    skips = network.skips()
    specs: list[Any] = list(skip_per_level(network.spec["skip"], len(skips)))
    assert isinstance(network, nn.Module)
    weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
    left_out: dict[int, tuple[int, int]] = {}
    for level, (name, skip) in enumerate(skips.items()):
        # A subclass may compute something else.
        if type(skip) is not SelectAttendTransfer or skip.select.mode != "hard":
            continue
        channels = skip.select.selected()
        total = len(skip.select.weight)
        if len(channels) == total:
            continue
        left_out[level] = (total - len(channels), total)
        # Without channels the map is a constant, which one channel with a weight of zero computes.
        channels = channels or [0]
        specs[level] = ["at", {**_options(specs[level]), "channels": channels}]
        _fold(weights, name, skip, channels)
    return Pruned({**network.spec, "skip": specs} if left_out else network.spec, weights, left_out)


def _options(spec: Any) -> dict[str, Any]:
    """Return the options that ``sat`` and ``at`` share."""
    options = {} if isinstance(spec, str) else dict(spec[1])
    return {name: value for name, value in options.items() if name not in ("select", "threshold")}


@torch.no_grad()
def _fold(weights: dict[str, Tensor], name: str, skip: nn.Module, channels: list[int]) -> None:
    """Multiply the selection weights into the kernel (M, C, 1, …) of the attention map."""
    kernel = weights[f"{name}.attend.conv.weight"]
    selection = skip.select().detach().view([1, -1] + [1] * (kernel.dim() - 2))  # type: ignore[operator]
    weights[f"{name}.attend.conv.weight"] = (kernel * selection)[:, channels].clone()
    del weights[f"{name}.select.weight"]
