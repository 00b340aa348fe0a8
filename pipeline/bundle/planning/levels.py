"""Depth, strides and kernels of the network: from the patch and the spacing, thick slices considered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Levels", "make_levels"]

# An axis is halved while it stays at 4 voxels or more, and while it is not twice as coarse as the finest axis that is
# long enough too; kernels do not mix slices while these are twice as far apart as pixels: nnU-Net's rules (Isensee et
# al. 2021, supplement).
_SMALLEST = 4
_COARSER = 2.0
_MOST_LEVELS = {2: 6, 3: 5}


@dataclass(frozen=True)
class Levels:
    """The levels of a network for one patch.

    Args:
        patch: voxels per axis, what was asked for rounded up so that every stride divides it.
        strides: per transition between levels, finest first, 1 or 2 per axis.
        kernels: per level, 1 or 3 per axis.
    """

    patch: list[int]
    strides: list[list[int]]
    kernels: list[list[int]]

    @property
    def divisor(self) -> list[int]:
        """Product of the strides, per axis."""
        return [int(step) for step in np.prod(self.strides, axis=0)]


def make_levels(size: Sequence[int], spacing: Sequence[float]) -> Levels:
    """Choose levels for a patch of about this size (voxels) at this spacing (mm)."""
    dims = len(size)
    strides: list[list[int]] = []
    kernels: list[list[int]] = []
    now, apart = np.maximum(np.asarray(size, dtype=float), 1), np.asarray(spacing, dtype=float)
    mixed = np.zeros(dims, dtype=bool)
    while True:
        # Along an axis of one voxel there is nothing to mix.
        mixed |= (apart < _COARSER * apart.min()) & (now > 1)
        kernels.append([3 if mixes else 1 for mixes in mixed])
        long = now >= 2 * _SMALLEST
        # A short axis, which stays as fine as it is, does not keep the others from being halved.
        halved = long & (apart < _COARSER * apart.min(initial=np.inf, where=long))
        if not strides and not halved.any():
            # Two levels are the fewest: the longest axis is halved, small as it is.
            halved[np.argmax(now)] = True
        if len(kernels) == _MOST_LEVELS[dims] or not halved.any():
            break
        strides.append([2 if half else 1 for half in halved])
        now, apart = np.where(halved, np.ceil(now / 2), now), np.where(halved, apart * 2, apart)
    divisor = np.prod(strides, axis=0)
    patch = [int(-(-int(voxels) // step) * step) for voxels, step in zip(size, divisor, strict=True)]
    return Levels(patch, strides, kernels)
