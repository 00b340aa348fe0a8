"""Metrics of overlap and volume of one label, from numbers of voxels."""

from __future__ import annotations

__all__ = ["compute_dice", "compute_overlap"]


def compute_dice(predicted: int, expected: int, common: int) -> float:
    """Return the Dice [0, 1] of two masks of which at least one is not empty, from their numbers of voxels."""
    return 2.0 * common / (predicted + expected)


def compute_overlap(predicted: int, expected: int, common: int, voxel_size: float) -> dict[str, float]:
    """Return metrics of overlap and volume of two masks that are not empty.

    With P and R the sizes of prediction and reference, and C that of both together:

    - ``dice``: 2 C / (P + R); ``iou``: C / (P + R - C), also named Jaccard's index.
    - ``sensitivity``: C / R, also named recall; ``precision``: C / P.
    - ``volume_difference``: P - R (ml, in 2D mm2). It is negative if the prediction is too small.
    - ``volume_difference_percent``: the same in percent of the mean of P and R, as Bland and Altman (1986) plot it and
      as SimpleITK's volume similarity is. It is between -200 and 200. In percent of R it would be undefined without a
      reference, and a prediction of more than twice R would be worse than none.

    Args:
        predicted: number of voxels of the prediction.
        expected: number of voxels of the reference.
        common: number of voxels in both.
        voxel_size: size of a voxel (ml, in 2D mm2).
    """
    difference = predicted - expected
    return {
        "dice": compute_dice(predicted, expected, common),
        "iou": common / (predicted + expected - common),
        "sensitivity": common / expected,
        "precision": common / predicted,
        "volume_difference": difference * voxel_size,
        "volume_difference_percent": 200.0 * difference / (predicted + expected),
    }
