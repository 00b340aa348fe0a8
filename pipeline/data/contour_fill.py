"""Turn closed planar contours into a mask of the voxels whose centre they enclose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

__all__ = ["Filled", "fill_contours", "fill_polygons"]

# Voxels, along the normal of the contours' planes.
_ON_SLICE = 0.1  # a plane as near as this to a slice is taken for the slice's
_FLAT = 0.5  # a contour that leaves its plane further is in no slice
_ROUNDING = 1e-3
# Planes further apart than this many usual distances are two parts of the structure.
_MAX_GAP = 1.5
_MAX_OUTSIDE = 0.5  # voxels beyond the outer voxels' edges


@dataclass(frozen=True, eq=False)
class Filled:
    """The voxels of a structure.

    Attributes:
        box: the part of the grid that the mask is of, a slice per axis.
        mask: (A, B, C), whether a voxel's centre is inside.
        gaps: pairs of slices between which the contours stop and start again.
    """

    box: tuple[slice, slice, slice]
    mask: NDArray[np.bool_]
    gaps: list[tuple[int, int]] = field(default_factory=list)


def fill_contours(
    contours: Sequence[NDArray[np.float64]], affine: NDArray[np.float64], shape: Sequence[int], where: str
) -> Filled:
    """Return the voxels that closed planar contours enclose.

    Contours of one plane are filled by the even-odd rule: an inner contour is a hole, whether it is one of its own or
    connected to the outer one by a line there and back (DICOM's keyhole, PS3.3, C.8.8.6.3). A slice between two planes
    gets the shape between theirs, by interpolating signed distances. The outermost planes reach half the usual distance
    between planes further, and planes more than 1.5 times that distance apart have a gap between them.

    Args:
        contours: corners of each, (N, 3) (mm, RAS).
        affine: of the grid, 4 x 4 (mm, RAS).
        shape: of the grid, three axes (voxels).
        where: names file and structure in errors.

    Raises:
        InputError: the contours' planes are not parallel to voxel planes, or a contour is outside the grid.
    """
    inverse = np.linalg.inv(affine)
    voxels = [points @ inverse[:3, :3].T + inverse[:3, 3] for points in contours]
    axis = int(np.argmin(np.max([np.ptp(points, axis=0) for points in voxels], axis=0)))
    heights = np.array([points[:, axis].mean() for points in voxels])
    if max(np.ptp(points[:, axis]) for points in voxels) > _FLAT:
        raise InputError(
            where,
            found="contours that are not in planes of the scan's voxels",
            expected="contours drawn on the scan's slices",
            remedy="pair the structure set with the scan that it was drawn on, or export it as a label map",
        )
    _check_inside(voxels, shape, where)
    rows, columns = (other for other in range(3) if other != axis)
    flat = [points[:, [rows, columns]] for points in voxels]
    first, last = _bounds(flat, (shape[rows], shape[columns]))
    planes = [
        (height, fill_polygons([flat[index] - first for index in members], tuple(last - first)))
        for height, members in _group(heights)
    ]
    spacing = np.linalg.norm(affine[:3, [rows, columns]], axis=0)
    slices, gaps = _fill_slices(planes, shape[axis], spacing)
    box = [slice(0, 0)] * 3
    box[rows], box[columns] = slice(first[0], last[0]), slice(first[1], last[1])
    if not slices:
        return Filled((box[0], box[1], box[2]), np.zeros((0, 0, 0), bool), gaps)
    start, stop = min(slices), max(slices) + 1
    box[axis] = slice(start, stop)
    mask = np.zeros((stop - start, *(last - first)), bool)
    for number, filled in slices.items():
        mask[number - start] = filled
    return Filled((box[0], box[1], box[2]), np.moveaxis(mask, 0, axis), gaps)


def fill_polygons(polygons: Sequence[NDArray[np.float64]], shape: Sequence[int]) -> NDArray[np.bool_]:
    """Return the pixels whose centre is inside an odd number of polygons (even-odd rule).

    Exact for any corners, in one pass over the edges: each edge switches between outside and inside in the rows that it
    crosses. Of a centre on an edge, the lower side counts as inside, so that neighbouring polygons share no pixel.

    Args:
        polygons: corners of each, (N, 2), in pixels: pixel (i, j) has its centre at (i, j). The last corner is
            connected to the first.
        shape: of the result; polygons may reach beyond it.
    """
    starts = np.concatenate(polygons)
    ends = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons])
    lower = np.ceil(np.minimum(starts[:, 0], ends[:, 0])).astype(np.int64).clip(0, shape[0])
    upper = np.ceil(np.maximum(starts[:, 0], ends[:, 0])).astype(np.int64).clip(0, shape[0])
    counts = upper - lower
    edges = np.repeat(np.arange(len(starts)), counts)
    rows = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + lower[edges]
    (row, column), step = starts[edges].T, ends[edges] - starts[edges]
    crossings = np.ceil(column + (rows - row) * step[:, 1] / step[:, 0]).astype(np.int64).clip(0, shape[1])
    width = shape[1] + 1
    switches = np.bincount(rows * width + crossings, minlength=shape[0] * width).reshape(shape[0], width)
    inside: NDArray[np.bool_] = np.cumsum(switches, axis=1)[:, :-1] % 2 == 1
    return inside


def _check_inside(voxels: Sequence[NDArray[np.float64]], shape: Sequence[int], where: str) -> None:
    lowest = np.min([points.min(axis=0) for points in voxels], axis=0)
    highest = np.max([points.max(axis=0) for points in voxels], axis=0)
    beyond = float(max((-0.5 - lowest).max(), (highest - np.array(shape) + 0.5).max()))
    if beyond > _MAX_OUTSIDE:
        raise InputError(
            where,
            found=f"a contour that is up to {beyond:.3g} voxels outside the scan",
            expected="contours inside the scan",
            remedy="pair the structure set with the scan that it was drawn on, or choose other structures",
        )


def _bounds(flat: Sequence[NDArray[np.float64]], shape: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first and the last pixel, plus 1, of the part of a plane that contains all contours."""
    lowest, highest = (np.array([pick(points, axis=0) for points in flat]) for pick in (np.min, np.max))
    first = np.floor(lowest.min(axis=0)).astype(np.int64).clip(0, np.array(shape) - 1)
    last = np.ceil(highest.max(axis=0)).astype(np.int64).clip(0, np.array(shape) - 1) + 1
    return first, last


def _group(heights: NDArray[np.float64]) -> list[tuple[float, list[int]]]:
    """Return the planes, from the lowest: the height of each, and the numbers of its contours."""
    groups: list[list[int]] = []
    for index in np.argsort(heights, kind="stable").tolist():
        if groups and heights[index] - heights[groups[-1][0]] < _ON_SLICE:
            groups[-1].append(index)
        else:
            groups.append([index])
    return [(float(heights[members].mean()), members) for members in groups]


def _fill_slices(
    planes: Sequence[tuple[float, NDArray[np.bool_]]], count: int, spacing: NDArray[np.float64]
) -> tuple[dict[int, NDArray[np.bool_]], list[tuple[int, int]]]:
    """Return the mask of each slice that the structure reaches, by its number, and the gaps."""
    heights = np.array([height for height, _ in planes])
    usual = max(1.0, float(np.median(np.diff(heights)))) if len(heights) > 1 else 1.0
    gaps = [(round(low), round(high)) for low, high in pairwise(heights) if high - low > _MAX_GAP * usual]
    slices: dict[int, NDArray[np.bool_]] = {}
    for number in range(count):
        above = int(np.searchsorted(heights, number))
        near = min((above - 1, above), key=lambda k: abs(heights[k] - number) if 0 <= k < len(heights) else np.inf)
        away = number - heights[near]
        between = 0 < above < len(heights) and heights[above] - heights[above - 1] <= _MAX_GAP * usual
        if abs(away) < _ON_SLICE:
            slices[number] = planes[near][1]
        elif between:
            share = (number - heights[above - 1]) / (heights[above] - heights[above - 1])
            slices[number] = _blend(planes[above - 1][1], planes[above][1], share, spacing)
        # Of two slices at exactly half the distance, the lower one: the volume is that of slabs around the planes.
        elif -usual / 2 - _ROUNDING <= away < usual / 2 - _ROUNDING:
            slices[number] = planes[near][1]
    return slices, gaps


def _blend(
    low: NDArray[np.bool_], high: NDArray[np.bool_], share: float, spacing: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return the shape between two, at a share of the way from the first to the second."""
    if not (low.any() and high.any()):
        return low if share < 0.5 else high
    blended = (1 - share) * _signed_distance(low, spacing) + share * _signed_distance(high, spacing)
    inside: NDArray[np.bool_] = blended > 0
    return inside


def _signed_distance(mask: NDArray[np.bool_], spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance (mm) to the border, above 0 inside; what surrounds the array is outside."""
    from scipy.ndimage import distance_transform_edt  # noqa: PLC0415 - slow to import, and seldom needed

    padded = np.pad(mask, 1)
    # Distances are to centres of pixels on the other side, and the border is about half a pixel before them.
    half = float(spacing.mean()) / 2
    inside, outside = (distance_transform_edt(part, spacing) for part in (padded, ~padded))
    distance: NDArray[np.float64] = np.where(padded, inside - half, half - outside)
    return distance[1:-1, 1:-1]
