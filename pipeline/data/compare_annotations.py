"""Labels that count objects, that a minority of the cases has, or that a case has without having them annotated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .annotation import Regions, annotates, possible_values
from .findings import Finding

__all__ = ["find_object_numbers", "find_partial_labels", "find_unannotated_labels"]

Record = Mapping[str, Any]

# Numbers count objects if they run from the first one without a gap in every case, up to at least this many, with at
# least this many different ends, and nearly every one of them is one connected part.
MIN_OBJECTS = 4
MIN_ENDS = 3
MIN_ONE_PART = 0.95
# A label was perhaps not annotated everywhere if fewer than half of at least this many cases have it.
MIN_CASES = 8
MAX_PARTIAL = 0.5


def find_object_numbers(records: Sequence[Record], background: int) -> Iterator[Finding]:
    """Yield a finding if the labels number the objects of each case: lesion 1, 2, 3, ...

    Args:
        records: the cases' entries in the report, with the classes by their value.
        background: the value that is no structure.
    """
    cases = [record["classes"] for record in records if record["classes"]]
    values = sorted({int(value) for case in cases for value in case})
    if not counts_objects(records, background):
        return
    ends = sorted(len(case) for case in cases)
    yield Finding(
        "labels-are-objects",
        found=f"labels {values[0]} to {values[-1]}, numbered from {values[0]} without a gap in each of {len(cases)} "
        f"cases, {ends[0]} to {ends[-1]} of them, each one connected part: they count objects",
        expected="one value for all objects of a kind, such as 1 for every lesion",
        remedy="write the label maps again with one value per kind; a network cannot learn which lesion is the third",
    )


def counts_objects(records: Sequence[Record], background: int) -> bool:
    """Return whether the labels number the objects of each case."""
    cases = [record["classes"] for record in records if record["classes"]]
    values = sorted({int(value) for case in cases for value in case} - {background})
    if len(values) < MIN_OBJECTS or values != list(range(values[0], values[0] + len(values))):
        return False
    ends = {len(case) for case in cases}
    runs = all(sorted(map(int, case)) == values[: len(case)] for case in cases)
    parts = [each["components"] == 1 for case in cases for each in case.values()]
    return len(ends) >= MIN_ENDS and runs and sum(parts) >= MIN_ONE_PART * len(parts)


def find_partial_labels(
    records: Sequence[Record], labels: Mapping[str, int], regions: Regions = None
) -> Iterator[Finding]:
    """Yield the labels that only a minority of the labelled cases has: perhaps the others were not annotated.

    Cases that name their annotated labels count for these alone.

    Args:
        records: the cases' entries in the report, with the classes by their value.
        labels: value in the files by name.
        regions: values in the files by region.
    """
    background = labels["background"]
    if counts_objects(records, background):
        return
    for name, value in labels.items():
        labelled = [each["classes"] for each in records if each["classes"] and annotates(each, value, labels, regions)]
        if len(labelled) < MIN_CASES:
            continue
        with_it = [case for case in labelled if str(value) in case]
        if value == background or not with_it or len(with_it) >= MAX_PARTIAL * len(labelled):
            continue
        rest = [case for case in labelled if str(value) not in case]
        apart = [
            other
            for other, number in labels.items()
            if number not in (background, value)
            and not any(str(number) in case for case in with_it)
            and all(str(number) in case for case in rest)
        ]
        words = f", none of which has {apart[0]}, as all others have" if apart else ""
        yield Finding(
            "label-partial",
            found=f"label {value} ({name}) in {len(with_it)} of {len(labelled)} label maps{words}",
            expected="a label in every scan that shows the structure: elsewhere training learns that it is background",
            remedy="look at scans without it; if they do not show the structure, do nothing, otherwise these may be "
            'partial labels: annotate it, or name the labels that were annotated in each case, such as "annotated": '
            f'["{_other(labels, value)}"]',
        )


def find_unannotated_labels(
    records: Sequence[Record], labels: Mapping[str, int], regions: Regions = None
) -> Iterator[Finding]:
    """Yield label maps with labels that their case does not name as annotated.

    Args:
        records: the cases' entries in the report, with the classes by their value.
        labels: value in the files by name.
        regions: values in the files by region.
    """
    names = {value: name for name, value in labels.items()}
    for record in records:
        if record.get("annotated") is None:
            continue
        possible = possible_values(record["annotated"], labels, regions)
        odd = {int(value): each["voxels"] for value, each in record["classes"].items() if int(value) not in possible}
        if odd := {value: count for value, count in odd.items() if value in names}:
            shown = ", ".join(f"{count:,} voxels of {names[value]}" for value, count in odd.items())
            yield Finding(
                "label-unannotated",
                found=f"{shown}, and only {', '.join(record['annotated'])} annotated",
                expected="labels that the case names as annotated",
                remedy='add the label to the case\'s "annotated" if all of it was annotated; otherwise do nothing: '
                "training takes these voxels as not annotated",
                case=record["name"],
                file=record["label"],
            )


def _other(labels: Mapping[str, int], value: int) -> str:
    """Return a label's name for an example: another one than that with this value, if there is one."""
    names = [name for name, number in labels.items() if name != "background" and number != value]
    return names[0] if names else next(name for name, number in labels.items() if number == value)
