"""What the dataset check measured, brought together: the numbers that a plan is made from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...data.errors import InputError

__all__ = ["Fingerprint", "Structure", "make_fingerprint"]

_AXES = ("RL", "AP", "SI")
# MONAI's configs take such names for an expression, a reference, a macro or a key of their own.
_NO_NAME = re.compile(r"[$@%].*|_(target|disabled|requires|desc|mode)_", re.DOTALL)


@dataclass(frozen=True)
class Structure:
    """One label over all cases.

    Args:
        name: its name.
        value: its value in the label maps.
        cases: how many cases have it.
        size: median volume (ml; mm² in 2D) over those.
        share: median share of a scan's voxels over those.
        centroids: (cases, 3), mm in world coordinates, by the case's name.
    """

    name: str
    value: int
    cases: int
    size: float
    share: float
    centroids: dict[str, np.ndarray]


@dataclass(frozen=True)
class Fingerprint:
    """A dataset in numbers. Axes are turned to RAS (2D: as they are in the file).

    Args:
        cases: training cases that can be used.
        folds: number of folds.
        largest_fold: cases of the largest fold, the smallest training part being the rest.
        shapes: (cases, axes), voxels.
        spacings: (cases, axes), mm.
        channels: the images' channels, by name.
        labels: value in the files by name, background first.
        structures: every label but the background.
        foreground: median share of a scan's voxels that is labelled.
        zeros: per channel, the median share of voxels that are exactly 0.
        lowest: per channel, the median of the lowest intensity.
        whole: whether all scans are stored as integers.
        quantiles: (channels, 201), of all cases' foreground taken together: 0 %, 0.5 %, ... 100 %; None without labels.
        mean: per channel, of the foreground; so is std.
        std: see mean.
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

    @property
    def dims(self) -> int:
        """2 or 3."""
        return int(self.shapes.shape[1])


def make_fingerprint(report: Mapping[str, Any]) -> Fingerprint:
    """Bring the report of `check_dataset` together.

    Raises:
        InputError: too few cases can be used, no label is known, or cases have no fold.
    """
    unread = _unread_labels(report)
    usable = [case for case in report["cases"] if _usable(case, report) and case["label"] not in unread]
    where = str(report["datalist"])
    labels = {str(name): int(value) for name, value in report["labels"].items()}
    if len(usable) < 2 or len(labels) < 2:
        raise InputError(
            where,
            found=f"{len(usable)} training cases that can be used, with {len(labels) - 1} labels",
            expected="at least two cases with a label map, and at least one label",
            remedy="see what `lightskip check` says, and correct the dataset",
        )
    if not any(case["classes"] for case in usable):
        raise InputError(
            where,
            found="no labelled voxel in any case",
            expected="label maps in which something is labelled",
            remedy='see what `lightskip check` says of the label maps, and whether "labels" names the values in them',
        )
    for name in [*labels, *report["channels"]]:
        if _NO_NAME.fullmatch(name):
            raise InputError(
                where,
                found=f"the name {name!r} of a label or channel",
                expected="a name that does not begin with $, @ or %, and is no word of MONAI's configs",
                remedy="give it another name in the datalist",
            )
    folds = [case["fold"] for case in usable]
    if None in folds or len(set(folds)) < 2:
        raise InputError(
            where,
            found="cases without a fold, or all in one",
            expected='a whole number under "fold" of every training case, and at least two folds',
            remedy="make a datalist with folds: lightskip datalist … -o FILE.json",
        )
    structures = [_structure(name, value, usable) for name, value in labels.items() if name != "background"]
    intensity = [case["intensity"] for case in usable]
    quantiles, mean, std = _pooled([case["foreground"] for case in usable])
    return Fingerprint(
        cases=len(usable),
        folds=len(set(folds)),
        largest_fold=max(folds.count(fold) for fold in set(folds)),
        shapes=np.array([_turned(case, case["shape"]) for case in usable]),
        spacings=np.array([_turned(case, case["spacing"]) for case in usable]),
        channels=[str(name).strip() or f"channel {index}" for index, name in enumerate(report["channels"])],
        labels=labels,
        structures=structures,
        foreground=float(np.median([_labelled(case) / np.prod(case["shape"]) for case in usable])),
        zeros=[float(np.median(column)) for column in _columns(intensity, "zeros")],
        lowest=[float(np.median(column)) for column in _columns(intensity, "min")],
        whole=all("int" in str(case["dtypes"][0]) for case in usable),
        quantiles=quantiles,
        mean=mean,
        std=std,
    )


def _usable(case: Mapping[str, Any], report: Mapping[str, Any]) -> bool:
    if case["part"] != "training" or case["label"] is None or case["shape"] is None:
        return False
    # A broken header gives no size that a median could take, and no axes.
    sizes = np.asarray(case["spacing"], dtype=float)
    placed = case["orientation"] is None or all(
        sum(letter in pair for letter in case["orientation"]) == 1 for pair in _AXES
    )
    measured = len(case["intensity"]) == len(report["channels"])
    return bool(measured and placed and np.isfinite(sizes).all() and (sizes > 0).all())


def _unread_labels(report: Mapping[str, Any]) -> set[str]:
    """Label maps of which nothing could be measured, as something is wrong with them."""
    wrong = {finding["file"] for finding in report["findings"] if finding["severity"] == "problem"}
    return {case["label"] for case in report["cases"] if case["label"] in wrong and not case["classes"]}


def _turned(case: Mapping[str, Any], per_axis: Sequence[float]) -> list[float]:
    """Give what is per axis of the file per axis of RAS: right-left, posterior-anterior, inferior-superior."""
    orientation = case["orientation"]
    if orientation is None:
        return list(per_axis)
    return [per_axis[next(i for i, letter in enumerate(orientation) if letter in pair)] for pair in _AXES]


def _structure(name: str, value: int, cases: Sequence[Mapping[str, Any]]) -> Structure:
    own = [(case, case["classes"][name]) for case in cases if name in case["classes"]]
    unit = "ml" if own and "ml" in own[0][1] else "mm2"
    return Structure(
        name=name,
        value=value,
        cases=len(own),
        size=float(np.median([each[unit] for _, each in own])) if own else 0.0,
        share=float(np.median([each["voxels"] / np.prod(case["shape"]) for case, each in own])) if own else 0.0,
        centroids={str(case["name"]): np.array(each["centroid"]) for case, each in own},
    )


def _labelled(case: Mapping[str, Any]) -> int:
    return sum(int(each["voxels"]) for each in case["classes"].values())


def _columns(intensity: Sequence[Sequence[Mapping[str, float]]], key: str) -> list[list[float]]:
    return [[case[channel][key] for case in intensity] for channel in range(len(intensity[0]))]


def _pooled(
    foreground: Sequence[Sequence[Mapping[str, Any]]],
) -> tuple[np.ndarray | None, list[float], list[float]]:
    """Take the foregrounds of all cases together, each with the same weight, as nnU-Net's samples have."""
    known = [case for case in foreground if case]
    if not known:
        return None, [], []
    levels = np.linspace(0, 1, 201)
    # Between a case's quantiles its voxels are taken to lie evenly: few points would give its outliers too much weight.
    dense = np.linspace(0, 1, 4001)
    pooled, means, stds = [], [], []
    for channel in range(len(known[0])):
        values = np.concatenate([np.interp(dense, levels, case[channel]["quantiles"]) for case in known])
        pooled.append(np.quantile(values, levels))
        mean = np.array([case[channel]["mean"] for case in known])
        means.append(float(mean.mean()))
        stds.append(float(np.sqrt(np.mean([case[channel]["std"] ** 2 for case in known]) + mean.var())))
    return np.array(pooled), means, stds
