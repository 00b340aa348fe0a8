"""The place of an OME-Zarr image: units converted to mm, and axes mapped to those of the body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError

__all__ = ["SpatialAxis", "affine_of"]

# The units that images have, out of those that OME-Zarr allows (UDUNITS-2), in mm.
_MM = {
    "": 1.0,
    "millimeter": 1.0,
    "micrometer": 1e-3,
    "nanometer": 1e-6,
    "centimeter": 10.0,
    "meter": 1e3,
    "mm": 1.0,
    "um": 1e-3,
    "µm": 1e-3,
    "nm": 1e-6,
    "cm": 10.0,
    "m": 1e3,
}
# The world axis (RAS) along which an axis's coordinates grow, and the sign.
_ORIENTATIONS = {
    "left-to-right": (0, 1),
    "right-to-left": (0, -1),
    "posterior-to-anterior": (1, 1),
    "anterior-to-posterior": (1, -1),
    "inferior-to-superior": (2, 1),
    "superior-to-inferior": (2, -1),
}
_LPS = ((0, -1), (1, -1), (2, 1))


@dataclass(frozen=True)
class SpatialAxis:
    """An axis in space.

    Attributes:
        described: its metadata.
        scale: from one voxel to the next, in its unit.
        translation: coordinate of the first voxel's centre, in its unit.
    """

    described: Mapping[str, Any]
    scale: float
    translation: float


def affine_of(axes: Sequence[SpatialAxis], path: str) -> tuple[np.ndarray, bool]:
    """Return the affine, 4x4 (mm, RAS), and whether the store distinguishes left from right.

    Args:
        axes: x, y and perhaps z.
        path: of the store, for messages.

    Raises:
        InputError: a unit is unknown.
    """
    known = [_ORIENTATIONS.get(_orientation(axis.described)) for axis in axes]
    directions = [direction for direction in known if direction is not None]
    has_orientation = len({world for world, _ in directions}) == len(axes)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    if has_orientation:
        affine[:3, : len(axes)] = 0
        left = sorted({0, 1, 2} - {world for world, _ in directions})
        for column, world in zip(range(len(axes), 3), left, strict=True):
            affine[:3, column] = np.eye(3)[world]
    for column, (axis, (world, sense)) in enumerate(zip(axes, directions if has_orientation else _LPS, strict=False)):
        unit = _mm(axis.described, path)
        affine[world, column] = sense * axis.scale * unit
        affine[world, 3] = sense * axis.translation * unit
    # Adding 0 turns -0 into 0.
    return affine + 0.0, has_orientation


def _mm(axis: Mapping[str, Any], path: str) -> float:
    unit = str(axis.get("unit") or "").lower()
    if unit not in _MM:
        raise InputError(
            path,
            found=f"an axis {axis.get('name')} in {unit}",
            expected=f"one of {', '.join(name for name in _MM if len(name) > 2)}",
            remedy="correct the unit in the store's metadata",
            kind="unit",
        )
    return _MM[unit]


def _orientation(axis: Mapping[str, Any]) -> str:
    # Also under its earlier name, which some tools have written.
    found = axis.get("orientation") or axis.get("anatomicalOrientation") or {}
    return str(found.get("value", "") if isinstance(found, Mapping) else found).lower()
