"""Resample an image or a label map to another grid: linear, smoothed where the other grid is coarser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from .check_file import Grid

__all__ = ["Change", "compare_grids", "find_sigmas", "is_same_plane", "resample_image", "resample_labels"]

# Variance of a Gaussian whose full width at half maximum is 1.
_VARIANCE = 1 / (8 * np.log(2))
# Of two 2D images: how far apart their planes may be (mm), and the sine of the angle between them.
_MAX_OFF_PLANE_MM = 0.1


@dataclass(frozen=True)
class Change:
    """How one grid differs from the one that it is resampled to.

    Attributes:
        shape: of the old grid (voxels).
        spacing: of the old grid (mm).
        new_shape: of the new grid.
        new_spacing: of the new grid (mm).
        offset: from the centre of the new grid to that of the old one (mm).
        angle: the largest angle between an axis of one and the nearest axis of the other (degrees).
        sigmas: of the Gaussian that smooths the old grid's axes before (mm); 0 for none.
        uncovered: share of the new grid's voxels whose centre is outside the old grid.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    new_shape: tuple[int, ...]
    new_spacing: tuple[float, ...]
    offset: float
    angle: float
    sigmas: tuple[float, ...]
    uncovered: float


def compare_grids(old: Grid, new: Grid) -> Change:
    """Return how a grid differs from the one that it is resampled to, without its voxels; both 2D or both 3D."""
    axes = len(old.shape)
    spacing, new_spacing = (np.linalg.norm(grid.affine[:3, :axes], axis=0) for grid in (old, new))
    directions = [grid.affine[:3, :axes] / size for grid, size in ((old, spacing), (new, new_spacing))]
    cosines = np.abs(directions[0].T @ directions[1]).max(axis=1)
    centres = [grid.affine @ [*((np.array(grid.shape) - 1) / 2), *[0] * (3 - axes), 1] for grid in (old, new)]
    return Change(
        shape=old.shape,
        spacing=tuple(spacing.tolist()),
        new_shape=new.shape,
        new_spacing=tuple(new_spacing.tolist()),
        offset=float(np.linalg.norm((centres[0] - centres[1])[:3])),
        angle=float(np.degrees(np.arccos(cosines.min().clip(max=1)))),
        sigmas=tuple((find_sigmas(old, new) * spacing).tolist()),
        uncovered=_find_uncovered(old, new),
    )


def find_sigmas(old: Grid, new: Grid) -> NDArray[np.float64]:
    """Return the standard deviations (voxels of the old grid, per axis) of the Gaussian that prevents aliasing.

    A voxel is taken for a Gaussian as wide at half its maximum as the voxel. What is added along an axis of the old
    grid is the difference between the variances of the new voxel and of the old one, and nothing where the new voxel
    is not longer. For parallel axes this is the rule of Cardoso et al., "Scale factor point spread function matching:
    beyond aliasing in image resampling", MICCAI 2015.
    """
    steps = _voxel_matrix(old, new)[: len(old.shape), : len(old.shape)]
    excess = (steps**2).sum(axis=1) - 1
    # Less than this is rounding in affines.
    sigmas: NDArray[np.float64] = np.sqrt(_VARIANCE * np.where(excess > 1e-3, excess, 0))
    return sigmas


def is_same_plane(old: Grid, new: Grid) -> bool:
    """Return whether two 2D grids are in one plane; True for 3D grids."""
    if len(old.shape) == 3:
        return True
    corners = np.array([(i * (new.shape[0] - 1), j * (new.shape[1] - 1), 0, 1) for i in (0, 1) for j in (0, 1)])
    normal = np.cross(old.affine[:3, 0], old.affine[:3, 1])
    away = (corners @ new.affine.T)[:, :3] - old.affine[:3, 3]
    return bool(np.abs(away @ (normal / np.linalg.norm(normal))).max() <= _MAX_OFF_PLANE_MM)


def resample_image(voxels: NDArray[np.generic], old: Grid, new: Grid) -> NDArray[np.float32]:
    """Return an image in another grid, float32, by linear interpolation.

    Axes along which the new grid is coarser are smoothed first (see `find_sigmas`). New voxels outside the old grid
    get the image's lowest value, which is the background of CT and MR.

    Args:
        voxels: (X, Y) or (X, Y, Z), finite.
        old: their grid.
        new: the grid of the result; its affine may be turned or sheared against the old one.
    """
    smooth = _make_smoother(old, new)
    return _resample(smooth(voxels.astype(np.float32)), old, new, outside=float(voxels.min()))


def resample_labels(
    labels: NDArray[np.integer], old: Grid, new: Grid, *, background: int | None = None, outside: int | None = None
) -> NDArray[np.integer]:
    """Return a label map in another grid, of the same type.

    Each label is resampled as an image of 0 and 1, and a voxel gets the label with the largest value: borders are
    smoother than with the nearest neighbour, and no new values appear.

    Args:
        labels: (X, Y) or (X, Y, Z), whole numbers.
        old: their grid.
        new: the grid of the result.
        background: its value, which a voxel keeps unless another label has a larger share. None: 0 or, if the label map
            has no 0, its lowest value.
        outside: the value of voxels outside the old grid, which the type can hold; None for the background.
    """
    values = set(np.unique(labels).tolist())
    if background is None:
        background = 0 if 0 in values else min(values)
    outside = background if outside is None else outside
    smooth = _make_smoother(old, new)
    best: NDArray[np.float32] | None = None
    result = np.full(new.shape, background, dtype=labels.dtype)
    for value in (background, *sorted((values | {outside}) - {background})):
        share = smooth((labels == value).astype(np.float32))
        share = _resample(share, old, new, outside=float(value == outside))
        if best is None:
            best = share
            continue
        wins = share > best
        result[wins] = value
        best[wins] = share[wins]
    return result


def _make_smoother(old: Grid, new: Grid) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415 - slow to import, and seldom needed

    sigmas = find_sigmas(old, new)

    def smooth(voxels: NDArray[np.float32]) -> NDArray[np.float32]:
        smoothed: NDArray[np.float32] = gaussian_filter(voxels, sigmas, mode="nearest") if sigmas.any() else voxels
        return smoothed

    return smooth


def _resample(voxels: NDArray[np.float32], old: Grid, new: Grid, *, outside: float) -> NDArray[np.float32]:
    """Interpolate in voxel indices, so that SimpleITK, which refuses shear in an image, needs no image's place."""
    axes = len(old.shape)
    matrix = _voxel_matrix(old, new)
    transform = sitk.AffineTransform(axes)
    transform.SetMatrix(matrix[:axes, :axes].ravel().tolist())
    transform.SetTranslation(matrix[:axes, 3].tolist())
    # SimpleITK's arrays have the axes in the other order.
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.T))
    moved = sitk.Resample(
        *(image, list(new.shape), transform, sitk.sitkLinear, [0.0] * axes, [1.0] * axes),
        *(np.eye(axes).ravel().tolist(), outside, sitk.sitkFloat32),
    )
    result: NDArray[np.float32] = sitk.GetArrayFromImage(moved).T
    return result


def _voxel_matrix(old: Grid, new: Grid) -> NDArray[np.float64]:
    """Return the matrix (4, 4) from voxels of the new grid to voxels of the old one."""
    matrix: NDArray[np.float64] = np.linalg.inv(_solid(old)) @ _solid(new)
    return matrix


def _solid(grid: Grid) -> NDArray[np.float64]:
    """Return a grid's affine; of a 2D grid with the plane's normal as third axis, whatever its header says there."""
    affine = np.array(grid.affine, dtype=np.float64)
    if len(grid.shape) == 2:
        normal = np.cross(affine[:3, 0], affine[:3, 1])
        affine[:3, 2] = normal / np.linalg.norm(normal)
    return affine


def _find_uncovered(old: Grid, new: Grid) -> float:
    """Return the share of the new grid's voxels whose centre is outside the old grid's voxels."""
    axes = len(old.shape)
    matrix = _voxel_matrix(old, new)[:axes]
    inside = 0
    rest = np.stack(np.meshgrid(*(np.arange(size) for size in new.shape[1:]), indexing="ij"))
    flat = rest.reshape(axes - 1, -1)
    base = matrix[:, 1:axes] @ flat + matrix[:, 3:]
    # One plane of voxels at a time.
    for first in range(new.shape[0]):
        inside += _count_inside(base + matrix[:, :1] * first, old.shape)
    return 1 - inside / float(np.prod(new.shape))


def _count_inside(places: NDArray[np.float64], shape: Sequence[int]) -> int:
    sizes = np.array(shape)[:, None]
    return int(np.all((places >= -0.5) & (places <= sizes - 0.5), axis=0).sum())
