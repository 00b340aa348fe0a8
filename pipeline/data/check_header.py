"""The checks of an image's header: its voxels' type, the promise of their number, spacing, unit and affine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError

__all__ = ["check_affine", "check_itk_type", "check_promise", "check_spacing", "check_unit", "check_voxel_type"]

# Of the voxel's volume over the product of its edges: below it the axes lie in one plane, but for rounding.
_FLAT = 1e-6
# NIfTI's codes for units of space that are not mm; 0, unknown, is what most tools leave for mm.
_OTHER_UNITS = {1: "metres", 3: "micrometres"}
_UNIT_OF_SPACE = 0b111
_BEST_DEFLATE = 1032
_MOST_COMPONENTS = 4
# What a scanner or a microscope of tissue gives lies inside with room to spare; outside, the unit is another.
_FINEST_MM, _COARSEST_MM = 0.01, 100.0


def check_voxel_type(path: str, dtype: np.dtype[Any]) -> None:
    """Refuse voxels of several numbers: complex or RGB."""
    if dtype.kind not in "iufb":
        raise InputError(
            path,
            found=f"{'complex' if dtype.kind == 'c' else 'RGB'} voxels",
            expected="one real number per voxel",
            remedy="convert the file to a real data type, with one file per component",
            kind="voxel-type",
        )


def check_itk_type(path: str) -> None:
    """Refuse types of voxels for which ITK in Python, and so MONAI, has no reader; of NRRD, MetaImage and the like."""
    # Imported here, because NIfTI files do not need it.
    import SimpleITK as sitk  # noqa: PLC0415

    reader = sitk.ImageFileReader()
    reader.SetFileName(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        # What is wrong with the file, reading it tells.
        return
    count, word = reader.GetNumberOfComponents(), sitk.GetPixelIDValueAsString(reader.GetPixelIDValue())
    if count == 1 and reader.GetPixelID() in (sitk.sitkInt8, sitk.sitkInt64):
        found, remedy = f"voxels of type {word}", "convert the file to int16 or float32, or to NIfTI"
    elif count > 1 and (count > _MOST_COMPONENTS or "integer" in word):
        found, remedy = f"{count} numbers per voxel ({word})", "write one file per channel, or NIfTI with channels last"
    else:
        return
    raise InputError(
        path,
        found=found,
        expected="one number per voxel, or 2 to 4 of floating point, of a type that ITK reads in Python",
        remedy=remedy,
        kind="voxel-type",
    )


def check_promise(path: str, header: Any, voxels_file: str | None = None) -> None:
    """Refuse a header that promises more voxels than its file can hold, before memory is asked for them."""
    promised = math.prod(int(size) for size in header.get_data_shape()) * header.get_data_dtype().itemsize
    # Deflate packs 1032 bytes into one at best.
    file = voxels_file or path
    held = Path(file).stat().st_size * (_BEST_DEFLATE if file.lower().endswith(".gz") else 1)
    if promised > held:
        msg = f"Expected {promised} bytes of voxels, got at most {held}"
        raise EOFError(msg)


def check_unit(path: str, xyzt_units: int, spacing: np.ndarray) -> None:
    """Refuse a unit of space that is not mm, by a NIfTI header's `xyzt_units`."""
    unit = xyzt_units & _UNIT_OF_SPACE
    if unit in _OTHER_UNITS:
        raise InputError(
            path,
            found=f"a spacing in {_OTHER_UNITS[unit]} ({_product(spacing)})",
            expected="mm",
            remedy="convert spacing and affine to mm, or where the numbers are in mm already, set xyzt_units to mm",
            kind="unit",
        )


def check_spacing(path: str, spacing: np.ndarray, shape: Sequence[int]) -> None:
    """Refuse a spacing (mm) along the axes of this shape (voxels); further axes of the shape are no matter."""
    if not np.isfinite(spacing).all() or (spacing == 0).any():
        expected = "a spacing above 0 mm along every axis"
    else:
        # Rounded, because 0.01 and 100 mm are fine after whatever float32 and a rotation did to them.
        used = [round(float(size), 6) for size, voxels in zip(spacing, shape, strict=False) if voxels > 1]
        if all(_FINEST_MM <= size <= _COARSEST_MM for size in used):
            return
        expected = f"a spacing of {_FINEST_MM:g} to {_COARSEST_MM:g} mm along every axis"
    raise InputError(
        path,
        found=f"a spacing of {_product(spacing)} mm",
        expected=expected,
        remedy="correct the file's header from the original scan",
        kind="spacing",
    )


def _product(spacing: np.ndarray) -> str:
    return " x ".join(f"{size:g}" for size in spacing)


def check_affine(path: str, affine: np.ndarray, shape: Sequence[int]) -> None:
    """Refuse a 4x4 affine (mm) that is flat or not finite, or whose spacing `check_spacing` refuses."""
    axes = affine[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    check_spacing(path, lengths, shape)
    if not np.isfinite(affine).all() or abs(np.linalg.det(axes)) < _FLAT * np.prod(lengths):
        raise InputError(
            path,
            found="an affine that is not finite or maps the volume to a plane",
            expected="an affine with three independent axes",
            remedy="correct the file's header from the original scan",
            kind="affine",
        )
