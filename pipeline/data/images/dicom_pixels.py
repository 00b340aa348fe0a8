"""The values of DICOM slices: stored values, times the slope, plus the intercept of each slice.

Uncompressed pixels are read with NumPy. ITK (GDCM) decodes compressed ones, without applying anything to them: read as
a series, it would give all slices the type of the first, ignore the slopes of frames, and invert MONOCHROME1.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...leftovers import temporary_folder
from .dicom_slices import Slice
from .itk_files import read_with_itk

__all__ = ["read_values", "values_type"]

_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "")
_UNCOMPRESSED = (*_NATIVE, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
_WHOLE_BYTES = (8, 16, 32)
_CLASS = "GDCMImageIO"
_AT_A_TIME = 16  # slices: few, so that they take little memory next to the volume
_CT = "1.2.840.10008.5.1.4.1.1.2"
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def values_type(slices: Sequence[Slice]) -> np.dtype[Any]:
    """Return the type of a volume's values.

    It is the smallest integer type that holds every value that the slices can have, if each slope and intercept is a
    whole number; otherwise float32.
    """
    scales = np.array([(one.slope, one.intercept) for one in slices])
    if not (scales == np.rint(scales)).all():
        return np.dtype(np.float32)
    ends = []
    for one, (slope, intercept) in zip(slices, scales.tolist(), strict=True):
        bits = one.pixels.stored
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if one.pixels.signed else (0, 2**bits - 1)
        ends += [low * slope + intercept, high * slope + intercept]
    for kind in (np.uint8, np.uint16, np.int16, np.uint32, np.int32):
        if np.iinfo(kind).min <= min(ends) and max(ends) <= np.iinfo(kind).max:
            return np.dtype(kind)
    return np.dtype(np.float32)


def read_values(slices: Sequence[Slice], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the values of slices, (slice, row, column), of a type that `values_type` returned."""
    columns, rows = slices[0].size
    values = np.empty((len(slices), rows, columns), dtype)
    if (
        all(map(_is_scaled_by_itk, slices))
        and len({(one.slope, one.intercept, replace(one.pixels, start=0)) for one in slices}) == 1
    ):
        # Alike in all that the type of the first slice depends on: ITK reads several files faster than one by one.
        for start in range(0, len(slices), _AT_A_TIME):
            part = slices[start : start + _AT_A_TIME]
            values[start : start + len(part)] = _itk_pixels([one.file for one in part], slices[0])
        return values
    with _Decoder() as decoder:
        for target, one in zip(values, slices, strict=True):
            if _is_scaled_by_itk(one):
                target[...] = _itk_pixels(one.file, one)
                continue
            stored = _read_stored(one, decoder)
            if (one.slope, one.intercept) == (1, 0):
                target[...] = stored
            elif dtype.kind == "f":
                # In float64, so that each value is rounded once.
                target[...] = stored * np.float64(one.slope) + one.intercept
            else:
                # Overflow in between does no harm: the result modulo the type's range fits.
                slope, intercept = (np.array(int(number)).astype(dtype) for number in (one.slope, one.intercept))
                np.multiply(stored.astype(dtype, copy=False), slope, out=target)
                np.add(target, intercept, out=target)
    return values


def _is_scaled_by_itk(one: Slice) -> bool:
    """Return whether ITK, given this file alone, reads the right values: a compressed CT slice with whole numbers.

    It is faster than to read stored values. For other kinds of images GDCM has rules of its own on slopes.
    """
    return (
        one.syntax not in _UNCOMPRESSED
        and one.storage == _CT
        and one.frames == 1
        and one.pixels.photometric == "MONOCHROME2"
        and one.slope.is_integer()
        and one.intercept.is_integer()
    )


def _itk_pixels(files: str | list[str], one: Slice) -> NDArray[Any]:
    """Return the pixels of files with one frame as ITK reads them, (row, column) or (file, row, column)."""
    import itk  # noqa: PLC0415

    image = read_with_itk(files, _CLASS)
    array: NDArray[Any] = itk.array_view_from_image(image, keep_axes=False)
    # A copy, because the view does not keep the image.
    shape = one.size[::-1] if isinstance(files, str) else (len(files), *one.size[::-1])
    pixels: NDArray[Any] = array.reshape(shape).copy()
    return pixels


def _read_stored(one: Slice, decoder: _Decoder) -> NDArray[Any]:
    """Return a slice's stored values, (row, column)."""
    pixels = one.pixels
    if pixels.syntax not in _UNCOMPRESSED:
        return decoder.decode(one)
    if pixels.start and pixels.little and pixels.allocated in _WHOLE_BYTES and pixels.syntax in _NATIVE:
        raw = _read_bytes(one)
    else:
        raw = _read_with_pydicom(one)
    return _drop_other_bits(raw, one)


def _read_bytes(one: Slice) -> NDArray[Any]:
    columns, rows = one.size
    count = columns * rows
    place = one.pixels.start + one.index * count * one.dtype.itemsize
    return np.fromfile(one.file, one.dtype.newbyteorder("<"), count, offset=place).reshape(rows, columns)


def _read_with_pydicom(one: Slice) -> NDArray[Any]:
    import pydicom.pixels  # noqa: PLC0415

    # Given a path instead, pydicom does not inflate a deflated file.
    dataset = pydicom.dcmread(one.file, force=True)
    array: NDArray[Any] = pydicom.pixels.pixel_array(dataset, index=one.index, raw=True)
    return array


def _drop_other_bits(raw: NDArray[Any], one: Slice) -> NDArray[Any]:
    """Return values without the bits outside them, where old files have overlays."""
    pixels = one.pixels
    unused = pixels.allocated - pixels.stored
    if unused <= 0:
        return raw
    left = pixels.allocated - 1 - pixels.high
    # Shifted to the highest bit first, so that the sign is extended.
    values: NDArray[Any] = np.right_shift(np.left_shift(raw, left), unused)
    return values


class _Decoder:
    """Decodes frames with ITK, each from a temporary file in which it is the only one, still compressed.

    That file has no slope and is MONOCHROME2, so that ITK leaves the stored values as they are.
    """

    def __enter__(self) -> _Decoder:
        self._stack = ExitStack()
        self._folder: Path | None = None
        self._opened = ""
        self._frames: list[bytes] = []
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def decode(self, one: Slice) -> NDArray[Any]:
        """Return the stored values, (row, column)."""
        return _itk_pixels(self._write_frame(one), one)

    def _write_frame(self, one: Slice) -> str:
        from pydicom import Dataset  # noqa: PLC0415
        from pydicom.dataset import FileMetaDataset  # noqa: PLC0415
        from pydicom.encaps import encapsulate  # noqa: PLC0415

        if self._folder is None:
            self._folder = self._stack.enter_context(temporary_folder())
        if self._opened != one.file:
            self._frames, self._opened = _packed_frames(one), one.file
        target = Dataset()
        target.file_meta = FileMetaDataset()
        target.file_meta.TransferSyntaxUID = one.syntax
        target.SOPClassUID, target.SOPInstanceUID = _SECONDARY_CAPTURE, "1.2.3"
        target.Columns, target.Rows = one.size
        target.SamplesPerPixel, target.PhotometricInterpretation = 1, "MONOCHROME2"
        target.BitsAllocated, target.BitsStored = one.pixels.allocated, one.pixels.stored
        target.HighBit, target.PixelRepresentation = one.pixels.high, int(one.pixels.signed)
        target.PixelData = encapsulate([self._frames[one.index]])
        target["PixelData"].VR = "OB"
        path = self._folder / "frame.dcm"
        target.save_as(path, enforce_file_format=True)
        return str(path)


def _packed_frames(one: Slice) -> list[bytes]:
    """Return the frames of a file, still compressed."""
    from pydicom import dcmread  # noqa: PLC0415
    from pydicom.encaps import generate_frames  # noqa: PLC0415

    frames = list(generate_frames(dcmread(one.file, force=True).PixelData, number_of_frames=one.frames))
    if len(frames) != one.frames:
        msg = f"truncated: {len(frames)} of {one.frames} frames"
        raise ValueError(msg)
    return frames
