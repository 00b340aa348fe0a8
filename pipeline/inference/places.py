"""Where the voxels of a scan lie in the network's grid: along straight axes, or leaning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Axis", "Places", "grid_change", "leaning_places", "straight_axes"]

# Voxels by which an axis may lean from end to end and still be straight: of direction cosines of six digits some do.
_STRAIGHT = 1e-3
_WHOLE = 1e-4  # of a voxel: rounding of affines, and no reason to interpolate


@dataclass(frozen=True)
class Axis:
    """One straight axis of the network's grid.

    Attributes:
        scan_axis: the scan's axis that runs along it.
        lower: for each index of the scan's axis the voxel of the network's grid before it.
        upper: the voxel after it; the same one where nothing is interpolated, and at the border.
        weight: of the upper voxel, 0 to 1, float32.
    """

    scan_axis: int
    lower: NDArray[np.int64]
    upper: NDArray[np.int64]
    weight: NDArray[np.float32]

    def between(self, first: int, last: int) -> slice:
        """Return the indices of the scan's axis that need no voxel but those from `first` to `last`, both included."""
        inside = np.flatnonzero((self.lower >= first) & (self.upper <= last))
        return slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0)


@dataclass(frozen=True)
class Places:
    """Voxels of one plane of the scan, by their indices, and where they lie in the network's grid.

    Attributes:
        index: (3, n) indices in the scan.
        lower: (3, n) voxel before each in the network's grid.
        upper: (3, n) voxel after it.
        weight: (3, n) of the upper voxel, float32.
    """

    index: NDArray[np.int64]
    lower: NDArray[np.int64]
    upper: NDArray[np.int64]
    weight: NDArray[np.float32]


def grid_change(network_affine: NDArray[np.float64], scan_affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix from the scan's voxel indices to the network grid's; affines 4x4, voxel to world."""
    return np.asarray(np.linalg.solve(network_affine, scan_affine))


def straight_axes(
    change: NDArray[np.float64], shape: Sequence[int], network_shape: Sequence[int]
) -> tuple[Axis, ...] | None:
    """Return the three axes of the network's grid where each runs along one of the scan's, else None.

    Args:
        change: 4x4, from the scan's indices to the network grid's.
        shape: of the scan.
        network_shape: of the network's grid.
    """
    linear = change[:3, :3]
    along = [int(axis) for axis in np.abs(linear).argmax(axis=1)]
    lean = np.abs(linear) * (np.asarray(shape) - 1)
    lean[range(3), along] = 0
    if sorted(along) != [0, 1, 2] or lean.max() > _STRAIGHT:
        return None
    axes = []
    for axis, scan_axis in enumerate(along):
        place = linear[axis, scan_axis] * np.arange(shape[scan_axis]) + change[axis, 3]
        axes.append(Axis(scan_axis, *_around(place, network_shape[axis])))
    return tuple(axes)


def leaning_places(
    change: NDArray[np.float64],
    shape: Sequence[int],
    network_shape: Sequence[int],
    first: Sequence[int],
    last: Sequence[int],
) -> Iterator[Places]:
    """Yield the scan's voxels that need no voxel of the network's grid but those of a box, plane by plane.

    Args:
        change: 4x4, from the scan's indices to the network grid's.
        shape: of the scan.
        network_shape: of the network's grid.
        first: the box's first voxel.
        last: its last one, which belongs to it.
    """
    normal = int(np.abs(change[0, :3]).argmax())
    others = [axis for axis in range(3) if axis != normal]
    grid = np.indices([shape[axis] for axis in others]).reshape(2, -1)
    ends = np.array([[0, 0, shape[others[0]] - 1, shape[others[0]] - 1], [0, shape[others[1]] - 1] * 2])
    for number in range(shape[normal]):
        start = change[:3, normal] * number + change[:3, 3]
        reach = change[0, others] @ ends + start[0]
        if reach.max() < first[0] - 1 and first[0] > 0:
            continue
        if reach.min() > last[0] + 1 and last[0] < network_shape[0] - 1:
            continue
        place = change[:3, others] @ grid + start[:, None]
        lower, upper, weight = (np.stack(parts) for parts in zip(*map(_around, place, network_shape), strict=True))
        inside = ((lower >= np.reshape(first, (3, 1))) & (upper <= np.reshape(last, (3, 1)))).all(axis=0)
        if inside.any():
            index = np.empty((3, int(inside.sum())), np.int64)
            index[normal] = number
            index[others] = grid[:, inside]
            yield Places(index, lower[:, inside], upper[:, inside], weight[:, inside])


def _around(
    place: NDArray[np.float64], length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return the voxels before and after places on an axis of this length, and the weight of the one after.

    Beyond the border the border's voxel goes on, as MONAI's padding mode "border" has it.
    """
    inside = np.clip(place, 0, length - 1)
    nearest = np.rint(inside)
    inside = np.where(np.abs(inside - nearest) < _WHOLE, nearest, inside)
    lower = np.floor(inside).astype(np.int64)
    upper = np.ceil(inside).astype(np.int64)
    return lower, upper, (inside - lower).astype(np.float32)
