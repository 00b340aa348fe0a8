"""MONAI's loading of scans, with `.hdr/.img` pairs read like the same NIfTI image in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
from monai.config import PathLike
from monai.data import NibabelReader
from monai.transforms import LoadImaged
from monai.utils import ensure_tuple

from .volumes import analyze_refused, is_pair

__all__ = ["LoadScand", "NiftiPairReader"]


class NiftiPairReader(NibabelReader):
    """MONAI's NibabelReader, for `.hdr/.img` pairs.

    MONAI leaves pairs to ITK, which reads the geometry of some otherwise than nibabel reads the same image in one
    file: without a qform and an sform it turns x and y round; negative voxel sizes mirror the affine; a shear is
    dropped, or the file refused; units other than mm are converted. NIfTI-2, int8 and int64 it does not read.
    """

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Tell whether all files are halves of pairs."""
        return all(is_pair(str(name)) for name in ensure_tuple(filename))

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> Any:
        """Read the pairs, each named by either half, into one nibabel image or a list of them.

        Raises:
            InputError: one is Analyze 7.5, of which no reader knows how its axes run.
        """
        for name in ensure_tuple(data):
            if not isinstance(nibabel.load(Path(name)), nibabel.Nifti1Pair):
                raise analyze_refused(str(name))
        return super().read(data, **kwargs)


class LoadScand(LoadImaged):
    """MONAI's LoadImaged that reads `.hdr/.img` pairs with nibabel; arguments and result are the same.

    A reader given to LoadImaged itself would be tried on every file, and after a failure all others, NumPy's
    unpickling among them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register(NiftiPairReader())
