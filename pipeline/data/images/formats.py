"""What a format of images has to provide, and which format a path is of.

A new format is one class here: an ending in `endings.ENDINGS`, and a class with `open` in the table of `format_of`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from .dicom_files import starts_dicom
from .endings import format_name
from .header import Header

__all__ = ["ImageFormat", "OpenImage", "format_class", "format_of"]


class OpenImage(Protocol):
    """An image whose header was read and whose voxels can be."""

    @property
    def header(self) -> Header:
        """The header."""

    def check(self) -> None:
        """Raise an InputError for what a reader would pass over: a unit, types of voxels, a series that is none."""

    def voxels(self) -> np.ndarray:
        """Read all voxels, scaled, up to the last byte of the file, so that damage anywhere is noticed.

        Raises anything on a damaged file; the door explains it.
        """

    def slab(self, start: int, stop: int) -> np.ndarray:
        """Read the voxels from `start` to before `stop` along the last axis in space, and no others if possible."""

    @property
    def native(self) -> Any:
        """The image as its library has it, for MONAI's reader, once the voxels were read."""

    def close(self) -> None:
        """Close what is open."""


class ImageFormat(Protocol):
    """The class of a format; to make one is to open an image and to read its header."""

    def __call__(self, path: str, stream: BinaryIO | None) -> OpenImage:
        """Open an image.

        Args:
            path: the file or folder.
            stream: the file, open at its start, which the image takes over; None for a folder.
        """


def format_of(path: str, start: bytes = b"") -> str:
    """Return the name of a path's format: by its ending, or of a folder or by the first bytes of a file "dicom".

    Args:
        path: of the image.
        start: the first bytes of a file.

    Returns:
        A name in `endings.ENDINGS`; "itk" if nothing else is known, because ITK knows more formats than the table.
    """
    name = format_name(path) or "itk"
    is_series = name == "itk" and (Path(path).is_dir() or starts_dicom(start))
    return "dicom" if is_series else name


def format_class(name: str) -> ImageFormat:
    """Return the class of a format by its name.

    Classes are imported here, because each brings a library of its own, and few are needed at a time.
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


_CLASSES = {
    "nifti": _nifti,
    "pair": _pair,
    "itk": _itk,
    "dicom": _dicom,
    "mgz": _mgz,
    "zarr": _ome_zarr,
    "nifti-zarr": _nifti_zarr,
    "picture": _picture,
}
