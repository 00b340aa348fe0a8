"""Voxels in C order, in which PyTorch needs them: the last axis runs fastest. In most files the first does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

__all__ = ["read_in_c_order", "to_c_order"]

# Planes that are read before they are turned: so many voxels along the last axis are written side by side.
_MIN_PLANES, _MAX_PLANES = 8, 64
_BUFFER = 1 << 25  # bytes
_ROWS = 8  # of all these planes, turned at a time: they fit into the processor's cache
# Voxels between planes: if these lie a power of two apart, a processor's cache holds few of them at a time.
_GAP = 64


def read_in_c_order(stream: BinaryIO, shape: Sequence[int], stored: np.dtype[Any], dtype: np.dtype[Any]) -> np.ndarray:
    """Return a file's voxels in C order and in another type, without a second array of their size.

    Args:
        stream: the file, at its first voxel; `readinto` may return fewer bytes than asked for.
        shape: (X, Y, Z) of the voxels.
        stored: their type in the file, in its byte order.
        dtype: their type in the array.

    Raises:
        EOFError: the file ends before its last voxel.
    """
    width, height, depth = shape
    # Not `np.empty`, which asks for huge pages: their first use took up to four times as long as that of small ones in
    # a virtual machine that returns its free memory to the host.
    voxels = np.frombuffer(bytearray(width * height * depth * dtype.itemsize), dtype).reshape(width, height, depth)
    count = max(_MIN_PLANES, min(_MAX_PLANES, _BUFFER // (width * height * stored.itemsize)))
    flat = np.empty((min(count, depth), width * height + _GAP), stored)[:, : width * height]
    planes = flat.reshape(len(flat), height, width)
    for start in range(0, depth, count):
        part = planes[: depth - start]
        for number, plane in enumerate(flat[: len(part)], start=start):
            found = _fill(stream, plane.data.cast("B"))
            if found < plane.nbytes:
                msg = f"Expected {depth * plane.nbytes} bytes, got {number * plane.nbytes + found} bytes"
                raise EOFError(msg)
        for row in range(0, height, _ROWS):
            voxels[:, row : row + _ROWS, start : start + len(part)] = part[:, row : row + _ROWS].transpose(2, 1, 0)
    return voxels


def to_c_order(array: np.ndarray) -> np.ndarray:
    """Return an array in C order.

    A volume in Fortran order is transposed plane by plane: planes fit into the processor's cache, and that takes a
    sixth of the time.
    """
    if array.ndim != 3 or not array.flags.f_contiguous:
        return array
    turned = np.empty(array.shape, array.dtype)
    for row in range(array.shape[1]):
        turned[:, row] = array[:, row]
    return turned


def _fill(stream: BinaryIO, view: memoryview) -> int:
    """Fill a buffer from a stream and return the number of bytes that it had."""
    filled = 0
    while filled < len(view):
        count = stream.readinto(view[filled:])  # type: ignore[attr-defined]
        if not count:
            break
        filled += count
    return filled
