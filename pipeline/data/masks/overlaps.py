"""The label values of classes that may overlap: one for each combination of classes that occurs in a dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from ..errors import InputError
from ..region_table import MAX_REGIONS
from .case import CaseMasks, Classes

__all__ = ["MAX_VALUES", "MIN_SHARE", "Overlaps", "ValueTable", "make_value_table"]

Overlaps = Literal["auto", "keep", "last"]

MAX_VALUES = 254
"""Label maps have one byte per voxel; 0 is the background, and 255 stays free for an ignored value."""
MIN_SHARE = 0.05
"""Share of the smaller class above which an overlap is anatomy, not the rounding of an outline to voxels.

Where two organs touch, masks that were resampled one by one overlap in some voxels of their common surface: a few
percent. A tumour in its organ, or a vessel in it, overlaps in nearly all of its voxels.
"""


@dataclass(frozen=True)
class ValueTable:
    """The values of merged label maps.

    Attributes:
        values: the value of each combination of classes that occurs, the empty one not among them.
        labels: name by value, 0 is the background.
        regions: values of each class; None if no overlap is kept.
        order: the value that each class writes, in the order of writing; None if no overlap is kept.
        words: what was found of overlaps and what was done about them, for the user; empty if there are none.
    """

    values: dict[Classes, int]
    labels: dict[str, str]
    regions: dict[str, list[int]] | None
    order: dict[str, int] | None
    words: list[str]


def make_value_table(cases: Iterable[CaseMasks], classes: Sequence[str], overlaps: Overlaps, where: str) -> ValueTable:
    """Return the value of each combination of classes.

    Single classes come first, in the order given, then combinations of two, of three and so on, each in the order of
    their classes. A class that is only ever inside others has no value of its own.

    Args:
        cases: the voxels of each combination in each case.
        classes: names, in the order of writing.
        overlaps: "keep" gives each combination its own value. "last" gives the voxels of several classes to the last
            of them. "auto" keeps the overlap of two classes if it is more than 5 % of the smaller one, counted over
            all cases that have both classes' masks, and otherwise gives its voxels to the later class.
        where: what errors name.

    Raises:
        InputError: there are more than 254 values, or overlaps of more classes than a network can have regions.
    """
    cases = list(cases)
    pairs = _measure_pairs(cases, classes)
    kept = {
        pair
        for pair, (voxels, smaller) in pairs.items()
        if overlaps == "keep" or (overlaps == "auto" and voxels > MIN_SHARE * smaller)
    }
    occurring = {combination for case in cases for combination in case.counts}
    resolved = {combination: _resolve(combination, kept) for combination in occurring}
    multiple = sorted(
        {combination for combination in resolved.values() if len(combination) > 1},
        key=lambda combination: (len(combination), [classes.index(name) for name in combination]),
    )
    alone = {combination[0] for combination in resolved.values() if len(combination) == 1}
    inside = {name for combination in multiple for name in combination}
    # A class without any voxel keeps its value, so that the check reports it.
    single = [(name,) for name in classes if name in alone or name not in inside]
    value_of = {combination: value for value, combination in enumerate([*single, *multiple], start=1)}
    _check_counts(value_of, classes, multiple, where)
    regions = {name: [value for names, value in value_of.items() if name in names] for name in classes}
    labels = {"0": "background"} | {str(value): _name(names, regions) for names, value in value_of.items()}
    return ValueTable(
        {combination: value_of[resolved[combination]] for combination in occurring},
        labels,
        regions if multiple else None,
        # Values are sorted by the number of classes: the first is the one with the fewest others.
        {name: values[0] for name, values in regions.items()} if multiple else None,
        _describe(pairs, kept),
    )


def _measure_pairs(cases: Sequence[CaseMasks], classes: Sequence[str]) -> dict[tuple[str, str], tuple[int, int]]:
    """Return the common voxels of each two classes that overlap, and the voxels of the smaller one."""
    common: Counter[tuple[str, str]] = Counter()
    for case in cases:
        for combination, voxels in case.counts.items():
            common.update(dict.fromkeys(combinations(combination, 2), voxels))
    found = {}
    for pair in sorted(common, key=lambda pair: [classes.index(name) for name in pair]):
        both = [case for case in cases if set(pair) <= set(case.annotated)]
        sizes = [sum(n for case in both for names, n in case.counts.items() if name in names) for name in pair]
        found[pair] = (common[pair], min(sizes))
    return found


def _resolve(combination: Classes, kept: set[tuple[str, str]]) -> Classes:
    """Return the classes that a voxel keeps: the last one, and all that may overlap with each later one kept."""
    names: list[str] = []
    for name in reversed(combination):
        if all((name, later) in kept for later in names):
            names.insert(0, name)
    return tuple(names)


def _name(combination: Classes, regions: Mapping[str, Sequence[int]]) -> str:
    """Return the name of a combination's label.

    A class that has no other value gives the label its name. The voxels of a class alone are `liver_only` if it has
    others, because a label and a region of the same name must be the same; those of several are `liver+vessel`.
    """
    same = [name for name in combination if len(regions[name]) == 1]
    if len(same) == 1:
        return same[0]
    name = "+".join(combination) if len(combination) > 1 else f"{combination[0]}_only"
    return f"{name}_{regions[combination[0]][0]}" if name in regions else name


def _check_counts(
    values: Mapping[Classes, int], classes: Sequence[str], multiple: Sequence[Classes], where: str
) -> None:
    shown = f"{len(classes)} classes" + (f" and {len(multiple)} combinations of overlapping ones" if multiple else "")
    remedy = "take fewer classes: --labels '{liver,spleen}'"
    if multiple:
        remedy += ", or give each voxel to one class: --overlaps last"
    if len(values) > MAX_VALUES:
        raise InputError(where, found=shown, expected=f"at most {MAX_VALUES} values in a label map", remedy=remedy)
    if multiple and len(classes) > MAX_REGIONS:
        pairs = ", ".join("+".join(names) for names in multiple[:3])
        raise InputError(
            where,
            found=f"{shown} ({pairs}{' …' if len(multiple) > 3 else ''})",
            expected=f"at most {MAX_REGIONS} classes if some of them overlap: a network decides on each by itself",
            remedy=remedy,
        )


def _describe(pairs: Mapping[tuple[str, str], tuple[int, int]], kept: set[tuple[str, str]]) -> list[str]:
    """Return a line about the overlaps that are kept, and one about those that are not."""
    lines = []
    for chosen, words in ((kept, "kept"), (set(pairs) - kept, "given to the later class")):
        shown = [
            f"{one} and {other} share {voxels:,} voxels ({voxels / max(smaller, 1):.1%} of the smaller)"
            for (one, other), (voxels, smaller) in pairs.items()
            if (one, other) in chosen
        ]
        if shown:
            more = f", and {len(shown) - 5} more pairs" if len(shown) > 5 else ""
            lines.append(f"overlaps {words}: {', '.join(shown[:5])}{more}")
    return lines
