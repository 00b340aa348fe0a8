"""Compare the grid of a prediction with that of its reference, and the axes of a grid that is only turned."""

from __future__ import annotations

from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from ..data.check_grid import ROUNDING_VOXELS, SAME_PLACE_MM, largest_distance
from ..data.errors import InputError
from ..data.images.header import spacing_of

__all__ = ["Grid", "Turn", "find_turn", "turn_voxels"]

# Largest difference of an entry of the rotation between two grids of the same axes from 0, 1 or -1.
_MAX_TILT = 0.05


class Grid(NamedTuple):
    """A grid of voxels: shape (X, Y[, Z]) and affine, 4 x 4 (mm, RAS), voxel to world."""

    shape: tuple[int, ...]
    affine: NDArray[np.float64]

    def describe(self) -> str:
        """Return shape, spacing, orientation and origin in words."""
        dims = len(self.shape)
        spacing = " x ".join(f"{step:.4g}" for step in spacing_of(self.affine, dims))
        codes = "".join(code or "?" for code in nib.aff2axcodes(self.affine))[:dims]
        origin = ", ".join(f"{place:.4g}" for place in self.affine[:3, 3])
        return f"{' x '.join(map(str, self.shape))} voxels of {spacing} mm, axes {codes}, origin ({origin}) mm"


class Turn(NamedTuple):
    """How the axes of a label map become those of its reference: the source and direction of each axis.

    Attributes:
        axes: the axis of the label map that becomes each axis.
        flips: whether each of these axes is then reversed.
    """

    axes: tuple[int, ...]
    flips: tuple[bool, ...]


def find_turn(prediction: Grid, reference: Grid, *, case: str, path: str, reference_path: str) -> Turn | None:
    """Return how the voxels of a prediction have to be turned to its reference's grid; None if they need not be.

    Two grids are the same if their shapes are, and no corner of the volume is further apart than 0.001 mm or 5 % of the
    smallest voxel edge, whichever is larger: that is how much programs round headers. The same voxels in another order
    of the axes, or in another direction, are the same grid after a turn, which loses nothing.

    Args:
        prediction: grid of the prediction.
        reference: grid of the reference.
        case: name of the case, for the message.
        path: file of the prediction.
        reference_path: file of the reference.

    Raises:
        InputError: it is another grid.
    """
    dims = len(reference.shape)
    if len(prediction.shape) == dims:
        if _same(prediction, reference):
            return None
        turn = _guess_turn(prediction.affine, reference.affine, dims)
        if turn is not None and _same(_turn_grid(prediction, turn), reference):
            return turn
    remedy = "resample the prediction to the reference's grid (nearest neighbour), or predict in the scan's own grid"
    if len(prediction.shape) != dims:
        remedy = "compare label maps with the same number of axes: save both in the scan's own grid"
    elif prediction.shape == reference.shape:
        remedy = f"if the voxels correspond, copy the reference's header to the prediction; otherwise {remedy}"
    raise InputError(
        path,
        found=f"case {case} in another grid: {prediction.describe()}",
        expected=f"the grid of {reference_path}: {reference.describe()}",
        remedy=remedy,
    )


def turn_voxels(voxels: NDArray[Any], turn: Turn | None) -> NDArray[Any]:
    """Return voxels (X, Y[, Z]) with their axes in the order and direction of the reference's."""
    if turn is None:
        return voxels
    turned = np.transpose(voxels, turn.axes)
    flipped: NDArray[Any] = turned[tuple(slice(None, None, -1) if flip else slice(None) for flip in turn.flips)]
    return flipped


def _same(one: Grid, other: Grid) -> bool:
    smallest = min(spacing_of(other.affine, len(other.shape)))
    tolerance = max(SAME_PLACE_MM, ROUNDING_VOXELS * smallest)
    return one.shape == other.shape and largest_distance(one.affine, other.affine, other.shape) <= tolerance


def _guess_turn(affine: NDArray[np.float64], reference: NDArray[np.float64], dims: int) -> Turn | None:
    """Return the turn between two affines of the same axes; None if the axes differ."""
    # Column j: axis j of the prediction, in steps along the reference's axes.
    steps = (np.linalg.pinv(reference[:3, :dims]) @ affine[:3, :dims])[:dims, :dims]
    rounded = np.rint(steps)
    is_turn = (np.abs(rounded).sum(axis=0) == 1).all() and (np.abs(rounded).sum(axis=1) == 1).all()
    if not is_turn or np.abs(steps - rounded).max() > _MAX_TILT:
        return None
    axes = tuple(int(axis) for axis in np.abs(rounded).argmax(axis=1))
    flips = tuple(bool(rounded[row, axis] < 0) for row, axis in enumerate(axes))
    return Turn(axes, flips)


def _turn_grid(grid: Grid, turn: Turn) -> Grid:
    """Return the grid of voxels that `turn_voxels` has turned."""
    shape = tuple(grid.shape[axis] for axis in turn.axes)
    affine = grid.affine.copy()
    affine[:, : len(shape)] = grid.affine[:, list(turn.axes)]
    for axis, flip in enumerate(turn.flips):
        if flip:
            affine[:, 3] += (shape[axis] - 1) * affine[:, axis]
            affine[:, axis] *= -1
    return Grid(shape, affine)
