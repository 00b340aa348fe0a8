"""Deform one sample: rotation and scale in mm, an elastic field, and the interpolation itself.

Everything is in the order of the array's axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "affine_matrix",
    "apply_along_axes",
    "control_shape",
    "elastic_field",
    "read_linear",
    "read_nearest",
    "reading_positions",
]


def affine_matrix(angles: Sequence[float], scale: Sequence[float], spacing: Sequence[float]) -> NDArray[np.float64]:
    """Return the matrix that maps a position in the augmented patch to the position to read in the original.

    Both positions are in voxels, from the centre of the patch.

    The anatomy is scaled, then rotated, in mm, so a rotation stays rigid with anisotropic voxels.

    Args:
        angles: radians. 3D: about axis 0, 1 and 2, in this order; a positive angle about axis 0 turns axis 1 towards
            axis 2, about axis 1 axis 2 towards axis 0, about axis 2 axis 0 towards axis 1. 2D: one, of axis 0 towards
            axis 1.
        scale: factor of the size along each axis; above 1 enlarges.
        spacing: mm per voxel along each axis.

    Returns:
        Matrix (spatial_dims, spatial_dims).
    """
    dims = len(spacing)
    turn = np.eye(dims)
    planes = [(0, 1)] if dims == 2 else [(1, 2), (2, 0), (0, 1)]
    for (first, second), angle in zip(planes, angles, strict=True):
        step = np.eye(dims)
        step[[first, second], [first, second]] = math.cos(angle)
        step[second, first] = math.sin(angle)
        step[first, second] = -math.sin(angle)
        turn = step @ turn
    mm = np.asarray(spacing, dtype=float)
    inverse: NDArray[np.float64] = (turn.T / np.asarray(scale, dtype=float)[:, None]) * mm / mm[:, None]
    return inverse


def control_shape(shape: Sequence[int], distance: Sequence[float]) -> tuple[int, ...]:
    """Return the number of control points along each axis that :func:`elastic_field` needs.

    Args:
        shape: of the patch, voxels.
        distance: between two control points along each axis, voxels, above 0.
    """
    return tuple(max(1, math.ceil((size - 1) / step)) + 3 for size, step in zip(shape, distance, strict=True))


def elastic_field(control: Tensor, shape: Sequence[int], distance: Sequence[float]) -> Tensor:
    """Return the uniform cubic B-spline of random control points: smooth, and never larger than their maximum.

    Args:
        control: (C, *control_shape(shape, distance)).
        shape: of the patch, voxels.
        distance: between two control points along each axis, voxels.

    Returns:
        Field (C, *shape).
    """
    matrices = []
    for size, step, points in zip(shape, distance, control.shape[1:], strict=True):
        # The control points extend beyond the patch by the same length on both sides.
        at = _centred(size, control) / step
        away = (at[:, None] - _centred(points, control)).abs()
        near = 2 / 3 - away**2 + away**3 / 2
        matrices.append(torch.where(away < 1, near, (2 - away).clamp(min=0) ** 3 / 6))
    return apply_along_axes(control, matrices)


def reading_positions(matrix: Tensor, shape: Sequence[int], field: Tensor | None = None) -> Tensor:
    """Return the position to read each voxel from: ``matrix @ position + field``, from the first voxel's centre.

    Args:
        matrix: (spatial_dims, spatial_dims) from :func:`affine_matrix`.
        shape: of the patch, voxels.
        field: displacements (spatial_dims, *shape) in voxels, or None.

    Returns:
        Positions (spatial_dims, *shape), voxels.
    """
    dims = len(shape)
    centre = (torch.tensor(shape, dtype=matrix.dtype, device=matrix.device) - 1) / 2
    at = centre.reshape(-1, *[1] * dims)
    for axis, size in enumerate(shape):
        along = matrix[:, axis, None] * _centred(size, matrix)
        at = at + along.reshape(-1, *[size if other == axis else 1 for other in range(dims)])
    return at if field is None else at.add_(field)


def read_linear(image: Tensor, positions: Tensor) -> Tensor:
    """Interpolate linearly between the nearest voxels; zero outside.

    Equal to PyTorch's ``grid_sample``, and two to three times as fast in 3D on a CPU.

    Args:
        image: (C, *spatial), float.
        positions: (spatial_dims, *shape) in voxels.

    Returns:
        Image (C, *shape).
    """
    shape = image.shape[1:]
    # Zeros around the image stand for everything outside. The upper neighbour of the last zero needs one more.
    padded = F.pad(image, (1, 2) * len(shape))
    strides = padded.stride()[1:]
    index = torch.full(positions.shape[1:], sum(strides), dtype=torch.int32, device=image.device)
    shares = []
    for at, size, stride in zip(positions, shape, strides, strict=True):
        inside = at.clamp(-1, size)
        lower = inside.floor()
        shares.append(inside.sub_(lower).flatten())
        index.add_(lower.to(torch.int32), alpha=stride)
    index = index.flatten()

    def between(voxels: Tensor, axis: int) -> Tensor:
        if axis == len(shape):
            return voxels.index_select(0, index)
        return between(voxels, axis + 1).lerp_(between(voxels[strides[axis] :], axis + 1), shares[axis])

    return torch.stack([between(voxels, 0) for voxels in padded.flatten(1)]).reshape(-1, *positions.shape[1:])


def read_nearest(image: Tensor, positions: Tensor, *, outside: int = 0) -> Tensor:
    """Take the nearest voxel; a fixed value outside.

    Args:
        image: (C, *spatial), any dtype, which is kept.
        positions: (spatial_dims, *shape) in voxels.
        outside: the value outside.

    Returns:
        Image (C, *shape).
    """
    padded = F.pad(image, (1, 1) * (image.ndim - 1), value=outside)
    strides = padded.stride()[1:]
    index = torch.full(positions.shape[1:], sum(strides), dtype=torch.int32, device=image.device)
    for at, size, stride in zip(positions, image.shape[1:], strides, strict=True):
        index.add_(at.round().clamp_(-1, size).to(torch.int32), alpha=stride)
    voxels = [channel.index_select(0, index.flatten()) for channel in padded.flatten(1)]
    return torch.stack(voxels).reshape(-1, *positions.shape[1:])


def apply_along_axes(x: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Multiply every spatial axis by a matrix, as a separable filter or a resampling does.

    The product is dense. On patches of usual size that is faster than a convolution with few channels.

    Args:
        x: (C, *spatial), float.
        matrices: one per spatial axis, (size out, size in), or (C, size out, size in) for one per channel.

    Returns:
        Tensor (C, *sizes out).
    """
    channels, *shape = x.shape
    for axis, matrix in enumerate(matrices):
        before, size, after = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
        # Multiply the last axis from the right: from the left it would be a matrix times many single columns.
        if after > 1:
            x = (matrix if matrix.ndim == 2 else matrix[:, None]) @ x.reshape(channels, before, size, after)
        else:
            x = x.reshape(channels, before, size) @ matrix.mT
        shape[axis] = matrix.shape[-2]
    return x.reshape(channels, *shape)


def _centred(size: int, like: Tensor) -> Tensor:
    """Return ``size`` positions at distance 1, centred on zero."""
    return torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
