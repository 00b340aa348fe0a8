"""The preview of a label map: three slices through it over the scan, with its labels' names, colours and volumes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from nibabel.orientations import io_orientation
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from ..data.thumbnail import UNDECLARED_COLOUR
from .preview_drawing import FAINT, TEXT, Colour, LabelRow, draw_row, draw_scale, font, legend_rows, shortened
from .text import amount

__all__ = ["preview"]

Box = tuple[int, int, int, int]  # left, upper, width, height

_PLANES = {"Coronal": 1, "Sagittal": 0, "Axial": 2}  # by the world axis across them, in the order of the picture
# The lower world axis of a plane runs to the right and the higher one down, from where RAS coordinates are largest.
_ENDS = (("R", "L"), ("A", "P"), ("S", "I"))
_WIDTH, _TALLEST = 960, 1100  # pixels
_MARGIN = 26  # around each view: a letter, or its caption
_TITLE = 40
_NARROWEST = 150  # of a column of views, so that captions fit
_LARGEST_SIDE = 2048  # pixels of a slice that are looked at
_PAGE = (16, 17, 20)
_FILL = 0.3
_CONSTANT_GREY = 96
_PERCENTILES = (1.0, 99.5)
_CT_AIR, _CT_LOWEST, _CT_SOFT = -500.0, -3100.0, (-160.0, 240.0)  # Hounsfield units
_ROW = 21  # pixels
_WIDEST_COLUMN, _NARROWEST_COLUMN = 300, 200  # pixels of the legend


class _View(NamedTuple):
    """One slice as it is held.

    Attributes:
        caption: which slice it is.
        grey: (rows, columns) from the top left.
        labels: of the same shape.
        mm: of a row and of a column.
        letters: at the left, right, upper and lower edge; none in 2D.
    """

    caption: str
    grey: NDArray[Any]
    labels: NDArray[Any]
    mm: tuple[float, float]
    letters: tuple[str, ...]

    @property
    def extent(self) -> tuple[float, float]:
        """Height and width in mm."""
        return self.mm[0] * self.grey.shape[0], self.mm[1] * self.grey.shape[1]


def preview(
    image: NDArray[Any], labels: NDArray[Any], affine: NDArray[Any], table: Sequence[LabelRow], *, title: str
) -> bytes:
    """Draw a label map over its scan.

    A volume is seen in a coronal, a sagittal and an axial slice (of a grid that is turned, the nearest to them), each
    the one with most labelled voxels or the middle one, in radiological convention: the patient's right on the left,
    anterior or superior up, in the sagittal slice anterior on the left. All have one scale, which a bar shows. Where
    the volume is one voxel thick only that slice is drawn. A 2D image is drawn as an image viewer does: the first axis
    to the right, the second downwards.

    Grey goes from the 1st to the 99.5th percentile of what the slices hold above their lowest value. A CT, known by
    its air, has the window of soft tissue (-160 to 240 HU), widened to the middle half of the labelled voxels' values.

    Args:
        image: numbers, (x, y, z) or (x, y): one channel.
        labels: integers from 0, of the same shape.
        affine: voxel to world, 4x4 (mm, RAS).
        table: value, name and colour (red, green and blue, 0 to 255) of each label; a value that it lacks is magenta.
        title: the scan's name.

    Returns:
        A PNG file, 960 pixels wide. Text that its built-in font cannot write has the nearest letters, or "?".

    Raises:
        ValueError: If shapes or types are others than these, or the affine says nothing of the axes.
    """
    if image.shape != labels.shape or image.ndim not in {2, 3} or image.size == 0 or labels.dtype.kind not in "iu":
        msg = f"image {image.shape}, labels {labels.shape} {labels.dtype}: expected one shape in 2D or 3D and integers"
        raise ValueError(msg)
    spacing = np.linalg.norm(np.asarray(affine, dtype=np.float64)[:3, : image.ndim], axis=0)
    if not np.isfinite(affine).all() or not (spacing > 0).all():
        msg = f"affine {np.asarray(affine).tolist()}: expected finite numbers and axes longer than 0 mm"
        raise ValueError(msg)
    voxels, fullest = _counts(labels)
    rows = list(table)
    known = {value for value, _, _ in rows}
    rows += [
        (int(value), "not declared", _rgb(UNDECLARED_COLOUR)) for value in np.flatnonzero(voxels) if value not in known
    ]
    views = _views(image, labels, affine, [float(mm) for mm in spacing], fullest)
    # A picture without a place in space is read with pixels of 1 mm; nobody measured them.
    in_pixels = image.ndim == 2 and bool((spacing == 1).all())
    unit = "px" if in_pixels else "ml" if image.ndim == 3 else "mm2"
    return _picture(views, rows, _sizes(voxels, rows, affine, unit), title=title, in_pixels=in_pixels)


def _counts(labels: NDArray[Any]) -> tuple[NDArray[np.int64], list[int]]:
    """Voxels by value from 1 (0 for the background), and the fullest slice across each axis, in one pass."""
    if labels.dtype.kind == "i" and labels.min() < 0:
        msg = f"labels from {labels.min()}: expected integers from 0"
        raise ValueError(msg)
    voxels = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    slices = [np.zeros(n, dtype=np.int64) for n in labels.shape]
    slowest = int(np.argmax(labels.strides))
    others = [axis for axis in range(labels.ndim) if axis != slowest]
    for index, plane in enumerate(np.moveaxis(labels, slowest, 0)):
        voxels += np.bincount(plane.ravel().astype(np.intp), minlength=len(voxels))
        marked = plane != 0
        slices[slowest][index] = np.count_nonzero(marked)
        for place, axis in enumerate(others):
            slices[axis] += np.count_nonzero(marked, axis=tuple(p for p in range(marked.ndim) if p != place))
    voxels[0] = 0
    return voxels, [_middle(np.flatnonzero(count == count.max())) for count in slices]


def _middle(indices: NDArray[np.int64]) -> int:
    """The middle one of slices that are alike: of a label that fills the volume, and of none."""
    return int(indices[(len(indices) - 1) // 2])


def _sizes(voxels: NDArray[np.int64], rows: Sequence[LabelRow], affine: NDArray[Any], unit: str) -> list[str | None]:
    """What the legend says of each label's size; None where it is absent."""
    edges = np.asarray(affine, dtype=np.float64)[:3, : 3 if unit == "ml" else 2]
    size = float(np.sqrt(np.linalg.det(edges.T @ edges))) / (1000 if unit == "ml" else 1)
    counts = [int(voxels[value]) if value < len(voxels) else 0 for value, _, _ in rows]
    return [f"{amount(count * size)} {unit}" if count else None for count in counts]


def _views(
    image: NDArray[Any], labels: NDArray[Any], affine: NDArray[Any], mm: Sequence[float], fullest: Sequence[int]
) -> list[_View]:
    if image.ndim == 2:
        return [_View(" x ".join(map(str, image.shape)), image.T, labels.T, (mm[1], mm[0]), ())]
    orientation = io_orientation(affine)
    if not np.isfinite(orientation).all():
        msg = f"affine {np.asarray(affine).tolist()}: expected independent axes"
        raise ValueError(msg)
    of_world = {int(world): axis for axis, world in enumerate(orientation[:, 0])}
    rising = orientation[:, 1] > 0
    views = []
    for name, normal in _PLANES.items():
        through = of_world[normal]
        across, down = (of_world[world] for world in range(3) if world != normal)
        # Slices are cut, never the volume turned.
        cut = [
            volume.transpose(through, down, across)[fullest[through]][
                :: -1 if rising[down] else 1, :: -1 if rising[across] else 1
            ]
            for volume in (image, labels)
        ]
        letters = tuple(letter for world in range(3) if world != normal for letter in _ENDS[world])
        caption = f"{name} {fullest[through] + 1} of {image.shape[through]}"
        views.append(_View(caption, cut[0], cut[1], (mm[down], mm[across]), letters))
    thick = [view for view in views if min(view.grey.shape) > 1]
    return thick or [max(views, key=lambda view: view.grey.size)]


def _picture(
    views: Sequence[_View], rows: Sequence[LabelRow], sizes: Sequence[str | None], *, title: str, in_pixels: bool
) -> bytes:
    scale, boxes = _layout(views)
    legend = legend_rows(rows, sizes)
    bar = max(upper + height for _, upper, _, height in boxes) + _MARGIN + 18
    left, upper, room, columns = _place_of_legend(len(legend), boxes, bar)
    length = -(-len(legend) // columns)
    page = Image.new("RGB", (_WIDTH, max(bar, upper + length * _ROW) + 16), _PAGE)
    draw = ImageDraw.Draw(page)
    draw.text((_MARGIN, 12), shortened(title, _WIDTH - 2 * _MARGIN, 20), font=font(20), fill=TEXT)
    window = _window(views)
    colours = {value: colour for value, _, colour in rows}
    for view, box in zip(views, boxes, strict=True):
        page.paste(_panel(view, box[2:], window, colours), box[:2])
        _annotate(draw, view, box)
    note = f"grey {amount(window[0])} to {amount(window[1])}"
    draw_scale(draw, (_MARGIN, bar), scale, boxes[-1][2], in_pixels=in_pixels, note=note)
    width = min(room // columns, _WIDEST_COLUMN)
    for index, row in enumerate(legend):
        column, line = divmod(index, length)
        draw_row(draw, (left + column * width, upper + line * _ROW), width - 20, row)
    stream = io.BytesIO()
    page.save(stream, format="PNG")
    return stream.getvalue()


def _place_of_legend(rows: int, boxes: Sequence[Box], bar: int) -> tuple[int, int, int, int]:
    """Left, upper, width and columns of the legend: the first place that is left free and holds it, or below."""
    right = max(left + width for left, _, width, _ in boxes) + 2 * _MARGIN
    free = [(boxes[1][0], boxes[2][1])] if len(boxes) == 3 else []
    for left, upper in [*free, (right, boxes[0][1])]:
        room = _WIDTH - left - _MARGIN
        for columns in range(1, room // _NARROWEST_COLUMN + 1):
            if -(-rows // columns) * _ROW <= bar - upper:
                return left, upper, room, columns
    room = _WIDTH - 2 * _MARGIN
    return _MARGIN, bar + 24, room, room // _NARROWEST_COLUMN


def _layout(views: Sequence[_View]) -> tuple[float, list[Box]]:
    """Pixels per mm, and (left, upper, width, height) of coronal, sagittal and, below them, axial; or of one view."""
    top, below = views[:2], views[2:]
    width_mm = sum(view.extent[1] for view in top)
    height_mm = sum(view.extent[0] for view in (top[0], *below))
    room = _WIDTH - 2 * _MARGIN * len(top)
    scale = min(room / width_mm, (_TALLEST - 2 * _MARGIN * (1 + len(below))) / height_mm)
    for view in top:
        others = width_mm - view.extent[1]
        if others and scale * view.extent[1] < _NARROWEST:
            scale = min(scale, (room - _NARROWEST) / others)
    pixels = [tuple(max(1, round(scale * mm)) for mm in view.extent) for view in views]
    boxes = []
    left, upper = _MARGIN, _TITLE + _MARGIN
    for height, width in pixels[:2]:
        boxes.append((left, upper, width, height))
        left += max(width, _NARROWEST) + 2 * _MARGIN
    for height, width in pixels[2:]:
        boxes.append((_MARGIN, upper + pixels[0][0] + 2 * _MARGIN, width, height))
    return scale, boxes


def _window(views: Sequence[_View]) -> tuple[float, float]:
    """The values of the scan that are drawn black and white."""
    parts = [_thinned(view.grey) for view in views]
    grey = np.concatenate([part[np.isfinite(part)].astype(np.float64).ravel() for part in parts])
    if not grey.size:
        return 0.0, 0.0
    lowest, highest = float(grey.min()), float(grey.max())
    # An even background, however large, takes nothing from the contrast of what lies on it.
    low, high = np.percentile(grey[grey > lowest] if highest > lowest else grey, _PERCENTILES)
    if _CT_LOWEST < low < _CT_AIR and high > _CT_SOFT[0]:
        labels = [_thinned(view.labels) != 0 for view in views]
        marked = np.concatenate([part[mark].astype(np.float64) for part, mark in zip(parts, labels, strict=True)])
        marked = marked[np.isfinite(marked)]
        own = np.percentile(marked, (25, 75)) if marked.size else _CT_SOFT
        return min(_CT_SOFT[0], float(own[0])), max(_CT_SOFT[1], float(own[1]))
    return (float(low), float(high)) if low < high else (lowest, highest)


def _thinned(plane: NDArray[Any]) -> NDArray[Any]:
    return plane[tuple(slice(None, None, -(-n // _LARGEST_SIDE)) for n in plane.shape)]


def _panel(view: _View, size: tuple[int, int], window: tuple[float, float], colours: dict[int, Colour]) -> Image.Image:
    """The slice in grey with its labels in colour, (width, height) pixels."""
    low, high = window
    grey = np.nan_to_num(_thinned(view.grey).astype(np.float64), nan=low, posinf=high, neginf=low)
    shown = np.full(grey.shape, _CONSTANT_GREY, np.uint8)
    if low < high:
        shown = np.rint((np.clip(grey, low, high) - low) * (255 / (high - low))).astype(np.uint8)
    panel = np.array(Image.fromarray(shown).resize(size, Image.Resampling.BICUBIC).convert("RGB"))
    labels = view.labels
    # Of several voxels under a pixel the largest label, so that a small one is not lost where the slice shrinks.
    for axis, length in enumerate(panel.shape[:2]):
        labels = np.maximum.reduceat(labels, np.arange(length) * labels.shape[axis] // length, axis=axis)
    framed = np.pad(labels, 1)
    beside = (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:])
    outline = np.any([neighbour != labels for neighbour in beside], axis=0)
    for value in np.unique(labels[labels != 0]):
        inside, colour = labels == value, np.array(colours[int(value)])
        panel[inside] = np.rint((1 - _FILL) * panel[inside] + _FILL * colour)
        panel[inside & outline] = colour
    return Image.fromarray(panel)


def _annotate(draw: ImageDraw.ImageDraw, view: _View, box: Box) -> None:
    """Write the caption and the letters of the sides around a view at (left, upper, width, height)."""
    left, upper, width, height = box
    centre, middle = left + width / 2, upper + height / 2
    draw.text((left, upper - 5), view.caption, font=font(13), fill=FAINT, anchor="ls")
    if view.letters:
        beside_caption = left + int(font(13).getlength(view.caption)) + 14
        places = (
            (left - 13, middle),
            (left + width + 13, middle),
            (max(centre, beside_caption), upper - 12),
            (centre, upper + height + 13),
        )
        for letter, place in zip(view.letters, places, strict=True):
            draw.text(place, letter, font=font(15), fill=TEXT, anchor="mm")


def _rgb(colour: str) -> Colour:
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return red, green, blue
