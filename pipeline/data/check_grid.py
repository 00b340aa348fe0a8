"""Checks of a file's place in space: against the other files of its case, for shear, and within its own header."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from .check_file import Grid
from .errors import InputError
from .images.header import Volume
from .images.nifti_header import uneven_offset_error

__all__ = [
    "CHANNEL_REMEDY",
    "LABEL_REMEDY",
    "MAX_SHEAR",
    "ROUNDING_VOXELS",
    "SAME_PLACE_MM",
    "SAME_PLACE_VOXELS",
    "find_grid_problems",
    "find_header_problems",
]

# Tools round affines differently. A thousandth of a voxel is more than the rounding and far too little to do harm.
SAME_PLACE_MM = 1e-3
SAME_PLACE_VOXELS = 1e-3
# Up to this difference two grids differ only by rounding in a header, and both can get the same affine.
ROUNDING_VOXELS = 0.05
# Cosine of the angle between two axes; above it ITK's readers refused files in tests.
MAX_SHEAR = 1e-4
# In a sheared affine the edges are a little longer than the pixdim; that is another finding.
_MAX_PIXDIM_DIFFERENCE = 1e-2
_REMEDY = "copy the header of the correct file if the voxels correspond, otherwise resample one to the other's grid"
# Of two channels of a case, and of a label map that may have been drawn on another channel than the first.
CHANNEL_REMEDY = (
    "check that both are of the same patient and examination; then `lightskip check DATALIST --fix FOLDER` resamples "
    "it to the first channel's grid (scans to predict can be test cases of a datalist)"
)
LABEL_REMEDY = (
    f"{_REMEDY}; `lightskip check DATALIST --fix FOLDER` does so if it is in the grid of one of its other channels"
)


def find_grid_problems(grid: Grid, reference: Grid, remedy: str = "") -> Iterator[InputError]:
    """Yield the differences between a file's grid and that of its case's first image.

    They are in shape, spacing, direction or origin. Nothing is yielded if the corners of the volume differ by at most
    0.001 mm or 0.001 of the smallest spacing, whichever is larger. Up to 0.05 of the smallest spacing the difference is
    one problem of the kind "grid-rounding".

    Args:
        grid: of the file.
        reference: of the first image.
        remedy: for differences that are no rounding; by default that for two files that should have one grid.
    """
    if grid.shape != reference.shape:
        yield InputError(
            grid.path,
            found=f"shape {grid.shape}",
            expected=f"shape {reference.shape}, as in {reference.path}",
            remedy=remedy or "check that both files belong to the same scan, then resample one to the other's grid",
            kind="shape-differs",
        )
    smallest = float(np.linalg.norm(reference.affine[:3, : len(reference.shape)], axis=0).min())
    apart = largest_distance(grid.affine, reference.affine, reference.shape)
    if apart <= max(SAME_PLACE_MM, SAME_PLACE_VOXELS * smallest):
        return
    moved = f"an affine that moves the volume by up to {apart:.3g} mm"
    remedy = remedy or _REMEDY
    if apart <= ROUNDING_VOXELS * smallest:
        details = [("grid-rounding", f"rounding, {apart / smallest:.2g} voxels")]
        remedy = "run `lightskip check --fix FOLDER`, which writes a copy with the image's affine"
    else:
        details = list(_find_differences(grid.affine, reference.affine, reference.shape, ROUNDING_VOXELS * smallest))
    for kind, detail in details:
        yield InputError(
            grid.path,
            found=f"{moved} ({detail})",
            expected=f"the affine of {reference.path}",
            remedy=remedy,
            kind=kind,
        )


def find_header_problems(path: str, volume: Volume, shape: Sequence[int]) -> Iterator[InputError]:
    """Yield the problems of a header: a shear that ITK's readers refuse, contradictions of qform and sform.

    A start of the voxels that only SPM minds is one of them, of the kind of a note.
    """
    axes = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    cosines = axes.T @ axes
    largest = float(np.abs(cosines - np.diag(np.diag(cosines))).max())
    if largest > MAX_SHEAR:
        angle = np.degrees(np.arccos(min(largest, 1.0)))
        yield InputError(
            path,
            found=f"a sheared affine: the angle between two axes is {angle:.4g} degrees",
            expected="axes at 90 degrees: ITK, SimpleITK, 3D Slicer and ITK-SNAP read no other files",
            remedy="resample the scan and its label map to a grid without shear",
            kind="sheared",
        )
    yield from _find_form_problems(path, volume, shape)
    uneven = uneven_offset_error(volume.header)
    if uneven is not None:
        yield uneven
    yield from volume.header.notes


def _find_form_problems(path: str, volume: Volume, shape: Sequence[int]) -> Iterator[InputError]:
    """Yield contradictions between qform, sform and pixdim of a NIfTI header, or their absence."""
    forms = volume.header.forms
    if forms is None:
        if not volume.header.has_orientation:
            yield InputError(
                path,
                found="a store without the orientation of its axes",
                expected="an orientation of each axis in its metadata, to distinguish left from right",
                remedy="add it from the original scan; without it x, y and z point to the left, to the back and up",
                kind="form-missing",
            )
        return
    if forms.qform is None and forms.sform is None:
        yield InputError(
            path,
            found="neither a qform nor an sform: both codes are 0",
            expected="one of them, to distinguish left from right and to place the scan",
            remedy="set one from the original scan; without it, tools guess differently",
            kind="form-missing",
        )
        return
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)[: len(forms.pixdim)]
    if forms.sform is not None and np.abs(forms.pixdim / spacing - 1).max() > _MAX_PIXDIM_DIFFERENCE:
        yield InputError(
            path,
            found=f"an sform with a spacing of {_format_spacing(spacing)} mm "
            f"and a pixdim of {_format_spacing(forms.pixdim)} mm",
            expected="the same spacing in both: ITK-based tools use the pixdim, others the sform",
            remedy="find out which one is correct, and change the other",
            kind="form-conflict",
        )
        return
    if forms.qform is None or forms.sform is None:
        return
    smallest = float(np.linalg.norm(volume.affine[:3, : len(shape)], axis=0).min())
    apart = largest_distance(forms.qform, forms.sform, shape)
    extent = float(np.linalg.norm((np.asarray([*shape, 1, 1][:3]) - 1) * np.linalg.norm(forms.qform[:3, :3], axis=0)))
    if apart > max(SAME_PLACE_MM, ROUNDING_VOXELS * smallest) + extent * _qform_error(forms.qform):
        yield InputError(
            path,
            found=f"a qform and an sform that put the volume up to {apart:.3g} mm apart",
            expected="the same place in both, or code 0 in one of them: tools differ in the form that they use",
            remedy="find out which one is correct, and copy it to the other",
            kind="form-conflict",
        )


def _qform_error(qform: np.ndarray) -> float:
    """Return the possible error (radians) of a qform's rotation, because its quaternion is stored in float32.

    The header has three parts, b, c and d, of the quaternion (a, b, c, d); a follows from its length of 1. Near a half
    turn, where a is 0, the error of a is the square root of the rounding of b, c and d.
    """
    axes = qform[:3, :3] / np.linalg.norm(qform[:3, :3], axis=0)
    turn = axes * [1, 1, np.sign(np.linalg.det(axes))]
    left = math.sqrt(max(0.0, 1 + float(np.trace(turn)))) / 2
    rounding = 4 * float(np.finfo(np.float32).eps)
    return 2 * rounding / max(left, math.sqrt(rounding))


def largest_distance(one: np.ndarray, other: np.ndarray, shape: Sequence[int]) -> float:
    """Return the largest distance (mm) between the places of a corner under two affines; shape in voxels."""
    ends = [(0, size - 1) for size in (*shape, 1)[:3]]
    corners = np.array([(*corner, 1) for corner in product(*ends)], dtype=float)
    return float(np.linalg.norm((corners @ (one - other).T)[:, :3], axis=1).max())


def _find_differences(
    affine: np.ndarray, reference: np.ndarray, shape: Sequence[int], tolerance: float
) -> Iterator[tuple[str, str]]:
    """Yield which of spacing, direction and origin differ, as kind and words; at least one.

    Spacing or direction differ if they alone move the volume's far end by more than the tolerance (mm). The origin is
    yielded only if neither does, because a flip moves the origin too.
    """
    one, other = affine[:3, : len(shape)], reference[:3, : len(shape)]
    sizes, usual = np.linalg.norm(one, axis=0), np.linalg.norm(other, axis=0)
    steps = np.asarray(shape) - 1
    # Twice the sine of half the angle: exact for tiny angles, where the cosine is 1.
    chords = np.linalg.norm(one / sizes - other / usual, axis=0)
    angle = float(np.degrees(2 * np.arcsin(min(chords.max() / 2, 1.0))))
    shift = float(np.linalg.norm(affine[:3, 3] - reference[:3, 3]))
    effects = [
        (float((np.abs(sizes - usual) * steps).max()), "spacing-differs"),
        (float((chords * usual * steps).max()), "direction-differs"),
    ]
    words = {
        "spacing-differs": f"spacing {_format_spacing(sizes)} mm instead of {_format_spacing(usual)} mm",
        "direction-differs": f"an axis rotated by {angle:.3g} degrees",
        "origin-differs": f"origin {shift:.3g} mm away",
    }
    found = [kind for effect, kind in effects if effect > tolerance]
    for kind in found or [max([*effects, (shift, "origin-differs")])[1]]:
        yield kind, words[kind]


def _format_spacing(spacing: np.ndarray) -> str:
    return " x ".join(f"{size:.6g}" for size in spacing)
