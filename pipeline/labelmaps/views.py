"""Views for pictures: slices in radiological convention, the slice with most labels, greys, and outlines of labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from nibabel.orientations import io_orientation
from numpy.typing import NDArray

from .palette import Colour

__all__ = [
    "PLANES",
    "Plane",
    "View",
    "find_fullest_slice",
    "find_grey_window",
    "find_plane",
    "has_axes",
    "make_flat_view",
    "make_slice_view",
    "paint_labels",
    "thin",
    "to_grey_pixels",
]

PLANES = {"axial": 2, "coronal": 1, "sagittal": 0}
"""The world axis (0 right, 1 anterior, 2 superior) perpendicular to each plane."""

# In each plane the lower world axis runs to the right and the higher one down, starting at the largest RAS coordinates.
_ENDS = (("R", "L"), ("A", "P"), ("S", "I"))
_CONSTANT_GREY = 96
_PERCENTILES = (1.0, 99.5)
_CT_AIR, _CT_LOWEST, _CT_SOFT = -500.0, -3100.0, (-160.0, 240.0)  # Hounsfield units
_MAX_SIDE = 2048  # pixels: larger slices are thinned
_NO_LABEL = np.iinfo(np.int64).min  # below all labels, even negative ones
_MAX_LABEL = 2**53  # floating point represents all integers up to this


class Plane(NamedTuple):
    """A plane of a volume in radiological convention: the patient's right on the left, anterior or superior up.

    Attributes:
        through: the array axis along which its slices follow each other.
        down: the array axis of its rows.
        across: the array axis of its columns.
        turn_down: whether the rows run against the array axis.
        turn_across: whether the columns do.
        letters: letters at the left, right, upper and lower edge.
    """

    through: int
    down: int
    across: int
    turn_down: bool
    turn_across: bool
    letters: tuple[str, ...]

    def cut(self, volume: NDArray[Any], index: int) -> NDArray[Any]:
        """Return one slice of a volume (x, y, z) as (rows, columns) from the top left, without a copy."""
        turned: NDArray[Any] = volume.transpose(self.through, self.down, self.across)[index]
        return turned[:: -1 if self.turn_down else 1, :: -1 if self.turn_across else 1]


class View(NamedTuple):
    """One slice as it is shown.

    Attributes:
        grey: the scan's values, (rows, columns) from the top left.
        labels: the label map's values, of the same shape, or None.
        mm: height of a row and width of a column in mm.
        letters: letters at the left, right, upper and lower edge; none in 2D.
    """

    grey: NDArray[Any]
    labels: NDArray[Any] | None
    mm: tuple[float, float]
    letters: tuple[str, ...] = ()

    @property
    def extent(self) -> tuple[float, float]:
        """Height and width in mm."""
        return self.mm[0] * self.grey.shape[0], self.mm[1] * self.grey.shape[1]


def has_axes(affine: NDArray[Any] | None) -> bool:
    """Return whether an affine is 4 x 4, finite, and maps the axes to three directions."""
    if affine is None or np.shape(affine) != (4, 4) or not np.isfinite(affine).all():
        return False
    # io_orientation returns NaN for an axis that a singular affine drops.
    return bool(np.isfinite(io_orientation(affine)).all())


def find_plane(affine: NDArray[Any], normal: int) -> Plane:
    """Return the plane of a grid that is nearest to an anatomical one.

    Args:
        affine: voxel to world, 4 x 4 (mm, RAS); it may be oblique, sheared or mirrored.
        normal: the world axis across the plane: a value of `PLANES`.

    Raises:
        ValueError: If the affine does not map the axes to three directions.
    """
    if not has_axes(affine):
        msg = f"affine {np.asarray(affine).tolist()}: expected finite numbers and independent axes"
        raise ValueError(msg)
    orientation = io_orientation(affine)
    axis_of = {int(world): axis for axis, world in enumerate(orientation[:, 0])}
    shown = [world for world in range(3) if world != normal]
    across, down = (axis_of[world] for world in shown)
    rising = orientation[:, 1] > 0
    letters = tuple(letter for world in shown for letter in _ENDS[world])
    return Plane(axis_of[normal], down, across, bool(rising[down]), bool(rising[across]), letters)


def make_slice_view(
    plane: Plane, index: int, image: NDArray[Any], labels: NDArray[Any] | None, spacing: Sequence[float]
) -> View:
    """Return the slice at an index of a scan and its label map (x, y, z), without copies."""
    shown = None if labels is None else plane.cut(labels, index)
    return View(plane.cut(image, index), shown, (spacing[plane.down], spacing[plane.across]), plane.letters)


def make_flat_view(image: NDArray[Any], labels: NDArray[Any] | None, spacing: Sequence[float]) -> View:
    """Return a 2D image as image viewers show it: the first axis to the right, the second downwards."""
    return View(image.T, None if labels is None else labels.T, (spacing[1], spacing[0]))


def find_fullest_slice(labels: NDArray[Any], axis: int, *, background: int = 0) -> int:
    """Return the index of the slice perpendicular to `axis` with most labelled voxels, of equals the middle one."""
    # Plane by plane in the order of memory, because `labels != background` for all would be as large as the volume.
    slowest = int(np.argmax(np.abs(labels.strides)))
    planes = np.moveaxis(labels, slowest, 0)
    if slowest == axis:
        counts = np.array([np.count_nonzero(plane != background) for plane in planes])
    else:
        kept = axis - (slowest < axis)
        counts = np.zeros(labels.shape[axis], dtype=np.int64)
        for plane in planes:
            others = tuple(place for place in range(plane.ndim) if place != kept)
            counts += np.count_nonzero(plane != background, axis=others)
    fullest = np.flatnonzero(counts == counts.max())
    return int(fullest[(len(fullest) - 1) // 2])


def find_grey_window(views: Sequence[View]) -> tuple[float, float]:
    """Return the values of a scan that are drawn black and white, for all its views together.

    They are the 1st and the 99.5th percentile of the shown values above the lowest, so that an even background does not
    reduce the contrast. A CT, recognised by its air, gets the window of soft tissue (-160 to 240 HU), widened to the
    middle half of the labelled voxels' values. Values that are not finite are ignored. Black and white are equal if all
    values are equal, or none is finite.
    """
    planes = [(thin(view.grey), None if view.labels is None else thin(view.labels)) for view in views]
    grey = np.concatenate([_select_finite(plane) for plane, _ in planes])
    if not grey.size:
        return 0.0, 0.0
    lowest, highest = float(grey.min()), float(grey.max())
    low, high = _find_percentiles(grey[grey > lowest] if highest > lowest else grey, _PERCENTILES)
    if _CT_LOWEST < low < _CT_AIR and high > _CT_SOFT[0]:
        labelled = [_select_finite(plane[labels != 0]) for plane, labels in planes if labels is not None]
        marked = np.concatenate([np.empty(0), *labelled])
        own = _find_percentiles(marked, (25, 75)) if marked.size else _CT_SOFT
        return min(_CT_SOFT[0], own[0]), max(_CT_SOFT[1], own[1])
    return (low, high) if low < high else (lowest, highest)


def to_grey_pixels(grey: NDArray[Any], window: tuple[float, float]) -> NDArray[np.uint8]:
    """Return values as greys 0 to 255, in the same shape.

    NaN and values below the window are black, values above it white. A window of no width gives one grey.

    Args:
        grey: numbers of any type.
        window: the values that are black and white: see `find_grey_window`.
    """
    low, high = window
    if not low < high:
        return np.where(np.isfinite(grey), _CONSTANT_GREY, np.where(grey == np.inf, 255, 0)).astype(np.uint8)
    # Divide first, so that no difference overflows.
    scale = max(abs(low), abs(high))
    shown = np.clip(np.nan_to_num(grey.astype(np.float64), nan=low, posinf=high, neginf=low), low, high) / scale
    black, white = low / scale, high / scale
    pixels: NDArray[np.uint8] = np.rint((shown - black) * (255.0 / (white - black))).astype(np.uint8)
    return pixels


def thin(plane: NDArray[Any]) -> NDArray[Any]:
    """Return every n-th row and column of a slice, so that no side has more than 2048 pixels."""
    return plane[tuple(slice(None, None, -(-n // _MAX_SIDE)) for n in plane.shape)]


def paint_labels(
    pixels: NDArray[np.uint8],
    labels: NDArray[Any],
    colour: Callable[[int], Colour],
    *,
    fill: float = 0.0,
    background: int = 0,
) -> None:
    """Paint the labels of a slice into its picture: their inner edges one pixel wide, and a light fill.

    If several voxels are under one pixel, the largest label is painted, and background only if there is no label. So a
    lesion of one voxel stays visible in a smaller picture.

    Args:
        pixels: (height, width, 3), changed in place.
        labels: (rows, columns). Floating point is rounded; NaN is background.
        colour: function that returns the colour of a label value.
        fill: share of the colour inside the edges, 0 to 1.
        background: the value that is not painted.
    """
    shown = _find_pixel_labels(labels, pixels.shape[:2], background)
    framed = np.pad(shown, 1, constant_values=_NO_LABEL)
    neighbours = (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:])
    edge = np.any([neighbour != shown for neighbour in neighbours], axis=0)
    for value in np.unique(shown[shown != _NO_LABEL]):
        inside, paint = shown == value, np.array(colour(int(value)))
        if fill:
            pixels[inside] = np.rint((1 - fill) * pixels[inside] + fill * paint)
        pixels[inside & edge] = paint


def _find_pixel_labels(labels: NDArray[Any], size: tuple[int, ...], background: int) -> NDArray[np.int64]:
    """Return the largest label under each pixel, as (height, width); `_NO_LABEL` if there is only background."""
    if labels.dtype.kind == "f":
        finite = np.nan_to_num(labels, nan=background, posinf=background, neginf=background)
        labels = np.rint(finite).clip(-_MAX_LABEL, _MAX_LABEL)
    whole = labels.astype(np.int64)
    whole[whole == background] = _NO_LABEL
    for axis, length in enumerate(size):
        whole = np.maximum.reduceat(whole, np.arange(length) * whole.shape[axis] // length, axis=axis)
    return whole


def _select_finite(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the finite values as one row."""
    finite: NDArray[np.float64] = values[np.isfinite(values)].astype(np.float64)
    return finite


def _find_percentiles(values: NDArray[np.float64], shares: tuple[float, float]) -> tuple[float, float]:
    # Divided first, so that no difference overflows.
    scale = max(float(np.abs(values).max()), np.finfo(np.float64).tiny)
    low, high = np.percentile(values / scale, shares)
    return float(low) * scale, float(high) * scale
