"""Select, Attend, Transfer: the light, learnable skip connections of Taghanaki et al. (arXiv 1804.05181, MLMI 2019).

From the paper: the three steps, the arms AT, ST and SAT, a sparse weight per channel, one transferred map. LightSkip's
choices: weights start at one, the sparsity term is the mean absolute weight, the map is a sigmoid of a 1x1 convolution,
and hard selection has a threshold.
"""

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from .block_convs import block_conv, make_block_conv
from .blocks import require_one_of
from .skips import Skip, SkipConnection

__all__ = ["Select", "selected_channels", "sparsity"]


class Select(nn.Module):
    """Select: one learned weight per channel, kept sparse by an L1 term (Taghanaki et al., the first step).

    Under hard selection a channel that falls below the threshold never returns: its weight has no gradient from the
    segmentation loss any more, and the sparsity term keeps pulling it towards zero.

    Args:
        channels: number of channels, C.
        mode: ``"soft"`` multiplies by the weights; ``"hard"`` also sets weights under ``threshold`` to exactly zero.
        threshold: minimum absolute weight of a selected channel. Weights start at 1.
    """

    mode: Final[str]
    threshold: Final[float]

    def __init__(self, channels: int, *, mode: str = "soft", threshold: float = 0.05) -> None:
        super().__init__()
        if mode not in ("soft", "hard"):
            msg = f"select is '{mode}'; expected 'soft' or 'hard'"
            raise ValueError(msg)
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold < math.inf:
            msg = f"threshold is {threshold!r}; expected a number of at least 0; weights start at 1"
            raise ValueError(msg)
        self.mode = mode
        self.threshold = float(threshold)
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self) -> Tensor:
        """Return the weights, shape (C,). Under hard selection, those of rejected channels are zero."""
        if self.mode == "hard":
            return self.weight * (self.weight.abs() >= self.threshold).to(self.weight.dtype)
        return self.weight

    def sparsity(self) -> Tensor:
        """Return the mean absolute weight, a scalar. It ignores the threshold and so keeps pulling weak ones down."""
        return self.weight.abs().mean()

    def selected(self) -> list[int]:
        """Return the indices of the selected channels."""
        return torch.nonzero(self.weight.detach().abs() >= self.threshold).flatten().tolist()


class Attend(nn.Module):
    """Attend: saliency maps in (0, 1) from all channels, ``sigmoid(conv1x1(x))``; one map as published.

    Args:
        spatial_dims: 2 or 3.
        channels: channels of the feature map, C.
        maps: number of maps, M.
        gate: ``"sigmoid"``, or ``"linear"`` to leave the sigmoid out.
    """

    gate: Final[str]

    def __init__(self, spatial_dims: int, channels: int, *, maps: int = 1, gate: str = "sigmoid") -> None:
        super().__init__()
        require_one_of("gate", gate, ("sigmoid", "linear"))
        _require_maps(maps)
        self.gate = gate
        self.conv = make_block_conv(spatial_dims, channels, maps)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *spatial) to (N, M, *spatial)."""
        return self._apply_gate(self.conv(x))

    def forward_weighted(self, x: Tensor, channel_weight: Tensor) -> Tensor:
        """Attend to ``x * channel_weight`` without computing it: multiply the kernel by the weights, which is exact.

        Args:
            x: shape (N, C, *spatial).
            channel_weight: shape (C,).

        Returns:
            Shape (N, M, *spatial).
        """
        ones = [1] * (x.dim() - 2)
        kernel = self.conv.weight * channel_weight.view([1, -1] + ones)  # noqa: RUF005  TorchScript cannot unpack
        return self._apply_gate(block_conv(x, kernel, self.conv.bias, self.training))

    def _apply_gate(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x) if self.gate == "sigmoid" else x


class _AttentionSkip(SkipConnection):
    """Transfer attention maps: concatenated, or projected to the decoder's width and added."""

    def __init__(self, spatial_dims: int, decoder_channels: int, maps: int, merge: str) -> None:
        _require_maps(maps)
        summed = merge == "sum"
        transferred = decoder_channels if summed else maps
        super().__init__(decoder_channels=decoder_channels, transferred_channels=transferred, merge=merge)
        self.project: nn.Module = nn.Identity()
        if summed:
            self.project = make_block_conv(spatial_dims, maps, decoder_channels, bias=False)

    def transfer(self, kept: Tensor, decoder: Tensor) -> Tensor:  # noqa: ARG002
        """Return the maps (N, M, *spatial), or their projection (N, C_d, *spatial) for a sum."""
        return self.project(kept)


@Skip.register("at")
class AttendTransfer(_AttentionSkip):
    """AT: concatenate one attention map made from all encoder channels.

    Args:
        spatial_dims: 2 or 3.
        encoder_channels: channels of the encoder's feature map, C_e.
        decoder_channels: channels of the decoder's feature map, C_d.
        maps: attention maps, M; one as published.
        gate: ``"sigmoid"``, or ``"linear"`` to leave it out (LightSkip's addition).
        merge: ``"concat"`` as published; ``"sum"`` projects the maps to C_d channels and adds them (LightSkip's
            addition). With M < C_d that is a sum through a bottleneck of M channels.
        channels: indices of the encoder's channels to attend to. None for all of them. Pruning sets it to the channels
            that hard selection kept: see :func:`~pipeline.networks.prune.prune_skips`.

    Raises:
        ValueError: an index is repeated, a channel does not exist, or the list is empty.
    """

    channels: Tensor
    takes_all: Final[bool]

    def __init__(
        self,
        spatial_dims: int,
        encoder_channels: int,
        decoder_channels: int,
        *,
        maps: int = 1,
        gate: str = "sigmoid",
        merge: str = "concat",
        channels: Sequence[int] | None = None,
    ) -> None:
        super().__init__(spatial_dims, decoder_channels, maps, merge)
        indices = list(range(encoder_channels)) if channels is None else _check_channels(channels, encoder_channels)
        self.takes_all = len(indices) == encoder_channels
        self.attend = Attend(spatial_dims, len(indices), maps=maps, gate=gate)
        # Not saved with the weights: it comes from the config.
        self.register_buffer("channels", torch.tensor(sorted(indices)), persistent=False)

    def keep(self, encoder: Tensor) -> Tensor:
        """Return the attention maps, shape (N, M, *spatial), range (0, 1) unless the gate is linear."""
        return self.attend(encoder if self.takes_all else torch.index_select(encoder, 1, self.channels))


def _require_maps(maps: int) -> None:
    if type(maps) is not int or maps < 1:
        msg = f"maps is {maps!r}; expected a whole number, at least 1"
        raise ValueError(msg)


def _check_channels(channels: Sequence[int], available: int) -> list[int]:
    indices = list(channels) if isinstance(channels, list | tuple) else []
    if not indices or len(set(indices)) < len(indices) or not all(0 <= index < available for index in indices):
        msg = f"channels is {channels}; expected different indices of the encoder's {available} channels, from 0"
        raise ValueError(msg)
    return indices


@Skip.register("st")
class SelectTransfer(SkipConnection):
    """ST: concatenate the encoder channels, each multiplied by its learned sparse weight.

    Args:
        spatial_dims: 2 or 3.
        encoder_channels: channels of the encoder's feature map.
        decoder_channels: channels of the decoder's feature map.
        select: ``"soft"`` or ``"hard"``, see :class:`Select`.
        threshold: minimum absolute weight of a selected channel.
    """

    def __init__(
        self,
        spatial_dims: int,
        encoder_channels: int,
        decoder_channels: int,
        *,
        select: str = "soft",
        threshold: float = 0.05,
    ) -> None:
        super().__init__(decoder_channels=decoder_channels, transferred_channels=encoder_channels)
        self.select = Select(encoder_channels, mode=select, threshold=threshold)
        self.weight_shape = [1, encoder_channels] + [1] * spatial_dims

    def transfer(self, kept: Tensor, decoder: Tensor) -> Tensor:  # noqa: ARG002
        """Return the weighted channels, shape (N, C_e, *spatial)."""
        # Under autocast the features have a shorter format than the weights, which is kept.
        return kept * self.select().to(kept.dtype).view(self.weight_shape)


@Skip.register("sat")
class SelectAttendTransfer(_AttentionSkip):
    """SAT, the paper's proposal: concatenate one attention map made from the selected encoder channels.

    Args:
        spatial_dims: 2 or 3.
        encoder_channels: channels of the encoder's feature map.
        decoder_channels: channels of the decoder's feature map.
        select: ``"soft"`` or ``"hard"``, see :class:`Select`.
        threshold: minimum absolute weight of a selected channel.
        maps: as in :class:`AttendTransfer`.
        gate: as in :class:`AttendTransfer`.
        merge: as in :class:`AttendTransfer`.
    """

    def __init__(
        self,
        spatial_dims: int,
        encoder_channels: int,
        decoder_channels: int,
        *,
        select: str = "soft",
        threshold: float = 0.05,
        maps: int = 1,
        gate: str = "sigmoid",
        merge: str = "concat",
    ) -> None:
        super().__init__(spatial_dims, decoder_channels, maps, merge)
        self.select = Select(encoder_channels, mode=select, threshold=threshold)
        self.attend = Attend(spatial_dims, encoder_channels, maps=maps, gate=gate)

    def keep(self, encoder: Tensor) -> Tensor:
        """Return the attention maps, shape (N, M, *spatial), range (0, 1) unless the gate is linear."""
        return self.attend.forward_weighted(encoder, self.select())


def sparsity(network: nn.Module) -> Tensor:
    """Return the sum of the mean absolute selection weights over all skips of a network: the term for the loss.

    Returns:
        A scalar, 0 for a network without selecting skips.
    """
    terms = [module.sparsity() for module in network.modules() if isinstance(module, Select)]
    return torch.stack(terms).sum() if terms else torch.zeros(())


def selected_channels(network: nn.Module) -> dict[str, list[int]]:
    """Return the selected encoder channels (indices) of each selecting skip, by the skip's name in the network."""
    return {
        name.removesuffix(".select"): module.selected()
        for name, module in network.named_modules()
        if isinstance(module, Select)
    }
