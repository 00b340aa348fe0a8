"""Write a merged label map in the grid of its masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...files import whole_file
from ..errors import InputError
from ..images.endings import COMPRESSED_NIFTI, is_nifti_like, is_picture
from ..images.gzip_stream import open_gzip
from ..images.header import Volume
from ..images.nifti_header import copy_geometry

__all__ = ["file_facts", "label_ending", "write_label_map"]


def file_facts(path: Path) -> list[int] | None:
    """Return a file's number of bytes and time of change (ns); None if there is no file."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def label_ending(mask: Path) -> str:
    """Return the ending of a label map that is made from masks: that of a picture for pictures."""
    return ".png" if is_picture(mask) else COMPRESSED_NIFTI


def write_label_map(voxels: NDArray[Any], like: Volume, path: Path) -> None:
    """Write a label map in the grid of a mask, whole or not at all.

    Args:
        voxels: values from 0, of an unsigned type; (X, Y, Z), or (X, Y).
        like: a mask; of a NIfTI file the header's geometry is copied, and nothing else.
        path: the file, `.nii.gz` or `.png`.

    Raises:
        InputError: a stack of pictures, whose label map cannot be a picture.
    """
    if path.suffix == ".png":
        if voxels.ndim > 2 and min(voxels.shape[2:]) > 1:
            raise InputError(
                like.header.path,
                found="a stack of pictures as a mask",
                expected="a mask per class as NIfTI, NRRD or MetaImage, or as a single picture",
                remedy="convert the masks to NIfTI",
            )
        with whole_file(path) as temporary:
            Image.fromarray(np.ascontiguousarray(voxels.reshape(voxels.shape[:2]).T)).save(temporary)
        return
    if is_nifti_like(like.header.path) and isinstance(like.native, nib.Nifti1Image):
        header = copy_geometry(like.native.header, voxels.shape, voxels.dtype)
        kind = type(like.native) if isinstance(like.native, nib.Nifti2Image) else nib.Nifti1Image
        image = kind(voxels, like.native.affine, header)
    else:
        image = nib.Nifti1Image(voxels, like.affine)
        image.header.set_xyzt_units("mm")
        image.set_qform(like.affine, code=1)
        image.set_sform(like.affine, code=1)
    with whole_file(path) as temporary, temporary.open("wb") as raw, open_gzip(raw) as stream:
        image.to_stream(stream)
