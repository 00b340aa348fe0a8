"""Hard-selected channels, taken out of a trained network: the same output from fewer weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .blocks import Spec
from .select_attend_transfer import SelectAttendTransfer
from .skips import skip_per_level
from .vnet import VNet

__all__ = ["Pruned", "pruned"]


@dataclass(frozen=True)
class Pruned:
    """A network's skip connections and weights without the channels that its hard selection leaves out.

    Attributes:
        skip: what ``VNet`` takes as ``skip``.
        weights: for a network with these skips, by name.
        left_out: for each skip that lost channels, by its level, 0 the finest: how many, of how many.
    """

    skip: Spec | Sequence[Spec]
    weights: dict[str, Tensor]
    left_out: dict[int, tuple[int, int]]


def pruned(network: VNet, skip: Spec | Sequence[Spec]) -> Pruned:
    """Take out the channels that hard-selecting SAT skips do not select.

    Select and Attend are one linear map of the channels (Taghanaki et al., arXiv 1804.05181), so the selected channels'
    weights go into the kernel of the attention map: a skip ``sat`` becomes ``at`` with the indices of its ``channels``.
    A skip with soft selection, or one that selects all of its channels, stays as it is.

    Args:
        network: the trained network.
        skip: what it was built with.

    Returns:
        What to build the smaller network with. Nothing of the given one is changed.
    """
    levels = len(network.decoder)
    specs: list[Any] = list(skip_per_level(skip, levels))
    weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
    left_out: dict[int, tuple[int, int]] = {}
    for stage, up in enumerate(network.decoder):
        link, level = up.skip, levels - 1 - stage
        # A subclass may compute something else.
        if type(link) is not SelectAttendTransfer or link.select.mode != "hard":
            continue
        channels = link.select.selected()
        total = len(link.select.weight)
        if len(channels) == total:
            continue
        left_out[level] = (total - len(channels), total)
        # A map of nothing is a constant; one channel with a weight of zero gives it.
        channels = channels or [0]
        specs[level] = ["at", {**_options(specs[level]), "channels": channels}]
        _fold(weights, f"decoder.{stage}.skip", link, channels)
    return Pruned(specs if left_out else skip, weights, left_out)


def _options(spec: Any) -> dict[str, Any]:
    """Options that both skips have."""
    options = {} if isinstance(spec, str) else dict(spec[1])
    return {name: value for name, value in options.items() if name not in ("select", "threshold")}


@torch.no_grad()
def _fold(weights: dict[str, Tensor], name: str, link: nn.Module, channels: list[int]) -> None:
    """Put the selected channels' weights into the kernel (M, C, 1, …) of the attention map."""
    kernel = weights[f"{name}.attend.conv.weight"]
    in_force = link.select().detach().view([1, -1] + [1] * (kernel.dim() - 2))  # type: ignore[operator]
    weights[f"{name}.attend.conv.weight"] = (kernel * in_force)[:, channels].clone()
    del weights[f"{name}.select.weight"]
