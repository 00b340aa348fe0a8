"""Estimate the scratch memory of oneDNN's convolutions on a CPU, besides their inputs and results.

Derived from PyTorch's allocations for single convolutions (PyTorch 2.8 to 2.13, AVX-512). Inputs are copied into a
layout with channels in blocks of 16, and results are copied back from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["convolution_backward_scratch", "convolution_scratch"]

_BLOCK = 16
# With fewer input channels a convolution reads them in place.
_MIN_COPIED_CHANNELS = 12


def convolution_scratch(args: Sequence[Any], made: Tensor, threads: int) -> int:
    """Return the peak scratch memory (bytes) of ``aten.convolution``, besides its arguments and result.

    Args:
        args: the operator's arguments.
        made: its result.
        threads: number of computing threads.
    """
    x, weight, transposed = args[0], args[1], args[6]
    result = _blocked(made)
    if _is_pointwise(weight):
        # In float32 this is a matrix product without copies.
        return 0 if _is_float32(x) else _blocked(x) + result + _sums(made, threads) - _plain(made)
    if transposed:
        return 2 * result
    copied = _blocked(x) if x.shape[1] >= _MIN_COPIED_CHANNELS else 0
    # Either the input's copy with the blocked result, or the blocked result with the plain one.
    return max(copied + result - _plain(made), result)


def convolution_backward_scratch(args: Sequence[Any], made: Sequence[Tensor | None], threads: int) -> int:
    """Return the peak scratch memory (bytes) of ``aten.convolution_backward``, besides its arguments and results.

    Args:
        args: the operator's arguments.
        made: gradients of input, weight and bias; None for a gradient that is not needed.
        threads: number of computing threads.
    """
    gradient, x, weight, stride, transposed, wanted = args[0], args[1], args[2], args[4], args[7], args[10]
    given = sum(_plain(result) for result in made if result is not None)
    of_input = _plain(x) if wanted[0] else 0
    pointwise, float32 = _is_pointwise(weight), _is_float32(x)
    if pointwise and float32:
        return _blocked(x) if wanted[0] else 0
    first = 0
    if wanted[0]:
        strided = any(step > 1 for step in stride) and not transposed
        first = 3 * _blocked(x) if strided else _blocked(gradient) + _blocked(x)
        first += _sums(x, threads) if pointwise else 0
    copied = _blocked(x) if pointwise or x.shape[1] >= _MIN_COPIED_CHANNELS else 0
    second = of_input + copied + _blocked(gradient)
    if not (pointwise or float32):
        # In bfloat16 each thread transposes one sample's channels and voxels, and sums weights in float32.
        samples = min(threads, len(x)) / len(x)
        second += round((copied + _blocked(gradient)) * samples) + 4 * weight.numel() * threads
    return max(first, second) - given


def _sums(tensor: Tensor, threads: int) -> int:
    """Return the bytes of a pointwise bfloat16 convolution's sums, in float32, one sample per thread."""
    return 2 * _blocked(tensor) * min(threads, len(tensor)) // len(tensor)


def _blocked(tensor: Tensor) -> int:
    samples, channels, *sizes = tensor.shape
    return samples * math.ceil(channels / _BLOCK) * _BLOCK * math.prod(sizes) * tensor.element_size()


def _plain(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _is_pointwise(weight: Tensor) -> bool:
    return math.prod(weight.shape[2:]) == 1


def _is_float32(tensor: Tensor) -> bool:
    return tensor.dtype == torch.float32
