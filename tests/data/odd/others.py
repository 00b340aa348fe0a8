"""Formats that ITK reads, with a place that is mirrored, in another unit, or not in the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .case import Made, Odd


def written(ending: str) -> Callable[[Path], Made]:
    """Return the maker of a scan in the format of an ending."""

    def make(folder: Path) -> Made:
        image = sitk.GetImageFromArray(np.arange(14 * 16 * 18, dtype=np.float32).reshape(14, 16, 18))
        image.SetOrigin((10, 20, 30))
        image.SetSpacing((1, 1.25, 1.5))
        file = folder / f"scan{ending}"
        sitk.WriteImage(image, str(file))
        return Made(file)

    return make


# Prediction knows them by their names, other commands by what ITK says.
WORDS = "convert it to NIfTI"

ODD = [
    Odd("other-minc", written(".mnc"), "refused", "other-format", WORDS),
    Odd("other-vtk", written(".vtk"), "refused", "other-format", WORDS),
    Odd("other-gipl", written(".gipl"), "refused", "other-format", WORDS),
    Odd("other-mrc", written(".mrc"), "refused", "other-format", WORDS),
]
