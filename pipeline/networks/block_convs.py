"""Convolutions whose kernel is as large as their stride, with gradients that are matrix products.

They multiply every block of the grid by one matrix: a 1x1 convolution, the convolution that halves a grid with a kernel
of 2, and the transposed convolution that doubles it. They are a small part of a network's products. But their gradients
by oneDNN, the library of PyTorch's convolutions on a CPU, take several times as long as those products. So in training
on a CPU the gradients here are matrix products of the blocks. The results are equal up to rounding.
"""

from itertools import chain
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["block_conv", "make_block_conv", "make_transposed_block_conv"]


def block_conv(x: Tensor, kernel: Tensor, bias: Tensor | None, training: bool) -> Tensor:
    """Convolve with a stride that is as large as the kernel. Can be scripted.

    Args:
        x: shape (N, C, *spatial), two or three spatial dimensions, each divisible by the kernel's size.
        kernel: shape (C_out, C, *sizes).
        bias: shape (C_out,).
        training: compute the gradients as matrix products, on a CPU.

    Returns:
        Shape (N, C_out, *spatial / sizes).
    """
    if training and x.device.type == "cpu" and not torch.jit.is_scripting():  # type: ignore[attr-defined]
        return _train_block_conv(x, kernel, bias)
    stride = list(kernel.shape[2:])
    if x.dim() == 5:
        return F.conv3d(x, kernel, bias, stride=stride)
    return F.conv2d(x, kernel, bias, stride=stride)


class _BlockConv2d(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return block_conv(x, self.weight, self.bias, self.training)


class _BlockConv3d(nn.Conv3d):
    def forward(self, x: Tensor) -> Tensor:
        return block_conv(x, self.weight, self.bias, self.training)


class _TransposedBlockConv2d(nn.ConvTranspose2d):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        if self.training and x.device.type == "cpu" and not torch.jit.is_scripting():  # type: ignore[attr-defined]
            return _train_transposed_block_conv(x, self.weight, self.bias)
        return F.conv_transpose2d(x, self.weight, self.bias, self.stride)


class _TransposedBlockConv3d(nn.ConvTranspose3d):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        if self.training and x.device.type == "cpu" and not torch.jit.is_scripting():  # type: ignore[attr-defined]
            return _train_transposed_block_conv(x, self.weight, self.bias)
        return F.conv_transpose3d(x, self.weight, self.bias, self.stride)


def make_block_conv(
    spatial_dims: int, in_channels: int, out_channels: int, stride: tuple[int, ...] | int = 1, *, bias: bool = True
) -> Any:
    """Return a convolution whose kernel is as large as its stride."""
    conv: Any = _BlockConv3d if spatial_dims == 3 else _BlockConv2d
    return conv(in_channels, out_channels, kernel_size=stride, stride=stride, bias=bias)


def make_transposed_block_conv(spatial_dims: int, in_channels: int, out_channels: int, stride: tuple[int, ...]) -> Any:
    """Return a transposed convolution whose kernel is as large as its stride."""
    conv: Any = _TransposedBlockConv3d if spatial_dims == 3 else _TransposedBlockConv2d
    return conv(in_channels, out_channels, kernel_size=stride, stride=stride)


@torch.jit.unused
def _train_block_conv(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = _BlockConv.apply(*_to_one_format(x, kernel, bias))
    return out


@torch.jit.unused
def _train_transposed_block_conv(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = _TransposedBlockConv.apply(*_to_one_format(x, kernel, bias))
    return out


class _BlockConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, kernel)
        sizes = kernel.shape[2:]
        if prod(sizes) == 1:
            # Not a view of the product: a function of its own must not return one that is later changed in place.
            out = torch.empty((x.shape[0], kernel.shape[0], *x.shape[2:]), dtype=x.dtype, device=x.device)
            torch.bmm(_expand(kernel.flatten(1), x), x.flatten(2), out=out.flatten(2))
            return out if bias is None else out.add_(bias.view(-1, *[1] * len(sizes)))
        conv = F.conv3d if len(sizes) == 3 else F.conv2d
        return conv(x, kernel, bias, stride=sizes)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, kernel = ctx.saved_tensors
        sizes = kernel.shape[2:]
        gradient = gradients[0].flatten(2)
        of_x = of_kernel = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = _join_blocks(_multiply(kernel.flatten(1).t(), gradient), x.shape[1:], sizes)
        if ctx.needs_input_grad[1]:
            of_kernel = (gradient @ _split_blocks(x, sizes).mT).sum(0).view_as(kernel)
        if ctx.needs_input_grad[2]:
            of_bias = gradient.sum(2).sum(0)
        return of_x, of_kernel, of_bias


class _TransposedBlockConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, kernel)
        sizes = kernel.shape[2:]
        conv = F.conv_transpose3d if len(sizes) == 3 else F.conv_transpose2d
        return conv(x, kernel, bias, stride=sizes)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, kernel = ctx.saved_tensors
        gradient = _split_blocks(gradients[0], kernel.shape[2:])
        of_x = of_kernel = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = _multiply(kernel.flatten(1), gradient).view_as(x)
        if ctx.needs_input_grad[1]:
            of_kernel = (x.flatten(2) @ gradient.mT).sum(0).view_as(kernel)
        if ctx.needs_input_grad[2]:
            of_bias = gradients[0].flatten(2).sum(2).sum(0)
        return of_x, of_kernel, of_bias


def _to_one_format(x: Tensor, kernel: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return all in the number format of the convolution: autocast does not look into a function of its own."""
    shortens = torch.is_autocast_enabled("cpu") and x.dtype != torch.float64
    dtype = torch.get_autocast_dtype("cpu") if shortens else x.dtype
    return x.to(dtype), kernel.to(dtype), None if bias is None else bias.to(dtype)


def _multiply(matrix: Tensor, blocks: Tensor) -> Tensor:
    """Multiply (C_out, C) by (N, C, blocks). ``matrix @ blocks`` would copy all blocks."""
    return torch.bmm(_expand(matrix, blocks), blocks)


def _expand(matrix: Tensor, blocks: Tensor) -> Tensor:
    return matrix.expand(blocks.shape[0], -1, -1)


def _split_blocks(x: Tensor, sizes: torch.Size) -> Tensor:
    """Map (N, C, *spatial) to (N, C · voxels of a block, blocks)."""
    if prod(sizes) == 1:
        return x.flatten(2)
    n, c, *spatial = x.shape
    dims = len(spatial)
    sides = chain.from_iterable((side // size, size) for side, size in zip(spatial, sizes, strict=True))
    split = x.reshape(n, c, *sides)
    order = [0, 1, *[3 + 2 * axis for axis in range(dims)], *[2 + 2 * axis for axis in range(dims)]]
    return split.permute(order).reshape(n, c * prod(sizes), -1)


def _join_blocks(blocks: Tensor, shape: torch.Size, sizes: torch.Size) -> Tensor:
    """Map (N, C · voxels of a block, blocks) to (N, *shape), with shape (C, *spatial)."""
    if prod(sizes) == 1:
        return blocks.reshape(-1, *shape)
    c, *spatial = shape
    dims = len(spatial)
    split = blocks.reshape(-1, c, *sizes, *[side // size for side, size in zip(spatial, sizes, strict=True)])
    order = [0, 1, *chain.from_iterable((2 + dims + axis, 2 + axis) for axis in range(dims))]
    return split.permute(order).reshape(-1, *shape)
