"""What reading and preparing a scan will take in memory, from its header alone."""

from __future__ import annotations

from math import prod

import numpy as np

from ..data.check_header import check_spacing
from ..data.images.header import Header
from .memory import preparation_bytes, reading_bytes
from .parts import Parts

__all__ = ["preparing_bytes"]

_ITK = 300 << 20  # bytes
_READ_BY_ITK = ("itk", "dicom", "picture")  # a TIFF is
_SAME_SPACING = 1e-5  # mm: beyond it MONAI resamples, as a header in float32 stays within it


def preparing_bytes(header: Header, parts: Parts) -> tuple[int, tuple[int, ...]]:
    """Return what reading and pre-processing a scan takes at its peak (bytes), and its shape.

    Args:
        header: of its (first) file.
        parts: of the bundle.

    Raises:
        InputError: its spacing cannot be right.
    """
    shape, spacing = header.spatial_shape[: parts.spatial_dims], header.spacing[: parts.spatial_dims]
    if len(shape) < parts.spatial_dims:
        # Its check refuses it.
        return reading_bytes(prod(shape), channels=parts.channels), shape
    check_spacing(header.path, np.asarray(spacing), shape)
    own = parts.own_spacing or spacing
    # Which axis is which does not matter for the product, if spacings are not far apart.
    change = prod(spacing) / prod(own)
    same = np.allclose(sorted(spacing), sorted(own), rtol=0, atol=_SAME_SPACING)
    voxels = prod(shape)
    needed = preparation_bytes(
        voxels,
        int(voxels * change),
        channels=parts.channels,
        resampled=not same,
        masked=parts.masked,
    )
    # The first file that ITK reads brings its libraries, which stay.
    return needed + (_ITK if header.format in _READ_BY_ITK else 0), shape
