"""scSE by the larger of the two gated feature maps, with fewer passes over memory, on a CPU.

``torch.maximum(x * channel, x * position)`` writes two feature maps, its backward pass some ten more, and the gates'
own backward passes three: each adds a feature map to the gradient. One channel of one sample stays in the processor's
cache, so here it is gated in both ways before the next one, and the gates' gradients are added as one product of
matrices. Values are the same, gradients up to rounding.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import convolve, global_mean

__all__ = ["apply_larger_gate", "can_fuse"]

# Voxels per channel. With fewer, starting the operations costs more than the memory saved.
_MIN_VOXELS = 4096


def can_fuse(x: Tensor) -> bool:
    """Return whether the fused form is faster, and nothing records the operations for another runtime."""
    return (
        x.device.type == "cpu"
        and x.numel() > 0
        and x[0, 0].numel() >= _MIN_VOXELS
        and torch.is_grad_enabled()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined]
        and not torch.compiler.is_compiling()
    )


def apply_larger_gate(x: Tensor, channel: nn.Sequential, position: nn.Module) -> Tensor:
    """Return ``maximum(x * channel_gate, x * position_gate)``, as scSE with the aggregation ``max`` has it.

    Args:
        x: feature map, shape (N, C, *spatial).
        channel: linear layer, ReLU, linear layer and sigmoid, from the means (N, C) to the gates.
        position: 1x1 convolution from C channels to one, whose sigmoid is the gate.
    """
    first, _, second, _ = channel
    result: Tensor = _LargerGate.apply(
        x, first.weight, first.bias, second.weight, second.bias, position.weight, position.bias
    )
    return result


def _channel_gate(mean: Tensor, layers: tuple[Tensor, ...], dtype: torch.dtype) -> Tensor:
    """Map the means (N, C) to gates of the same shape."""
    hidden = torch.relu(F.linear(mean.to(dtype), layers[0], layers[1]))
    return torch.sigmoid(F.linear(hidden, layers[2], layers[3])).to(dtype)


def _plain(x: Tensor, layers: tuple[Tensor, ...], kernel: Tensor, bias: Tensor) -> Tensor:
    channel = _channel_gate(global_mean(x).flatten(1), layers, x.dtype)
    position = torch.sigmoid(convolve(x, kernel, bias)).to(x.dtype)
    return torch.maximum(x * channel.view(*channel.shape, *[1] * (x.dim() - 2)), x * position)


class _LargerGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *weights: Tensor) -> Tensor:
        *layers, kernel, bias = weights
        mean = global_mean(x).flatten(1)
        channel = _channel_gate(mean, tuple(layers), x.dtype)
        position = torch.sigmoid(convolve(x, kernel, bias)).to(x.dtype)
        ctx.save_for_backward(x, mean, channel, position, *weights)
        result = torch.empty_like(x)
        for n in range(x.shape[0]):
            for c in range(x.shape[1]):
                torch.mul(x[n, c], position[n, 0], out=result[n, c])
                torch.maximum(result[n, c], x[n, c] * channel[n, c], out=result[n, c])
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, channel, position, *weights = ctx.saved_tensors
        *layers, kernel, bias = weights
        if torch.is_grad_enabled():
            # The gradient's own gradient is wanted (create_graph): what follows works in place.
            inputs = [
                tensor if needed else None for tensor, needed in zip((x, *weights), ctx.needs_input_grad, strict=True)
            ]
            wanted = [tensor for tensor in inputs if tensor is not None]
            found = iter(torch.autograd.grad(_plain(x, tuple(layers), kernel, bias), wanted, grad, create_graph=True))
            return tuple(None if tensor is None else next(found) for tensor in inputs)
        exact = torch.float64 if x.dtype == torch.float64 else torch.float32
        grad_x, grad_channel, grad_position = _gate_backward(x, channel, position, grad, exact)
        # Of the position's gate: a sigmoid and a 1x1 convolution.
        gate = position.to(exact)
        grad_logit = grad_position.mul_(gate).mul_(1 - gate).flatten(2)
        grad_kernel = torch.matmul(x.flatten(2), grad_logit.to(x.dtype).transpose(1, 2)).sum(0)
        # Of the channels' gate: two layers from the means.
        with torch.enable_grad():
            leaves = [tensor.detach().requires_grad_() for tensor in (mean, *layers)]
            again = _channel_gate(leaves[0], tuple(leaves[1:]), layers[0].dtype)
        grad_mean, *grad_layers = torch.autograd.grad(again, leaves, grad_channel.to(again.dtype))
        # Both reach the feature map: kernel times the logit's gradient, and the mean's gradient everywhere.
        columns = torch.stack([kernel.flatten().expand_as(mean), grad_mean / x[0, 0].numel()], dim=2)
        rows = torch.cat([grad_logit, torch.ones_like(grad_logit)], dim=1)
        grad_x.flatten(2).baddbmm_(columns.to(x.dtype), rows.to(x.dtype))
        grad_bias = grad_logit.sum().view(1)
        return (grad_x, *grad_layers, grad_kernel.to(kernel.dtype).view_as(kernel), grad_bias.to(bias.dtype))


def _gate_backward(
    x: Tensor, channel: Tensor, position: Tensor, grad: Tensor, exact: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of ``maximum(x * channel, x * position)``, for given gates.

    Returns:
        Of x, contiguous, shape (N, C, *spatial); of the channels' gates, (N, C), and the positions', (N, 1, *spatial).
    """
    grad_x = torch.empty(x.shape, dtype=x.dtype)
    grad_channel = torch.empty(channel.shape, dtype=exact)
    grad_position = torch.zeros(position.shape, dtype=exact)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            apart = channel[n, c] - position[n, 0]
            # 1 where the channel's product is the larger one, -1 where the position's is, 0 where they are equal, which
            # gives half to each. In numbers, because selecting by a mask is slow on a CPU.
            sign = (x[n, c] * apart).sign_()
            product = grad[n, c] * x[n, c]
            grad_channel[n, c] = 0.5 * (product.sum(dtype=exact) + _dot(product, sign, exact))
            grad_position[n, 0].add_(product, alpha=0.5).addcmul_(product, sign, value=-0.5)
            gate = torch.add(position[n, 0], apart, alpha=0.5).addcmul_(apart, sign, value=0.5)
            torch.mul(grad[n, c], gate, out=grad_x[n, c])
    return grad_x, grad_channel, grad_position


def _dot(x: Tensor, y: Tensor, exact: torch.dtype) -> Tensor:
    """Return the sum of the products. A short format has too few digits for it."""
    if x.dtype == exact:
        return torch.dot(x.flatten(), y.flatten())
    return (x * y).sum(dtype=exact)
