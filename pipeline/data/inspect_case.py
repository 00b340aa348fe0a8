"""Everything that the dataset check and the plan want to know of one case, from one reading of its files."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import nibabel
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
from .intensities import add_voxels, channels_of, measure_intensities
from .structures import measure_structures

__all__ = ["Draw", "Inspection", "Stopped", "Wanted", "failed_case", "inspect_case"]


class Draw(Protocol):
    """Draws one channel of a case, with the outlines of its label map, as a JPEG."""

    def __call__(
        self,
        image: np.ndarray,
        label: np.ndarray | None,
        spacing: Sequence[float],
        affine: np.ndarray | None,
        *,
        declared: Sequence[int],
        background: int,
    ) -> bytes:
        """Return the picture: see `pipeline.report.thumbnail.draw_thumbnail`."""


class Stopped(Exception):  # noqa: N818 - nothing is wrong
    """A case was given up because the whole check shall end."""


@dataclass(frozen=True)
class Wanted:
    """What every case of a dataset should be.

    Args:
        files: image files per case.
        channels: channels of an image, over all its files.
        spatial_dims: 2 or 3.
        declared: label values with the words to show for each; None where the datalist declares none.
        background: value of the background in the label maps.
    """

    files: int
    channels: int
    spatial_dims: int
    declared: Mapping[int, str] | None
    background: int = 0


@dataclass
class Inspection:
    """What was found in a case.

    Args:
        findings: what is wrong with it, as far as the case alone tells.
        record: its entry in the report, JSON-ready; classes by their value in the files, as text.
        voxels: hash of the images' values, for finding duplicates; None where an image cannot be read.
        thumbnail: a JPEG; None where the first image cannot be read, or nothing draws.
    """

    findings: list[Finding]
    record: dict[str, Any]
    voxels: str | None = None
    thumbnail: bytes | None = None


@dataclass
class _Label:
    """A label map that could be read: values as whole numbers (None where they are none), and its grid."""

    grid: Grid
    values: np.ndarray | None


@dataclass
class _Work:
    """One case while it is read."""

    case: Case
    folder: Path
    wanted: Wanted
    stop: threading.Event | None = None
    draw: Draw | None = None
    findings: list[Finding] = field(default_factory=list)

    def go_on(self) -> None:
        if self.stop is not None and self.stop.is_set():
            raise Stopped

    def add(self, problem: InputError, file: str) -> None:
        self.findings.append(Finding.of(problem, case=self.case.name, file=file))

    def say(self, kind: str, file: str, *, found: str, expected: str, remedy: str) -> None:
        self.findings.append(Finding(kind, found, expected, remedy, self.case.name, file))


def inspect_case(
    case: Case, folder: Path, wanted: Wanted, stop: threading.Event | None = None, draw: Draw | None = None
) -> Inspection:
    """Read a case's files whole, one image at a time beside the label map.

    Args:
        case: of a datalist.
        folder: where its relative paths start.
        wanted: what the case should be.
        stop: once it is set, the case is given up before the next step of the work.
        draw: draws the case's picture; without it there is none.

    Returns:
        All that is wrong with it and what it measures. Nothing is raised for a bad file.

    Raises:
        Stopped: `stop` was set.
    """
    work = _Work(case, folder, wanted, stop, draw)
    inspection = Inspection(work.findings, record := _blank_record(case))
    _check_names(work)
    label = None if case.label is None else _read_label(work, case.label, record)
    if len(case.images) != wanted.files:
        work.say(
            "channels",
            reported(case.images[0]),
            found=f"{len(case.images)} image files in one case",
            expected=f"{wanted.files}, as the dataset's other cases have",
            remedy="correct the datalist",
        )
    else:
        _read_images(work, record, label, inspection)
    return inspection


def failed_case(case: Case, error: Exception) -> Inspection:
    """Give what there is to say of a case whose check ended in an error that nobody foresaw."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    if isinstance(error, MemoryError):
        found, remedy = "too little memory", "use --workers 1, or a machine with more memory"
    else:
        found = "an error in the check itself"
        remedy = "tell whoever maintains LightSkip, best with the file; the other cases were checked"
    finding = Finding(
        "check-failed",
        found=f"{found} ({reason})",
        expected="a case that can be read and measured",
        remedy=remedy,
        case=case.name,
        file=reported(case.images[0]),
    )
    return Inspection([finding], _blank_record(case))


def _blank_record(case: Case) -> dict[str, Any]:
    return {
        "name": case.name,
        "part": case.part,
        "fold": case.fold,
        "subject": case.subject,
        "images": [reported(path) for path in case.images],
        "label": None if case.label is None else reported(case.label),
        **dict.fromkeys(("shape", "spacing", "orientation"), None),
        "dtypes": [],
        "intensity": [],
        "foreground": [],
        "classes": {},
    }


def _check_names(work: _Work) -> None:
    """Say where a case names one file twice: for two channels, or as its own label map."""
    named = [*work.case.images, *([work.case.label] if work.case.label else [])]
    for path in sorted({path for path in named if named.count(path) > 1}):
        work.say(
            "same-file",
            reported(path),
            found=f"this file {named.count(path)} times in one case",
            expected="another file for every channel and for the label map",
            remedy="correct the datalist",
        )


def _read_images(work: _Work, record: dict[str, Any], label: _Label | None, inspection: Inspection) -> None:
    reference: Grid | None = None
    digest: Any = hashlib.blake2b(digest_size=16)
    dtypes = []
    for number, path in enumerate(work.case.images):
        work.go_on()
        read = _read_image(work, path)
        if read is None:
            digest = None
            continue
        volume, grid = read
        if reference is None:
            reference = grid
            _describe_grid(record, grid)
            _compare(work, label, grid)
            inspection.thumbnail = _draw_thumbnail(work, volume, label, grid)
        else:
            for problem in grid_problems(grid, reference):
                work.add(problem, reported(path))
        dtypes.append(volume.stored)
        work.go_on()
        inside = _foreground(label, grid, work.wanted.background)
        for key, measured in measure_intensities(volume.voxels, inside, axes=len(grid.shape), first=number).items():
            record[key] += measured
        if digest is not None:
            add_voxels(digest, volume.voxels)
    record["dtypes"][:0] = dtypes
    inspection.voxels = None if digest is None else digest.hexdigest()


def _read_image(work: _Work, path: str) -> tuple[Volume, Grid] | None:
    """Read one image file; None where it cannot be used at all."""
    name, file = reported(path), str(located(work.folder, path))
    channels = work.wanted.channels if work.wanted.files == 1 else 1
    try:
        volume = read_volume(file)
        shape = spatial_shape(file, volume.voxels.shape, channels, work.wanted.spatial_dims)
    except InputError as problem:
        work.add(problem, name)
        return None
    problems = list(image_problems(file, volume.voxels, axes=len(shape)))
    problems += header_problems(file, volume, shape)
    for each in problems:
        work.add(each, name)
    if any(each.kind in ("nan", "infinite", "range") for each in problems):
        return None
    return volume, Grid(name, shape, volume.affine)


def _read_label(work: _Work, path: str, record: dict[str, Any]) -> _Label | None:
    """Read the label map and measure its structures; None where it cannot be used at all."""
    name, file = reported(path), str(located(work.folder, path))
    work.go_on()
    try:
        volume = read_volume(file)
        shape = spatial_shape(file, volume.voxels.shape, 1, work.wanted.spatial_dims)
    except InputError as problem:
        work.add(problem, name)
        return None
    record["dtypes"].append(volume.stored)
    for each in header_problems(file, volume, shape):
        work.add(each, name)
    bad = list(not_finite(file, volume.voxels))
    values = None if bad else label_values(volume.voxels)
    if values is not None:
        bad = list(label_problems(file, values, work.wanted.declared))
        if not any(each.kind == "label-not-integer" for each in bad):
            _say_how_stored(work, name, volume, values)
    for each in bad:
        work.add(each, name)
    grid = Grid(name, shape, volume.affine)
    if any(each.kind != "label-undeclared" for each in bad):
        return _Label(grid, None)
    work.go_on()
    whole = _whole(volume.voxels).reshape(shape)
    record["classes"] = measure_structures(whole, volume.affine, background=work.wanted.background)
    if not record["classes"]:
        work.say(
            "label-empty",
            name,
            found=f"a label map without any structure: {work.wanted.background} in every voxel",
            expected="at least one labelled voxel",
            remedy="check that it is the right file; if the scan shows none of the structures, this is in order",
        )
    return _Label(grid, whole)


def _say_how_stored(work: _Work, name: str, volume: Volume, values: np.ndarray) -> None:
    off = np.abs(values - np.rint(values)).max(initial=0)
    if off > 0:
        odd = values[np.abs(values - np.rint(values)) > 0][0]
        work.say(
            "label-rounding",
            name,
            found=f"label values such as {odd:.9g}, which count as {np.rint(odd):g}",
            expected=f"whole numbers; up to {WHOLE_NUMBER_TOLERANCE:g} beside one is taken for it",
            remedy="nothing has to be done; `lightskip check --fix FOLDER` writes a copy with whole numbers",
        )
    elif volume.stored.startswith("float"):
        work.say(
            "label-float",
            name,
            found=f"whole numbers, stored as {volume.stored}",
            expected="an integer type",
            remedy="nothing has to be done; `lightskip check --fix FOLDER` writes a copy with integers",
        )


def _compare(work: _Work, label: _Label | None, grid: Grid) -> None:
    if label is not None:
        for problem in grid_problems(label.grid, grid):
            work.add(problem, label.grid.path)
        if label.grid.shape != grid.shape:
            label.values = None


def _describe_grid(record: dict[str, Any], grid: Grid) -> None:
    axes = len(grid.shape)
    spacing = np.linalg.norm(grid.affine[:3, :3], axis=0)[:axes]
    record["shape"] = list(grid.shape)
    record["spacing"] = [round(float(size), 6) for size in spacing]
    if axes == 3:
        record["orientation"] = "".join(map(str, nibabel.aff2axcodes(grid.affine)))


def _foreground(label: _Label | None, grid: Grid, background: int) -> np.ndarray | None:
    """Tell which voxels of an image are labelled; None where no label map lies on its grid."""
    if label is None or label.values is None or label.values.shape != grid.shape:
        return None
    return np.asarray(label.values != background)


def _draw_thumbnail(work: _Work, volume: Volume, label: _Label | None, grid: Grid) -> bytes | None:
    if work.draw is None:
        return None
    image = next(channels_of(volume.voxels, len(grid.shape)))
    spacing = np.linalg.norm(grid.affine[:3, :3], axis=0)[: len(grid.shape)]
    return work.draw(
        image,
        None if label is None else label.values,
        spacing,
        grid.affine,
        declared=list(work.wanted.declared or ()),
        background=work.wanted.background,
    )


def _whole(voxels: np.ndarray) -> np.ndarray:
    """Return the values as whole numbers of the smallest type that holds them."""
    if voxels.dtype.kind == "f":
        voxels = np.rint(voxels)
    low, high = int(voxels.min()), int(voxels.max())
    smallest = np.promote_types(np.min_scalar_type(low), np.min_scalar_type(high))
    return voxels.astype(smallest, copy=False)
