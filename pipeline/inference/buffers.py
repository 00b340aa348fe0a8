"""Arrays that are kept and used again, and the operations that fill them.

Memory that is returned to the system and fetched again costs more than computing with it, as the system clears every
page. On a CPU some operations are NumPy's, which takes a tenth to a third of PyTorch's time for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

__all__ = ["Buffers", "take_along", "update_best"]


class Buffers:
    """Arrays by name, each as large as the largest that was asked for.

    Args:
        device: device of the arrays.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._kept: dict[str, Tensor] = {}

    def get(self, name: str, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        """Return a contiguous array with any content. It shares its memory with earlier ones of this name."""
        count = prod(shape)
        kept = self._kept.get(name)
        if kept is None or kept.numel() < count or kept.dtype != dtype:
            # Not both at once.
            self._kept.pop(name, None)
            kept = self._kept[name] = torch.empty(count, dtype=dtype, device=self.device)
        return kept[:count].view(tuple(shape))


def take_along(values: Tensor, axis: int, index: Tensor, out: Tensor) -> Tensor:
    """Write the values at indices along an axis to `out`, and return it.

    Args:
        values: contiguous.
        axis: the axis.
        index: (n,) whole numbers, each inside the axis.
        out: contiguous, like `values`, with n along the axis.
    """
    if values.device.type == "cpu":
        # With another mode NumPy checks the indices, and copies the output.
        np.take(values.numpy(), index.numpy(), axis=axis, out=out.numpy(), mode="clip")
    else:
        torch.index_select(values, axis, index, out=out)
    return out


def update_best(best: Tensor, highest: Tensor, other: Tensor, number: int, mask: Tensor) -> None:
    """Write a class in place where it is more probable than the best so far.

    Args:
        best: best class so far.
        highest: its probability.
        other: probability of the class.
        number: the class.
        mask: bool array to use.
    """
    if best.device.type == "cpu":
        np.greater(other.numpy(), highest.numpy(), out=mask.numpy())
        np.copyto(best.numpy(), number, where=mask.numpy())
        np.maximum(highest.numpy(), other.numpy(), out=highest.numpy())
    else:
        best.masked_fill_(other > highest, number)
        torch.maximum(highest, other, out=highest)
