"""Interpolate from a box of the network's grid to the part of the scan that needs only this box."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from .buffers import Buffers, take_along
from .decisions import Decision
from .places import Axis

__all__ = ["Box", "find_neighbours"]

_TILE = 1 << 18  # positions whose probabilities are gathered at a time
_DENSE = 0.08  # above this share of all positions, gathering some is slower than interpolating all


class Box:
    """A box of the network's grid, from which a part of the scan is interpolated, in the network's order of axes.

    Args:
        axes: the axes of the network's grid.
        taken: the part of the scan, along each of these axes.
        first: first voxel of the box.
        buffers: arrays to work in; results are in them, until the next call.
    """

    def __init__(self, axes: Sequence[Axis], taken: Sequence[slice], first: Sequence[int], buffers: Buffers) -> None:
        self.buffers = buffers
        self.sides = [
            (
                torch.as_tensor(axis.lower[part] - begin, device=buffers.device),
                torch.as_tensor(axis.upper[part] - begin, device=buffers.device),
                torch.as_tensor(axis.weight[part], device=buffers.device),
            )
            for axis, part, begin in zip(axes, taken, first, strict=True)
        ]
        self.shape = tuple(len(weight) for _, _, weight in self.sides)

    def interpolate(self, values: Tensor) -> Tensor:
        """Interpolate values (rows, Y, Z), axis by axis."""
        for axis, (lower, upper, weight) in enumerate(self.sides):
            low = self._take(values, axis, lower, "low")
            if not torch.equal(lower, upper):
                shape = [-1 if other == axis else 1 for other in range(3)]
                up = self._take(values, axis, upper, "up")
                out = self.buffers.get(f"between {axis}", low.shape, low.dtype)
                low = torch.lerp(low, up, weight.view(shape), out=out)
            values = low
        return values

    def labels(self, probabilities: Tensor, best: Tensor, decision: Decision) -> Tensor:
        """Return the decided value at every position.

        Args:
            probabilities: (K, rows, Y, Z).
            best: the decided value of each voxel, (rows, Y, Z).
            decision: decides it from probabilities.
        """
        lowest = highest = best
        for axis, (lower, upper, _) in enumerate(self.sides):
            if torch.equal(lower, upper):
                # One array serves as both bounds until they can differ.
                same = lowest is highest
                lowest = self._take(lowest, axis, lower, f"lowest {axis}")
                highest = lowest if same else self._take(highest, axis, lower, f"highest {axis}")
            else:
                bounds = []
                for values, pick, name in ((lowest, torch.minimum, "lowest"), (highest, torch.maximum, "highest")):
                    low = self._take(values, axis, lower, "label low")
                    up = self._take(values, axis, upper, "label up")
                    bounds.append(pick(low, up, out=self.buffers.get(f"{name} {axis}", low.shape, low.dtype)))
                lowest, highest = bounds
        if lowest is highest:
            return lowest
        flat, shape = probabilities.flatten(1), tuple(probabilities.shape[1:])
        between = (lowest != highest).flatten().nonzero()[:, 0]
        if len(between) > _DENSE * lowest.numel():
            # Interpolate all probabilities, channel by channel.
            return decision.choose(map(self.interpolate, probabilities), lowest.dtype, self.buffers)
        result = lowest.flatten()
        for tile in between.split(max(1, _TILE // len(flat))):
            places = torch.unravel_index(tile, lowest.shape)
            corners, weights = self._find_corners(places, shape)
            interpolated = _interpolate_corners(flat, corners, weights)
            result[tile] = decision.choose(interpolated, result.dtype, self.buffers, " of a tile")
        return result.view(lowest.shape)

    def _take(self, values: Tensor, axis: int, index: Tensor, name: str) -> Tensor:
        """Return the values at indices along an axis; the values themselves if these are all of them."""
        length = values.shape[axis]
        if len(index) == length and int(index[0]) == 0 and int(index[-1]) == length - 1 and _is_every(index):
            return values
        shape = [len(index) if other == axis else size for other, size in enumerate(values.shape)]
        return take_along(values, axis, index, self.buffers.get(f"{name} of {axis}", shape, values.dtype))

    def _find_corners(self, places: Sequence[Tensor], shape: Sequence[int]) -> tuple[Tensor, Tensor]:
        lower, upper, weight = (
            torch.stack([side[part][place] for side, place in zip(self.sides, places, strict=True)])
            for part in range(3)
        )
        return find_neighbours(lower, upper, shape), weight


def find_neighbours(lower: Tensor, upper: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the flat indices (8, n) of the voxels around positions, the last axis changing fastest.

    Args:
        lower: (3, n) voxel before each position.
        upper: (3, n) voxel after it.
        shape: shape of the grid.
    """
    indices = []
    for corner in product((0, 1), repeat=3):
        x, y, z = ((upper if up else lower)[axis] for axis, up in enumerate(corner))
        indices.append((x * shape[1] + y) * shape[2] + z)
    return torch.stack(indices)


def _is_every(index: Tensor) -> bool:
    return bool((index.diff() == 1).all())


def _interpolate_corners(values: Tensor, corners: Tensor, weight: Tensor) -> Tensor:
    """Return values (K, n) at positions between corners (8, n), axis by axis as `Box.interpolate` does.

    Args:
        values: (K, voxels).
        corners: flat indices, see `find_neighbours`.
        weight: (3, n) weight of the upper voxel along each axis.
    """
    around = [values[:, corner] for corner in corners]
    for axis in range(3):
        half = len(around) // 2
        around = [torch.lerp(low, up, weight[axis]) for low, up in zip(around[:half], around[half:], strict=True)]
    return around[0]
