"""The outlines of a label in slices, as closed polygons between voxels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["connect_holes", "outline_mask"]


def outline_mask(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Return the outlines of a mask, each with its holes connected to it, as DICOM's keyhole technique asks for.

    An outline passes half-way between the centres of neighbouring pixels inside and outside (marching squares at 0.5).
    So it encloses exactly the centres of the pixels inside, and an area that is half a pixel less than theirs for each
    piece and half a pixel more for each hole. Pixels that touch at a corner alone are outlined one by one.

    Args:
        mask: (rows, columns).

    Returns:
        Polygons of (N, 2) rows and columns, in pixels, where pixel (i, j) has its centre at (i, j). The last corner is
        not the first again. Corners on a straight line are left out.
    """
    # Imported here, because few label maps become outlines, and they are slow to import.
    from scipy.ndimage import label  # noqa: PLC0415
    from skimage.measure import find_contours  # noqa: PLC0415

    # The border makes outlines at the edge of the image closed.
    padded = np.pad(mask, 1)
    pieces, count = label(padded)
    outlines: list[NDArray[np.float64]] = [np.empty((0, 2))] * count
    holes: list[list[NDArray[np.float64]]] = [[] for _ in range(count)]
    for closed in find_contours(padded.astype(np.float32), 0.5):
        ring = closed[:-1]
        # Every ring borders on one piece: the first corner is half-way between a pixel of it and one outside.
        low, high = (turn(ring[0]).astype(int) for turn in (np.floor, np.ceil))
        piece = max(pieces[tuple(low)], pieces[tuple(high)]) - 1
        # The mask is on the same side of every ring, so holes turn the other way.
        if _signed_area(ring) > 0:
            outlines[piece] = _drop_straight(ring) - 1
        else:
            holes[piece].append(_drop_straight(ring) - 1)
    return [connect_holes(outline, own) for outline, own in zip(outlines, holes, strict=True)]


def connect_holes(outline: NDArray[np.float64], holes: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return an outline with its holes, as one polygon: to each hole and back on the same line, which has no width.

    A line that crosses another hole changes nothing either: there and back, it switches between inside and outside
    twice.

    Args:
        outline: (N, 2).
        holes: (M, 2) each, which turn the other way.
    """
    if not holes:
        return outline
    from scipy.spatial import cKDTree  # noqa: PLC0415

    tree = cKDTree(outline)
    detours: dict[int, list[NDArray[np.float64]]] = {}
    for hole in holes:
        distances, nearest = tree.query(hole)
        end = int(distances.argmin())
        start = int(nearest[end])
        around = np.roll(hole, -end, axis=0)
        detours.setdefault(start, []).extend((around, around[:1], outline[start : start + 1]))
    parts, done = [], 0
    for start in sorted(detours):
        parts += [outline[done : start + 1], *detours[start]]
        done = start + 1
    return np.concatenate([*parts, outline[done:]])


def _signed_area(ring: NDArray[np.float64]) -> float:
    """Return the area of a ring (pixels²): above 0 if it surrounds the mask, below 0 for a hole."""
    rows, columns = ring.T
    next_rows, next_columns = np.concatenate((ring[1:], ring[:1])).T
    return float(columns @ next_rows - rows @ next_columns) / 2


def _drop_straight(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    # `np.roll` takes ten times as long, and a noisy label map has a hundred thousand small rings.
    after = np.concatenate((ring[1:], ring[:1])) - ring
    before = np.concatenate((after[-1:], after[:-1]))
    bends = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > 0
    return ring[bends]
