"""Whether files lie where they should: the place of two of one case, shear, and what a header says twice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from .check_file import Grid
from .errors import InputError
from .images.header import Volume

__all__ = [
    "MAX_SHEAR",
    "ROUNDING_VOXELS",
    "SAME_PLACE_MM",
    "SAME_PLACE_VOXELS",
    "find_grid_problems",
    "find_header_problems",
]

# Tools round affines in different ways: a thousandth of a voxel is above what rounding does and far below any harm.
SAME_PLACE_MM = 1e-3
SAME_PLACE_VOXELS = 1e-3
# Up to here two grids are the same but for rounding in a header, and giving both one affine harms nobody.
ROUNDING_VOXELS = 0.05
# Cosine of the angle between two axes, from which on ITK's readers were seen to refuse a file.
MAX_SHEAR = 1e-4
# Where an affine is sheared its edges are a little longer than the pixdim, which is another finding.
_MAX_PIXDIM_DIFFERENCE = 1e-2


def find_grid_problems(grid: Grid, reference: Grid) -> Iterator[InputError]:
    """Yield how a file's grid differs from that of its case's first image: shape, spacing, direction, origin.

    Nothing is yielded where the two affines move no corner of the volume apart by more than 0.001 mm or 0.001 of the
    smallest spacing, whichever is larger. Up to 0.05 of the smallest spacing it is one problem of the kind
    "grid-rounding".
    """
    if grid.shape != reference.shape:
        yield InputError(
            grid.path,
            found=f"shape {grid.shape}",
            expected=f"shape {reference.shape}, that of {reference.path}",
            remedy="check that both files belong to the same scan, and resample one to the other's grid",
            kind="shape-differs",
        )
    smallest = float(np.linalg.norm(reference.affine[:3, : len(reference.shape)], axis=0).min())
    apart = largest_distance(grid.affine, reference.affine, reference.shape)
    if apart <= max(SAME_PLACE_MM, SAME_PLACE_VOXELS * smallest):
        return
    moved = f"an affine that moves the volume by up to {apart:.3g} mm"
    remedy = "copy the header of the right file if the voxels correspond, otherwise resample one to the other"
    if apart <= ROUNDING_VOXELS * smallest:
        details = [("grid-rounding", f"rounding, {apart / smallest:.2g} voxels")]
        remedy = "let `lightskip check --fix FOLDER` write a copy with the image's affine"
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
    """Yield a shear that ITK's readers refuse, and a qform and an sform that put the volume in two places."""
    axes = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    cosines = axes.T @ axes
    largest = float(np.abs(cosines - np.diag(np.diag(cosines))).max())
    if largest > MAX_SHEAR:
        angle = np.degrees(np.arccos(min(largest, 1.0)))
        yield InputError(
            path,
            found=f"a sheared affine: two of its axes stand at {angle:.4g} degrees",
            expected="axes at 90 degrees, which ITK, SimpleITK, 3D Slicer and ITK-SNAP need to read a file",
            remedy="resample the scan to a grid without shear, label map and all",
            kind="sheared",
        )
    yield from _find_form_problems(path, volume, shape)


def _find_form_problems(path: str, volume: Volume, shape: Sequence[int]) -> Iterator[InputError]:
    """Yield what qform, sform and pixdim of a NIfTI header say against each other."""
    forms = volume.header.forms
    if forms is None:
        if not volume.header.has_orientation:
            yield InputError(
                path,
                found="a store that does not say how its axes run in the body",
                expected="an orientation of each axis in its metadata, which tells left from right",
                remedy="add it from the original scan; x, y and z are taken to run to the left, to the back and up",
                kind="form-missing",
            )
        return
    if forms.qform is None and forms.sform is None:
        yield InputError(
            path,
            found="neither a qform nor an sform: both codes are 0",
            expected="one of them, which tells left from right and where the scan lies",
            remedy="set it from the original scan; tools guess differently",
            kind="form-missing",
        )
        return
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)[: len(forms.pixdim)]
    if forms.sform is not None and np.abs(forms.pixdim / spacing - 1).max() > _MAX_PIXDIM_DIFFERENCE:
        yield InputError(
            path,
            found=f"an sform with a spacing of {_format_spacing(spacing)} mm and a pixdim of {_format_spacing(forms.pixdim)} mm",
            expected="the same spacing in both: ITK-based tools take the pixdim, others the sform",
            remedy="find out which one is right and correct the other",
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
            expected="both in agreement, or one of them with code 0: tools differ in which of them they use",
            remedy="find out which one is right and copy it to the other",
            kind="form-conflict",
        )


def _qform_error(qform: np.ndarray) -> float:
    """Return by how much (radians) a qform's rotation may be off because its quaternion is stored in float32.

    Of the quaternion (a, b, c, d) the header has three parts; a is what they leave of 1, and near a half turn, where it
    is 0, the rounding of b, c and d becomes the square root of itself.
    """
    axes = qform[:3, :3] / np.linalg.norm(qform[:3, :3], axis=0)
    turn = axes * [1, 1, np.sign(np.linalg.det(axes))]
    left = math.sqrt(max(0.0, 1 + float(np.trace(turn)))) / 2
    rounding = 4 * float(np.finfo(np.float32).eps)
    return 2 * rounding / max(left, math.sqrt(rounding))


def largest_distance(one: np.ndarray, other: np.ndarray, shape: Sequence[int]) -> float:
    """Return how far (mm) two affines put the same corner of a volume of this shape (voxels) apart, at most."""
    ends = [(0, size - 1) for size in (*shape, 1)[:3]]
    corners = np.array([(*corner, 1) for corner in product(*ends)], dtype=float)
    return float(np.linalg.norm((corners @ (one - other).T)[:, :3], axis=1).max())


def _find_differences(
    affine: np.ndarray, reference: np.ndarray, shape: Sequence[int], tolerance: float
) -> Iterator[tuple[str, str]]:
    """Yield which of spacing, direction and origin differ, as kind and words; at least one.

    Spacing and direction differ where either alone moves the volume's far end by more than the tolerance (mm). Where
    they do the origin may as well, as a flip moves it; it is a kind of its own only without them.
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
        "direction-differs": f"an axis turned by {angle:.3g} degrees",
        "origin-differs": f"origin {shift:.3g} mm away",
    }
    found = [kind for effect, kind in effects if effect > tolerance]
    for kind in found or [max([*effects, (shift, "origin-differs")])[1]]:
        yield kind, words[kind]


def _format_spacing(spacing: np.ndarray) -> str:
    return " x ".join(f"{size:.6g}" for size in spacing)
