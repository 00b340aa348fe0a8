"""DICOM series, with one file per slice or one file for all: headers are read with pydicom, voxels with ITK."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np

from ..check_header import check_voxel_type
from ..check_series import check_one_file, check_slices
from ..errors import InputError
from .dicom_slices import Slice, read_slice, read_slices, slice_order
from .header import Header, spacing_of
from .itk_files import itk_affine, itk_array, ras_affine, read_with_itk

__all__ = ["DicomImage"]

_CLASS = "GDCMImageIO"


class DicomImage:
    """A DICOM series, or one file of several frames.

    Args:
        path: the folder or the file.
        stream: of the file; closed, because pydicom and ITK open files themselves. None for a folder.

    Raises:
        InputError: the folder contains DICOM files, but no images.
        ValueError: there is no readable DICOM file.
    """

    def __init__(self, path: str, stream: BinaryIO | None) -> None:
        if stream is not None:
            stream.close()
        self._path, self._folder = path, stream is None
        self._damaged: list[str] = []
        if self._folder:
            self._slices, self._damaged = read_slices(path)
        else:
            one = read_slice(path)
            self._slices = [] if one is None else [one]
        images = [one for one in self._slices if one.is_image]
        if not images:
            # This raises an error with the reason, if there is one.
            check_slices(path, self._slices, self._damaged)
            msg = "no readable DICOM file"
            raise ValueError(msg)
        self.header = _header(path, images)
        self.native: Any = None

    def check(self) -> None:
        """Check the series with `check_slices`, or one file with `check_one_file`."""
        if self._folder:
            check_slices(self._path, self._slices, self._damaged)
        else:
            check_one_file(self._path, self._slices[0])

    def voxels(self) -> np.ndarray:
        """Return the voxels of all slices, in the order of their places."""
        self.native = read_with_itk(self._files(), _CLASS)
        voxels = itk_array(self.native)
        check_voxel_type(self._path, voxels.dtype)
        self.header = replace(self.header, shape=voxels.shape, affine=itk_affine(self.native), dtype=voxels.dtype)
        return voxels

    def slab(self, start: int, stop: int) -> np.ndarray:
        """Return slices from `start` to before `stop`; of a series no other files are read."""
        files = self._files()
        if isinstance(files, str) or len(files) == 1:
            return self.voxels()[:, :, start:stop]
        return itk_array(read_with_itk(files[start:stop], _CLASS))

    def close(self) -> None:
        """Do nothing: pydicom and ITK close their files."""

    def _files(self) -> str | list[str]:
        if not self._folder:
            return self._path
        try:
            files = [one.file for one in slice_order(check_slices(self._path, self._slices, self._damaged))]
        except InputError:
            files = _monai_files(self._path)
        return files[0] if len(files) == 1 else files


def _header(path: str, slices: list[Slice]) -> Header:
    ordered = slice_order(slices)
    first, last, count = ordered[0], ordered[-1], len(ordered)
    apart = float(np.linalg.norm(last.origin - first.origin)) / (count - 1) if count > 1 else first.thickness
    spacing = (*first.spacing.tolist(), apart)
    affine = ras_affine(first.direction, spacing, first.origin)
    shape = (*first.size, count if count > 1 else first.frames)
    return Header(path, "dicom", shape, 3, affine, spacing_of(affine, 3), first.dtype, modality=first.modality)


def _monai_files(folder: str) -> list[str]:
    """Return the files of a folder that MONAI's ITKReader reads, in its order; of several series the first."""
    import itk  # noqa: PLC0415

    names = itk.GDCMSeriesFileNames.New()
    names.SetUseSeriesDetails(True)
    names.AddSeriesRestriction("0008|0021")
    names.SetDirectory(folder)
    series = names.GetSeriesUIDs()
    if not series:
        msg = f"no DICOMs in: {folder}."
        raise FileNotFoundError(msg)
    return [str(file) for file in names.GetFileNames(series[0])]
