"""NIfTI images in two files, a header (`.hdr`) and its voxels (`.img`), with nibabel."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, BinaryIO

import nibabel
import numpy as np

from ..check_header import check_header
from ..errors import InputError
from .files import pair_of
from .header import Header
from .nifti import require_bytes
from .nifti_header import START_BYTES, nifti_class, nifti_header

__all__ = ["NiftiPair"]


class NiftiPair:
    """A NIfTI pair, by the path of either half.

    nibabel reads its geometry, as it does for the same image in one file. ITK, to which MONAI leaves pairs, turns x and
    y round without a qform and an sform, mirrors the affine for negative voxel sizes, drops a shear or refuses the
    file, and converts units. NIfTI-2, int8 and int64 it does not read.

    Args:
        path: either half.
        stream: of it; closed, because nibabel opens both.

    Raises:
        InputError: it is Analyze 7.5, of which no reader knows how its axes run.
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
        self.native: Any = nibabel.load(Path(path))

    def check(self) -> None:
        """Refuse what `check_header` refuses."""
        check_header(self.header)

    def voxels(self) -> np.ndarray:
        """Read all voxels."""
        require_bytes(self.header, self._voxels_file)
        return np.asanyarray(self.native.dataobj)

    def slab(self, start: int, stop: int) -> np.ndarray:
        """Read a slab."""
        before = (slice(None),) * (self.header.axes - 1)
        return np.asanyarray(self.native.dataobj[(*before, slice(start, stop))])

    def close(self) -> None:
        """Do nothing: nibabel closes its files."""


def _analyze_error(path: str) -> InputError:
    return InputError(
        path,
        found="an Analyze 7.5 file, which does not say how its axes run",
        expected="a NIfTI file: readers mirror Analyze in different ways",
        remedy="convert it to NIfTI with the orientation that it was written in, and look at left and right",
        kind="form-missing",
    )
