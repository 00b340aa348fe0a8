"""Which labels or regions of a case have a row of metrics, and which values of the label map each of them is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

__all__ = ["OVERALL", "describe_counting", "find_annotated_values", "find_rows", "name_overall"]

OVERALL = "mean of labels"
"""The entry of the mean over all rows in files, of labels and of regions alike."""


def name_overall(regions: Collection[str] | None) -> str:
    """Return the name of the mean over all rows for people: that of regions has another one than in files.

    Args:
        regions: names of the regions; None or nothing for rows of labels.
    """
    return "mean of regions" if regions else OVERALL


def find_rows(
    labels: Mapping[str, int],
    regions: Mapping[str, Sequence[int]] | None = None,
    annotated: Collection[str] | None = None,
) -> dict[str, tuple[int, ...]]:
    """Return the values of each structure of a case that is measured, by its name.

    Without regions these are the foreground labels. A region is a union of labels, and regions may overlap.

    A label counts if it was annotated by its name. A region counts if it was annotated by its name, or if all of its
    labels were.

    Args:
        labels: value of each label by name; 0 is the background.
        regions: values of each region's labels; None or nothing for rows of labels.
        annotated: names of the labels or regions that were annotated in this case; None for all.

    Raises:
        ValueError: If a region has no label or a value that is no label's, or a name in `annotated` is unknown.
    """
    foreground = {name: value for name, value in labels.items() if value}
    for name, values in (regions or {}).items():
        unknown = sorted(set(values) - set(foreground.values()))
        if unknown or not values or len(set(values)) < len(values):
            msg = f"region {name} is {list(values)}: expected values of the labels {foreground}, each at most once"
            raise ValueError(msg)
    rows = {name: tuple(values) for name, values in (regions or {}).items()}
    rows = rows or {name: (value,) for name, value in foreground.items()}
    if annotated is None:
        return rows
    strangers = sorted(set(annotated) - {*labels, *rows})
    if strangers:
        msg = (
            f"annotated names {', '.join(strangers)}: expected some of {', '.join(dict.fromkeys([*rows, *foreground]))}"
        )
        raise ValueError(msg)
    known = {value for name, value in foreground.items() if name in annotated}
    return {name: values for name, values in rows.items() if name in annotated or known.issuperset(values)}


def find_annotated_values(
    labels: Mapping[str, int], regions: Mapping[str, Sequence[int]] | None, annotated: Collection[str] | None
) -> set[int] | None:
    """Return the values of the labels that were annotated in a case; None if all were.

    With regions a label is known if it is named, and all labels are if all regions were annotated.

    Args:
        labels: value of each label by name; 0 is the background.
        regions: values of each region's labels.
        annotated: names of the labels or regions that were annotated in this case.

    Raises:
        ValueError: as `find_rows`.
    """
    rows = find_rows(labels, regions, annotated)
    if annotated is None or (regions and len(rows) == len(regions)):
        return None
    return {value for name, value in labels.items() if value and name in annotated}


def describe_counting(regions: Mapping[str, Sequence[str]], *, ignored: bool, partial: int, cases: int) -> list[str]:
    """Return sentences that say which voxels and structures count, for the readers of an evaluation.

    Args:
        regions: names of the labels of each region; empty for rows of labels.
        ignored: whether the references may have ignored voxels.
        partial: number of cases of which only some labels or regions were annotated.
        cases: number of cases.
    """
    notes = []
    if regions:
        unions = [f"{name} is {' + '.join(labels)}" for name, labels in regions.items() if list(labels) != [name]]
        notes.append(f"Rows are of regions, which may overlap{': ' * bool(unions)}{'; '.join(unions)}.")
    if ignored:
        notes.append("Ignored voxels of a reference count in no metric: they are background in both label maps.")
    if partial:
        notes.append(
            f"{partial} of {cases} cases were annotated in part: a label or region that was not annotated has no row, "
            "and is in no mean."
        )
    return notes
