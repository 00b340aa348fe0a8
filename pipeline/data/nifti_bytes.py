"""A volume as the bytes of a compressed NIfTI file, the same for the same volume."""

from __future__ import annotations

import gzip

import nibabel
import numpy as np
from numpy.typing import NDArray

from .check_grid import MAX_SHEAR

__all__ = ["nifti_bytes"]

_MAX_AXIS = 32767  # voxels along an axis: NIfTI-1 stores sizes in 16 bits
_SCANNER = 1  # NIfTI's code for scanner coordinates


def nifti_bytes(voxels: NDArray[np.generic], affine: NDArray[np.float64]) -> bytes:
    """Return a volume as `.nii.gz`, with sform and qform; without a qform, which cannot have shear, if there is any.

    Args:
        voxels: (X, Y) or (X, Y, Z), of the type to store.
        affine: voxel to world, 4 x 4 (mm, RAS).
    """
    kind = nibabel.Nifti2Image if max(voxels.shape) > _MAX_AXIS else nibabel.Nifti1Image
    image = kind(voxels, affine, dtype=voxels.dtype)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=_SCANNER)
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    is_sheared = np.abs(axes.T @ axes - np.eye(3)).max() > MAX_SHEAR
    image.set_qform(affine, code=0 if is_sheared else _SCANNER)
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)
