"""What reading and preparing a scan will take in memory, from its header alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np

from ..data.check_header import check_spacing
from ..data.layouts.headers import shape_and_spacing
from ..data.volumes import is_nifti
from .memory import preparation_bytes, reading_bytes
from .parts import Parts

__all__ = ["preparing_bytes"]

_ITK = 300 << 20  # bytes
_SAME_SPACING = 1e-5  # mm: beyond it MONAI resamples, as a header in float32 stays within it


def preparing_bytes(files: Sequence[str], parts: Parts) -> tuple[int, tuple[int, ...]]:
    """Return what reading and pre-processing a scan's files takes at its peak (bytes), and their shape.

    Raises:
        InputError: the first file's header cannot be read, or its spacing cannot be right.
    """
    shape, spacing = shape_and_spacing(Path(files[0]))
    shape, spacing = shape[: parts.spatial_dims], spacing[: parts.spatial_dims]
    if len(shape) < parts.spatial_dims:
        # Its check refuses it.
        return reading_bytes(prod(shape), channels=parts.channels), shape
    check_spacing(files[0], np.asarray(spacing), shape)
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
    return needed + (0 if is_nifti(files[0]) else _ITK), shape
