"""Perturb the resolution of a scan: blur, coarser voxels, coarser voxels along one axis.

All functions get a scan (C, *spatial) in float32, its voxel size in mm, the level's number and a seed that they do not
need. They return a new array of the same shape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .torchio_images import apply_transform, import_torchio, make_image

__all__ = ["blur", "coarsen", "coarsen_one_axis"]

# SD of a Gaussian over its full width at half maximum.
_SD_OF_WIDTH = 1 / (2 * math.sqrt(2 * math.log(2)))

Scan = NDArray[np.float32]


def blur(scan: Scan, spacing: Sequence[float], level: float, _seed: int) -> Scan:
    """Convolve with an isotropic Gaussian whose SD is `level` times the finest voxel side (TorchIO's Blur)."""
    return _blur(scan, spacing, [level * min(spacing)] * len(spacing))


def coarsen(scan: Scan, spacing: Sequence[float], level: float, _seed: int) -> Scan:
    """Resample to voxels whose sides are `level` times as long, and back to the scan's grid (TorchIO's Resample)."""
    return _coarsen(scan, spacing, [level] * len(spacing))


def coarsen_one_axis(scan: Scan, spacing: Sequence[float], level: float, _seed: int) -> Scan:
    """Do the same along the axis of the longest voxel side, of equals the last one: thicker slices.

    A picture gets pixels that are coarser along one of its two axes.
    """
    longest = max(range(len(spacing)), key=lambda axis: (round(spacing[axis], 3), axis))
    return _coarsen(scan, spacing, [level if axis == longest else 1.0 for axis in range(len(spacing))])


def _blur(scan: Scan, spacing: Sequence[float], sigmas: Sequence[float]) -> Scan:
    """Blur with one SD in mm per axis; the scan is mirrored at its borders."""
    thick = (*sigmas, *[0.0] * (3 - len(sigmas)))
    return apply_transform(import_torchio().Blur(std=thick), scan, spacing)


def _coarsen(scan: Scan, spacing: Sequence[float], factors: Sequence[float]) -> Scan:
    """Resample to a coarser grid, linearly after a Gaussian, and back, linearly.

    The Gaussian is that of Cardoso et al. (MICCAI 2015), as in TorchIO's ``antialias``, which pictures cannot use. It
    makes the point spread function of the coarse voxels. The scan is continued by its border's values before, because
    TorchIO's coarse grid is rounded down to whole voxels, and what lies outside of it would become 0.
    """
    resample = import_torchio().Resample
    sigmas = [side * math.sqrt(factor**2 - 1) * _SD_OF_WIDTH for side, factor in zip(spacing, factors, strict=True)]
    margins = [2 * math.ceil(factor) if factor > 1 else 0 for factor in factors]
    continued = np.pad(scan, [(0, 0), *((margin, margin) for margin in margins)], mode="edge")
    fine = make_image(_blur(continued, spacing, sigmas), spacing)
    sides = [side * factor for side, factor in zip(spacing, factors, strict=True)]
    coarse = resample((*sides, *[1.0] * (3 - len(sides))))(fine)
    back: Scan = resample((fine.spatial_shape, fine.affine))(coarse).data.numpy()
    inside = [slice(margin, margin + size) for margin, size in zip(margins, scan.shape[1:], strict=True)]
    return np.ascontiguousarray(back.reshape(continued.shape)[(slice(None), *inside)])
