"""Measure the predictions of one case in all sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.errors import InputError
from ..data.images.header import spacing_of
from ..data.voxel_size import voxel_size
from ..evaluation.calibration import measure_calibration
from ..evaluation.lesions import MIN_IOU, measure_lesions
from ..evaluation.metric_names import LESION_METRICS
from ..evaluation.metrics import measure_case
from ..evaluation.rows import find_rows
from .check_cases import CheckedCase
from .grids import Grid
from .membranes import MembraneCurve, choose_thresholds, measure_curve
from .pool import Pool
from .probabilities import read_probabilities
from .read_map import read_labels

__all__ = ["Measured", "Measuring", "Prepared", "measure_cases"]

Rows = list[dict[str, Any]]
LabelMap = NDArray[np.integer]

ALL_SIZES = "all"


@dataclass(frozen=True)
class Measuring:
    """What is measured.

    Attributes:
        labels: value of each label by name, the background included.
        regions: the values of each region's labels; empty for rows of labels.
        ignored: values of the reference that count in no metric.
        tolerance_mm: tolerance of the NSD by label.
        metrics: names of metrics.
        cldice: labels that are tubes, for clDice.
        lesions: labels whose lesions are matched one by one.
        membranes: labels in two dimensions that separate cells.
        lesion_iou: IoU from which a predicted lesion is matched.
        calibration: whether the calibration of probabilities is measured.
    """

    labels: dict[str, int]
    tolerance_mm: dict[str, float]
    metrics: tuple[str, ...]
    cldice: tuple[str, ...] = ()
    lesions: tuple[str, ...] = ()
    membranes: tuple[str, ...] = ()
    lesion_iou: float = MIN_IOU
    calibration: bool = True
    regions: dict[str, tuple[int, ...]] = field(default_factory=dict)
    ignored: tuple[int, ...] = ()

    @property
    def rows(self) -> dict[str, tuple[int, ...]]:
        """The values of each structure that is measured."""
        return find_rows(self.labels, self.regions)


@dataclass(frozen=True)
class Prepared:
    """A checked case, with the comparison's value of each value in its files.

    Attributes:
        checked: the case.
        reference: value by the reference's value.
        predictions: value by the prediction's value, by set.
        channels: channel of the probabilities by the comparison's value, by set.
        rows: names of the labels or regions that are measured in this case; None for all.
    """

    checked: CheckedCase
    reference: dict[int, int]
    predictions: dict[str, dict[int, int]]
    channels: dict[str, dict[int, int]] = field(default_factory=dict)
    rows: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Measured:
    """The rows of one case, or of all.

    Attributes:
        rows: one for every set and label.
        lesions: one for every lesion of the labels that ask for it.
        lesion_classes: one for every set, such label and class of sizes.
        calibration: one for every set with probabilities.
        membranes: one for every set and label of membranes: the thresholds.
    """

    rows: Rows = field(default_factory=list)
    lesions: Rows = field(default_factory=list)
    lesion_classes: Rows = field(default_factory=list)
    calibration: Rows = field(default_factory=list)
    membranes: Rows = field(default_factory=list)


def measure_cases(prepared: Sequence[Prepared], measuring: Measuring, pool: Pool) -> Measured:
    """Return the rows of all cases, sorted by set; cases and labels are in their order.

    Raises:
        InputError: a file of probabilities holds other numbers.
    """
    found = pool.map(
        partial(_measure_case, measuring), prepared, title="Measuring", name=lambda one: one.checked.case.name
    )
    results = [measured for measured, _ in found]
    thresholds = choose_thresholds([curve for _, curves in found for curve in curves])
    sets = list(prepared[0].checked.predictions) if prepared else []

    def merge(name: str) -> Rows:
        rows: Rows = [row for result in results for row in getattr(result, name)]
        return [row for one in sets for row in rows if row["set"] == one]

    return Measured(merge("rows"), merge("lesions"), merge("lesion_classes"), merge("calibration"), thresholds)


def _measure_case(measuring: Measuring, prepared: Prepared) -> tuple[Measured, list[MembraneCurve]]:
    checked = prepared.checked
    curves: list[MembraneCurve] = []
    whole = read_labels(checked.reference, prepared.reference)
    counted = ~np.isin(whole, measuring.ignored) if measuring.ignored else None
    reference = whole if counted is None else np.where(counted, whole, 0)
    rows_of_case = measuring.rows if prepared.rows is None else {name: measuring.rows[name] for name in prepared.rows}
    measured = Measured()
    for name, facts in checked.predictions.items():
        # A missing prediction is one without any structure: each that the reference has is missed.
        prediction = np.zeros_like(reference) if facts is None else read_labels(facts, prepared.predictions[name])
        prediction = prediction if counted is None else np.where(counted, prediction, 0)
        place = {"set": name, "case": checked.case.name, "subject": checked.case.subject}
        grid = checked.reference.grid
        unit = checked.reference.unit
        rows = _measure_labels(measuring, grid, prediction, reference, list(rows_of_case), unit=unit)
        for label in (one for one in measuring.lesions if one in rows_of_case):
            masks = np.isin(prediction, rows_of_case[label]), np.isin(reference, rows_of_case[label])
            classes, lesions = _measure_lesions(measuring, grid, *masks, unit)
            by_class = {one["size_class"]: one for one in classes}
            row = next(row for row in rows if row["label"] == label)
            row.update({metric: by_class[ALL_SIZES][metric] for metric in LESION_METRICS})
            measured.lesion_classes.extend({**place, "label": label, **one} for one in classes)
            measured.lesions.extend({**place, "label": label, **_without_tuples(one)} for one in lesions)
        rows = [{**place, **row} for row in rows]
        measured.rows.extend(rows)
        curves.extend(
            _measure_membranes(prepared, name, row, measuring.labels[row["label"]], prediction, reference)
            for row in rows
            if row["label"] in measuring.membranes
        )
        if measuring.calibration and name in prepared.channels:
            found = _measure_calibration(prepared, name, measuring, reference, counted)
            measured.calibration.append({**place, **found})
    return measured, curves


def _measure_labels(
    measuring: Measuring, grid: Grid, prediction: LabelMap, reference: LabelMap, names: Sequence[str], *, unit: str
) -> Rows:
    """Return a row for every named structure; of clDice, which is slow, only for those that ask for it."""
    dims = reference.ndim
    options: dict[str, Any] = {
        "spacing": spacing_of(grid.affine, dims),
        "voxel_size": voxel_size(grid.affine, dims),
        "affine": grid.affine,
        "unit": unit,
    }
    rows = measure_case(
        prediction,
        reference,
        labels=measuring.labels,
        tolerance_mm=measuring.tolerance_mm,
        metrics=measuring.metrics,
        regions=measuring.regions,
        annotated=names,
        **options,
    )
    for label in (one for one in measuring.cldice if one in names):
        masks = [np.isin(labels, measuring.rows[label]).astype(np.uint8) for labels in (prediction, reference)]
        [tube] = measure_case(*masks, labels={"background": 0, label: 1}, metrics=("cldice",), **options)
        next(row for row in rows if row["label"] == label)["cldice"] = tube["cldice"]
    return rows


def _measure_lesions(
    measuring: Measuring, grid: Grid, prediction: NDArray[np.bool_], reference: NDArray[np.bool_], unit: str
) -> tuple[Rows, Rows]:
    dims = reference.ndim
    return measure_lesions(
        prediction,
        reference,
        spacing=spacing_of(grid.affine, dims),
        iou=measuring.lesion_iou,
        voxel_size=voxel_size(grid.affine, dims),
        affine=grid.affine,
        unit=unit,
    )


def _measure_membranes(
    prepared: Prepared, name: str, row: dict[str, Any], value: int, prediction: LabelMap, reference: LabelMap
) -> MembraneCurve:
    masks = prediction == value, reference == value
    if name not in prepared.channels:
        return measure_curve(row, *masks)
    return measure_curve(row, *masks, prepared.checked.probabilities[name], prepared.channels[name][value])


def _measure_calibration(
    prepared: Prepared, name: str, measuring: Measuring, reference: LabelMap, counted: NDArray[np.bool_] | None
) -> dict[str, float]:
    channels = prepared.channels[name]
    found = prepared.checked.probabilities[name]
    expected = np.zeros_like(reference)
    for value, channel in channels.items():
        expected[reference == value] = channel
    labels = {label: channels[value] for label, value in measuring.labels.items()}
    try:
        return measure_calibration(read_probabilities(found, reference.ndim), expected, labels, region=counted)
    except ValueError as error:
        raise InputError(
            found.path,
            found=str(error),
            expected="probabilities of every label that add up to 1",
            remedy="write them again with lightskip predict --probabilities, or leave --calibration out; it is not for "
            "probabilities of regions",
        ) from error


def _without_tuples(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row for CSV: the indices of a centre with spaces between them, nothing for None."""
    return {
        key: " ".join(f"{part:.1f}" for part in value) if isinstance(value, tuple) else "" if value is None else value
        for key, value in row.items()
    }
