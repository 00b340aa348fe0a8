"""FreeSurfer's volumes, `.mgz` and `.mgh`, read with nibabel."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import nibabel
import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader

from ..check_header import check_header
from .claimed_size import DEFLATE
from .gzip_stream import GzipStream
from .header import Header, spacing_of
from .nifti import require_bytes

__all__ = ["MgzImage"]

_GZIP_START = b"\x1f\x8b"


class MgzImage:
    """A volume in FreeSurfer's MGH format; `.mgz` is the same, gzip-compressed.

    Its header places voxels in FreeSurfer's scanner coordinates, x to the right, y to the front, z up, in mm
    (https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat): RAS, as in NIfTI. A header without a place
    (goodRASFlag 0) means a coronal volume of 1 mm, as in FreeSurfer. Frames are channels.

    Args:
        path: the file.
        stream: the file, open at its start; `close` closes it.
    """

    def __init__(self, path: str, stream: BinaryIO | None) -> None:
        self._file = stream or Path(path).open("rb")  # noqa: SIM115 - closed by `close`
        start = self._file.read(len(_GZIP_START))
        self._file.seek(0)
        self._stream: Any = GzipStream(self._file) if start == _GZIP_START else self._file
        self._image: Any = nibabel.MGHImage.from_stream(self._stream)
        fields: MGHHeader = self._image.header
        shape = tuple(map(int, self._image.shape))
        affine = np.asarray(self._image.affine, dtype=float)
        dtype = fields.get_data_dtype().newbyteorder("=")
        self.header = Header(path, "mgz", shape, min(3, len(shape)), affine, spacing_of(affine, 3), dtype)
        # MONAI has no reader for this format, and gets a NIfTI image.
        self.native = None

    def check(self) -> None:
        """Check the header with `check_header`."""
        check_header(self.header)

    def held_bytes(self) -> tuple[int, int]:
        """Return the file's bytes, and the most bytes of voxels in them."""
        size = Path(self.header.path).stat().st_size
        return size, size * (DEFLATE if isinstance(self._stream, GzipStream) else 1)

    def voxels(self) -> np.ndarray:
        """Return all voxels; the file is read to its end and its checksum."""
        require_bytes(self.header, self.header.path, compressed=isinstance(self._stream, GzipStream))
        voxels = _native_order(np.asanyarray(self._image.dataobj))
        if isinstance(self._stream, GzipStream):
            self._stream.check_rest()
        return voxels

    def slab(self, start: int, stop: int) -> np.ndarray:
        """Return a slab; the rest of a compressed file is not read."""
        return _native_order(np.asanyarray(self._image.dataobj[:, :, start:stop]))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _native_order(voxels: np.ndarray) -> np.ndarray:
    """Return the voxels in this machine's byte order: FreeSurfer's files are big-endian."""
    return voxels.astype(voxels.dtype.newbyteorder("="), copy=False)
