"""Measure cases with predictions and references after cleaning in several ways."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from ..data.voxel_size import MM3_PER_ML, voxel_size
from .label_pair import drop_ignored
from .outcomes import decide_outcome, score_outcome

__all__ = [
    "Case",
    "Cases",
    "Cleaner",
    "Sizes",
    "Steps",
    "Survey",
    "compute_case_dice",
    "hold_cases",
    "measure_options",
    "survey_cases",
]


class Case(NamedTuple):
    """A case with a prediction and a reference.

    Attributes:
        prediction: predicted label map, (X, Y[, Z]).
        reference: reference label map of the same shape.
        affine: voxel to world (mm), 4 x 4; in 2D also 3 x 3.
        annotated: values of the labels that were annotated; None for all.
    """

    prediction: NDArray[np.integer]
    reference: NDArray[np.integer]
    affine: NDArray[np.float64]
    annotated: Collection[int] | None = None


Cases = Callable[[], Iterable[Case | tuple[Any, Any, Any]]]
Sizes = dict[int, float | None]  # minimum size by label value, for each label that a step cleans; None for other steps
Steps = dict[str, Sizes]


class Cleaner(Protocol):
    """A function that cleans a label map (X, Y[, Z]) by the labels' values. Sizes are in ml, in 2D in mm2."""

    def __call__(
        self,
        label_map: NDArray[np.integer],
        *,
        voxel_size: float,
        largest_component: Iterable[int],
        fill_holes: Iterable[int],
        minimum: Mapping[int, float],
    ) -> NDArray[np.integer]:
        """Return the cleaned label map. The input is not changed."""
        ...


class Survey(NamedTuple):
    """Facts about the cases before any cleaning.

    Attributes:
        cases: the number of cases.
        unit: unit of sizes, ``ml``, in 2D ``mm2``.
        voxel: the smallest voxel size of all cases.
        smallest: each label's smallest size in a reference, by value, of labels that are in one and were annotated.
    """

    cases: int
    unit: str
    voxel: float
    smallest: dict[int, float]


def hold_cases(cases: Iterable[Case | tuple[Any, Any, Any]]) -> Cases:
    """Hold cases in memory and return a function that returns them."""
    held = list(cases)
    return lambda: held


def survey_cases(cases: Cases, labels: Mapping[str, int], *, ignored: Sequence[int] = ()) -> Survey:
    """Check all cases and return facts about them.

    Args:
        cases: the function that returns the cases.
        labels: value of each label by name; 0 is the background.
        ignored: values of references that do not count.

    Raises:
        ValueError: If there is no case, or a case's label maps differ in shape, do not fit the affine, are no integers
            or have values that `labels` does not declare.
    """
    number, voxel, unit, smallest = 0, math.inf, "ml", dict[int, float]()
    for number, (prediction, whole, affine, annotated) in enumerate(_read(cases), start=1):
        if prediction.shape != whole.shape or len(affine) not in {4, prediction.ndim + 1}:
            msg = (
                f"case {number}: the prediction has shape {prediction.shape}, the reference {whole.shape} and the "
                f"affine {len(affine)} rows: expected one grid"
            )
            raise ValueError(msg)
        _count_labels(prediction, labels, f"case {number}: the prediction")
        reference = drop_ignored(prediction, whole, labels, ignored)[1]
        present = _count_labels(reference, labels, f"case {number}: the reference")
        size = _size_of_voxel(affine, prediction.ndim)
        voxel, unit = min(voxel, size), "ml" if prediction.ndim == 3 else "mm2"
        for value, voxels in present.items():
            if annotated is not None and value not in annotated:
                continue
            smallest[value] = min(smallest.get(value, math.inf), voxels * size)
    if not number:
        raise ValueError("no case: expected label maps with references")
    return Survey(number, unit, voxel, {value: smallest[value] for value in labels.values() if value in smallest})


def measure_options(
    cases: Cases,
    names: Mapping[int, str],
    clean: Cleaner,
    options: Sequence[Steps],
    *,
    ignored: Sequence[int] = (),
) -> list[dict[int, NDArray[np.float64]]]:
    """Return the Dice of all cases after cleaning in several ways.

    Whole predictions are cleaned. Then voxels count that the reference does not ignore.

    Args:
        cases: the function that returns the cases.
        names: name of each label by its value, without the background.
        clean: the function that cleans a label map.
        options: the ways of cleaning. An empty one cleans nothing.
        ignored: values of references that do not count.

    Returns:
        For each way, the Dice of the cases in their order, by label value; NaN if neither side has the label, or if it
        was not annotated in the case.
    """
    found: list[list[list[float]]] = [[] for _ in options]
    labels = {name: value for value, name in names.items()}
    for prediction, reference, affine, annotated in _read(cases):
        box = _find_box(prediction, reference)
        expected = reference[box]
        for scores, steps in zip(found, options, strict=True):
            cleaned = clean(
                prediction[box],
                voxel_size=_size_of_voxel(affine, prediction.ndim),
                largest_component=[*steps.get("largest_component", ())],
                fill_holes=[*steps.get("fill_holes", ())],
                minimum={value: size for value, size in steps.get("minimum", {}).items() if size is not None},
            )
            dice = compute_case_dice(*drop_ignored(cleaned, expected, labels, ignored), list(names))
            known = names if annotated is None else annotated
            scores.append([one if value in known else math.nan for value, one in zip(names, dice, strict=True)])
    return [dict(zip(names, np.array(scores, dtype=np.float64).T, strict=True)) for scores in found]


def compute_case_dice(
    prediction: NDArray[np.integer], reference: NDArray[np.integer], values: Sequence[int]
) -> list[float]:
    """Return the Dice of each value, by the rules of `decide_outcome`: NaN for what both lack.

    Args:
        prediction: label map, any shape.
        reference: label map of the same shape.
        values: foreground values, at least one.
    """
    length = max(values) + 1
    both = np.where(prediction == reference, prediction, 0)
    counts = (_count_voxels(each, "map", length)[values].tolist() for each in (prediction, reference, both))
    return [_compute_dice(*voxels) for voxels in zip(*counts, strict=True)]


def _read(cases: Cases) -> Iterator[Case]:
    """Yield the cases, whose last entry may be missing."""
    for case in cases():
        yield Case(*case)


def _compute_dice(predicted: int, expected: int, common: int) -> float:
    outcome = decide_outcome(in_reference=expected > 0, in_prediction=predicted > 0)
    if outcome == "found":
        return 2.0 * common / (predicted + expected)
    return score_outcome(outcome)["dice"]


def _count_labels(label_map: NDArray[np.integer], labels: Mapping[str, int], name: str) -> dict[int, int]:
    """Return the voxel counts of a map's foreground labels, or raise ValueError for undeclared labels."""
    counts = {value: int(voxels) for value, voxels in enumerate(_count_voxels(label_map, name)) if value and voxels}
    undeclared = sorted(counts.keys() - labels.values())
    if undeclared:
        msg = f"{name} has the values {undeclared}, which labels {dict(labels)} do not declare"
        raise ValueError(msg)
    return counts


def _count_voxels(label_map: NDArray[np.integer], name: str, length: int = 1) -> NDArray[np.int64]:
    """Count the voxels of each value from 0, slice by slice because bincount converts its input to 64-bit integers."""
    if label_map.dtype.kind not in "iub" or label_map.min(initial=0) < 0:
        msg = f"{name} has values of type {label_map.dtype}, or below 0: expected a label map of integers from 0"
        raise ValueError(msg)
    length = max(length, int(label_map.max(initial=0)) + 1)
    counts = np.zeros(length, dtype=np.int64)
    for part in label_map:
        counts += np.bincount(part.ravel(), minlength=length)
    return counts


def _find_box(prediction: NDArray[np.integer], reference: NDArray[np.integer]) -> tuple[slice, ...]:
    """Return the box around all labels of both maps."""
    boxes = find_objects(((prediction != 0) | (reference != 0)).view(np.uint8))
    return boxes[0] if boxes else (slice(0, 1),) * prediction.ndim


def _size_of_voxel(affine: NDArray[np.float64], axes: int) -> float:
    """Return the volume of a voxel in ml, in 2D its area in mm2."""
    size = voxel_size(affine, axes)
    return size / MM3_PER_ML if axes == 3 else size
