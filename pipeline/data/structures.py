"""The structures of a label map: the size and place of each, and its specks (tiny separate parts)."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from .check_file import label_values
from .length_units import size_in_unit
from .voxel_size import MM3_PER_ML, voxel_size

__all__ = ["measure_structures"]

# A file with more values is no label map, and measuring each of them would take too long.
_MAX_CLASSES = 512
# Values in a wider range are looked up by a search instead of in a table.
_MAX_TABLE = 1 << 20
_MAX_SPECKS = 1000
# A speck has at most this number of voxels, or this share of the structure's largest part, and in any case at most the
# last share of that part.
_MAX_SPECK_VOXELS = 10
_MAX_SPECK_SHARE = 1e-3
_MAX_SPECK_TO_LARGEST = 1 / 20
# The thin end of a structure may break into parts a voxel or two apart. Specks drawn by accident are farther away.
_NEAR_VOXELS = 3


def measure_structures(
    label: np.ndarray, affine: np.ndarray, *, background: int, unit: str = "mm"
) -> dict[str, dict[str, Any]]:
    """Return the measures of every structure in a label map.

    Args:
        label: whole numbers, (x, y, z) or (x, y).
        affine: voxel-to-world, 4x4 (mm).
        background: the value that is no structure.
        unit: of lengths in the affine, ``Header.unit``; the key of sizes is that of `size_in_unit`.

    Returns:
        By the structure's value, as text: "voxels"; "ml" (in 2D "mm2"); "components", parts that do not touch, not
        even at a corner; "largest", the largest part's share of the voxels; "centroid", mm in world coordinates;
        "specks" and "speck_voxels", tiny parts with nothing labelled within 3 voxels; "near_specks", other tiny parts.
    """
    present = [int(value) for value in label_values(label) if value != background]
    if not present or len(present) > _MAX_CLASSES:
        return {}
    structures = _renumber(label, present)
    boxes = ndimage.find_objects(structures)
    return {
        str(value): _measure(structures, number, boxes[number - 1], affine, unit)
        for number, value in enumerate(present, start=1)
    }


def _renumber(label: np.ndarray, present: list[int]) -> np.ndarray:
    """Return the label map with the values numbered from 1 in their order, and 0 elsewhere.

    It works slice by slice, because indexing makes 64-bit integers.
    """
    result = np.empty(label.shape, np.min_scalar_type(len(present)))
    above = np.array(present) - present[0]
    table = None
    if above[-1] <= _MAX_TABLE:
        table = np.zeros(above[-1] + 1, result.dtype)
        table[above] = np.arange(1, len(present) + 1)
    for index in range(label.shape[-1]):
        part = label[..., index].astype(np.int64) - present[0]
        inside = (part >= 0) & (part <= above[-1])
        part[~inside] = 0
        if table is None:
            number = np.searchsorted(above, part)
            result[..., index] = (number + 1) * (inside & (above[number] == part))
        else:
            result[..., index] = table[part] * inside
    return result


def _measure(
    structures: np.ndarray, number: int, box: tuple[slice, ...], affine: np.ndarray, unit: str
) -> dict[str, Any]:
    inside = structures[box] == number
    parts, count = ndimage.label(inside, np.ones((3,) * inside.ndim))
    sizes = _count_voxels(parts, count)
    voxels = int(sizes.sum())
    place = [middle + part.start for middle, part in zip(_mean_index(inside), box, strict=True)]
    centroid = affine @ [*place, *[0.0] * (3 - inside.ndim), 1.0]
    size = voxels * voxel_size(affine, inside.ndim)
    key = size_in_unit(unit, inside.ndim)
    amount = size / MM3_PER_ML if key == "ml" else size
    specks, speck_voxels, near = _count_specks(structures, box, parts, sizes)
    return {
        "voxels": voxels,
        key: float(f"{amount:.6g}"),
        "components": int(count),
        "largest": round(float(sizes.max()) / voxels, 6),
        "centroid": [round(float(value), 3) for value in centroid[:3]],
        "specks": specks,
        "speck_voxels": speck_voxels,
        "near_specks": near,
    }


def _count_voxels(parts: np.ndarray, count: int) -> np.ndarray:
    """Return the number of voxels of each part, counted plane by plane, because `bincount` makes 64-bit integers."""
    sizes = np.zeros(count + 1, np.int64)
    for plane in parts:
        found = np.bincount(plane.ravel())
        sizes[: len(found)] += found
    return sizes[1:]


def _mean_index(inside: np.ndarray) -> list[float]:
    """Return the mean index along each axis, from counts by plane: a list of all indices needs 24 times the memory."""
    axes = range(inside.ndim)
    counts = [np.count_nonzero(inside, axis=tuple(other for other in axes if other != axis)) for axis in axes]
    return [float(np.dot(count, np.arange(len(count))) / count.sum()) for count in counts]


def _count_specks(
    structures: np.ndarray, box: tuple[slice, ...], parts: np.ndarray, sizes: np.ndarray
) -> tuple[int, int, int]:
    """Return the number of isolated tiny parts, their voxels, and the number of tiny parts near something labelled."""
    largest = sizes.max()
    limit = min(max(_MAX_SPECK_VOXELS, _MAX_SPECK_SHARE * largest), _MAX_SPECK_TO_LARGEST * largest)
    tiny = np.flatnonzero(sizes <= limit)[:_MAX_SPECKS]
    alone = voxels = 0
    if not tiny.size:
        return 0, 0, 0
    places = ndimage.find_objects(parts)
    for index in tiny:
        around = tuple(
            slice(max(part.start + outer.start - _NEAR_VOXELS, 0), part.stop + outer.start + _NEAR_VOXELS)
            for part, outer in zip(places[index], box, strict=True)
        )
        # The larger box contains the speck itself, and perhaps something else.
        if np.count_nonzero(structures[around]) == sizes[index]:
            alone += 1
            voxels += int(sizes[index])
    return alone, voxels, int(tiny.size) - alone
