"""Predicted regions as masks, which may overlap, next to the label map that is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.region_table import find_label_patterns
from .label_table import Label
from .palette import label_colour

__all__ = ["RegionMasks", "Regions", "find_mask"]


@dataclass(frozen=True, eq=False)
class Regions:
    """The regions of a bundle.

    Attributes:
        names: their names, in the order of the network's channels.
        labels: the labels' values of each region.
        table: the label of each pattern, (2**regions,): see `make_region_table`.
    """

    names: tuple[str, ...]
    labels: tuple[tuple[int, ...], ...]
    table: NDArray[np.unsignedinteger[Any]]

    @property
    def rows(self) -> list[Label]:
        """Number from 1, name and colour of each region."""
        return [Label(number, name, label_colour(number)) for number, name in enumerate(self.names, start=1)]

    def follow_cleaning(
        self, patterns: NDArray[np.unsignedinteger[Any]], before: NDArray[Any], after: NDArray[Any]
    ) -> None:
        """Give voxels whose label was changed by cleaning the regions of their new label, in place.

        A removed voxel is in no region, a filled one in those of the label that fills it. Other voxels keep their
        pattern, also one that no label has exactly.

        Args:
            patterns: the pattern of each voxel.
            before: the label map that the table gives, of the same shape.
            after: the cleaned label map.
        """
        of_label = find_label_patterns(self.labels, int(self.table.max()))
        for place in range(len(patterns)):
            changed = before[place] != after[place]
            if changed.any():
                patterns[place][changed] = of_label[after[place][changed]]


class RegionMasks:
    """The masks of all regions as one volume (X, Y, Z, regions) of 0 and 1, made of patterns where it is read.

    It has as much of an array's interface as `split_blocks` needs.

    Args:
        patterns: the pattern of each voxel, (X, Y, Z).
        count: number of regions.
    """

    def __init__(self, patterns: NDArray[np.unsignedinteger[Any]], count: int, *, first: int = 0) -> None:
        self._patterns, self._count, self._first = patterns, count, first
        self.shape = (*patterns.shape, count)
        self.size, self.ndim = patterns.size * count, patterns.ndim + 1

    def __getitem__(self, key: tuple[Any, int | slice]) -> Any:
        """Return the mask at a place, (X, Y, Z), or the masks of a slice of places, for ``[..., place]``."""
        _, place = key
        if isinstance(place, slice):
            start, stop, _ = place.indices(self._count)
            return RegionMasks(self._patterns, stop - start, first=self._first + start)
        return self.mask(place)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all masks as an array, the first axis running fastest as in a file."""
        masks = np.empty(self.shape, np.uint8, order="F")
        for place in range(self._count):
            masks[..., place] = self.mask(place)
        return masks if dtype is None else masks.astype(dtype)

    def mask(self, place: int) -> NDArray[np.uint8]:
        """Return the mask of one region, 0 and 1, of the shape of the patterns."""
        return find_mask(self._patterns, self._first + place).view(np.uint8)


def find_mask(patterns: NDArray[np.unsignedinteger[Any]], place: int) -> NDArray[np.bool_]:
    """Return which voxels are in the region at a place, of the shape of the patterns."""
    inside: NDArray[np.bool_] = (patterns & patterns.dtype.type(1 << place)) != 0
    return inside
