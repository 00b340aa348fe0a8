"""Read the slices of a DICOM scan, and find the position of each in a label map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.errors import InputError
from ..data.images.dicom import scan_slices
from ..data.images.dicom_files import is_dicom, split_series
from ..data.images.dicom_slices import Slice

__all__ = ["Source", "match_slices", "read_source"]

_GRID_TOLERANCE = 0.1  # voxels
_SLICE_TOLERANCE = 0.5  # voxels: scanner tables move unevenly, and readers assume one distance between all slices
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns")


@dataclass(frozen=True, eq=False)
class Source:
    """The scan that a segmentation refers to.

    Attributes:
        datasets: a data set per slice, without its pixels; of an enhanced scan its only one, for all frames.
        slices: the slices or frames: of the data sets, or of the frames in the order of the file.
    """

    datasets: list[Any]
    slices: list[Slice]

    @property
    def is_enhanced(self) -> bool:
        """Whether the scan is one file with a description of each frame."""
        return self.slices[0].groups > 0 and len(self.datasets) == 1


def read_source(scan: str | Path | None) -> Source:
    """Return the slices of a DICOM series, or the frames of an enhanced file, with pydicom's data sets.

    Args:
        scan: the folder of a series, with a file per slice or one enhanced file; or an enhanced file.

    Raises:
        InputError: the scan is none of these.
    """
    import pydicom  # noqa: PLC0415 (comes with highdicom)

    if scan is None:
        raise _series_error(scan, "an array from memory")
    if not Path(split_series(scan)[0]).is_dir() and not is_dicom(scan):
        raise _series_error(scan, "no folder")
    slices = [one for one in scan_slices(str(scan)) if one.has_place]
    series = {one.series for one in slices}
    datasets = {
        file: pydicom.dcmread(file, stop_before_pixels=True, force=True)
        for file in dict.fromkeys(one.file for one in slices)
    }
    if all(one.frames == 1 and not one.groups for one in slices):
        slices = [one for one in slices if all(datasets[one.file].get(name) for name in _PLACE)]
        series = {one.series for one in slices}
        datasets = {one.file: datasets[one.file] for one in slices}
    elif len(datasets) > 1:
        raise _series_error(scan, f"{len(datasets)} enhanced files")
    if len(series) != 1:
        raise _series_error(scan, f"{len(series)} series whose slices have a position")
    return Source(list(datasets.values()), slices)


def _series_error(scan: object, found: str) -> InputError:
    return InputError(
        str(scan or "the scan"),
        found=found,
        expected="the folder of one DICOM series with a file per slice, or one enhanced DICOM file, which DICOM "
        "segmentations and structure sets refer to",
        remedy="save the label map as NIfTI or NRRD",
    )


def match_slices(
    labels: NDArray[Any], affine: NDArray[np.float64], slices: Sequence[Slice], scan: str
) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Return the order of a scan's slices in the label map, and the label map in the order of their pixels.

    Slices are matched by their positions, in any order of files and axes.

    Args:
        labels: (X, Y, Z).
        affine: 4 x 4 voxel-to-world (mm, RAS).
        slices: of a `Source`.
        scan: the folder's name, for the error message.

    Returns:
        The numbers of the slices along the label map's axis, and a view of the label map as (slice, row, column).

    Raises:
        InputError: the label map is not in the grid of the series.
    """
    columns, rows = slices[0].size
    in_voxels = np.linalg.inv(_LPS @ affine) @ np.stack([_find_pixel_matrix(one) for one in slices])
    steps = np.rint(in_voxels[0, :3, :2])
    column_axis, row_axis = np.abs(steps).argmax(axis=0)
    column_step, row_step = steps.sum(axis=0).astype(int)
    # If both are the same axis, the grids do not match.
    if column_axis != row_axis:
        slice_axis = 3 - column_axis - row_axis
        order = np.argsort(in_voxels[:, slice_axis, 2])
        frames = np.moveaxis(labels, (slice_axis, row_axis, column_axis), (0, 1, 2))
        turns = np.abs(in_voxels[:, :3, :2] - steps) * [columns, rows]
        # With a tilted gantry, readers use only the first slice's position, so only that one is compared in-plane.
        starts = np.where([column_step > 0, row_step > 0], 0, [columns - 1, rows - 1])
        shift = np.abs(in_voxels[order[0], [column_axis, row_axis], 2] - starts)
        gaps = np.abs(in_voxels[order, slice_axis, 2] - np.arange(len(slices)))
        if (
            frames.shape == (len(slices), rows, columns)
            and all(one.size == (columns, rows) for one in slices)
            and {abs(column_step), abs(row_step)} == {1}
            and max(turns.max(), shift.max()) < _GRID_TOLERANCE
            and gaps.max() < _SLICE_TOLERANCE
        ):
            return order, frames[:, ::row_step, ::column_step]
    raise InputError(
        scan,
        found=f"{len(slices)} slices of {columns} x {rows} that do not match the label map of "
        f"{' x '.join(map(str, labels.shape))} voxels",
        expected="a label map in the grid of the series",
        remedy="save the label map after the inverse of the pre-processing, or as NIfTI or NRRD",
    )


def _find_pixel_matrix(one: Slice) -> NDArray[np.float64]:
    """Return (4, 3), in mm (LPS): the step to the next column, the step to the next row, and the first pixel's centre.

    The fourth line makes the columns homogeneous: two directions and a point.
    """
    place = np.column_stack([one.direction[:, :2] * one.spacing, one.origin])
    return np.vstack([place, [0, 0, 1]])
