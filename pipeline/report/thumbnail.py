"""A small picture of a case: one slice as a radiologist holds it, with the outlines of its labels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from nibabel.orientations import io_orientation
from numpy.typing import NDArray
from PIL import Image

__all__ = ["OUTLINE_COLOURS", "UNDECLARED_COLOUR", "outline_colour", "thumbnail"]

# After Okabe and Ito, "Color Universal Design" (2008), the two dark ones lightened: all stand out on black and on grey.
OUTLINE_COLOURS = ("#E69F00", "#56B4E9", "#00C08B", "#F0E442", "#FF6F3C", "#E287C0", "#8C9EFF", "#B8E986")
UNDECLARED_COLOUR = "#FF00FF"
_WINDOW = (1.0, 99.0)  # percentiles
_CONSTANT_GREY = 96
_MOST_BYTES = 12_000
_QUALITIES = (88, 75, 60, 45, 30, 15)  # of JPEG; noise needs the low ones to stay small
_BACKGROUND = np.iinfo(np.int64).min  # below every label, negative ones too
_LARGEST_LABEL = 2**53  # up to which floating point counts
_LARGEST_SIDE = 1024  # pixels of a slice that are looked at; a slide of microscopy has a hundred times as many


def thumbnail(
    image: NDArray[Any],
    label: NDArray[Any] | None,
    spacing: Sequence[float],
    orientation_affine: NDArray[Any] | None,
    *,
    size: int = 160,
    values: Sequence[int] = (),
) -> bytes:
    """Draw one slice of a case, small.

    A volume shows the axial slice (of a grid that is turned, the nearest to it) with most labelled voxels, the middle
    one where none is, in radiological convention: anterior up, the patient's right on the left. Where the volume is
    one voxel thick along another axis, its only slice is shown: coronal with superior up, sagittal with anterior on
    the left. A 2D image is shown as an image viewer does: the first axis to the right, the second downwards.

    Pixels keep their proportions. Grey goes from the 1st to the 99th percentile of the slice; what is not finite is
    black, except +inf. Only that slice is ever copied. What is wrong with a case does not stop its picture: spacing or
    affine that say nothing count as 1 mm and as RAS, a label map of another shape than the image is left out.

    Args:
        image: numbers or booleans, (x, y, z) or (x, y).
        label: label map of the image's shape, or None.
        spacing: mm along each axis of the image.
        orientation_affine: voxel to world (RAS, mm), 4x4; None counts as RAS. A 2D image needs none.
        size: the longer side of the picture, in pixels.
        values: the declared labels; their order gives the colours (see `outline_colour`), and the outline of any other
            value is magenta. Without it every value is declared.

    Returns:
        A JPEG file, of at most 12 kB at the usual size.

    Raises:
        ValueError: If the image has neither 2 nor 3 axes, or no voxel.
    """
    if image.ndim not in {2, 3} or image.size == 0:
        msg = f"image of shape {image.shape}: expected (x, y, z) or (x, y) with at least one voxel"
        raise ValueError(msg)
    if label is not None and label.shape != image.shape:
        label = None
    mm = _usable_spacing(spacing, image.ndim)
    grey, outlined, proportions = _slice_as_seen(image, label, mm, orientation_affine)
    longest = max(n * step for n, step in zip(grey.shape, proportions, strict=True))
    height, width = (max(1, round(size * n * step / longest)) for n, step in zip(grey.shape, proportions, strict=True))
    grey = grey[tuple(slice(None, None, -(-n // _LARGEST_SIDE)) for n in grey.shape)]
    picture = Image.fromarray(_windowed(grey)).resize((width, height), Image.Resampling.LANCZOS).convert("RGB")
    if outlined is not None:
        pixels = np.array(picture)
        _draw_outlines(pixels, outlined, values)
        picture = Image.fromarray(pixels)
    return _encoded(picture)


def outline_colour(value: int, values: Sequence[int] = ()) -> str:
    """Give the colour of a label's outline, such as ``#E69F00``, for the legend beside the pictures.

    Args:
        value: the label's value in the files, not 0.
        values: the declared labels, in order; without them the colour follows from the value alone.
    """
    if not values:
        return OUTLINE_COLOURS[(value - 1) % len(OUTLINE_COLOURS)]
    shown = [declared for declared in values if declared != 0]
    return OUTLINE_COLOURS[shown.index(value) % len(OUTLINE_COLOURS)] if value in shown else UNDECLARED_COLOUR


def _slice_as_seen(
    image: NDArray[Any], label: NDArray[Any] | None, mm: tuple[float, ...], affine: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[Any] | None, tuple[float, float]]:
    """Views of one slice of image and label, (rows, columns) from the top left, and the mm of a row and a column."""
    if image.ndim == 2:
        return image.T, None if label is None else label.T, (mm[1], mm[0])
    world, rising = _axes_in_world(affine)
    normal = world.index(2)
    if image.shape[normal] > 1 and 1 in image.shape:
        normal = image.shape.index(1)
    index = _fullest(label, normal) if label is not None else image.shape[normal] // 2
    # In all three planes the lower world axis runs across and the higher one up, and both begin at R, A or S: the end
    # where RAS coordinates are largest.
    across, down = sorted((axis for axis in range(3) if axis != normal), key=lambda axis: world[axis])

    def seen(volume: NDArray[Any]) -> NDArray[Any]:
        turned: NDArray[Any] = volume.transpose(normal, down, across)[index]
        return turned[:: -1 if rising[down] else 1, :: -1 if rising[across] else 1]

    return seen(image), None if label is None else seen(label), (mm[down], mm[across])


def _axes_in_world(affine: NDArray[Any] | None) -> tuple[list[int], list[bool]]:
    """For each array axis the nearest world axis (0 R, 1 A, 2 S) and whether it rises with the index."""
    if affine is not None and np.shape(affine) == (4, 4) and np.isfinite(affine).all():
        ornt = io_orientation(affine)
        if np.isfinite(ornt).all():  # NaN stands for an axis that a singular affine drops
            return [int(axis) for axis in ornt[:, 0]], [bool(flip > 0) for flip in ornt[:, 1]]
    return [0, 1, 2], [True, True, True]


def _fullest(label: NDArray[Any], axis: int) -> int:
    """The first slice across `axis` with most voxels that are not 0, or the middle one where all are 0."""
    # Slice by slice in the order of memory: the whole of `label != 0` would be as large as the volume.
    slowest = int(np.argmax(label.strides))
    slices = np.moveaxis(label, slowest, 0)
    if slowest == axis:
        counts = np.array([np.count_nonzero(plane) for plane in slices])
    else:
        kept = axis - (slowest < axis)
        counts = np.zeros(label.shape[axis], dtype=np.int64)
        for plane in slices:
            counts += np.count_nonzero(plane, axis=1 - kept)
    return int(counts.argmax()) if counts.any() else len(counts) // 2


def _usable_spacing(spacing: Sequence[float], dims: int) -> tuple[float, ...]:
    given = [abs(float(step)) for step in spacing][:dims]
    usable = len(given) == dims and all(np.isfinite(step) and step > 0 for step in given)
    return tuple(given) if usable else (1.0,) * dims


def _windowed(grey: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey values 0 to 255 of the slice, (rows, columns)."""
    grey = grey.astype(np.float64)
    finite = np.isfinite(grey)
    if not finite.any():
        return np.where(grey == np.inf, 255, 0).astype(np.uint8)
    grey /= max(float(np.abs(grey[finite]).max()), np.finfo(np.float64).tiny)  # so that no difference overflows
    low, high = np.percentile(grey[finite], _WINDOW)
    if low == high:  # a few bright voxels on an even ground
        low, high = grey[finite].min(), grey[finite].max()
    if low == high:
        return np.where(finite, _CONSTANT_GREY, np.where(grey == np.inf, 255, 0)).astype(np.uint8)
    scaled = (np.clip(np.nan_to_num(grey, nan=low, posinf=high, neginf=low), low, high) - low) * (255.0 / (high - low))
    shown: NDArray[np.uint8] = np.rint(scaled).astype(np.uint8)
    return shown


def _draw_outlines(pixels: NDArray[np.uint8], label: NDArray[Any], values: Sequence[int]) -> None:
    """Paint into `pixels`, (height, width, 3), the inner edge of every label of the slice, (rows, columns)."""
    if label.dtype.kind == "f":
        label = np.rint(np.nan_to_num(label, nan=0.0, posinf=0.0, neginf=0.0)).clip(-_LARGEST_LABEL, _LARGEST_LABEL)
    labels = label.astype(np.int64)
    labels[labels == 0] = _BACKGROUND
    # The largest label under a pixel, before the background: a lesion of one voxel is not lost where the slice shrinks.
    for axis, length in enumerate(pixels.shape[:2]):
        starts = np.arange(length) * labels.shape[axis] // length
        labels = np.maximum.reduceat(labels, starts, axis=axis)
    framed = np.pad(labels, 1, constant_values=_BACKGROUND)
    beside = (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:])
    edge = (labels != _BACKGROUND) & np.any([neighbour != labels for neighbour in beside], axis=0)
    for value in np.unique(labels[edge]):
        pixels[edge & (labels == value)] = _rgb(outline_colour(int(value), values))


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _encoded(picture: Image.Image) -> bytes:
    for quality in _QUALITIES:
        stream = io.BytesIO()
        # Full resolution of colour: the outlines are one pixel wide.
        picture.save(stream, format="JPEG", quality=quality, subsampling=0, optimize=True)
        if stream.tell() <= _MOST_BYTES:
            break
    return stream.getvalue()
