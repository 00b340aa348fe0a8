"""Cases with predictions and references, measured after cleaning in several ways."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from ..data.voxel_size import MM3_PER_ML, voxel_size
from .outcomes import decide_outcome, score_outcome

__all__ = ["Case", "Cases", "Cleaner", "Sizes", "Steps", "Survey", "hold_cases", "measure", "survey"]

Case = tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.float64]]
"""Predicted label map, reference label map of the same shape (X, Y[, Z]), and affine (mm, 4 x 4; in 2D also 3 x 3)."""

Cases = Callable[[], Iterable[Case]]
Sizes = dict[int, float | None]  # the values of labels that a step is for; None but for the step "minimum"
Steps = dict[str, Sizes]


class Cleaner(Protocol):
    """A function that cleans a label map (X, Y[, Z]) by the labels' values; sizes are in ml, with two axes in mm2."""

    def __call__(
        self,
        label_map: NDArray[np.integer],
        *,
        voxel_size: float,
        largest_component: Iterable[int],
        fill_holes: Iterable[int],
        minimum: Mapping[int, float],
    ) -> NDArray[np.integer]:
        """Return the cleaned label map; the one given stays as it is."""
        ...


class Survey(NamedTuple):
    """The facts about the cases that are known before anything is tried.

    Attributes:
        cases: the number of cases.
        unit: of sizes, ``ml`` or with two axes ``mm2``.
        voxel: the smallest size of a voxel.
        smallest: by a label's value, its smallest size in a reference that has it; labels that none has are left out.
    """

    cases: int
    unit: str
    voxel: float
    smallest: dict[int, float]


def hold_cases(cases: Iterable[Case]) -> Cases:
    """Hold cases in memory; return a function that returns them each time."""
    held = list(cases)
    return lambda: held


def survey(cases: Cases, labels: Mapping[str, int]) -> Survey:
    """Check all cases and survey them.

    Args:
        cases: the function that returns them.
        labels: value of each label by name; 0 is the background.

    Raises:
        ValueError: If there is none, or one's label maps differ in shape, do not fit the affine, are no integers or
            have values that `labels` does not declare.
    """
    number, voxel, unit, smallest = 0, math.inf, "ml", dict[int, float]()
    for number, (prediction, reference, affine) in enumerate(cases(), start=1):
        if prediction.shape != reference.shape or len(affine) not in {4, prediction.ndim + 1}:
            msg = (
                f"case {number}: the prediction has shape {prediction.shape}, the reference {reference.shape} and the "
                f"affine {len(affine)} rows: expected one grid"
            )
            raise ValueError(msg)
        _present(prediction, labels, f"case {number}: the prediction")
        present = _present(reference, labels, f"case {number}: the reference")
        size = _size_of_voxel(affine, prediction.ndim)
        voxel, unit = min(voxel, size), "ml" if prediction.ndim == 3 else "mm2"
        for value, voxels in present.items():
            smallest[value] = min(smallest.get(value, math.inf), voxels * size)
    if not number:
        raise ValueError("no case: expected label maps with references")
    return Survey(number, unit, voxel, {value: smallest[value] for value in labels.values() if value in smallest})


def measure(
    cases: Cases, names: Mapping[int, str], clean: Cleaner, options: Sequence[Steps]
) -> list[dict[int, NDArray[np.float64]]]:
    """Measure several ways of cleaning.

    Args:
        cases: the function that returns them.
        names: name of each label by its value, without the background.
        clean: the function that cleans a label map.
        options: the ways of cleaning; an empty one cleans nothing.

    Returns:
        For each way, by the labels' values, Dice of the cases in their order; nan where neither side has the label.
    """
    found: list[list[list[float]]] = [[] for _ in options]
    for prediction, reference, affine in cases():
        box = _box(prediction, reference)
        expected = reference[box]
        for scores, steps in zip(found, options, strict=True):
            cleaned = clean(
                prediction[box],
                voxel_size=_size_of_voxel(affine, prediction.ndim),
                largest_component=[*steps.get("largest_component", ())],
                fill_holes=[*steps.get("fill_holes", ())],
                minimum={value: size for value, size in steps.get("minimum", {}).items() if size is not None},
            )
            scores.append(_case_dice(cleaned, expected, list(names)))
    return [dict(zip(names, np.array(scores, dtype=np.float64).T, strict=True)) for scores in found]


def _case_dice(prediction: NDArray[np.integer], reference: NDArray[np.integer], values: Sequence[int]) -> list[float]:
    length = max(values) + 1
    both = np.where(prediction == reference, prediction, 0)
    counts = (_counts(each, "map", length)[values].tolist() for each in (prediction, reference, both))
    return [_dice(*voxels) for voxels in zip(*counts, strict=True)]


def _dice(predicted: int, expected: int, common: int) -> float:
    outcome = decide_outcome(in_reference=expected > 0, in_prediction=predicted > 0)
    if outcome == "found":
        return 2.0 * common / (predicted + expected)
    return score_outcome(outcome)["dice"]


def _present(label_map: NDArray[np.integer], labels: Mapping[str, int], what: str) -> dict[int, int]:
    """Count the voxels of the foreground labels that a map has, or raise ValueError for others."""
    counts = {value: int(voxels) for value, voxels in enumerate(_counts(label_map, what)) if value and voxels}
    undeclared = sorted(counts.keys() - labels.values())
    if undeclared:
        msg = f"{what} has the values {undeclared}, which labels {dict(labels)} do not declare"
        raise ValueError(msg)
    return counts


def _counts(label_map: NDArray[np.integer], what: str, length: int = 1) -> NDArray[np.int64]:
    """Count the voxels of every value from 0, slice by slice: bincount turns its input into 64-bit integers."""
    if label_map.dtype.kind not in "iub" or label_map.min(initial=0) < 0:
        msg = f"{what} has values of type {label_map.dtype}, or below 0: expected a label map of integers from 0"
        raise ValueError(msg)
    length = max(length, int(label_map.max(initial=0)) + 1)
    counts = np.zeros(length, dtype=np.int64)
    for part in label_map:
        counts += np.bincount(part.ravel(), minlength=length)
    return counts


def _box(prediction: NDArray[np.integer], reference: NDArray[np.integer]) -> tuple[slice, ...]:
    """Return the box around all labels of both maps."""
    boxes = find_objects(((prediction != 0) | (reference != 0)).view(np.uint8))
    return boxes[0] if boxes else (slice(0, 1),) * prediction.ndim


def _size_of_voxel(affine: NDArray[np.float64], axes: int) -> float:
    """Return the volume of a voxel in ml, with two axes its area in mm2."""
    size = voxel_size(affine, axes)
    return size / MM3_PER_ML if axes == 3 else size
