"""Take what fits of another network's weights: other classes, input channels, depth or skip connections."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monai.networks.utils import copy_model_state
from torch import Tensor, nn

from .named_axes import INPUTS, ChannelNames, find_named_axes, pair_names, take_channels

__all__ = ["PARTS", "ChannelNames", "Fit", "take_weights"]

PARTS = ("encoder", "skips", "decoder", "head")
_PART_OF = {
    "encoder": "encoder",
    "recalibrate_encoder": "encoder",
    "decoder": "decoder",
    "recalibrate_decoder": "decoder",
    "head": "head",
    "deep_heads": "head",
}
# Modules with one entry per decoder level, deepest first.
_BY_LEVEL = re.compile(r"(decoder|recalibrate_decoder|deep_heads)\.(\d+)\.(.+)")
# The first convolution of a decoder stage. With a second input (``TwoInputConv``) it has a module of its own.
_FIRST = {"enter.conv": "convs.0.0", "enter.norm": "convs.0.1", "enter.act": "convs.0.2"}
_ENTERED = re.compile(r"decoder\.(\d+)\.(?:enter\.conv|convs\.0\.0)\.weight")


@dataclass(frozen=True)
class Fit:
    """What a tensor of a network takes of the other weights.

    Attributes:
        name: its name in the network's state dict.
        part: encoder, skips, decoder or head; for networks of another build the first part of its name.
        size: its number of elements.
        taken: how many of them come from the other weights.
        how: how they were taken, or why not; empty for a tensor that was taken as it is.
        is_parameter: whether it is trained; running statistics are not.
    """

    name: str
    part: str
    size: int
    taken: int
    how: str
    is_parameter: bool

    @property
    def is_whole(self) -> bool:
        """Whether all of it comes from the other weights."""
        return self.taken == self.size


def take_weights(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    *,
    source: ChannelNames | None = None,
    target: ChannelNames | None = None,
) -> tuple[list[Fit], list[str]]:
    """Copy weights of another network into this one, as far as they fit.

    Levels are matched from the finest on, so networks of different depth share their finer levels. A tensor of equal
    shape is copied whole. Besides that:

    - Output channels of the same name are copied; others stay as they are. Without known names tensors are copied only
      whole, channel by channel in their order.
    - Input channels of the same name are copied, and the others then start at zero. If no name is shared, each gets the
      mean of the source's channels, times their number, divided by the new number. Equal numbers of channels without a
      shared name are copied in their order.
    - Of a decoder stage's first convolution the channels from below are copied if another skip connection adds another
      number of channels; the kernels of the skip's channels stay as they are.

    Args:
        network: it is changed in place; its device and number format stay.
        weights: a state dict, with LightSkip's names.
        source: names of the channels that the weights were trained for.
        target: names of the network's channels.

    Returns:
        A row per tensor of the network, and the names of the weights that nothing was taken of.
    """
    state = network.state_dict()
    renamed = _match_levels(weights, state)
    axes = find_named_axes(network)
    pairs = pair_names(source or ChannelNames(), target or ChannelNames())
    parameters = {name for name, _ in network.named_parameters()}
    fits, values, used = [], {}, set()
    for name, own in state.items():
        origin = renamed.get(name)
        if origin is None:
            value, taken, how = None, 0, "not in the weights"
        elif own.is_floating_point() and not weights[origin].is_floating_point():
            # PyTorch would take whole, complex and truth values as other numbers.
            value, taken, how = None, 0, f"{weights[origin].dtype} instead of {own.dtype}".replace("torch.", "")
        else:
            value, taken, how = _take(name, own, weights[origin], axes.get(name, {}), pairs, network)
        if value is not None and origin is not None:
            values[name] = value
            used.add(origin)
        fits.append(Fit(name, _part(name), own.numel(), taken, how, name in parameters))
    if values:
        copy_model_state(network, values)
    return fits, [name for name in weights if name not in used]


def _take(
    name: str,
    own: Tensor,
    other: Tensor,
    axes: Mapping[int, str],
    pairs: Mapping[str, Sequence[tuple[int, int]] | None],
    network: nn.Module,
) -> tuple[Tensor | None, int, str]:
    """Return the new value of a tensor, the number of elements taken, and how; None if nothing fits."""
    other = other.to(own.device, own.dtype)
    different = f"shape {list(other.shape)} instead of {list(own.shape)}"
    if own.dim() != other.dim():
        return None, 0, different
    differing = [axis for axis in range(own.dim()) if own.shape[axis] != other.shape[axis]]
    if axes and set(differing) <= set(axes):
        by_name = take_channels(own, other, axes, pairs)
        if by_name is not None:
            return by_name
    if not differing:
        return other.clone(), own.numel(), ""
    if differing == list(axes) and INPUTS not in axes.values():
        return None, 0, f"{different}, and its labels are unknown"
    width = _width_from_below(name, network)
    if differing == [1] and width is not None and width <= min(own.shape[1], other.shape[1]):
        value = own.clone()
        value[:, :width] = other[:, :width]
        return value, value[:, :width].numel(), "without the channels of the skip connection"
    return None, 0, different


def _width_from_below(name: str, network: nn.Module) -> int | None:
    """Return how many channels come from below into a decoder stage's first convolution; None for other tensors."""
    match = _ENTERED.fullmatch(name)
    skips = getattr(network, "skips", None)
    if match is None or skips is None:
        return None
    skip = skips().get(f"decoder.{match[1]}.skip")
    return None if skip is None else int(skip.decoder_channels)


def _match_levels(weights: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the name in the weights by the name in the network: the same level, counted from the finest."""
    shift = _count_stages(state) - _count_stages(weights)
    renamed = {}
    for name in weights:
        match = _BY_LEVEL.fullmatch(name)
        if match is None:
            renamed[name] = name
            continue
        place = int(match[2]) + shift
        if place >= 0:
            stage = f"{match[1]}.{place}"
            renamed[f"{stage}.{_enter(stage, match[3], weights, state, match[2])}"] = name
    return renamed


def _enter(stage: str, name: str, weights: Mapping[str, Tensor], state: Mapping[str, Tensor], place: str) -> str:
    """Return the name inside a decoder stage where only one of both networks has a second input for the skip."""
    if not stage.startswith("decoder."):
        return name
    ours, theirs = f"{stage}.enter.conv.weight" in state, f"decoder.{place}.enter.conv.weight" in weights
    if ours == theirs:
        return name
    module, _, tensor = name.rpartition(".")
    for with_input, without in _FIRST.items():
        if module == (with_input if theirs else without):
            return f"{without if theirs else with_input}.{tensor}"
    later = re.fullmatch(r"convs\.(\d+)\.(.+)", name)
    return f"convs.{int(later[1]) + (1 if theirs else -1)}.{later[2]}" if later else name


def _count_stages(names: Mapping[str, Tensor]) -> int:
    return max((int(match[1]) + 1 for name in names if (match := re.match(r"decoder\.(\d+)\.", name))), default=0)


def _part(name: str) -> str:
    if re.match(r"decoder\.\d+\.skip\.", name):
        return "skips"
    first = name.partition(".")[0]
    return _PART_OF.get(first, first)
