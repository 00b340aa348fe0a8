"""Metrics of the distances between two masks' surfaces: HD95, HD, ASSD and NSD, of boundary voxels and by area."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from .nearest import Distances, find_distances, find_neighbourhood
from .surface_elements import find_boundary, find_elements, measure_areas

__all__ = ["measure_surfaces"]

_PERCENTILE = 0.95
_ROUNDING = 1e-12  # relative; sums of areas in another order differ by less


def measure_surfaces(
    predicted: NDArray[np.bool_],
    expected: NDArray[np.bool_],
    *,
    edges: NDArray[np.float64],
    tolerance_mm: float,
    metrics: Collection[str],
) -> dict[str, float]:
    """Return metrics of the distances between the surfaces of two masks, each distance computed once.

    Without a suffix, a surface is its boundary voxels: those with a face neighbour outside the mask, as MONAI defines
    them. With ``_area`` it is the surface between voxels, weighted by its area (in 2D the contour's length), as
    DeepMind's surface-distance defines it (Nikolov et al., 2018). Outside the volume nothing is in a mask.

    - ``hd_mm``: the largest distance of a point of one surface to the other (Hausdorff).
    - ``hd95_mm``: the larger of the two directed 95th percentiles. Of boundary voxels it is interpolated linearly;
      by area it is the first distance that covers 95 % of the area.
    - ``assd_mm``: the mean of the distances of both surfaces together.
    - ``nsd``: the share of both surfaces that is within the tolerance of the other (normalised surface Dice).

    Args:
        predicted: mask (X, Y, Z) or (X, Y), not empty.
        expected: mask of the same shape, not empty.
        edges: the edges of a voxel as columns (mm), from `find_edges`.
        tolerance_mm: tolerance of the NSD (mm). Distances are compared with it as 32-bit numbers, so that three steps
            of 0.1 mm are within 0.3 mm.
        metrics: the metrics to compute. Others are not returned.

    Returns:
        The metrics by name: distances in mm, NSD in [0, 1].
    """
    reach = find_neighbourhood(edges).reach
    padded = [_pad(mask, reach) for mask in (predicted, expected)]
    found: dict[str, float] = {}
    if any("_area" not in name for name in metrics):
        boundaries = [find_boundary(mask) for mask in padded]
        points = [np.flatnonzero(boundary) for boundary in boundaries]
        there = find_distances(points[0], boundaries[1], edges)
        back = find_distances(points[1], boundaries[0], edges)
        found |= {
            "hd95_mm": max(_interpolate_percentile(there), _interpolate_percentile(back)),
            "hd_mm": _find_largest(there, back),
            "assd_mm": _average(there, back),
            "nsd": _share_within(there, back, tolerance_mm),
        }
    if any("_area" in name for name in metrics):
        areas = measure_areas(edges)
        elements = [find_elements(mask) for mask in padded]
        points = [np.flatnonzero(places) for places, _ in elements]
        weights = [areas[codes.reshape(-1)[at]] for (_, codes), at in zip(elements, points, strict=True)]
        there = find_distances(points[0], elements[1][0], edges, weights[0])
        back = find_distances(points[1], elements[0][0], edges, weights[1])
        found |= {
            "hd95_area_mm": max(_cover_percentile(there), _cover_percentile(back)),
            "hd_area_mm": _find_largest(there, back),
            "assd_area_mm": _average(there, back),
            "nsd_area": _share_within(there, back, tolerance_mm),
        }
    return {name: value for name, value in found.items() if name in metrics}


def _pad(mask: NDArray[np.bool_], reach: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the mask with an empty margin, so that no voxel around a point is outside the array."""
    padded = np.zeros([n + 2 * margin for n, margin in zip(mask.shape, reach, strict=True)], dtype=bool)
    padded[tuple(slice(margin, margin + n) for n, margin in zip(mask.shape, reach, strict=True))] = mask
    return padded


def _interpolate_percentile(distances: Distances) -> float:
    """Return the 95th percentile of points, interpolated linearly between neighbours, as NumPy and MONAI do."""
    ends = np.cumsum(distances.weights)
    place = _PERCENTILE * (ends[-1] - 1)
    below = math.floor(place)
    low, high = distances.values[np.searchsorted(ends, (below, min(below + 1, ends[-1] - 1)), side="right")]
    return float(low + (place - below) * (high - low))


def _cover_percentile(distances: Distances) -> float:
    """Return the smallest distance up to which 95 % of the area is, as surface-distance does."""
    covered = np.cumsum(distances.weights)
    place = np.searchsorted(covered, _PERCENTILE * covered[-1] * (1 - _ROUNDING))
    return float(distances.values[min(place, len(covered) - 1)])


def _find_largest(there: Distances, back: Distances) -> float:
    return float(max(there.values[-1], back.values[-1]))


def _average(there: Distances, back: Distances) -> float:
    total = sum(float(np.dot(*each)) for each in (there, back))
    return total / sum(float(each.weights.sum()) for each in (there, back))


def _share_within(there: Distances, back: Distances, tolerance_mm: float) -> float:
    limit = np.float32(tolerance_mm)
    within = sum(float(each.weights[each.values.astype(np.float32) <= limit].sum()) for each in (there, back))
    return within / sum(float(each.weights.sum()) for each in (there, back))
