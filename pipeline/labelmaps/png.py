"""Write the label map of a picture as PNG, pixel on pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..data.errors import InputError
from ..data.images.door import read_header
from ..data.images.endings import is_picture
from ..files import whole_file

__all__ = ["check_png", "write_png"]

_MAX_LABEL = 2**16 - 1
_REMEDY = "use --format nii.gz, which holds label maps of every scan"


def check_png(scan: str | Path) -> None:
    """Check that the label map of a scan can be a PNG.

    Raises:
        InputError: the scan is no picture, or a stack of them.
    """
    axes = read_header(scan).axes if is_picture(scan) else 0
    if axes != 2:
        raise InputError(
            scan,
            found="a stack of pictures" if axes else "a scan that is no picture",
            expected="a picture (PNG, JPEG, BMP, TIFF with one page) for --format png",
            remedy=_REMEDY,
        )


def write_png(labels: NDArray[Any], path: str | Path) -> None:
    """Write a label map as a PNG of grey values that are the labels: 8 bits, or 16 if a label is above 255.

    Args:
        labels: (x, y), whole numbers from 0.
        path: the file, written completely or not at all.

    Raises:
        InputError: the label map has three axes, or a label is above 65535.
    """
    labels = labels[..., 0] if labels.ndim == 3 and labels.shape[-1] == 1 else labels
    highest = int(labels.max(initial=0))
    if labels.ndim != 2 or highest > _MAX_LABEL:
        raise InputError(
            path,
            found=f"a label map of shape {labels.shape} with labels up to {highest}",
            expected=f"two axes and labels up to {_MAX_LABEL} in a PNG",
            remedy=_REMEDY,
        )
    dtype = np.uint8 if highest < 256 else np.uint16
    # Pictures have the row first.
    picture = Image.fromarray(np.ascontiguousarray(labels.T, dtype=dtype))
    with whole_file(path) as temporary:
        picture.save(temporary, format="PNG", optimize=True)
