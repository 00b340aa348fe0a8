"""Arrays on their way to a file: checked and cut into blocks, so that little memory is needed beyond their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from monai.utils import convert_to_numpy
from numpy.typing import NDArray

from ..data.errors import InputError

__all__ = ["as_array", "highest_label", "require_axes", "voxel_blocks"]

_BLOCK = 1 << 22  # voxels: 16 MB of float32, and as much again compressed
_REMEDY = "save what argmax gives, or probabilities with the channels last"


def as_array(values: Any) -> NDArray[Any]:
    """Return a tensor's or a file's values as an array, without a copy where there need be none."""
    # MONAI would copy an array whose first axis runs fastest, however large.
    array: NDArray[Any] = values if isinstance(values, np.ndarray) else np.asarray(convert_to_numpy(values))
    return array


def require_axes(volume: NDArray[Any], most: int, path: str | Path) -> None:
    """Raise an InputError where a volume for the file of this path has not 2 to `most` axes, or no voxels."""
    if not 2 <= volume.ndim <= most or not volume.size:
        found, expected = f"an array of shape {volume.shape}", f"2 to {most} axes, none of them empty"
        raise InputError(path, found=found, expected=expected, remedy=_REMEDY)


def highest_label(labels: NDArray[Any], path: str | Path) -> int:
    """Return the highest of labels that become the file of this path.

    Raises:
        InputError: not all are whole numbers from 0.
    """
    ends = [(block.min(), block.max()) for block in voxel_blocks(labels)]
    low, high = np.min(ends), np.max(ends)
    integer = labels.dtype.kind in "iub" or all(np.array_equal(block, block.round()) for block in voxel_blocks(labels))
    if low >= 0 and np.isfinite(high) and integer:
        return int(high)
    found = f"values from {low} to {high}"
    raise InputError(path, found=found, expected="a label map of integers from 0", remedy=_REMEDY)


def voxel_blocks(volume: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield a volume's parts, of 4 million voxels at most, as they follow in a file (the first axis runs fastest)."""
    if volume.size <= _BLOCK:
        yield volume
        return
    plane = volume[..., 0].size
    if plane > _BLOCK:
        for index in range(volume.shape[-1]):
            yield from voxel_blocks(volume[..., index])
        return
    step = _BLOCK // plane
    for start in range(0, volume.shape[-1], step):
        yield volume[..., start : start + step]
