"""Choose the spacing to work at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...data.errors import InputError
from .choice import Choice, format_numbers
from .fingerprint import Fingerprint

__all__ = ["THICK", "check_spacing", "choose_spacing", "count_windows", "shape_at"]

# nnU-Net's threshold (Isensee et al. 2021, supplement): above it the coarse axis is treated separately.
THICK = 3.0
# Of the median scan: with fewer, a network's coarsest level would be a single voxel.
_MIN_VOXELS = 8


def choose_spacing(fingerprint: Fingerprint) -> Choice:
    """Choose the spacing (mm) to resample to: the median, and for thick slices a low percentile of their distance."""
    spacings, unit = fingerprint.spacings, fingerprint.unit
    median = np.median(spacings, axis=0)
    if np.allclose(spacings, median, rtol=1e-2):
        return Choice(_round(median), f"{unit}; all scans have this spacing, within 1%")
    thick = int(np.argmax(median))
    others = np.delete(median, thick)
    if median[thick] >= THICK * others.max() and fingerprint.dims == 3:
        # Interpolating thick slices is better than merging thin ones.
        low = float(np.percentile(spacings[:, thick], 10))
        median[thick] = max(low, others.max())
        taken = (
            "the 10th percentile" if low >= others.max() else "the in-plane spacing, as some scans have thinner ones"
        )
        return Choice(
            _round(median),
            f"{unit}; the median in plane; across the thick slices "
            f"(median {np.median(spacings[:, thick]):.4g} {unit}) {taken}",
        )
    spread = f"{format_numbers(spacings.min(axis=0))} to {format_numbers(spacings.max(axis=0))}"
    return Choice(_round(median), f"{unit}; the median of the scans' spacings ({spread})")


def check_spacing(spacing: list[float], fingerprint: Fingerprint) -> Choice:
    """Return a given spacing (mm) as a choice; raise InputError where a scan would have hardly any voxels."""
    shape = shape_at(fingerprint, spacing)
    if shape.prod() < _MIN_VOXELS:
        raise InputError(
            "--spacing",
            found=f"{format_numbers(spacing)} {fingerprint.unit}, at which the median scan has "
            f"{format_numbers(shape)} voxels",
            expected="a spacing that keeps the structures visible; "
            f"the scans' median is {format_numbers(np.median(fingerprint.spacings, axis=0))} {fingerprint.unit}",
            remedy="use a finer spacing, or leave --spacing out",
        )
    return Choice(spacing, f"{fingerprint.unit}; set by --spacing")


def shape_at(fingerprint: Fingerprint, spacing: Sequence[float], *, largest: bool = False) -> np.ndarray:
    """Return the median shape (voxels per axis) of the scans at a spacing, or the largest scan's shape."""
    shapes = fingerprint.shapes * fingerprint.spacings / np.asarray(spacing)
    if largest:
        return np.asarray(np.ceil(shapes[np.argmax(shapes.prod(axis=1))]), dtype=int)
    return np.asarray(np.maximum(np.rint(np.median(shapes, axis=0)), 1), dtype=int)


def count_windows(shape: Sequence[int], window: Sequence[int], overlap: float) -> int:
    """Count the windows (voxels per axis) of a sliding-window inference; overlap is a fraction of a window."""
    count = 1
    for size, side in zip(shape, window, strict=True):
        step = max(int(side * (1 - overlap)), 1)
        count *= max(-(-(int(size) - side) // step), 0) + 1
    return count


def _round(spacing: np.ndarray) -> list[float]:
    return [float(f"{size:.4g}") for size in spacing]
