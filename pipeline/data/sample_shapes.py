"""Parts of the built-in sample datasets: oblique grids, solids in mm, texture and bias fields."""

from __future__ import annotations

from collections.abc import Callable

import nibabel as nib
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]
SignedDistance = Callable[[Array], Array]  # points (N, 3) in mm -> (N,) in mm, negative inside


def oblique_affine(rng: Generator, orientation: str, spacing: Array, shape: Array, *, max_tilt: float) -> Array:
    """Return the affine (4, 4) of a grid with about this ``orientation``, its middle up to 80 mm off the origin.

    Args:
        rng: The stream to draw from.
        orientation: Where the axes point, such as ``"LPS"``.
        spacing: mm, (3,).
        shape: Voxels, (3,).
        max_tilt: Largest rotation of the grid about a random axis, in degrees.
    """
    tilt = random_tilt(rng, max_tilt)
    world_axes, signs = nib.orientations.axcodes2ornt(orientation).T
    permuted = np.eye(3)[:, world_axes.astype(int)] * signs
    affine = np.eye(4)
    affine[:3, :3] = tilt @ permuted @ np.diag(spacing)
    affine[:3, 3] = rng.uniform(-80.0, 80.0, 3) - affine[:3, :3] @ ((shape - 1) / 2)
    return affine


def random_tilt(rng: Generator, max_angle: float) -> Array:
    """Return a rotation matrix (3, 3) about a random axis by 0 to ``max_angle`` degrees."""
    axis = rng.normal(size=3)
    angle = np.deg2rad(rng.uniform(0.0, max_angle))
    return np.asarray(Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle).as_matrix())


def grid_points(affine: Array, shape: tuple[int, ...]) -> Array:
    """Return the centres of a grid's voxels, (N, 3) in mm along the world's axes, from the middle of the grid."""
    voxels = np.indices(shape).reshape(3, -1).T
    return np.asarray((voxels - (np.array(shape) - 1) / 2) @ affine[:3, :3].T)


def place(
    rng: Generator, draw: Callable[[Array], SignedDistance], coarse: Array, free: NDArray[np.bool_], centres: Array
) -> SignedDistance | None:
    """Draw solids until one, with a margin of 2 mm, is in free space, and return it; None after 60 draws.

    Args:
        rng: The stream to draw the centre from.
        draw: Returns a solid around a centre (3,).
        coarse: Points to test at, (N, 3) in mm.
        free: Which of them are free, (N,).
        centres: Possible centres, to within 1 mm along each axis, (M, 3) in mm.
    """
    for _ in range(60 if len(centres) else 0):
        solid = draw(rng.choice(centres) + rng.uniform(-1.0, 1.0, 3))
        if free[solid(coarse) < 2.0].all():
            return solid
    return None


def ellipsoid(centre: Array, axes: Array, radii: Array) -> SignedDistance:
    """Return the signed distance of an ellipsoid: the level set over its gradient.

    Its sign is exact; its value is exact to first order near the surface.
    """

    def distance(points: Array) -> Array:
        scaled = (points - centre) @ axes / radii
        level, steepness = (np.sqrt(np.einsum("ij,ij->i", v, v)) for v in (scaled, scaled / radii))
        slope = steepness / np.maximum(level, 1e-9)
        return np.asarray((level - 1) / np.maximum(slope, 1 / radii.max()))

    return distance


def tube(centre: Array, axes: Array, *, bend: float, half_angle: float, radius: float) -> SignedDistance:
    """Return the exact signed distance of a round-ended tube of ``radius`` mm along an arc of radius ``bend`` mm."""

    def distance(points: Array) -> Array:
        along, across, height = ((points - centre) @ axes + [bend, 0.0, 0.0]).T
        angle = np.clip(np.arctan2(across, along), -half_angle, half_angle)
        to_arc = np.stack([along - bend * np.cos(angle), across - bend * np.sin(angle), height])
        return np.asarray(np.linalg.norm(to_arc, axis=0) - radius)

    return distance


def smooth_noise(rng: Generator, shape: tuple[int, ...], sigma: Array) -> Array:
    """Return noise of standard deviation 1 on a grid, blurred by ``sigma`` voxels along each axis."""
    noise = gaussian_filter(rng.normal(size=shape), sigma, mode="wrap")
    return np.asarray(noise / noise.std())


def bias_field(rng: Generator, points: Array) -> Array:
    """Return a smooth gain, mostly within 25 % of 1: the exponential of a random quadratic in the position (mm)."""
    unit = points / 25.0
    gain = unit @ rng.uniform(-0.12, 0.12, 3) + (unit @ rng.uniform(-0.06, 0.06, (3, 3)) * unit).sum(axis=1)
    return np.asarray(np.exp(gain))


def partial_volume(distance: Array, spacing: Array) -> Array:
    """Return the share of a voxel inside a surface at this signed distance from the voxel's centre."""
    return np.asarray(np.clip(0.5 - distance / spacing.mean(), 0.0, 1.0))
