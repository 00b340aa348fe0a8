"""Residual blocks of convolutions that follow normalisation and activation: simple, basic and bottleneck.

He et al., "Identity Mappings in Deep Residual Networks" (arXiv 1603.05027), as Drozdzal et al. (arXiv 1608.04117) use
them in an FCN: blocks can go down or up a level, and the short skip is as simple as it can be.
"""

from typing import Any

from monai.networks.layers.factories import Pool
from torch import Tensor, nn

from .blocks import Layers, add, require_one_of, require_probability

__all__ = ["BLOCKS", "EXPANSION", "PreactivationLayers", "ResidualBlock", "build_block"]

BLOCKS = ("simple", "basic", "bottleneck")
EXPANSION = 4  # the width of a bottleneck over that of its middle convolution


class PreactivationLayers(Layers):
    """Factory of the layers of one level, whose convolutions start with He's initialisation and zero bias."""

    def activate(self, channels: int) -> list[nn.Module]:
        """Return normalisation and activation. The activation leaves a tensor alone that the short skip needs."""
        act = self.act(channels)
        if self.norm_spec is None and hasattr(act, "inplace"):
            act.inplace = False  # type: ignore[assignment]
        return [self.norm(channels), act]

    def spatial(self, in_channels: int, out_channels: int, stride: tuple[int, ...] | None = None) -> nn.Module:
        """Return a convolution with the level's kernel."""
        return self._convolution(in_channels, out_channels, self.kernel_size, stride)

    def project(self, in_channels: int, out_channels: int, stride: tuple[int, ...] | None = None) -> nn.Module:
        """Return a 1x1 convolution."""
        return self._convolution(in_channels, out_channels, (1,) * self.spatial_dims, stride)

    def upsample(self, stride: tuple[int, ...]) -> nn.Module:
        """Return nearest upsampling, one factor per axis."""
        return nn.Upsample(scale_factor=tuple(float(step) for step in stride), mode="nearest")

    def max_pool(self, stride: tuple[int, ...]) -> nn.Module:
        """Return max pooling over windows that do not overlap."""
        pool: nn.Module = Pool[Pool.MAX, self.spatial_dims](kernel_size=stride, stride=stride)
        return pool

    def _convolution(
        self, in_channels: int, out_channels: int, kernel: tuple[int, ...], stride: tuple[int, ...] | None
    ) -> nn.Module:
        conv: Any = self.conv_type(
            in_channels,
            out_channels,
            kernel,
            stride=stride or 1,
            padding=tuple(size // 2 for size in kernel),
            bias=not self.norm_spec,
        )
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
        built: nn.Module = conv
        return built


class Decimate(nn.Module):
    """Take every n-th voxel of each axis.

    Args:
        stride: n, one number per axis.
    """

    __constants__ = ["stride"]  # noqa: RUF012

    def __init__(self, stride: tuple[int, ...]) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *spatial) to (N, C, *coarser)."""
        # TorchScript cannot index by a list of slices.
        if x.dim() == 5:
            return x[:, :, :: self.stride[0], :: self.stride[1], :: self.stride[-1]]
        return x[:, :, :: self.stride[0], :: self.stride[1]]


class ResidualBlock(nn.Module):
    """Convolutions, plus the short skip if there is one."""

    def __init__(self, layers: list[nn.Module], shortcut: list[nn.Module] | None) -> None:
        super().__init__()
        self.convs = nn.Sequential(*layers)
        self.shortcut = None if shortcut is None else nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, *spatial) to (N, C_out, *spatial), on a coarser or finer grid if the block changes it."""
        convolved = self.convs(x)
        # Not `if self.shortcut`: TorchScript needs the comparison.
        if self.shortcut is not None:
            return add(convolved, self.shortcut(x))
        return convolved


def build_block(
    kind: str,
    layers: PreactivationLayers,
    in_channels: int,
    out_channels: int,
    *,
    dropout: float,
    short_skip: bool,
    down: tuple[int, ...] | None = None,
    up: tuple[int, ...] | None = None,
    finer: PreactivationLayers | None = None,
) -> ResidualBlock:
    """Build a block.

    Args:
        kind: ``simple``, ``basic`` or ``bottleneck``.
        layers: factory of the block's layers.
        in_channels: channels of its input.
        out_channels: channels of its output. A bottleneck's is a multiple of 4.
        dropout: probability of dropping a value: after the last convolution, or after a basic block's first.
        short_skip: add the input to the output, decimated or upsampled as the block does, through a 1x1 convolution
            only where channels differ.
        down: the stride of a block that goes down a level: of the max pooling of a simple block, of the first
            convolution of the others.
        up: the factors of the nearest upsampling of a block that goes up a level: before a basic block's second
            convolution, at the end of the others (Drozdzal et al. have it before a bottleneck's last convolution, which
            is 1x1, so that the result is the same).
        finer: factory of the layers on the finer grid, for a basic block that goes up.

    Raises:
        ValueError: ``kind`` is not one of the three.
    """
    require_one_of("block", kind, BLOCKS)
    # An identity for none, so that names of weights do not depend on it.
    require_probability("dropout", dropout)
    drop: nn.Module = nn.Dropout(dropout) if dropout > 0 else nn.Identity()
    rise = [layers.upsample(up)] if up else []
    convs = layers.activate(in_channels)
    if kind == "simple":
        if down:
            # The maximum of an increasing function is the function of the maximum, on fewer voxels.
            first = 1 if isinstance(convs[1], nn.ReLU | nn.LeakyReLU) else 2
            convs.insert(first, layers.max_pool(down))
        convs += [layers.spatial(in_channels, out_channels), drop, *rise]
    elif kind == "basic":
        convs += [layers.spatial(in_channels, out_channels, down), drop, *layers.activate(out_channels), *rise]
        convs += [(finer or layers).spatial(out_channels, out_channels)]
    else:
        middle = out_channels // EXPANSION
        convs += [layers.project(in_channels, middle, down), *layers.activate(middle)]
        convs += [layers.spatial(middle, middle), *layers.activate(middle)]
        convs += [layers.project(middle, out_channels), drop, *rise]
    return ResidualBlock(convs, _shortcut(layers, in_channels, out_channels, down, up) if short_skip else None)


def _shortcut(
    layers: PreactivationLayers,
    in_channels: int,
    out_channels: int,
    down: tuple[int, ...] | None,
    up: tuple[int, ...] | None,
) -> list[nn.Module]:
    shortcut: list[nn.Module] = []
    if in_channels != out_channels:
        shortcut.append(layers.project(in_channels, out_channels, down))
    elif down:
        shortcut.append(Decimate(down))
    # After the projection, which gives the same on fewer voxels.
    return [*shortcut, layers.upsample(up)] if up else shortcut
