"""Shape and spacing of an image from its header alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel

from ..check_series import same_locale
from ..errors import InputError
from ..volumes import is_nifti

__all__ = ["shape_and_spacing"]


def shape_and_spacing(image: Path) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Read how many voxels an image has along its two or three axes in space, and how far apart they are (mm).

    Args:
        image: a file, or the folder of a DICOM series.

    Raises:
        InputError: the header cannot be read.
    """
    try:
        read = _read_nifti if is_nifti(image) else _read_series if image.is_dir() else _read_with_itk
        return read(image)
    except Exception as error:  # on a damaged header readers raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            image,
            found=f"a header that cannot be read ({reason})",
            expected="an image, whose header tells shape and spacing",
            remedy="copy or download the file again, or leave it out",
        ) from error


def _read_nifti(image: Path) -> tuple[tuple[int, ...], tuple[float, ...]]:
    header: Any = nibabel.load(image).header
    return tuple(map(int, header.get_data_shape()[:3])), tuple(map(float, header.get_zooms()[:3]))


def _read_with_itk(image: Path) -> tuple[tuple[int, ...], tuple[float, ...]]:
    reader = _information(str(image))
    return tuple(reader.GetSize()[:3]), tuple(reader.GetSpacing()[:3])


def _read_series(folder: Path) -> tuple[tuple[int, ...], tuple[float, ...]]:
    import SimpleITK as sitk  # noqa: PLC0415

    with same_locale():
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    if not files:
        raise ValueError("no DICOM series in this folder")
    first, last = _information(files[0]), _information(files[-1])
    between = sum((a - b) ** 2 for a, b in zip(first.GetOrigin(), last.GetOrigin(), strict=True)) ** 0.5
    thickness = between / (len(files) - 1) if len(files) > 1 else first.GetSpacing()[-1]
    return (*first.GetSize()[:2], len(files)), (*first.GetSpacing()[:2], thickness)


def _information(file: str) -> Any:
    import SimpleITK as sitk  # noqa: PLC0415

    reader = sitk.ImageFileReader()
    reader.SetFileName(file)
    with same_locale():
        reader.ReadImageInformation()
    return reader
