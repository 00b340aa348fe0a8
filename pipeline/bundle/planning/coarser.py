"""A coarser spacing, where the scans' own is more than memory and time allow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .choice import Choice, listed
from .fingerprint import Fingerprint
from .geometry import shape_at
from .resources import GIB, Resources
from .size import Size

__all__ = ["coarsened"]

# A scan is worked at the spacing at which it has at most so many patches; else a network never sees enough of it.
_MOST_PATCHES_PER_SCAN = 64
# Where not even the smallest network fits into memory, spacing is made coarser by this factor, so many times at most.
_COARSER, _MOST_TIMES = 1.25, 6


def coarsened(
    chosen: Choice,
    fingerprint: Fingerprint,
    size: Size,
    sized: Callable[[list[float]], Size],
    resources: Resources,
) -> tuple[Choice, Size]:
    """Choose a coarser spacing where no network fits into memory, or where a scan has too many patches.

    Args:
        chosen: spacing (mm) so far.
        fingerprint: the dataset.
        size: what was chosen at that spacing.
        sized: chooses one at another.
        resources: what there is to train with.

    Returns:
        Spacing and size; those given where they will do.
    """
    first, reason = listed(chosen.value), ""
    spacing, needed = chosen.value, resources.memory_of(size)
    for _ in range(_MOST_TIMES):
        if needed <= resources.memory:
            break
        spacing = _times(spacing, _COARSER)
        size = sized(spacing)
        before, needed = needed, resources.memory_of(size)
        reason = f"at which no network fits into {resources.memory / GIB:.3g} GiB"
        if needed > 0.99 * before:
            # It is reading the scans that takes so much.
            break
    patches = float(np.prod(shape_at(fingerprint, spacing)) / size.voxels)
    if patches > _MOST_PATCHES_PER_SCAN and needed <= resources.memory:
        spacing = _times(spacing, (patches / _MOST_PATCHES_PER_SCAN) ** (1 / len(_fine_axes(spacing))))
        size = sized(spacing)
        reason = reason or (
            f"at which a scan would have {patches:.0f} patches: in the given time and memory the network would see too "
            "little of each"
        )
    return (Choice(spacing, f"mm; coarser than the scans' ({first}), {reason}"), size) if reason else (chosen, size)


def _fine_axes(spacing: list[float]) -> list[int]:
    # A thick axis stays as it is: there is nothing to throw away.
    return [axis for axis, side in enumerate(spacing) if side < 2 * min(spacing)]


def _times(spacing: list[float], factor: float) -> list[float]:
    fine = _fine_axes(spacing)
    return [float(f"{side * factor:.3g}") if axis in fine else side for axis, side in enumerate(spacing)]
