"""The check of a DICOM series' folder: one series, each slice once, and all slices on one straight grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from .check_frames import check_frames, check_one_volume, missing_words
from .errors import InputError
from .images.dicom_files import unreadable_packing
from .images.dicom_slices import SPLITTING, Slice
from .images.dicom_study import content_of, list_series, list_words

__all__ = ["check_one_file", "check_slices", "refuse_series", "series_notes"]

# Share of the usual distance: positions are rounded, and tables move unevenly.
_MAX_UNEVENNESS = 0.1
# Difference of direction cosines: half a pixel at the edge of 1000.
_MAX_TURN = 1e-3
_MAX_SPACING_DIFFERENCE = 1e-3
# Share of a pixel, over the whole series: below it no voxel is nearer to another voxel's place.
_MAX_SIDEWAYS = 0.5
# Of `SPLITTING`, those whose values are any text, or say when the patient was there. Messages go into reports.
_NOT_QUOTED = ("sequence name", "series date")


def check_slices(folder: str, slices: Sequence[Slice], damaged: Sequence[str]) -> list[Slice]:
    """Check a folder for problems that readers ignore, and return the slices of its only series.

    Without a message, readers take one of several series, or a part of a series whose slices differ in thickness or
    date; they ignore a missing slice, mix in slices of another orientation or pixel size, and drop the shift of a
    tilted gantry. A series that is no scan of anatomy, such as a report, does not count.

    Args:
        folder: the folder of the files.
        slices: the headers of its DICOM files.
        damaged: names of files with DICOM names that cannot be read.

    Raises:
        InputError: the folder has no images, or damaged ones, or ones that cannot be decoded; no scan of anatomy;
            several series; several volumes; slices of different orientation, size or spacing; one slice only; two
            slices in one place, or distances that differ by more than a tenth; slices that shift sideways by more than
            half a pixel.
    """
    images = [one for one in slices if one.is_image and one.is_complete]
    scans = [one for one in images if content_of(one) is None]
    if len({one.series for one in scans}) > 1:
        refuse_series(folder, slices)
    if not scans:
        for one in images or slices:
            _check_content(one, where=folder)
    # If the last slice is missing, there is no gap to notice.
    broken = [one for one in slices if not (one.is_image and one.is_complete) and content_of(one) is None]
    _refuse_damaged(folder, sorted([*damaged, *{Path(one.file).name for one in broken}]))
    return _check_scan(folder, scans) if scans else []


def check_one_file(path: str, slices: Sequence[Slice]) -> list[Slice]:
    """Check that a single DICOM file is a volume, and return its slices.

    Raises:
        InputError: it is no scan of anatomy, cannot be decoded, has one slice only, or frames that are no stack of
            slices; the reasons are those of `check_slices`.
    """
    _check_content(slices[0], where=path)
    if not slices[0].is_complete:
        _refuse_damaged(path, [Path(path).name])
    if slices[0].frames == 1:
        _refuse_one_slice(path, remedy="give the folder with the files of its series")
    return _check_scan(path, slices)


def series_notes(folder: str, slices: Sequence[Slice]) -> tuple[InputError, ...]:
    """Return a note on the images of a folder that are not read, because they are no scan: doses, segmentations."""
    others = [one for one in slices if one.is_image and content_of(one) is not None]
    if not others:
        return ()
    note = InputError(
        folder,
        found=f"other objects next to the scan, which were left out: {list_words(list_series(others))}",
        expected="one DICOM series",
        remedy="do nothing, or name the folder of the scan alone",
        kind="other-series",
    )
    return (note,)


def refuse_series(folder: str, slices: Sequence[Slice], word: str = "") -> NoReturn:
    """Raise the error that lists the series of a folder.

    Args:
        folder: the folder; or the path that names a series in it.
        slices: of all series.
        word: that should name a series, but names none or several.
    """
    series = list_series(slices)
    count = sum(one.content is None for one in series)
    chosen = f"no single series {word!r} among " if word else ""
    raise InputError(
        folder,
        found=f"{chosen}{count} DICOM series in one folder: {list_words(series)}",
        expected="the number, the description or the identifier of one series" if word else "the files of one series",
        remedy="choose one: `lightskip predict ... --series NUMBER`, or FOLDER/series=NUMBER in a datalist; "
        "`--series '?'` lists them with their descriptions",
        kind="several-series",
    )


def _check_scan(where: str, slices: Sequence[Slice]) -> list[Slice]:
    """Check that slices are one volume, and return them."""
    for one in slices:
        _check_content(one, where=where)
    check_frames(where, slices)
    _check_one_kind(where, slices)
    check_one_volume(where, slices)
    _check_distances(where, slices)
    _check_straight(where, slices)
    return list(slices)


def _check_content(one: Slice, *, where: str) -> None:
    content, packing = content_of(one), unreadable_packing(one.syntax)
    if content is not None:
        raise InputError(
            where,
            found=f"DICOM, but {content}" + (f" ({Path(one.file).name})" if one.file != where else ""),
            expected="a DICOM series of images",
            remedy="give the folder of the scan itself",
            kind="other-content",
        )
    if packing is not None:
        raise InputError(
            where,
            found=f"DICOM compressed as {packing}",
            expected="no compression, or RLE, JPEG, JPEG-LS or JPEG 2000, which ITK decodes",
            remedy="export the series uncompressed (explicit VR little endian), or convert it to NIfTI",
            kind="unreadable",
        )


def _refuse_damaged(folder: str, names: Sequence[str]) -> None:
    if not names:
        return
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    raise InputError(
        folder,
        found=f"DICOM files that are truncated or no images: {names[0]}{more}",
        expected="a DICOM series in which every file can be read",
        remedy="copy these files again (or run `git lfs pull`), or move them away if they do not belong to the scan",
        kind="truncated",
    )


def _check_one_kind(folder: str, slices: Sequence[Slice]) -> None:
    first = slices[0]
    turned = max(float(np.abs(one.direction - first.direction).max()) for one in slices)
    sizes = sorted({one.size for one in slices})
    spacings = {tuple(one.spacing.round(6).tolist()) for one in slices}
    stretched = max(float(np.abs(one.spacing / first.spacing - 1).max()) for one in slices)
    if turned > _MAX_TURN:
        what, kind = "orientation, as with a localizer among them", "dimensions"
    elif len(sizes) > 1:
        what, kind = f"size: {' and '.join(f'{x} x {y}' for x, y in sizes[:3])} pixels", "dimensions"
    elif stretched > _MAX_SPACING_DIFFERENCE:
        shown = " and ".join(f"{x:g} x {y:g}" for x, y in sorted(spacings)[:3])
        what, kind = f"pixel spacing: {shown} mm", "spacing"
    else:
        values = [sorted({one.tags[number] for one in slices}) for number in range(len(SPLITTING))]
        differing = [
            name if name in _NOT_QUOTED else f"{name} ({', '.join(value or 'none' for value in found[:3])})"
            for name, found in zip(SPLITTING, values, strict=True)
            if len(found) > 1
        ]
        if not differing:
            return
        what, kind = " and ".join(differing), "dimensions"
    raise InputError(
        folder,
        found=f"a DICOM series whose slices differ in {what}",
        expected="slices of one kind, on one grid",
        remedy="move files that do not belong to the scan elsewhere; if all belong, convert the series to NIfTI",
        kind=kind,
    )


def _refuse_one_slice(where: str, *, remedy: str) -> None:
    raise InputError(
        where,
        found="one DICOM slice",
        expected="several slices of a series, because their distance follows from their places",
        remedy=remedy,
        kind="dimensions",
    )


def _check_distances(folder: str, slices: Sequence[Slice]) -> None:
    if len(slices) == 1:
        _refuse_one_slice(folder, remedy="copy the rest of the series into the folder")
    normal = slices[0].direction[:, 2]
    heights = np.sort([float(normal @ one.origin) for one in slices])
    apart = np.diff(heights)
    usual = float(np.median(apart[apart > _MAX_UNEVENNESS * apart.max()])) if apart.any() else 0.0
    if usual > 0 and np.abs(apart - usual).max() <= _MAX_UNEVENNESS * usual:
        return
    copies = int((apart <= _MAX_UNEVENNESS * usual).sum())
    remedy = "copy the series again, or remove files that do not belong to it; if it was scanned like this, resample it"
    if copies:
        remedy = f"keep one file per slice: {copies} {'is' if copies == 1 else 'are'} in the place of another"
    raise InputError(
        folder,
        found=f"a DICOM series whose slices are {apart.min():.4g} to {apart.max():.4g} mm apart",
        expected="equal distances"
        + f" ({usual:.4g} mm)" * (usual > 0)
        + ": every slice, and each once"
        + missing_words(heights, usual, tolerance=_MAX_UNEVENNESS),
        remedy=remedy,
        kind="spacing",
    )


def _check_straight(folder: str, slices: Sequence[Slice]) -> None:
    """Refuse a sheared series, because readers stack the slices without the shift."""
    first = slices[0]
    offsets = np.array([one.origin - first.origin for one in slices])
    heights = offsets @ first.direction[:, 2]
    sideways = np.linalg.norm(offsets - np.outer(heights, first.direction[:, 2]), axis=1)
    if sideways.max() <= _MAX_SIDEWAYS * first.spacing.min():
        return
    far = int(sideways.argmax())
    angle = np.degrees(np.arctan2(sideways[far], abs(heights[far])))
    raise InputError(
        folder,
        found=f"a DICOM series whose slices shift sideways, by up to {sideways[far]:.4g} mm (a gantry tilt of "
        f"{angle:.3g} degrees)",
        expected="slices stacked without a shift: readers would drop it, and the geometry would be wrong",
        remedy="resample the series to a straight grid, for example with dcm2niix or 3D Slicer, and use that file",
        kind="sheared",
    )
