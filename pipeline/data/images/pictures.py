"""Pictures: PNG, JPEG and BMP are read with Pillow; TIFF, which may be a stack, with ITK, as in MONAI."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from ..check_header import check_voxel_type
from .header import Header
from .itk_files import ItkImage

__all__ = ["Picture"]

_TIFF = (".tif", ".tiff")


class Picture:
    """A picture, in which a pixel is 1 mm wide and y runs down.

    Args:
        path: the file.
        stream: the file, open at its start; `close` closes it.
    """

    def __init__(self, path: str, stream: BinaryIO | None) -> None:
        self._stream = stream or Path(path).open("rb")  # noqa: SIM115 - closed by `close`
        try:
            self._picture = Image.open(self._stream)
            self._itk = ItkImage(path, None) if path.lower().endswith(_TIFF) else None
        except BaseException:
            self.close()
            raise
        self.header: Header = self._itk.header if self._itk is not None else _header(path, self._picture)

    @property
    def native(self) -> Any:
        """Pillow's picture, or ITK's image of a TIFF."""
        return self._picture if self._itk is None else self._itk.native

    def check(self) -> None:
        """Refuse pixels of a type that is no real number."""
        check_voxel_type(self.header.path, self.header.dtype)

    def voxels(self) -> np.ndarray:
        """Return all pixels, (x, y) or (x, y, channels)."""
        # Pillow notices damage in a TIFF that ITK ignores.
        self._picture.load()
        if self._itk is None:
            return np.moveaxis(np.asarray(self._picture), 0, 1)
        voxels = self._itk.voxels()
        self.header = self._itk.header
        return voxels

    def slab(self, start: int, stop: int) -> np.ndarray:
        """Return the rows from `start` to before `stop`; the file is read whole."""
        axes = self.header.axes - 1
        return self.voxels()[(slice(None),) * axes + (slice(start, stop),)]

    def close(self) -> None:
        """Close the file; the pixels stay."""
        self._stream.close()


def _header(path: str, picture: Image.Image) -> Header:
    # A single pixel of the same mode has NumPy's type and number of channels.
    pixel = np.asarray(Image.new(picture.mode, (1, 1)))
    return Header(path, "picture", (*picture.size, *pixel.shape[2:]), 2, np.eye(4), (1.0, 1.0), pixel.dtype)
