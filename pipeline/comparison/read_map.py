"""Read a label map: its grid, values and checksum for the check of all files, then its voxels for the measuring."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.check_file import find_label_problems, find_lossy_label, find_not_finite, label_values, spatial_shape
from ..data.errors import InputError
from ..data.images.door import read_volume
from ..data.images.files import parts_of
from ..data.images.header import Volume
from .grids import Grid, Turn, turn_voxels
from .label_tables import read_map_table

__all__ = ["MapFacts", "hash_image", "read_facts", "read_labels"]

_MAX_TABLE_VALUE = 1 << 16


@dataclass(frozen=True)
class MapFacts:
    """Facts about one label map.

    Attributes:
        path: its file.
        grid: its grid.
        values: the values that it holds, sorted; 0 as well, if it has any.
        sha256: checksum of its bytes; of a folder, of its files' names and bytes.
        table: name by value, from its own header.
        turn: how it has to be turned to its reference's axes.
        unit: of lengths.
    """

    path: Path
    grid: Grid
    values: tuple[int, ...]
    sha256: str
    table: dict[int, str] = field(default_factory=dict)
    turn: Turn | None = None
    unit: str = "mm"


def read_facts(path: Path) -> MapFacts:
    """Read a label map whole and return facts about it.

    Raises:
        InputError: it cannot be read to its end, has several channels, or values that are no whole numbers.
    """
    volume, voxels = _read(path)
    for problem in find_lossy_label(volume.header):
        raise problem
    for problem in find_not_finite(str(path), voxels):
        raise problem
    values = label_values(voxels)
    for problem in find_label_problems(str(path), values, None):
        raise problem
    whole = sorted({int(value) for value in np.rint(values)})
    affine = np.asarray(volume.affine, dtype=np.float64)
    table = read_map_table(volume.header)
    return MapFacts(path, Grid(voxels.shape, affine), tuple(whole), hash_image(path), table, unit=volume.header.unit)


def read_labels(facts: MapFacts, values: Mapping[int, int]) -> NDArray[np.integer]:
    """Return a label map, (X, Y[, Z]), in its reference's axes and with the comparison's values.

    Args:
        facts: of the label map.
        values: the comparison's value by the file's value, for every value that the file holds.
    """
    _, voxels = _read(facts.path)
    dtype = np.min_scalar_type(max([0, *values.values()]))
    if voxels.dtype.kind == "f":
        voxels = np.rint(voxels).astype(np.int32 if max(facts.values, default=0) < _MAX_TABLE_VALUE else np.int64)
    same = all(old == new for old, new in values.items())
    labels = voxels.astype(dtype, copy=False) if same else _replace(voxels, values, dtype)
    return np.ascontiguousarray(turn_voxels(labels, facts.turn))


def hash_image(path: Path) -> str:
    """Return the SHA-256 of a file; of a folder, that of the names and bytes of its files in order."""
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    digest = hashlib.sha256()
    for part in sorted(one for one in parts_of(path) if one.is_file()):
        digest.update(part.relative_to(path).as_posix().encode() + b"\0")
        digest.update(part.read_bytes())
    return digest.hexdigest()


def _read(path: Path) -> tuple[Volume, NDArray[Any]]:
    """Return a file, and its voxels without channels."""
    volume = read_volume(str(path))
    axes = volume.header.axes
    shape = volume.voxels.shape
    if int(np.prod(shape[axes:], dtype=int)) != 1:
        what = "a picture in colour" if volume.header.format in ("picture", "tiff") else "several channels"
        raise InputError(
            path,
            found=f"{what}, shape {shape}",
            expected="a label map: one whole number per voxel",
            remedy="save the label map after argmax, in one channel; probabilities cannot be compared",
        )
    spatial_shape(str(path), shape[: axes + (len(shape) > axes)], 1, axes)
    return volume, volume.voxels.reshape(shape[:axes])


def _replace(voxels: NDArray[Any], values: Mapping[int, int], dtype: np.dtype[Any]) -> NDArray[np.integer]:
    """Return voxels with other values; `values` has every value that there is."""
    if min(values) >= 0 and max(values) < _MAX_TABLE_VALUE:
        table = np.zeros(max(values) + 1, dtype=dtype)
        table[list(values)] = list(values.values())
        return np.asarray(table[voxels])
    result = np.zeros(voxels.shape, dtype=dtype)
    for old, new in values.items():
        result[voxels == old] = new
    return result
