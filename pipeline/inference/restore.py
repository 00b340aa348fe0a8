"""From rows of logits in the network's grid to the scan's own grid, a slab at a time.

The label of a voxel is the most probable class after linear interpolation of the classes' probabilities, as MONAI's
softmax, ``Invertd`` in bilinear mode and argmax give it; the (classes, X, Y, Z) array of probabilities that those make
in the scan's own grid never exists. Where the voxels around a place agree on the class, interpolation, a mean of
probabilities that all have it on top, cannot change it: only places between classes are computed.
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

from .places import Axis, Places, leaning_places, straight_axes

__all__ = ["Restored"]

_PLACES = 1 << 22  # of the scan that are filled at a time
_TILE = 1 << 18  # places whose probabilities are gathered at a time
_DENSE = 0.2  # of all places: from there on gathering some takes longer than interpolating all
_MOST_BYTE = 256  # classes that a byte can tell apart


class Restored:
    """A label map in the scan's own grid, and what was asked for beside it, growing as rows come in.

    Args:
        shape: of the scan, (X, Y, Z); a 2D image has (X, Y, 1).
        network_shape: of the network's grid, likewise.
        change: 4x4, from the scan's voxel indices to the network grid's, as `grid_change` gives it.
        classes: K.
        probabilities: float32 array (X, Y, Z, K) to fill, or None.
        entropy: float32 array (X, Y, Z) to fill with the entropy of the classes' probabilities, 0 (one class) to 1
            (all alike), interpolated like these; or None.

    Attributes:
        labels: (X, Y, Z), the smallest unsigned integers that hold K classes.
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
        self.labels: NDArray[Any] = np.zeros(self.shape, np.uint8 if classes <= _MOST_BYTE else np.uint16)
        self._axes = straight_axes(change, self.shape, self.network_shape)
        self._last: Tensor | None = None

    def add(self, start: int, logits: Tensor, *, second: int = 0) -> None:
        """Take rows of logits of the network's grid.

        Args:
            start: of the first row, along axis 0. Rows come in order and without gaps, from 0 on for every strip.
            logits: (K, rows, *others).
            second: where the rows begin along axis 1: of a strip. Strips share a line with their neighbours.
        """
        logits = logits.reshape(*logits.shape, *[1] * (4 - logits.ndim))
        probabilities = torch.softmax(logits, dim=0)
        if start > 0 and self._last is not None:
            # Between the last row of before and the first of these are places, too.
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
        """Fill the part of the scan that a box of the network's grid (K, rows, Y, Z) is enough for."""
        taken = [axis.between(low, high) for axis, low, high in zip(axes, first, last, strict=True)]
        lengths = [part.stop - part.start for part in taken]
        if not all(lengths):
            return
        entropy = None if self.entropy is None else _entropy(probabilities)
        # A scan of finer voxels has many times as many places as the box has: not all of them at a time.
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
            self.entropy[where] = box.interpolated(entropy).permute(order).cpu().numpy()
        if self.probabilities is not None:
            for number, one in enumerate(probabilities):
                self.probabilities[..., number][where] = box.interpolated(one).permute(order).cpu().numpy()

    def _fill_leaning(self, probabilities: Tensor, first: Sequence[int], last: Sequence[int]) -> None:
        """Do the same where axes lean, plane by plane of the scan."""
        flat = probabilities.flatten(1)
        best = _top(probabilities, torch.int32).flatten()
        entropy = _entropy(probabilities).flatten()[None] if self.entropy is not None else None
        shape = tuple(probabilities.shape[1:])
        for places in leaning_places(self.change, self.shape, self.network_shape, first, last):
            corners, weights = _corners(places, first, shape, flat.device)
            around = best[corners]
            labels = around[0].clone()
            between = (around != around[0]).any(dim=0).nonzero()[:, 0]
            for tile in between.split(max(1, _TILE // self.classes)):
                labels[tile] = _top(_mixed(flat, corners[:, tile], weights[:, tile]), torch.int32)
            where = tuple(places.index)
            self.labels[where] = labels.cpu().numpy()
            if self.entropy is not None and entropy is not None:
                self.entropy[where] = _mixed(entropy, corners, weights)[0].cpu().numpy()
            if self.probabilities is not None:
                self.probabilities[where] = _mixed(flat, corners, weights).T.cpu().numpy()


class _Box:
    """A box of the network's grid, and the part of the scan that is interpolated from it, in the network's order."""

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

    def interpolated(self, values: Tensor) -> Tensor:
        """Interpolate values (rows, Y, Z)."""
        for axis, (lower, upper, weight) in enumerate(self.sides):
            low = values.index_select(axis, lower)
            if not torch.equal(lower, upper):
                shape = [-1 if other == axis else 1 for other in range(3)]
                low.lerp_(values.index_select(axis, upper), weight.view(shape))
            values = low
        return values

    def labels(self, probabilities: Tensor, dtype: np.dtype[Any]) -> Tensor:
        """Return the most probable class of every place."""
        best = _top(probabilities, torch.uint8 if dtype == np.uint8 else torch.int32)
        lowest = highest = best
        for axis, (lower, upper, _) in enumerate(self.sides):
            if torch.equal(lower, upper):
                # A second array only where the first says too little.
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
                return self._all(probabilities, lowest.dtype)
            result = lowest.flatten()
            for tile in between.split(max(1, _TILE // len(flat))):
                places = torch.unravel_index(tile, lowest.shape)
                corners, weights = self._corners(places, shape)
                result[tile] = _top(_mixed(flat, corners, weights), result.dtype)
            lowest = result.view(lowest.shape)
        return lowest

    def _all(self, probabilities: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the most probable class of every place, all of them interpolated, class by class."""
        highest = self.interpolated(probabilities[0])
        best = torch.zeros_like(highest, dtype=dtype)
        for number in range(1, len(probabilities)):
            _raise(best, highest, self.interpolated(probabilities[number]), number)
        return best

    def _corners(self, places: Sequence[Tensor], shape: Sequence[int]) -> tuple[Tensor, Tensor]:
        lower, upper, weight = (
            torch.stack([side[part][place] for side, place in zip(self.sides, places, strict=True)])
            for part in range(3)
        )
        return _around(lower, upper, weight, shape)


def _corners(places: Places, first: Sequence[int], shape: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    begin = np.reshape(first, (3, 1))
    lower, upper, weight = (
        torch.as_tensor(part, device=device) for part in (places.lower - begin, places.upper - begin, places.weight)
    )
    return _around(lower, upper, weight, shape)


def _around(lower: Tensor, upper: Tensor, weight: Tensor, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the flat indices (8, n) of the voxels around places, and their weights (8, n)."""
    indices, weights = [], []
    for corner in product((0, 1), repeat=3):
        x, y, z = ((upper if up else lower)[axis] for axis, up in enumerate(corner))
        indices.append((x * shape[1] + y) * shape[2] + z)
        parts = [weight[axis] if up else 1 - weight[axis] for axis, up in enumerate(corner)]
        weights.append(parts[0] * parts[1] * parts[2])
    return torch.stack(indices), torch.stack(weights)


def _mixed(values: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
    """Return the means (K, n) of values (K, voxels) at corners (8, n) with weights (8, n)."""
    result = values[:, corners[0]] * weights[0]
    for corner, weight in zip(corners[1:], weights[1:], strict=True):
        result.addcmul_(values[:, corner], weight)
    return result


def _top(probabilities: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the first of the most probable classes, (K, ...) to (...).

    Like argmax, which takes many times as long over the outermost axis.
    """
    best = torch.zeros(probabilities.shape[1:], dtype=dtype, device=probabilities.device)
    highest = probabilities[0].clone()
    for number in range(1, len(probabilities)):
        _raise(best, highest, probabilities[number], number)
    return best


def _raise(best: Tensor, highest: Tensor, other: Tensor, number: int) -> None:
    """Put a class where it is more probable than the best of those before it."""
    best.masked_fill_(other > highest, number)
    torch.maximum(highest, other, out=highest)


def _entropy(probabilities: Tensor) -> Tensor:
    """Return the entropy of (K, ...) as a share of the highest possible, logarithm of K."""
    total: Tensor = torch.special.entr(probabilities).sum(dim=0)
    return total / log(max(2, len(probabilities)))
