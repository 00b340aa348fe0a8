"""Summarise the dataset check's measurements in the numbers that a plan is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...data.annotation import annotates
from ...data.errors import InputError
from ...data.length_units import size_key
from ..evaluated_text import EXPECTED, is_evaluated

__all__ = ["Fingerprint", "Structure", "make_fingerprint"]

_AXES = ("RL", "AP", "SI")


@dataclass(frozen=True)
class Structure:
    """One label over all cases.

    Args:
        name: the label's name.
        value: its value in the label maps.
        cases: number of cases that have it.
        size: median volume (ml; mm² in 2D) over those cases.
        share: median share of a scan's voxels, without ignored ones, over those cases.
        centroids: per case name, 3 world coordinates (mm).
    """

    name: str
    value: int
    cases: int
    size: float
    share: float
    centroids: dict[str, np.ndarray]


@dataclass(frozen=True)
class Fingerprint:
    """A dataset in numbers. Axes are in RAS order (2D: in the file's order).

    Args:
        cases: number of usable training cases.
        folds: number of folds.
        largest_fold: number of cases in the largest fold; the smallest training part is the rest.
        shapes: (cases, axes), voxels.
        spacings: (cases, axes), mm.
        channels: the images' channels, by name.
        labels: value in the files by name, background first.
        structures: every label except the background.
        foreground: median share of a scan's voxels, without ignored ones, that are labelled. Cases in which only some
            labels were annotated do not count, if there are others.
        zeros: per channel, the median share of voxels that are exactly 0.
        lowest: per channel, the median of the scans' lowest intensities.
        whole: whether all scans are stored as integers.
        quantiles: (channels, 201), of the pooled foreground of all cases: 0 %, 0.5 %, ... 100 %; None without labels.
        mean: per channel, of the foreground.
        std: per channel, of the foreground.
        unit: of lengths: "mm", or of pictures "px", "µm" or "nm".
        percentiles: (cases, channels, 3), each scan's 1st, 50th and 99th percentile; None if they were not measured.
        distinct: per channel, the least number of distinct values in a scan; empty if they were not measured.
        regions: the values of each region's labels; empty without regions.
        ignored: median share of a scan's voxels that are ignored, over the cases that have such voxels.
        partial_cases: number of cases in which only some labels were annotated.
    """

    cases: int
    folds: int
    largest_fold: int
    shapes: np.ndarray
    spacings: np.ndarray
    channels: list[str]
    labels: dict[str, int]
    structures: list[Structure]
    foreground: float
    zeros: list[float]
    lowest: list[float]
    whole: bool
    quantiles: np.ndarray | None
    mean: list[float]
    std: list[float]
    unit: str = "mm"
    percentiles: np.ndarray | None = None
    distinct: tuple[int, ...] = ()
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    ignored: float = 0.0
    partial_cases: int = 0

    @property
    def dims(self) -> int:
        """2 or 3."""
        return int(self.shapes.shape[1])

    @property
    def outputs(self) -> int:
        """Number of the network's output channels: of regions, or of labels with the background."""
        return len(self.regions) or len(self.labels)


def make_fingerprint(report: Mapping[str, Any]) -> Fingerprint:
    """Return the fingerprint of a dataset from the report of `check_dataset`.

    Raises:
        InputError: there are too few usable cases, no labels, or cases without a fold.
    """
    unread = _find_unread_labels(report)
    usable = [case for case in report["cases"] if _is_usable(case, report) and case["label"] not in unread]
    where = str(report["datalist"])
    labels = {str(name): int(value) for name, value in report["labels"].items()}
    if len(usable) < 2 or len(labels) < 2:
        raise InputError(
            where,
            found=f"{len(usable)} usable training cases with {len(labels) - 1} labels",
            expected="at least two cases with a label map, and at least one label",
            remedy="run `lightskip check` and correct what it reports",
        )
    if not any(case["classes"] for case in usable):
        raise InputError(
            where,
            found="no labelled voxel in any case",
            expected="at least one label map with a labelled voxel",
            remedy='run `lightskip check`, and check that "labels" names the values in the label maps, and "ignore" '
            "not all of them",
        )
    regions = {str(name): tuple(map(int, values)) for name, values in (report.get("regions") or {}).items()}
    for name in [*labels, *regions, *report["channels"]]:
        if is_evaluated(name):
            raise InputError(
                where,
                found=f"the name {name!r} of a label, region or channel",
                expected=EXPECTED,
                remedy="rename it in the datalist",
            )
    folds = [case["fold"] for case in usable]
    if None in folds or len(set(folds)) < 2:
        raise InputError(
            where,
            found="cases without a fold, or all cases in one fold",
            expected='an integer "fold" for every training case, and at least two folds',
            remedy="make a datalist with folds: lightskip datalist … -o FILE.json",
        )
    structures = [
        _summarise_structure(
            name, value, [case for case in usable if annotates(case, value, labels, regions)] or usable
        )
        for name, value in labels.items()
        if name != "background"
    ]
    whole = [case for case in usable if all(annotates(case, value, labels, regions) for value in labels.values())]
    ignored = [case["ignored"] / np.prod(case["shape"]) for case in usable if case.get("ignored")]
    intensity = [case["intensity"] for case in usable]
    quantiles, mean, std = _pool_foreground([case["foreground"] for case in usable])
    compared = all("quantiles" in each for case in intensity for each in case)
    return Fingerprint(
        cases=len(usable),
        folds=len(set(folds)),
        largest_fold=max(folds.count(fold) for fold in set(folds)),
        shapes=np.array([_reorder_to_ras(case, case["shape"]) for case in usable]),
        spacings=np.array([_reorder_to_ras(case, case["spacing"]) for case in usable]),
        channels=[str(name).strip() or f"channel {index}" for index, name in enumerate(report["channels"])],
        labels=labels,
        structures=structures,
        foreground=float(np.median([_count_labelled(case) / _count_annotated(case) for case in whole or usable])),
        zeros=[float(np.median(column)) for column in _by_channel(intensity, "zeros")],
        lowest=[float(np.median(column)) for column in _by_channel(intensity, "min")],
        whole=all("int" in str(case["dtypes"][0]) for case in usable),
        quantiles=quantiles,
        mean=mean,
        std=std,
        unit=str(report.get("unit") or "mm"),
        percentiles=np.array([[each["quantiles"] for each in case] for case in intensity]) if compared else None,
        distinct=tuple(int(min(column)) for column in _by_channel(intensity, "distinct")) if compared else (),
        regions=regions,
        ignored=float(np.median(ignored)) if ignored else 0.0,
        partial_cases=len(usable) - len(whole),
    )


def _is_usable(case: Mapping[str, Any], report: Mapping[str, Any]) -> bool:
    if case["part"] != "training" or case["label"] is None or case["shape"] is None:
        return False
    # A broken header has no usable spacing and no axes.
    sizes = np.asarray(case["spacing"], dtype=float)
    placed = case["orientation"] is None or all(
        sum(letter in pair for letter in case["orientation"]) == 1 for pair in _AXES
    )
    measured = len(case["intensity"]) == len(report["channels"])
    return bool(measured and placed and np.isfinite(sizes).all() and (sizes > 0).all())


def _find_unread_labels(report: Mapping[str, Any]) -> set[str]:
    """Return the label maps that have a problem and no measurements."""
    wrong = {finding["file"] for finding in report["findings"] if finding["severity"] == "problem"}
    return {case["label"] for case in report["cases"] if case["label"] in wrong and not case["classes"]}


def _reorder_to_ras(case: Mapping[str, Any], per_axis: Sequence[float]) -> list[float]:
    """Return values per axis of the file in RAS order: right-left, posterior-anterior, inferior-superior."""
    orientation = case["orientation"]
    if orientation is None:
        return list(per_axis)
    return [per_axis[next(i for i, letter in enumerate(orientation) if letter in pair)] for pair in _AXES]


def _summarise_structure(name: str, value: int, cases: Sequence[Mapping[str, Any]]) -> Structure:
    own = [(case, case["classes"][name]) for case in cases if name in case["classes"]]
    unit = size_key(own[0][1] if own else ())
    return Structure(
        name=name,
        value=value,
        cases=len(own),
        size=float(np.median([each[unit] for _, each in own if unit in each])) if own else 0.0,
        share=float(np.median([each["voxels"] / _count_annotated(case) for case, each in own])) if own else 0.0,
        centroids={str(case["name"]): np.array(each["centroid"]) for case, each in own},
    )


def _count_labelled(case: Mapping[str, Any]) -> int:
    return sum(int(each["voxels"]) for each in case["classes"].values())


def _count_annotated(case: Mapping[str, Any]) -> int:
    """Return the number of voxels that are not ignored, at least 1."""
    return max(int(np.prod(case["shape"])) - int(case.get("ignored") or 0), 1)


def _by_channel(intensity: Sequence[Sequence[Mapping[str, float]]], key: str) -> list[list[float]]:
    return [[case[channel][key] for case in intensity] for channel in range(len(intensity[0]))]


def _pool_foreground(
    foreground: Sequence[Sequence[Mapping[str, Any]]],
) -> tuple[np.ndarray | None, list[float], list[float]]:
    """Return quantiles, means and standard deviations of all cases' foreground, each case with the same weight.

    nnU-Net samples each case equally often, too.
    """
    known = [case for case in foreground if case]
    if not known:
        return None, [], []
    levels = np.linspace(0, 1, 201)
    # Voxels are assumed to be spread evenly between a case's quantiles: few points would overweight its outliers.
    dense = np.linspace(0, 1, 4001)
    pooled, means, stds = [], [], []
    for channel in range(len(known[0])):
        values = np.concatenate([np.interp(dense, levels, case[channel]["quantiles"]) for case in known])
        pooled.append(np.quantile(values, levels))
        mean = np.array([case[channel]["mean"] for case in known])
        means.append(float(mean.mean()))
        stds.append(float(np.sqrt(np.mean([case[channel]["std"] ** 2 for case in known]) + mean.var())))
    return np.array(pooled), means, stds
