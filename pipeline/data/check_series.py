"""The folder of a DICOM series: that it holds one series, and every slice of it once."""

from __future__ import annotations

import locale
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .errors import InputError

__all__ = ["check_series"]

# Of the usual distance: positions are rounded, and tables move unevenly.
_UNEVEN = 0.1


def check_series(folder: str) -> None:
    """Check what readers are silent about: of several series they take one, and across a missing slice they go on.

    Args:
        folder: the folder of the files.

    Raises:
        InputError: it holds several series, or distances between the slices differ by more than a tenth.
    """
    # Imported here, because NIfTI files do not need it.
    import SimpleITK as sitk  # noqa: PLC0415

    with _same_locale():
        series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(folder)
    if len(series) > 1:
        raise InputError(
            folder,
            found=f"{len(series)} DICOM series in one folder",
            expected="the files of one series",
            remedy="give every series a folder of its own, and name the one that is meant",
            kind="dimensions",
        )
    # Without any it is no DICOM, which reading it tells.
    with _same_locale():
        places = _places(sitk, sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder)) if series else np.empty(0)
    apart = np.diff(np.sort(places))
    if len(apart) < 2:
        return
    usual = float(np.median(apart))
    if np.abs(apart - usual).max() > _UNEVEN * usual:
        raise InputError(
            folder,
            found=f"a DICOM series whose slices are {apart.min():.4g} to {apart.max():.4g} mm apart",
            expected=f"one distance between them ({usual:.4g} mm): every slice, and each once",
            remedy="copy the series again, or take away what is not of it; where it was taken so, resample it",
            kind="spacing",
        )


@contextmanager
def _same_locale() -> Iterator[None]:
    """Put the process's locale back: GDCM sets it to C, and text files would be ASCII from then on."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        yield
    finally:
        locale.setlocale(locale.LC_ALL, before)


def _places(sitk: Any, files: tuple[str, ...]) -> np.ndarray:
    """Return where the slices lie along their normal (mm); none for a file of many slices."""
    reader = sitk.ImageFileReader()
    places = []
    for file in files:
        reader.SetFileName(file)
        reader.ReadImageInformation()
        if reader.GetDimension() != 3 or reader.GetSize()[2] != 1:
            return np.empty(0)
        normal = np.reshape(reader.GetDirection(), (3, 3))[:, 2]
        places.append(float(normal @ np.asarray(reader.GetOrigin())))
    return np.asarray(places)
