"""Choose the network's depth, strides and kernels from the patch and the spacing, also for thick slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Levels", "make_levels"]

# nnU-Net's rules (Isensee et al. 2021, supplement). An axis is halved while it keeps at least 4 voxels and is less than
# twice as coarse as the finest axis that is long enough. Kernels do not mix slices that are at least twice as far apart
# as pixels.
_MIN_SIDE = 4
_COARSE_RATIO = 2.0
_MAX_LEVELS = {2: 6, 3: 5}


@dataclass(frozen=True)
class Levels:
    """The levels of a network for one patch.

    Args:
        patch: voxels per axis, rounded up so that every stride divides it.
        strides: per transition between levels, finest first, 1 or 2 per axis.
        kernels: per level, 1 or 3 per axis.
    """

    patch: list[int]
    strides: list[list[int]]
    kernels: list[list[int]]

    @property
    def divisor(self) -> list[int]:
        """The product of the strides, per axis."""
        return [int(step) for step in np.prod(self.strides, axis=0)]


def make_levels(size: Sequence[int], spacing: Sequence[float]) -> Levels:
    """Choose levels for a patch of about this size (voxels) at this spacing (mm)."""
    dims = len(size)
    strides: list[list[int]] = []
    kernels: list[list[int]] = []
    sides, apart = np.maximum(np.asarray(size, dtype=float), 1), np.asarray(spacing, dtype=float)
    mixed = np.zeros(dims, dtype=bool)
    while True:
        # An axis of one voxel has nothing to mix.
        mixed |= (apart < _COARSE_RATIO * apart.min()) & (sides > 1)
        kernels.append([3 if mixes else 1 for mixes in mixed])
        long = sides >= 2 * _MIN_SIDE
        # A short axis keeps its spacing, and must not keep the others from being halved.
        halved = long & (apart < _COARSE_RATIO * apart.min(initial=np.inf, where=long))
        if not strides and not halved.any():
            # A network has at least two levels: the longest axis is halved, however short.
            halved[np.argmax(sides)] = True
        if len(kernels) == _MAX_LEVELS[dims] or not halved.any():
            break
        strides.append([2 if half else 1 for half in halved])
        sides, apart = np.where(halved, np.ceil(sides / 2), sides), np.where(halved, apart * 2, apart)
    divisor = np.prod(strides, axis=0)
    patch = [int(-(-int(voxels) // step) * step) for voxels, step in zip(size, divisor, strict=True)]
    return Levels(patch, strides, kernels)
