"""The larger of a feature map gated by channel and gated by position, computed channel by channel on a CPU.

``torch.maximum(x * channel, x * position)`` writes two feature maps, and its backward pass some ten more. One channel
of one sample stays in the processor's cache, so here only the result goes to memory. The values are the same. Where
both products are equal, the gradient goes to the channel's gate; ``torch.maximum`` gives half to each.
"""

from typing import Any

import torch
from torch import Tensor

__all__ = ["can_fuse", "larger_of_gates"]

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


def larger_of_gates(x: Tensor, channel: Tensor, position: Tensor) -> Tensor:
    """Return ``maximum(x * channel, x * position)``.

    Args:
        x: feature map, shape (N, C, *spatial).
        channel: gates, shape (N, C, 1, ...).
        position: gates, shape (N, 1, *spatial).
    """
    result: Tensor = _LargerOfGates.apply(x, channel, position)
    return result


class _LargerOfGates(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, channel: Tensor, position: Tensor) -> Tensor:
        ctx.save_for_backward(x, channel, position)
        result = torch.empty_like(x)
        for n in range(x.shape[0]):
            for c in range(x.shape[1]):
                torch.mul(x[n, c], position[n, 0], out=result[n, c])
                torch.maximum(result[n, c], x[n, c] * channel[n, c], out=result[n, c])
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, channel, position = ctx.saved_tensors
        if torch.is_grad_enabled():
            # The gradient's own gradient is wanted (create_graph): what follows works in place.
            return _differentiable_backward(x, channel, position, grad)
        exact = torch.float64 if x.dtype == torch.float64 else torch.float32
        grad_x = torch.empty_like(x)
        grad_channel = torch.empty_like(channel, dtype=exact)
        grad_position = torch.zeros_like(position, dtype=exact)
        for n in range(x.shape[0]):
            for c in range(x.shape[1]):
                # 1 where the channel's product is the larger one, else 0. In place, because that gives numbers:
                # selecting by a mask is slow on a CPU.
                larger = (x[n, c] * channel[n, c]).ge_(x[n, c] * position[n, 0])
                product = grad[n, c] * x[n, c]
                grad_position[n, 0].add_(product)
                product.mul_(larger)
                grad_channel[n, c] = product.sum(dtype=exact)
                grad_position[n, 0].sub_(product)
                gate = larger.mul_(channel[n, c] - position[n, 0]).add_(position[n, 0])
                torch.mul(grad[n, c], gate, out=grad_x[n, c])
        return grad_x, grad_channel.to(channel.dtype), grad_position.to(position.dtype)


def _differentiable_backward(
    x: Tensor, channel: Tensor, position: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    larger = (x * channel >= x * position).to(x.dtype)
    product = grad * x
    grad_channel = (product * larger).sum(list(range(2, x.dim())), keepdim=True)
    grad_position = (product * (1 - larger)).sum(1, keepdim=True)
    return grad * (larger * channel + (1 - larger) * position), grad_channel, grad_position
