"""Patch, width, batch and depth: as large as memory and time allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .levels import Levels, make_levels

__all__ = ["PATCHES", "Size", "choose_size", "network_spec"]

# What a training should see: after so many patches the hippocampus bundle was within .002 of its best (docs/speed.md).
# Not more, as a plan should not change its mind where a machine is a little slower today.
PATCHES = 12_000
# Of the given time; a machine does other things too.
TIME_SHARE = 0.9
_WIDTHS = (32, 24, 16, 8)
_WIDEST = 320
# A wider network takes longer at least in proportion; so it need not be timed where that is too long even for the
# smallest patch that is worth it.
_TIMED_FIRST = 16
# A larger patch costs more than it shows.
_MOST = {2: 512**2, 3: 192**3}
# A wider network is not worth a patch below this.
_FLOOR = {2: 192**2, 3: 48**3}
# Below this a network sees too little to learn from, however short the time.
_LEAST_SIDE = {2: 64, 3: 32}
# Voxels of one step, at least: two patches of the hippocampus bundle.
_STEP = 180_000
_MOST_PATCHES_PER_STEP = 16

# Bytes that a training takes, and seconds that it takes per patch.
Memory = Callable[["Size"], int]
Seconds = Callable[["Size"], float]


@dataclass(frozen=True)
class Size:
    """How large a network and its patches are.

    Args:
        width: channels of the finest level; they double from level to level, up to 320.
        levels: strides and kernels, and with them the patch.
        batch: patches per step, a power of two.
        limited_by: what kept the patch from being the median scan: "nothing", "worth", "memory" or "time".
    """

    width: int
    levels: Levels
    batch: int
    limited_by: str

    @property
    def channels(self) -> list[int]:
        """Width of every level, finest first."""
        return [min(self.width * 2**level, _WIDEST) for level in range(len(self.levels.kernels))]

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
) -> Size:
    """Choose the widest network whose patch still covers enough, and for it the largest patch.

    Args:
        shape: of the median scan at the spacing to work at, voxels per axis.
        spacing: mm per voxel along each axis.
        memory: estimates the bytes that training with a size takes.
        memory_limit: bytes that it may take.
        seconds: estimates the seconds that a patch takes in training with a size.
        seconds_limit: seconds that training may take.
        uncut: axes along which a patch should cover the scan, where others can be cut instead.

    Returns:
        The size; where not even the smallest network on the smallest patch fits, that one, with the smallest batch.
    """
    dims = len(shape)
    worth = _MOST[dims] / math.prod(shape)
    start = list(shape) if worth >= 1 else _shrunk(shape, worth, spacing, uncut)

    def in_time(size: Size, factor: float = 1.0) -> bool:
        floor = min(1.0, _FLOOR[dims] / size.voxels) if factor > 1 else 1.0
        return seconds(size) * factor * floor * PATCHES <= seconds_limit * TIME_SHARE

    def in_memory(size: Size) -> bool:
        return memory(size) <= memory_limit

    for width in _WIDTHS:
        if width > _TIMED_FIRST and not in_time(_size(_TIMED_FIRST, start, spacing, ""), width / _TIMED_FIRST):
            continue
        whole = _size(width, start, spacing, "nothing" if worth >= 1 else "worth")
        in_hours = _largest(whole, start, spacing, in_time, "time", uncut)
        last = width == _WIDTHS[-1]
        # Time is asked first: it costs less to tell.
        if not last and not _enough(in_hours, dims):
            continue
        # From the same start, so that more memory or time never ends at a smaller patch.
        size = in_hours
        if not in_memory(size):
            size = _largest(whole, start, spacing, lambda each: in_time(each) and in_memory(each), "memory", uncut)
        if last or (_enough(size, dims) and in_memory(size) and in_time(size)):
            break
    if in_memory(size):
        return size
    return replace(_size(_WIDTHS[-1], _shrunk(start, 0.0, spacing, uncut), spacing, "memory"), batch=2)


def _enough(size: Size, dims: int) -> bool:
    """Tell whether a patch is as large as the scan, or large enough for a wider network to be worth it."""
    return size.limited_by in ("nothing", "worth") or size.voxels >= _FLOOR[dims]


def network_spec(size: Size, *, dims: int, in_channels: int, out_channels: int) -> dict[str, Any]:
    """Return the spec of a plan's network, its skip connections aside: see `pipeline.networks.build_network`."""
    levels = size.levels
    convs, decoder_convs = convolutions(len(size.channels))
    return {
        "name": "vnet",
        "spatial_dims": dims,
        "in_channels": in_channels,
        "out_channels": out_channels,
        "channels": size.channels,
        "convs_per_level": convs,
        "decoder_convs_per_level": decoder_convs,
        "kernel_size": 3 if all(side == 3 for kernel in levels.kernels for side in kernel) else levels.kernels,
        "strides": None if all(step == 2 for steps in levels.strides for step in steps) else levels.strides,
        "norm": ["instance", {"affine": True}],
        "act": ["leakyrelu", {"negative_slope": 0.01}],
        "dropout": 0.0,
        "residual": "decoder",
        "head": "pointwise",
    }


def convolutions(levels: int) -> tuple[list[int], list[int]]:
    """Give the convolutions per level: one at the finest, where they cost most, two below, in the decoder one less."""
    return [1] + [2] * (levels - 1), [1] * min(2, levels - 1) + [2] * max(levels - 3, 0)


def _largest(
    whole: Size,
    start: Sequence[int],
    spacing: Sequence[float],
    fits: Callable[[Size], bool],
    limit: str,
    uncut: Sequence[int],
) -> Size:
    """Return the size itself where it fits, else with the largest patch cut from `start` that fits, or the smallest."""
    if fits(whole):
        return whole
    low, high = 0.0, 1.0
    best = _size(whole.width, _shrunk(start, low, spacing, uncut), spacing, limit)
    if not fits(best):
        return best
    for _ in range(7):
        middle = (low + high) / 2
        tried = _size(whole.width, _shrunk(start, middle, spacing, uncut), spacing, limit)
        if fits(tried):
            low, best = middle, tried
        else:
            high = middle
    return best


def _size(width: int, wanted: Sequence[int], spacing: Sequence[float], limited_by: str) -> Size:
    levels = make_levels(wanted, spacing)
    batch = int(np.clip(2 ** round(math.log2(_STEP / np.prod(levels.patch))), 2, _MOST_PATCHES_PER_STEP))
    return Size(width, levels, batch, limited_by)


def _shrunk(start: Sequence[int], volume: float, spacing: Sequence[float], uncut: Sequence[int]) -> list[int]:
    """Shrink a patch to this share of its volume, its longest sides (in mm) first, down to 32 voxels (64 in 2D).

    Axes that should stay uncut are cut when the others are as short as can be.
    """
    dims = len(start)
    mm = np.asarray(start) * np.asarray(spacing)
    target = max(volume * np.prod(mm), 1.0)
    longest = np.full(dims, np.inf)
    longest[[axis for axis in range(dims) if axis not in uncut]] = 0.0
    least = np.minimum(start, _LEAST_SIDE[dims]) * np.asarray(spacing)
    if np.minimum(mm, np.maximum(longest, least)).prod() > target:
        # The others are as short as can be: now all are cut.
        longest[:] = 0.0
    low, high = 0.0, float(mm.max())
    # Sides above a common length are cut to it: a cube of tissue, where the scan is not thinner.
    for _ in range(40):
        side = (low + high) / 2
        low, high = (side, high) if np.minimum(mm, np.maximum(longest, side)).prod() < target else (low, side)
    cut = np.maximum(np.minimum(mm, np.maximum(longest, high)), least)
    return [int(m / s + 1e-6) for m, s in zip(cut, spacing, strict=True)]
