"""The check of one file: its axes and its voxels' values. Headers are checked in `check_header` and `check_grid`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from .errors import InputError
from .images.endings import is_nifti_like
from .images.header import Header

WHOLE_NUMBER_TOLERANCE = 1e-3
_MAX_LISTED_VALUES = 10
# The largest integer that tools use for label maps: a larger value is a mistake, and too large for tables by value.
_MAX_LABEL = 2**31 - 1
# Normalising squares voxels in float32, whose limit is 3.4e38.
_MAX_MAGNITUDE = 1e18


class Grid(NamedTuple):
    """The grid of a file's voxels: spatial shape (voxels) and voxel-to-world affine, 4x4 (mm)."""

    path: str
    shape: tuple[int, ...]
    affine: np.ndarray


def spatial_shape(path: str, shape: tuple[int, ...], channels: int, spatial_dims: int) -> tuple[int, ...]:
    """Return the part of the shape that is in space, as MONAI's LoadImage with `ensure_channel_first` reads it.

    Up to three axes are in space, and one more, the last, has the channels. With a second further axis, of any length,
    MONAI would exchange channels and depth. In NIfTI the third axis is in space even if its length is 1.

    Raises:
        InputError: MONAI would read other axes or channels.
    """
    rank = min(3, len(shape) if is_nifti_like(path) else len(shape) - (channels > 1))
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
        remedy="split or select the volumes, remove axes of length 1, or use a bundle for files of this kind",
        kind="channels" if channels > 1 and rank == spatial_dims else "dimensions",
    )


def find_image_problems(path: str, voxels: np.ndarray, *, axes: int) -> Iterator[InputError]:
    """Yield the problems of an image's values; its first `axes` axes are in space, a further one has the channels."""
    in_space = tuple(range(axes))
    lowest, highest = np.asarray(voxels.min(axis=in_space)), np.asarray(voxels.max(axis=in_space))
    if not (np.isfinite(lowest).all() and np.isfinite(highest).all()):
        yield from find_not_finite(path, voxels)
        return
    if (lowest == highest).any():
        value = lowest[lowest == highest].flat[0]
        yield InputError(
            path,
            found=f"the same value, {value:g}, in every voxel{' of a channel' if lowest.size > 1 else ''}",
            expected="an image with contrast",
            remedy="export or copy the scan again, or remove it from the dataset",
            kind="constant",
        )
    low, high = float(lowest.min()), float(highest.max())
    if max(-low, high) > _MAX_MAGNITUDE:
        yield InputError(
            path,
            found=f"voxels from {low:.3g} to {high:.3g}",
            expected=f"values between -{_MAX_MAGNITUDE:g} and {_MAX_MAGNITUDE:g}",
            remedy="replace voxels that are not measured (often a fill value), or scale the image",
            kind="range",
        )


def find_not_finite(path: str, voxels: np.ndarray) -> Iterator[InputError]:
    """Yield a problem for NaN voxels and one for infinite ones."""
    # Minimum and maximum are NaN if any voxel is, so no second array is needed to find one.
    if voxels.dtype.kind in "iub" or (np.isfinite(voxels.min()) and np.isfinite(voxels.max())):
        return
    for kind, word, count in (
        ("nan", "NaN", np.count_nonzero(np.isnan(voxels))),
        ("infinite", "infinite", np.count_nonzero(np.isinf(voxels))),
    ):
        if count:
            yield InputError(
                path,
                found=f"{count} of {voxels.size} voxels {word}",
                expected="a finite number in every voxel",
                remedy="replace these voxels (in an image, by its background), or write the file again",
                kind=kind,
            )


def find_lossy_label(header: Header) -> Iterator[InputError]:
    """Yield a problem for a label map in a format that changes values, whatever its name says."""
    if header.is_lossy:
        yield InputError(
            header.path,
            found="a label map with JPEG's compression, or another that changes values",
            expected="a label map as it was drawn: PNG, TIFF without JPEG, NIfTI",
            remedy="export it again from the program that it was drawn in; values that are lost do not come back",
            kind="label-lossy",
        )


def find_label_problems(
    path: str, values: np.ndarray, declared: Mapping[int, str] | None, ignored: Collection[int] = ()
) -> Iterator[InputError]:
    """Yield the problems of a label map's distinct, finite values; `declared` and `ignored` are those of `Wanted`."""
    largest = max(abs(int(values.min())), abs(int(values.max()))) if values.size else 0
    if largest > _MAX_LABEL:
        yield InputError(
            path,
            found=f"label values up to {largest:.3g}",
            expected=f"label values between -{_MAX_LABEL} and {_MAX_LABEL}",
            remedy="correct the label map (the value may be a fill value), or name another file",
            kind="range",
        )
        return
    whole = np.rint(values)
    off = np.abs(values - whole)
    broken = values[off > WHOLE_NUMBER_TOLERANCE]
    if broken.size:
        yield InputError(
            path,
            found=f"label values that are not whole numbers: {_join_values(broken)}",
            expected="one whole number per structure",
            remedy="write the label map again with nearest-neighbour interpolation",
            kind="label-not-integer",
        )
    # A value that is not whole is not reported as undeclared as well.
    found = set(whole[off <= WHOLE_NUMBER_TOLERANCE].astype(np.int64).tolist())
    undeclared = sorted(found - set(declared or ()) - set(ignored))
    if declared is not None and undeclared:
        yield InputError(
            path,
            found=f"undeclared label values: {_join_values(np.array(undeclared))}",
            expected=f"only declared values: {', '.join(declared.values())}",
            remedy='declare these labels, or add them to "ignore" if they mark voxels without annotation; otherwise correct '
            "the label map",
            kind="label-undeclared",
        )


def label_values(voxels: np.ndarray) -> np.ndarray:
    """Return the distinct values, sorted.

    It works slice by slice and sorts only the labelled voxels, which are few.
    """
    slices = np.moveaxis(voxels, -1, 0)
    return np.unique(np.concatenate([_distinct_values(part) for part in slices]))


def _distinct_values(part: np.ndarray) -> np.ndarray:
    labelled = np.unique(part[part != 0])
    return labelled if (part != 0).all() else np.append(labelled, part.dtype.type(0))


def _join_values(values: np.ndarray) -> str:
    shown = ", ".join(f"{value:.6g}" for value in values[:_MAX_LISTED_VALUES])
    more = len(values) - _MAX_LISTED_VALUES
    return f"{shown} and {more} more" if more > 0 else shown
