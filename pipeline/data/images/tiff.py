"""TIFF: one page or a stack, read with tifffile, whose types and layouts ITK and Pillow do not all know.

ITK takes a stack of tiles or of single bits for one in colour with four channels, and Pillow reads colours of 16 bits
as 8. Compressions that tifffile cannot undo alone (LZW, JPEG) are left to Pillow.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageSequence

from ..check_header import check_voxel_type
from ..errors import InputError
from .claimed_size import DEFLATE, LZW, PACKBITS
from .colours import alpha_note, count_colours, merge_equal_channels, palette_note
from .header import Header
from .itk_files import ras_affine
from .tiff_chain import check_chain
from .tiff_spacing import find_spacing

__all__ = ["TiffImage"]

_WHITE_IS_ZERO, _PALETTE = 0, 3
_RATIOS = {"NONE": 1, "PACKBITS": PACKBITS, "LZW": LZW, "ADOBE_DEFLATE": DEFLATE, "DEFLATE": DEFLATE}
_LOSSY = ("JPEG", "OJPEG", "ALT_JPEG", "WEBP", "JPEG2000", "JPEGXL", "JPEGXR", "JPEG_2000_LOSSY")
# tifffile's letters for axes, besides x, y and S, the samples of a pixel. A stack without names has Q or I.
_WORDS = {"T": "points of time", "C": "channels", "Z": "slices", "Q": "pages", "I": "pages"}


class TiffImage:
    """A TIFF: (x, y), (x, y, z), or one of these with channels last; y runs down.

    Its place is that of ITK: the first pixel at the origin, x to the left and y to the back (LPS).

    Args:
        path: the file.
        stream: the file, open at its start; `close` closes it.

    Raises:
        InputError: several images, or several points of time.
    """

    def __init__(self, path: str, stream: BinaryIO | None) -> None:
        import tifffile  # noqa: PLC0415 - few datasets need it

        # It logs what it skips; the chain of pages is checked here instead.
        logging.getLogger("tifffile").setLevel(logging.CRITICAL)
        self._stream = stream or Path(path).open("rb")  # noqa: SIM115 - closed by `close`
        try:
            check_chain(self._stream)
            self._stream.seek(0)
            self._tiff: Any = tifffile.TiffFile(self._stream, name=Path(path).name)
            self._series = _one_series(path, self._tiff)
            self._order, self._axes, notes = _find_order(path, self._series)
            self._page = self._series.keyframe
            self.header = self._read_header(path, notes)
        except BaseException:
            self.close()
            raise
        self.native: Any = None

    def _read_header(self, path: str, notes: list[InputError]) -> Header:
        shape, axes = tuple(int(self._series.shape[axis]) for axis in self._order), self._axes
        channels = int(np.prod(shape[axes:], dtype=int))
        colours = count_colours(channels, alpha=_has_alpha(self._page))
        if colours < channels:
            notes.append(alpha_note(path))
        if self._page.photometric == _PALETTE and (note := palette_note(path, np.transpose(self._page.colormap))):
            notes.append(note)
        spacing, unit, more = find_spacing(path, self._tiff, shape[:axes])
        dtype = np.dtype(np.uint8) if self._series.dtype.kind == "b" else np.dtype(self._series.dtype).newbyteorder("=")
        return Header(
            path,
            "tiff",
            (*shape[:axes], colours) if colours > 1 else shape[:axes],
            axes,
            ras_affine(np.eye(axes), spacing, np.zeros(axes)),
            spacing,
            dtype,
            unit,
            notes=(*notes, *more),
            is_lossy=self._page.compression.name in _LOSSY,
        )

    def check(self) -> None:
        """Refuse pixels of a type that is no real number."""
        check_voxel_type(self.header.path, self.header.dtype)

    def held_bytes(self) -> tuple[int, int] | None:
        """Return the file's bytes, and the most bytes of pixels in them; None for codings without a limit."""
        ratio = _RATIOS.get(self._page.compression.name)
        if ratio is None or not all(self._page.databytecounts):
            # A part of 0 bytes is not stored, and stands for zeros.
            return None
        size = Path(self.header.path).stat().st_size
        bits = max(1, int(self._page.bitspersample))
        return size, size * ratio * -(-8 * self.header.dtype.itemsize // bits)

    def voxels(self) -> np.ndarray:
        """Return all pixels, (x, y[, z]) or these with channels last."""
        axes = self.header.axes
        array = np.transpose(self._read().reshape(self._series.shape), self._order)
        array = array.reshape(*array.shape[:axes], -1)[..., : self.header.channels]
        array = np.asarray(array[..., 0] if array.shape[-1] == 1 else array, dtype=self.header.dtype)
        self.header, array = merge_equal_channels(self.header, array)
        # Otherwise it becomes NIfTI in memory, which has no channels of a 2D image.
        self.native = None if array.ndim == axes else _itk_image(array, self.header)
        return array

    def _read(self) -> np.ndarray:
        try:
            return np.asarray(self._series.asarray())
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
        return self._read_with_pillow()

    def _read_with_pillow(self) -> np.ndarray:
        """Return the pages, decoded by Pillow, in the shape of the series."""
        dtype, samples = self._series.dtype, self._page.samplesperpixel
        compression = self._page.compression.name
        if dtype.itemsize > 4 or (samples > 1 and dtype.itemsize > 1):
            raise InputError(
                self.header.path,
                found=f"{samples} x {8 * dtype.itemsize} bits per pixel, compressed as {compression}",
                expected="a TIFF without compression, or with deflate",
                remedy="write it again without compression, or install the package imagecodecs",
                kind="voxel-type",
            )
        self._stream.seek(0)
        with Image.open(self._stream) as picture:
            pages = [np.array(page) for page in ImageSequence.Iterator(picture)]
        array = np.stack(pages).astype(dtype)
        if self._page.photometric == _WHITE_IS_ZERO and dtype == np.uint8:
            # Pillow turns these round; everybody else returns them as stored.
            array = np.uint8(255) - array
        return array

    def slab(self, start: int, stop: int) -> np.ndarray:
        """Return the slab; the file is read whole."""
        return self.voxels()[(slice(None),) * (self.header.axes - 1) + (slice(start, stop),)]

    def close(self) -> None:
        """Close the file; the pixels stay."""
        self._stream.close()


def _one_series(path: str, tiff: Any) -> Any:
    """Return the file's only image, apart from smaller copies of it."""
    series = [one for one in tiff.series if not getattr(one.keyframe, "is_reduced", False)]
    if len(series) != 1:
        shapes = ", ".join(" x ".join(map(str, one.shape)) for one in series[:4])
        raise InputError(
            path,
            found=f"a TIFF with {len(series)} images of different kinds ({shapes})",
            expected="one picture, or one stack of pages of the same size and type",
            remedy="write each image to a file of its own",
            kind="dimensions",
        )
    return series[0]


def _find_order(path: str, series: Any) -> tuple[list[int], int, list[InputError]]:
    """Return the series' axes in the order x, y, z, channels, the number of those in space, and notes.

    ImageJ and tifffile call the pages of a plain stack times or channels where nobody has said what they are. Only
    OME-TIFF always says.
    """
    names = series.axes
    length = dict(zip(names, series.shape, strict=True))
    stacked = [name for name in names if name not in "YXS" and length[name] > 1]
    notes: list[InputError] = []
    if len(stacked) == 1 and series.kind != "ome":
        slices = stacked
        if stacked[0] in "TC":
            notes.append(_stack_note(path, length[stacked[0]], _WORDS[stacked[0]]))
    else:
        slices = [name for name in stacked if name != "C"]
        if len(slices) > 1 or any(name != "Z" for name in slices):
            raise _several_error(path, ", ".join(f"{length[name]} {_WORDS.get(name, name)}" for name in stacked))
    channels = [name for name in names if name in "SC" and name not in slices and length[name] > 1]
    first = ["X", "Y", *slices, *channels]
    rest = [index for index, name in enumerate(names) if name not in first]
    return [*(names.index(name) for name in first), *rest], 2 + len(slices), notes


def _stack_note(path: str, count: int, word: str) -> InputError:
    return InputError(
        path,
        found=f"{count} pages that the file calls {word}, read as slices",
        expected="pages that the file calls slices",
        remedy="if they are slices, do nothing; otherwise write each page to a file of its own",
        kind="stack-axis",
    )


def _several_error(path: str, found: str) -> InputError:
    return InputError(
        path,
        found=f"a TIFF with {found}",
        expected="one picture, or one volume with its channels",
        remedy="write each point of time and each position to a file of its own",
        kind="dimensions",
    )


def _has_alpha(page: Any) -> bool:
    """Return whether the last sample of a pixel is its opacity."""
    names = {getattr(sample, "name", str(sample)) for sample in page.extrasamples}
    return bool(names & {"ASSOCALPHA", "UNASSALPHA"})


def _itk_image(voxels: np.ndarray, header: Header) -> Any:
    """Return ITK's image of pixels with channels, (x, y[, z], c), for MONAI's reader."""
    import itk  # noqa: PLC0415

    image = itk.image_from_array(np.ascontiguousarray(np.moveaxis(voxels.T, 0, -1)), is_vector=True)
    image.SetSpacing([float(size) for size in header.spacing])
    return image
