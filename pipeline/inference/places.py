"""Find the position of a scan's voxels in the network's grid, whose axes are parallel to the scan's or lean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Axis", "Places", "compute_grid_change", "find_leaning_places", "find_straight_axes"]

# A straight axis may lean by this many voxels from end to end, since direction cosines are rounded to six digits.
_MAX_LEAN = 1e-3
_MAX_ROUNDING = 1e-4  # voxels: a smaller offset is a rounding error of the affine, and not interpolated


@dataclass(frozen=True)
class Axis:
    """One axis of the network's grid that is parallel to an axis of the scan.

    Attributes:
        scan_axis: the parallel axis of the scan.
        lower: for each index of the scan's axis, the voxel of the network's grid before it.
        upper: the voxel after it; equal to `lower` where nothing is interpolated, and at the border.
        weight: weight of the upper voxel, 0 to 1, float32.
    """

    scan_axis: int
    lower: NDArray[np.int64]
    upper: NDArray[np.int64]
    weight: NDArray[np.float32]

    def between(self, first: int, last: int) -> slice:
        """Return the indices of the scan's axis that need only the voxels from `first` to `last`, both included."""
        inside = np.flatnonzero((self.lower >= first) & (self.upper <= last))
        return slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0)


@dataclass(frozen=True)
class Places:
    """Voxels of one plane of the scan, and their positions in the network's grid.

    Attributes:
        index: (3, n) indices in the scan.
        lower: (3, n) voxel before each position in the network's grid.
        upper: (3, n) voxel after it.
        weight: (3, n) weight of the upper voxel, float32.
    """

    index: NDArray[np.int64]
    lower: NDArray[np.int64]
    upper: NDArray[np.int64]
    weight: NDArray[np.float32]


def compute_grid_change(network_affine: NDArray[np.float64], scan_affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix from the scan's voxel indices to the network grid's; affines 4x4, voxel to world."""
    return np.asarray(np.linalg.solve(network_affine, scan_affine))


def find_straight_axes(
    change: NDArray[np.float64], shape: Sequence[int], network_shape: Sequence[int]
) -> tuple[Axis, ...] | None:
    """Return the three axes of the network's grid if each is parallel to an axis of the scan, else None.

    Args:
        change: 4x4, from the scan's indices to the network grid's.
        shape: shape of the scan.
        network_shape: shape of the network's grid.
    """
    linear = change[:3, :3]
    along = [int(axis) for axis in np.abs(linear).argmax(axis=1)]
    lean = np.abs(linear) * (np.asarray(shape) - 1)
    lean[range(3), along] = 0
    if sorted(along) != [0, 1, 2] or lean.max() > _MAX_LEAN:
        return None
    axes = []
    for axis, scan_axis in enumerate(along):
        place = linear[axis, scan_axis] * np.arange(shape[scan_axis]) + change[axis, 3]
        axes.append(Axis(scan_axis, *_find_neighbours(place, network_shape[axis])))
    return tuple(axes)


def find_leaning_places(
    change: NDArray[np.float64],
    shape: Sequence[int],
    network_shape: Sequence[int],
    first: Sequence[int],
    last: Sequence[int],
) -> Iterator[Places]:
    """Yield the scan's voxels that need only voxels in a box of the network's grid, plane by plane.

    Args:
        change: 4x4, from the scan's indices to the network grid's.
        shape: shape of the scan.
        network_shape: shape of the network's grid.
        first: first voxel of the box.
        last: last voxel of the box, included.
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
        lower, upper, weight = (
            np.stack(parts) for parts in zip(*map(_find_neighbours, place, network_shape), strict=True)
        )
        inside = ((lower >= np.reshape(first, (3, 1))) & (upper <= np.reshape(last, (3, 1)))).all(axis=0)
        if inside.any():
            index = np.empty((3, int(inside.sum())), np.int64)
            index[normal] = number
            index[others] = grid[:, inside]
            yield Places(index, lower[:, inside], upper[:, inside], weight[:, inside])


def _find_neighbours(
    place: NDArray[np.float64], length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return the voxels before and after positions on an axis of this length, and the weight of the one after.

    Beyond the border the border's voxel is repeated, like MONAI's padding mode "border".
    """
    inside = np.clip(place, 0, length - 1)
    nearest = np.rint(inside)
    inside = np.where(np.abs(inside - nearest) < _MAX_ROUNDING, nearest, inside)
    lower = np.floor(inside).astype(np.int64)
    upper = np.ceil(inside).astype(np.int64)
    return lower, upper, (inside - lower).astype(np.float32)
