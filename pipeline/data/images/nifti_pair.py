"""NIfTI images in two files, a header (`.hdr`) and its voxels (`.img`), read with nibabel."""

from __future__ import annotations

import gzip
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import nibabel
import numpy as np

from ..check_header import check_header
from ..errors import InputError
from .claimed_size import DEFLATE
from .files import pair_of
from .header import Header
from .nifti import explain_offset, read_scaled, require_bytes
from .nifti_forms import check_sform
from .nifti_header import START_BYTES, nifti_class, nifti_header
from .nifti_offset import quiet_nibabel
from .voxel_streams import Coding, VoxelStream, rest_note, skip_streams

__all__ = ["NiftiPair"]


class NiftiPair:
    """A NIfTI pair, by the path of either half.

    nibabel reads its geometry, as for the same image in one file. MONAI would use ITK, which flips x and y if there is
    neither a qform nor an sform, mirrors the affine for negative voxel sizes, drops a shear or refuses the file, and
    converts units. ITK cannot read NIfTI-2, int8 and int64.

    Args:
        path: either half.
        stream: of that half; closed, because nibabel opens both.

    Raises:
        InputError: the file is Analyze 7.5, which does not define the directions of its axes.
    """

    def __init__(self, path: str, stream: BinaryIO | None) -> None:
        if stream is not None:
            stream.close()
        header_file, self._voxels_file = pair_of(path)
        opener: Any = gzip.open if header_file.lower().endswith(".gz") else open
        with opener(header_file, "rb") as opened:
            start = opened.read(START_BYTES)
        if nifti_class(start) is None and nibabel.AnalyzeHeader.may_contain_header(start):
            raise _analyze_error(path)
        self.header: Header = nifti_header(path, start, format="pair")
        with quiet_nibabel():
            self.native: Any = nibabel.load(Path(path))

    def check(self) -> None:
        """Check the sform, and the header with `check_header`."""
        check_sform(self.header)
        check_header(self.header)

    def held_bytes(self) -> tuple[int, int]:
        """Return the bytes of the file with the voxels, and the most bytes of voxels in them."""
        size = Path(self._voxels_file).stat().st_size
        return size, size * (DEFLATE if self._voxels_file.lower().endswith(".gz") else 1)

    def voxels(self) -> np.ndarray:
        """Return all voxels."""
        require_bytes(self.header, self._voxels_file, offset=self._offset)
        with explain_offset(self.header.path, self._voxels_file, self._offset):
            voxels = read_scaled(self.native.dataobj)
        coding: Coding = "gzip" if self._voxels_file.lower().endswith(".gz") else "raw"
        size = math.prod(self.header.shape) * self.header.dtype.itemsize
        # nibabel does not read a compressed file to its end, where its checksum is.
        if rest := skip_streams([VoxelStream(Path(self._voxels_file), 0, coding, size, self._offset)]):
            self.header = replace(self.header, notes=(*self.header.notes, rest_note(self.header.path, rest)))
        return voxels

    def slab(self, start: int, stop: int) -> np.ndarray:
        """Return a slab."""
        before = (slice(None),) * (self.header.axes - 1)
        with explain_offset(self.header.path, self._voxels_file, self._offset):
            slab: np.ndarray = np.asanyarray(self.native.dataobj[(*before, slice(start, stop))])
        return slab

    def close(self) -> None:
        """Do nothing: nibabel closes its files."""

    @property
    def _offset(self) -> int:
        return int(self.native.dataobj.offset)


def _analyze_error(path: str) -> InputError:
    return InputError(
        path,
        found="an Analyze 7.5 file, which does not define the directions of its axes",
        expected="a NIfTI file: readers mirror Analyze files in different ways",
        remedy="convert it to NIfTI with its original orientation, and check left and right",
        kind="form-missing",
    )
