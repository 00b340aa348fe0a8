"""Regions, which are unions of labels that may overlap: the label of each combination of regions.

A network with regions answers for each region on its own whether a voxel is in it. The answers of a voxel are one
number, its pattern: the sum of 2**k over the regions k that it is in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_REGIONS", "find_label_patterns", "find_order", "make_region_table"]

MAX_REGIONS = 16
"""A table with the label of every pattern has 2**16 entries, and a pattern has 16 bits."""


def make_region_table(
    regions: Sequence[Sequence[int]], order: Sequence[tuple[int, int]]
) -> NDArray[np.unsignedinteger]:
    """Return the label of each pattern, (2**regions,): the table that turns predicted regions into one label map.

    A pattern that some label has exactly becomes that label. For any other one the regions are written in the given
    order, each over the earlier ones, which is nnU-Net's rule for its ``regions_class_order``.

    Args:
        regions: the labels of each region, each at least one and above 0.
        order: pairs of a region's place in `regions` and the label that it writes, each region once.

    Raises:
        ValueError: there are no regions or too many, or a region is not in the order.
    """
    if not 1 <= len(regions) <= MAX_REGIONS:
        msg = f"{len(regions)} regions: expected 1 to {MAX_REGIONS}"
        raise ValueError(msg)
    if sorted(place for place, _ in order) != list(range(len(regions))):
        msg = f"order is {list(order)}: expected each of the {len(regions)} regions once"
        raise ValueError(msg)
    largest = max(max(labels) for labels in regions)
    patterns = np.arange(2 ** len(regions))
    table = np.zeros(patterns.size, np.min_scalar_type(max(largest, *(label for _, label in order))))
    for place, label in order:
        table[(patterns >> place) & 1 == 1] = label
    # Backwards, so that the lowest of labels in the same regions is written.
    for label in sorted({label for labels in regions for label in labels}, reverse=True):
        table[_pattern_of(label, regions)] = label
    return table


def find_label_patterns(regions: Sequence[Sequence[int]], highest: int) -> NDArray[np.uint16]:
    """Return the pattern of each label from 0 to `highest`: the regions that it is part of.

    Args:
        regions: the labels of each region.
        highest: the highest label.
    """
    return np.array([_pattern_of(label, regions) for label in range(highest + 1)], np.uint16)


def find_order(regions: Mapping[str, Sequence[int]]) -> dict[str, int] | None:
    """Return the order in which regions are written into one label map, and the label that each writes.

    Args:
        regions: the labels of each region by its name.

    Returns:
        Larger regions first; each writes the lowest of its labels that is in no smaller region. None if the regions
        leave a choice: two of them overlap and neither contains the other, or all labels of one are in smaller ones.
    """
    sets = {name: frozenset(labels) for name, labels in regions.items()}
    names = sorted(sets, key=lambda name: -len(sets[name]))
    order = {}
    for place, name in enumerate(names):
        smaller = [sets[other] for other in names[place + 1 :]]
        if any(other & sets[name] and not other < sets[name] for other in smaller):
            return None
        own = sets[name].difference(*smaller)
        if not own:
            return None
        order[name] = min(own)
    return order


def _pattern_of(label: int, regions: Sequence[Sequence[int]]) -> int:
    return sum(1 << place for place, labels in enumerate(regions) if label in labels)
