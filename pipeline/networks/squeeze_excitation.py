"""Squeeze and excitation: gates on channels and positions, in a network's stages and as skip connections.

Roy, Navab, Wachinger, "Recalibrating Fully Convolutional Networks with Spatial and Channel Squeeze & Excitation Blocks"
(arXiv 1808.08127) has ``cse``, ``sse`` and ``scse``; the conference version (arXiv 1803.02579) joins the two by a sum.
Rickmann et al., "Project & Excite Modules for Segmentation of Volumetric Medical Scans" (arXiv 1906.04649) has
``project_excite``.

Published: the gates, their biases, ``reduction`` 2, the place after encoder stages, decoder stages and the bottleneck,
which is the argument ``recalibrate`` of every network. LightSkip's choice: the same gates as skip connections, whose
gated feature map is added to the decoder's. ``merge="concat"`` concatenates it.

A squeeze is a mean over the input: the patch in training, the window in inference. Bundles use one size for both.
"""

from typing import Final, Protocol, cast

import torch
from monai.networks.layers.factories import Conv, split_args
from torch import Tensor, nn

from .blocks import LayerSpec, convolve, global_mean, require_one_of
from .fused_scse import apply_larger_gate, can_fuse
from .registry import Registry

__all__ = [
    "ChannelExcitation",
    "ProjectExcitation",
    "Recalibration",
    "SpatialChannelExcitation",
    "SpatialExcitation",
    "build_recalibration",
]

AGGREGATIONS = ("max", "add", "multiply", "concat")

Recalibration = Registry(name="Recalibration", description="Gates on the feature map of a stage.", noun="recalibration")


class Excitation(Protocol):
    """A gate on a feature map: (N, C, *spatial) to (N, out_channels, *spatial).

    Attributes:
        out_channels: C, or 2 C for ``scse`` with aggregation ``concat``.
    """

    out_channels: int


@Recalibration.register("cse")
class ChannelExcitation(nn.Module):
    """cSE: multiply each channel by a gate in (0, 1) that comes from the means of all channels.

    ``sigmoid(W2 relu(W1 mean(x) + b1) + b2)`` with C -> C/r -> C channels (arXiv 1808.08127, section 3.2).

    Args:
        spatial_dims: 2 or 3.
        channels: channels of the feature map, C.
        reduction: r; the gate's hidden layer has C // r channels.

    Raises:
        ValueError: the reduction leaves no channel.
    """

    out_channels: Final[int]

    def __init__(self, spatial_dims: int, channels: int, *, reduction: int = 2) -> None:
        super().__init__()
        hidden = _hidden_channels(channels, reduction)
        self.out_channels = channels
        self.gate_shape = [-1, channels] + [1] * spatial_dims
        self.layers = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid())

    def gate(self, x: Tensor) -> Tensor:
        """Return the gates, shape (N, C, 1, ...), range (0, 1)."""
        # The means of a network in half precision are float32, its layers are not.
        return self.layers(global_mean(x).flatten(1).to(x.dtype)).to(x.dtype).view(self.gate_shape)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *spatial) to the same shape."""
        return x * self.gate(x)


@Recalibration.register("sse")
class SpatialExcitation(nn.Module):
    """sSE: multiply each position by a gate in (0, 1), ``sigmoid(conv1x1(x))`` with one output channel.

    Args:
        spatial_dims: 2 or 3.
        channels: channels of the feature map, C.
    """

    out_channels: Final[int]

    def __init__(self, spatial_dims: int, channels: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.conv = Conv[Conv.CONV, spatial_dims](channels, 1, kernel_size=1)

    def gate(self, x: Tensor) -> Tensor:
        """Return the gates, shape (N, 1, *spatial), range (0, 1)."""
        return torch.sigmoid(self.conv(x)).to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *spatial) to the same shape."""
        return x * self.gate(x)


@Recalibration.register("scse")
class SpatialChannelExcitation(nn.Module):
    """scSE: join the feature map gated by channel (cSE) with the one gated by position (sSE).

    Args:
        spatial_dims: 2 or 3.
        channels: channels of the feature map, C.
        aggregation: how the two are joined: ``"max"``, the larger value of each element, as in the journal's best form;
            ``"add"``, as in the conference paper; ``"multiply"``; or ``"concat"``, which gives 2 C channels, cSE first.
        reduction: see :class:`ChannelExcitation`.
    """

    aggregation: Final[str]
    out_channels: Final[int]

    def __init__(self, spatial_dims: int, channels: int, *, aggregation: str = "max", reduction: int = 2) -> None:
        super().__init__()
        require_one_of("aggregation", aggregation, AGGREGATIONS)
        self.aggregation = aggregation
        self.out_channels = 2 * channels if aggregation == "concat" else channels
        self.channel = ChannelExcitation(spatial_dims, channels, reduction=reduction)
        self.spatial = SpatialExcitation(spatial_dims, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *spatial) to (N, out_channels, *spatial)."""
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            # TorchScript leaves this out. It takes a comment after the one above for a type, and fails.
            fuses = self.aggregation == "max" and can_fuse(x)
            if fuses:
                return apply_larger_gate(x, self.channel.layers, self.spatial.conv)
        channel, position = self.channel.gate(x), self.spatial.gate(x)
        by_channel = x * channel
        if self.aggregation == "add":
            return torch.addcmul(by_channel, x, position)
        by_position = x * position
        if self.aggregation == "max":
            return torch.maximum(by_channel, by_position)
        if self.aggregation == "multiply":
            return by_channel * by_position
        return torch.cat((by_channel, by_position), dim=1)


@Recalibration.register("project_excite")
class ProjectExcitation(nn.Module):
    """Project & Excite: multiply each element by a gate that comes from the feature map's profiles along each axis.

    The mean over all axes but one is a profile per channel. The profiles of all axes are tiled and added; two 1x1
    convolutions, C -> C/r -> C, with a ReLU between them and a sigmoid after give the gate (arXiv 1906.04649). That is
    the published 3D form; in 2D a profile is a mean over the other axis, LightSkip's choice.

    Args:
        spatial_dims: 2 or 3.
        channels: channels of the feature map, C.
        reduction: r; the hidden layer has C // r channels.

    Raises:
        ValueError: the reduction leaves no channel.
    """

    out_channels: Final[int]

    def __init__(self, spatial_dims: int, channels: int, *, reduction: int = 2) -> None:
        super().__init__()
        hidden = _hidden_channels(channels, reduction)
        pointwise = Conv[Conv.CONV, spatial_dims]
        self.out_channels = channels
        self.squeeze = pointwise(channels, hidden, kernel_size=1)
        self.excite = pointwise(hidden, channels, kernel_size=1)

    def gate(self, x: Tensor) -> Tensor:
        """Return the gates, shape (N, C, *spatial), range (0, 1)."""
        # A 1x1 convolution of a sum of profiles is the sum of its convolutions of the profiles, which are small.
        hidden = convolve(_profile(x, 2), self.squeeze.weight, self.squeeze.bias)
        for axis in range(3, x.dim()):
            hidden = hidden + convolve(_profile(x, axis), self.squeeze.weight)
        return torch.sigmoid(self.excite(torch.relu(hidden))).to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *spatial) to the same shape."""
        return x * self.gate(x)


def build_recalibration(spec: LayerSpec, *, spatial_dims: int, channels: int) -> nn.Module:
    """Build the gate that the argument ``recalibrate`` names. It keeps the number of channels.

    Args:
        spec: ``"cse"``, ``"sse"``, ``"scse"``, ``"project_excite"``, or a pair of a name and its options.
        spatial_dims: 2 or 3.
        channels: channels of the stage's feature map.

    Raises:
        ValueError: the name is not registered (the message has the nearest), it does not take an option, its
            reduction leaves no channel, or its aggregation changes the number of channels.
    """
    if not isinstance(spec, str) and not (
        isinstance(spec, list | tuple) and [type(part) for part in spec] == [str, dict]
    ):
        msg = f"recalibrate is {spec!r}; expected a name, or a pair of a name and its options"
        raise ValueError(msg)
    name, options = split_args(spec)
    built = cast("Excitation", Recalibration.build(name, options, spatial_dims, channels))
    if built.out_channels != channels:
        msg = (
            f"recalibrate is {spec!r}, which makes {built.out_channels} channels of {channels}; expected an "
            f"aggregation that keeps them: {', '.join(AGGREGATIONS[:-1])}"
        )
        raise ValueError(msg)
    return cast("nn.Module", built)


def _profile(x: Tensor, axis: int) -> Tensor:
    """Return the means over all spatial axes but one, (N, C, *spatial) with size 1 along the others."""
    for other in range(x.dim() - 1, 1, -1):
        if other != axis:
            x = x.mean(other, keepdim=True)
    return x


def _hidden_channels(channels: int, reduction: int) -> int:
    if type(reduction) is not int or not 1 <= reduction <= channels:
        msg = f"reduction is {reduction!r} for {channels} channels; expected 1 to {channels}, so that a channel is left"
        raise ValueError(msg)
    return channels // reduction
