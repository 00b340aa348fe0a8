"""`lightskip check --fix` for channels on different grids: which files can be resampled, and their new files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .check_file import Grid
from .check_grid import find_grid_problems
from .dataset import Case, Dataset, locate
from .images.door import read_header, read_volume
from .images.header import Header
from .nifti_bytes import nifti_bytes
from .resample import Change, compare_grids, is_same_plane, resample_image, resample_labels

__all__ = ["MIN_COVERED", "Resampling", "find_resampling", "resample_file"]

# Two channels that share less are rather of two patients or two frames of reference than of one examination.
MIN_COVERED = 0.5


@dataclass(frozen=True, eq=False)
class Resampling:
    """One file to resample.

    Attributes:
        old: its grid.
        new: that of its case's first image.
        change: how they differ.
        is_label: whether it is a label map.
        background: the declared value of a label map's background; None if the datalist names no labels.
        ignored: a declared value of voxels without annotation, which voxels outside a label map get; None for none.
    """

    old: Grid
    new: Grid
    change: Change
    is_label: bool
    background: int | None = None
    ignored: int | None = None


def find_resampling(case: Case, file: str, dataset: Dataset, *, spatial_dims: int) -> Resampling | str:
    """Return how to resample a channel or a label map to the grid of the case's first image, or why not to.

    Args:
        case: of the dataset, with several image files.
        file: one of them, or the label map.
        dataset: has the folder, the background's value and the ignored values.
        spatial_dims: axes in space, 2 or 3.
    """
    headers = [read_header(locate(dataset.folder, path)) for path in (*case.images, file)]
    first, own = headers[0], headers[-1]
    if first.unit != "mm" or own.unit != "mm":
        return f"lengths are in {own.unit if own.unit != 'mm' else first.unit}, so its place is not known"
    grids = [_grid(header, spatial_dims) for header in headers]
    new, old, is_label = grids[0], grids[-1], file == case.label
    if is_label and not any(_is_same(old, channel) for channel in grids[1:-1]):
        return "a label map must be in the grid of one of its channels"
    if not is_same_plane(old, new):
        return "it is in another plane than the first channel"
    change = compare_grids(old, new)
    if 1 - change.uncovered < MIN_COVERED:
        return (
            f"it covers only {100 * (1 - change.uncovered):.3g} % of the first channel: it may be of another patient "
            "or frame of reference; if it is right, name the smaller channel first"
        )
    background = (dataset.labels or {}).get("background")
    return Resampling(old, new, change, is_label, background, next(iter(dataset.ignored), None))


def resample_file(resampling: Resampling) -> bytes:
    """Return the resampled file as compressed NIfTI: float32 for an image, the smallest integers for a label map.

    Raises:
        InputError: the file has changed since the check, and cannot be read.
    """
    old, new = resampling.old, resampling.new
    voxels = read_volume(old.path).voxels.reshape(old.shape)
    result: NDArray[np.generic]
    if resampling.is_label:
        whole = np.rint(voxels).astype(np.int64)
        declared = [value for value in (resampling.background, resampling.ignored) if value is not None]
        ends = [np.min_scalar_type(end(whole.min(), whole.max(), *declared)) for end in (min, max)]
        result = resample_labels(
            whole.astype(np.promote_types(*ends)),
            *(old, new),
            background=resampling.background,
            outside=resampling.ignored,
        )
    else:
        result = resample_image(voxels, old, new)
    return nifti_bytes(result, new.affine)


def _grid(header: Header, spatial_dims: int) -> Grid:
    return Grid(header.path, header.shape[:spatial_dims], header.affine)


def _is_same(one: Grid, other: Grid) -> bool:
    return all(problem.kind == "grid-rounding" for problem in find_grid_problems(one, other))
