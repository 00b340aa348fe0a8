"""NIfTI-Zarr stores: OME-Zarr with the bytes of a NIfTI header, read with the package zarr."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
from nibabel.volumeutils import apply_read_scaling

from .header import Header
from .nifti_header import header_image, nifti_class, nifti_header
from .ome_zarr import OmeZarrImage, finest_level, open_store

__all__ = ["NiftiZarrImage"]

# Drafts of the format have other magic bytes, in the places of NIfTI-1 and NIfTI-2.
_DRAFT_MAGIC, _MAGIC = b"nz", b"n+"
_MAGIC_PLACES = (344, 4)


class NiftiZarrImage(OmeZarrImage):
    """The finest level of a NIfTI-Zarr store, with place and scaling from its NIfTI header.

    The header is an array of bytes called `nifti`, and takes precedence over the OME metadata; the order of axes is
    that of OME-Zarr (https://github.com/neuroscales/nifti-zarr, sections 2.4 and 1). World coordinates are RAS. A
    store without a header is read as OME-Zarr.

    Args:
        path: the folder.
        stream: of a file, which is no store; closed.

    Raises:
        InputError: as in `OmeZarrImage`.
        ValueError: the header is not NIfTI's, or its image has another size.
    """

    def __init__(self, path: str, stream: BinaryIO | None) -> None:
        group = open_store(path) if stream is None else None
        if group is None or "nifti" not in group:
            super().__init__(path, stream)
            return
        self._level = finest_level(group, path)
        header = nifti_header(
            path, _replace_draft_magic(np.asarray(group["nifti"][...]).tobytes()), format="nifti-zarr"
        )
        shape, header_shape = self._level.shape, tuple(size for size in header.shape if size != 1)
        if tuple(size for size in shape if size != 1) != header_shape:
            msg = f"a NIfTI header of shape {header.shape} with an array of shape {shape}"
            raise ValueError(msg)
        self.header: Header = replace(header, shape=shape, axes=self._level.spatial)
        self.native: Any = header_image(header.raw)

    def voxels(self) -> np.ndarray:
        """Return all voxels, scaled by the NIfTI header."""
        return self._scaled(super().voxels())

    def slab(self, start: int, stop: int) -> np.ndarray:
        """Return a slab; only its chunks are read."""
        return self._scaled(super().slab(start, stop))

    def _scaled(self, voxels: np.ndarray) -> np.ndarray:
        if self.native is None:
            return voxels
        fields = nifti_class(self.header.raw).header_class(self.header.raw, check=False)
        slope, intercept = fields.get_slope_inter()
        scaled: np.ndarray = apply_read_scaling(
            voxels, 1.0 if slope is None else slope, 0.0 if intercept is None else intercept
        )
        return scaled


def _replace_draft_magic(raw: bytes) -> bytes:
    for place in _MAGIC_PLACES:
        if raw[place : place + 2] == _DRAFT_MAGIC:
            return raw[:place] + _MAGIC + raw[place + 2 :]
    return raw
