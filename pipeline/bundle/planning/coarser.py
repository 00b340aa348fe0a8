"""Choose a coarser spacing where memory or time do not allow the scans' own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .choice import Choice, format_numbers
from .fingerprint import Fingerprint
from .geometry import shape_at
from .resources import GIB, Resources
from .size import Size

__all__ = ["choose_coarser_spacing"]

# Above this number of patches per scan a network sees too little of each scan.
_MAX_PATCHES_PER_SCAN = 64
# Where even the smallest network does not fit in memory, the spacing becomes coarser by this factor, several times if
# necessary.
_COARSER_FACTOR, _MAX_TIMES = 1.25, 6


def choose_coarser_spacing(
    chosen: Choice,
    fingerprint: Fingerprint,
    size: Size,
    size_at: Callable[[list[float]], Size],
    resources: Resources,
) -> tuple[Choice, Size]:
    """Choose a coarser spacing where no network fits into memory, or where a scan has too many patches.

    Args:
        chosen: spacing (mm) so far.
        fingerprint: the dataset.
        size: the size that was chosen for that spacing.
        size_at: chooses a size for another spacing.
        resources: memory, device and hours.

    Returns:
        Spacing and size; unchanged where they fit.
    """
    first, reason = format_numbers(chosen.value), ""
    spacing, needed = chosen.value, resources.memory_of(size)
    for _ in range(_MAX_TIMES):
        if needed <= resources.memory:
            break
        spacing = _multiply(spacing, _COARSER_FACTOR)
        size = size_at(spacing)
        before, needed = needed, resources.memory_of(size)
        reason = f"at that spacing no network fits in {resources.memory / GIB:.3g} GiB"
        if needed > 0.99 * before:
            # Reading the scans takes most of the memory: a coarser spacing does not help.
            break
    patches = float(np.prod(shape_at(fingerprint, spacing)) / size.voxels)
    if patches > _MAX_PATCHES_PER_SCAN and needed <= resources.memory:
        spacing = _multiply(spacing, (patches / _MAX_PATCHES_PER_SCAN) ** (1 / len(_find_fine_axes(spacing))))
        size = size_at(spacing)
        reason = reason or (
            f"at that spacing a scan has {patches:.0f} patches, and in the given time and memory the network would see "
            "too little of each scan"
        )
    return (
        (Choice(spacing, f"{fingerprint.unit}; coarser than the scans' {first} {fingerprint.unit}: {reason}"), size)
        if reason
        else (chosen, size)
    )


def _find_fine_axes(spacing: list[float]) -> list[int]:
    # A thick axis has no resolution to spare.
    return [axis for axis, side in enumerate(spacing) if side < 2 * min(spacing)]


def _multiply(spacing: list[float], factor: float) -> list[float]:
    fine = _find_fine_axes(spacing)
    return [float(f"{side * factor:.3g}") if axis in fine else side for axis, side in enumerate(spacing)]
