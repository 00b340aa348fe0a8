"""An image's header, read once: shape, place in space, type of voxels, modality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError

__all__ = ["Forms", "Header", "Volume", "spacing_of"]


@dataclass(frozen=True, eq=False)
class Forms:
    """The forms in which a NIfTI header places an image.

    Attributes:
        qform: 4x4 (mm), or None if its code is 0.
        sform: 4x4 (mm), or None if its code is 0.
        pixdim: spacing (mm) along the axes in space; only some readers use it.
    """

    qform: np.ndarray | None
    sform: np.ndarray | None
    pixdim: np.ndarray


@dataclass(frozen=True, eq=False)
class Header:
    """The header of one image.

    Attributes:
        path: the file or the folder, as given.
        format: name of its format, as in `endings.ENDINGS`.
        shape: of the voxels when read: (x, y[, z]), perhaps with channels last.
        axes: number of axes in space: 2 or 3 (1 in a file without a second axis).
        affine: voxel to world, 4x4 (mm, RAS).
        spacing: along the axes in space (mm), as the header states it.
        dtype: of the voxels in the file, before scaling.
        unit: of spacing and affine: "mm", also where the file does not say; "px" for a picture without a spacing, "µm"
            or "nm" for one of a microscope; others are refused.
        forms: of a NIfTI header.
        modality: of a DICOM image, such as "CT"; otherwise "".
        has_orientation: whether the file distinguishes left from right.
        raw: the header's bytes, for NIfTI and NRRD: label maps copy the geometry from them.
        notes: what the reader found that a user should know, and that does not stop the reading. Each has a kind of
            `findings.SEVERITIES`; the check lists it as a finding, and prediction shows it.
        is_lossy: whether the compression changes values, as JPEG does; label maps must not be stored so.
    """

    path: str
    format: str
    shape: tuple[int, ...]
    axes: int
    affine: np.ndarray
    spacing: tuple[float, ...]
    dtype: np.dtype[Any]
    unit: str = "mm"
    forms: Forms | None = None
    modality: str = ""
    has_orientation: bool = True
    raw: bytes = b""
    notes: tuple[InputError, ...] = ()
    is_lossy: bool = False

    @property
    def channels(self) -> int:
        """Number of values per voxel."""
        return int(np.prod(self.shape[self.axes :], dtype=int))

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """The part of the shape that is in space."""
        return self.shape[: self.axes]


@dataclass(frozen=True, eq=False)
class Volume:
    """An image with its voxels.

    Attributes:
        header: of the image.
        voxels: scaled as the header says, (x, y, z), (x, y) or one of these with channels last.
        native: the library's own image object, for MONAI's reader of the same library.
    """

    header: Header
    voxels: np.ndarray
    native: Any = None

    @property
    def affine(self) -> np.ndarray:
        """Voxel to world, 4x4 (mm, RAS)."""
        return self.header.affine

    @property
    def stored(self) -> str:
        """The type of the voxels in the file, such as "int16", before scaling."""
        return str(self.header.dtype.name)


def spacing_of(affine: np.ndarray, axes: int) -> tuple[float, ...]:
    """Return the length (mm) of a voxel's edges along the first `axes` axes of an affine."""
    lengths: Sequence[float] = np.linalg.norm(affine[:3, :axes], axis=0).tolist()
    return tuple(lengths)
