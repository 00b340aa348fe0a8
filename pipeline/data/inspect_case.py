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
    image_problems,
    label_problems,
    label_values,
    not_finite,
    spatial_shape,
)
from .check_grid import grid_problems, header_problems
from .dataset import Case, located, reported
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
class _Work:
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
        file = str(located(self.folder, path))
        try:
            volume = read_volume(file)
            return volume, spatial_shape(file, volume.voxels.shape, channels, self.wanted.spatial_dims)
        except InputError as problem:
            self.findings.append(Finding.unusable(problem, case=self.case.name, file=reported(path)))
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
    work = _Work(case, folder, wanted, stop, measures, keep)
    _check_names(work)
    label = None if case.label is None else _read_label(work, case.label)
    voxels = None
    if len(case.images) in (1, wanted.channels):
        voxels = _read_images(work, label)
    else:
        several = f"{wanted.channels} files, one per channel, or one file with all channels"
        work.add_new(
            "channels",
            reported(case.images[0]),
            found=f"{len(case.images)} image files in one case",
            expected="one file" if wanted.channels == 1 else several,
            remedy="correct the datalist or the channels",
        )
    return Inspection(work.findings, record, voxels, None if measures is None else measures.thumbnail)


def hash_images(case: Case, folder: Path) -> str:
    """Read a case's images again and return the hash of all their values.

    Raises:
        InputError: an image cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in case.images:
        add_voxels(digest, read_volume(str(located(folder, path))).voxels)
    return digest.hexdigest()


def _check_names(work: _Work) -> None:
    """Add a finding where a case names one file twice: for two channels, or as its own label map."""
    named = [*work.case.images, *([work.case.label] if work.case.label else [])]
    for path in sorted({path for path in named if named.count(path) > 1}):
        work.add_new(
            "same-file",
            reported(path),
            found=f"this file {named.count(path)} times in one case",
            expected="another file for every channel and for the label map",
            remedy="correct the datalist",
        )


def _read_label(work: _Work, path: str) -> Grid | None:
    """Check the label map, measure its structures, and return its grid; None where it cannot be used at all."""
    read = work.read(path, channels=1)
    if read is None:
        return None
    (volume, shape), name = read, reported(path)
    file = str(located(work.folder, path))
    for each in header_problems(file, volume, shape):
        work.add(each, name)
    bad = list(not_finite(file, volume.voxels))
    values = None if bad else label_values(volume.voxels)
    if values is not None:
        bad = list(label_problems(file, values, work.wanted.declared))
        if not any(each.kind == "label-not-integer" for each in bad):
            _add_how_stored(work, name, volume, values)
    for each in bad:
        work.add(each, name)
    sound = all(each.kind == "label-undeclared" for each in bad)
    if values is not None and sound and (np.rint(values) == work.wanted.background).all():
        work.add_new(
            "label-empty",
            name,
            found=f"a label map without any structure: {work.wanted.background} in every voxel",
            expected="at least one labelled voxel",
            remedy="check that it is the right file; if the scan shows none of the structures, this is in order",
        )
    if work.measures is not None:
        work.require_time()
        work.measures.add_label(volume, shape, sound=sound)
    return Grid(name, shape, volume.affine)


def _add_how_stored(work: _Work, name: str, volume: Volume, values: np.ndarray) -> None:
    off = np.abs(values - np.rint(values)).max(initial=0)
    if off > 0:
        odd = values[np.abs(values - np.rint(values)) > 0][0]
        work.add_new(
            "label-rounding",
            name,
            found=f"label values such as {odd:.9g}, which count as {np.rint(odd):g}",
            expected=f"whole numbers; a value up to {WHOLE_NUMBER_TOLERANCE:g} away counts as one",
            remedy="nothing has to be done; `lightskip check --fix FOLDER` writes a copy with whole numbers",
        )
    elif volume.stored.startswith("float"):
        work.add_new(
            "label-float",
            name,
            found=f"whole numbers, stored as {volume.stored}",
            expected="an integer type",
            remedy="nothing has to be done; `lightskip check --fix FOLDER` writes a copy with integers",
        )


def _read_images(work: _Work, label: Grid | None) -> str | None:
    """Check the images, against the label map too, and return the hash of their voxels; None where one is unusable."""
    reference: Grid | None = None
    whole = True
    for number in range(len(work.case.images)):
        grid = _read_image(work, number, reference, label)
        whole = whole and grid is not None
        reference = reference or grid
    return work.digest.hexdigest() if whole else None


def _read_image(work: _Work, number: int, reference: Grid | None, label: Grid | None) -> Grid | None:
    """Check one image file and return its grid; None where it cannot be used at all.

    A function of its own, so that one image is gone from memory before the next is read.
    """
    path = work.case.images[number]
    read = work.read(path, channels=work.wanted.channels if len(work.case.images) == 1 else 1)
    if read is None:
        return None
    (volume, shape), name = read, reported(path)
    file = str(located(work.folder, path))
    problems = [*image_problems(file, volume.voxels, axes=len(shape)), *header_problems(file, volume, shape)]
    for each in problems:
        work.add(each, name)
    if any(each.kind in ("nan", "infinite", "range") for each in problems):
        return None
    grid = Grid(name, shape, volume.affine)
    others = [(grid, reference)] if reference is not None else [] if label is None else [(label, grid)]
    for one, model in others:
        for each in grid_problems(one, model):
            work.add(each, one.path)
    work.require_time()
    if work.measures is None:
        add_sample(work.digest, volume.voxels)
    else:
        work.measures.add_image(volume, shape, first=reference is None, number=number)
        add_voxels(work.digest, volume.voxels)
    if work.keep is not None:
        work.keep(volume)
    return grid
