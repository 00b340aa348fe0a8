"""The folder of a DICOM series: that it holds one series, every slice of it once, and all on one straight grid."""

from __future__ import annotations

import locale
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .dicom_files import dicom_files, other_content, unreadable_packing
from .errors import InputError

__all__ = ["check_dicom_file", "check_series", "same_locale"]

# Of the usual distance: positions are rounded, and tables move unevenly.
_UNEVEN = 0.1
# Of direction cosines: half a pixel at the edge of 1000.
_TURNED = 1e-3
_OTHER_SPACING = 1e-3
# Of a pixel, sideways over the whole series: below it no voxel is nearer to another's place.
_SIDEWAYS = 0.5
# By these MONAI's reader splits a series, of which it takes the first part without a word.
_SPLITTING = {
    "0020|0011": "series number",
    "0018|0024": "sequence name",
    "0018|0050": "slice thickness",
    "0008|0021": "series date",
}

# A locale is the whole process's: a second thread would take the first one's C for what it has to put back.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class _Slice:
    """One file of a series: size (pixels) and spacing (mm) in its plane, direction cosines 3x3, origin (mm, LPS)."""

    size: tuple[int, int]
    spacing: np.ndarray
    direction: np.ndarray
    origin: np.ndarray
    tags: tuple[str, ...]


def check_series(folder: str) -> None:
    """Check what readers are silent about.

    Of several series they take one, and of one whose slices differ in thickness or date a part; across a missing
    slice they go on; a slice of another orientation or pixel size they put among the rest; and the shift of a tilted
    gantry's slices they drop.

    Args:
        folder: the folder of the files.

    Raises:
        InputError: it holds DICOM files, but no images, or some that are damaged or that ITK cannot decode; several
            series; slices of different orientation, size or spacing; one slice alone; two in one place, or distances
            that differ by more than a tenth; slices that shift sideways by more than half a pixel.
    """
    # Imported here, because NIfTI files do not need it.
    import SimpleITK as sitk  # noqa: PLC0415

    with same_locale():
        series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(folder)
        files = tuple(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder)) if series else ()
    if len(series) > 1:
        raise InputError(
            folder,
            found=f"{len(series)} DICOM series in one folder",
            expected="the files of one series",
            remedy="give every series a folder of its own, and name the one that is meant",
            kind="dimensions",
        )
    _check_all_known(folder, files)
    if not files:
        # Without any DICOM file at all, reading it tells.
        return
    _check_content(files[0], where=folder)
    with same_locale():
        slices = [_read_slice(sitk, file) for file in files]
    alone = [one for one in slices if one is not None]
    # A file of many slices describes itself.
    if len(alone) == len(slices):
        _check_one_kind(folder, alone)
        _check_distances(folder, alone)
        _check_straight(folder, alone)


def check_dicom_file(path: str) -> None:
    """Check one DICOM file that is given by itself: that it is a volume.

    Args:
        path: the file.

    Raises:
        InputError: it is no image, ITK cannot decode it, or it holds one slice.
    """
    import SimpleITK as sitk  # noqa: PLC0415

    _check_content(path, where=path)
    with same_locale():
        one = _read_slice(sitk, path)
    if one is not None:
        _refuse_one_slice(path, remedy="give the folder that holds the files of its series")


@contextmanager
def same_locale() -> Iterator[None]:
    """Put the process's locale back: GDCM sets it to C, and text files would be ASCII from then on."""
    with _ONE_AT_A_TIME:
        before = locale.setlocale(locale.LC_ALL)
        try:
            yield
        finally:
            locale.setlocale(locale.LC_ALL, before)


def _check_content(file: str, *, where: str) -> None:
    content, packing = other_content(file), unreadable_packing(file)
    if content is not None:
        raise InputError(
            where,
            found=f"DICOM that is {content}" + (f" ({Path(file).name})" if file != where else ""),
            expected="a DICOM series of images",
            remedy="give the folder of the scan itself",
            kind="not-an-image",
        )
    if packing is not None:
        raise InputError(
            where,
            found=f"DICOM compressed as {packing}",
            expected="voxels without compression, or as RLE, JPEG, JPEG-LS or JPEG 2000, which ITK decodes",
            remedy="let the archive export the series uncompressed (explicit VR little endian), or convert it to NIfTI",
            kind="unreadable",
        )


def _read_slice(sitk: Any, file: str) -> _Slice | None:
    """Read the header of one slice; None for a file of many."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(file)
    reader.ReadImageInformation()
    if reader.GetDimension() != 3 or reader.GetSize()[2] != 1:
        return None
    return _Slice(
        size=reader.GetSize()[:2],
        spacing=np.asarray(reader.GetSpacing()[:2]),
        direction=np.reshape(reader.GetDirection(), (3, 3)),
        origin=np.asarray(reader.GetOrigin()),
        tags=tuple(reader.GetMetaData(tag).strip() if reader.HasMetaDataKey(tag) else "" for tag in _SPLITTING),
    )


def _check_all_known(folder: str, files: Sequence[str]) -> None:
    """Refuse files that GDCM left out: where it is the last slice, no gap would tell."""
    known = {Path(file).name for file in files}
    others = [file for file in dicom_files(Path(folder)) if file.name not in known]
    if not files:
        for file in others:
            _check_content(str(file), where=folder)
    damaged = [file.name for file in others if other_content(file) is None]
    if damaged:
        more = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
        raise InputError(
            folder,
            found=f"DICOM files that are truncated or no images: {damaged[0]}{more}",
            expected="a DICOM series whose every file can be read",
            remedy="copy these files again (or run `git lfs pull`), or move them away if they are not of the scan",
            kind="truncated",
        )


def _check_one_kind(folder: str, slices: Sequence[_Slice]) -> None:
    first = slices[0]
    turned = max(float(np.abs(one.direction - first.direction).max()) for one in slices)
    sizes = sorted({one.size for one in slices})
    spacings = {tuple(one.spacing.round(6).tolist()) for one in slices}
    stretched = max(float(np.abs(one.spacing / first.spacing - 1).max()) for one in slices)
    if turned > _TURNED:
        what, kind = "orientation, as with a localizer among them", "dimensions"
    elif len(sizes) > 1:
        what, kind = f"size: {' and '.join(f'{x} x {y}' for x, y in sizes[:3])} pixels", "dimensions"
    elif stretched > _OTHER_SPACING:
        shown = " and ".join(f"{x:g} x {y:g}" for x, y in sorted(spacings)[:3])
        what, kind = f"pixel spacing: {shown} mm", "spacing"
    else:
        values = [sorted({one.tags[number] for one in slices}) for number in range(len(_SPLITTING))]
        differing = [
            f"{name} ({', '.join(value or 'none' for value in found[:3])})"
            for name, found in zip(_SPLITTING.values(), values, strict=True)
            if len(found) > 1
        ]
        if not differing:
            return
        what, kind = " and ".join(differing), "dimensions"
    raise InputError(
        folder,
        found=f"a DICOM series whose slices differ in {what}",
        expected="slices of one kind, on one grid",
        remedy="move what is not of the scan into another folder; where all of it is, convert the series to NIfTI",
        kind=kind,
    )


def _refuse_one_slice(where: str, *, remedy: str) -> None:
    raise InputError(
        where,
        found="one DICOM slice",
        expected="the slices of a series, whose places tell how far they are apart",
        remedy=remedy,
        kind="dimensions",
    )


def _check_distances(folder: str, slices: Sequence[_Slice]) -> None:
    if len(slices) == 1:
        _refuse_one_slice(folder, remedy="copy the rest of the series into the folder")
    normal = slices[0].direction[:, 2]
    apart = np.diff(np.sort([float(normal @ one.origin) for one in slices]))
    usual = float(np.median(apart[apart > _UNEVEN * apart.max()])) if apart.any() else 0.0
    if usual > 0 and np.abs(apart - usual).max() <= _UNEVEN * usual:
        return
    copies = int((apart <= _UNEVEN * usual).sum())
    remedy = "copy the series again, or take away what is not of it; where it was taken so, resample it"
    if copies:
        remedy = f"keep one file of each slice: {copies} lie{'s' * (copies == 1)} where another does"
    raise InputError(
        folder,
        found=f"a DICOM series whose slices are {apart.min():.4g} to {apart.max():.4g} mm apart",
        expected="one distance between them" + f" ({usual:.4g} mm)" * (usual > 0) + ": every slice, and each once",
        remedy=remedy,
        kind="spacing",
    )


def _check_straight(folder: str, slices: Sequence[_Slice]) -> None:
    """Refuse a sheared series: readers put the slices exactly one above the other."""
    first = slices[0]
    ways = np.array([one.origin - first.origin for one in slices])
    heights = ways @ first.direction[:, 2]
    sideways = np.linalg.norm(ways - np.outer(heights, first.direction[:, 2]), axis=1)
    if sideways.max() <= _SIDEWAYS * first.spacing.min():
        return
    far = int(sideways.argmax())
    angle = np.degrees(np.arctan2(sideways[far], abs(heights[far])))
    raise InputError(
        folder,
        found=f"a DICOM series whose slices shift sideways, by up to {sideways[far]:.4g} mm (a gantry tilt of "
        f"{angle:.3g} degrees)",
        expected="slices one straight above the other: readers would drop the shift, and with it the geometry",
        remedy="resample the series to a straight grid, for example with dcm2niix or 3D Slicer, and give that file",
        kind="sheared",
    )
