"""Measure the surface of a label without the steps of its voxels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import find_contours, marching_cubes

__all__ = ["measure_boundary"]

_SMOOTHING = 0.8  # voxels along the axis of the largest voxel size: just enough to remove a sphere's steps
_MAX_SMOOTHING = 3.0  # voxels along any axis
_REACH = 3.0  # standard deviations at which a Gaussian is cut off
_BRICK = {
    2: 512,
    3: 64,
}  # voxels along a side, by dimensions; bricks completely inside or outside a label are skipped
_BINS = 1 << 14  # for the smoothed label's values, 0 to 1


def measure_boundary(inside: NDArray[np.bool_], edges: NDArray[np.float64]) -> float:
    """Return the surface (mm2) of a label in 3D, its perimeter (mm) in 2D.

    Marching cubes without smoothing would return up to a quarter too much.

    Args:
        inside: booleans of the label's bounding box.
        edges: the edges of a voxel in world coordinates as columns (mm), 3 x dims.
    """
    spacing = np.linalg.norm(edges, axis=0)
    sigma = np.minimum(_SMOOTHING * np.sqrt(spacing.max() / spacing), _MAX_SMOOTHING)
    # The volume stays the same if as many voxels are above the level as the label has.
    voxels, histogram = 0, np.zeros(_BINS, dtype=np.int64)
    for count, values in _smooth_bricks(inside, sigma):
        voxels += count
        histogram += np.histogram(values[(slice(-1),) * inside.ndim], bins=_BINS, range=(0, 1))[0]
    last_above, first_below = np.searchsorted(np.cumsum(histogram[::-1]), [voxels, voxels + 1])
    level = 1 - (last_above + first_below + 1) / (2 * _BINS)
    return sum(_measure_brick(values, level, edges) for _, values in _smooth_bricks(inside, sigma))


def _smooth_bricks(inside: NDArray[np.bool_], sigma: NDArray[np.float64]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield the number of the label's voxels in a brick, and the smoothed brick, for each brick at its boundary.

    Neighbouring bricks share a plane, so that the surface has no gaps between them.
    """
    size = _BRICK[inside.ndim]
    reach = np.ceil(_REACH * sigma).astype(int)
    corners = [range(-margin - 1, n + margin + 1, size) for n, margin in zip(inside.shape, reach, strict=True)]
    for corner in itertools.product(*corners):
        ends = [
            (start - margin, start + size + 1 + margin, n)
            for start, margin, n in zip(corner, reach, inside.shape, strict=True)
        ]
        part = inside[tuple(slice(max(low, 0), max(high, 0)) for low, high, _ in ends)]
        missing = [(max(-low, 0), max(high - max(n, low), 0)) for low, high, n in ends]
        if not part.any() or (part.all() and not np.any(missing)):
            continue
        brick = np.pad(part, missing)
        smooth = ndimage.gaussian_filter(brick.astype(np.float32), sigma, mode="constant", radius=reach)
        own = smooth[tuple(slice(margin, -margin) for margin in reach)]
        count = int(np.count_nonzero(brick[tuple(slice(margin, -margin - 1) for margin in reach)]))
        yield count, np.minimum(own, 1)


def _measure_brick(values: NDArray[np.float32], level: float, edges: NDArray[np.float64]) -> float:
    """Return the surface (mm2) or perimeter (mm) where the values cross the level."""
    if not values.min() < level < values.max():
        return 0.0
    if values.ndim == 2:
        lines = (np.diff(line @ edges.T, axis=0) for line in find_contours(values, level))
        return float(sum(np.linalg.norm(line, axis=1).sum() for line in lines))
    vertices, faces, _, _ = marching_cubes(values, level)
    corners = (vertices.astype(np.float64) @ edges.T)[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return float(np.linalg.norm(normals, axis=1).sum() / 2)
