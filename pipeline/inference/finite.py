"""Refuse an output of a network that is not finite, which would become an empty label map."""

from __future__ import annotations

import torch
from torch import Tensor

from ..data.errors import InputError

__all__ = ["require_finite"]


def require_finite(logits: Tensor) -> None:
    """Raise InputError if logits of any shape have NaN or infinity in them.

    Minus infinity is taken for a class that the network rules out. Finite weights can overflow: in float16, or if they
    are far too large.
    """
    # One pass: the maximum of values with NaN is NaN.
    if logits.numel() and not bool(torch.isfinite(logits.amax())):
        raise InputError(
            "the network",
            found="an output that is not finite (NaN or infinite)",
            expected="a finite number for each voxel and class",
            remedy="if it computes in float16, set precision to float32; otherwise its weights are of a training that "
            "diverged, or damaged: use others",
        )
