"""The check of one file: its axes and its voxels' values. What reading it tells is checked in volumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .errors import InputError
from .volumes import is_nifti, read_volume

_WHOLE_NUMBER_TOLERANCE = 1e-3
_MOST_LISTED_VALUES = 10
# Normalising squares voxels in float32, which ends at 3.4e38.
_LARGEST_MAGNITUDE = 1e18


class Grid(NamedTuple):
    """Where a file's voxels lie: spatial shape (voxels) and voxel-to-world affine, 4x4 (mm)."""

    path: str
    shape: tuple[int, ...]
    affine: np.ndarray


def check_image(path: str, *, channels: int, spatial_dims: int) -> Grid:
    """Read an image whole and return its grid, or raise InputError with what is wrong with it.

    Args:
        path: the file, or the folder of a DICOM series.
        channels: channels that this file should hold.
        spatial_dims: axes in space that it should have, 2 or 3.

    Raises:
        InputError: `read_volume` fails, MONAI would read other axes or channels, a voxel is not finite or beyond
            ±1e18, or all voxels of a channel have one value.
    """
    voxels, affine = read_volume(path)
    shape = _spatial_shape(path, voxels.shape, channels, spatial_dims)
    lowest, highest = _check_finite(path, voxels, axes=len(shape))
    _check_range(path, lowest, highest)
    return Grid(path, shape, affine)


def check_label(path: str, *, spatial_dims: int, declared: Mapping[int, str] | None) -> Grid:
    """Read a label map whole and return its grid, or raise InputError with what is wrong with it.

    Args:
        path: the file.
        spatial_dims: axes in space that it should have, 2 or 3.
        declared: the values that may occur besides 0, each with the words to show for it; None for any whole number.

    Raises:
        InputError: `read_volume` fails, MONAI would read other axes, a voxel is not finite, no whole number (to
            0.001) or not declared. A label map without any structure is fine.
    """
    voxels, affine = read_volume(path)
    shape = _spatial_shape(path, voxels.shape, channels=1, spatial_dims=spatial_dims)
    _check_finite(path, voxels, axes=len(shape))
    _check_label_values(path, _values_beside_zero(voxels), declared)
    return Grid(path, shape, affine)


def _spatial_shape(path: str, shape: tuple[int, ...], channels: int, spatial_dims: int) -> tuple[int, ...]:
    """Return the part of the shape that lies in space, as MONAI's LoadImage with `ensure_channel_first` takes it.

    Up to three axes lie in space and one more, the last, is that of the channels; a second one, of whatever length,
    ends in channels and depth exchanged. In NIfTI the third axis is in space even where it has length 1.
    """
    rank = min(3, len(shape) if is_nifti(path) else len(shape) - (channels > 1))
    spatial, others = shape[:rank], shape[rank:]
    fits = others == (channels,) or (channels == 1 and not others)
    if rank == spatial_dims and fits and 0 not in shape:
        return spatial
    axes = ", ".join("xyz"[:spatial_dims])
    noun = "volume" if spatial_dims == 3 else "slice"
    raise InputError(
        path,
        found=f"a file with {len(shape)} axes, shape {shape}",
        expected=f"one {noun} ({axes})" if channels == 1 else f"a {noun} with {channels} channels ({axes}, {channels})",
        remedy="split or select the volumes, take out axes of length 1, or use a bundle for files of this kind",
    )


def _check_finite(path: str, voxels: np.ndarray, *, axes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest value of each channel; the first `axes` axes lie in space."""
    in_space = tuple(range(axes))
    # NaN is its own lowest and highest value, so that no second array is needed to find one.
    lowest, highest = np.asarray(voxels.min(axis=in_space)), np.asarray(voxels.max(axis=in_space))
    if not (np.isfinite(lowest).all() and np.isfinite(highest).all()):
        bad = voxels.size - np.count_nonzero(np.isfinite(voxels))
        raise InputError(
            path,
            found=f"{bad} of {voxels.size} voxels NaN or infinite",
            expected="a finite number in every voxel",
            remedy="replace these voxels (for an image, by its background), or make the file again",
        )
    return lowest, highest


def _check_range(path: str, lowest: np.ndarray, highest: np.ndarray) -> None:
    """Refuse an image whose channels have these lowest and highest values."""
    if (lowest == highest).any():
        value = lowest[lowest == highest].flat[0]
        raise InputError(
            path,
            found=f"the same value, {value:g}, in every voxel{' of a channel' if lowest.size > 1 else ''}",
            expected="an image with contrast",
            remedy="export or copy the scan again, or take the case out of the datalist",
        )
    low, high = float(lowest.min()), float(highest.max())
    if max(-low, high) > _LARGEST_MAGNITUDE:
        raise InputError(
            path,
            found=f"voxels from {low:.3g} to {high:.3g}",
            expected=f"values between -{_LARGEST_MAGNITUDE:g} and {_LARGEST_MAGNITUDE:g}",
            remedy="replace the voxels that no scanner measured (often a fill value), or scale the image",
        )


def _values_beside_zero(voxels: np.ndarray) -> np.ndarray:
    """Return the distinct values, sorted, without 0: sorting the few labelled voxels of a slice is cheap."""
    slices = np.moveaxis(voxels, -1, 0)
    return np.unique(np.concatenate([np.unique(part[part != 0]) for part in slices]))


def _check_label_values(path: str, values: np.ndarray, declared: Mapping[int, str] | None) -> None:
    whole = np.rint(values)
    broken = values[np.abs(values - whole) > _WHOLE_NUMBER_TOLERANCE]
    if broken.size:
        raise InputError(
            path,
            found=f"label values that are not whole numbers: {_listed(broken)}",
            expected="one whole number per structure",
            remedy="make the label map again with nearest-neighbour interpolation",
        )
    undeclared = sorted(set(whole.astype(np.int64).tolist()) - {0, *(declared or {})})
    if declared is not None and undeclared:
        raise InputError(
            path,
            found=f"undeclared label values: {_listed(np.array(undeclared))}",
            expected=f"only the declared ones: {', '.join(declared.values())}",
            remedy="declare these labels, or correct the label map",
        )


def _listed(values: np.ndarray) -> str:
    shown = ", ".join(f"{value:.6g}" for value in values[:_MOST_LISTED_VALUES])
    more = len(values) - _MOST_LISTED_VALUES
    return f"{shown} and {more} more" if more > 0 else shown
