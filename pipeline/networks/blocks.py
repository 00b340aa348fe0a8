"""Layers and functions that networks and skip connections share."""

import math
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import torch
import torch.nn.functional as F
from monai.networks.layers.factories import Act, Conv, Dropout, Norm, split_args
from monai.networks.layers.utils import get_act_layer, get_norm_layer
from torch import Tensor, nn

from .block_convs import make_block_conv, make_transposed_block_conv

__all__ = [
    "LayerSpec",
    "Layers",
    "Repeat",
    "TwoInputConv",
    "add",
    "convolve",
    "draw_he",
    "global_mean",
    "require_one_of",
]

# A layer's name, or a pair of its name and options, as in MONAI's configs.
LayerSpec = str | tuple[str, dict[str, Any]]


def convolve(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve with a given kernel, with stride 1 and the grid kept. Can be scripted.

    Args:
        x: shape (N, C, *spatial), two or three spatial dimensions.
        kernel: shape (C_out, C, *sizes), odd sizes.
        bias: shape (C_out,).

    Returns:
        Shape (N, C_out, *spatial).
    """
    padding = [size // 2 for size in kernel.shape[2:]]
    if x.dim() == 5:
        return F.conv3d(x, kernel, bias, padding=padding)
    return F.conv2d(x, kernel, bias, padding=padding)


def add(total: Tensor, other: Tensor) -> Tensor:
    """Return the sum of two tensors of one shape, in the first one's memory if no gradient needs it. Can be scripted.

    A forward hook that keeps the first tensor has to copy it.
    """
    if torch.is_grad_enabled() or total.dtype != other.dtype:
        return total + other
    return total.add_(other)


def global_mean(x: Tensor) -> Tensor:
    """Return each channel's mean, (N, C, *spatial) to (N, C, 1, ...) in float32 or more. Can be scripted.

    Axis by axis: ONNX Runtime adds the elements of a mean over all axes one after the other, which costs digits.
    """
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    for axis in range(x.dim() - 1, 1, -1):
        # Not `mean`: the gradient of a sum is the same number everywhere, which needs no feature map of its own.
        x = x.sum(axis, keepdim=True, dtype=dtype) / x.shape[axis]
    return x


class Layers:
    """Factory of the layers in the stages of one level.

    Args:
        spatial_dims: 2 or 3.
        kernel_size: size of the convolutions that keep the grid: odd, one number per axis.
        norm: MONAI normalisation name or ``(name, options)``. None for none; convolutions then have a bias.
        act: MONAI activation name or ``(name, options)``.

    Raises:
        ValueError: MONAI has no normalisation or activation of the name. The message has all names, and the nearest.
    """

    def __init__(self, spatial_dims: int, kernel_size: tuple[int, ...], norm: LayerSpec | None, act: LayerSpec) -> None:
        for option, spec, factory in (("norm", norm, Norm), ("act", act, Act)):
            layer = split_args(spec or "")[0]
            if isinstance(layer, str) and layer:
                require_one_of(option, layer.lower(), sorted(known.lower() for known in factory.names))
        self.spatial_dims = spatial_dims
        self.kernel_size = kernel_size
        self.norm_spec = norm
        self.act_spec = act
        self.conv_type = Conv[Conv.CONV, spatial_dims]
        self.up_type = Conv[Conv.CONVTRANS, spatial_dims]

    def act(self, channels: int) -> nn.Module:
        """Return an activation. ``"prelu"`` has one slope per channel."""
        if self.act_spec == "prelu":
            return nn.PReLU(channels)
        return get_act_layer(self.act_spec)

    def act_in_place(self, channels: int) -> nn.Module:
        """Return an activation of a sum that nothing else needs. It works in place if it can.

        Do not use it after a normalisation: that returns a view, and the backward pass would copy the whole tensor.
        """
        act = self.act(channels)
        if hasattr(act, "inplace"):
            act.inplace = True  # type: ignore[assignment]
        return act

    def norm(self, channels: int) -> nn.Module:
        """Return a normalisation of that many channels, or an identity for None."""
        return get_norm_layer(self.norm_spec or "", spatial_dims=self.spatial_dims, channels=channels)

    def bare_conv(self, in_channels: int, out_channels: int, stride: tuple[int, ...] | int = 1) -> Any:
        """Return a convolution. It keeps the grid; a stride of 2 halves it."""
        return self.conv_type(
            in_channels,
            out_channels,
            self.kernel_size,
            stride=stride,
            padding=tuple(k // 2 for k in self.kernel_size),
            bias=not self.norm_spec,
        )

    def conv(self, in_channels: int, out_channels: int, stride: tuple[int, ...] | int = 1) -> nn.Sequential:
        """Return convolution and normalisation."""
        return nn.Sequential(self.bare_conv(in_channels, out_channels, stride), self.norm(out_channels))

    def conv_act(self, in_channels: int, out_channels: int, stride: tuple[int, ...] | int = 1) -> nn.Sequential:
        """Return convolution, normalisation and activation."""
        return nn.Sequential(*self.conv(in_channels, out_channels, stride), self.act(out_channels))

    def stage(self, channels: int, convs: int) -> nn.Sequential:
        """Return that many ``conv_act`` of constant width."""
        return nn.Sequential(*[self.conv_act(channels, channels) for _ in range(convs)])

    def down(self, in_channels: int, out_channels: int, stride: tuple[int, ...]) -> nn.Sequential:
        """Return a convolution whose kernel is as large as its stride. Per axis, 2 halves the size and 1 keeps it."""
        conv = make_block_conv(self.spatial_dims, in_channels, out_channels, stride, bias=not self.norm_spec)
        return nn.Sequential(conv, self.norm(out_channels), self.act(out_channels))

    def up(self, in_channels: int, out_channels: int, stride: tuple[int, ...]) -> nn.Sequential:
        """Return a transposed convolution whose kernel is as large as its stride. Per axis, 2 doubles the size."""
        conv = make_transposed_block_conv(self.spatial_dims, in_channels, out_channels, stride)
        return nn.Sequential(conv, self.norm(out_channels), self.act(out_channels))

    def pointwise(self, in_channels: int, out_channels: int) -> nn.Module:
        """Return a 1x1 convolution with a bias."""
        return make_block_conv(self.spatial_dims, in_channels, out_channels)

    def dropout(self, probability: float) -> nn.Module:
        """Return dropout of whole channels, or an identity for probability 0."""
        require_probability("dropout", probability)
        dropout: nn.Module = Dropout[Dropout.DROPOUT, self.spatial_dims](probability)
        return dropout if probability > 0 else nn.Identity()


class Repeat(nn.Module):
    """Repeat all channels in turn: 1, 2, 1, 2, ...

    Args:
        times: number of repetitions.
    """

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *spatial) to (N, times * C, *spatial); a single channel is kept, since sums broadcast it."""
        return x if x.shape[1] == 1 else torch.cat([x] * self.times, dim=1)


class TwoInputConv(nn.Module):
    """Compute ``conv(cat(x, transferred))`` as ``conv(x) + conv(transferred)``, without the concatenation.

    Normalisation and activation follow.

    Args:
        layers: factory of the layers.
        channels: channels of x, and of the output.
        transferred: channels of the second input.
    """

    def __init__(self, layers: Layers, channels: int, transferred: int) -> None:
        super().__init__()
        self.channels = channels
        self.conv = layers.bare_conv(channels + transferred, channels)
        self.norm = layers.norm(channels)
        self.act = layers.act(channels)

    def forward(self, x: Tensor, transferred: Tensor) -> Tensor:
        """Map (N, channels, *spatial) and (N, transferred, *spatial) to (N, channels, *spatial)."""
        kernel = self.conv.weight
        total = convolve(x, kernel[:, : self.channels], self.conv.bias)
        return self.act(self.norm(add(total, convolve(transferred, kernel[:, self.channels :]))))


def draw_he(module: nn.Module) -> nn.Module:
    """Draw the weights of all convolutions in a module from a normal distribution of variance 2/N, and clear biases.

    He et al. (arXiv 1502.01852), as the U-Net and nnU-Net do. N is the number of inputs of an output voxel; for a
    transposed convolution whose kernel is as large as its stride that is the number of channels.

    Returns:
        The same module.
    """
    for part in module.modules():
        if isinstance(part, nn.modules.conv._ConvNd):
            inputs = part.in_channels if part.transposed else part.weight[0].numel()
            nn.init.normal_(part.weight, std=math.sqrt(2 / inputs))
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return module


def require_probability(name: str, value: float) -> None:
    """Raise a ValueError that names the argument, unless it is a number from 0 to below 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        msg = f"{name} is {value!r}; expected a number from 0 to below 1"
        raise ValueError(msg)


def require_one_of(name: str, value: str, known: Sequence[str]) -> None:
    """Raise a ValueError that names the argument and its possible values, unless it is one of them."""
    if value not in known:
        close = get_close_matches(str(value).lower(), known, n=1)
        nearest = f"; did you mean '{close[0]}'?" if close else ""
        msg = f"{name} is '{value}'; expected one of {', '.join(known)}{nearest}"
        raise ValueError(msg)
