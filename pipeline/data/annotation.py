"""What was annotated in a case: which labels, and whether in all of the scan. Comparisons of cases need it.

The absence of a structure, and its size, mean nothing where it was not annotated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["Regions", "annotates", "group_by_annotation", "is_complete", "keep_annotated", "possible_values"]

Record = Mapping[str, Any]
Regions = Mapping[str, Sequence[int]] | None

# Ignored voxels per labelled one, up to which a case counts as annotated everywhere: a few unclear voxels are no reason
# to compare nothing.
MAX_IGNORED = 0.05


def is_complete(record: Record) -> bool:
    """Return whether hardly any voxel of a case is ignored."""
    if not record.get("ignored"):
        return True
    labelled = sum(int(each["voxels"]) for each in record["classes"].values())
    return int(record["ignored"]) <= MAX_IGNORED * labelled


def annotates(record: Record, value: int, labels: Mapping[str, int], regions: Regions = None) -> bool:
    """Return whether a label was annotated in a case: whether its annotated names tell it from all other labels.

    A region tells its labels from others, not from one another. A name of a region and of a label is the region's.

    Args:
        record: the case's entry in the report.
        value: the label's value.
        labels: value by name, with the background.
        regions: values by region.
    """
    names = record.get("annotated")
    if names is None:
        return True
    known = [set((regions or {}).get(name) or [labels[each] for each in labels if each == name]) for name in names]
    own = [value in values for values in known]
    return all(other == value or [other in values for values in known] != own for other in labels.values())


def keep_annotated(record: Record, labels: Mapping[str, int], regions: Regions = None) -> Record:
    """Return a case's entry in the report without the classes that were not annotated."""
    if record.get("annotated") is None:
        return record
    kept = {str(value) for value in labels.values() if annotates(record, value, labels, regions)}
    return {**record, "classes": {value: each for value, each in record["classes"].items() if value in kept}}


def possible_values(names: Iterable[str], labels: Mapping[str, int], regions: Regions = None) -> set[int]:
    """Return the values that the label map of a case with these annotated labels and regions may have."""
    values = {labels[name] for name in names if name in labels}
    return values.union(*((regions or {}).get(name, ()) for name in names))


def group_by_annotation(records: Iterable[Record]) -> list[list[Record]]:
    """Return the cases in groups of those with the same annotated labels."""
    groups: dict[tuple[str, ...] | None, list[Record]] = defaultdict(list)
    for record in records:
        names = record.get("annotated")
        groups[None if names is None else tuple(sorted(names))].append(record)
    return list(groups.values())
