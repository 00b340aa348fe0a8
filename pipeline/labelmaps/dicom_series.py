"""Read the slices of a DICOM series, and find the position of each in a label map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.errors import InputError

__all__ = ["match_slices", "read_series"]

_GRID_TOLERANCE = 0.1  # voxels
_SLICE_TOLERANCE = 0.5  # voxels: scanner tables move unevenly, and readers assume one distance between all slices
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns")


def read_series(scan: str | Path | None) -> list[Any]:
    """Return the slices of a DICOM series as pydicom data sets, without their pixels.

    Raises:
        InputError: the scan is not a folder with one series and a file per slice.
    """
    import pydicom  # noqa: PLC0415 (comes with highdicom)

    if scan is None or not Path(scan).is_dir():
        raise _series_error(scan, "no folder" if scan else "an array from memory")
    found = []
    for file in sorted(Path(scan).iterdir()):
        if file.is_file() and not file.name.startswith("."):
            try:
                dataset = pydicom.dcmread(file, stop_before_pixels=True)
            except pydicom.errors.InvalidDicomError:
                continue
            if all(dataset.get(name) for name in _PLACE):
                found.append(dataset)
    series = {str(dataset.get("SeriesInstanceUID", "")) for dataset in found}
    if len(series) != 1:
        raise _series_error(scan, f"{len(series)} series whose slices have a position")
    return found


def _series_error(scan: object, found: str) -> InputError:
    return InputError(
        str(scan or "the scan"),
        found=found,
        expected="the folder of one DICOM series with a file per slice, which a DICOM segmentation refers to",
        remedy="save the label map as NIfTI or NRRD",
    )


def match_slices(
    labels: NDArray[Any], affine: NDArray[np.float64], slices: Sequence[Any], scan: str
) -> tuple[list[Any], NDArray[Any]]:
    """Return the slices of a series in the label map's order, and the label map in the order of their pixels.

    Slices are matched by their positions, in any order of files and axes.

    Args:
        labels: (X, Y, Z).
        affine: 4 x 4 voxel-to-world (mm, RAS).
        slices: from `read_series`.
        scan: the folder's name, for the error message.

    Returns:
        The slices, ordered along the label map's axis, and a view of the label map as (slice, row, column).

    Raises:
        InputError: the label map is not in the grid of the series.
    """
    rows, columns = int(slices[0].Rows), int(slices[0].Columns)
    in_voxels = np.linalg.inv(_LPS @ affine) @ np.stack([_find_pixel_matrix(dataset) for dataset in slices])
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
            and all((dataset.Rows, dataset.Columns) == (rows, columns) for dataset in slices)
            and {abs(column_step), abs(row_step)} == {1}
            and max(turns.max(), shift.max()) < _GRID_TOLERANCE
            and gaps.max() < _SLICE_TOLERANCE
        ):
            return [slices[index] for index in order], frames[:, ::row_step, ::column_step]
    raise InputError(
        scan,
        found=f"{len(slices)} slices of {columns} x {rows} that do not match the label map of "
        f"{' x '.join(map(str, labels.shape))} voxels",
        expected="a label map in the grid of the series",
        remedy="save the label map after the inverse of the pre-processing, or as NIfTI or NRRD",
    )


def _find_pixel_matrix(dataset: Any) -> NDArray[np.float64]:
    """Return (4, 3), in mm (LPS): the step to the next column, the step to the next row, and the first pixel's centre.

    The fourth line makes the columns homogeneous: two directions and a point.
    """
    between_rows, between_columns = map(float, dataset.PixelSpacing)
    along = np.asarray(dataset.ImageOrientationPatient, dtype=float)
    steps = [along[:3] * between_columns, along[3:] * between_rows]
    place = np.stack([*steps, np.asarray(dataset.ImagePositionPatient, dtype=float)], axis=1)
    return np.vstack([place, [0, 0, 1]])
