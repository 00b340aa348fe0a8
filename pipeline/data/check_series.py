"""The folder of a DICOM series: that it holds one series, every slice of it once, and all on one straight grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .errors import InputError
from .images.dicom_files import other_content, unreadable_packing
from .images.dicom_slices import SPLITTING, Slice

__all__ = ["check_one_file", "check_slices"]

# Of the usual distance: positions are rounded, and tables move unevenly.
_MAX_UNEVENNESS = 0.1
# Of direction cosines: half a pixel at the edge of 1000.
_MAX_TURN = 1e-3
_MAX_SPACING_DIFFERENCE = 1e-3
# Of a pixel, sideways over the whole series: below it no voxel is nearer to another's place.
_MAX_SIDEWAYS = 0.5


def check_slices(folder: str, slices: Sequence[Slice], damaged: Sequence[str]) -> list[Slice]:
    """Check a folder for what readers are silent about, and return the slices of its only series.

    Of several series readers take one, and of one whose slices differ in thickness or date a part; across a missing
    slice they go on; a slice of another orientation or pixel size they put among the rest; and the shift of a tilted
    gantry's slices they drop.

    Args:
        folder: the folder of the files.
        slices: the headers of its DICOM files.
        damaged: names of files that are DICOM by their names and cannot be read.

    Raises:
        InputError: there are no images among them, or some that are damaged or that ITK cannot decode; several
            series; slices of different orientation, size or spacing; one slice alone; two in one place, or distances
            that differ by more than a tenth; slices that shift sideways by more than half a pixel.
    """
    images = [one for one in slices if one.is_image and one.is_complete]
    series = {one.series for one in images}
    if len(series) > 1:
        raise InputError(
            folder,
            found=f"{len(series)} DICOM series in one folder",
            expected="the files of one series",
            remedy="give every series a folder of its own, and name the one that is meant",
            kind="dimensions",
        )
    if not images:
        for one in slices:
            _check_content(one, where=folder)
    # Where it is the last slice, no gap would show that it is left out.
    broken = [one for one in slices if not (one.is_image and one.is_complete) and other_content(one.storage) is None]
    _refuse_damaged(folder, sorted([*damaged, *(Path(one.file).name for one in broken)]))
    if not images:
        return []
    for one in images:
        _check_content(one, where=folder)
    # A file of many slices describes itself.
    if all(one.frames == 1 for one in images):
        _check_one_kind(folder, images)
        _check_distances(folder, images)
        _check_straight(folder, images)
    return images


def check_one_file(path: str, one: Slice) -> None:
    """Check one DICOM file that is given by itself: that it is a volume.

    Raises:
        InputError: it is no image, ITK cannot decode it, or it holds one slice.
    """
    _check_content(one, where=path)
    if one.frames == 1:
        _refuse_one_slice(path, remedy="give the folder that holds the files of its series")


def _check_content(one: Slice, *, where: str) -> None:
    content, packing = other_content(one.storage), unreadable_packing(one.syntax)
    if content is not None:
        raise InputError(
            where,
            found=f"DICOM that is {content}" + (f" ({Path(one.file).name})" if one.file != where else ""),
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


def _refuse_damaged(folder: str, names: Sequence[str]) -> None:
    if not names:
        return
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    raise InputError(
        folder,
        found=f"DICOM files that are truncated or no images: {names[0]}{more}",
        expected="a DICOM series whose every file can be read",
        remedy="copy these files again (or run `git lfs pull`), or move them away if they are not of the scan",
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
            f"{name} ({', '.join(value or 'none' for value in found[:3])})"
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


def _check_distances(folder: str, slices: Sequence[Slice]) -> None:
    if len(slices) == 1:
        _refuse_one_slice(folder, remedy="copy the rest of the series into the folder")
    normal = slices[0].direction[:, 2]
    apart = np.diff(np.sort([float(normal @ one.origin) for one in slices]))
    usual = float(np.median(apart[apart > _MAX_UNEVENNESS * apart.max()])) if apart.any() else 0.0
    if usual > 0 and np.abs(apart - usual).max() <= _MAX_UNEVENNESS * usual:
        return
    copies = int((apart <= _MAX_UNEVENNESS * usual).sum())
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


def _check_straight(folder: str, slices: Sequence[Slice]) -> None:
    """Refuse a sheared series: readers put the slices exactly one above the other."""
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
        expected="slices one straight above the other: readers would drop the shift, and with it the geometry",
        remedy="resample the series to a straight grid, for example with dcm2niix or 3D Slicer, and give that file",
        kind="sheared",
    )
