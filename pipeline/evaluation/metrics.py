"""Dice, HD95 and NSD of one case, with the rule for absent structures of `outcomes`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice
from monai.utils import convert_to_numpy
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from ..data.voxel_size import MM3_PER_ML
from .outcomes import decide_outcome, score_outcome

__all__ = ["METRICS", "measure_case", "measure_dice"]

METRICS = ("dice", "hd95_mm", "nsd")
"""Columns of a row that are averaged over cases."""

_MARGIN = 2


def measure_case(
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
    within the tolerance). The numbers of a label that one or both sides lack follow the table of `decide_outcome`.

    Args:
        prediction: label map, (X, Y, Z) or (X, Y), tensor or array; a leading channel of length 1 is accepted.
        reference: label map of the same shape.
        spacing: voxel size in mm, one per axis. Its length selects 2D or 3D.
        labels: value of each label by name; 0 is the background and has no row.
        tolerance_mm: distance in mm up to which a boundary voxel counts as correct in the NSD (Nikolov et al., 2018).
        voxel_size: volume of a voxel in mm3, in 2D its area in mm2. The default is the product of `spacing`, which is
            too large for a sheared grid (see `pipeline.data.voxel_size`).

    Returns:
        One row per foreground label, in the order of `labels`: ``label``, ``dice`` [0, 1], ``hd95_mm``, ``nsd`` [0, 1],
        ``reference_size``, ``prediction_size``, ``size_unit`` (``"ml"`` in 3D, ``"mm2"`` in 2D), ``outcome``.

    Raises:
        ValueError: If the shapes differ or do not fit `spacing`, a label map has values that are no integers or that
            `labels` does not declare, or `spacing`, `labels` or `tolerance_mm` are out of range.
    """
    _check_options(spacing, labels, tolerance_mm)
    pair = _read_pair(prediction, reference, len(spacing), labels)
    predicted, expected = pair.predicted, pair.expected
    predicted_counts, expected_counts = pair.predicted_counts, pair.expected_counts
    diagonal = math.hypot(*(n * step for n, step in zip(predicted.shape, spacing, strict=True)))
    size = math.prod(spacing) if voxel_size is None else voxel_size
    unit, voxel_size = ("ml", size / MM3_PER_ML) if len(spacing) == 3 else ("mm2", size)

    rows = []
    for name, value in labels.items():
        if value == 0:
            continue
        outcome = decide_outcome(in_reference=bool(expected_counts[value]), in_prediction=bool(predicted_counts[value]))
        if outcome == "found":
            crop = pair.crop(value)
            scores = _compute_scores(predicted[crop] == value, expected[crop] == value, spacing, tolerance_mm)
        else:
            scores = score_outcome(outcome, diagonal_mm=diagonal)
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


def measure_dice(prediction: Any, reference: Any, *, spatial_dims: int, labels: Mapping[str, int]) -> dict[str, float]:
    """Return the Dice of each foreground label of one case: the ``dice`` of `measure_case`, without its distances.

    Args:
        prediction: label map, (X, Y, Z) or (X, Y), tensor or array; a leading channel of length 1 is accepted.
        reference: label map of the same shape.
        spatial_dims: 2 or 3.
        labels: value of each label by name; 0 is the background.

    Returns:
        Dice [0, 1] by label, in the order of `labels`; NaN for a label that both sides lack.

    Raises:
        ValueError: If the shapes differ, or a label map has values that are no integers or not in `labels`.
    """
    pair = _read_pair(prediction, reference, spatial_dims, labels)
    found: dict[str, float] = {}
    for name, value in labels.items():
        if value == 0:
            continue
        outcome = decide_outcome(
            in_reference=bool(pair.expected_counts[value]), in_prediction=bool(pair.predicted_counts[value])
        )
        if outcome == "found":
            crop = pair.crop(value)
            found[name] = _compute_dice(pair.predicted[crop] == value, pair.expected[crop] == value)
        else:
            found[name] = score_outcome(outcome)["dice"]
    return found


class _Pair(NamedTuple):
    """Two label maps of one grid, with each value's voxel count and box."""

    predicted: NDArray[np.int64]
    expected: NDArray[np.int64]
    predicted_counts: NDArray[np.int64]
    expected_counts: NDArray[np.int64]
    predicted_boxes: list[Any]
    expected_boxes: list[Any]

    def crop(self, value: int) -> tuple[slice, ...]:
        """Return the box around a label that both sides have."""
        return _joint_box(self.predicted_boxes[value - 1], self.expected_boxes[value - 1])


def _read_pair(prediction: Any, reference: Any, spatial_dims: int, labels: Mapping[str, int]) -> _Pair:
    predicted = _to_label_map(prediction, spatial_dims, "prediction")
    expected = _to_label_map(reference, spatial_dims, "reference")
    if predicted.shape != expected.shape:
        msg = f"prediction has shape {predicted.shape} and reference {expected.shape}: expected the same grid"
        raise ValueError(msg)
    largest = max(labels.values())
    return _Pair(
        predicted,
        expected,
        _count_voxels(predicted, labels, "prediction"),
        _count_voxels(expected, labels, "reference"),
        find_objects(predicted, max_label=largest),
        find_objects(expected, max_label=largest),
    )


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


def _to_label_map(volume: Any, spatial_dims: int, name: str) -> NDArray[np.int64]:
    """Return the label map as integers of shape (X, Y[, Z]), without the channel."""
    array = np.asarray(convert_to_numpy(volume))
    if array.ndim == spatial_dims + 1 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != spatial_dims:
        msg = (
            f"{name} has shape {array.shape}: expected {spatial_dims} axes, as spacing has, or one channel before them"
        )
        raise ValueError(msg)
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and np.array_equal(array, np.rint(array))):
        msg = f"{name} holds values that are no integers: expected a label map, after argmax"
        raise ValueError(msg)
    return array.astype(np.int64)


def _count_voxels(label_map: NDArray[np.int64], labels: Mapping[str, int], name: str) -> NDArray[np.int64]:
    """Return the voxel count of each value from 0 to the largest label's."""
    declared = {0, *labels.values()}
    if label_map.min() >= 0 and label_map.max() <= max(declared):
        counts = np.bincount(label_map.ravel(), minlength=max(declared) + 1)
        present = np.flatnonzero(counts)
    else:
        present = np.unique(label_map)
    undeclared = sorted(set(present.tolist()) - declared)
    if undeclared:
        msg = f"{name} holds the values {undeclared}, which labels {dict(labels)} do not declare"
        raise ValueError(msg)
    return counts


def _joint_box(first: tuple[slice, ...], second: tuple[slice, ...]) -> tuple[slice, ...]:
    """Return the box around both boxes, with a margin so that cropping does not change which voxels are boundary."""
    return tuple(
        slice(max(min(a.start, b.start) - _MARGIN, 0), max(a.stop, b.stop) + _MARGIN)
        for a, b in zip(first, second, strict=True)
    )


def _compute_scores(
    predicted: NDArray[np.bool_], expected: NDArray[np.bool_], spacing: Sequence[float], tolerance_mm: float
) -> dict[str, float]:
    """Return the three metrics of one label. Both masks have shape (X, Y[, Z]) and are not empty."""
    y_pred = torch.from_numpy(predicted)[None, None]
    y = torch.from_numpy(expected)[None, None]
    steps = [float(step) for step in spacing]
    hd95 = compute_hausdorff_distance(y_pred, y, include_background=True, percentile=95, directed=False, spacing=steps)
    nsd = compute_surface_dice(y_pred, y, class_thresholds=[tolerance_mm], include_background=True, spacing=steps)
    return {"dice": _compute_dice(predicted, expected), "hd95_mm": hd95.item(), "nsd": nsd.item()}


def _compute_dice(predicted: NDArray[np.bool_], expected: NDArray[np.bool_]) -> float:
    y_pred, y = (torch.from_numpy(mask)[None, None].float() for mask in (predicted, expected))
    return float(compute_dice(y_pred, y, include_background=True).item())
