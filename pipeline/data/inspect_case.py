"""The check of one case: its files are read once, and everything wrong with them becomes a finding.

`lightskip check` measures the case on the way (`measure_case.py`); the gate of training, evaluation and prediction
does not. The findings are the same.
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
    find_not_finite,
    label_values,
    spatial_shape,
)
from .check_grid import find_grid_problems, find_header_problems
from .dataset import Case, locate, report_name
from .errors import InputError
from .findings import Finding
from .images.door import read_volume
from .images.header import Volume
from .inspection import Inspection, blank_record
from .intensities import add_sample, add_voxels
from .measure_case import Draw, Measures
from .wanted import Wanted

__all__ = ["Stopped", "hash_images", "inspect_case"]


class Stopped(Exception):  # noqa: N818 - nothing is wrong
    """A case was given up because the whole check shall end."""


@dataclass
class _CaseCheck:
    """One case while it is read."""

    case: Case
    folder: Path
    wanted: Wanted
    stop: threading.Event | None
    measures: Measures | None
    keep: Callable[[Volume], object] | None
    findings: list[Finding] = field(default_factory=list)
    digest: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    def require_time(self) -> None:
        if self.stop is not None and self.stop.is_set():
            raise Stopped

    def add(self, problem: InputError, file: str) -> None:
        self.findings.append(Finding.of(problem, case=self.case.name, file=file))

    def add_new(self, kind: str, file: str, *, found: str, expected: str, remedy: str) -> None:
        self.findings.append(Finding(kind, found, expected, remedy, self.case.name, file))

    def read(self, path: str, *, channels: int) -> tuple[Volume, tuple[int, ...]] | None:
        """Read a file whole, with its shape in space; None, and a finding, where that cannot be done."""
        self.require_time()
        file = str(locate(self.folder, path))
        try:
            volume = read_volume(file)
            return volume, spatial_shape(file, volume.voxels.shape, channels, self.wanted.spatial_dims)
        except InputError as problem:
            self.findings.append(Finding.unusable(problem, case=self.case.name, file=report_name(path)))
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
) -> Inspection:
    """Read a case's files whole, one after the other.

    Args:
        case: of a datalist.
        folder: where its relative paths start.
        wanted: what the case should be.
        stop: once it is set, the case is given up before the next step of the work.
        draw: draws the case's picture, if it is measured; without it there is none.
        measure: whether the record is filled and the picture drawn, for which the label map stays in memory while the
            images are read. Without, at most one file's voxels are in memory. The findings do not depend on it.
        keep: called with each image file that can be used, for who needs its voxels as well.

    Returns:
        All that is wrong with the case, and what it measures. Nothing is raised for a bad file.

    Raises:
        Stopped: `stop` was set.
    """
    record = blank_record(case)
    measures = Measures(record, wanted.declared or (), wanted.background, draw) if measure else None
    check = _CaseCheck(case, folder, wanted, stop, measures, keep)
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
            remedy="correct the datalist or the channels",
        )
    return Inspection(check.findings, record, voxels, None if measures is None else measures.thumbnail)


def hash_images(case: Case, folder: Path) -> str:
    """Read a case's images again and return the hash of all their values.

    Raises:
        InputError: an image cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in case.images:
        add_voxels(digest, read_volume(str(locate(folder, path))).voxels)
    return digest.hexdigest()


def _check_names(check: _CaseCheck) -> None:
    """Add a finding where a case names one file twice: for two channels, or as its own label map."""
    named = [*check.case.images, *([check.case.label] if check.case.label else [])]
    for path in sorted({path for path in named if named.count(path) > 1}):
        check.add_new(
            "same-file",
            report_name(path),
            found=f"this file {named.count(path)} times in one case",
            expected="another file for every channel and for the label map",
            remedy="correct the datalist",
        )


def _read_label(check: _CaseCheck, path: str) -> Grid | None:
    """Check the label map, measure its structures, and return its grid; None where it cannot be used at all."""
    read = check.read(path, channels=1)
    if read is None:
        return None
    (volume, shape), name = read, report_name(path)
    file = str(locate(check.folder, path))
    for each in find_header_problems(file, volume, shape):
        check.add(each, name)
    bad = list(find_not_finite(file, volume.voxels))
    values = None if bad else label_values(volume.voxels)
    if values is not None:
        bad = list(find_label_problems(file, values, check.wanted.declared))
        if not any(each.kind == "label-not-integer" for each in bad):
            _check_storage(check, name, volume, values)
    for each in bad:
        check.add(each, name)
    sound = all(each.kind == "label-undeclared" for each in bad)
    if values is not None and sound and (np.rint(values) == check.wanted.background).all():
        check.add_new(
            "label-empty",
            name,
            found=f"a label map without any structure: {check.wanted.background} in every voxel",
            expected="at least one labelled voxel",
            remedy="check that it is the right file; if the scan shows none of the structures, this is in order",
        )
    if check.measures is not None:
        check.require_time()
        check.measures.add_label(volume, shape, sound=sound)
    return Grid(name, shape, volume.affine)


def _check_storage(check: _CaseCheck, name: str, volume: Volume, values: np.ndarray) -> None:
    off = np.abs(values - np.rint(values)).max(initial=0)
    if off > 0:
        odd = values[np.abs(values - np.rint(values)) > 0][0]
        check.add_new(
            "label-rounding",
            name,
            found=f"label values such as {odd:.9g}, which count as {np.rint(odd):g}",
            expected=f"whole numbers; a value up to {WHOLE_NUMBER_TOLERANCE:g} away counts as one",
            remedy="nothing has to be done; `lightskip check --fix FOLDER` writes a copy with whole numbers",
        )
    elif volume.stored.startswith("float"):
        check.add_new(
            "label-float",
            name,
            found=f"whole numbers, stored as {volume.stored}",
            expected="an integer type",
            remedy="nothing has to be done; `lightskip check --fix FOLDER` writes a copy with integers",
        )


def _read_images(check: _CaseCheck, label: Grid | None) -> str | None:
    """Check the images, against the label map too, and return the hash of their voxels; None where one is unusable."""
    reference: Grid | None = None
    whole = True
    for number in range(len(check.case.images)):
        grid = _read_image(check, number, reference, label)
        whole = whole and grid is not None
        reference = reference or grid
    return check.digest.hexdigest() if whole else None


def _read_image(check: _CaseCheck, number: int, reference: Grid | None, label: Grid | None) -> Grid | None:
    """Check one image file and return its grid; None where it cannot be used at all.

    A function of its own, so that one image is gone from memory before the next is read.
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
    others = [(grid, reference)] if reference is not None else [] if label is None else [(label, grid)]
    for one, model in others:
        for each in find_grid_problems(one, model):
            check.add(each, one.path)
    check.require_time()
    if check.measures is None:
        add_sample(check.digest, volume.voxels)
    else:
        check.measures.add_image(volume, shape, first=reference is None, number=number)
        add_voxels(check.digest, volume.voxels)
    if check.keep is not None:
        check.keep(volume)
    return grid
