"""How a label map fits its image: the edges at its outline, and each label's intensities."""

from __future__ import annotations

from typing import Any

import nibabel
import numpy as np

__all__ = ["measure_fit"]

# The surroundings of the labelled voxels, with which their outline is compared.
MARGIN_VOXELS = 3
# Pairs of neighbours along an axis; of larger boxes every second, third, ... row and slice is taken.
MAX_PAIRS = 2_000_000
# Labels, the largest first. A file with more has hardly a mistake that only the others show.
MAX_LABELS = 20


def measure_fit(
    values: np.ndarray,
    label: np.ndarray,
    affine: np.ndarray,
    background: int,
    ranks: np.ndarray,
    ignored: np.ndarray | None = None,
) -> dict[str, Any] | None:
    """Return how a label map fits one channel of its image.

    All numbers are free of the image's units: differences between neighbouring voxels are divided by their mean
    absolute value in the box around the labelled voxels.

    Args:
        values: one channel, (x, y, z) or (x, y).
        label: whole numbers of the same shape.
        affine: voxel-to-world, 4x4 (mm).
        background: the value that is no structure.
        ranks: some of the channel's values, sorted.
        ignored: mask of voxels whose border is no outline, of the same shape; they are background in the label map.

    Returns:
        "edges", the mean absolute difference across the outline of all labels; "sides", the mean difference (outside
        minus inside) across each side of it: right, left, anterior, posterior, superior, inferior in 3D, the ends and
        starts of the axes in 2D, None where there is no such side; "labels", by value as text, the share of the scan
        that is darker than the label's median, and the label's standard deviation over that of the box. None if
        nothing, or everything, is labelled.
    """
    inside = label != background
    box = _find_box(inside)
    if box is None:
        return None
    # The type of the differences: unsigned integers have none below 0.
    image, inside, label = np.asarray(values[box], dtype=np.float32), inside[box], label[box]
    unknown = None if ignored is None else ignored[box]
    count = amount = 0.0
    sides: list[tuple[float, float]] = []
    edges: list[np.ndarray] = []
    for axis in range(image.ndim):
        first, second = _neighbours(image.shape, axis)
        difference = image[second] - image[first]
        count += difference.size
        amount += float(np.abs(difference).sum(dtype=np.float64))
        changes = inside[second].view(np.int8) - inside[first].view(np.int8)
        if unknown is not None:
            changes[unknown[first] | unknown[second]] = 0
        up, down = difference[changes < 0], -difference[changes > 0]
        edges += [up, down]
        sides.append((_mean(up), _mean(down)))
    outline = np.concatenate(edges)
    if not outline.size or amount == 0:
        return None
    usual = amount / count
    return {
        "edges": _round(float(np.abs(outline).mean(dtype=np.float64)) / usual),
        "sides": [None if np.isnan(each) else _round(each / usual) for each in _to_world(sides, affine)],
        "labels": _measure_labels(image, label, background=background, ranks=ranks),
    }


def _find_box(inside: np.ndarray) -> tuple[slice, ...] | None:
    box = []
    for axis in range(inside.ndim):
        found = np.flatnonzero(inside.any(axis=tuple(other for other in range(inside.ndim) if other != axis)))
        if not found.size:
            return None
        box.append(slice(max(int(found[0]) - MARGIN_VOXELS, 0), int(found[-1]) + MARGIN_VOXELS + 1))
    return tuple(box)


def _neighbours(shape: tuple[int, ...], axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the places of the first and the second voxel of the pairs along an axis."""
    step = int(np.ceil((np.prod(shape, dtype=float) / MAX_PAIRS) ** (1 / max(len(shape) - 1, 1))))
    rest = [slice(None, None, max(step, 1))] * len(shape)
    first, second = rest.copy(), rest.copy()
    first[axis], second[axis] = slice(None, -1), slice(1, None)
    return tuple(first), tuple(second)


def _to_world(sides: list[tuple[float, float]], affine: np.ndarray) -> list[float]:
    """Return the values of the two sides of each axis of the file as those of right, left, anterior, ..., in 3D."""
    if len(sides) < 3:
        return [each for pair in sides for each in pair]
    found: dict[int, tuple[float, float]] = {}
    places = nibabel.orientations.io_orientation(affine) if np.isfinite(affine).all() else [(np.nan, 0.0)] * 3
    for (up, down), (world, sign) in zip(sides, places, strict=True):
        # A broken affine has no place for some axis.
        if np.isfinite(world):
            found[int(world)] = (up, down) if sign > 0 else (down, up)
    return [each for world in range(3) for each in found.get(world, (np.nan, np.nan))]


def _measure_labels(
    image: np.ndarray, label: np.ndarray, *, background: int, ranks: np.ndarray
) -> dict[str, list[float]]:
    step = tuple(slice(None, None, int(np.ceil((image.size / MAX_PAIRS) ** (1 / image.ndim)))) for _ in image.shape)
    image, label = image[step].ravel(), label[step].ravel()
    labelled = label != background
    values, own = image[labelled], label[labelled]
    present, counts = np.unique(own, return_counts=True)
    spread = float(image.std(dtype=np.float64))
    result: dict[str, list[float]] = {}
    for value in sorted(present[np.argsort(-counts, kind="stable")][:MAX_LABELS].tolist()):
        some = values[own == value]
        rank = float(np.searchsorted(ranks, np.median(some))) / ranks.size
        result[str(int(value))] = [_round(rank), _round(float(some.std(dtype=np.float64)) / spread if spread else 0.0)]
    return result


def _mean(values: np.ndarray) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else float("nan")


def _round(value: float) -> float:
    return float(f"{value:.5g}")
