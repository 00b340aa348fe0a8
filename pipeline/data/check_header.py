"""The checks of an image's header: its voxels' type, spacing, unit and affine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import InputError
from .images.header import Header

__all__ = [
    "check_affine",
    "check_header",
    "check_itk_type",
    "check_spacing",
    "check_unit",
    "check_voxel_type",
]

# Of a voxel's volume over the product of its edges: below it the axes are in one plane, except for rounding.
_MIN_VOLUME_SHARE = 1e-6
_MAX_COMPONENTS = 4
# In SimpleITK's words.
_TYPES_ITK_CANNOT_READ = ("8-bit signed integer", "64-bit signed integer")
# Scanners and tissue microscopes are well inside this range. Outside, the unit is probably not mm.
_MIN_MM, _MAX_MM = 0.01, 100.0


def check_header(header: Header) -> None:
    """Refuse a header whose unit is not mm, whose spacing is out of range, or whose voxels are not real numbers."""
    check_unit(header)
    check_spacing(header.path, np.abs(header.spacing), header.shape)
    check_voxel_type(header.path, header.dtype)


def check_voxel_type(path: str, dtype: np.dtype[Any]) -> None:
    """Refuse complex and RGB voxels."""
    if dtype.kind not in "iufb":
        raise InputError(
            path,
            found=f"{'complex' if dtype.kind == 'c' else 'RGB'} voxels",
            expected="one real number per voxel",
            remedy="convert the file to a real data type, one file per component",
            kind="voxel-type",
        )


def check_itk_type(path: str, count: int, words: str) -> None:
    """Refuse voxel types that ITK in Python, and so MONAI, cannot read; for NRRD, MetaImage and similar formats.

    Args:
        path: the image.
        count: numbers per voxel.
        words: SimpleITK's name of the voxel type.
    """
    if count == 1 and words in _TYPES_ITK_CANNOT_READ:
        found, remedy = f"voxels of type {words}", "convert the file to int16 or float32, or to NIfTI"
    elif count > 1 and (count > _MAX_COMPONENTS or "integer" in words):
        found, remedy = (
            f"{count} numbers per voxel ({words})",
            "write one file per channel, or NIfTI with channels last",
        )
    else:
        return
    raise InputError(
        path,
        found=found,
        expected="one number per voxel, or 2 to 4 floating-point numbers, of a type that ITK reads in Python",
        remedy=remedy,
        kind="voxel-type",
    )


def check_unit(header: Header) -> None:
    """Refuse a unit of space that is not mm; not for pictures, whose lengths may be in pixels, µm and nm."""
    if header.unit != "mm":
        field = "the units in the header" if header.format == "itk" else "xyzt_units"
        raise InputError(
            header.path,
            found=f"a spacing in {header.unit} ({_format_spacing(header.spacing)})",
            expected="mm",
            remedy=f"convert spacing and affine to mm; if the numbers are in mm already, set {field} to mm",
            kind="unit",
        )


def check_spacing(path: str, spacing: Sequence[float] | np.ndarray, shape: Sequence[int]) -> None:
    """Refuse a spacing (mm) that is 0, not finite, or out of range along an axis with more than one voxel."""
    lengths = np.asarray(spacing, dtype=float)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        expected = "a spacing above 0 mm along every axis"
    else:
        # Rounded, so that 0.01 and 100 mm pass in spite of float32 and rotations.
        used = [round(float(size), 6) for size, voxels in zip(spacing, shape, strict=False) if voxels > 1]
        if all(_MIN_MM <= size <= _MAX_MM for size in used):
            return
        expected = f"a spacing of {_MIN_MM:g} to {_MAX_MM:g} mm along every axis"
    raise InputError(
        path,
        found=f"a spacing of {_format_spacing(spacing)} mm",
        expected=expected,
        remedy="correct the file's header from the original scan",
        kind="spacing",
    )


def _format_spacing(spacing: Sequence[float] | np.ndarray) -> str:
    return " x ".join(f"{size:g}" for size in spacing)


def check_affine(path: str, affine: np.ndarray, shape: Sequence[int]) -> None:
    """Refuse a 4x4 affine (mm) that is flat or not finite, or whose spacing `check_spacing` refuses."""
    axes = affine[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    check_spacing(path, lengths, shape)
    if not np.isfinite(affine).all() or abs(np.linalg.det(axes)) < _MIN_VOLUME_SHARE * np.prod(lengths):
        raise InputError(
            path,
            found="an affine that is not finite or maps the volume to a plane",
            expected="an affine with three independent axes",
            remedy="correct the file's header from the original scan",
            kind="affine",
        )
