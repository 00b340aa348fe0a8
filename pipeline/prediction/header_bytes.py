"""Estimate from a header how much memory reading and preparing the scan takes."""

from __future__ import annotations

from math import prod

import numpy as np

from ..data.check_header import check_spacing
from ..data.images.header import Header
from .loaded_bundle import LoadedBundle
from .memory import preparation_bytes, reading_bytes

__all__ = ["estimate_preparation"]

_ITK = 300 << 20  # bytes
_READ_BY_ITK = ("itk", "dicom")
_SAME_SPACING = 1e-5  # mm: MONAI resamples beyond it; rounding in a float32 header stays below it


def estimate_preparation(header: Header, bundle: LoadedBundle) -> tuple[int, tuple[int, ...]]:
    """Return the peak memory (bytes) of reading and pre-processing a scan, and the scan's shape.

    Args:
        header: header of its (first) file.
        bundle: the loaded bundle.

    Raises:
        InputError: the spacing is implausible.
    """
    shape, spacing = header.spatial_shape[: bundle.spatial_dims], header.spacing[: bundle.spatial_dims]
    if len(shape) < bundle.spatial_dims:
        # The check of the scan refuses it later.
        return reading_bytes(prod(shape), channels=bundle.channels), shape
    check_spacing(header.path, np.asarray(spacing), shape)
    own = bundle.own_spacing or spacing
    # The order of the axes does not matter for the product.
    change = prod(spacing) / prod(own)
    same = np.allclose(sorted(spacing), sorted(own), rtol=0, atol=_SAME_SPACING)
    voxels = prod(shape)
    needed = preparation_bytes(
        voxels,
        int(voxels * change),
        channels=bundle.channels,
        resampled=not same,
        masked=bundle.masked,
    )
    # ITK loads its libraries with the first file that it reads, and keeps them.
    return needed + (_ITK if header.format in _READ_BY_ITK else 0), shape
