"""Turn rows of logits in the network's grid into labels in the scan's grid, slab by slab.

The label of a voxel is the most probable class after linear interpolation of the classes' probabilities. It equals that
of MONAI's softmax, ``Invertd`` in bilinear mode and argmax, without their (classes, X, Y, Z) array in the scan's grid.
Interpolation is a weighted mean. Where all voxels around a position have the same most probable class, the mean has it
too, so only positions between different classes are computed. The same holds for regions, whose probabilities are
sigmoids, and for the pattern of those above 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .boxes import Box, find_neighbours
from .buffers import Buffers
from .decisions import MostProbable, RegionPatterns, fits_byte
from .places import Axis, Places, find_leaning_places, find_straight_axes

__all__ = ["ScanGridLabels"]

_PLACES = 1 << 19  # voxels of the scan that are filled at a time; a few such arrays fit into a processor's cache
_TILE = 1 << 18  # positions whose probabilities are gathered at a time


class ScanGridLabels:
    """The label map in the scan's grid, filled as rows of logits are added; on request also probabilities and entropy.

    Args:
        shape: shape of the scan, (X, Y, Z); (X, Y, 1) for a 2D image.
        network_shape: shape of the network's grid, likewise.
        change: 4x4, from the scan's voxel indices to the network grid's: see `compute_grid_change`.
        classes: number of classes K; of regions, if `regions`.
        regions: whether the network's channels are regions, which may overlap.
        probabilities: float32 array (X, Y, Z, K) to fill, or None.
        entropy: float32 array (X, Y, Z) to fill, or None. Entropy of the classes' probabilities, from 0 (one class
            certain) to 1 (all equal), computed in the network's grid and interpolated. Of regions: the mean of their
            own entropies, each from 0 (certainly inside or outside) to 1.

    Attributes:
        labels: (X, Y, Z), in the smallest unsigned integer type that holds K classes. Of regions: the pattern of each
            voxel, the sum of 2**k over the regions k that it is in.
    """

    def __init__(
        self,
        shape: Sequence[int],
        network_shape: Sequence[int],
        change: NDArray[np.float64],
        *,
        classes: int,
        regions: bool = False,
        probabilities: NDArray[np.float32] | None = None,
        entropy: NDArray[np.float32] | None = None,
    ) -> None:
        self.shape = tuple(int(n) for n in shape)
        self.network_shape = tuple(int(n) for n in network_shape)
        self.change = change
        self.classes = classes
        self.probabilities, self.entropy = probabilities, entropy
        self.decision = RegionPatterns(classes) if regions else MostProbable(classes)
        self.labels: NDArray[Any] = np.zeros(self.shape, np.uint8 if fits_byte(self.decision) else np.uint16)
        self._axes = find_straight_axes(change, self.shape, self.network_shape)
        self._last: Tensor | None = None
        self._buffers: Buffers | None = None

    def add(self, start: int, logits: Tensor, *, second: int = 0) -> None:
        """Add rows of logits of the network's grid.

        Args:
            start: index of the first row along axis 0. Rows must come in order without gaps, from 0 for each strip.
            logits: (K, rows, *others).
            second: index along axis 1 where the strip starts. Neighbouring strips share a line.
        """
        logits = logits.reshape(*logits.shape, *[1] * (4 - logits.ndim))
        if self._buffers is None:
            self._buffers = Buffers(logits.device)
        probabilities = self._buffers.get("probabilities", logits.shape)
        self.decision.activate(logits, probabilities)
        if start > 0 and self._last is not None:
            # Positions between the previous call's last row and the first row here need both.
            shape = (len(logits), logits.shape[1] + 1, *logits.shape[2:])
            joined = self._buffers.get("joined", shape)
            probabilities = torch.cat([self._last, probabilities], dim=1, out=joined)
            start -= 1
        self._last = self._buffers.get("last", (len(logits), 1, *logits.shape[2:])).copy_(probabilities[:, -1:])
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
        buffers = self._buffers or Buffers(probabilities.device)
        dtype = torch.uint8 if self.labels.dtype == np.uint8 else torch.int32
        best = self.decision.choose(probabilities, dtype, buffers, " of the box")
        entropy = None if self.entropy is None else self.decision.entropy(probabilities)
        scan_axes = [axis.scan_axis for axis in axes]
        order = [scan_axes.index(axis) for axis in range(3)]
        # A scan with finer voxels has many more voxels than the box, so it is filled in parts.
        step = max(1, _PLACES // (lengths[1] * lengths[2]))
        for start in range(taken[0].start, taken[0].stop, step):
            part = [slice(start, min(start + step, taken[0].stop)), *taken[1:]]
            box = Box(axes, part, first, buffers)
            where = tuple(part[axis] for axis in order)
            self.labels[where] = box.labels(probabilities, best, self.decision).permute(order).cpu().numpy()
            if self.entropy is not None and entropy is not None:
                self.entropy[where] = box.interpolate(entropy).permute(order).cpu().numpy()
            if self.probabilities is not None:
                for number, one in enumerate(probabilities):
                    self.probabilities[..., number][where] = box.interpolate(one).permute(order).cpu().numpy()

    def _fill_leaning(self, probabilities: Tensor, first: Sequence[int], last: Sequence[int]) -> None:
        """Do the same for leaning axes, plane by plane of the scan."""
        flat = probabilities.flatten(1)
        buffers = self._buffers or Buffers(flat.device)
        best = self.decision.choose(probabilities, torch.int32, buffers, " of the box").flatten()
        entropy = self.decision.entropy(probabilities).flatten()[None] if self.entropy is not None else None
        shape = tuple(probabilities.shape[1:])
        for places in find_leaning_places(self.change, self.shape, self.network_shape, first, last):
            corners, weights = _find_corners(places, first, shape, flat.device)
            around = best[corners]
            labels = around[0].clone()
            between = (around != around[0]).any(dim=0).nonzero()[:, 0]
            for tile in between.split(max(1, _TILE // self.classes)):
                means = _weighted_mean(flat, corners[:, tile], weights[:, tile])
                labels[tile] = self.decision.choose(means, torch.int32, buffers, " of a tile")
            where = tuple(places.index)
            self.labels[where] = labels.cpu().numpy()
            if self.entropy is not None and entropy is not None:
                self.entropy[where] = _weighted_mean(entropy, corners, weights)[0].cpu().numpy()
            if self.probabilities is not None:
                self.probabilities[where] = _weighted_mean(flat, corners, weights).T.cpu().numpy()


def _find_corners(
    places: Places, first: Sequence[int], shape: Sequence[int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the flat indices (8, n) of the voxels around positions, and their weights (8, n)."""
    begin = np.reshape(first, (3, 1))
    lower, upper, weight = (
        torch.as_tensor(part, device=device) for part in (places.lower - begin, places.upper - begin, places.weight)
    )
    weights = []
    for corner in product((0, 1), repeat=3):
        parts = [weight[axis] if up else 1 - weight[axis] for axis, up in enumerate(corner)]
        weights.append(parts[0] * parts[1] * parts[2])
    return find_neighbours(lower, upper, shape), torch.stack(weights)


def _weighted_mean(values: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
    """Return the means (K, n) of values (K, voxels) at corners (8, n) with weights (8, n)."""
    result = values[:, corners[0]] * weights[0]
    for corner, weight in zip(corners[1:], weights[1:], strict=True):
        result.addcmul_(values[:, corner], weight)
    return result
