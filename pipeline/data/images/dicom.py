"""DICOM series, a file per slice or one file for all: headers are read with pydicom, voxels in `dicom_pixels`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..check_header import check_voxel_type
from ..check_series import check_one_file, check_slices, refuse_series, series_notes
from .dicom_files import split_series
from .dicom_pixels import read_values, values_type
from .dicom_slices import Slice, read_frames, read_slices, slice_order
from .dicom_study import choose_series, content_of
from .header import Header, spacing_of
from .itk_files import ras_affine

__all__ = ["DicomImage", "scan_slices"]


class DicomImage:
    """A DICOM series, or one file of several frames.

    Args:
        path: the folder or the file.
        stream: of the file; closed, because pydicom opens files itself. None for a folder.

    Raises:
        InputError: the folder contains DICOM files, but no images.
        ValueError: there is no readable DICOM file.
    """

    def __init__(self, path: str, stream: BinaryIO | None) -> None:
        if stream is not None:
            stream.close()
        self._path, self._folder = path, stream is None
        self._slices, self._damaged = _read(path) if self._folder else (read_frames(path), [])
        images = [one for one in self._slices if one.is_image]
        if not images:
            # This raises an error with the reason, if there is one.
            check_slices(path, self._slices, self._damaged)
            msg = "no readable DICOM file"
            raise ValueError(msg)
        scans = [one for one in images if content_of(one) is None] or images
        self._notes = series_notes(path, images) if self._folder else ()
        self.header = replace(_header(path, scans), notes=self._notes)
        self.native: Any = None

    def check(self) -> None:
        """Check the series with `check_slices`, or one file with `check_one_file`."""
        self._checked()

    def voxels(self) -> np.ndarray:
        """Return the voxels of all slices, in the order of their places."""
        import itk  # noqa: PLC0415

        ordered = slice_order(self._checked())
        values = read_values(ordered, values_type(ordered))
        check_voxel_type(self._path, values.dtype)
        self.header = replace(_header(self._path, ordered), dtype=values.dtype, notes=self._notes)
        # A view without a copy, for MONAI's ITKReader.
        self.native = itk.image_view_from_array(values)
        self.native.SetSpacing(self.header.spacing)
        self.native.SetOrigin(ordered[0].origin.tolist())
        self.native.SetDirection(ordered[0].direction)
        return values.T

    def slab(self, start: int, stop: int) -> np.ndarray:
        """Return slices from `start` to before `stop`; no other pixels are read."""
        ordered = slice_order(self._checked())
        return read_values(ordered[start:stop], values_type(ordered)).T

    def close(self) -> None:
        """Do nothing: files are closed as soon as they are read."""

    def _checked(self) -> list[Slice]:
        if self._folder:
            return check_slices(self._path, self._slices, self._damaged)
        return check_one_file(self._path, self._slices)


def scan_slices(path: str) -> list[Slice]:
    """Return the slices of the scans of a folder, or of a file, unchecked; objects that are no scan are left out."""
    slices = read_frames(path) if Path(path).is_file() else _read(path)[0]
    return [one for one in slices if one.is_image and content_of(one) is None]


def _read(path: str) -> tuple[list[Slice], list[str]]:
    """Return the slices of a folder, or of the series of it that a path names, and the files that cannot be read."""
    folder, word = split_series(path)
    slices, damaged = read_slices(folder)
    if not word:
        return slices, damaged
    chosen = choose_series(slices, word)
    if not chosen:
        refuse_series(path, slices, word)
    return chosen, damaged


def _header(path: str, slices: list[Slice]) -> Header:
    ordered = slice_order(slices)
    first, last, count = ordered[0], ordered[-1], len(ordered)
    apart = float(np.linalg.norm(last.origin - first.origin)) / (count - 1) if count > 1 else first.thickness
    spacing = (*first.spacing.tolist(), apart)
    affine = ras_affine(first.direction, spacing, first.origin)
    shape = (*first.size, count)
    return Header(path, "dicom", shape, 3, affine, spacing_of(affine, 3), first.dtype, modality=first.modality)
