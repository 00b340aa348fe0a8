"""Metrics of lesions: components of two masks, matched one to one, also by size."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..data.length_units import size_in_unit
from ..data.voxel_size import MM3_PER_ML
from .grid_edges import find_edges
from .metric_names import LESION_METRICS
from .outcomes import decide_outcome, score_outcome

__all__ = ["MIN_IOU", "SIZE_CLASSES_ML", "measure_lesions"]

MIN_IOU = 0.1
"""IoU from which two lesions can be matched."""
SIZE_CLASSES_ML = (0.1, 1.0)
"""Limits between small, medium and large lesions (ml)."""
ALL_SIZES = "all"


class _Pair(NamedTuple):
    """A matched reference and predicted lesion, by their numbers from 0."""

    expected: int
    predicted: int
    iou: float
    dice: float


def measure_lesions(
    prediction_mask: ArrayLike,
    reference_mask: ArrayLike,
    *,
    spacing: Sequence[float],
    iou: float = MIN_IOU,
    size_classes: Sequence[float] | None = None,
    voxel_size: float | None = None,
    affine: ArrayLike | None = None,
    unit: str = "mm",
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Match the lesions of two masks and return metrics over all of them, for each class of sizes, and each lesion.

    A lesion is a component of voxels that touch by a face, an edge or a corner. Each reference lesion is matched with
    at most one predicted lesion, and the other way round, so that the sum of the pairs' IoU is as large as possible.
    Only pairs with an IoU of at least `iou` count. With M matched pairs, R reference and P predicted lesions:

    - ``lesion_recall``: M / R; ``lesion_precision``: M / P; ``lesion_f1``: 2 M / (R + P).
    - ``lesion_dice``: the sum of the pairs' Dice over M + missed + invented lesions, as in BraTS 2023.

    The table of `decide_outcome` holds for these: 0 if only one mask has lesions, NaN if neither has one. A pair
    belongs to the class of its reference lesion, an invented lesion to that of its own size.

    Args:
        prediction_mask: mask (X, Y, Z) or (X, Y).
        reference_mask: mask of the same shape.
        spacing: voxel size in mm, one per axis.
        iou: smallest IoU of a pair, above 0 and at most 1.
        size_classes: limits between classes of sizes (ml, in 2D mm2), ascending. A lesion of the size of a limit
            belongs to the class above it. The default is `SIZE_CLASSES_ML`, in 2D none.
        voxel_size: volume of a voxel in mm3, in 2D its area in mm2. The default is as in `measure_case`.
        affine: voxel to world, as in `measure_case`.
        unit: of lengths, as in `measure_case`.

    Returns:
        Rows by class of sizes, the first for ``all``: ``size_class``, the metrics of `LESION_METRICS`,
        ``reference_lesions``, ``predicted_lesions``, ``matched``, ``outcome``. And one row per lesion, the reference's
        first: ``side``, ``lesion`` (number from 1), ``status`` (``matched``, ``missed``, ``invented``), ``size``,
        ``size_unit``, ``size_class``, ``match`` (number of the other side's lesion, or None), ``iou`` and ``dice`` (0
        without a match), ``centre`` (centre of gravity, indices).

    Raises:
        ValueError: If the shapes differ or do not fit `spacing`, or an option is out of range.
    """
    predicted_mask, expected_mask = (np.asarray(mask).astype(bool) for mask in (prediction_mask, reference_mask))
    limits = _read_limits(size_classes, len(spacing))
    if predicted_mask.shape != expected_mask.shape or predicted_mask.ndim != len(spacing) or len(spacing) not in (2, 3):
        msg = f"masks of shapes {predicted_mask.shape} and {expected_mask.shape}: expected {len(spacing)} equal axes"
        raise ValueError(msg)
    if not 0 < iou <= 1:
        msg = f"iou is {iou}: expected an IoU above 0, at most 1"
        raise ValueError(msg)
    size = float(np.linalg.det(find_edges(spacing, affine))) if voxel_size is None else voxel_size
    size_unit = size_in_unit(unit, len(spacing))
    size = size / MM3_PER_ML if size_unit == "ml" else size

    components = [_find_components(mask) for mask in (expected_mask, predicted_mask)]
    sizes = [np.bincount(found[found > 0], minlength=found.max(initial=0) + 1)[1:] for found in components]
    pairs = _match(components[0], components[1], sizes[0], sizes[1], iou)
    classes = [_name_classes(voxels * size, limits) for voxels in sizes]
    for pair in pairs:
        classes[1][pair.predicted] = classes[0][pair.expected]
    lesions = [
        row
        for side in (0, 1)
        for row in _list_lesions(side, components[side], sizes[side] * size, size_unit, classes[side], pairs)
    ]
    names = [ALL_SIZES, *_list_classes(limits)] if limits else [ALL_SIZES]
    return [_summarise_class(name, classes, pairs) for name in names], lesions


def _read_limits(size_classes: Sequence[float] | None, dims: int) -> tuple[float, ...]:
    limits = (SIZE_CLASSES_ML if dims == 3 else ()) if size_classes is None else tuple(size_classes)
    if any(not math.isfinite(limit) or limit <= 0 for limit in limits) or list(limits) != sorted(set(limits)):
        msg = f"size_classes are {limits}: expected ascending limits above 0"
        raise ValueError(msg)
    return limits


def _find_components(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    structure = ndimage.generate_binary_structure(mask.ndim, mask.ndim)
    found: NDArray[np.int32] = ndimage.label(mask, structure)[0]
    return found


def _match(
    expected: NDArray[np.int32],
    predicted: NDArray[np.int32],
    expected_sizes: NDArray[np.int64],
    predicted_sizes: NDArray[np.int64],
    smallest: float,
) -> list[_Pair]:
    """Return the pairs of the assignment with the largest sum of IoU, by the reference lesion's number."""
    both = (expected > 0) & (predicted > 0)
    width = len(predicted_sizes)
    codes, common = np.unique((expected[both].astype(np.int64) - 1) * width + predicted[both] - 1, return_counts=True)
    rows, columns = np.divmod(codes, max(width, 1))
    ious = common / (expected_sizes[rows] + predicted_sizes[columns] - common)
    dice = 2 * common / (expected_sizes[rows] + predicted_sizes[columns])
    able = ious >= smallest * (1 - 1e-12)
    rows, columns, ious, dice = rows[able], columns[able], ious[able], dice[able]
    chosen: list[NDArray[np.intp]] = []
    # Groups of lesions that overlap are small, where a table of all lesions may not fit into memory.
    for group in _group_pairs(rows, columns, len(expected_sizes), width):
        if len(group) == 1:
            chosen.append(group)
            continue
        own_rows, row = np.unique(rows[group], return_inverse=True)
        own_columns, column = np.unique(columns[group], return_inverse=True)
        table = np.zeros((len(own_rows), len(own_columns)))
        numbers = np.full(table.shape, -1)
        table[row, column], numbers[row, column] = ious[group], group
        assigned = numbers[linear_sum_assignment(table, maximize=True)]
        chosen.append(assigned[assigned >= 0])
    places = np.concatenate(chosen).tolist() if chosen else []
    return sorted(_Pair(int(rows[k]), int(columns[k]), float(ious[k]), float(dice[k])) for k in places)


def _group_pairs(
    rows: NDArray[np.int64], columns: NDArray[np.int64], height: int, width: int
) -> list[NDArray[np.int64]]:
    """Return the indices of candidate pairs in groups that share no lesion."""
    if not len(rows):
        return []
    graph = coo_array((np.ones(len(rows)), (rows, columns + height)), shape=(height + width,) * 2)
    labels = connected_components(graph, directed=False)[1][rows]
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _list_classes(limits: Sequence[float]) -> list[str]:
    middle = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(limits)]
    return [f"below {limits[0]:g}", *middle, f"{limits[-1]:g} and above"]


def _name_classes(sizes: NDArray[np.floating[Any]], limits: Sequence[float]) -> list[str]:
    names = _list_classes(limits) if limits else [ALL_SIZES]
    return [names[place] for place in np.searchsorted(np.array(limits), sizes, side="right")]


def _list_lesions(
    side: int,
    components: NDArray[np.int32],
    sizes: NDArray[np.floating[Any]],
    unit: str,
    classes: Sequence[str],
    pairs: Sequence[_Pair],
) -> list[dict[str, Any]]:
    numbers = range(1, len(sizes) + 1)
    centres = ndimage.center_of_mass(components > 0, components, numbers) if len(sizes) else []
    matches = {pair[side]: pair for pair in pairs}
    rows = []
    for number, centre in zip(numbers, centres, strict=True):
        pair = matches.get(number - 1)
        rows.append(
            {
                "side": ("reference", "prediction")[side],
                "lesion": number,
                "status": "matched" if pair else ("missed", "invented")[side],
                "size": float(sizes[number - 1]),
                "size_unit": unit,
                "size_class": classes[number - 1],
                "match": pair[1 - side] + 1 if pair else None,
                "iou": pair.iou if pair else 0.0,
                "dice": pair.dice if pair else 0.0,
                "centre": tuple(float(index) for index in centre),
            }
        )
    return rows


def _summarise_class(name: str, classes: Sequence[Sequence[str]], pairs: Sequence[_Pair]) -> dict[str, Any]:
    """Return the row of a class of sizes, from the classes of the reference's and of the prediction's lesions."""
    expected, predicted = (len(side) if name == ALL_SIZES else side.count(name) for side in classes)
    dice = [pair.dice for pair in pairs if name in (ALL_SIZES, classes[0][pair.expected])]
    matched = len(dice)
    outcome = decide_outcome(in_reference=expected > 0, in_prediction=predicted > 0)
    scores = (
        {
            "lesion_f1": 2 * matched / (expected + predicted),
            "lesion_precision": matched / predicted,
            "lesion_recall": matched / expected,
            "lesion_dice": math.fsum(dice) / (expected + predicted - matched),
        }
        if outcome == "found"
        else score_outcome(outcome)
    )
    return {
        "size_class": name,
        **{metric: scores[metric] for metric in LESION_METRICS},
        "reference_lesions": expected,
        "predicted_lesions": predicted,
        "matched": matched,
        "outcome": outcome,
    }
