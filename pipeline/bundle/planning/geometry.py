"""At which spacing to work."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...data.errors import InputError
from .choice import Choice, listed
from .fingerprint import Fingerprint

__all__ = ["THICK", "choose_spacing", "given_spacing", "shape_at", "windows_of"]

# nnU-Net's threshold (Isensee et al. 2021, supplement): from here on the coarse axis is a matter of its own.
THICK = 3.0
# Of the median scan, below which a network's coarsest level would be a single one.
_FEWEST_VOXELS = 8


def choose_spacing(fingerprint: Fingerprint) -> Choice:
    """Choose the spacing (mm) to resample to: the median, but with thick slices a low percentile of their distance."""
    spacings = fingerprint.spacings
    median = np.median(spacings, axis=0)
    if np.allclose(spacings, median, rtol=1e-2):
        return Choice(_rounded(median), "mm; the scans' own, nothing is resampled but for rounding")
    thick = int(np.argmax(median))
    others = np.delete(median, thick)
    if median[thick] >= THICK * others.max() and fingerprint.dims == 3:
        # Slices thinner than most are kept apart; thick ones are interpolated rather than thin ones thrown together.
        low = float(np.percentile(spacings[:, thick], 10))
        median[thick] = max(low, others.max())
        taken = "the 10th percentile" if low >= others.max() else "as in plane, as some scans have thinner ones"
        return Choice(
            _rounded(median),
            f"mm; the median in plane, and across the thick slices (median {np.median(spacings[:, thick]):.4g} mm) "
            f"{taken}",
        )
    spread = f"{listed(spacings.min(axis=0))} to {listed(spacings.max(axis=0))}"
    return Choice(_rounded(median), f"mm; the median of the scans' ({spread})")


def given_spacing(spacing: list[float], fingerprint: Fingerprint) -> Choice:
    """Take a spacing (mm) as given, or raise InputError where it leaves next to no voxels of a scan."""
    shape = shape_at(fingerprint, spacing)
    if shape.prod() < _FEWEST_VOXELS:
        raise InputError(
            "--spacing",
            found=f"{listed(spacing)} mm, at which the median scan has {listed(shape)} voxels",
            expected="a spacing at which its structures can still be seen; "
            f"the scans' own is {listed(np.median(fingerprint.spacings, axis=0))} mm",
            remedy="give a finer one, or leave it out",
        )
    return Choice(spacing, "mm; as given")


def shape_at(fingerprint: Fingerprint, spacing: Sequence[float], *, largest: bool = False) -> np.ndarray:
    """Return the median shape (voxels per axis) of the scans resampled to a spacing, or the largest scan's."""
    shapes = fingerprint.shapes * fingerprint.spacings / np.asarray(spacing)
    if largest:
        return np.asarray(np.ceil(shapes[np.argmax(shapes.prod(axis=1))]), dtype=int)
    return np.asarray(np.maximum(np.rint(np.median(shapes, axis=0)), 1), dtype=int)


def windows_of(shape: Sequence[int], window: Sequence[int], overlap: float) -> int:
    """Count the windows (voxels per axis) that sliding-window inference takes of a scan; overlap is a share of one."""
    count = 1
    for size, side in zip(shape, window, strict=True):
        step = max(int(side * (1 - overlap)), 1)
        count *= max(-(-(int(size) - side) // step), 0) + 1
    return count


def _rounded(spacing: np.ndarray) -> list[float]:
    return [float(f"{size:.4g}") for size in spacing]
