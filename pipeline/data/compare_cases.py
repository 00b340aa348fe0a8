"""Findings from the comparison of cases: copies, leakage, unusual sizes, labels that no case has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .annotation import annotates, group_by_annotation, is_complete, keep_annotated
from .compare_annotations import find_object_numbers, find_partial_labels, find_unannotated_labels
from .compare_intensities import find_few_values, find_odd_units
from .compare_labels import find_misplaced_labels, find_misplaced_structures
from .compare_splits import find_copies, find_split_subjects
from .compare_units import find_mixed_units
from .dataset import Dataset
from .findings import Finding
from .inspection import Inspection
from .length_units import size_key
from .region_table import find_order

__all__ = ["compare_cases"]

# A structure's volume is unusual if it differs from the median by more than this number of spreads and by more than
# this factor. The spread is the median absolute deviation of the logarithm, scaled to a standard deviation. With fewer
# cases than the minimum nothing is unusual.
MAX_SPREADS = 6.0
MAX_FACTOR = 3.0
MIN_CASES = 8
# If more than this share of the cases has specks, they are normal for the structure.
MIN_COMMON = 0.1
MAX_SPACING_FACTOR = 2.0
# A label that is missing in at most this share of at least this many cases was probably forgotten.
MAX_RARE = 0.05
MIN_CASES_FOR_MISSING = 20

Record = Mapping[str, Any]


def compare_cases(dataset: Dataset, labels: Mapping[str, int], inspections: Sequence[Inspection]) -> list[Finding]:
    """Return the findings from a comparison of a dataset's cases.

    Args:
        dataset: the datalist.
        labels: value in the files by name.
        inspections: of its cases, in the datalist's order.

    Returns:
        Findings of the kinds duplicate, leakage, unit-mixed, intensity-units, ct-units, image-few-values,
        label-misplaced, channel-misplaced, label-place, labels-are-objects, label-partial, label-unannotated,
        labels-absent, label-volume, label-missing, label-islands, label-unused, region-order, labels-unknown,
        labels-not-consecutive, orientation-mixed and spacing-outlier.
    """
    records = [inspection.record for inspection in inspections]
    # Structures that are annotated in part, or not at all, cannot be compared.
    complete = [keep_annotated(record, labels, dataset.regions) for record in records if is_complete(record)]
    groups = group_by_annotation(complete)
    return [
        *find_copies(inspections),
        *find_split_subjects(records),
        *find_mixed_units(records),
        *find_odd_units(records, dataset.channels or [""] * _count_channels(records)),
        *find_few_values(records),
        *(finding for group in groups for finding in find_misplaced_labels(group)),
        *(finding for group in groups for finding in find_misplaced_structures(group, labels)),
        *find_object_numbers(complete, labels["background"]),
        *find_partial_labels(complete, labels, dataset.regions),
        *find_unannotated_labels(records, labels, dataset.regions),
        *_find_no_labels(inspections),
        *_find_odd_volumes(complete, labels),
        *_find_missing_labels(complete, dataset, labels),
        *_find_islands(complete, labels),
        *_check_label_values(dataset, records, labels),
        *_check_region_order(dataset),
        *_find_mixed_orientations(records),
        *_find_spacing_outliers(records),
    ]


def _count_channels(records: Iterable[Record]) -> int:
    return max((each["channel"] + 1 for record in records for each in record["intensity"]), default=0)


def _find_no_labels(inspections: Sequence[Inspection]) -> Iterator[Finding]:
    """Yield a finding if none of the training cases has a label."""
    training = [each for each in inspections if each.record["part"] == "training" and each.record["label"]]
    if training and all(any(finding.kind == "label-empty" for finding in each.findings) for each in training):
        yield Finding(
            "labels-absent",
            f"no label in any of {_count(len(training), 'training case')}: background, or ignored, in every voxel",
            "labelled voxels to learn from",
            "check that these are the right files, and that the values in them are those of the datalist's labels",
        )


def _find_odd_volumes(records: Sequence[Record], labels: Mapping[str, int]) -> Iterator[Finding]:
    for name, value in labels.items():
        own = [(record, each) for record in records if (each := record["classes"].get(str(value)))]
        if len(own) < MIN_CASES:
            continue
        unit = size_key(own[0][1])
        own = [(record, each) for record, each in own if unit in each]
        sizes = np.log([each[unit] for _, each in own])
        median = float(np.median(sizes))
        spread = 1.4826 * float(np.median(np.abs(sizes - median)))
        limit = max(MAX_SPREADS * spread, np.log(MAX_FACTOR))
        for (record, each), size in zip(own, sizes, strict=True):
            if abs(size - median) > limit:
                factor = np.exp(abs(size - median))
                word = "larger" if size > median else "smaller"
                yield _finding(
                    "label-volume",
                    record,
                    file=record["label"],
                    found=f"{name} with {each[unit]:.3g} {unit}, {factor:.1f} times {word} than the median",
                    expected=f"about {np.exp(median):.3g} {unit}, the median; {np.exp(median - limit):.3g} to "
                    f"{np.exp(median + limit):.3g} {unit} is usual among the other {len(own) - 1} cases",
                    remedy="look at the label map: a wrong label value, a missing part, or a rare anatomy",
                )


def _find_missing_labels(records: Sequence[Record], dataset: Dataset, labels: Mapping[str, int]) -> Iterator[Finding]:
    """Yield cases without a label that nearly all others have; a case without any label has its own finding."""
    known = {str(value) for value in labels.values()}
    usable = [record for record in records if record["classes"] and record["classes"].keys() <= known]
    for name, value in labels.items():
        labelled = [record for record in usable if annotates(record, value, labels, dataset.regions)]
        without = [record for record in labelled if str(value) not in record["classes"]]
        usual = len(labelled) >= MIN_CASES_FOR_MISSING and len(without) <= MAX_RARE * len(labelled)
        for record in without if value != labels["background"] and usual else []:
            yield _finding(
                "label-missing",
                record,
                file=record["label"],
                found=f"no {name}, which {len(labelled) - len(without)} of {len(labelled)} cases have",
                expected=f"{name}, if the scan shows it",
                remedy="look at the label map; if the structure is really absent, do nothing",
            )


def _find_islands(records: Sequence[Record], labels: Mapping[str, int]) -> Iterator[Finding]:
    for name, value in labels.items():
        own = [(record, each) for record in records if (each := record["classes"].get(str(value)))]
        speckled = [(record, each) for record, each in own if each["specks"]]
        common = len(speckled) > max(MIN_COMMON * len(own), 3)
        for record, each in speckled:
            word = "pixel" if size_key(each).endswith("2") else "voxel"
            islands, size = _count(each["specks"], "tiny island"), _count(each["speck_voxels"], word)
            yield _finding(
                "label-islands",
                record,
                file=record["label"],
                severity="note" if common else "warning",
                found=f"{name} with {islands} ({size}), more than 3 {word}s away from anything labelled",
                expected="one part, or larger parts",
                remedy="look at the label map, and remove islands that were drawn by accident",
            )


def _check_label_values(dataset: Dataset, records: Sequence[Record], labels: Mapping[str, int]) -> Iterator[Finding]:
    if all(case.label is None for case in dataset.cases):
        return  # scans to predict: nothing is known of their labels
    found = {int(value) for record in records for value in record["classes"]}
    background = labels["background"]
    if dataset.labels is None:
        values = ", ".join(map(str, sorted(found))) or "none"
        yield Finding(
            "labels-unknown",
            f"no names for the labels; values in the files: {values}",
            'an entry "labels" in the datalist',
            'add "labels": {"0": "background", "1": NAME, …} to the datalist, or --label-names when making it',
        )
    for name, value in labels.items():
        if dataset.labels is not None and value != background and value not in found:
            yield Finding(
                "label-unused",
                f"label {value} ({name}) in none of the label maps{_empty_regions(dataset, value, found)}",
                "every declared label in at least one case",
                "remove it from the datalist's labels, or add cases that have it",
            )
    if sorted(labels.values()) != list(range(len(labels))) or background != 0:
        values = ", ".join(f"{value} ({name})" for name, value in labels.items())
        yield Finding(
            "labels-not-consecutive",
            f"label values {values}",
            f"0 for the background and 1 to {len(labels) - 1} for the others, as networks number them",
            "do nothing: bundles made by `lightskip plan` map the values",
        )


def _empty_regions(dataset: Dataset, value: int, found: Collection[int]) -> str:
    """Return words about the regions that are in no label map, of those with this label."""
    empty = [
        name for name, values in (dataset.regions or {}).items() if value in values and not set(values) & set(found)
    ]
    return f", nor the region {' or '.join(empty)}" if empty else ""


def _check_region_order(dataset: Dataset) -> Iterator[Finding]:
    """Yield a finding if overlapping regions cannot be written into one label map."""
    if dataset.regions is None or dataset.region_order is not None or find_order(dataset.regions) is not None:
        return
    example = ", ".join(f'"{name}": {min(values)}' for name, values in dataset.regions.items())
    yield Finding(
        "region-order",
        "regions that overlap without one containing the other, or that have no label of their own, and no order",
        "an order in which they are written into one label map, later ones over earlier ones",
        f'add "region_order": {{{example}}} to the datalist: the label that each region writes, the first one first',
    )


def _find_mixed_orientations(records: Iterable[Record]) -> Iterator[Finding]:
    counts = Counter(record["orientation"] for record in records if record["orientation"])
    if len(counts) > 1:
        shown = ", ".join(f"{name} ({count})" for name, count in counts.most_common())
        yield Finding(
            "orientation-mixed",
            f"scans stored in {len(counts)} orientations: {shown}",
            "any orientation",
            "do nothing: bundles turn every scan to one orientation",
        )


def _find_spacing_outliers(records: Sequence[Record]) -> Iterator[Finding]:
    # Sorted, because the position of the thick axis depends on the orientation.
    known = [record for record in records if record["spacing"]]
    if len(known) < MIN_CASES:
        return
    spacings = np.sort([record["spacing"] for record in known])
    median = np.median(spacings, axis=0)
    for record, spacing in zip(known, spacings, strict=True):
        if max((spacing / median).max(), (median / spacing).max()) > MAX_SPACING_FACTOR:
            yield _finding(
                "spacing-outlier",
                record,
                found=f"a spacing of {_format_spacing(record['spacing'])} mm",
                expected=f"about {_format_spacing(median)} mm (axes sorted), the dataset's median",
                remedy="check the header; if it is correct, do nothing: bundles resample",
            )


def _finding(kind: str, record: Record, *, file: str | None = None, **words: Any) -> Finding:
    return Finding(kind, case=record["name"], file=file or _first_image(record), **words)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _first_image(record: Record) -> str:
    return str(record["images"][0])


def _format_spacing(spacing: Iterable[float]) -> str:
    return " x ".join(f"{size:.4g}" for size in spacing)
