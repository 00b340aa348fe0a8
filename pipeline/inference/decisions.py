"""Decide a voxel's value from its probabilities: the most probable label, or the regions that it is in."""

from __future__ import annotations

from collections.abc import Iterable
from math import log
from typing import Protocol

import torch
from torch import Tensor

from .buffers import Buffers, update_best

__all__ = ["Decision", "MostProbable", "RegionPatterns", "fits_byte"]

_MAX_BYTE_VALUES = 256  # values that fit a byte


class Decision(Protocol):
    """A way from logits to a voxel's value.

    A value that all voxels around a position have is also the value of their weighted mean. The streaming engine relies
    on this.
    """

    values: int
    """Number of values that a voxel can have, from 0."""

    def activate(self, logits: Tensor, out: Tensor) -> None:
        """Write the probabilities of logits (K, ...) to `out`, of the same shape."""

    def choose(self, channels: Iterable[Tensor], dtype: torch.dtype, buffers: Buffers, suffix: str = "") -> Tensor:
        """Return the values of voxels.

        Args:
            channels: the K channels' probabilities, in turn; all of one shape.
            dtype: type of the values.
            buffers: arrays to work in; the result is in one of them, until the next call with this suffix.
            suffix: ending of these arrays' names.
        """

    def entropy(self, probabilities: Tensor) -> Tensor:
        """Return the entropy of probabilities (K, ...) as a share of its maximum."""


class MostProbable:
    """One label per voxel: softmax, and the most probable class, the first of equals.

    Args:
        classes: number of classes K, including the background.
    """

    def __init__(self, classes: int) -> None:
        self.values = classes

    def activate(self, logits: Tensor, out: Tensor) -> None:
        """Write the softmax of logits (K, ...) to `out`."""
        torch._softmax(logits, 0, False, out=out)

    def choose(self, channels: Iterable[Tensor], dtype: torch.dtype, buffers: Buffers, suffix: str = "") -> Tensor:
        """Return the most probable class. It equals argmax, which is many times slower over the outermost axis."""
        best = highest = mask = torch.empty(0)
        for number, one in enumerate(channels):
            if number == 0:
                best = buffers.get(f"best{suffix}", one.shape, dtype).zero_()
                highest = buffers.get(f"highest{suffix}", one.shape).copy_(one)
                mask = buffers.get(f"mask{suffix}", one.shape, torch.bool)
            else:
                update_best(best, highest, one, number, mask)
        return best

    def entropy(self, probabilities: Tensor) -> Tensor:
        """Return the entropy of the classes as a share of its maximum, the logarithm of K."""
        total: Tensor = torch.special.entr(probabilities).sum(dim=0)
        return total / log(max(2, len(probabilities)))


class RegionPatterns:
    """Regions that may overlap: sigmoid, and the pattern, the sum of 2**k over the regions k above 0.5.

    Args:
        regions: number of regions K.
    """

    def __init__(self, regions: int) -> None:
        self.values = 2**regions

    def activate(self, logits: Tensor, out: Tensor) -> None:
        """Write the sigmoid of logits (K, ...) to `out`."""
        torch.sigmoid(logits, out=out)

    def choose(self, channels: Iterable[Tensor], dtype: torch.dtype, buffers: Buffers, suffix: str = "") -> Tensor:
        """Return the patterns."""
        patterns = inside = torch.empty(0)
        for place, one in enumerate(channels):
            if place == 0:
                patterns = buffers.get(f"best{suffix}", one.shape, dtype).zero_()
                inside = buffers.get(f"mask{suffix}", one.shape, torch.bool)
            torch.gt(one, 0.5, out=inside)
            patterns.add_(inside, alpha=1 << place)
        return patterns

    def entropy(self, probabilities: Tensor) -> Tensor:
        """Return the mean over the regions of the entropy of being inside or outside, in bits.

        That is the entropy of the patterns as a share of its maximum, as the network answers for each region on its
        own.
        """
        total = torch.special.entr(probabilities) + torch.special.entr(1 - probabilities)
        share: Tensor = total.mean(dim=0) / log(2)
        return share


def fits_byte(decision: Decision) -> bool:
    """Return whether a byte holds every value of a decision."""
    return decision.values <= _MAX_BYTE_VALUES
