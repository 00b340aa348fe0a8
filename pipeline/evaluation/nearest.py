"""Distances from voxels to the nearest voxel of another set: near ones by looking around, others by a KD-tree.

Only for noise, where far points are more than a tenth of all voxels, is a distance transform faster than a tree.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import KDTree

__all__ = ["Distances", "Neighbourhood", "find_distances", "find_neighbourhood"]

_MAX_REACH = 6  # voxels along an axis that are looked at
_MAX_TREE_SHARE = 0.1  # of the voxels; a distance transform takes about 0.15 us per voxel
_MAX_OFFSETS = 130  # looking at one more costs about 5 ns per point; a KD-tree about 1 us per point


class Distances(NamedTuple):
    """Distances of the points of a surface, ascending, and how much each counts: points, or area.

    Attributes:
        values: distances (mm), (n,). Equal ones may be joined.
        weights: number of points or area (mm2) at each distance, (n,).
    """

    values: NDArray[np.float64]
    weights: NDArray[np.float64]


class Neighbourhood(NamedTuple):
    """The offsets around a voxel, by distance: no offset that is left out is nearer than the last one.

    Attributes:
        offsets: differences of indices, (n, dims).
        distances: their lengths (mm), (n,), ascending.
        reach: the largest difference along each axis, at least 1.
    """

    offsets: NDArray[np.intp]
    distances: NDArray[np.float64]
    reach: tuple[int, ...]


def find_neighbourhood(edges: NDArray[np.float64]) -> Neighbourhood:
    """Return the offsets to look at around each voxel, some hundred at most.

    Args:
        edges: the edges of a voxel as columns (mm), dims x dims.
    """
    return _find_neighbourhood(edges.tobytes(), len(edges))


@lru_cache(maxsize=16)
def _find_neighbourhood(content: bytes, dims: int) -> Neighbourhood:
    edges = np.frombuffer(content).reshape(dims, dims)
    side = np.arange(-_MAX_REACH, _MAX_REACH + 1)
    offsets = np.stack(np.meshgrid(*[side] * dims, indexing="ij"), axis=-1).reshape(-1, dims)
    distances = np.linalg.norm(offsets @ edges.T, axis=1)
    # Index i of a vector x (mm) is row i of the inverse times x. So beyond the reach no vector is shorter than this.
    complete = ((_MAX_REACH + 1) / np.linalg.norm(np.linalg.inv(edges), axis=1)).min()
    order = np.argsort(distances, kind="stable")
    order = order[distances[order] < complete * (1 - 1e-9)][:_MAX_OFFSETS]
    reach = tuple(int(most) for most in np.maximum(np.abs(offsets[order]).max(axis=0), 1))
    return Neighbourhood(offsets[order].astype(np.intp), distances[order], reach)


def find_distances(
    points: NDArray[np.intp],
    target: NDArray[np.bool_],
    edges: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
) -> Distances:
    """Return the distances of points to the nearest voxel of a target.

    Args:
        points: flat indices into the target's array, (n,), each at least the reach of `find_neighbourhood` from its
            sides.
        target: the voxels to reach, (X, Y, Z) or (X, Y), not empty.
        edges: the edges of a voxel as columns (mm), dims x dims.
        weights: how much each point counts, (n,); 1 by default.
    """
    around = find_neighbourhood(edges)
    flat = target.reshape(-1)
    steps = np.array([stride // target.itemsize for stride in target.strides])
    values: list[float] = []
    counts: list[float] = []
    total = 0.0 if weights is None else float(weights.sum())
    for shift, distance in zip((around.offsets @ steps).tolist(), around.distances.tolist(), strict=True):
        if not points.size:
            break
        left = ~flat.take(points + shift)
        number = np.count_nonzero(left)
        if number == points.size:
            continue
        values.append(distance)
        if weights is None:
            counts.append(float(points.size - number))
        else:
            weights = weights[left]
            remaining = float(weights.sum())
            counts.append(total - remaining)
            total = remaining
        points = points[left]
    if not points.size:
        return Distances(np.array(values), np.array(counts))
    far = _measure_far(points, target, edges)
    order = np.argsort(far)
    kept = np.ones(len(far)) if weights is None else weights[order]
    return Distances(np.concatenate((values, far[order])), np.concatenate((counts, kept)))


def _measure_far(
    points: NDArray[np.intp], target: NDArray[np.bool_], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    orthogonal = np.array_equal(edges, np.diag(np.diag(edges)))
    if orthogonal and points.size > _MAX_TREE_SHARE * target.size:
        transform = distance_transform_edt(~target, sampling=np.diag(edges))
        return np.asarray(transform.reshape(-1)[points], dtype=np.float64)
    there = np.flatnonzero(target)
    places = [np.stack(np.unravel_index(each, target.shape), axis=1) @ edges.T for each in (there, points)]
    tree = KDTree(places[0], leafsize=32, balanced_tree=False, compact_nodes=False)
    found: NDArray[np.float64] = tree.query(places[1])[0]
    return found
