"""The check of one case: its files are read once, and every problem becomes a finding.

`lightskip check` also measures the case (`measure_case.py`); the check before training, evaluation and prediction does
not. The findings are the same.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .case_check import CaseCheck, Stopped
from .check_file import Grid, find_image_problems
from .check_grid import CHANNEL_REMEDY, LABEL_REMEDY, find_grid_problems, find_header_problems
from .dataset import Case, locate, report_name
from .findings import RESAMPLED
from .images.door import read_volume
from .images.header import Volume
from .inspect_label import read_label
from .inspection import Inspection, blank_record
from .intensities import add_sample, add_voxels, channels_of, sample_voxels
from .measure_case import Draw, Measures
from .wanted import Wanted

__all__ = ["Stopped", "hash_images", "inspect_case"]


def inspect_case(
    case: Case,
    folder: Path,
    wanted: Wanted,
    stop: threading.Event | None = None,
    draw: Draw | None = None,
    *,
    measure: bool = True,
    keep: Callable[[Volume], object] | None = None,
    as_float: bool = False,
) -> Inspection:
    """Read a case's files whole, one after the other, and return the findings and measurements.

    Args:
        case: of a datalist.
        folder: where its relative paths start.
        wanted: the expected channels, dimensions and labels.
        stop: once it is set, the check stops before its next step.
        draw: draws the case's picture, if it is measured; without it there is none.
        measure: whether to fill the record and draw the picture. The label map then stays in memory while the images
            are read; otherwise at most one file's voxels are in memory. The findings do not depend on it.
        keep: called with each usable image file, for callers that need its voxels as well.
        as_float: as in `read_volume`. The findings do not depend on it.

    Returns:
        The case's findings and measurements. Bad files raise nothing.

    Raises:
        Stopped: `stop` was set.
    """
    record = blank_record(case)
    measures = Measures(record, wanted.declared or (), wanted.background, draw, wanted.ignored) if measure else None
    check = CaseCheck(case, folder, wanted, stop, measures, keep, as_float)
    _check_names(check)
    label = None if case.label is None else read_label(check, case.label)
    voxels = None
    if len(case.images) in (1, wanted.channels):
        voxels = _read_images(check, label)
    else:
        several = f"{wanted.channels} files, one per channel, or one file with all channels"
        check.add_new(
            "channels",
            report_name(case.images[0]),
            found=f"{len(case.images)} image files in one case",
            expected="one file" if wanted.channels == 1 else several,
            remedy="correct the case's files or the channels in the datalist",
        )
    record["unit"] = check.unit
    return Inspection(check.findings, record, voxels, None if measures is None else measures.thumbnail)


def hash_images(case: Case, folder: Path) -> str:
    """Return the hash of all values of a case's images, which are read again.

    Raises:
        InputError: an image cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in case.images:
        add_voxels(digest, read_volume(str(locate(folder, path))).voxels)
    return digest.hexdigest()


def _check_names(check: CaseCheck) -> None:
    """Add a finding if a case names one file twice: for two channels, or as image and label map."""
    named = [*check.case.images, *([check.case.label] if check.case.label else [])]
    for path in sorted({path for path in named if named.count(path) > 1}):
        check.add_new(
            "same-file",
            report_name(path),
            found=f"this file {named.count(path)} times in one case",
            expected="a different file for each channel and for the label map",
            remedy="correct this case in the datalist",
        )


def _check_copy_of_label(check: CaseCheck, name: str, volume: Volume, axes: int) -> None:
    """Add a finding if a channel has the values of the label map, which is read again only if a sample agrees."""
    if check.label_sample is None or check.case.label is None:
        return
    for channel in channels_of(volume.voxels, axes):
        if not np.array_equal(sample_voxels(channel), check.label_sample):
            continue
        label = read_volume(str(locate(check.folder, check.case.label)), as_float=check.as_float).voxels
        planes = zip(np.moveaxis(channel, -1, 0), np.moveaxis(label.reshape(channel.shape), -1, 0), strict=True)
        # Plane by plane, because a comparison makes an array of its size.
        if all(np.array_equal(one, other) for one, other in planes):
            check.add_new(
                "image-is-label",
                name,
                found="the values of its label map, in every voxel",
                expected="a scan",
                remedy="correct this case in the datalist: it may name the label map twice, or a copy of it",
            )


def _read_images(check: CaseCheck, label: Grid | None) -> str | None:
    """Check the images, also against the label map, and return the hash of their voxels; None if one is unusable."""
    reference: Grid | None = None
    whole = True
    for number in range(len(check.case.images)):
        grid = _read_image(check, number, reference, label)
        whole = whole and grid is not None
        reference = reference or grid
    return check.digest.hexdigest() if whole else None


def _check_grids(check: CaseCheck, grid: Grid, reference: Grid | None, label: Grid | None) -> None:
    """Compare an image's grid with that of the first, or that of the label map with the first image's."""
    if reference is not None:
        for each in find_grid_problems(grid, reference, CHANNEL_REMEDY):
            check.add(each, grid.path, fixable=True if each.kind in RESAMPLED else None)
    elif label is not None:
        for each in find_grid_problems(label, grid, LABEL_REMEDY if len(check.case.images) > 1 else ""):
            check.add(each, label.path)


def _read_image(check: CaseCheck, number: int, reference: Grid | None, label: Grid | None) -> Grid | None:
    """Check one image file and return its grid; None if it cannot be used.

    It is a separate function so that each image is freed before the next one is read.
    """
    path = check.case.images[number]
    read = check.read(path, channels=check.wanted.channels if len(check.case.images) == 1 else 1)
    if read is None:
        return None
    (volume, shape), name = read, report_name(path)
    file = str(locate(check.folder, path))
    problems = [*find_image_problems(file, volume.voxels, axes=len(shape)), *find_header_problems(file, volume, shape)]
    for each in problems:
        check.add(each, name)
    if any(each.kind in ("nan", "infinite", "range") for each in problems):
        return None
    grid = Grid(name, shape, volume.affine)
    _check_grids(check, grid, reference, label)
    check.unit = check.unit or volume.header.unit
    _check_copy_of_label(check, name, volume, len(shape))
    check.require_time()
    if check.measures is None:
        add_sample(check.digest, volume.voxels)
    else:
        check.measures.add_image(volume, shape, first=reference is None, number=number)
        add_voxels(check.digest, volume.voxels)
    if check.keep is not None:
        check.keep(volume)
    return grid
