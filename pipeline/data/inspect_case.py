"""The check of one case: its files are read once, and every problem becomes a finding.

`lightskip check` also measures the case (`measure_case.py`); the check before training, evaluation and prediction does
not. The findings are the same.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .check_file import (
    WHOLE_NUMBER_TOLERANCE,
    Grid,
    find_image_problems,
    find_label_problems,
    find_lossy_label,
    find_not_finite,
    label_values,
    spatial_shape,
)
from .check_grid import CHANNEL_REMEDY, LABEL_REMEDY, find_grid_problems, find_header_problems
from .dataset import Case, locate, report_name
from .errors import InputError
from .findings import RESAMPLED, Finding
from .images.door import read_volume
from .images.header import Volume
from .inspection import Inspection, blank_record
from .intensities import add_sample, add_voxels, channels_of, sample_voxels
from .measure_case import Draw, Measures
from .wanted import Wanted

__all__ = ["Stopped", "hash_images", "inspect_case"]


class Stopped(Exception):  # noqa: N818 - not an error
    """The check of a case was stopped because the whole check is to end."""


@dataclass
class _CaseCheck:
    """The state of one case's check."""

    case: Case
    folder: Path
    wanted: Wanted
    stop: threading.Event | None
    measures: Measures | None
    keep: Callable[[Volume], object] | None
    as_float: bool
    findings: list[Finding] = field(default_factory=list)
    unit: str | None = None
    digest: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))
    label_sample: np.ndarray | None = None

    def require_time(self) -> None:
        if self.stop is not None and self.stop.is_set():
            raise Stopped

    def add(self, problem: InputError, file: str, *, fixable: bool | None = None) -> None:
        self.findings.append(Finding.from_error(problem, case=self.case.name, file=file, fixable=fixable))

    def add_new(self, kind: str, file: str, *, found: str, expected: str, remedy: str) -> None:
        self.findings.append(Finding(kind, found, expected, remedy, self.case.name, file))

    def read(self, path: str, *, channels: int) -> tuple[Volume, tuple[int, ...]] | None:
        """Return a file's content and its shape in space; None, with a finding, if it cannot be read."""
        self.require_time()
        file = str(locate(self.folder, path))
        notes: tuple[InputError, ...] = ()
        try:
            volume = read_volume(file, as_float=self.as_float)
            # Also of a file with other axes: three channels that are read as one may be why.
            notes = volume.header.notes
            return volume, spatial_shape(file, volume.voxels.shape, channels, self.wanted.spatial_dims)
        except InputError as problem:
            for note in notes:
                self.add(note, report_name(path))
            self.findings.append(Finding.from_read_error(problem, case=self.case.name, file=report_name(path)))
            return None


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
    check = _CaseCheck(case, folder, wanted, stop, measures, keep, as_float)
    _check_names(check)
    label = None if case.label is None else _read_label(check, case.label)
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


def _check_names(check: _CaseCheck) -> None:
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


def _read_label(check: _CaseCheck, path: str) -> Grid | None:
    """Check the label map, measure its structures, and return its grid; None if it cannot be read."""
    read = check.read(path, channels=1)
    if read is None:
        return None
    (volume, shape), name = read, report_name(path)
    file = str(locate(check.folder, path))
    for each in find_header_problems(file, volume, shape):
        if each.kind != "palette":
            check.add(each, name)
    if volume.header.is_lossy:
        # Its values, often dozens, need no further finding.
        for each in find_lossy_label(volume.header):
            check.add(each, name)
        return Grid(name, shape, volume.affine)
    bad = list(find_not_finite(file, volume.voxels))
    values = None if bad else label_values(volume.voxels)
    if values is not None:
        bad = list(find_label_problems(file, values, check.wanted.declared, check.wanted.ignored))
        if not any(each.kind == "label-not-integer" for each in bad):
            _check_storage(check, name, volume, values)
    for each in bad:
        check.add(each, name)
    sound = all(each.kind == "label-undeclared" for each in bad)
    if values is not None and sound:
        _check_structures(check, name, set(np.rint(values).astype(int).tolist()))
    check.label_sample = sample_voxels(volume.voxels.reshape(shape))
    if check.measures is not None:
        check.require_time()
        check.measures.add_label(volume, shape, sound=sound)
    return Grid(name, shape, volume.affine)


def _check_structures(check: _CaseCheck, name: str, values: set[int]) -> None:
    """Add a finding if a label map has neither a structure nor, among ignored voxels, the background."""
    background, ignored = check.wanted.background, values.intersection(check.wanted.ignored)
    if values <= ignored:
        check.add_new(
            "label-empty",
            name,
            found=f"a label map without any annotation: {_join(ignored)}, which is ignored, in every voxel",
            expected="at least one annotated voxel",
            remedy="check that it is the right file, or remove the case: nothing of it counts",
        )
    elif values <= ignored | {background}:
        more = f" or {_join(ignored)}, which is ignored," if ignored else ""
        check.add_new(
            "label-empty",
            name,
            found=f"a label map without any structure: {background}{more} in every voxel",
            expected="at least one labelled voxel",
            remedy="check that it is the right file; if the scan shows none of the structures, do nothing",
        )


def _join(values: set[int]) -> str:
    return " or ".join(map(str, sorted(values)))


def _check_storage(check: _CaseCheck, name: str, volume: Volume, values: np.ndarray) -> None:
    off = np.abs(values - np.rint(values)).max(initial=0)
    if off > 0:
        odd = values[np.abs(values - np.rint(values)) > 0][0]
        check.add_new(
            "label-rounding",
            name,
            found=f"label values such as {odd:.9g}, which count as {np.rint(odd):g}",
            expected=f"whole numbers; a value up to {WHOLE_NUMBER_TOLERANCE:g} away counts as one",
            remedy="do nothing, or run `lightskip check --fix FOLDER`, which writes a copy with whole numbers",
        )
    elif volume.stored.startswith("float"):
        check.add_new(
            "label-float",
            name,
            found=f"whole numbers, stored as {volume.stored}",
            expected="an integer type",
            remedy="do nothing, or run `lightskip check --fix FOLDER`, which writes a copy with integers",
        )


def _check_copy_of_label(check: _CaseCheck, name: str, volume: Volume, axes: int) -> None:
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


def _read_images(check: _CaseCheck, label: Grid | None) -> str | None:
    """Check the images, also against the label map, and return the hash of their voxels; None if one is unusable."""
    reference: Grid | None = None
    whole = True
    for number in range(len(check.case.images)):
        grid = _read_image(check, number, reference, label)
        whole = whole and grid is not None
        reference = reference or grid
    return check.digest.hexdigest() if whole else None


def _check_grids(check: _CaseCheck, grid: Grid, reference: Grid | None, label: Grid | None) -> None:
    """Compare an image's grid with that of the first, or that of the label map with the first image's."""
    if reference is not None:
        for each in find_grid_problems(grid, reference, CHANNEL_REMEDY):
            check.add(each, grid.path, fixable=True if each.kind in RESAMPLED else None)
    elif label is not None:
        for each in find_grid_problems(label, grid, LABEL_REMEDY if len(check.case.images) > 1 else ""):
            check.add(each, label.path)


def _read_image(check: _CaseCheck, number: int, reference: Grid | None, label: Grid | None) -> Grid | None:
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
