"""Find a mask's boundary voxels, and its surface elements with their areas, as indices into a padded array."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["find_boundary", "find_elements", "measure_areas"]


def find_boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the voxels of a mask that have a face neighbour outside it, as MONAI and SciPy's erosion define them.

    Args:
        mask: mask, (X, Y, Z) or (X, Y), with at least one empty voxel at each side of each axis.

    Returns:
        The boundary, of the same shape.
    """
    flat = mask.reshape(-1)
    steps = _count_steps(mask.shape)
    margin = steps[0]
    boundary = np.zeros_like(flat)
    inner = boundary[margin:-margin]
    size = inner.size
    # With the empty margin a neighbour is a shift of the flat array. That is much faster than slices of axes.
    np.logical_and(flat[:size], flat[2 * margin :], out=inner)
    for step in steps[1:]:
        for start in (margin - step, margin + step):
            np.logical_and(inner, flat[start : start + size], out=inner)
    np.less(inner, flat[margin : margin + size], out=inner)
    return boundary.reshape(mask.shape)


def find_elements(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Return the surface elements of a mask: cells of 2 x 2 x 2 voxels (in 2D 2 x 2) that are partly in the mask.

    Args:
        mask: mask, (X, Y, Z) or (X, Y), with at least one empty voxel at each side of each axis.

    Returns:
        Where the elements are, and the code of each cell: 8 bits (in 2D 4), the first voxel highest. Both have the
        shape of the mask. A cell is at the index of its first voxel.
    """
    flat = mask.reshape(-1).view(np.uint8)
    codes = np.zeros_like(flat)
    size, shift, cell = flat.size, 1, flat
    for step in reversed(_count_steps(mask.shape)):
        size -= step
        joined = codes[:size] if shift == 2 ** (mask.ndim - 1) else np.empty(size, np.uint8)
        np.left_shift(cell[:size], shift, out=joined)
        np.bitwise_or(joined, cell[step : step + size], out=joined)
        cell, shift = joined, 2 * shift
    elements = codes != 0
    np.logical_and(elements, codes != 2 ** (2**mask.ndim) - 1, out=elements)
    return elements.reshape(mask.shape), codes.reshape(mask.shape)


def measure_areas(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area (mm2) of the surface in a cell by its code, (256,); in 2D the length (mm), (16,).

    The surface is that of marching cubes with vertices in the middle of the cell's edges (Lorensen and Cline, 1987),
    in 2D of marching squares. A cell and its complement have the same surface: that of the one with fewer voxels.
    For axes at right angles the areas are those of DeepMind's surface-distance (Nikolov et al., 2018).

    Args:
        edges: the edges of a voxel as columns (mm), dims x dims.
    """
    if len(edges) == 2:
        return np.array([_measure_length(code, edges) for code in range(16)])
    # An area's normal follows the edges by the matrix of their cofactors.
    cofactors = np.linalg.det(edges) * np.linalg.inv(edges).T
    areas: NDArray[np.float64] = np.linalg.norm(_triangulate_cells() @ cofactors.T, axis=-1).sum(axis=-1)
    return areas


def _count_steps(shape: tuple[int, ...]) -> list[int]:
    """Return how far apart neighbours along each axis are in the flat array."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


@lru_cache(maxsize=1)
def _triangulate_cells() -> NDArray[np.float64]:
    """Return the normals of each cell's triangles by the cell's code, (256, 5, 3). A normal's length is the area."""
    from skimage.measure import marching_cubes  # noqa: PLC0415 slow to import

    normals = np.zeros((256, 5, 3))
    for code in range(1, 255):
        fewer = code if code.bit_count() <= 4 else 255 - code
        bits = (fewer >> np.arange(7, -1, -1) & 1).reshape(2, 2, 2)
        vertices, faces, _, _ = marching_cubes(bits.astype(np.float32), 0.5, method="lorensen")
        first, second, third = np.moveaxis(vertices.astype(np.float64)[faces], 1, 0)
        normals[code, : len(faces)] = np.cross(second - first, third - first) / 2
    return normals


def _measure_length(code: int, edges: NDArray[np.float64]) -> float:
    """Return the length of the contour in a cell of 2 x 2 pixels."""
    inside = np.array([code >> 3 & 1, code >> 2 & 1, code >> 1 & 1, code & 1]).reshape(2, 2)
    number = int(inside.sum())
    if number in (0, 4):
        return 0.0
    if number == 2 and (inside[0] == inside[1]).all():
        return float(np.linalg.norm(edges[:, 0]))
    if number == 2 and (inside[:, 0] == inside[:, 1]).all():
        return float(np.linalg.norm(edges[:, 1]))
    # A corner is cut off by a segment between the middles of its two sides. Two opposite corners are cut off alike.
    alone = [place for place in itertools.product((0, 1), repeat=2) if inside[place] == (number != 3)]
    return sum(float(np.linalg.norm(edges @ ((1, -1) if place[0] == place[1] else (1, 1)))) / 2 for place in alone)
