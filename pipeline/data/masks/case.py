"""The masks of one case, read into one array of combinations of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..check_file import WHOLE_NUMBER_TOLERANCE
from ..check_grid import SAME_PLACE_MM, SAME_PLACE_VOXELS, largest_distance
from ..errors import InputError
from ..images.door import read_volume
from ..images.header import Volume

__all__ = ["CaseMasks", "Classes", "read_masks"]

Classes = tuple[str, ...]
"""Names of classes that a voxel is in, in the order of writing; empty for the background."""

_MAX_COMBINATIONS = 65_535
_WHITE = (1, 255)
_BLOCK = 1 << 22  # voxels


@dataclass(frozen=True)
class CaseMasks:
    """What the masks of a case contain.

    Attributes:
        annotated: the classes with a mask.
        counts: voxels in exactly these classes, by the classes; those of the background are left out.
    """

    annotated: Classes
    counts: Mapping[Classes, int]


def read_masks(
    masks: Mapping[str, Path], classes: Sequence[str]
) -> tuple[NDArray[np.uint16], list[Classes], CaseMasks, Volume]:
    """Read a case's masks, one at a time.

    Args:
        masks: binary files by class: voxels are 0 and 1, or 0 and 255.
        classes: all classes, in the order of writing.

    Returns:
        Array of the masks' shape, indices into the list that follows; the combinations of classes, the first of which
        is the background; the counts; and the first mask without its voxels, for its header.

    Raises:
        InputError: a file cannot be read, has other values or several channels, or another grid than the first.
        MemoryError: a mask does not fit into memory.
    """
    combinations: list[Classes] = [()]
    ids: NDArray[np.uint16] | None = None
    first: Volume | None = None
    shape: tuple[int, ...] = ()
    annotated = tuple(name for name in classes if name in masks)
    for name in annotated:
        volume = read_volume(str(masks[name]))
        mask = _binary(volume)
        if first is None or ids is None:
            first = Volume(volume.header, np.empty(0, np.uint8), volume.native)
            shape, ids = mask.shape, np.zeros(mask.size, np.uint16)
        _check_grid(volume, first, shape)
        # As one row in a file's order, in which the voxels of a mask are next to each other in memory.
        inside = mask.ravel(order="F")
        covered = ids[inside]
        under = _count(covered, len(combinations))
        moved = np.arange(len(combinations), dtype=np.uint16)
        for place in np.flatnonzero(under):
            moved[place] = len(combinations)
            combinations.append((*combinations[place], name))
        if len(combinations) > _MAX_COMBINATIONS:
            raise InputError(
                masks[name],
                found=f"more than {_MAX_COMBINATIONS:,} combinations of overlapping classes in one case",
                expected="masks of structures",
                remedy="take fewer classes",
            )
        ids[inside] = moved[covered]
    if first is None or ids is None:
        msg = "no mask"
        raise ValueError(msg)
    voxels = _count(ids, len(combinations))
    counts = {names: int(count) for names, count in zip(combinations, voxels, strict=True) if names and count}
    return ids.reshape(shape, order="F"), combinations, CaseMasks(annotated, counts), first


def _count(ids: NDArray[np.uint16], number: int) -> NDArray[np.int64]:
    """Return how often each of the first numbers occurs; numpy alone would copy all of them with 8 bytes each."""
    counts = np.zeros(number, np.int64)
    for start in range(0, ids.size, _BLOCK):
        counts += np.bincount(ids[start : start + _BLOCK], minlength=number)
    return counts


def _binary(volume: Volume) -> NDArray[np.bool_]:
    """Return where a mask is 1 or 255; refuse other values."""
    voxels: NDArray[Any] = volume.voxels
    path = volume.header.path
    if volume.header.channels != 1:
        raise _not_binary(path, f"{volume.header.channels} values per voxel")
    voxels = voxels.reshape(volume.header.spatial_shape)
    if voxels.dtype.kind == "b":
        return voxels
    if voxels.dtype.kind == "f":
        if not np.isfinite(voxels).all():
            raise _not_binary(path, "voxels that are not finite")
        whole = np.rint(voxels)
        if not np.abs(voxels - whole).max(initial=0) <= WHOLE_NUMBER_TOLERANCE:
            raise _not_binary(path, f"values between whole numbers, from {voxels.min():g} to {voxels.max():g}")
        voxels = whole
    highest = voxels.max(initial=0)
    inside: NDArray[np.bool_] = voxels == highest
    if highest == 0 and voxels.min(initial=0) == 0:
        return np.zeros(voxels.shape, bool)
    if highest in _WHITE and np.count_nonzero(voxels) == np.count_nonzero(inside):
        return inside
    few = np.unique(voxels)
    shown = ", ".join(f"{value:g}" for value in few[:6]) + (f" and {len(few) - 6} more" if len(few) > 6 else "")
    raise _not_binary(path, f"the values {shown}")


def _not_binary(path: str, found: str) -> InputError:
    return InputError(
        path,
        found=found,
        expected="a mask of one class, with the values 0 and 1, or 0 and 255",
        remedy="if this is a label map of several classes, give it with --labels without braces; otherwise correct it",
    )


def _check_grid(volume: Volume, first: Volume, shape: tuple[int, ...]) -> None:
    """Refuse a mask with another shape or place than the first one."""
    own = volume.header.spatial_shape
    apart = largest_distance(volume.affine, first.affine, shape) if own == shape else 0.0
    if own == shape and apart <= max(SAME_PLACE_MM, SAME_PLACE_VOXELS * min(first.header.spacing)):
        return
    raise InputError(
        volume.header.path,
        found=f"shape {own}" if own != shape else f"an affine that moves the mask by up to {apart:.3g} mm",
        expected=f"the grid of {first.header.path}, {shape} voxels: all masks of a case are one label map",
        remedy="resample one mask to the other's grid with nearest neighbours, or take the wrong one away",
    )
