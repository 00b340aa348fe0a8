"""Draw the preview of a label map: three slices over the scan, with the labels' names, colours and volumes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..data.voxel_size import MM3_PER_ML, voxel_size
from ..labelmaps.palette import UNDECLARED_COLOUR, Colour, rgb
from ..labelmaps.views import (
    PLANES,
    View,
    find_fullest_slice,
    find_grey_window,
    find_plane,
    make_flat_view,
    make_slice_view,
    paint_labels,
    thin,
    to_grey_pixels,
)
from .preview_drawing import FAINT, TEXT, LabelRow, draw_row, draw_scale, load_font, make_legend, shorten
from .text import amount

__all__ = ["draw_preview"]

Box = tuple[int, int, int, int]  # left, upper, width, height

_PLANES = ("coronal", "sagittal", "axial")  # in the order of the picture
_WIDTH, _MAX_HEIGHT = 960, 1100  # pixels
_MARGIN = 26  # around each view, for letters and caption
_TITLE = 40
_MIN_WIDTH = 150  # pixels of a column of views, so that captions fit
_PAGE = (16, 17, 20)
_FILL = 0.3
_ROW = 21  # pixels
_MAX_COLUMN, _MIN_COLUMN = 300, 200  # pixels of the legend


class _Panel(NamedTuple):
    """A view and its caption."""

    view: View
    caption: str


def draw_preview(
    image: NDArray[Any], labels: NDArray[Any], affine: NDArray[Any], table: Sequence[LabelRow], *, title: str
) -> bytes:
    """Draw a label map over its scan.

    A volume is shown in a coronal, a sagittal and an axial slice (in an oblique grid, the nearest to these). Each is
    the slice with most labelled voxels, or the middle one. The convention is radiological: the patient's right on the
    left, anterior or superior up, in the sagittal slice anterior on the left. All slices have the same scale, shown by
    a bar. If the volume is one voxel thick, only that slice is drawn. A 2D image is drawn like in image viewers: the
    first axis to the right, the second downwards.

    For the greys see `find_grey_window`.

    Args:
        image: one channel of numbers, (x, y, z) or (x, y).
        labels: integers from 0, of the same shape.
        affine: voxel to world, 4x4 (mm, RAS).
        table: value, name and colour (red, green and blue, 0 to 255) of each label. Other values are magenta.
        title: the scan's name.

    Returns:
        A PNG file, 960 pixels wide. Characters that the built-in font lacks are replaced by similar ones, or "?".

    Raises:
        ValueError: If shapes or types differ from these, or the affine does not have independent axes.
    """
    if image.shape != labels.shape or image.ndim not in {2, 3} or image.size == 0 or labels.dtype.kind not in "iu":
        msg = f"image {image.shape}, labels {labels.shape} {labels.dtype}: expected one shape in 2D or 3D and integers"
        raise ValueError(msg)
    spacing = np.linalg.norm(np.asarray(affine, dtype=np.float64)[:3, : image.ndim], axis=0)
    if not np.isfinite(affine).all() or not (spacing > 0).all():
        msg = f"affine {np.asarray(affine).tolist()}: expected finite numbers and axes longer than 0 mm"
        raise ValueError(msg)
    voxels = _count_voxels(labels)
    rows = list(table)
    known = {value for value, _, _ in rows}
    rows += [
        (int(value), "not declared", rgb(UNDECLARED_COLOUR)) for value in np.flatnonzero(voxels) if value not in known
    ]
    panels = _make_panels(image, labels, affine, [float(mm) for mm in spacing])
    # Readers assume pixels of 1 mm for a picture without a spacing, so its scale is shown in pixels.
    in_pixels = image.ndim == 2 and bool((spacing == 1).all())
    unit = "px" if in_pixels else "ml" if image.ndim == 3 else "mm2"
    return _draw_page(panels, rows, _format_sizes(voxels, rows, affine, unit), title=title, in_pixels=in_pixels)


def _count_voxels(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return the voxel counts by value from 0, counted plane by plane. The background's count is set to 0."""
    if labels.dtype.kind == "i" and labels.min() < 0:
        msg = f"labels from {labels.min()}: expected integers from 0"
        raise ValueError(msg)
    voxels = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    for plane in np.moveaxis(labels, int(np.argmax(labels.strides)), 0):
        voxels += np.bincount(plane.ravel().astype(np.intp), minlength=len(voxels))
    voxels[0] = 0
    return voxels


def _format_sizes(
    voxels: NDArray[np.int64], rows: Sequence[LabelRow], affine: NDArray[Any], unit: str
) -> list[str | None]:
    """Return the text of each label's size for the legend; None if the label is absent."""
    size = voxel_size(affine, 3) / MM3_PER_ML if unit == "ml" else voxel_size(affine, 2)
    counts = [int(voxels[value]) if value < len(voxels) else 0 for value, _, _ in rows]
    return [f"{amount(count * size)} {unit}" if count else None for count in counts]


def _make_panels(
    image: NDArray[Any], labels: NDArray[Any], affine: NDArray[Any], spacing: Sequence[float]
) -> list[_Panel]:
    if image.ndim == 2:
        return [_Panel(make_flat_view(image, labels, spacing), " x ".join(map(str, image.shape)))]
    panels = []
    for name in _PLANES:
        plane = find_plane(affine, PLANES[name])
        index = find_fullest_slice(labels, plane.through)
        caption = f"{name.capitalize()} {index + 1} of {image.shape[plane.through]}"
        panels.append(_Panel(make_slice_view(plane, index, image, labels, spacing), caption))
    thick = [panel for panel in panels if min(panel.view.grey.shape) > 1]
    return thick or [max(panels, key=lambda panel: panel.view.grey.size)]


def _draw_page(
    panels: Sequence[_Panel], rows: Sequence[LabelRow], sizes: Sequence[str | None], *, title: str, in_pixels: bool
) -> bytes:
    views = [panel.view for panel in panels]
    scale, boxes = _lay_out(views)
    legend = make_legend(rows, sizes)
    bar = max(upper + height for _, upper, _, height in boxes) + _MARGIN + 18
    left, upper, room, columns = _place_legend(len(legend), boxes, bar)
    length = -(-len(legend) // columns)
    page = Image.new("RGB", (_WIDTH, max(bar, upper + length * _ROW) + 16), _PAGE)
    draw = ImageDraw.Draw(page)
    draw.text((_MARGIN, 12), shorten(title, _WIDTH - 2 * _MARGIN, 20), font=load_font(20), fill=TEXT)
    window = find_grey_window(views)
    colours = {value: colour for value, _, colour in rows}
    for panel, box in zip(panels, boxes, strict=True):
        page.paste(_draw_view(panel.view, box[2:], window, colours), box[:2])
        _annotate(draw, panel, box)
    note = f"grey {amount(window[0])} to {amount(window[1])}"
    draw_scale(draw, (_MARGIN, bar), scale, boxes[-1][2], in_pixels=in_pixels, note=note)
    width = min(room // columns, _MAX_COLUMN)
    for index, row in enumerate(legend):
        column, line = divmod(index, length)
        draw_row(draw, (left + column * width, upper + line * _ROW), width - 20, row)
    stream = io.BytesIO()
    page.save(stream, format="PNG")
    return stream.getvalue()


def _place_legend(rows: int, boxes: Sequence[Box], bar: int) -> tuple[int, int, int, int]:
    """Return left, upper, width and columns of the legend, in the first free area that fits, or below the views."""
    right = max(left + width for left, _, width, _ in boxes) + 2 * _MARGIN
    free = [(boxes[1][0], boxes[2][1])] if len(boxes) == 3 else []
    for left, upper in [*free, (right, boxes[0][1])]:
        room = _WIDTH - left - _MARGIN
        for columns in range(1, room // _MIN_COLUMN + 1):
            if -(-rows // columns) * _ROW <= bar - upper:
                return left, upper, room, columns
    room = _WIDTH - 2 * _MARGIN
    return _MARGIN, bar + 24, room, room // _MIN_COLUMN


def _lay_out(views: Sequence[View]) -> tuple[float, list[Box]]:
    """Return pixels per mm, and (left, upper, width, height) of coronal, sagittal and, below them, axial."""
    top, below = views[:2], views[2:]
    width_mm = sum(view.extent[1] for view in top)
    height_mm = sum(view.extent[0] for view in (top[0], *below))
    room = _WIDTH - 2 * _MARGIN * len(top)
    scale = min(room / width_mm, (_MAX_HEIGHT - 2 * _MARGIN * (1 + len(below))) / height_mm)
    for view in top:
        others = width_mm - view.extent[1]
        if others and scale * view.extent[1] < _MIN_WIDTH:
            scale = min(scale, (room - _MIN_WIDTH) / others)
    pixels = [tuple(max(1, round(scale * mm)) for mm in view.extent) for view in views]
    boxes = []
    left, upper = _MARGIN, _TITLE + _MARGIN
    for height, width in pixels[:2]:
        boxes.append((left, upper, width, height))
        left += max(width, _MIN_WIDTH) + 2 * _MARGIN
    for height, width in pixels[2:]:
        boxes.append((_MARGIN, upper + pixels[0][0] + 2 * _MARGIN, width, height))
    return scale, boxes


def _draw_view(
    view: View, size: tuple[int, int], window: tuple[float, float], colours: dict[int, Colour]
) -> Image.Image:
    """Return the slice in grey with its labels in colour, (width, height) pixels."""
    grey = Image.fromarray(to_grey_pixels(thin(view.grey), window))
    pixels = np.array(grey.resize(size, Image.Resampling.BICUBIC).convert("RGB"))
    if view.labels is not None:
        paint_labels(pixels, view.labels, colours.__getitem__, fill=_FILL)
    return Image.fromarray(pixels)


def _annotate(draw: ImageDraw.ImageDraw, panel: _Panel, box: Box) -> None:
    """Draw the caption and the letters of the sides around a view at (left, upper, width, height)."""
    left, upper, width, height = box
    centre, middle = left + width / 2, upper + height / 2
    draw.text((left, upper - 5), panel.caption, font=load_font(13), fill=FAINT, anchor="ls")
    if panel.view.letters:
        beside_caption = left + int(load_font(13).getlength(panel.caption)) + 14
        places = (
            (left - 13, middle),
            (left + width + 13, middle),
            (max(centre, beside_caption), upper - 12),
            (centre, upper + height + 13),
        )
        for letter, place in zip(panel.view.letters, places, strict=True):
            draw.text(place, letter, font=load_font(15), fill=TEXT, anchor="mm")
