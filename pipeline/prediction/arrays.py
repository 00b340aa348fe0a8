"""Scans that are in memory already: arrays and MetaTensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from monai.data import MetaTensor
from monai.data.utils import to_affine_nd
from numpy.typing import NDArray
from torch import Tensor

from ..data.errors import InputError

if TYPE_CHECKING:
    from .parts import Parts

__all__ = ["as_scan"]

_LARGEST_MAGNITUDE = 1e18  # as the check of files has it


def as_scan(voxels: NDArray[Any] | Tensor, affine: NDArray[Any] | None, parts: Parts) -> MetaTensor:
    """Make of voxels in memory what reading a file gives.

    Args:
        voxels: (X, Y[, Z]), or with the bundle's channels first.
        affine: voxel to world (mm, RAS), 4x4; None: a MetaTensor's own, else that of the bundle's grid.
        parts: of the bundle.

    Returns:
        (C, X, Y[, Z]) float32 with its affine.

    Raises:
        InputError: another number of axes or channels, values that are not finite or all the same, or an affine that
            is none.
    """
    if affine is None and isinstance(voxels, MetaTensor):
        affine = np.asarray(voxels.affine, dtype=np.float64)
    tensor = torch.as_tensor(voxels).detach().cpu()
    tensor = tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor
    if tensor.ndim == parts.spatial_dims and parts.channels == 1:
        tensor = tensor[None]
    shape = tuple(tensor.shape)
    axes = ", ".join("XYZ"[: parts.spatial_dims])
    if tensor.ndim != parts.spatial_dims + 1 or shape[0] != parts.channels or 0 in shape:
        _refuse(f"voxels of shape {tuple(voxels.shape)}", f"shape ({parts.channels}, {axes})", "give channels first")
    if tensor.is_complex():
        _refuse("complex voxels", "one real number per voxel", "give one component")
    tensor = tensor.to(torch.float32)
    for channel in tensor:
        low, high = float(channel.min()), float(channel.max())
        if not np.isfinite(low + high) or max(-low, high) > _LARGEST_MAGNITUDE:
            _refuse(f"voxels from {low:g} to {high:g}", "finite numbers", "replace what is NaN or infinite")
        if low == high:
            _refuse(f"the value {low:g} in every voxel", "an image", "check how the array was made")
    return MetaTensor(tensor, affine=torch.as_tensor(_checked(affine, parts)))


def _checked(affine: NDArray[Any] | None, parts: Parts) -> NDArray[np.float64]:
    if affine is None:
        return parts.own_affine
    expanded = np.asarray(affine, dtype=np.float64)
    if expanded.shape not in ((3, 3), (4, 4)) or not np.isfinite(expanded).all():
        _refuse(f"an affine of shape {expanded.shape}", "4x4 finite numbers", "give voxel to world in mm, RAS")
    full: NDArray[np.float64] = to_affine_nd(3, expanded)
    if abs(np.linalg.det(full[:3, :3])) < 1e-12:
        _refuse("an affine that maps the volume to a plane", "three independent axes", "give voxel to world in mm, RAS")
    return full


def _refuse(found: str, expected: str, remedy: str) -> NoReturn:
    raise InputError("scan", found=found, expected=expected, remedy=remedy)
