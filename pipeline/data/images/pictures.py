"""Pictures: PNG, JPEG and BMP, read with Pillow. TIFF, which may be a stack and have a spacing, is in `tiff`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from ..check_header import check_voxel_type
from ..errors import InputError
from .claimed_size import DEFLATE
from .colours import alpha_note, merge_equal_channels, palette_note
from .header import Header

__all__ = ["Picture"]

_LOSSY = ("JPEG", "MPO", "JPEG2000", "WEBP", "AVIF")
# Pillow's modes with opacity, and those without it.
_WITHOUT_ALPHA = {"LA": "L", "La": "L", "RGBA": "RGB", "RGBa": "RGB", "PA": "P"}
_PNG = b"\x89PNG\r\n\x1a\n"
_MAX_PACKED = 8  # pixels of one bit in a byte
_DEPTH = 24  # the byte of a PNG that has the bits per channel


class Picture:
    """A picture, in which a pixel is 1 pixel wide and y runs down.

    Args:
        path: the file.
        stream: the file, open at its start; `close` closes it.
    """

    def __init__(self, path: str, stream: BinaryIO | None) -> None:
        self._stream = stream or Path(path).open("rb")  # noqa: SIM115 - closed by `close`
        try:
            self._picture: Image.Image = Image.open(self._stream)
            self.header = _header(path, self._picture, bits=_bits(self._stream))
        except BaseException:
            self.close()
            raise
        self._mode = _WITHOUT_ALPHA.get(self._picture.mode, self._picture.mode)

    @property
    def native(self) -> Any:
        """Pillow's picture, without opacity."""
        return self._picture

    def check(self) -> None:
        """Refuse pixels of a type that is no real number."""
        check_voxel_type(self.header.path, self.header.dtype)

    def held_bytes(self) -> tuple[int, int] | None:
        """Return the file's bytes, and the most bytes of pixels in them, of a PNG."""
        if self._picture.format != "PNG":
            return None
        size = Path(self.header.path).stat().st_size
        return size, size * DEFLATE * _MAX_PACKED

    def voxels(self) -> np.ndarray:
        """Return all pixels, (x, y) or (x, y, channels)."""
        self._picture.load()
        if self._picture.mode != self._mode:
            # Sliced instead of converted, which would multiply by the opacity in some modes.
            pixels = np.asarray(self._picture)[..., :-1]
            self._picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        voxels = np.moveaxis(np.asarray(self._picture), 0, 1)
        self.header, merged = merge_equal_channels(self.header, voxels)
        if merged is not voxels:
            self._picture = Image.fromarray(np.ascontiguousarray(merged.T))
        return merged

    def slab(self, start: int, stop: int) -> np.ndarray:
        """Return the rows from `start` to before `stop`; the file is read whole."""
        return self.voxels()[:, start:stop]

    def close(self) -> None:
        """Close the file; the pixels stay."""
        self._stream.close()


def _header(path: str, picture: Image.Image, *, bits: int) -> Header:
    mode = _WITHOUT_ALPHA.get(picture.mode, picture.mode)
    # A single pixel of the same mode has NumPy's type and number of channels.
    pixel = np.asarray(Image.new(mode, (1, 1)))
    notes = [alpha_note(path)] if mode != picture.mode else []
    colours = picture.getpalette("RGB") if mode == "P" else None
    if colours and (note := palette_note(path, np.reshape(colours, (-1, 3)))):
        notes.append(note)
    if bits > 8 * pixel.itemsize:
        notes.append(_depth_note(path, bits, 8 * pixel.itemsize))
    return Header(
        path,
        "picture",
        (*picture.size, *pixel.shape[2:]),
        2,
        np.eye(4),
        (1.0, 1.0),
        pixel.dtype,
        unit="px",
        notes=tuple(notes),
        is_lossy=picture.format in _LOSSY,
    )


def _bits(stream: BinaryIO) -> int:
    """Return the bits per channel in a PNG's header; 0 for other files."""
    place = stream.tell()
    stream.seek(0)
    start = stream.read(_DEPTH + 1)
    stream.seek(place)
    return start[_DEPTH] if start.startswith(_PNG) and len(start) > _DEPTH else 0


def _depth_note(path: str, stored: int, read: int) -> InputError:
    return InputError(
        path,
        found=f"colours of {stored} bits, read as {read}",
        expected=f"colours of {read} bits in a PNG",
        remedy="write it as TIFF, which is read with all bits",
        kind="colour-depth",
    )
