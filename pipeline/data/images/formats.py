"""The interface of an image format, and the format of a path.

A new format needs a class with this interface, an ending in `endings.ENDINGS`, and an entry in the table at the end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

import numpy as np

from .dicom_files import split_series, starts_dicom
from .endings import format_name
from .header import Header

__all__ = ["FloatImage", "ImageFormat", "OpenImage", "format_class", "format_of"]


class OpenImage(Protocol):
    """An open image: its header is read, its voxels can be read."""

    @property
    def header(self) -> Header:
        """The header."""

    def check(self) -> None:
        """Raise an InputError for problems that readers ignore: units, voxel types, folders that are no series."""

    def voxels(self) -> np.ndarray:
        """Return all voxels, scaled; the file is read to its last byte, so that any damage is noticed.

        It may raise any error for a damaged file; `open_image` explains it.
        """

    def slab(self, start: int, stop: int) -> np.ndarray:
        """Return the voxels from `start` to before `stop` along the last axis in space; if possible, read no others."""

    @property
    def native(self) -> Any:
        """The library's own image object, for MONAI's reader, once the voxels were read."""

    def close(self) -> None:
        """Close open files."""


@runtime_checkable
class FloatImage(Protocol):
    """An open image that can also be read as MONAI's loader returns it, in one pass and without another array."""

    def float_voxels(self) -> np.ndarray | None:
        """Return what `voxels` returns, as float32 in C order; None where float32 does not hold every value."""


class ImageFormat(Protocol):
    """The class of a format; its constructor opens an image and reads its header."""

    def __call__(self, path: str, stream: BinaryIO | None) -> OpenImage:
        """Open an image.

        Args:
            path: the file or folder.
            stream: the file, open at its start, which the image will close; None for a folder.
        """


def format_of(path: str, start: bytes = b"") -> str:
    """Return the name of a path's format, by its ending; "dicom" for a folder or by the first bytes of a file.

    Args:
        path: of the image.
        start: the first bytes of a file.

    Returns:
        A name in `endings.ENDINGS`; "itk" for unknown endings, because ITK knows more formats than the table.
    """
    name = format_name(path) or "itk"
    is_series = name == "itk" and (Path(path).is_dir() or starts_dicom(start))
    return "dicom" if is_series or split_series(path)[1] else name


def format_class(name: str) -> ImageFormat:
    """Return the class of a format by its name.

    Classes are imported on demand, because each needs its own library, and few are used at a time.
    """
    return _CLASSES[name]()


# ruff: noqa: PLC0415
def _nifti() -> ImageFormat:
    from .nifti import NiftiImage

    return NiftiImage


def _pair() -> ImageFormat:
    from .nifti_pair import NiftiPair

    return NiftiPair


def _itk() -> ImageFormat:
    from .itk_files import ItkImage

    return ItkImage


def _dicom() -> ImageFormat:
    from .dicom import DicomImage

    return DicomImage


def _mgz() -> ImageFormat:
    from .mgz import MgzImage

    return MgzImage


def _ome_zarr() -> ImageFormat:
    from .ome_zarr import OmeZarrImage

    return OmeZarrImage


def _nifti_zarr() -> ImageFormat:
    from .nifti_zarr import NiftiZarrImage

    return NiftiZarrImage


def _picture() -> ImageFormat:
    from .pictures import Picture

    return Picture


def _tiff() -> ImageFormat:
    from .tiff import TiffImage

    return TiffImage


_CLASSES = {
    "nifti": _nifti,
    "pair": _pair,
    "itk": _itk,
    "dicom": _dicom,
    "mgz": _mgz,
    "zarr": _ome_zarr,
    "nifti-zarr": _nifti_zarr,
    "picture": _picture,
    "tiff": _tiff,
}
