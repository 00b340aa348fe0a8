"""Find the axes of weights that stand for input or output channels, and take the channels of the same name."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["INPUTS", "OUTPUTS", "ChannelNames", "find_named_axes", "pair_names", "take_channels"]

INPUTS, OUTPUTS = "inputs", "outputs"
_ARGUMENTS = {INPUTS: "in_channels", OUTPUTS: "out_channels"}
# Per kind, pairs of a channel of the network and one of the weights; None if names are unknown.
Pairs = Mapping[str, Sequence[tuple[int, int]] | None]


@dataclass(frozen=True)
class ChannelNames:
    """The names of a network's channels; None if they are unknown.

    Attributes:
        inputs: of the input, such as ``("T1", "T2")``.
        outputs: of the output: labels with the background first, or regions.
    """

    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None


def find_named_axes(network: nn.Module) -> dict[str, dict[int, str]]:
    """Return the axes of input and output channels of each tensor that has some.

    The network is built with twice the channels, without memory, and the shapes are compared.

    Args:
        network: a network with a spec; of any other nothing is known.

    Returns:
        By the tensor's name, ``INPUTS`` or ``OUTPUTS`` by axis.
    """
    spec = getattr(network, "spec", None)
    if not isinstance(spec, dict):
        return {}
    arguments = {key: value for key, value in spec.items() if key != "name"}
    axes: dict[str, dict[int, str]] = defaultdict(dict)
    for kind, argument in _ARGUMENTS.items():
        # Twice as many: V-Net's first stage has a convolution more where the channels do not divide its width.
        with torch.device("meta"):
            wider = type(network)(**{**arguments, argument: 2 * arguments[argument]}).state_dict()
        for name, tensor in network.state_dict().items():
            if name in wider:
                for axis, sizes in enumerate(zip(tensor.shape, wider[name].shape, strict=True)):
                    if sizes[0] != sizes[1]:
                        axes[name][axis] = kind
    return dict(axes)


def pair_names(source: ChannelNames, target: ChannelNames) -> Pairs:
    """Return the places of the channels that both have by name: (in the network, in the weights)."""
    return {
        INPUTS: _pair(target.inputs, source.inputs),
        OUTPUTS: _pair(target.outputs, source.outputs),
    }


def take_channels(
    own: Tensor, other: Tensor, axes: Mapping[int, str], pairs: Pairs
) -> tuple[Tensor | None, int, str] | None:
    """Take channels by their names; sizes along all other axes must be equal.

    Returns:
        The new value (None if it takes nothing), the number of elements taken, and how. None if names decide nothing:
        they are unknown, or no input has the name of another.
    """
    first = min(axes)
    known = pairs[axes[first]]
    if known is not None and any(a >= own.shape[first] or b >= other.shape[first] for a, b in known):
        known = None  # the names are those of another network
    if axes[first] == INPUTS:
        return _take_inputs(own, other, first, known)
    if known is None:
        if own.shape != other.shape:
            return None
        return other.clone(), own.numel(), "labels in their order, since those of the weights are unknown"
    if [pair[0] for pair in known] == list(range(own.shape[first])) and own.shape == other.shape:
        # Every label is known, perhaps in another order.
        how = "" if all(ours == theirs for ours, theirs in known) else "labels by name, in another order"
    else:
        how = f"{len(known)} of {own.shape[first]} labels, by name"
    if not known:
        return None, 0, "no label of the same name"
    value = own.clone()
    ours, theirs = (torch.tensor(places, device=own.device) for places in zip(*known, strict=True))
    if len(axes) == 2:
        value[ours[:, None], ours] = other[theirs[:, None], theirs]
    else:
        value.index_copy_(first, ours, other.index_select(first, theirs))
    return value, (own.numel() // own.shape[first] ** len(axes)) * len(known) ** len(axes), how


def _take_inputs(
    own: Tensor, other: Tensor, axis: int, known: Sequence[tuple[int, int]] | None
) -> tuple[Tensor, int, str] | None:
    number, before = own.shape[axis], other.shape[axis]
    if known:
        value = torch.zeros_like(own)
        for ours, theirs in known:
            value.select(axis, ours).copy_(other.select(axis, theirs))
        if len(known) == number:
            how = "" if all(a == b for a, b in known) and number == before else "input channels by name"
            return value, own.numel(), how
        return value, own.numel(), f"{len(known)} of {number} input channels by name, the others start at zero"
    if number == before:
        return None
    mean = other.mean(axis, keepdim=True) * (before / number)
    return mean.expand_as(own).clone(), own.numel(), f"mean of {before} input channels, for each of {number}"


def _pair(ours: tuple[str, ...] | None, theirs: tuple[str, ...] | None) -> list[tuple[int, int]] | None:
    if ours is None or theirs is None:
        return None
    places = {_plain(name): place for place, name in enumerate(theirs)}
    return [(place, places[_plain(name)]) for place, name in enumerate(ours) if _plain(name) in places]


def _plain(name: str) -> str:
    return name.strip().casefold()
