"""Calibration of a case's probabilities: expected calibration error and Brier score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .label_pair import read_label_map

__all__ = ["BINS", "measure_calibration"]

BINS = 15
_MAX_SUM_ERROR = 1e-2  # of the probabilities of a voxel, which may be stored in 16 bits


def measure_calibration(
    probabilities: ArrayLike,
    reference: Any,
    labels: Mapping[str, int],
    *,
    region: ArrayLike | None = None,
    bins: int = BINS,
) -> dict[str, float]:
    """Return how well the probabilities of a case fit its reference, over all voxels.

    - ``ece``: expected calibration error (Guo et al., 2017, equation 3): the mean over the voxels of the difference
      between confidence (the largest probability) and accuracy in bins of equal width of the confidence.
    - ``brier``: the mean over the voxels of the sum over the classes of the squared difference to 1 for the reference's
      class and 0 for others (Brier, 1950), [0, 2].

    Most voxels of a scan are background that is easy. So both depend on how much of it there is: compare them only for
    the same scans, or in a `region`.

    Args:
        probabilities: probabilities (C, X, Y, Z) or (C, X, Y), [0, 1], that add up to 1 in each voxel. Channel c is
            that of the label value c.
        reference: label map (X, Y, Z) or (X, Y), tensor or array; a leading channel of length 1 is accepted.
        labels: value of each label by name; 0 is the background.
        region: mask of the voxels to count, of the reference's shape. The default is all of them.
        bins: number of bins.

    Returns:
        ``ece`` [0, 1] and ``brier`` [0, 2]; NaN if the region is empty.

    Raises:
        ValueError: If the shapes differ, the values are no probabilities, or the reference has values that `labels` or
            the channels do not have.
    """
    found = np.asarray(probabilities)
    expected = read_label_map(reference, found.ndim - 1, "reference")
    mask = np.ones(expected.shape, dtype=bool) if region is None else np.asarray(region).astype(bool)
    if found.shape[1:] != expected.shape or mask.shape != expected.shape or bins < 1:
        msg = (
            f"probabilities of shape {found.shape}, reference {expected.shape}, region {mask.shape}, {bins} bins: "
            f"expected one grid, and at least one bin"
        )
        raise ValueError(msg)
    values = set(np.unique(expected).astype(np.int64).tolist())
    undeclared = sorted(value for value in values if value not in labels.values() or not 0 <= value < len(found))
    if undeclared:
        msg = f"reference holds the values {undeclared}: expected those of {dict(labels)}, below {len(found)} channels"
        raise ValueError(msg)
    totals = np.zeros((3, bins))  # voxels, sum of confidences, number of correct ones
    brier = 0.0
    # Slice by slice, because the probabilities of a scan may be most of the memory.
    for index in range(expected.shape[0]):
        inside = mask[index]
        part = found[:, index][:, inside].astype(np.float64)
        _check_probabilities(part)
        truth = expected[index][inside].astype(np.intp)
        at_truth = np.take_along_axis(part, truth[None], axis=0)[0]
        brier += float(np.square(part).sum() - 2 * at_truth.sum() + at_truth.size)
        confidence, correct = part.max(axis=0, initial=0), part.argmax(axis=0) == truth
        place = _find_bins(confidence, bins)
        for row, weights in enumerate((np.ones(len(place)), confidence, correct)):
            totals[row] += np.bincount(place, weights=weights, minlength=bins)
    voxels = totals[0].sum()
    if not voxels:
        return {"ece": float("nan"), "brier": float("nan")}
    return {"ece": float(np.abs(totals[1] - totals[2]).sum() / voxels), "brier": brier / float(voxels)}


def _find_bins(confidence: NDArray[np.float64], bins: int) -> NDArray[np.intp]:
    """Return the bin of each confidence. A bin contains its upper end, so that 1 is in the last one."""
    found: NDArray[np.intp] = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(np.intp)
    return found


def _check_probabilities(part: NDArray[np.float64]) -> None:
    if part.size and not (part.min() >= -_MAX_SUM_ERROR and np.abs(part.sum(axis=0) - 1).max() <= _MAX_SUM_ERROR):
        msg = f"probabilities from {part.min():g} to {part.max():g}: expected some that add up to 1 in each voxel"
        raise ValueError(msg)
