"""Choose patch, width, batch and depth: as large as memory and time allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .levels import Levels, make_levels

__all__ = ["MIN_PATCHES", "PATCHES", "TIMED_FIRST", "WIDTHS", "Size", "choose_size"]

# Patches that a training should see: after these the hippocampus bundle was within 0.002 of its best (docs/speed.md).
# Not more, so that a plan does not change where the machine is a little slower.
PATCHES = 12_000
# In a short training of the narrowest network, fewer patches of a useful size are worth more than many small ones. Two
# per step make 600 steps.
MIN_PATCHES = 1_200
# Share of the given time for patches; the rest is for validations.
TIME_SHARE = 0.85
WIDTHS = (32, 24, 16, 8)
_MAX_WIDTH = 320
# A network's time grows at least in proportion to its width. So a wider network is not timed where this estimate is too
# long even for the smallest useful patch.
TIMED_FIRST = 16
# Voxels; a larger patch costs more than it adds.
_MAX_VOXELS = {2: 512**2, 3: 192**3}
# Voxels; a wider network, or more patches than MIN_PATCHES, is not worth a smaller patch.
_MIN_VOXELS = {2: 192**2, 3: 48**3}
# Voxels per side; a smaller patch has too little to learn from, however short the time.
_MIN_SIDE = {2: 64, 3: 32}
# Voxels per step to aim for: two patches of the hippocampus bundle.
_VOXELS_PER_STEP = 180_000
_MAX_PATCHES_PER_STEP = 16

# The bytes of a training, and its seconds per patch.
Memory = Callable[["Size"], int]
Seconds = Callable[["Size"], float]


@dataclass(frozen=True)
class Size:
    """The size of a network and its patches.

    Args:
        width: what the network's rule makes it wider by, such as the channels of the finest level.
        levels: patch, strides and kernels.
        batch: patches per step, a power of two.
        limited_by: why the patch is smaller than the median scan: "nothing" (it is not), "worth", "memory" or "time".
    """

    width: int
    levels: Levels
    batch: int
    limited_by: str

    @property
    def channels(self) -> list[int]:
        """Channels of every level, finest first, that double from level to level up to 320."""
        return [min(self.width * 2**level, _MAX_WIDTH) for level in range(len(self.levels.kernels))]

    @property
    def voxels(self) -> int:
        """Voxels of a patch."""
        return int(np.prod(self.levels.patch))


def choose_size(
    shape: Sequence[int],
    spacing: Sequence[float],
    *,
    memory: Memory,
    memory_limit: int,
    seconds: Seconds,
    seconds_limit: float,
    uncut: Sequence[int] = (),
    widths: Sequence[int] = WIDTHS,
    timed_first: int = TIMED_FIRST,
) -> Size:
    """Choose the widest network whose patch is large enough, and the largest patch for it.

    The time is enough if `PATCHES` fit; for the narrowest network and patches of up to a useful size, `MIN_PATCHES`.

    Args:
        shape: voxels per axis of the median scan at the chosen spacing.
        spacing: mm per axis.
        memory: estimates the bytes of a training with a size.
        memory_limit: bytes.
        seconds: estimates the seconds per patch of a training with a size.
        seconds_limit: seconds of the whole training.
        uncut: axes along which a patch should cover the scan, as long as others can be cut instead.
        widths: the widths to try, widest first.
        timed_first: a wider network is not timed where this width leaves too little time for it.

    Returns:
        The size. Where even the smallest network and patch do not fit, these, with the smallest batch.
    """
    dims = len(shape)
    worth = _MAX_VOXELS[dims] / math.prod(shape)
    start = list(shape) if worth >= 1 else _shrink(shape, worth, spacing, uncut)

    def in_time(size: Size, factor: float = 1.0) -> bool:
        floor = min(1.0, _MIN_VOXELS[dims] / size.voxels) if factor > 1 else 1.0
        return seconds(size) * factor * floor * PATCHES <= seconds_limit * TIME_SHARE

    def in_short_time(size: Size) -> bool:
        is_enough = seconds(size) * MIN_PATCHES <= seconds_limit * TIME_SHARE
        return in_time(size) or (size.voxels <= _MIN_VOXELS[dims] and is_enough)

    def in_memory(size: Size) -> bool:
        return memory(size) <= memory_limit

    smallest = replace(_make_size(widths[-1], _shrink(start, 0.0, spacing, uncut), spacing, "memory"), batch=2)
    for width in widths:
        if width > timed_first and not in_time(_make_size(timed_first, start, spacing, ""), width / timed_first):
            continue
        whole = _make_size(width, start, spacing, "nothing" if worth >= 1 else "worth")
        last = width == widths[-1]
        fits = in_short_time if last else in_time
        in_hours = _find_largest(whole, start, spacing, fits, "time", uncut)
        # Time comes first, since it is quicker to estimate.
        if not last and not _is_large_enough(in_hours, dims):
            continue
        # From the same start, so that more memory or time never leads to a smaller patch.
        size = in_hours
        if not in_memory(size):
            if not in_memory(smallest):
                return smallest
            both = _require_both(fits, in_memory)
            size = _find_largest(whole, start, spacing, both, "memory", uncut)
        if last or (_is_large_enough(size, dims) and in_memory(size) and in_time(size)):
            break
    return size if in_memory(size) else smallest


def _is_large_enough(size: Size, dims: int) -> bool:
    """Return whether a patch covers the scan, or is large enough for a wider network."""
    return size.limited_by in ("nothing", "worth") or size.voxels >= _MIN_VOXELS[dims]


def _find_largest(
    whole: Size,
    start: Sequence[int],
    spacing: Sequence[float],
    fits: Callable[[Size], bool],
    limit: str,
    uncut: Sequence[int],
) -> Size:
    """Return the size where it fits, else the same with the largest patch within `start` that fits, or the smallest."""
    if fits(whole):
        return whole
    low, high = 0.0, 1.0
    best = _make_size(whole.width, _shrink(start, low, spacing, uncut), spacing, limit)
    if not fits(best):
        return best
    for _ in range(7):
        middle = (low + high) / 2
        tried = _make_size(whole.width, _shrink(start, middle, spacing, uncut), spacing, limit)
        if fits(tried):
            low, best = middle, tried
        else:
            high = middle
    return best


def _make_size(width: int, wanted: Sequence[int], spacing: Sequence[float], limited_by: str) -> Size:
    levels = make_levels(wanted, spacing)
    batch = int(np.clip(2 ** round(math.log2(_VOXELS_PER_STEP / np.prod(levels.patch))), 2, _MAX_PATCHES_PER_STEP))
    return Size(width, levels, batch, limited_by)


def _shrink(start: Sequence[int], volume: float, spacing: Sequence[float], uncut: Sequence[int]) -> list[int]:
    """Return a patch of this share of the volume: the longest sides (mm) shrink first, down to 32 voxels (64 in 2D).

    The `uncut` axes are cut only when the others are at their minimum.
    """
    dims = len(start)
    mm = np.asarray(start) * np.asarray(spacing)
    target = max(volume * np.prod(mm), 1.0)
    longest = np.full(dims, np.inf)
    longest[[axis for axis in range(dims) if axis not in uncut]] = 0.0
    least = np.minimum(start, _MIN_SIDE[dims]) * np.asarray(spacing)
    if np.minimum(mm, np.maximum(longest, least)).prod() > target:
        # The other axes are at their minimum: now all are cut.
        longest[:] = 0.0
    low, high = 0.0, float(mm.max())
    # Longer sides are cut to a common length, which gives a cube of tissue where the scan is large enough.
    for _ in range(40):
        side = (low + high) / 2
        low, high = (side, high) if np.minimum(mm, np.maximum(longest, side)).prod() < target else (low, side)
    cut = np.maximum(np.minimum(mm, np.maximum(longest, high)), least)
    return [int(m / s + 1e-6) for m, s in zip(cut, spacing, strict=True)]


def _require_both(first: Callable[[Size], bool], second: Callable[[Size], bool]) -> Callable[[Size], bool]:
    return lambda size: first(size) and second(size)
