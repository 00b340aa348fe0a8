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

from typing import Any, Final, Protocol, cast

import torch
from monai.networks.layers.factories import Conv, split_args
from torch import Tensor, nn

from .blocks import LayerSpec, convolve, global_mean, require_one_of
from .fused_scse import can_fuse, larger_of_gates
from .registry import Registry
from .skips import Skip, SkipConnection, project_if_needed

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
        channel, position = self.channel.gate(x), self.spatial.gate(x)
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            # TorchScript leaves this out. It takes a comment after the one above for a type, and fails.
            fuses = self.aggregation == "max" and can_fuse(x)
            if fuses:
                return larger_of_gates(x, channel, position)
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


class _ExcitationSkip(SkipConnection):
    """Transfer the gated feature map: added to the decoder's, or concatenated.

    The encoder's feature map is kept: a gated copy would be no smaller. Where a sum projects it to fewer channels,
    these are kept.
    """

    gates_early: Final[bool]

    def __init__(
        self, spatial_dims: int, encoder_channels: int, decoder_channels: int, excitation: Any, merge: str
    ) -> None:
        made: int = excitation.out_channels
        if merge == "sum" and made != encoder_channels:
            msg = f"aggregation 'concat' makes {made} channels of {encoder_channels}; expected merge 'concat' with it"
            raise ValueError(msg)
        super().__init__(
            decoder_channels=decoder_channels,
            transferred_channels=decoder_channels if merge == "sum" else made,
            merge=merge,
        )
        self.excitation = excitation
        self.project = project_if_needed(spatial_dims, made, self.transferred_channels)
        self.gates_early = self.transferred_channels < encoder_channels

    def keep(self, encoder: Tensor) -> Tensor:
        """Return the feature map, or what is transferred if that is smaller: shape (N, min(C_e, C_t), *spatial)."""
        return self._gate(encoder) if self.gates_early else encoder

    def transfer(self, kept: Tensor, decoder: Tensor) -> Tensor:  # noqa: ARG002
        """Return the gated feature map, shape (N, C_t, *spatial)."""
        return kept if self.gates_early else self._gate(kept)

    def _gate(self, encoder: Tensor) -> Tensor:
        return self.project(self.excitation(encoder))


@Skip.register("cse")
class ChannelExciteSkip(_ExcitationSkip):
    """cSE as a skip: add the encoder's feature map, each channel times its gate.

    Args:
        spatial_dims: 2 or 3.
        encoder_channels: channels of the encoder's feature map, C_e.
        decoder_channels: channels of the decoder's feature map, C_d.
        reduction: see :class:`ChannelExcitation`.
        merge: ``"sum"``, with a 1x1 convolution where C_e and C_d differ, or ``"concat"``.
    """

    def __init__(
        self, spatial_dims: int, encoder_channels: int, decoder_channels: int, *, reduction: int = 2, merge: str = "sum"
    ) -> None:
        excitation = ChannelExcitation(spatial_dims, encoder_channels, reduction=reduction)
        super().__init__(spatial_dims, encoder_channels, decoder_channels, excitation, merge)


@Skip.register("sse")
class SpatialExciteSkip(_ExcitationSkip):
    """sSE as a skip: add the encoder's feature map, each position times its gate.

    Args:
        spatial_dims: 2 or 3.
        encoder_channels: channels of the encoder's feature map, C_e.
        decoder_channels: channels of the decoder's feature map, C_d.
        merge: as in :class:`ChannelExciteSkip`.
    """

    def __init__(self, spatial_dims: int, encoder_channels: int, decoder_channels: int, *, merge: str = "sum") -> None:
        excitation = SpatialExcitation(spatial_dims, encoder_channels)
        super().__init__(spatial_dims, encoder_channels, decoder_channels, excitation, merge)


@Skip.register("scse")
class SpatialChannelExciteSkip(_ExcitationSkip):
    """scSE as a skip: add the encoder's feature map, gated by channel and by position.

    Args:
        spatial_dims: 2 or 3.
        encoder_channels: channels of the encoder's feature map, C_e.
        decoder_channels: channels of the decoder's feature map, C_d.
        aggregation: see :class:`SpatialChannelExcitation`; ``"concat"`` needs ``merge="concat"``.
        reduction: see :class:`ChannelExcitation`.
        merge: as in :class:`ChannelExciteSkip`.
    """

    def __init__(
        self,
        spatial_dims: int,
        encoder_channels: int,
        decoder_channels: int,
        *,
        aggregation: str = "max",
        reduction: int = 2,
        merge: str = "sum",
    ) -> None:
        excitation = SpatialChannelExcitation(
            spatial_dims, encoder_channels, aggregation=aggregation, reduction=reduction
        )
        super().__init__(spatial_dims, encoder_channels, decoder_channels, excitation, merge)


@Skip.register("project_excite")
class ProjectExciteSkip(_ExcitationSkip):
    """Project & Excite as a skip: add the encoder's feature map times the gates of its profiles.

    Args:
        spatial_dims: 2 or 3.
        encoder_channels: channels of the encoder's feature map, C_e.
        decoder_channels: channels of the decoder's feature map, C_d.
        reduction: see :class:`ProjectExcitation`.
        merge: as in :class:`ChannelExciteSkip`.
    """

    def __init__(
        self, spatial_dims: int, encoder_channels: int, decoder_channels: int, *, reduction: int = 2, merge: str = "sum"
    ) -> None:
        excitation = ProjectExcitation(spatial_dims, encoder_channels, reduction=reduction)
        super().__init__(spatial_dims, encoder_channels, decoder_channels, excitation, merge)
