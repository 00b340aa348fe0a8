"""What networks and skip connections share."""

import torch.nn.functional as F
from torch import Tensor

__all__ = ["convolve"]


def convolve(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve with a kernel made on the spot: stride 1, the grid kept. Can be scripted.

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
