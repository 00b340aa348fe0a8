"""NIfTI images in one file, `.nii` or `.nii.gz`, read with nibabel."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from nibabel.volumeutils import apply_read_scaling

from ..check_header import check_header
from .c_order import read_in_c_order
from .claimed_size import DEFLATE
from .gzip_stream import GzipStream
from .header import Header
from .nifti_forms import check_sform
from .nifti_header import START_BYTES, nifti_class, nifti_header
from .nifti_offset import quiet_nibabel, require_offset_inside
from .voxel_streams import rest_note

__all__ = ["NiftiImage", "explain_offset", "read_scaled", "require_bytes"]

_MIN_SCALED_AXES = 3  # in fewer there is little to save
_EXACT = ("i1", "u1", "i2", "u2", "f4")  # kinds and bytes of numbers that float32 holds without rounding


class NiftiImage:
    """A NIfTI image in one file, which is opened once for header and voxels.

    Args:
        path: the file.
        stream: the file, open at its start; `close` closes it.
    """

    def __init__(self, path: str, stream: BinaryIO | None) -> None:
        self._file = stream or Path(path).open("rb")  # noqa: SIM115 - closed by `close`
        self._stream: Any = GzipStream(self._file) if path.lower().endswith(".gz") else self._file
        start = self._stream.read(START_BYTES)
        self.header: Header = nifti_header(path, start)
        self._stream.seek(0)
        with quiet_nibabel():
            self.native: Any = nifti_class(start).from_stream(self._stream)

    def check(self) -> None:
        """Check the sform, and the header with `check_header`."""
        check_sform(self.header)
        check_header(self.header)

    def held_bytes(self) -> tuple[int, int]:
        """Return the file's bytes, and the most bytes of voxels in them."""
        size = Path(self.header.path).stat().st_size
        return size, size * (DEFLATE if isinstance(self._stream, GzipStream) else 1)

    def voxels(self) -> np.ndarray:
        """Return all voxels; the file is read to its end and its checksum."""
        require_bytes(self.header, self.header.path, offset=self._offset)
        with explain_offset(self.header.path, self.header.path, self._offset):
            voxels = read_scaled(self.native.dataobj)
        self._check_rest()
        return voxels

    def float_voxels(self) -> np.ndarray | None:
        """Return all voxels as float32 in C order, or None where this would round them or has no advantage."""
        stored, proxy = self.header.dtype, self.native.dataobj
        scaled = (proxy.slope, proxy.inter) != (1, 0)
        if scaled or stored.kind + str(stored.itemsize) not in _EXACT or len(self.header.shape) != 3:
            return None
        require_bytes(self.header, self.header.path, offset=self._offset)
        with explain_offset(self.header.path, self.header.path, self._offset):
            self._stream.seek(proxy.offset)
            voxels = read_in_c_order(self._stream, self.header.shape, stored, np.dtype(np.float32))
        self._check_rest()
        return voxels

    def slab(self, start: int, stop: int) -> np.ndarray:
        """Return a slab; the rest of a compressed file is not read."""
        before = (slice(None),) * (self.header.axes - 1)
        with explain_offset(self.header.path, self.header.path, self._offset):
            slab: np.ndarray = np.asanyarray(self.native.dataobj[(*before, slice(start, stop))])
        return slab

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _check_rest(self) -> None:
        """Read the file to its end, and note bytes after the voxels."""
        if isinstance(self._stream, GzipStream):
            self._stream.check_rest()
            size = self._stream.tell()
        else:
            size = Path(self.header.path).stat().st_size
        if rest := size - self._offset - _voxel_bytes(self.header):
            self.header = replace(self.header, notes=(*self.header.notes, rest_note(self.header.path, rest)))

    @property
    def _offset(self) -> int:
        return int(self.native.dataobj.offset)


@contextmanager
def explain_offset(path: str, file: str, offset: int) -> Iterator[None]:
    """Raise an InputError instead of a reader's error if voxels start after the end of a compressed file.

    Its size is known only by reading it, so this comes afterwards.

    Args:
        path: the image.
        file: the file with the voxels.
        offset: byte of its content where they start.
    """
    try:
        yield
    except (OSError, ValueError, OverflowError, EOFError):
        if file.lower().endswith(".gz"):
            require_offset_inside(path, offset, _count_bytes(file, offset))
        raise


def _count_bytes(file: str, limit: int) -> int:
    """Return the size (bytes) of a compressed file's content, or `limit` if it is larger or damaged."""
    try:
        with Path(file).open("rb") as raw:
            return GzipStream(raw).seek(limit)
    except (OSError, EOFError, zlib.error):
        return limit


def read_scaled(proxy: Any) -> np.ndarray:
    """Return what NumPy makes of nibabel's proxy of an image's voxels, with less memory.

    Values are scaled plane by plane: nibabel holds the stored ones and two arrays of scaled ones at a time.
    """
    stored = proxy.get_unscaled()
    slope, intercept = np.asanyarray(proxy.slope), np.asanyarray(proxy.inter)
    if (slope, intercept) == (1, 0) or stored.ndim < _MIN_SCALED_AXES:
        scaled: np.ndarray = apply_read_scaling(stored, slope, intercept)
        return scaled
    first = apply_read_scaling(stored[..., :1], slope, intercept)
    voxels = np.empty(stored.shape, first.dtype, order="F")
    for place in range(stored.shape[-1]):
        voxels[..., place] = apply_read_scaling(stored[..., place], slope, intercept)
    return voxels


def require_bytes(header: Header, file: str, *, offset: int = 0, compressed: bool | None = None) -> None:
    """Check that a file is large enough for the voxels in its header, before memory is allocated for them.

    Args:
        header: of the image.
        file: the file with the voxels.
        offset: byte where they start.
        compressed: whether the file is compressed; None to decide by its ending.

    Raises:
        InputError: the voxels start after the file's end.
        EOFError: the file is too small.
    """
    if compressed is None:
        compressed = file.lower().endswith(".gz")
    promised = _voxel_bytes(header)
    held = Path(file).stat().st_size * (DEFLATE if compressed else 1)
    if not compressed:
        require_offset_inside(header.path, offset, held)
        held = max(held - offset, 0)
    if promised > held:
        msg = f"Expected {promised} bytes of voxels, got at most {held}"
        raise EOFError(msg)


def _voxel_bytes(header: Header) -> int:
    return prod(header.shape) * header.dtype.itemsize
