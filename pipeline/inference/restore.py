"""Turn rows of logits in the network's grid into labels in the scan's grid, slab by slab.

The label of a voxel is the most probable class after linear interpolation of the classes' probabilities. It equals that
of MONAI's softmax, ``Invertd`` in bilinear mode and argmax, without their (classes, X, Y, Z) array in the scan's grid.
Interpolation is a weighted mean. Where all voxels around a position have the same most probable class, the mean has it
too, so only positions between different classes are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import log
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .places import Axis, Places, find_leaning_places, find_straight_axes

__all__ = ["ScanGridLabels"]

_PLACES = 1 << 22  # voxels of the scan that are filled at a time
_TILE = 1 << 18  # positions whose probabilities are gathered at a time
_DENSE = 0.2  # above this share of all positions, gathering some is slower than interpolating all
_MAX_BYTE_CLASSES = 256  # classes that fit a byte


class ScanGridLabels:
    """The label map in the scan's grid, filled as rows of logits are added; on request also probabilities and entropy.

    Args:
        shape: shape of the scan, (X, Y, Z); (X, Y, 1) for a 2D image.
        network_shape: shape of the network's grid, likewise.
        change: 4x4, from the scan's voxel indices to the network grid's: see `compute_grid_change`.
        classes: number of classes K.
        probabilities: float32 array (X, Y, Z, K) to fill, or None.
        entropy: float32 array (X, Y, Z) to fill, or None. Entropy of the classes' probabilities, from 0 (one class
            certain) to 1 (all equal), computed in the network's grid and interpolated.

    Attributes:
        labels: (X, Y, Z), in the smallest unsigned integer type that holds K classes.
    """

    def __init__(
        self,
        shape: Sequence[int],
        network_shape: Sequence[int],
        change: NDArray[np.float64],
        *,
        classes: int,
        probabilities: NDArray[np.float32] | None = None,
        entropy: NDArray[np.float32] | None = None,
    ) -> None:
        self.shape = tuple(int(n) for n in shape)
        self.network_shape = tuple(int(n) for n in network_shape)
        self.change = change
        self.classes = classes
        self.probabilities, self.entropy = probabilities, entropy
        self.labels: NDArray[Any] = np.zeros(self.shape, np.uint8 if classes <= _MAX_BYTE_CLASSES else np.uint16)
        self._axes = find_straight_axes(change, self.shape, self.network_shape)
        self._last: Tensor | None = None

    def add(self, start: int, logits: Tensor, *, second: int = 0) -> None:
        """Add rows of logits of the network's grid.

        Args:
            start: index of the first row along axis 0. Rows must come in order without gaps, from 0 for each strip.
            logits: (K, rows, *others).
            second: index along axis 1 where the strip starts. Neighbouring strips share a line.
        """
        logits = logits.reshape(*logits.shape, *[1] * (4 - logits.ndim))
        probabilities = torch.softmax(logits, dim=0)
        if start > 0 and self._last is not None:
            # Positions between the previous call's last row and the first row here need both.
            probabilities = torch.cat([self._last, probabilities], dim=1)
            start -= 1
        self._last = probabilities[:, -1:].clone()
        first = (start, second, 0)
        last = tuple(begin + length - 1 for begin, length in zip(first, probabilities.shape[1:], strict=True))
        if self._axes is not None:
            self._fill_straight(self._axes, probabilities, first, last)
        else:
            self._fill_leaning(probabilities, first, last)

    def _fill_straight(
        self, axes: Sequence[Axis], probabilities: Tensor, first: Sequence[int], last: Sequence[int]
    ) -> None:
        """Fill the part of the scan that needs only this box of the network's grid (K, rows, Y, Z)."""
        taken = [axis.between(low, high) for axis, low, high in zip(axes, first, last, strict=True)]
        lengths = [part.stop - part.start for part in taken]
        if not all(lengths):
            return
        entropy = None if self.entropy is None else _compute_entropy(probabilities)
        # A scan with finer voxels has many more voxels than the box, so it is filled in parts.
        step = max(1, _PLACES // (lengths[1] * lengths[2]))
        for start in range(taken[0].start, taken[0].stop, step):
            part = [slice(start, min(start + step, taken[0].stop)), *taken[1:]]
            self._fill_part(axes, part, first, probabilities, entropy)

    def _fill_part(
        self,
        axes: Sequence[Axis],
        taken: Sequence[slice],
        first: Sequence[int],
        probabilities: Tensor,
        entropy: Tensor | None,
    ) -> None:
        box = _Box(axes, taken, first, probabilities.device)
        scan_axes = [axis.scan_axis for axis in axes]
        order = [scan_axes.index(axis) for axis in range(3)]
        where = tuple(taken[axis] for axis in order)
        self.labels[where] = box.labels(probabilities, self.labels.dtype).permute(order).cpu().numpy()
        if self.entropy is not None and entropy is not None:
            self.entropy[where] = box.interpolate(entropy).permute(order).cpu().numpy()
        if self.probabilities is not None:
            for number, one in enumerate(probabilities):
                self.probabilities[..., number][where] = box.interpolate(one).permute(order).cpu().numpy()

    def _fill_leaning(self, probabilities: Tensor, first: Sequence[int], last: Sequence[int]) -> None:
        """Do the same for leaning axes, plane by plane of the scan."""
        flat = probabilities.flatten(1)
        best = _most_probable(probabilities, torch.int32).flatten()
        entropy = _compute_entropy(probabilities).flatten()[None] if self.entropy is not None else None
        shape = tuple(probabilities.shape[1:])
        for places in find_leaning_places(self.change, self.shape, self.network_shape, first, last):
            corners, weights = _find_corners(places, first, shape, flat.device)
            around = best[corners]
            labels = around[0].clone()
            between = (around != around[0]).any(dim=0).nonzero()[:, 0]
            for tile in between.split(max(1, _TILE // self.classes)):
                labels[tile] = _most_probable(_weighted_mean(flat, corners[:, tile], weights[:, tile]), torch.int32)
            where = tuple(places.index)
            self.labels[where] = labels.cpu().numpy()
            if self.entropy is not None and entropy is not None:
                self.entropy[where] = _weighted_mean(entropy, corners, weights)[0].cpu().numpy()
            if self.probabilities is not None:
                self.probabilities[where] = _weighted_mean(flat, corners, weights).T.cpu().numpy()


class _Box:
    """A box of the network's grid, from which a part of the scan is interpolated, in the network's order of axes."""

    def __init__(
        self, axes: Sequence[Axis], taken: Sequence[slice], first: Sequence[int], device: torch.device
    ) -> None:
        self.sides = [
            (
                torch.as_tensor(axis.lower[part] - begin, device=device),
                torch.as_tensor(axis.upper[part] - begin, device=device),
                torch.as_tensor(axis.weight[part], device=device),
            )
            for axis, part, begin in zip(axes, taken, first, strict=True)
        ]

    def interpolate(self, values: Tensor) -> Tensor:
        """Interpolate values (rows, Y, Z)."""
        for axis, (lower, upper, weight) in enumerate(self.sides):
            low = values.index_select(axis, lower)
            if not torch.equal(lower, upper):
                shape = [-1 if other == axis else 1 for other in range(3)]
                low.lerp_(values.index_select(axis, upper), weight.view(shape))
            values = low
        return values

    def labels(self, probabilities: Tensor, dtype: np.dtype[Any]) -> Tensor:
        """Return the most probable class at every position."""
        best = _most_probable(probabilities, torch.uint8 if dtype == np.uint8 else torch.int32)
        lowest = highest = best
        for axis, (lower, upper, _) in enumerate(self.sides):
            if torch.equal(lower, upper):
                # One array serves as both bounds until they can differ.
                same = lowest is highest
                lowest = lowest.index_select(axis, lower)
                highest = lowest if same else highest.index_select(axis, lower)
            else:
                sides = [one.index_select(axis, place) for one in (lowest, highest) for place in (lower, upper)]
                lowest = torch.minimum(sides[0], sides[1])
                highest = torch.maximum(sides[2], sides[3])
        if lowest is not highest:
            flat, shape = probabilities.flatten(1), tuple(probabilities.shape[1:])
            between = (lowest != highest).flatten().nonzero()[:, 0]
            if len(between) > _DENSE * lowest.numel():
                return self._compute_all_labels(probabilities, lowest.dtype)
            result = lowest.flatten()
            for tile in between.split(max(1, _TILE // len(flat))):
                places = torch.unravel_index(tile, lowest.shape)
                corners, weights = self._find_corners(places, shape)
                result[tile] = _most_probable(_weighted_mean(flat, corners, weights), result.dtype)
            lowest = result.view(lowest.shape)
        return lowest

    def _compute_all_labels(self, probabilities: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the most probable class at every position, by interpolating all probabilities class by class."""
        highest = self.interpolate(probabilities[0])
        best = torch.zeros_like(highest, dtype=dtype)
        for number in range(1, len(probabilities)):
            _update_best(best, highest, self.interpolate(probabilities[number]), number)
        return best

    def _find_corners(self, places: Sequence[Tensor], shape: Sequence[int]) -> tuple[Tensor, Tensor]:
        lower, upper, weight = (
            torch.stack([side[part][place] for side, place in zip(self.sides, places, strict=True)])
            for part in range(3)
        )
        return _find_neighbours(lower, upper, weight, shape)


def _find_corners(
    places: Places, first: Sequence[int], shape: Sequence[int], device: torch.device
) -> tuple[Tensor, Tensor]:
    begin = np.reshape(first, (3, 1))
    lower, upper, weight = (
        torch.as_tensor(part, device=device) for part in (places.lower - begin, places.upper - begin, places.weight)
    )
    return _find_neighbours(lower, upper, weight, shape)


def _find_neighbours(lower: Tensor, upper: Tensor, weight: Tensor, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the flat indices (8, n) of the voxels around positions, and their weights (8, n)."""
    indices, weights = [], []
    for corner in product((0, 1), repeat=3):
        x, y, z = ((upper if up else lower)[axis] for axis, up in enumerate(corner))
        indices.append((x * shape[1] + y) * shape[2] + z)
        parts = [weight[axis] if up else 1 - weight[axis] for axis, up in enumerate(corner)]
        weights.append(parts[0] * parts[1] * parts[2])
    return torch.stack(indices), torch.stack(weights)


def _weighted_mean(values: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
    """Return the means (K, n) of values (K, voxels) at corners (8, n) with weights (8, n)."""
    result = values[:, corners[0]] * weights[0]
    for corner, weight in zip(corners[1:], weights[1:], strict=True):
        result.addcmul_(values[:, corner], weight)
    return result


def _most_probable(probabilities: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the most probable class, the first of equals: (K, ...) to (...).

    It equals argmax, which is many times slower over the outermost axis.
    """
    best = torch.zeros(probabilities.shape[1:], dtype=dtype, device=probabilities.device)
    highest = probabilities[0].clone()
    for number in range(1, len(probabilities)):
        _update_best(best, highest, probabilities[number], number)
    return best


def _update_best(best: Tensor, highest: Tensor, other: Tensor, number: int) -> None:
    """Write a class in place where it is more probable than the best so far."""
    best.masked_fill_(other > highest, number)
    torch.maximum(highest, other, out=highest)


def _compute_entropy(probabilities: Tensor) -> Tensor:
    """Return the entropy of (K, ...) as a share of its maximum, the logarithm of K."""
    total: Tensor = torch.special.entr(probabilities).sum(dim=0)
    return total / log(max(2, len(probabilities)))
