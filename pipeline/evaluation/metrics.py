"""Dice, HD95 and NSD of one case, with a stated policy for empty label maps, and their summary over many cases."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice
from monai.utils import convert_to_numpy
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from ..data.voxel_size import MM3_PER_ML

METRICS = ("dice", "hd95_mm", "nsd")
"""The columns of a row that are averaged over cases."""

_MARGIN = 2


def case_metrics(
    prediction: Any,
    reference: Any,
    *,
    spacing: Sequence[float],
    labels: Mapping[str, int],
    tolerance_mm: float = 1.0,
    voxel_size: float | None = None,
) -> list[dict[str, Any]]:
    """Compare the prediction of one case with its reference, label by label.

    The numbers are MONAI's: ``compute_dice``, ``compute_hausdorff_distance`` (the larger of the two directed 95th
    percentiles of the distances between boundary voxels) and ``compute_surface_dice`` (the fraction of boundary voxels
    within the tolerance). A label that one side lacks has no distance, and leaving it out of the mean would reward
    missing it. So every row has an outcome, and the outcome decides:

    ================== ========= ========== ============================ =================================
    outcome            reference prediction dice, nsd                    hd95_mm
    ================== ========= ========== ============================ =================================
    ``found``          has it    has it     computed                     computed
    ``missed``         has it    lacks it   0                            the diagonal of the volume
    ``false_positive`` lacks it  has it     0                            the diagonal of the volume
    ``absent``         lacks it  lacks it   NaN: not counted             NaN: not counted
    ================== ========= ========== ============================ =================================

    Args:
        prediction: label map, (X, Y, Z) or (X, Y), tensor or array; a leading channel of length 1 is accepted.
        reference: label map of the same shape.
        spacing: voxel size in mm, one per axis; its length decides between 2D and 3D.
        labels: value of each label by name; 0 is the background and has no row.
        tolerance_mm: distance in mm up to which a boundary voxel counts as right in the NSD (Nikolov et al., 2018).
        voxel_size: volume of a voxel in mm3, in 2D its area in mm2; by default the product of `spacing`, which is too
            large for a grid whose axes are not at right angles (see `pipeline.data.voxel_size`).

    Returns:
        One row per foreground label, in the order of `labels`: ``label``, ``dice`` [0, 1], ``hd95_mm``, ``nsd`` [0, 1],
        ``reference_size``, ``prediction_size``, ``size_unit`` (``"ml"`` in 3D, ``"mm2"`` in 2D), ``outcome``.

    Raises:
        ValueError: If the shapes differ or do not fit `spacing`, a label map holds values that are no integers or that
            `labels` does not declare, or `spacing`, `labels` or `tolerance_mm` are out of range.
    """
    _check_options(spacing, labels, tolerance_mm)
    predicted = _label_map(prediction, len(spacing), "prediction")
    expected = _label_map(reference, len(spacing), "reference")
    if predicted.shape != expected.shape:
        msg = f"prediction has shape {predicted.shape} and reference {expected.shape}: both must be on one grid"
        raise ValueError(msg)
    largest = max(labels.values())
    predicted_counts = _count_voxels(predicted, labels, "prediction")
    expected_counts = _count_voxels(expected, labels, "reference")
    predicted_boxes = find_objects(predicted, max_label=largest)
    expected_boxes = find_objects(expected, max_label=largest)
    diagonal = math.hypot(*(n * step for n, step in zip(predicted.shape, spacing, strict=True)))
    size = math.prod(spacing) if voxel_size is None else voxel_size
    unit, voxel_size = ("ml", size / MM3_PER_ML) if len(spacing) == 3 else ("mm2", size)

    rows = []
    for name, value in labels.items():
        if value == 0:
            continue
        outcome = _outcome(expected_counts[value], predicted_counts[value])
        if outcome == "found":
            crop = _joint_box(predicted_boxes[value - 1], expected_boxes[value - 1])
            scores = _scores(predicted[crop] == value, expected[crop] == value, spacing, tolerance_mm)
        elif outcome == "absent":
            scores = dict.fromkeys(METRICS, math.nan)
        else:
            scores = {"dice": 0.0, "hd95_mm": diagonal, "nsd": 0.0}
        rows.append(
            {
                "label": name,
                **scores,
                "reference_size": int(expected_counts[value]) * voxel_size,
                "prediction_size": int(predicted_counts[value]) * voxel_size,
                "size_unit": unit,
                "outcome": outcome,
            }
        )
    return rows


def summarise(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Summarise the rows of many cases, per label and overall.

    Args:
        rows: rows of `case_metrics`, each with its ``case`` added.

    Returns:
        ``{"labels": {name: entry}, "overall": entry}``, ready for JSON (what is undefined is None). An entry has one
        dictionary per metric (``dice``, ``hd95_mm``, ``nsd``) with ``mean``, ``std`` (of the sample, n - 1),
        ``median``, ``min``, ``max``, and the numbers of cases: ``counted`` (those in the mean), ``missed``,
        ``false_positives`` (both counted, as zeros) and ``absent`` (not counted). The overall statistics are taken
        over the labels' means, so a rare label weighs as much as a frequent one; its numbers are sums over labels.
    """
    by_label: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_label.setdefault(row["label"], []).append(row)
    entries: dict[str, dict[str, Any]] = {
        name: {
            **{metric: _statistics([row[metric] for row in group]) for metric in METRICS},
            **_count_outcomes([row["outcome"] for row in group]),
        }
        for name, group in by_label.items()
    }
    everything = [row["outcome"] for group in by_label.values() for row in group]
    overall = {
        **{metric: _statistics([entry[metric]["mean"] for entry in entries.values()]) for metric in METRICS},
        **_count_outcomes(everything),
    }
    return {"labels": entries, "overall": overall}


def _check_options(spacing: Sequence[float], labels: Mapping[str, int], tolerance_mm: float) -> None:
    if len(spacing) not in (2, 3) or not all(math.isfinite(step) and step > 0 for step in spacing):
        msg = f"spacing is {tuple(spacing)}: expected 2 or 3 positive sizes in mm"
        raise ValueError(msg)
    if min(labels.values(), default=0) < 0 or max(labels.values(), default=0) == 0:
        msg = f"labels are {dict(labels)}: expected values of 0 and above, with at least one above 0"
        raise ValueError(msg)
    if not (math.isfinite(tolerance_mm) and tolerance_mm >= 0):
        msg = f"tolerance_mm is {tolerance_mm}: expected a distance in mm, 0 or above"
        raise ValueError(msg)


def _label_map(volume: Any, spatial_dims: int, what: str) -> NDArray[np.int64]:
    """Return the label map as integers of shape (X, Y[, Z]), without the channel."""
    array = np.asarray(convert_to_numpy(volume))
    if array.ndim == spatial_dims + 1 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != spatial_dims:
        msg = (
            f"{what} has shape {array.shape}: expected {spatial_dims} axes, as spacing has, or one channel before them"
        )
        raise ValueError(msg)
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and np.array_equal(array, np.rint(array))):
        msg = f"{what} holds values that are no integers: expected a label map, after argmax"
        raise ValueError(msg)
    return array.astype(np.int64)


def _count_voxels(label_map: NDArray[np.int64], labels: Mapping[str, int], what: str) -> NDArray[np.int64]:
    """Count the voxels of every value from 0 to the largest label's."""
    declared = {0, *labels.values()}
    if label_map.min() >= 0 and label_map.max() <= max(declared):
        counts = np.bincount(label_map.ravel(), minlength=max(declared) + 1)
        present = np.flatnonzero(counts)
    else:
        present = np.unique(label_map)
    undeclared = sorted(set(present.tolist()) - declared)
    if undeclared:
        msg = f"{what} holds the values {undeclared}, which labels {dict(labels)} do not declare"
        raise ValueError(msg)
    return counts


def _outcome(expected_voxels: int, predicted_voxels: int) -> str:
    if expected_voxels:
        return "found" if predicted_voxels else "missed"
    return "false_positive" if predicted_voxels else "absent"


def _joint_box(first: tuple[slice, ...], second: tuple[slice, ...]) -> tuple[slice, ...]:
    """Return the box around both boxes and a margin, so that no boundary voxel becomes or stops being one."""
    return tuple(
        slice(max(min(a.start, b.start) - _MARGIN, 0), max(a.stop, b.stop) + _MARGIN)
        for a, b in zip(first, second, strict=True)
    )


def _scores(
    predicted: NDArray[np.bool_], expected: NDArray[np.bool_], spacing: Sequence[float], tolerance_mm: float
) -> dict[str, float]:
    """Compute the three metrics of one label, both masks of shape (X, Y[, Z]) and not empty."""
    y_pred = torch.from_numpy(predicted)[None, None]
    y = torch.from_numpy(expected)[None, None]
    steps = [float(step) for step in spacing]
    dice = compute_dice(y_pred.float(), y.float(), include_background=True)
    hd95 = compute_hausdorff_distance(y_pred, y, include_background=True, percentile=95, directed=False, spacing=steps)
    nsd = compute_surface_dice(y_pred, y, class_thresholds=[tolerance_mm], include_background=True, spacing=steps)
    return {"dice": dice.item(), "hd95_mm": hd95.item(), "nsd": nsd.item()}


def _statistics(values: Sequence[float | None]) -> dict[str, float | None]:
    counted = np.array([value for value in values if value is not None and not math.isnan(value)], dtype=np.float64)
    if not counted.size:
        return dict.fromkeys(("mean", "std", "median", "min", "max"))
    return {
        "mean": float(counted.mean()),
        "std": float(counted.std(ddof=1)) if counted.size > 1 else None,
        "median": float(np.median(counted)),
        "min": float(counted.min()),
        "max": float(counted.max()),
    }


def _count_outcomes(outcomes: Sequence[str]) -> dict[str, int]:
    absent = outcomes.count("absent")
    return {
        "counted": len(outcomes) - absent,
        "missed": outcomes.count("missed"),
        "false_positives": outcomes.count("false_positive"),
        "absent": absent,
    }
