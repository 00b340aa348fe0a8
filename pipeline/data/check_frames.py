"""The check of DICOM slices that readers stack without looking: whether they are one volume, and have values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .images.dicom_frames import MARKS
from .images.dicom_slices import Slice
from .images.files import natural_order

__all__ = ["check_frames", "check_one_volume", "missing_words"]

_DECIMALS = 3  # of positions (mm) that count as one place
_MAX_LISTED = 4
_BITS = (1, 8, 16, 32)
# Slices that differ in one of these are of several volumes, wherever they are.
_ALWAYS_SPLIT = ("StackID", "Units")
_ANY_TEXT = ("StackID",)  # the other marks are numbers and codes
# Of two directions that should be perpendicular: files state cosines with few decimals.
_MAX_COSINE = 0.01


def check_frames(where: str, slices: Sequence[Slice]) -> None:
    """Refuse frames without a place, and values that slope and intercept do not give.

    Readers take pixels of 1 mm and an upright slice where a file does not say, and ITK takes a slope of 0 as 1.

    Raises:
        InputError: a file has another number of frames than it describes, or does not say where they are, how they are
            turned or how far apart their pixels are; a slope or an intercept is no number, or the slope is 0; values
            come from a table; pixels have a number of bits that is not usual.
    """
    for one in slices:
        _check_count(where, one)
        _check_place(where, one)
        _check_values(where, one)


def check_one_volume(where: str, slices: Sequence[Slice]) -> None:
    """Refuse slices of several volumes: stacks, time points, echoes, b-values, phases, kinds of images.

    Raises:
        InputError: slices are of several stacks, or in several units; or several share a place, and differ in one of
            `MARKS`; or frames of one file differ in one of them, with at least two frames for each value.
    """
    places = {tuple(one.origin.round(_DECIMALS).tolist()) for one in slices}
    repeated = len(places) < len(slices)
    differing = []
    for name, words in MARKS.items():
        values: dict[str, int] = {}
        for one in slices:
            values[one.marks.get(name, "")] = values.get(one.marks.get(name, ""), 0) + 1
        in_groups = slices[0].groups > 0 and min(values.values()) > 1
        # Numbers that count the slices differ in each.
        shared = repeated and len(values) < len(slices)
        if len(values) > 1 and (name in _ALWAYS_SPLIT or in_groups or shared):
            differing.append(f"{len(values)} {words}{_quote(name, sorted(values, key=natural_order))}")
    if not differing:
        return
    raise InputError(
        where,
        found=f"several volumes in one: {len(slices)} slices of {' and '.join(differing[:_MAX_LISTED])}",
        expected="the slices of one volume",
        remedy="export the volumes as series of their own, or convert them to NIfTI, for example with dcm2niix",
        kind="several-volumes",
    )


def _quote(name: str, values: Sequence[str]) -> str:
    """Return the values of a mark in brackets; "" if they may be any text: messages go into reports."""
    if name in _ANY_TEXT and not all(value.isdecimal() or not value for value in values):
        return ""
    return f" ({_list(values)})"


def missing_words(heights: NDArray[np.float64], usual: float, *, tolerance: float) -> str:
    """Return where slices are missing, if all distances are multiples of the usual one; "" otherwise.

    Args:
        heights: positions along the normal (mm), ascending.
        usual: distance (mm).
        tolerance: share of the usual distance.
    """
    apart = np.diff(heights)
    if usual <= 0:
        return ""
    steps = np.rint(apart / usual)
    if (steps < 1).any() or np.abs(apart - steps * usual).max() > tolerance * usual:
        return ""
    gaps = np.flatnonzero(steps > 1)
    shown = [f"{steps[gap] - 1:.0f} between {heights[gap]:.5g} and {heights[gap + 1]:.5g} mm" for gap in gaps]
    return f"; missing: {_list(shown)}" if shown else ""


def _check_count(where: str, one: Slice) -> None:
    if one.frames == 1 or (one.groups == one.frames and one.has_place):
        return
    if one.groups not in (0, one.frames):
        found, kind = f"{one.frames} frames, of which the file describes {one.groups}", "truncated"
        expected, remedy = "a description of each frame", "copy or export the file again"
    else:
        found, kind = f"{one.frames} frames that do not say where they are in the patient", "dimensions"
        expected = "position and orientation of each frame"
        remedy = "give the series itself (loops and projections are no volumes), or convert it to NIfTI"
    raise InputError(where, found=f"a DICOM file of {found}", expected=expected, remedy=remedy, kind=kind)


def _check_place(where: str, one: Slice) -> None:
    along, down = one.direction[:, 0], one.direction[:, 1]
    if not one.has_place:
        found, kind = "slices that do not say where they are in the patient", "dimensions"
        expected = "position and orientation of each slice (ImagePositionPatient, ImageOrientationPatient)"
    elif not one.has_spacing:
        found, kind = "slices that do not say how far apart their pixels are", "spacing"
        expected = "PixelSpacing in every slice: readers take 1 mm without it"
    elif one.spacing.min() <= 0:
        found, kind = f"a pixel spacing of {one.spacing[0]:g} x {one.spacing[1]:g} mm", "spacing"
        expected = "a spacing above 0 mm along every axis"
    elif not (along.any() and down.any()) or abs(float(along @ down)) > _MAX_COSINE:
        found, kind = "rows and columns that are not perpendicular", "affine"
        expected = "two perpendicular directions in ImageOrientationPatient"
    else:
        return
    raise InputError(
        where,
        found=f"DICOM with {found}{_name_of(where, one)}",
        expected=expected,
        remedy="export the series again from the scanner or the archive",
        kind=kind,
    )


def _name_of(where: str, one: Slice) -> str:
    return f" ({Path(one.file).name})" if one.file != where else ""


def _check_values(where: str, one: Slice) -> None:
    kind = "voxel-type"
    if not (math.isfinite(one.slope) and math.isfinite(one.intercept)):
        found, expected = "a rescale slope or intercept that is no number", "decimal numbers"
    elif one.slope == 0:
        found, kind = "a rescale slope of 0, which makes all values of a slice the same", "scaling"
        expected = "another slope: some readers take 0 as 1"
    elif one.pixels.has_lookup:
        found, expected = "values that a table translates (modality LUT)", "values with a rescale slope and intercept"
    elif one.pixels.allocated not in _BITS or one.pixels.stored > one.pixels.allocated:
        found = f"pixels of {one.pixels.allocated} bits, {one.pixels.stored} of them used"
        expected = "1, 8, 16 or 32 bits per pixel"
    else:
        return
    raise InputError(
        where,
        found=f"DICOM with {found}{_name_of(where, one)}",
        expected=expected,
        remedy="export the series again, or convert it to NIfTI",
        kind=kind,
    )


def _list(values: Sequence[str]) -> str:
    shown = ", ".join(value or "none" for value in values[:_MAX_LISTED])
    return f"{shown} and {len(values) - _MAX_LISTED} more" if len(values) > _MAX_LISTED else shown
