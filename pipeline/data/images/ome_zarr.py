"""OME-Zarr stores, versions 0.4 (Zarr 2) and 0.5 (Zarr 3), read with the package zarr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from ..check_header import check_header
from ..errors import InputError
from .header import Header, spacing_of
from .zarr_chunks import check_chunks
from .zarr_place import SpatialAxis, affine_of

__all__ = ["OmeZarrImage", "finest_level", "open_store"]

_SPACE = "xyz"


@dataclass(frozen=True)
class Level:
    """The finest level of a store's first image.

    Attributes:
        array: zarr's, unread.
        order: its axes in the order x, y[, z][, channels].
        time: its axis of time, of length 1; None without one.
        axes: the metadata of its axes.
        scale: of each axis, in the axis' own unit.
        translation: of each axis: the coordinate of the first voxel's centre.
    """

    array: Any
    order: tuple[int, ...]
    time: int | None
    axes: Sequence[Mapping[str, Any]]
    scale: np.ndarray
    translation: np.ndarray

    @property
    def spatial(self) -> int:
        """Number of axes in space."""
        return sum(_kind(self.axes[axis]) == "space" for axis in self.order)

    def along(self, axis: int) -> SpatialAxis:
        """Return the metadata of an axis in space, x first."""
        number = self.order[axis]
        return SpatialAxis(self.axes[number], float(self.scale[number]), float(self.translation[number]))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in the order of the axes x, y[, z][, channels]."""
        return tuple(int(self.array.shape[axis]) for axis in self.order)

    def read(self, part: slice | None = None) -> np.ndarray:
        """Return all voxels, or a part along the last axis in space."""
        index: list[slice | int] = [slice(None)] * self.array.ndim
        if part is not None:
            index[self.order[self.spatial - 1]] = part
        if self.time is not None:
            index[self.time] = 0
        left = [axis for axis in range(self.array.ndim) if axis != self.time]
        voxels = np.asarray(self.array[tuple(index)]).transpose([left.index(axis) for axis in self.order])
        if voxels.dtype == bool:
            return voxels.astype(np.uint8)
        # MONAI gets the voxels as NIfTI, which has no float16.
        kind = np.dtype(np.float32) if voxels.dtype == np.float16 else voxels.dtype.newbyteorder("=")
        return voxels.astype(kind, copy=False)


class OmeZarrImage:
    """The finest level of the first image of an OME-Zarr store.

    Axes are identified by their names and types (https://ngff.openmicroscopy.org/0.5, "axes" metadata), usually t, c,
    z, y, x. Scales and translations of the level, then of the image ("coordinateTransformations"), give the
    coordinates of voxels' centres, which are converted to mm. An axis without a unit is in mm, as in NIfTI.

    The axes' `orientation` gives the direction in the body in which coordinates grow, for example "right-to-left"
    (RFC-4 of OME-NGFF, https://ngff.openmicroscopy.org/rfc/4). There is no default: without it
    `Header.has_orientation` is False, and x, y, z are taken as LPS, as in ITK's and DICOM's coordinates: x to the left,
    y to the back, z up. Missing chunks have the array's fill value, as Zarr defines it.

    Args:
        path: the folder.
        stream: of a file, which is no store; closed.

    Raises:
        InputError: zarr is not installed, or the store has no OME metadata, several points of time, or an unknown axis
            or unit.
    """

    def __init__(self, path: str, stream: BinaryIO | None) -> None:
        if stream is not None:
            stream.close()
        self._level = finest_level(open_store(path), path)
        affine, has_orientation = affine_of([self._level.along(axis) for axis in range(self._level.spatial)], path)
        shape, axes = self._level.shape, self._level.spatial
        dtype = np.dtype(self._level.array.dtype)
        self.header = Header(
            path, "zarr", shape, axes, affine, spacing_of(affine, axes), dtype, has_orientation=has_orientation
        )
        self.native: Any = None

    def check(self) -> None:
        """Check the header with `check_header`."""
        check_header(self.header)

    def voxels(self) -> np.ndarray:
        """Return all voxels."""
        check_chunks(self._level.array)
        return self._level.read()

    def slab(self, start: int, stop: int) -> np.ndarray:
        """Return a slab; only its chunks are read."""
        return self._level.read(slice(start, stop))

    def close(self) -> None:
        """Do nothing: zarr closes its files."""


def open_store(path: str) -> Any:
    """Return the root group of a Zarr store of either version.

    Raises:
        InputError: zarr is not installed, or the folder is no group.
    """
    try:
        # Imported here, because zarr is an extra that only this format needs.
        import zarr  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            path,
            found="a Zarr store, but the package zarr is not installed",
            expected="the packages for Zarr stores",
            remedy="run pip install 'lightskip[zarr]'",
        ) from error
    try:
        return zarr.open_group(path, mode="r")
    except (FileNotFoundError, ValueError, TypeError) as error:
        raise _not_an_image(path, f"a folder that is no group of Zarr arrays ({type(error).__name__})") from error


def finest_level(group: Any, path: str) -> Level:
    """Return the finest level of a group's first image, by the specification its first level.

    Raises:
        InputError: there is no image, it has several points of time, or an axis is neither space, time nor channel.
    """
    attributes = group.attrs.asdict()
    # Version 0.5 has the metadata below "ome".
    images = attributes.get("ome", attributes).get("multiscales")
    if not images or not images[0].get("datasets") or not images[0].get("axes"):
        raise _not_an_image(path, "a Zarr store without OME metadata of an image (multiscales with axes and datasets)")
    image, dataset = images[0], images[0]["datasets"][0]
    array = group[dataset["path"]]
    axes = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in image["axes"]]
    kinds = [_kind(axis) for axis in axes]
    names = [str(axis.get("name", "")).lower() for axis in axes]
    in_space = [names.index(name) for name in _SPACE if name in names and kinds[names.index(name)] == "space"]
    channels = [number for number, kind in enumerate(kinds) if kind == "channel"]
    times = [number for number, kind in enumerate(kinds) if kind == "time"]
    order = (*in_space, *channels)
    if len(axes) != array.ndim or len(order) + len(times) != array.ndim or len(in_space) < 2 or len(times) > 1:
        shown = ", ".join(f"{name} ({kind})" for name, kind in zip(names, kinds, strict=True))
        raise _not_an_image(path, f"an array of {array.ndim} axes with the names {shown}")
    if times and array.shape[times[0]] != 1:
        raise InputError(
            path,
            found=f"{array.shape[times[0]]} points of time",
            expected="one point of time",
            remedy="write each point of time to its own store",
            kind="dimensions",
        )
    scale, translation = np.ones(array.ndim), np.zeros(array.ndim)
    for step in (*dataset.get("coordinateTransformations", ()), *(image.get("coordinateTransformations") or ())):
        if step.get("type") == "scale" and "scale" in step:
            scale, translation = scale * step["scale"], translation * step["scale"]
        elif step.get("type") == "translation" and "translation" in step:
            translation = translation + step["translation"]
        elif step.get("type") != "identity":
            raise _not_an_image(path, f"a transformation of type {step.get('type')!r}")
    return Level(array, order, times[0] if times else None, axes, scale, translation)


def _kind(axis: Mapping[str, Any]) -> str:
    usual = {"t": "time", "c": "channel", **dict.fromkeys(_SPACE, "space")}
    return str(axis.get("type") or usual.get(str(axis.get("name", "")).lower(), "unknown"))


def _not_an_image(path: str, found: str) -> InputError:
    return InputError(
        path,
        found=found,
        expected="an OME-Zarr image (0.4 or 0.5) with the axes x, y, perhaps z, channels and one point of time",
        remedy="write the store with OME metadata, or convert the image to NIfTI",
        kind="not-an-image",
    )
