"""Make the pictures of a case: the scan in three planes, and the outlines of its label maps as paths over it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import find_contours

from ..labelmaps.palette import hex_colour
from ..labelmaps.views import (
    PLANES,
    View,
    find_fullest_slice,
    find_grey_window,
    find_plane,
    make_flat_view,
    make_slice_view,
    to_grey_pixels,
)
from .html.parts import Picture, embed_picture
from .report_volumes import REFERENCE, CaseVolumes

__all__ = ["Outline", "PlanePicture", "choose_slices", "encode_grey", "make_planes"]

MAX_SIDE = 320  # pixels of a picture's longer side
MAX_BYTES = 14_000  # of one picture
_QUALITIES = (80, 65, 50, 35, 20)


@dataclass(frozen=True)
class Outline:
    """The outline of one label of one label map.

    Attributes:
        layer: number of the set of predictions from 0; -1 for the reference.
        value: the label's value.
        colour: such as ``#E69F00``.
        path: the ``d`` of an SVG path, in half pixels of the slice from its top left.
    """

    layer: int
    value: int
    colour: str
    path: str


@dataclass(frozen=True)
class PlanePicture:
    """A slice of a case.

    Attributes:
        caption: plane and number of the slice.
        picture: the scan; None if there is no scan.
        size: (rows, columns) of the slice, the coordinates of the outlines.
        mm: height and width in mm.
        letters: letters at the left, right, upper and lower edge; none in 2D.
        outlines: of the reference, then of each set.
    """

    caption: str
    picture: Picture | None
    size: tuple[int, int]
    mm: tuple[float, float]
    letters: Sequence[str]
    outlines: Sequence[Outline]


def make_planes(found: CaseVolumes, sets: Sequence[str], *, name: str) -> list[PlanePicture]:
    """Return the pictures of a case: axial, coronal and sagittal, or one in 2D.

    The convention is radiological. A plane whose slices would be one voxel thin is left out. For the slices see
    `choose_slices`; for the greys see `find_grey_window`.

    Args:
        found: the volumes.
        sets: names of the sets of predictions, in the order of the layers.
        name: of the case, for the description.
    """
    shape = next((one.shape for one in (found.scan, *found.maps.values()) if one is not None), None)
    if shape is None:
        return []
    blank = np.zeros(shape, dtype=np.uint8)
    scan = blank if found.scan is None else found.scan
    cuts = choose_slices(found, shape)
    views = [_make_view(cut, scan, None, found) for cut in cuts]
    window = find_grey_window(views)
    pictures = []
    for cut, view in zip(cuts, views, strict=True):
        title, index, _ = cut
        caption = title if index is None else f"{title} {index + found.start[cut[2].through] + 1} of "
        caption += "" if index is None else str(found.shape[cut[2].through])
        grey = None if found.scan is None else encode_grey(to_grey_pixels(view.grey, window), view.mm)
        outlines = _list_outlines(found, sets, cut)
        size = (view.grey.shape[0], view.grey.shape[1])
        picture = embed_picture(grey, f"{caption} of {name}")
        pictures.append(PlanePicture(caption, picture, size, view.extent, view.letters, outlines))
    return pictures


Cut = tuple[str, int | None, Any]


def choose_slices(found: CaseVolumes, shape: Sequence[int]) -> list[Cut]:
    """Return title, index and plane of each slice; index and plane are None in 2D.

    It is the slice in which most voxels differ between the reference and any prediction; if none differ, the one with
    most labelled voxels; without label maps the middle one.
    """
    if len(shape) == 2:
        return [("Image", None, None)]
    marked = _mark(found)
    cuts: list[Cut] = []
    for title, normal in PLANES.items():
        plane = find_plane(found.affine, normal)
        if min(shape[plane.down], shape[plane.across]) < 2:
            continue
        index = (shape[plane.through] - 1) // 2 if marked is None else find_fullest_slice(marked, plane.through)
        cuts.append((title.capitalize(), index, plane))
    return cuts


def _mark(found: CaseVolumes) -> NDArray[Any] | None:
    """Return the voxels by which slices are chosen; None without label maps."""
    reference = found.maps.get(REFERENCE)
    predictions = [labels for key, labels in found.maps.items() if key != REFERENCE]
    if reference is not None and predictions:
        differ = np.zeros(reference.shape, dtype=np.uint8)
        for labels in predictions:
            differ += labels != reference
        if differ.any():
            return differ
    return next(iter(found.maps.values()), None)


def _make_view(cut: Cut, volume: NDArray[Any], labels: NDArray[Any] | None, found: CaseVolumes) -> View:
    _, index, plane = cut
    if index is None:
        return make_flat_view(volume, labels, found.spacing)
    return make_slice_view(plane, index, volume, labels, found.spacing)


def _list_outlines(found: CaseVolumes, sets: Sequence[str], cut: Cut) -> list[Outline]:
    outlines = []
    for layer, key in enumerate((REFERENCE, *sets), start=-1):
        if key not in found.maps:
            continue
        labels = _make_view(cut, found.maps[key], None, found).grey
        for value in np.unique(labels[labels != 0]).tolist():
            path = _trace(labels == value)
            outlines.append(Outline(layer, value, hex_colour(value) if value > 0 else "#FF00FF", path))
    return outlines


def _trace(mask: NDArray[np.bool_]) -> str:
    """Return the outline of a mask (rows, columns) as an SVG path, half way between voxels inside and outside."""
    pieces = []
    for contour in find_contours(np.pad(mask, 1).astype(np.float32), 0.5):
        # Its corners are half way between voxels. In the padded array pixel 1 has its middle at 0.5.
        corners = np.rint(2 * contour[:-1] - 1).astype(int)
        steps = np.roll(corners, -1, axis=0) - corners
        turns = (steps != np.roll(steps, 1, axis=0)).any(axis=1)
        kept = corners[turns]
        moves = np.diff(kept, axis=0)
        line = " ".join(f"{across} {down}" for down, across in moves.tolist())
        pieces.append(f"M{kept[0, 1]} {kept[0, 0]}l{line}z")
    return "".join(pieces)


def encode_grey(pixels: NDArray[np.uint8], mm: tuple[float, float]) -> bytes:
    """Return a slice as WebP of at most `MAX_SIDE` pixels and about `MAX_BYTES` bytes, in its proportions in mm.

    A slice that is smaller is not enlarged: the browser does that.
    """
    height, width = pixels.shape[:2]
    tall, wide = mm[0] * height, mm[1] * width
    scale = min(MAX_SIDE, max(height, width)) / max(tall, wide)
    size = (max(1, round(scale * wide)), max(1, round(scale * tall)))
    picture = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
    for quality in _QUALITIES:
        stream = io.BytesIO()
        picture.convert("RGB").save(stream, format="WEBP", quality=quality, method=4)
        if stream.tell() <= MAX_BYTES:
            break
    return stream.getvalue()
