"""Scans that are in memory already: arrays and MetaTensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from monai.data import MetaTensor
from monai.data.utils import to_affine_nd
from numpy.typing import NDArray
from torch import Tensor

from ..data.check_header import check_affine
from ..data.errors import InputError

if TYPE_CHECKING:
    from .parts import Parts

__all__ = ["as_files", "as_scan"]

_LARGEST_MAGNITUDE = 1e18  # as the check of files has it
_REMEDY = "give voxel to world in mm, RAS"


def as_files(scan: Any) -> list[str]:
    """Return the files of a scan, or raise InputError where what is given is neither files nor voxels."""
    files = [scan] if isinstance(scan, str | Path) else scan
    if not (isinstance(files, Sequence) and files and all(isinstance(file, str | Path) for file in files)):
        _refuse(
            f"a {type(scan).__name__}",
            "a path, paths of one channel each, an array or a MetaTensor",
            "give an image's voxels and its affine, such as image.get_fdata(), affine=image.affine of nibabel",
        )
    return [str(Path(file).expanduser()) for file in files]


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
    tensor = _as_tensor(voxels)
    if tensor.ndim == parts.spatial_dims and parts.channels == 1:
        tensor = tensor[None]
    shape = tuple(tensor.shape)
    axes = ", ".join("XYZ"[: parts.spatial_dims])
    if tensor.ndim != parts.spatial_dims + 1 or shape[0] != parts.channels or 0 in shape:
        _refuse(f"voxels of shape {tuple(voxels.shape)}", f"shape ({parts.channels}, {axes})", "give channels first")
    for channel in tensor:
        low, high = float(channel.min()), float(channel.max())
        if not np.isfinite(low + high) or max(-low, high) > _LARGEST_MAGNITUDE:
            _refuse(f"voxels from {low:g} to {high:g}", "finite numbers", "replace what is NaN or infinite")
        if low == high:
            _refuse(f"the value {low:g} in every voxel", "an image", "check how the array was made")
    return MetaTensor(tensor, affine=torch.as_tensor(_checked(affine, shape[1:], parts)))


def _as_tensor(voxels: NDArray[Any] | Tensor) -> Tensor:
    """Return the numbers as float32, with memory of their own only where they were not such numbers in their order."""
    kind = voxels.dtype.kind if isinstance(voxels, np.ndarray) else "c" if voxels.is_complex() else "f"
    if kind not in "biuf":
        found = "complex voxels" if kind == "c" else f"voxels of type {voxels.dtype}"
        _refuse(found, "one real number per voxel", "give one component, as numbers")
    if isinstance(voxels, Tensor):
        plain = voxels.as_tensor() if isinstance(voxels, MetaTensor) else voxels
        return plain.detach().cpu().to(torch.float32)
    # Of a larger type they become infinite, which is told below.
    with np.errstate(over="ignore"):
        numbers = np.asarray(voxels, dtype=np.float32)
    # PyTorch takes no axes that run backwards, and warns of what is read-only.
    usable = numbers.flags.writeable and min(numbers.strides, default=0) >= 0
    return torch.from_numpy(numbers if usable else numbers.copy(order="K"))


def _checked(affine: NDArray[Any] | None, shape: Sequence[int], parts: Parts) -> NDArray[np.float64]:
    if affine is None:
        return parts.own_affine
    try:
        expanded = np.asarray(affine, dtype=np.float64)
    except (TypeError, ValueError):
        _refuse(f"an affine that is a {type(affine).__name__}", "4x4 numbers", _REMEDY)
    # Of a volume 3x3 could be directions alone.
    if expanded.shape not in {(4, 4), (parts.spatial_dims + 1,) * 2} or not np.isfinite(expanded).all():
        _refuse(f"an affine of shape {expanded.shape}: {expanded.tolist()}", "4x4 finite numbers", _REMEDY)
    full: NDArray[np.float64] = to_affine_nd(3, expanded)
    try:
        check_affine("affine", full, shape)
    except InputError as error:
        _refuse(error.found, error.expected, _REMEDY)
    return full


def _refuse(found: str, expected: str, remedy: str) -> NoReturn:
    raise InputError("scan", found=found, expected=expected, remedy=remedy)
