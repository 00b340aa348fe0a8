"""Scans in memory: arrays and MetaTensors."""

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
    from .loaded_bundle import LoadedBundle

__all__ = ["as_files", "as_scan"]

_MAX_MAGNITUDE = 1e18  # the same limit as in the check of files
_REMEDY = "pass the affine from voxel to world, in mm, RAS"


def as_files(scan: Any) -> list[str]:
    """Return the files of a scan; raise InputError if the scan is neither files nor voxels."""
    files = [scan] if isinstance(scan, str | Path) else scan
    if not (isinstance(files, Sequence) and files and all(isinstance(file, str | Path) for file in files)):
        _refuse(
            f"a {type(scan).__name__}",
            "a path, paths of one channel each, an array or a MetaTensor",
            "pass an image's voxels and its affine, such as image.get_fdata(), affine=image.affine of nibabel",
        )
    return [str(Path(file).expanduser()) for file in files]


def as_scan(voxels: NDArray[Any] | Tensor, affine: NDArray[Any] | None, bundle: LoadedBundle) -> MetaTensor:
    """Return voxels in memory as the reader returns a file.

    Args:
        voxels: (X, Y[, Z]), or with the bundle's channels first.
        affine: voxel to world (mm, RAS), 4x4. None: the MetaTensor's own affine, or else that of the bundle's grid.
        bundle: the loaded bundle.

    Returns:
        (C, X, Y[, Z]) float32 with its affine.

    Raises:
        InputError: the number of axes or channels is wrong, a value is not finite, all values are the same, or the
            affine is invalid.
    """
    if affine is None and isinstance(voxels, MetaTensor):
        affine = np.asarray(voxels.affine, dtype=np.float64)
    tensor = _as_tensor(voxels)
    if tensor.ndim == bundle.spatial_dims and bundle.channels == 1:
        tensor = tensor[None]
    shape = tuple(tensor.shape)
    axes = ", ".join("XYZ"[: bundle.spatial_dims])
    if tensor.ndim != bundle.spatial_dims + 1 or shape[0] != bundle.channels or 0 in shape:
        _refuse(f"voxels of shape {tuple(voxels.shape)}", f"shape ({bundle.channels}, {axes})", "put channels first")
    for channel in tensor:
        low, high = float(channel.min()), float(channel.max())
        if not np.isfinite(low + high) or max(-low, high) > _MAX_MAGNITUDE:
            _refuse(f"voxels from {low:g} to {high:g}", "finite numbers", "replace NaN and infinite values")
        if low == high:
            _refuse(f"the value {low:g} in every voxel", "an image", "check how the array was made")
    return MetaTensor(tensor, affine=torch.as_tensor(_check_affine(affine, shape[1:], bundle)))


def _as_tensor(voxels: NDArray[Any] | Tensor) -> Tensor:
    """Return the voxels as a float32 tensor; they are copied only where their type or order requires it."""
    kind = voxels.dtype.kind if isinstance(voxels, np.ndarray) else "c" if voxels.is_complex() else "f"
    if kind not in "biuf":
        found = "complex voxels" if kind == "c" else f"voxels of type {voxels.dtype}"
        _refuse(found, "one real number per voxel", "pass one component, as numbers")
    if isinstance(voxels, Tensor):
        plain = voxels.as_tensor() if isinstance(voxels, MetaTensor) else voxels
        return plain.detach().cpu().to(torch.float32)
    # Numbers too large for float32 become infinite; `as_scan` reports them.
    with np.errstate(over="ignore"):
        numbers = np.asarray(voxels, dtype=np.float32)
    # PyTorch refuses negative strides, and warns of read-only arrays.
    usable = numbers.flags.writeable and min(numbers.strides, default=0) >= 0
    return torch.from_numpy(numbers if usable else numbers.copy(order="K"))


def _check_affine(affine: NDArray[Any] | None, shape: Sequence[int], bundle: LoadedBundle) -> NDArray[np.float64]:
    if affine is None:
        return bundle.own_affine
    try:
        expanded = np.asarray(affine, dtype=np.float64)
    except (TypeError, ValueError):
        _refuse(f"an affine that is a {type(affine).__name__}", "4x4 numbers", _REMEDY)
    # For a volume, 3x3 could be directions alone.
    if expanded.shape not in {(4, 4), (bundle.spatial_dims + 1,) * 2} or not np.isfinite(expanded).all():
        _refuse(f"an affine of shape {expanded.shape}: {expanded.tolist()}", "4x4 finite numbers", _REMEDY)
    full: NDArray[np.float64] = to_affine_nd(3, expanded)
    try:
        check_affine("affine", full, shape)
    except InputError as error:
        _refuse(error.found, error.expected, _REMEDY)
    return full


def _refuse(found: str, expected: str, remedy: str) -> NoReturn:
    raise InputError("scan", found=found, expected=expected, remedy=remedy)
