"""Check arrays before they are saved, and split them into blocks to save memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from monai.utils import convert_to_numpy
from numpy.typing import NDArray

from ..data.errors import InputError

__all__ = ["find_highest_label", "require_axes", "split_blocks", "to_array", "to_file_order"]

_BLOCK = 1 << 22  # voxels: 16 MB of float32, and as much again compressed
_ROWS = 8  # rows of a block that are turned at a time: they fit into the processor's cache
_REMEDY = "save the output of argmax, or probabilities with the channels last"


def to_array(values: Any) -> NDArray[Any]:
    """Return a tensor's or a file's values as an array, without a copy if possible."""
    # MONAI would copy an array whose first axis runs fastest.
    array: NDArray[Any] = values if isinstance(values, np.ndarray) else np.asarray(convert_to_numpy(values))
    return array


def require_axes(volume: NDArray[Any], max_axes: int, path: str | Path) -> None:
    """Raise an InputError if a volume does not have 2 to `max_axes` axes, or has no voxels."""
    if not 2 <= volume.ndim <= max_axes or not volume.size:
        found, expected = f"an array of shape {volume.shape}", f"2 to {max_axes} axes, none of them empty"
        raise InputError(path, found=found, expected=expected, remedy=_REMEDY)


def find_highest_label(labels: NDArray[Any], path: str | Path) -> int:
    """Return the highest label of a label map.

    Args:
        labels: the label map.
        path: the file to write, for the error message.

    Raises:
        InputError: not all labels are whole numbers from 0.
    """
    # Over the whole array, whose voxels lie side by side: in blocks they do not.
    low, high = labels.min(), labels.max()
    integer = labels.dtype.kind in "iub" or all(np.array_equal(block, block.round()) for block in split_blocks(labels))
    if low >= 0 and np.isfinite(high) and integer:
        return int(high)
    found = f"values from {low} to {high}"
    raise InputError(path, found=found, expected="a label map of integers from 0", remedy=_REMEDY)


def to_file_order(block: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a block as a file stores it, its axes in reverse order and in C order, so that its first runs fastest.

    Args:
        block: (X, Y), (X, Y, Z) or (X, Y, Z, C).
        dtype: type of the voxels in the file.

    Returns:
        (Y, X), (Z, Y, X) or (C, Z, Y, X).
    """
    if block.ndim < 3 or block.flags.f_contiguous:
        return np.ascontiguousarray(block.T, dtype)
    stored = np.empty(block.shape[::-1], dtype)
    if block.ndim > 3:
        for index in range(block.shape[-1]):
            stored[index] = to_file_order(block[..., index], dtype)
        return stored
    for start in range(0, block.shape[1], _ROWS):
        # Two steps: the first reads what lies side by side, the second what is in the cache.
        rows = np.ascontiguousarray(np.swapaxes(block[:, start : start + _ROWS], 0, 1), dtype)
        stored[:, start : start + _ROWS] = rows.transpose(2, 0, 1)
    return stored


def split_blocks(volume: Any) -> Iterator[Any]:
    """Yield parts of a volume, at most 4 million voxels each, in a file's order (the first axis runs fastest).

    Args:
        volume: an array, or an object with the part of its interface that is used here.
    """
    if volume.size <= _BLOCK:
        yield volume
        return
    plane = volume[..., 0].size
    if plane > _BLOCK:
        for index in range(volume.shape[-1]):
            yield from split_blocks(volume[..., index])
        return
    step = _BLOCK // plane
    for start in range(0, volume.shape[-1], step):
        yield volume[..., start : start + step]
