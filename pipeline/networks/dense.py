"""Dense blocks, whose layers see the feature maps of all earlier layers, and their light form with attention maps.

Huang et al., "Densely Connected Convolutional Networks" (arXiv 1608.06993), as used by Jégou et al. (arXiv 1611.09326).
The light form follows Taghanaki et al. (arXiv 1804.05181), who put Select, Attend, Transfer inside dense blocks.
"""

from typing import Any

import torch
from monai.networks.layers.factories import split_args
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .blocks import Layers, LayerSpec, require_one_of
from .select_attend_transfer import Attend, Select

__all__ = ["DenseBlock", "initialise", "make_dense_block", "pre_activation"]


def initialise(conv: Any) -> Any:
    """Return the convolution with the published initial weights: uniform as by He et al., and biases of zero."""
    nn.init.kaiming_uniform_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(conv.bias)
    return conv


def pre_activation(layers: Layers, conv: nn.Module, dropout: float) -> nn.Sequential:
    """Return normalisation, activation, the given convolution, and dropout of single values, as published.

    Args:
        layers: factory of the layers.
        conv: a convolution with ``in_channels``.
        dropout: probability of dropping a value. 0 for no dropout.
    """
    channels = int(conv.in_channels)  # type: ignore[arg-type]
    norm = layers.norm(channels)
    # Only batch normalisation returns a tensor that nobody else has, and needs its input, not its output, for the
    # backward pass. Without normalisation the activation would overwrite a feature map that later layers read.
    act = layers.act_in_place(channels) if isinstance(norm, _BatchNorm) else layers.act(channels)
    drop = nn.Dropout(dropout, inplace=True) if dropout > 0 else nn.Identity()
    return nn.Sequential(norm, act, conv, drop)


class DenseBlock(nn.Module):
    """A published dense block: each layer's input is the concatenation of the block's input and all earlier layers.

    Args:
        layers: factory of the layers.
        in_channels: channels of the block's input, C.
        growth: channels of each layer, G.
        count: number of layers, L, at least one.
        dropout: probability of dropping a value of a layer's output.
        keep_input: return the block's input as well as the new feature maps.

    Attributes:
        out_channels: C + L G, or L G without the input.
    """

    def __init__(
        self, layers: Layers, in_channels: int, growth: int, count: int, dropout: float, *, keep_input: bool
    ) -> None:
        super().__init__()
        self.first_returned = 0 if keep_input else 1
        self.new_channels = growth * count
        self.out_channels = self.new_channels + (in_channels if keep_input else 0)
        self.layers = nn.ModuleList(
            [_dense_layer(layers, in_channels + i * growth, growth, dropout) for i in range(count)]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *spatial) to (N, out_channels, *spatial)."""
        if _records_nothing():
            return self._grow_in_place(x)
        maps = [x]
        for layer in self.layers:
            maps.append(layer(_concatenate(maps)))
        return _concatenate(maps[self.first_returned :])

    def _grow_in_place(self, x: Tensor) -> Tensor:
        """Write every feature map once into one tensor, instead of once per later layer. The values are the same."""
        width = x.shape[1]
        stack = x.new_empty([x.shape[0], width + self.new_channels] + list(x.shape[2:]))  # noqa: RUF005
        torch.narrow(stack, 1, 0, width).copy_(x)
        for layer in self.layers:
            new = layer(torch.narrow(stack, 1, 0, width))
            torch.narrow(stack, 1, width, new.shape[1]).copy_(new)
            width += new.shape[1]
        return torch.narrow(stack, 1, width - self.out_channels, self.out_channels)


class LightDenseBlock(nn.Module):
    """A dense block whose skips are attention maps: a layer's input is the layer before and a map of each one earlier.

    The first layer's input is the block's input. Layer i > 0 has G channels of layer i - 1, and M maps from each of the
    i feature maps before that, of which the first is the block's input. The maps of a feature map are made once, and
    all later layers get the same, as they get the same feature map by concatenation. The paper puts SAT inside dense
    blocks; this arrangement is LightSkip's reading, since no code was published. The block returns what a
    :class:`DenseBlock` does, so that transitions and long skips keep their widths.

    Args:
        layers: as for :class:`DenseBlock`, as are in_channels, growth, count, dropout, keep_input.
        select: ``"soft"`` or ``"hard"``, see :class:`Select`.
        threshold: minimum absolute weight of a selected channel.
        maps: attention maps of each feature map, M; one as published.
        gate: ``"sigmoid"`` as published, or ``"linear"`` to leave it out.
    """

    def __init__(
        self,
        layers: Layers,
        in_channels: int,
        growth: int,
        count: int,
        dropout: float,
        *,
        keep_input: bool,
        select: str = "soft",
        threshold: float = 0.05,
        maps: int = 1,
        gate: str = "sigmoid",
    ) -> None:
        super().__init__()
        self.first_returned = 0 if keep_input else 1
        self.out_channels = growth * count + (in_channels if keep_input else 0)
        self.first = _dense_layer(layers, in_channels, growth, dropout)
        self.skips = nn.ModuleList()
        self.later = nn.ModuleList()
        for i in range(1, count):
            source = in_channels if i == 1 else growth
            self.skips.append(_AttentionMaps(layers.spatial_dims, source, select, threshold, maps, gate))
            self.later.append(_dense_layer(layers, growth + i * maps, growth, dropout))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *spatial) to (N, out_channels, *spatial)."""
        maps = [x, self.first(x)]
        attention: list[Tensor] = []
        for skip, layer in zip(self.skips, self.later):  # noqa: B905  TorchScript has no `strict`
            attention.append(skip(maps[-2]))
            maps.append(layer(torch.cat([maps[-1]] + attention, dim=1)))  # noqa: RUF005  TorchScript cannot unpack
        return _concatenate(maps[self.first_returned :])


class _AttentionMaps(nn.Module):
    """Select and Attend: maps of one feature map, as the skip ``sat`` makes them."""

    def __init__(self, spatial_dims: int, channels: int, select: str, threshold: float, maps: int, gate: str) -> None:
        super().__init__()
        self.select = Select(channels, mode=select, threshold=threshold)
        self.attend = Attend(spatial_dims, channels, maps=maps, gate=gate)

    def forward(self, x: Tensor) -> Tensor:
        return self.attend.forward_weighted(x, self.select())


def make_dense_block(
    dense_skip: LayerSpec,
    layers: Layers,
    in_channels: int,
    growth: int,
    count: int,
    dropout: float,
    *,
    keep_input: bool,
) -> DenseBlock | LightDenseBlock:
    """Return a dense block with skips of the given kind between its layers.

    Args:
        dense_skip: ``"concat"``, ``"sat"``, or ``("sat", options)`` with options of :class:`LightDenseBlock`.
        layers: factory of the layers.
        in_channels: channels of the block's input.
        growth: channels of each layer.
        count: number of layers, at least one.
        dropout: probability of dropping a value of a layer's output.
        keep_input: return the block's input as well as the new feature maps.

    Raises:
        ValueError: ``dense_skip`` is something else, or has an option that its kind does not take.
    """
    try:
        name, options = split_args(dense_skip)
    except TypeError as error:
        msg = f"dense_skip is {dense_skip!r}; expected a name, or a pair of a name and its options"
        raise ValueError(msg) from error
    require_one_of("dense_skip", name, ("concat", "sat"))
    known = ("select", "threshold", "maps", "gate") if name == "sat" else ()
    for option in options:
        if option not in known:
            accepted = f"expected one of {', '.join(known)}" if known else "it takes none"
            msg = f"dense_skip '{name}' has the option '{option}'; {accepted}"
            raise ValueError(msg)
    block = LightDenseBlock if name == "sat" else DenseBlock
    return block(layers, in_channels, growth, count, dropout, keep_input=keep_input, **options)


def _dense_layer(layers: Layers, in_channels: int, growth: int, dropout: float) -> nn.Sequential:
    conv = layers.conv_type(
        in_channels, growth, layers.kernel_size, padding=tuple(size // 2 for size in layers.kernel_size)
    )
    return pre_activation(layers, initialise(conv), dropout)


def _concatenate(maps: list[Tensor]) -> Tensor:
    """Return the concatenation of feature maps (N, C_i, *spatial); a single one is returned as it is."""
    return maps[0] if len(maps) == 1 else torch.cat(maps, dim=1)


def _records_nothing() -> bool:
    """Return whether nothing that is computed now is recorded: no gradients, and no program for another runtime.

    In a recorded program, writing to a part of a tensor is a scatter, which runtimes compute slower than a
    concatenation.
    """
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        return not torch.is_grad_enabled()
    return not (
        torch.is_grad_enabled() or torch.jit.is_tracing() or torch.compiler.is_compiling()  # type: ignore[attr-defined]
    )
