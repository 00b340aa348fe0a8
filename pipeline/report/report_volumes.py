"""Read the volumes of a case and cut out the part around its structures."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.check_memory import default_limit, estimate_file
from ..data.errors import InputError
from ..data.images.claimed_size import human_bytes
from ..data.images.door import read_volume
from ..data.images.header import Volume, spacing_of
from ..labelmaps.views import has_axes
from .report_content import CaseFiles

__all__ = ["REFERENCE", "CaseVolumes", "list_values", "read_case_volumes"]

REFERENCE = ""
"""Key of the reference among the label maps; sets of predictions have their names."""

_MARGIN_SHARE = 0.25  # of the structures' extent, on each side
_MIN_MARGIN = 8.0  # mm
_WORK = 9  # bytes per voxel besides the values: label maps as int32, masks
_OFFSET = 1e-2  # mm: grids that differ by less are the same


@dataclass
class CaseVolumes:
    """The volumes of a case, cut to the part around its structures.

    Attributes:
        scan: first channel, (x, y, z) or (x, y); None if it cannot be shown.
        maps: label maps of the same shape, as integers: the reference at `REFERENCE`, and each set's.
        entropy: uncertainty of every voxel, 0 to 1; None without it.
        affine: voxel of the cut to world, 4x4 (mm, RAS).
        start: first voxel of the cut, along each axis.
        shape: of the whole volume.
        notes: sentences about files that cannot be shown.
        memory: bytes that further volumes may take.
    """

    scan: NDArray[Any] | None = None
    maps: dict[str, NDArray[Any]] = field(default_factory=dict)
    entropy: NDArray[Any] | None = None
    affine: NDArray[Any] = field(default_factory=lambda: np.eye(4))
    start: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    notes: list[str] = field(default_factory=list)
    memory: int = sys.maxsize

    @property
    def spacing(self) -> tuple[float, ...]:
        """Size of a voxel along each axis, in mm."""
        return spacing_of(self.affine, len(self.shape))


def read_case_volumes(case: CaseFiles, memory: int | None = None) -> CaseVolumes:
    """Return the volumes of a case, cut to its structures with a margin.

    A file that is missing or broken, or lies in another grid than the first label map, is left out with a note: the
    other files are still shown. So is one that takes more memory than is left.

    Args:
        case: the case.
        memory: bytes that its volumes may take together; None for 80 % of the free memory.
    """
    found = CaseVolumes(memory=default_limit() if memory is None else memory)
    files: dict[str, tuple[str, Path | None]] = {REFERENCE: ("reference", case.reference)}
    files |= {name: (f"label map of {name}", path) for name, path in case.predictions.items()}
    for key, (title, path) in files.items():
        if path is None:
            continue
        if (volume := _read(title, path, found)) is not None:
            labels = _as_labels(volume)
            if labels is None:
                found.notes.append(f"The {title} has values that are no whole numbers, and is not shown.")
            else:
                found.maps[key] = _replace_values(labels, case.values.get(key, {}))
    if case.image is not None and (volume := _read("scan", case.image, found)) is not None:
        found.scan = _first_channel(volume)
    if case.entropy is not None and (volume := _read("uncertainty", case.entropy, found)) is not None:
        found.entropy = _first_channel(volume)
    if found.shape:
        _cut(found)
    return found


def _read(title: str, path: Path, found: CaseVolumes) -> Volume | None:
    """Return a volume in the grid of those before it; the first one sets the grid."""
    stored, voxels = estimate_file(path)
    needed = stored + _WORK * voxels
    if needed > found.memory:
        found.notes.append(
            f"The {title} is not shown: {path}: it takes about {human_bytes(needed)} of memory, and "
            f"{human_bytes(found.memory)} are left of --memory."
        )
        return None
    try:
        volume = read_volume(str(path))
    except InputError as error:
        found.notes.append(f"The {title} is not shown: {error.where}: found {error.found}.")
        return None
    except (OSError, MemoryError) as error:
        found.notes.append(f"The {title} is not shown: {path}: {error}.")
        return None
    found.memory -= volume.voxels.nbytes
    shape = volume.header.spatial_shape
    affine = volume.affine if has_axes(volume.affine) else np.eye(4)
    if not found.shape:
        found.shape, found.affine = shape, np.asarray(affine, dtype=np.float64)
        return volume
    if shape != found.shape:
        sizes = " and ".join(" x ".join(map(str, one)) for one in (shape, found.shape))
        found.notes.append(f"The {title} is not shown: its grid differs from the first label map's ({sizes} voxels).")
        return None
    if not _same_place(affine, found):
        found.notes.append(f"The {title} is in another place than the first label map: their affines differ.")
    return volume


def _same_place(affine: NDArray[Any], found: CaseVolumes) -> bool:
    corners = np.array(np.meshgrid(*[[0, size - 1] for size in (*found.shape, 1, 1)[:3]])).reshape(3, -1)
    away = (affine - found.affine)[:3] @ np.vstack([corners, np.ones(corners.shape[1])])
    return bool(np.abs(away).max() <= max(_OFFSET, 0.1 * min(found.spacing)))


def _first_channel(volume: Volume) -> NDArray[Any]:
    voxels = volume.voxels
    while voxels.ndim > volume.header.axes:
        voxels = voxels[..., 0]
    return voxels


def _as_labels(volume: Volume) -> NDArray[Any] | None:
    """Return a label map as integers; None if values are no whole numbers."""
    voxels = _first_channel(volume)
    if voxels.dtype.kind in "iu":
        return voxels
    if voxels.dtype.kind == "b":
        return voxels.astype(np.uint8)
    if not np.isfinite(voxels).all() or not np.array_equal(voxels, np.rint(voxels)):
        return None
    return voxels.astype(np.int32)


def _replace_values(labels: NDArray[Any], values: Mapping[int, int]) -> NDArray[Any]:
    """Return a label map with the labels' values in place of the file's."""
    if not values:
        return labels
    replaced = np.zeros(labels.shape, dtype=np.int32)
    for theirs, own in values.items():
        replaced[labels == theirs] = own
    return replaced


def _cut(found: CaseVolumes) -> None:
    """Cut all volumes to the box around the structures of all label maps, with a margin."""
    box = _find_box(list(found.maps.values()), found.shape, found.spacing)
    found.scan, found.entropy = (None if one is None else one[box] for one in (found.scan, found.entropy))
    found.maps = {key: labels[box] for key, labels in found.maps.items()}
    found.start = tuple(part.start for part in box)
    affine = found.affine.copy()
    first = np.zeros(3)
    first[: len(box)] = found.start
    affine[:3, 3] += found.affine[:3, :3] @ first
    found.affine = affine


def _find_box(maps: Sequence[NDArray[Any]], shape: Sequence[int], spacing: Sequence[float]) -> tuple[slice, ...]:
    """Return the box around all labelled voxels with a margin; the whole volume if there are none."""
    box = []
    for axis, size in enumerate(shape):
        others = tuple(one for one in range(len(shape)) if one != axis)
        used = np.zeros(size, dtype=bool)
        for labels in maps:
            used |= (labels != 0).any(axis=others)
        places = np.flatnonzero(used)
        if not places.size:
            return tuple(slice(0, one) for one in shape)
        first, last = int(places[0]), int(places[-1])
        margin = int(np.ceil(max(_MARGIN_SHARE * (last + 1 - first), _MIN_MARGIN / spacing[axis])))
        box.append(slice(max(0, first - margin), min(size, last + 1 + margin)))
    return tuple(box)


def list_values(maps: Mapping[str, NDArray[Any]]) -> list[int]:
    """Return the label values of all maps, without the background, sorted."""
    values: set[int] = set()
    for labels in maps.values():
        values |= set(np.unique(labels).tolist())
    return sorted(values - {0})
