"""Draw a small picture of a case for the check page: one slice with its labels' outlines."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..labelmaps.palette import UNDECLARED_COLOUR, Colour, label_colour, rgb
from ..labelmaps.views import (
    PLANES,
    View,
    find_fullest_slice,
    find_grey_window,
    find_plane,
    has_axes,
    make_flat_view,
    make_slice_view,
    paint_labels,
    thin,
    to_grey_pixels,
)

__all__ = ["draw_thumbnail"]

_MAX_BYTES = 12_000
_QUALITIES = (88, 75, 60, 45, 30, 15)  # of JPEG; noisy pictures need a low one to stay small


def draw_thumbnail(
    image: NDArray[Any],
    label: NDArray[Any] | None,
    spacing: Sequence[float],
    affine: NDArray[Any] | None,
    *,
    size: int = 160,
    declared: Sequence[int] = (),
    background: int = 0,
) -> bytes:
    """Draw one slice of a case as a small picture.

    Of a volume, the axial slice with most labelled voxels is drawn (in an oblique grid, the nearest to axial), or the
    middle one without labels. The convention is radiological: anterior up, the patient's right on the left. If the
    volume is one voxel thick along another axis, its only slice is drawn: coronal with superior up, sagittal with
    anterior on the left. A 2D image is drawn like in image viewers: the first axis to the right, the second downwards.

    Pixels keep their proportions. For the greys see `find_grey_window`; values that are not finite are black, except
    +inf. Only the drawn slice is copied. Faulty cases get a picture too: an unusable spacing counts as 1 mm and an
    unusable affine as RAS, and a label map of another shape than the image is left out.

    Args:
        image: numbers or booleans, (x, y, z) or (x, y).
        label: label map of the image's shape, or None.
        spacing: mm along each axis of the image.
        affine: voxel to world (RAS, mm), 4x4; None counts as RAS. A 2D image needs none.
        size: the longer side of the picture, in pixels.
        declared: the declared values. Others have a magenta outline. If empty, all values count as declared.
        background: the value that has no outline.

    Returns:
        A JPEG file, at most 12 kB at the default size.

    Raises:
        ValueError: If the image has neither 2 nor 3 axes, or no voxel.
    """
    if image.ndim not in {2, 3} or image.size == 0:
        msg = f"image of shape {image.shape}: expected (x, y, z) or (x, y) with at least one voxel"
        raise ValueError(msg)
    if label is not None and label.shape != image.shape:
        label = None
    view = _choose_view(image, label, _usable_spacing(spacing, image.ndim), affine, background)
    height, width = (max(1, round(size * side / max(view.extent))) for side in view.extent)
    grey = Image.fromarray(to_grey_pixels(thin(view.grey), find_grey_window([view])))
    picture = grey.resize((width, height), Image.Resampling.LANCZOS).convert("RGB")
    if view.labels is not None:
        pixels = np.array(picture)
        known = set(declared)

        def colour(value: int) -> Colour:
            return label_colour(value) if not known or value in known else rgb(UNDECLARED_COLOUR)

        paint_labels(pixels, view.labels, colour, background=background)
        picture = Image.fromarray(pixels)
    return _encode(picture)


def _choose_view(
    image: NDArray[Any],
    label: NDArray[Any] | None,
    spacing: tuple[float, ...],
    affine: NDArray[Any] | None,
    background: int,
) -> View:
    if image.ndim == 2:
        return make_flat_view(image, label, spacing)
    usable = affine if affine is not None and has_axes(affine) else np.eye(4)
    plane = find_plane(usable, PLANES["axial"])
    if image.shape[plane.through] > 1 and 1 in image.shape:
        planes = (find_plane(usable, normal) for normal in PLANES.values())
        plane = next(each for each in planes if each.through == image.shape.index(1))
    index = (image.shape[plane.through] - 1) // 2
    if label is not None:
        index = find_fullest_slice(label, plane.through, background=background)
    return make_slice_view(plane, index, image, label, spacing)


def _usable_spacing(spacing: Sequence[float], dims: int) -> tuple[float, ...]:
    given = [abs(float(step)) for step in spacing][:dims]
    usable = len(given) == dims and all(np.isfinite(step) and step > 0 for step in given)
    return tuple(given) if usable else (1.0,) * dims


def _encode(picture: Image.Image) -> bytes:
    for quality in _QUALITIES:
        stream = io.BytesIO()
        # No colour subsampling, because the outlines are one pixel wide.
        picture.save(stream, format="JPEG", quality=quality, subsampling=0, optimize=True)
        if stream.tell() <= _MAX_BYTES:
            break
    return stream.getvalue()
