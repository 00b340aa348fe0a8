"""Summarise a whole dataset from the report of its check: spreads of spacing, shape, volume and intensity."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..data.annotation import annotates
from ..data.length_units import size_in_unit
from .spread import Spread

__all__ = [
    "annotated_words",
    "count_annotating",
    "count_orientations",
    "count_parts",
    "find_axis_spreads",
    "ignored_words",
    "length_unit",
    "list_class_sizes",
    "list_intensities",
    "regions_words",
    "sample_word",
    "size_unit",
]

Report = Mapping[str, Any]


def find_axis_spreads(report: Report, key: str) -> list[Spread]:
    """Return the spread of ``shape`` (voxels) or ``spacing`` (mm) along each array axis, over the cases that were read.

    Returns:
        One spread per spatial dimension; empty if no case with this number of axes was read.
    """
    dims = int(report["spatial_dims"])
    read = [case[key] for case in report["cases"] if len(case.get(key) or ()) == dims]
    spreads = [Spread.of(along) for along in zip(*read, strict=True)]
    return [spread for spread in spreads if spread is not None]


def count_orientations(report: Report) -> list[tuple[str, int]]:
    """Return the number of cases of each orientation, such as ``("RAS", 200)``, most frequent first."""
    return Counter(case["orientation"] for case in report["cases"] if case.get("orientation")).most_common()


def count_parts(report: Report) -> dict[str, dict[int | None, int]]:
    """Return the number of cases by part and fold, in order. The fold is None for cases without one."""
    counts: dict[str, Counter[int | None]] = {}
    for case in report["cases"]:
        counts.setdefault(case["part"], Counter())[case.get("fold")] += 1
    last = math.inf
    order = {part: sorted(folds, key=lambda fold: last if fold is None else fold) for part, folds in counts.items()}
    return {part: {fold: counts[part][fold] for fold in order[part]} for part in sorted(counts, reverse=True)}


def ignored_words(report: Report) -> str:
    """Return the ignored values, and how many voxels have one, in the cases that have any; empty without such values.

    Such as ``255: median 80 % of a scan's voxels, from 75 % to 84 %, in 20 of 24 cases``.
    """
    values = ", ".join(map(str, report.get("ignored_values") or ()))
    if not values:
        return ""
    read = [case for case in report["cases"] if case.get("shape") and case.get("label") is not None]
    shares = [case["ignored"] / math.prod(case["shape"]) for case in read if case.get("ignored")]
    spread = Spread.of(shares)
    if spread is None:
        return f"{values}: in no case"
    low, middle, high = (f"{100 * share:.3g} %" for share in (spread.low, spread.middle, spread.high))
    return (
        f"{values}: median {middle} of a scan's voxels, from {low} to {high}, in {len(shares):,} of {len(read):,} cases"
    )


def regions_words(report: Report) -> str:
    """Return the regions with their labels, such as ``core (2 3)``; empty without regions."""
    return ", ".join(f"{name} ({' '.join(map(str, values))})" for name, values in (report.get("regions") or {}).items())


def annotated_words(report: Report) -> str:
    """Return the number of cases in which only some labels were annotated; empty if there are none."""
    partial = sum(case.get("annotated") is not None for case in report["cases"])
    return f"only some labels in {partial:,} of {len(report['cases']):,} cases" if partial else ""


def count_annotating(report: Report, name: str) -> int:
    """Return the number of cases with a label map in which this label was annotated."""
    labels, regions = report["labels"], report.get("regions")
    read = [case for case in report["cases"] if case.get("classes")]
    return sum(annotates(case, labels[name], labels, regions) for case in read)


def length_unit(report: Report) -> str:
    """Return the unit of the spacing: ``mm``; of pictures also ``px``, ``µm`` or ``nm``."""
    return str(report.get("unit") or "mm")


def size_unit(report: Report) -> str:
    """Return the key and unit of a class's size: ``ml`` in 3D, ``mm2`` in 2D; of pictures also such as ``px2``."""
    return size_in_unit(length_unit(report), report["spatial_dims"])


def sample_word(report: Report) -> str:
    """Return ``voxels`` in 3D, ``pixels`` in 2D."""
    return "pixels" if report["spatial_dims"] == 2 else "voxels"


def list_class_sizes(report: Report) -> dict[str, list[float]]:
    """Return the sizes of each declared class except the background, in `size_unit`, over the cases that have it.

    Cases in which it was not annotated do not count, even if their label map has some of it.
    """
    unit, labels, regions = size_unit(report), report["labels"], report.get("regions")
    sizes: dict[str, list[float]] = {name: [] for name in report["labels"] if name != "background"}
    for case in report["cases"]:
        for name, measured in (case.get("classes") or {}).items():
            has_size = name in sizes and measured.get("voxels") and measured.get(unit) is not None
            if has_size and annotates(case, labels[name], labels, regions):
                sizes[name].append(measured[unit])
    return sizes


def list_intensities(report: Report) -> list[dict[str, list[float]]]:
    """Return each channel's finite ``min``, ``mean`` and ``max`` over the cases that were read."""
    channels: list[dict[str, list[float]]] = [{"min": [], "mean": [], "max": []} for _ in report["channels"]]
    for case in report["cases"]:
        for measured in case.get("intensity") or ():
            if 0 <= measured["channel"] < len(channels):
                for key, values in channels[measured["channel"]].items():
                    value = measured.get(key)
                    if value is not None and math.isfinite(value):
                        values.append(value)
    return channels
